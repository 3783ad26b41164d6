//! Where each program puts its shards and what it records of them.
//!
//! ```text
//! backup-node         shard_ID, shards_database.json
//! backup-node-sqlite  shard_ID, shards_database.db
//! backup-manifest     shards/BACKUP_shard_N_M.shard, metadata/BACKUP.json
//! sidecar             [shards/]BACKUP_shard_N.dat, metadata/BACKUP_shard_N_metadata.json
//! engine              [shards/]BACKUP/BACKUP_shard_NNNN.shard
//! manifest            any tree, plexmesh-manifest.json
//! plain               any tree
//! ```

use std::fs::File;
use std::io::{self, ErrorKind, Read};

use super::json::{self, Format, Records};
use super::records::{Cache, RecordFile, RecordKind};
use super::root::{Entry, Root, is_off_limits};
use super::scan::{Directory, Scan};
use super::{FileFacts, Found, Listing, MAX_SHARDS, SourceFault, SourceKind, tree};

/// What the name of a Backup Node's shard begins with; the id follows.
const NODE_PREFIX: &str = "shard_";
const NODE_MANIFEST: &str = "shards_database.json";
const NODE_DATABASE: &str = "shards_database.db";
/// Our own manifest, at the root of a tree.
pub(super) const OWN_MANIFEST: &str = "plexmesh-manifest.json";
const SHARDS: &str = "shards";
const METADATA: &str = "metadata";
/// Between the id of a backup and the number of its shard.
const NUMBER: &str = "_shard_";
const SIDECAR_END: &str = "_metadata.json";
/// Longest shard id, in bytes: what the name of a file may have, without a prefix.
const MAX_ID_BYTES: usize = 249;
/// Directory entries that are looked at to find a layout out: other programs' files may lie first.
const MAX_PROBED: usize = 64;

/// Finds a layout out; [`SourceKind::Plain`] if it is no other one.
pub(super) fn probe(root: &Root) -> SourceKind {
    let is_file = |name: &str| matches!(root.entry(name), Ok(Some(Entry::File(_))));
    if is_file(NODE_MANIFEST) {
        return SourceKind::BackupNode;
    }
    if is_file(NODE_DATABASE) {
        return SourceKind::BackupNodeSqlite;
    }
    if let Ok(metadata) = root.child(METADATA) {
        let has = |picked: &dyn Fn(&str) -> bool| !some_names(&metadata, picked).is_empty();
        if has(&|name| is_backup_record(name) && has_shard_locations(&metadata, name)) {
            return SourceKind::BackupManifest;
        }
        if has(&|name| sidecar_id(name).is_some()) {
            return SourceKind::Sidecar;
        }
    }
    if let Ok(base) = base(root)
        && !some_names(&base, &|name| holds_backup(&base, name)).is_empty()
    {
        return SourceKind::Engine;
    }
    if is_file(OWN_MANIFEST) { SourceKind::Manifest } else { SourceKind::Plain }
}

/// Adds to a scan what lies in all directories that may have shards.
pub(super) fn scan(kind: SourceKind, root: &Root, mut scan: Scan) -> Result<Scan, SourceFault> {
    match kind {
        SourceKind::BackupNode | SourceKind::BackupNodeSqlite => {
            scan.add(root, &|name| node_id(name).is_some())?;
        }
        SourceKind::BackupManifest => {
            scan.add(&root.child_or_fault(SHARDS)?, &|name| backup_shard_id(name).is_some())?;
        }
        SourceKind::Sidecar => {
            scan.add(&base_or_fault(root)?, &|name| sidecar_shard_id(name).is_some())?;
        }
        SourceKind::Engine => scan_engine(&base_or_fault(root)?, &mut scan)?,
        SourceKind::Manifest | SourceKind::Plain | SourceKind::Auto => {
            tree::scan(root, &mut scan)?;
        }
    }
    Ok(scan)
}

/// The files of all shards among what lies there.
pub(super) fn list(kind: SourceKind, scan: Scan) -> Listing {
    let closed = scan.closed.into_iter().map(String::into_boxed_str).collect();
    let (has_records, refused) = (kind.has_records(), scan.refused);
    let is_cut = scan.is_cut;
    let mut listing = Listing { has_records, refused, closed, is_cut, ..Listing::default() };
    let mut files: Vec<(Box<str>, Found)> = Vec::new();
    for directory in &scan.directories {
        for (name, entry) in directory.found.iter() {
            let id = listed_id(kind, directory, name).filter(|id| !id.is_empty());
            match (id, entry) {
                (_, Ok(None)) => {}
                (_, Ok(Some(Entry::Directory))) if is_tree(kind) => {}
                (Some(id), Ok(Some(Entry::File(facts)))) if files.len() < MAX_SHARDS => {
                    files.push((id, Found { record: None, file: Some(*facts) }));
                }
                (Some(id), Err(_)) => {
                    listing.closed.insert(id);
                }
                (Some(_), Ok(Some(Entry::File(_)))) => {
                    listing.refused += 1;
                    listing.is_cut = true;
                }
                _ => listing.refused += 1,
            }
        }
    }
    listing.shards = files.into_iter().collect();
    listing
}

/// The id of the shard that a file is; `None` if it cannot be one.
fn listed_id(kind: SourceKind, directory: &Directory, name: &str) -> Option<Box<str>> {
    match kind {
        SourceKind::BackupNode | SourceKind::BackupNodeSqlite => node_id(name).map(Into::into),
        SourceKind::BackupManifest => backup_shard_id(name).map(Into::into),
        SourceKind::Sidecar => sidecar_shard_id(name).map(Into::into),
        SourceKind::Engine => engine_id(&directory.path, name).map(Into::into),
        SourceKind::Manifest | SourceKind::Plain | SourceKind::Auto => {
            tree::path_of(directory, name).map(Into::into)
        }
    }
}

/// Whether shards lie at any depth.
const fn is_tree(kind: SourceKind) -> bool {
    matches!(kind, SourceKind::Manifest | SourceKind::Plain | SourceKind::Auto)
}

/// Reads what changed of the records.
pub(super) fn refresh(kind: SourceKind, root: &Root, cache: &mut Cache) -> Result<(), SourceFault> {
    let Some(how) = record_kind(kind) else { return Ok(()) };
    let name = match kind {
        SourceKind::BackupNode => NODE_MANIFEST,
        SourceKind::BackupNodeSqlite => NODE_DATABASE,
        SourceKind::Manifest => OWN_MANIFEST,
        SourceKind::Sidecar => {
            return refresh_all(root, cache, how, &|name| sidecar_id(name).is_some());
        }
        _ => return refresh_all(root, cache, how, &is_backup_record),
    };
    cache.refresh(root, vec![name.into()], how);
    cache.require(root, name)
}

/// The records of one file of a layout, and how many were left alone: what they are called names no
/// shard of the source.
///
/// # Errors
/// If it is no JSON of that layout, or cannot be read; and for layouts without such files.
pub fn parse_records(kind: SourceKind, text: impl Read) -> io::Result<(Records, usize)> {
    match record_kind(kind) {
        Some(RecordFile { kind: RecordKind::Json(format), id_of }) => {
            json::parse(text, format, &id_of)
        }
        _ => Err(io::Error::other("this layout has no records in JSON")),
    }
}

fn record_kind(kind: SourceKind) -> Option<RecordFile> {
    let json = |format, id_of| Some(RecordFile { kind: RecordKind::Json(format), id_of });
    match kind {
        SourceKind::BackupNode => json(Format::ById, plain_id),
        SourceKind::BackupNodeSqlite => {
            Some(RecordFile { kind: RecordKind::Sqlite, id_of: plain_id })
        }
        SourceKind::Manifest => json(Format::Own, tree::path_id),
        SourceKind::BackupManifest => json(Format::Backup, located_id),
        SourceKind::Sidecar => json(Format::Single, plain_id),
        SourceKind::Engine | SourceKind::Plain | SourceKind::Auto => None,
    }
}

/// The file of records that would have a shard's, where there are many of them.
pub(super) fn record_file(kind: SourceKind, id: &str) -> Option<String> {
    match kind {
        SourceKind::Sidecar => Some(format!("{id}{SIDECAR_END}")),
        SourceKind::BackupManifest => backup_of(id).map(|backup| format!("{backup}.json")),
        _ => None,
    }
}

/// Opens the file of a shard for reading.
pub(super) fn open(kind: SourceKind, root: &Root, id: &str) -> io::Result<(File, FileFacts)> {
    at(kind, root, id, &|directory, name| directory.open_file(name))
}

/// What is known of a shard's file; `None` if none is there.
pub(super) fn facts(kind: SourceKind, root: &Root, id: &str) -> Option<FileFacts> {
    match at(kind, root, id, &|directory, name| directory.entry(name)) {
        Ok(Some(Entry::File(facts))) => Some(facts),
        _ => None,
    }
}

/// The id of a backup that a shard is a piece of.
pub(super) fn backup_of(id: &str) -> Option<&str> {
    id.rsplit_once(NUMBER).map(|(backup, _)| backup).filter(|backup| !backup.is_empty())
}

/// The backup that a shard is a piece of, and its number there; `None` in layouts that have no backups.
#[must_use]
pub fn piece_of(kind: SourceKind, id: &str) -> Option<(&str, u32)> {
    let has_backups =
        matches!(kind, SourceKind::BackupManifest | SourceKind::Sidecar | SourceKind::Engine);
    let (backup, numbers) = id.rsplit_once(NUMBER).filter(|_| has_backups)?;
    // One that was cut into chunks has their numbers behind its own.
    let number = numbers.split_once('_').map_or(numbers, |(number, _)| number);
    Some((backup, number.parse().ok()?))
}

/// An id that can be part of a file's name, and of nothing else.
fn plain_id(id: &str) -> Option<&str> {
    let plain = !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.contains(['/', '\0']);
    plain.then_some(id)
}

fn node_id(name: &str) -> Option<&str> {
    name.strip_prefix(NODE_PREFIX)
}

fn sidecar_shard_id(name: &str) -> Option<&str> {
    name.strip_suffix(".dat").filter(|id| backup_of(id).is_some())
}

fn backup_shard_id(name: &str) -> Option<&str> {
    name.strip_suffix(".shard").filter(|id| backup_of(id).is_some())
}

/// By a path or an id: the directory of a path is the program's own, and may be another host's.
fn located_id(place: &str) -> Option<&str> {
    let name = place.rsplit_once('/').map_or(place, |(_, name)| name);
    plain_id(name.strip_suffix(".shard").unwrap_or(name)).filter(|id| backup_of(id).is_some())
}

/// Whether a file has the records of a backup, by its name.
fn is_backup_record(name: &str) -> bool {
    name.ends_with(".json") && !name.ends_with(SIDECAR_END)
}

fn sidecar_id(name: &str) -> Option<&str> {
    name.strip_suffix(SIDECAR_END).filter(|id| backup_of(id).is_some())
}

fn engine_id<'n>(backup: &str, name: &'n str) -> Option<&'n str> {
    let id = name.strip_suffix(".shard")?;
    let number = id.strip_prefix(backup)?.strip_prefix(NUMBER)?;
    let digits = number.len() >= 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some(id)
}

/// Whether a directory holds the shards of one backup of the engine.
fn holds_backup(base: &Root, name: &str) -> bool {
    let Ok(backup) = base.child(name) else { return false };
    !some_names(&backup, &|file| engine_id(name, file).is_some()).is_empty()
}

/// Where shards lie: below the root, or it is their directory itself.
fn base(root: &Root) -> io::Result<Root> {
    match root.child(SHARDS) {
        Err(error) if error.kind() == ErrorKind::NotFound => root.child("."),
        base => base,
    }
}

fn base_or_fault(root: &Root) -> Result<Root, SourceFault> {
    base(root).map_err(|error| root.fault_below(SHARDS, &error))
}

/// Calls `with` with the directory and the name of a shard's file.
fn at<T>(
    kind: SourceKind,
    root: &Root,
    id: &str,
    with: &dyn Fn(&Root, &str) -> io::Result<T>,
) -> io::Result<T> {
    match kind {
        SourceKind::BackupNode | SourceKind::BackupNodeSqlite => {
            with(root, &format!("{NODE_PREFIX}{id}"))
        }
        SourceKind::BackupManifest => with(&root.child(SHARDS)?, &format!("{id}.shard")),
        SourceKind::Sidecar => with(&base(root)?, &format!("{id}.dat")),
        SourceKind::Engine => {
            let backup = backup_of(id).unwrap_or_default();
            with(&base(root)?.child(tree::checked(backup)?)?, &format!("{id}.shard"))
        }
        SourceKind::Manifest | SourceKind::Plain | SourceKind::Auto => tree::at(root, id, with),
    }
}

fn scan_engine(base: &Root, scan: &mut Scan) -> Result<(), SourceFault> {
    let mut backups: Vec<String> = Vec::new();
    base.names(&mut |name| match name {
        Some(name) if is_off_limits(name) => {}
        Some(name) if backups.len() < MAX_SHARDS => backups.push(name.to_owned()),
        _ => scan.refused += 1,
    })?;
    for backup in backups {
        let directory = base.child(&backup);
        let is_none = |error: &io::Error| {
            matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        };
        // Something else may lie there, or it went away since it was listed.
        if !directory.as_ref().is_err_and(is_none) {
            let of_backup = backup.clone();
            scan.add_below(backup, directory, &|name| engine_id(&of_backup, name).is_some());
        }
    }
    Ok(())
}

fn refresh_all(
    root: &Root,
    cache: &mut Cache,
    how: RecordFile,
    is_record: &dyn Fn(&str) -> bool,
) -> Result<(), SourceFault> {
    let metadata = root.child_or_fault(METADATA)?;
    let mut names: Vec<Box<str>> = Vec::new();
    metadata.names(&mut |name| {
        if let Some(name) = name.filter(|name| is_record(name) && names.len() < MAX_SHARDS) {
            names.push(name.into());
        }
    })?;
    names.sort();
    cache.refresh(&metadata, names, how);
    Ok(())
}

/// Some names of a directory that are picked, of the first that it has.
fn some_names(directory: &Root, picked: &dyn Fn(&str) -> bool) -> Vec<String> {
    let (mut names, mut probed) = (Vec::new(), 0);
    // What cannot be listed has none.
    let _ = directory.names(&mut |name| {
        probed += 1;
        if let Some(name) = name.filter(|name| probed <= MAX_PROBED && picked(name)) {
            names.push(name.to_owned());
        }
    });
    names
}

fn has_shard_locations(metadata: &Root, name: &str) -> bool {
    record_kind(SourceKind::BackupManifest).is_some_and(|how| how.load(metadata, name).is_ok())
}

#[cfg(test)]
mod tests;
