//! Directories of shards as other programs leave them. They are looked at and never written to.
//!
//! A source is a root directory with a layout. What comes out is the same for all: which shards are
//! recorded, which files are there. Only regular files below the root are ever opened, and never
//! keys.

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::RandomState;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

mod digest;
mod json;
mod layout;
mod records;
mod root;
mod scan;
mod shards;
mod sqlite;
mod tree;

pub use digest::{Algorithm, DigestSet, Digests, ExpectedDigest, Hashing};
pub use json::Records;
pub use layout::{parse_records, piece_of};
pub use shards::Shards;

use records::Cache;
use root::Root;
use scan::Scan;

/// Shards of one source that are looked at: ten times what a peer of 100 GiB holds. More are
/// counted and left alone.
pub const MAX_SHARDS: usize = 1_000_000;

/// How a source's files are laid out.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// Found out by what is there, in the order of the kinds below.
    #[default]
    Auto,
    /// The directory of a Backup Node: files `shard_ID` and a manifest `shards_database.json`.
    BackupNode,
    /// The same with a manifest in SQLite, `shards_database.db`.
    BackupNodeSqlite,
    /// Pieces of backups in `shards`, one manifest for each backup in `metadata`.
    BackupManifest,
    /// Pieces of backups, and beside them in `metadata` a file for each piece.
    Sidecar,
    /// One directory for each backup, and nothing that says what is expected.
    Engine,
    /// Any tree of files with a `plexmesh-manifest.json`; a shard's id is its path below the root.
    Manifest,
    /// Any tree of files; a shard's id is its path below the root.
    Plain,
}

impl SourceKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Auto,
        Self::BackupNode,
        Self::BackupNodeSqlite,
        Self::BackupManifest,
        Self::Sidecar,
        Self::Engine,
        Self::Manifest,
        Self::Plain,
    ];

    /// Whether the layout records which shards there are: a file without a record is an orphan then.
    #[must_use]
    pub const fn has_records(self) -> bool {
        !matches!(self, Self::Auto | Self::Engine | Self::Plain)
    }

    /// The word that a configuration has for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::BackupNode => "backup-node",
            Self::BackupNodeSqlite => "backup-node-sqlite",
            Self::BackupManifest => "backup-manifest",
            Self::Sidecar => "sidecar",
            Self::Engine => "engine",
            Self::Manifest => "manifest",
            Self::Plain => "plain",
        }
    }

    /// The kind with this word; `None` if there is none.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// What a record promises of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Digests of its bytes; `None` if the record names none that can be read.
    pub digest: Option<ExpectedDigest>,
    /// Its length in bytes; `None` if the record names none.
    pub size_bytes: Option<u64>,
}

/// What the system says of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileFacts {
    /// Length in bytes.
    pub size_bytes: u64,
    /// Last change of the content, in nanoseconds of Unix time. Anybody who may write the file can
    /// set it.
    pub mtime_ns: i64,
    /// Last change of content or attributes, in nanoseconds of Unix time. Nobody can set it.
    pub ctime_ns: i64,
    /// The file's number in its file system.
    pub inode: u64,
    /// Whether its mode lets anybody read it. Root may read it all the same; the daemon that is to
    /// serve it may not.
    pub readable: bool,
}

/// A shard that is recorded, or has a file, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its record; always `None` in a layout without records.
    pub record: Option<Expected>,
    /// Its file.
    pub file: Option<FileFacts>,
}

/// What one look at a source found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Shards by id.
    pub shards: Shards,
    /// Directories and files below the root that are there and could not be looked at, and shards
    /// that an earlier copy of the manifest alone has: that nothing was found there says nothing.
    pub closed: BTreeSet<Box<str>>,
    /// More lies there than is looked at, in no order: that nothing was found says nothing of any shard.
    pub is_cut: bool,
    /// See [`SourceKind::has_records`].
    pub has_records: bool,
    /// Ids and files that were left alone: ids that would leave the root, symbolic links, devices,
    /// names that are no text, more than [`MAX_SHARDS`].
    pub refused: usize,
    /// A file of records is torn, and the copy of an earlier look stands in.
    pub stale_manifest: bool,
}

impl Listing {
    /// Whether a shard that was not found may be there all the same.
    #[must_use]
    pub fn hides(&self, id: &str) -> bool {
        if self.closed.is_empty() || self.is_cut {
            return self.is_cut;
        }
        let above = id.match_indices('/').filter_map(|(at, _)| id.get(..at));
        above.chain([id]).chain(layout::backup_of(id)).any(|path| self.closed.contains(path))
    }
}

/// Why a source as a whole cannot be looked at.
#[derive(Debug, Error)]
pub enum SourceFault {
    /// It is not there, or something else is.
    #[error("{} cannot be found: {reason}", .root.display())]
    Absent {
        /// The root.
        root: PathBuf,
        /// Why.
        reason: String,
    },
    /// It is there and may not be read.
    #[error("{} may not be read: {reason}", .path.display())]
    NotReadable {
        /// What may not be read.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Why a shard's file cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The source as a whole cannot be looked at.
    #[error(transparent)]
    Source(#[from] SourceFault),
    /// The file cannot be opened.
    #[error(transparent)]
    File(#[from] io::Error),
}

/// What an earlier run knew of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Its layout, once it was found out.
    pub kind: SourceKind,
    /// The device that it lay on.
    pub device: Option<u64>,
    /// Shards that were known of it.
    pub shards: usize,
}

/// A shard's id, and what is recorded of it.
pub type Recorded = (Box<str>, Expected);

/// What is remembered of the shards of a source.
pub trait Known {
    /// Whether any is.
    fn any(&self) -> bool;
    /// Whether this one is.
    fn has(&self, id: &str) -> bool;
    /// All that had a record at the last look that succeeded, in the order of their ids.
    fn records(&self) -> Vec<Recorded>;
}

/// Nothing is remembered.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingKnown;

impl Known for NothingKnown {
    fn any(&self) -> bool {
        false
    }

    fn has(&self, _: &str) -> bool {
        false
    }

    fn records(&self) -> Vec<Recorded> {
        Vec::new()
    }
}

/// One directory of shards.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    kind: SourceKind,
    device: Option<u64>,
    records: Cache,
    /// Of what was found at the last look; `None` if it failed, or could not see everything.
    seen: Option<Seen>,
    hasher: RandomState,
}

/// What tells that nothing changed since another look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    kind: SourceKind,
    device: u64,
    /// See [`scan::Scan::signature`].
    files: u64,
    /// See [`Cache::generation`].
    records: u64,
}

impl Source {
    /// A source at `path`. Nothing is looked at yet. A layout that an earlier run found out is kept,
    /// so that a manifest that is gone is noticed.
    #[must_use]
    pub fn new(path: PathBuf, kind: SourceKind, remembered: Remembered) -> Self {
        let kind = if kind == SourceKind::Auto { remembered.kind } else { kind };
        Self {
            path,
            kind,
            device: remembered.device,
            records: Cache::default(),
            seen: None,
            hasher: RandomState::new(),
        }
    }

    /// The root directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The layout; [`SourceKind::Auto`] until the first look.
    #[must_use]
    pub const fn kind(&self) -> SourceKind {
        self.kind
    }

    /// The device that it lay on at the last look that succeeded.
    #[must_use]
    pub const fn device(&self) -> Option<u64> {
        self.device
    }

    /// Looks at the source. Reads names, attributes and the manifest, and no shard. `None` if all is
    /// as it was at the last look; then all that is known has to be remembered until the next look. Blocks.
    ///
    /// # Errors
    /// [`SourceFault`] if the source as a whole cannot be looked at: what is remembered of it then
    /// stands.
    pub fn look(&mut self, known: &dyn Known) -> Result<Option<Listing>, SourceFault> {
        let before = self.seen.take();
        let root = Root::open(&self.path)?;
        let found_out = match self.kind {
            SourceKind::Auto => layout::probe(&root),
            kind => kind,
        };
        let other_device = self.device.is_some_and(|device| device != root.device());
        let (listing, seen) = match self.list(found_out, &root, before, known) {
            // On another device a manifest that is gone is one of many things that are gone.
            Err(SourceFault::NotReadable { .. }) if other_device => Err(self.moved()),
            listed => listed,
        }?;
        let Some(listing) = listing else {
            self.records.rest();
            self.seen = Some(seen);
            return Ok(None);
        };
        // A host that starts anew may number its devices anew. That nothing of what was here is here
        // tells an empty mount point from that.
        if other_device && known.any() && !listing.shards.iter().any(|(id, _)| known.has(id)) {
            return Err(self.moved());
        }
        // An empty directory may become any.
        if !listing.shards.is_empty() || found_out.has_records() {
            self.kind = found_out;
        }
        self.device = Some(root.device());
        // What lies behind something closed may be there or not: all of that is thought over each time.
        self.seen = (listing.closed.is_empty() && !listing.is_cut).then_some(seen);
        Ok(Some(listing))
    }

    /// Opens the file of a shard for reading.
    ///
    /// # Errors
    /// [`OpenError`] if it is not there, may not be read, or is no regular file below the root; or
    /// if the source itself is gone, which says nothing of the shard.
    pub fn open(&self, id: &str) -> Result<(File, FileFacts), OpenError> {
        let root = Root::open(&self.path)?;
        Ok(layout::open(self.kind, &root, id)?)
    }

    /// What the system says of a file that is open.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn facts(file: &File) -> io::Result<FileFacts> {
        root::facts_of(file)
    }

    /// All shards that are recorded or have a file. Records are read after the files were listed: a
    /// file is written before its record, so a record whose file the list lacks is looked up again.
    /// A copy of earlier records makes no shard missing. `None` if nothing changed since `before`.
    fn list(
        &mut self,
        kind: SourceKind,
        root: &Root,
        before: Option<Seen>,
        known: &dyn Known,
    ) -> Result<(Option<Listing>, Seen), SourceFault> {
        if before.is_some() {
            let (_, seen) = self.scanned(kind, root, false)?;
            if before == Some(seen) {
                return Ok((None, seen));
            }
        }
        let (scan, seen) = self.scanned(kind, root, true)?;
        self.records.recall(&|| known.records());
        Ok((Some(self.listed(kind, root, layout::list(kind, scan))), seen))
    }

    fn scanned(
        &mut self,
        kind: SourceKind,
        root: &Root,
        lists_files: bool,
    ) -> Result<(Scan, Seen), SourceFault> {
        let scan = layout::scan(kind, root, Scan::new(lists_files, &self.hasher))?;
        layout::refresh(kind, root, &mut self.records)?;
        let (files, records) = (scan.signature(), self.records.generation());
        Ok((scan, Seen { kind, device: root.device(), files, records }))
    }

    /// Adds what is recorded to what lies there.
    fn listed(&self, kind: SourceKind, root: &Root, mut listing: Listing) -> Listing {
        listing.refused += self.records.refused();
        listing.stale_manifest = self.records.is_stale();
        let (mut without_file, mut next) = (Vec::new(), 0);
        for (id, expected, stale) in self.records.records() {
            if let Some(position) = listing.shards.position(id, next) {
                next = position + 1;
                if let Some(found) = listing.shards.at_mut(position) {
                    found.record = Some(expected);
                }
                continue;
            }
            if listing.hides(id) {
                continue;
            }
            let file = layout::facts(kind, root, id);
            if stale && file.is_none() {
                // It may be gone with its record, and so may the whole directory.
                listing.closed.insert(id.into());
            } else if listing.shards.len() + without_file.len() < MAX_SHARDS {
                without_file.push((id.into(), Found { record: Some(expected), file }));
            } else {
                listing.refused += 1;
            }
        }
        if !without_file.is_empty() {
            listing.shards =
                std::mem::take(&mut listing.shards).into_iter().chain(without_file).collect();
        }
        for (id, found) in listing.shards.iter_mut() {
            // What a file says that cannot be read is not known; it may name this shard.
            if found.record.is_none()
                && layout::record_file(kind, id).is_some_and(|name| self.records.is_unknown(&name))
            {
                found.record = Some(Expected::default());
            }
        }
        listing
    }

    fn moved(&self) -> SourceFault {
        SourceFault::Absent {
            root: self.path.clone(),
            reason: "another file system is there, without any shard that was here; is it \
                     mounted?"
                .to_owned(),
        }
    }
}

/// A file that no record names may be on its way: file first, record after.
pub const UNRECORDED_GRACE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
