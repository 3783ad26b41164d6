//! What a source records of its shards, as it was last read.
//!
//! Programs rewrite their files in place, so a reader may find one torn: it is read again a few
//! times, and then its last good copy stands in.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::json::{self, Format, Records};
use super::root::{Entry, Root};
use super::{Expected, FileFacts, Recorded, SourceFault, sqlite};

/// Longest file of records that is read, in bytes: 100 thousand records take about 40 MiB.
pub(super) const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// How often a torn file is read again at once, and after what time: writing takes milliseconds.
const TRIES: u32 = 4;
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How long the last good copy of a file stands in that has the records of all shards: past that,
/// nobody is writing it, it is broken.
const STAND_IN: Duration = Duration::from_secs(60);

/// How a file of records is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordFile {
    pub(super) kind: RecordKind,
    /// The id of a shard by what a record calls it.
    pub(super) id_of: fn(&str) -> Option<&str>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum RecordKind {
    Json(Format),
    Sqlite,
}

/// The last good copies, by file name.
#[derive(Debug, Default)]
pub(super) struct Cache {
    files: BTreeMap<Box<str>, Copied>,
    generation: u64,
}

/// One file.
#[derive(Debug, Default)]
struct Copied {
    /// What it was like when it was read; `None` if it never could be.
    read: Option<Stamp>,
    /// In the order of their ids. A list: a tree leaves almost half of its room empty. `None` while
    /// somebody else remembers them.
    records: Option<Box<[Recorded]>>,
    refused: usize,
    bad: Option<Bad>,
}

#[derive(Debug)]
struct Bad {
    since: Instant,
    reason: String,
}

/// What the system said of a file and of those that belong to it.
type Stamp = [u8; 16];

impl Cache {
    /// Reads the files of these names that are not as they were, and forgets all others.
    pub(super) fn refresh(&mut self, directory: &Root, names: Vec<Box<str>>, how: RecordFile) {
        let (mut waiting, before) = (names, self.files.len());
        self.files.retain(|name, _| waiting.binary_search(name).is_ok());
        let mut changed = self.files.len() != before;
        for attempt in 0..TRIES {
            if waiting.is_empty() {
                break;
            }
            if attempt > 0 {
                sleep(RETRY_INTERVAL);
            }
            waiting.retain(|name| {
                let copied = self.files.entry(name.clone()).or_default();
                let was_bad = copied.bad.is_some();
                match copied.refresh(directory, name, how) {
                    Ok(is_new) => {
                        changed |= is_new || was_bad;
                        copied.bad = None;
                    }
                    Err(error) => {
                        changed |= !was_bad;
                        let since = copied.bad.as_ref().map_or_else(Instant::now, |bad| bad.since);
                        copied.bad = Some(Bad { since, reason: error.to_string() });
                    }
                }
                copied.bad.is_some()
            });
        }
        self.generation += u64::from(changed);
    }

    /// A number that is another one after each change of what it says.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// That the one file that has the records of all shards can be relied on. A copy stands in for
    /// one that cannot be read for the moment; without a copy it is a fault at once.
    pub(super) fn require(&self, directory: &Root, name: &str) -> Result<(), SourceFault> {
        let copied = self.files.get(name);
        let Some(bad) = copied.and_then(|copied| copied.bad.as_ref()) else { return Ok(()) };
        let stands_in = copied.is_some_and(|copied| copied.read.is_some());
        if stands_in && bad.since.elapsed() < STAND_IN {
            return Ok(());
        }
        let (path, reason) = (directory.path().join(name), bad.reason.clone());
        Err(SourceFault::NotReadable { path, reason })
    }

    /// All records, and of each whether it is of an earlier copy.
    pub(super) fn records(&self) -> impl Iterator<Item = (&str, Expected, bool)> {
        self.files.values().flat_map(|copied| {
            let stale = copied.bad.is_some();
            let records = copied.records.iter().flatten();
            records.map(move |(id, expected)| (&**id, *expected, stale))
        })
    }

    /// Forgets the records of one file that has all, as long as it can be read: whoever saw them all at
    /// the last look remembers them, and they are asked for again with [`recall`](Self::recall).
    pub(super) fn rest(&mut self) {
        if self.files.len() > 1 {
            return;
        }
        for copied in self.files.values_mut().filter(|copied| copied.bad.is_none()) {
            copied.records = None;
        }
    }

    /// Takes back what was forgotten, in the order of ids.
    pub(super) fn recall(&mut self, remembered: &dyn Fn() -> Vec<Recorded>) {
        for copied in self.files.values_mut().filter(|copied| copied.is_at_rest()) {
            copied.records = Some(remembered().into());
        }
    }

    /// Whether a file is there of which nothing is known: it never could be read.
    pub(super) fn is_unknown(&self, name: &str) -> bool {
        self.files.get(name).is_some_and(|copied| copied.read.is_none())
    }

    /// Whether an earlier copy of a file stands in.
    pub(super) fn is_stale(&self) -> bool {
        self.files.values().any(|copied| copied.bad.is_some() && copied.read.is_some())
    }

    /// Records that were left alone, and files that never could be read.
    pub(super) fn refused(&self) -> usize {
        self.files.values().map(|it| it.refused + usize::from(it.read.is_none())).sum()
    }
}

impl Copied {
    const fn is_at_rest(&self) -> bool {
        self.read.is_some() && self.records.is_none()
    }

    /// Reads it if it is another one than was read; whether it was.
    fn refresh(&mut self, directory: &Root, name: &str, how: RecordFile) -> io::Result<bool> {
        let before = how.stamp(directory, name)?;
        if self.read == Some(before) {
            return Ok(false);
        }
        let (records, refused) = how.load(directory, name)?;
        if how.stamp(directory, name)? != before {
            return Err(io::Error::other("it changed while it was read"));
        }
        let records = Some(records.into_iter().collect());
        *self = Self { read: Some(before), records, refused, bad: None };
        Ok(true)
    }
}

impl RecordFile {
    /// Reads a file; gives its records, and how many were left alone.
    pub(super) fn load(self, directory: &Root, name: &str) -> io::Result<(Records, usize)> {
        match self.kind {
            RecordKind::Json(format) => {
                let (file, _) = open(directory, name)?;
                let text = BufReader::with_capacity(64 * 1024, file.take(MAX_BYTES));
                json::parse(text, format, &self.id_of)
            }
            RecordKind::Sqlite => sqlite::load(directory, name, &self.id_of),
        }
    }

    fn stamp(self, directory: &Root, name: &str) -> io::Result<Stamp> {
        let mut hasher = blake3::Hasher::new();
        let beside = match self.kind {
            RecordKind::Json(_) => [].as_slice(),
            RecordKind::Sqlite => &sqlite::BESIDE,
        };
        let file = facts(directory, name)?;
        add(&mut hasher, Some(file.ok_or_else(|| io::Error::other("it is no regular file"))?));
        for suffix in beside {
            add(&mut hasher, facts(directory, &format!("{name}{suffix}"))?);
        }
        Ok(hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

/// Opens a file of records for reading; one that is too long is refused.
pub(super) fn open(directory: &Root, name: &str) -> io::Result<(File, FileFacts)> {
    let (file, facts) = directory.open_file(name)?;
    if facts.size_bytes > MAX_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_BYTES} bytes")));
    }
    Ok((file, facts))
}

fn facts(directory: &Root, name: &str) -> io::Result<Option<FileFacts>> {
    Ok(match directory.entry(name)? {
        Some(Entry::File(facts)) => Some(facts),
        _ => None,
    })
}

fn add(hasher: &mut blake3::Hasher, facts: Option<FileFacts>) {
    let Some(facts) = facts else {
        hasher.update(&[0]);
        return;
    };
    hasher.update(&[1]);
    for bytes in [
        facts.size_bytes.to_le_bytes(),
        facts.mtime_ns.to_le_bytes(),
        facts.ctime_ns.to_le_bytes(),
        facts.inode.to_le_bytes(),
    ] {
        hasher.update(&bytes);
    }
}
