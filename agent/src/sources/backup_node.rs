//! The directory of a Backup Node: flat files `shard_ID`, and the manifest beside them.

use std::io::ErrorKind;

use super::manifest::{self, MANIFEST};
use super::root::{Entry, Root};
use super::{Listing, MAX_SHARDS, SourceFault};

/// What the name of a shard's file begins with; the id follows.
const PREFIX: &str = "shard_";

/// Whether a root looks like such a directory.
pub(super) fn is_at(root: &Root) -> bool {
    matches!(root.entry(MANIFEST), Ok(Some(Entry::File(_))))
}

pub(super) fn file_name(id: &str) -> String {
    format!("{PREFIX}{id}")
}

fn has_file(root: &Root, id: &str) -> bool {
    matches!(root.entry(&file_name(id)), Ok(Some(Entry::File(_))))
}

/// All shards that are recorded or have a file. The manifest is read after the files were listed: a
/// file is written before its record, so a record whose file the list lacks is looked up again. A copy of
/// an earlier manifest makes no shard missing.
pub(super) fn list(root: &Root, cache: &mut manifest::Cache) -> Result<Listing, SourceFault> {
    let mut listing = Listing { has_records: true, ..Listing::default() };
    let mut denied = false;
    root.names(&mut |name| {
        let Some(name) = name else {
            listing.refused += 1;
            return;
        };
        let Some(id) = name.strip_prefix(PREFIX) else { return };
        if id.is_empty() {
            listing.refused += 1;
            return;
        }
        let entry = match root.entry(name) {
            Ok(Some(entry)) => entry,
            // It went away since it was listed: its record tells more.
            Ok(None) => return,
            Err(error) => {
                denied |= error.kind() == ErrorKind::PermissionDenied;
                listing.closed.insert(id.into());
                return;
            }
        };
        match entry {
            Entry::File(facts) if listing.shards.len() < MAX_SHARDS => {
                listing.shards.entry(id.into()).or_default().file = Some(facts);
            }
            _ => listing.refused += 1,
        }
    })?;
    root.searched(denied)?;
    let manifest = cache.read(root)?;
    listing.refused += manifest.refused;
    listing.stale_manifest = manifest.stale;
    for (id, expected) in manifest.records {
        let room = listing.shards.len() < MAX_SHARDS;
        match listing.shards.get_mut(id) {
            Some(found) => found.record = Some(*expected),
            None if listing.closed.contains(id) => {}
            // Such a record may be gone with its file, and so may the whole directory.
            None if manifest.stale && !has_file(root, id) => {
                listing.closed.insert(id.clone());
            }
            None if room => {
                let found = listing.shards.entry(id.clone()).or_default();
                found.record = Some(*expected);
                if let Ok(Some(Entry::File(facts))) = root.entry(&file_name(id)) {
                    found.file = Some(facts);
                }
            }
            None => listing.refused += 1,
        }
    }
    Ok(listing)
}
