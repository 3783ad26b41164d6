//! Whether the directories of shards can be looked at.

use std::path::Path;

use super::agent::Asked;
use super::{DoctorArea, crit, ok, quoted, unknown, warn};
use crate::api::schema::{DoctorCheck, ShardSource};
use crate::settings::{Settings, SourceSettings};
use crate::sources::{NothingKnown, Remembered, Source, SourceFault};

const AREA: DoctorArea = DoctorArea::Sources;
/// Sources that are looked at; a configuration has fewer.
const MAX_SOURCES: usize = 64;

pub(super) fn checks(settings: &Settings, asked: &Asked) -> Vec<DoctorCheck> {
    // A running agent may have been given others than the files say.
    let checks: Vec<DoctorCheck> = match &asked.scrub {
        Some(scrub) => scrub.sources.iter().take(MAX_SOURCES).map(told).collect(),
        None => settings.sources.iter().take(MAX_SOURCES).map(looked_at).collect(),
    };
    if checks.is_empty() {
        let found = "this peer looks at no directory of shards";
        return vec![warn(AREA, "none", found).fixed_by("plexmesh config show --origin source")];
    }
    checks
}

/// What the running agent says of a source.
fn told(source: &ShardSource) -> DoctorCheck {
    let root = source.root.as_str();
    if let Some(fault) = &source.fault {
        return crit(AREA, root, fault.as_str()).fixed_by(format!("ls -ld {}", quoted(root)));
    }
    if source.looked_at.is_none() {
        return unknown(AREA, root, "the agent has not looked at it yet")
            .fixed_by("plexmesh scrub");
    }
    let found = format!("{} shards, laid out as {}", source.shards, source.kind.word());
    if source.stale_manifest {
        let found = format!("{found}; the manifest is torn, and an earlier copy stands in");
        return warn(AREA, root, found).fixed_by("plexmesh scrub -o wide");
    }
    refused(root, found, source.refused)
}

/// Looks at a source as an agent would: names, attributes and the manifest, and no shard.
fn looked_at(source: &SourceSettings) -> DoctorCheck {
    let root = source.root.display().to_string();
    let mut looker = Source::new(source.root.clone(), source.kind, Remembered::default());
    let listing = match looker.look(&NothingKnown).map(Option::unwrap_or_default) {
        Ok(listing) => listing,
        Err(SourceFault::Absent { reason, .. }) => {
            return crit(AREA, root, format!("it cannot be found: {reason}"))
                .fixed_by(format!("ls -ld {}", quoted(&source.root)));
        }
        Err(SourceFault::NotReadable { path, reason }) => {
            let found = format!("{} may not be read: {reason}", path.display());
            return crit(AREA, root, found).fixed_by(format!("ls -l {}", quoted(&path)));
        }
    };
    let kind = looker.kind().word();
    let found = format!("{} shards, laid out as {kind}", listing.shards.len());
    if let Some(closed) = listing.closed.first() {
        let path = Path::new(&source.root).join(&**closed);
        let found = format!("{found}; {} in it cannot be looked at", listing.closed.len());
        return warn(AREA, root, found).fixed_by(format!("ls -ld {}", quoted(path)));
    }
    refused(&root, found, listing.refused)
}

fn refused(root: &str, found: String, refused: usize) -> DoctorCheck {
    if refused == 0 {
        return ok(AREA, root, found);
    }
    ok(AREA, root, format!("{found}; {refused} entries that are no shards are left alone"))
}
