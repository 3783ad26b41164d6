//! What is remembered of shards, on disk: it makes a silent deletion visible after a restart.
//!
//! ```text
//! key   = first 8 bytes of BLAKE3 of the source's path | shard id
//! value = format, hash, and a protobuf message, sealed like the entries of the store
//! ```

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plexmesh_proto::integrity::Verdict;
use prost::Message;

use super::judge::{Memory, Replaced};
use crate::sources::{Expected, ExpectedDigest, FileFacts, Remembered, SourceKind};
use crate::store::Database;
use crate::store::StoreError;
use crate::store::entry;
use crate::store::upkeep::Upkeep;
use crate::text::hex;

/// Name of the database's directory inside of the data directory.
pub(crate) const DIRECTORY: &str = "inventory";
/// Most shards in one write: keeps a batch below 2 MiB.
pub(super) const MAX_BATCH: usize = 4_096;

/// A database to which nothing was written for so long is closed: an open one takes tens of megabytes,
/// and to open it again takes a part of a second.
const REST_AFTER: Duration = Duration::from_secs(60);

/// Numbers of layouts on disk; 0 is one that was not found out.
const KINDS: [(u32, SourceKind); 7] = [
    (1, SourceKind::BackupNode),
    (2, SourceKind::Plain),
    (3, SourceKind::BackupNodeSqlite),
    (4, SourceKind::BackupManifest),
    (5, SourceKind::Sidecar),
    (6, SourceKind::Engine),
    (7, SourceKind::Manifest),
];

/// Key of the time until which nothing is read.
const PAUSED_UNTIL: &str = "paused-until";

/// What a source goes by on disk: its path says where somebody keeps backups.
pub(super) type SourceKey = [u8; 8];

pub(super) fn source_key(root: &Path) -> SourceKey {
    let hash = blake3::hash(root.as_os_str().as_encoded_bytes());
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// A change to be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) source: SourceKey,
    pub(super) id: Box<str>,
    /// `None` to forget the shard.
    pub(super) memory: Option<Memory>,
}

/// The database. It is open while it is written to.
#[derive(Debug)]
pub(super) struct Inventory {
    path: PathBuf,
    database: Option<Database>,
    used: Instant,
    upkeep: Upkeep,
    failing: bool,
    emptied: bool,
}

impl Inventory {
    /// Opens the inventory in a data directory; one that is damaged is set aside. Blocks.
    pub(super) fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join(DIRECTORY);
        let (database, _) = Database::open_or_set_aside(&path, "the next scrub")?;
        Ok(Self {
            path,
            database: Some(database),
            used: Instant::now(),
            upkeep: Upkeep::default(),
            failing: false,
            emptied: false,
        })
    }

    /// Visits what is remembered of the shards of a source. Entries that are damaged are left out:
    /// their shards are new then.
    pub(super) fn load(
        &mut self,
        source: &SourceKey,
        visit: &mut dyn FnMut(&str, Memory),
    ) -> Remembered {
        let database = match self.opened() {
            Ok(database) => database,
            Err(error) => {
                tracing::warn!(%error, "what is remembered of the shards of a directory cannot be \
                    read; all of them are new");
                return Remembered::default();
            }
        };
        let mut shards = 0;
        database.for_each(&mut |key, value| {
            let id = key.strip_prefix(source).and_then(|id| std::str::from_utf8(id).ok());
            if let Some((id, memory)) = id.zip(decode(value)) {
                shards += 1;
                visit(id, memory);
            }
        });
        let stored = database
            .value(&value_name(source))
            .and_then(|value| StoredSource::decode(value.as_slice()).ok())
            .unwrap_or_default();
        let kind = KINDS.into_iter().find(|(number, _)| *number == stored.kind);
        let kind = kind.map_or(SourceKind::Auto, |(_, kind)| kind);
        Remembered { kind, device: stored.device, shards }
    }

    /// Unix milliseconds until which nothing is to be read; `None` if nothing is remembered.
    pub(super) fn paused_until_ms(&self) -> Option<u64> {
        let value = self.database.as_ref()?.value(PAUSED_UNTIL)?;
        let until_ms = u64::from_be_bytes(value.as_slice().try_into().ok()?);
        (until_ms > 0).then_some(until_ms)
    }

    /// Writes a pause, or that there is none; whether it is on disk.
    pub(super) fn save_pause(&mut self, until_ms: Option<u64>) -> bool {
        let value = (PAUSED_UNTIL.to_owned(), until_ms.unwrap_or(0).to_be_bytes().to_vec());
        let written = self.try_write([], [value]);
        self.note_write(written)
    }

    /// Writes changes; whether they are on disk. A disk that is full is one of a day: it is tried
    /// again.
    pub(super) fn save(
        &mut self,
        changes: &[Change],
        sources: &[(SourceKey, SourceKind, Option<u64>)],
    ) -> bool {
        let slots = changes.iter().map(|change| {
            let key = [change.source.as_slice(), change.id.as_bytes()].concat();
            (key, change.memory.as_ref().map(encode))
        });
        let values = sources.iter().map(|(key, kind, device)| {
            let kind =
                KINDS.iter().find(|(_, known)| known == kind).map_or(0, |(number, _)| *number);
            let stored = StoredSource { kind, device: *device };
            (value_name(key), stored.encode_to_vec())
        });
        let written = self.try_write(slots, values);
        self.note_write(written)
    }

    /// Closes the database if nobody needs it any more, until somebody does; whether it did. Blocks.
    pub(super) fn rest(&mut self) -> bool {
        let rests = self.rest_in() == Some(Duration::ZERO);
        if rests {
            self.let_go();
        }
        rests
    }

    /// How long until [`rest`](Self::rest) has something to do; `None` if it has nothing.
    pub(super) fn rest_in(&self) -> Option<Duration> {
        self.database.as_ref().map(|_| REST_AFTER.saturating_sub(self.used.elapsed()))
    }

    /// Closes the database until somebody needs it. Blocks.
    pub(super) fn let_go(&mut self) {
        if let Some(Err(fault)) = self.database.take().map(Database::close) {
            tracing::warn!(store = %self.path.display(), ?fault, "the inventory of shards could \
                not be closed; the latest readings may be read again");
        }
    }

    /// Whether what had been written was found damaged and set aside: everything is to be written
    /// again. Says so once.
    pub(super) const fn take_emptied(&mut self) -> bool {
        std::mem::replace(&mut self.emptied, false)
    }

    /// Whether the last write failed.
    pub(super) const fn is_failing(&self) -> bool {
        self.failing
    }

    fn note_write(&mut self, written: Result<(), StoreError>) -> bool {
        match written {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(store = %self.path.display(), "the inventory can be written \
                        again");
                }
                self.database = self.database.take().and_then(|it| self.upkeep.tend(it));
                true
            }
            Err(error) => {
                // A sled that failed once fails for ever; it is opened anew at the next try.
                self.database = None;
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the inventory of shards cannot be written; it is kept \
                        in memory, and tried again");
                }
                false
            }
        }
    }

    fn try_write(
        &mut self,
        slots: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
        values: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<(), StoreError> {
        let written = self.opened()?.write(slots, values);
        written.map_err(|fault| StoreError::of(&self.path, fault))
    }

    fn opened(&mut self) -> Result<&Database, StoreError> {
        self.used = Instant::now();
        Ok(match &mut self.database {
            Some(database) => database,
            none => {
                let opened = Database::open_or_set_aside(&self.path, "what the agent knows")?;
                self.emptied |= opened.1.is_some();
                none.insert(opened.0)
            }
        })
    }
}

fn value_name(source: &SourceKey) -> String {
    format!("source-{}", hex(source))
}

#[derive(Clone, PartialEq, Message)]
struct StoredSource {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint64, optional, tag = "2")]
    device: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredExpected {
    #[prost(bytes = "vec", optional, tag = "1")]
    value: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "2")]
    size_bytes: Option<u64>,
    /// Of the digest; SHA-256 where nothing is written.
    #[prost(uint32, optional, tag = "3")]
    algorithms: Option<u32>,
}

impl StoredExpected {
    fn of(digest: Option<&ExpectedDigest>, size_bytes: Option<u64>) -> Self {
        Self {
            value: digest.map(|it| it.value().to_vec()),
            algorithms: digest.map(|it| it.algorithm_bits().into()),
            size_bytes,
        }
    }

    /// `None` if it cannot be understood.
    fn understood(&self) -> Option<Option<ExpectedDigest>> {
        let Some(value) = &self.value else { return Some(None) };
        let value = value.as_slice().try_into().ok()?;
        let known = match self.algorithms {
            Some(bits) => ExpectedDigest::from_parts(bits.try_into().ok()?, value)?,
            None => ExpectedDigest::of_sha256(value),
        };
        Some(Some(known))
    }
}

#[derive(Clone, PartialEq, Message)]
struct StoredFile {
    #[prost(uint64, tag = "1")]
    size_bytes: u64,
    #[prost(sint64, tag = "2")]
    mtime_ns: i64,
    #[prost(sint64, tag = "3")]
    ctime_ns: i64,
    #[prost(uint64, tag = "4")]
    inode: u64,
    #[prost(bool, tag = "5")]
    readable: bool,
}

#[derive(Clone, PartialEq, Message)]
struct StoredReplaced {
    #[prost(uint64, tag = "1")]
    at_ms: u64,
    #[prost(bytes = "vec", tag = "2")]
    from: Vec<u8>,
    /// Of the digest; SHA-256 where nothing is written.
    #[prost(uint32, optional, tag = "3")]
    algorithms: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredMemory {
    #[prost(message, optional, tag = "1")]
    expected: Option<StoredExpected>,
    #[prost(bytes = "vec", optional, tag = "2")]
    blake3: Option<Vec<u8>>,
    #[prost(message, optional, tag = "3")]
    file: Option<StoredFile>,
    #[prost(uint64, optional, tag = "4")]
    verified_ms: Option<u64>,
    #[prost(uint32, optional, tag = "5")]
    verdict: Option<u32>,
    #[prost(uint64, tag = "6")]
    since_ms: u64,
    #[prost(message, optional, tag = "7")]
    replaced: Option<StoredReplaced>,
}

fn encode(memory: &Memory) -> Vec<u8> {
    let stored = StoredMemory {
        expected: memory.expected.map(|it| StoredExpected::of(it.digest.as_ref(), it.size_bytes)),
        blake3: memory.blake3.map(|digest| digest.to_vec()),
        file: memory.file.map(|it| StoredFile {
            size_bytes: it.size_bytes,
            mtime_ns: it.mtime_ns,
            ctime_ns: it.ctime_ns,
            inode: it.inode,
            readable: it.readable,
        }),
        verified_ms: memory.verified_ms,
        // There are a dozen.
        verdict: memory.verdict.map(|verdict| verdict as u32),
        since_ms: memory.since_ms,
        replaced: memory.replaced.as_deref().map(|it| StoredReplaced {
            at_ms: it.at_ms,
            from: it.from.value().to_vec(),
            algorithms: Some(it.from.algorithm_bits().into()),
        }),
    };
    entry::seal(&stored.encode_to_vec())
}

/// `None` if a bit is not as written, or a later version wrote something that this one does not
/// know.
fn decode(value: &[u8]) -> Option<Memory> {
    let stored = StoredMemory::decode(entry::unseal(value)?).ok()?;
    let digest = |bytes: Option<Vec<u8>>| bytes.map(<[u8; 32]>::try_from).transpose().ok();
    let verdict = match stored.verdict {
        Some(number) => Some(Verdict::ALL.into_iter().find(|verdict| *verdict as u32 == number)?),
        None => None,
    };
    let expected = match stored.expected {
        Some(it) => Some(Expected { digest: it.understood()?, size_bytes: it.size_bytes }),
        None => None,
    };
    let replaced = match stored.replaced {
        Some(it) => {
            let digest = StoredExpected {
                value: Some(it.from),
                algorithms: it.algorithms,
                size_bytes: None,
            };
            Some(Box::new(Replaced { at_ms: it.at_ms, from: digest.understood()?? }))
        }
        None => None,
    };
    Some(Memory {
        expected,
        blake3: digest(stored.blake3)?,
        file: stored.file.map(|it| FileFacts {
            size_bytes: it.size_bytes,
            mtime_ns: it.mtime_ns,
            ctime_ns: it.ctime_ns,
            inode: it.inode,
            readable: it.readable,
        }),
        verified_ms: stored.verified_ms,
        verdict,
        since_ms: stored.since_ms,
        replaced,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Memory {
        Memory {
            expected: Some(Expected {
                digest: ExpectedDigest::from_parts(6, [7; 32]),
                size_bytes: Some(3),
            }),
            blake3: Some([8; 32]),
            file: Some(FileFacts {
                size_bytes: 3,
                mtime_ns: -1,
                ctime_ns: 2,
                inode: 4,
                readable: true,
            }),
            verified_ms: Some(5),
            verdict: Some(Verdict::Replaced),
            since_ms: 6,
            replaced: Some(Box::new(Replaced {
                at_ms: 6,
                from: ExpectedDigest::of_sha256([9; 32]),
            })),
        }
    }

    fn load(inventory: &mut Inventory, source: &SourceKey) -> Vec<(String, Memory)> {
        let mut all = Vec::new();
        inventory.load(source, &mut |id, memory| all.push((id.to_owned(), memory)));
        all
    }

    #[test]
    fn what_is_remembered_survives_a_restart_and_sources_are_kept_apart() {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (source_key(Path::new("/here")), source_key(Path::new("/there")));
        let change = |source, id: &str, memory| Change { source, id: id.into(), memory };
        let mut inventory = Inventory::open(dir.path()).unwrap();
        let changes = [
            change(here, "a", Some(memory())),
            change(there, "a", Some(Memory::default())),
            change(here, "b", Some(Memory::default())),
        ];
        assert!(inventory.save(&changes, &[(here, SourceKind::BackupNode, Some(17))]));
        assert!(inventory.save(&[change(here, "b", None)], &[]));
        inventory.let_go();
        let mut inventory = Inventory::open(dir.path()).unwrap();
        assert_eq!(load(&mut inventory, &here), [("a".to_owned(), memory())]);
        let remembered = inventory.load(&here, &mut |_, _| {});
        let expected = Remembered { kind: SourceKind::BackupNode, device: Some(17), shards: 1 };
        assert_eq!(remembered, expected);
        assert_eq!(load(&mut inventory, &there), [("a".to_owned(), Memory::default())]);
    }

    #[test]
    fn an_entry_with_a_wrong_bit_is_left_out() {
        let mut value = encode(&memory());
        assert_eq!(decode(&value), Some(memory()));
        *value.last_mut().unwrap() ^= 1;
        assert_eq!(decode(&value), None);
        assert_eq!(decode(&[]), None);
    }

    #[test]
    fn an_inventory_that_breaks_while_it_is_closed_is_to_be_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut inventory = Inventory::open(dir.path()).unwrap();
        let here = source_key(Path::new("/here"));
        let change = |id: &str| Change { source: here, id: id.into(), memory: Some(memory()) };
        assert!(inventory.save(&[change("a")], &[]));
        inventory.let_go();
        assert!(!inventory.take_emptied());
        for file in ["db", "conf"] {
            std::fs::write(dir.path().join(DIRECTORY).join(file), [0xA5; 70_000]).unwrap();
        }
        assert!(inventory.save(&[change("b")], &[]));
        assert!(inventory.take_emptied() && !inventory.take_emptied());
        assert_eq!(load(&mut inventory, &here), [("b".to_owned(), memory())]);
    }

    #[test]
    fn an_inventory_of_garbage_is_set_aside_and_a_new_one_works() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(DIRECTORY)).unwrap();
        for file in ["db", "conf"] {
            std::fs::write(dir.path().join(DIRECTORY).join(file), [0xA5; 70_000]).unwrap();
        }
        let mut inventory = Inventory::open(dir.path()).unwrap();
        assert!(inventory.save(&[], &[]));
        let names = std::fs::read_dir(dir.path()).unwrap();
        let aside = names
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
            .any(|name| name.starts_with("inventory.unreadable-"));
        assert!(aside);
    }
}
