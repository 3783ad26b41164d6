//! The view's records: all of them in memory, those that count as state also on disk.
//!
//! What lies on disk is a cache: it lets a restarted peer know its mesh before anybody answers.
//! Losing it costs an exchange with neighbours, nothing else. So records go to disk behind the
//! node's back, a short while after they changed, and heartbeats, which are old again at the next
//! start, do not go there at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plexmesh_proto::port::Crypto;
use plexmesh_proto::record::{MeshId, Record, SlotKey};
use plexmesh_proto::types::{PeerId, RecordId, Version};
use plexmesh_proto::view::{MemoryStore, RecordStore, Slot};
use thiserror::Error;

use crate::api::problem::{Code, Problem};
use crate::mesh::problem::unwritten;

pub mod care;
mod database;
pub(crate) mod entry;
mod swap;
pub(crate) mod upkeep;
mod writer;

pub use database::{Content, Database, Fault, file_bytes};
pub use entry::seal;
use writer::{LAST_VERSION, Writer};

/// Name of the database's directory inside of the data directory.
pub(crate) const DIRECTORY: &str = "store";

/// Why the store cannot be opened. A damaged one is set aside and is no error.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The system does not let us.
    #[error("cannot use the store {}: {source}", .path.display())]
    Io {
        /// The database's directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is damaged, and what is to be done needs a sound one.
    #[error("the store {} is damaged: {reason}", .path.display())]
    Damaged {
        /// The database's directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No thread could be started to write behind.
    #[error("cannot start the store's thread: {0}")]
    Thread(std::io::Error),
}

impl StoreError {
    pub(crate) fn of(path: &Path, fault: Fault) -> Self {
        let path = path.to_owned();
        match fault {
            Fault::System(source) => Self::Io { path, source },
            Fault::Damage(reason) => Self::Damaged { path, reason },
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match &error {
            StoreError::Io { path, source } => {
                let (cause, next) = unwritten(path, source);
                Self::new(Code::Failed, message).because(cause).then(next)
            }
            StoreError::Damaged { .. } => Self::new(Code::Failed, message)
                .because("the disk, or a crash that tore the file")
                .then("plexmesh store rebuild"),
            StoreError::Thread(_) => Self::new(Code::Failed, message)
                .because("this user or this host has too many processes")
                .then("ulimit -u"),
        }
    }
}

/// What was found on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Records taken over.
    pub records: usize,
    /// Entries that were damaged, of another mesh, or of another version of the format.
    pub skipped: usize,
    /// Where an unreadable store was moved.
    pub set_aside: Option<PathBuf>,
    /// The highest version of the earlier start; default if none is known.
    pub last_version: Version,
}

/// Where the store of a data directory lies.
#[must_use]
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(DIRECTORY)
}

/// Whether a data directory has a store.
#[must_use]
pub fn is_there(data_dir: &Path) -> bool {
    path(data_dir).exists()
}

/// The highest version that this peer gave out, as its store knows it; `None` if there is no store,
/// it does not open, or it does not say. Nobody else may use the store. Blocks.
#[must_use]
pub fn last_version(data_dir: &Path) -> Option<Version> {
    if !is_there(data_dir) {
        return None;
    }
    let database = Database::open(&path(data_dir)).ok()?;
    let version = version_in(&database);
    // Nothing was written, so nothing is lost if this fails.
    let _ = database.close();
    version
}

/// Has this peer speak above `version` at its next start. Makes a store if there is none; nobody else
/// may use it. Blocks.
///
/// # Errors
/// If the store cannot be opened or written.
pub fn raise_last_version(data_dir: &Path, version: Version) -> Result<(), StoreError> {
    let path = path(data_dir);
    let (database, _) = Database::open_or_set_aside(&path, "the mesh")?;
    let highest = version_in(&database).unwrap_or_default().max(version);
    let value = (LAST_VERSION.to_owned(), highest.0.to_be_bytes().to_vec());
    let written = database.write([], [value]).and_then(|()| database.close());
    written.map_err(|fault| StoreError::of(&path, fault))
}

fn version_in(database: &Database) -> Option<Version> {
    let bytes = database.value(LAST_VERSION)?.try_into().ok()?;
    Some(Version(u64::from_be_bytes(bytes)))
}

/// Record storage of a running agent.
#[derive(Debug)]
pub struct AgentStore {
    memory: MemoryStore,
    writer: Option<Writer>,
}

impl AgentStore {
    /// A store that forgets.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { memory: MemoryStore::default(), writer: None }
    }

    /// Opens the store in `data_dir` and reads what it holds. Records are checked as if a peer had
    /// sent them. Blocks.
    ///
    /// # Errors
    /// If the system refuses. A store that is there and does not open is renamed, and a new one is
    /// begun.
    pub fn open(
        data_dir: &Path,
        crypto: &mut impl Crypto,
        mesh: &MeshId,
    ) -> Result<(Self, Loaded), StoreError> {
        let path = path(data_dir);
        let (database, set_aside) = Database::open_or_set_aside(&path, "the mesh")?;
        let mut memory = MemoryStore::default();
        let mut loaded = Loaded { set_aside, ..Loaded::default() };
        let complete = database.for_each(&mut |key, value| match entry::decode(value)
            .filter(|slot| is_genuine(slot, crypto, mesh))
        {
            Some(slot) if *key == *entry::key(slot.top.slot()) => {
                loaded.records += 1 + usize::from(slot.rival.is_some());
                memory.put(&slot.top.slot().clone(), slot);
            }
            _ => loaded.skipped += 1,
        });
        if !complete {
            loaded.skipped += 1;
        }
        loaded.last_version = version_in(&database).unwrap_or_default();
        let writer = Writer::start(database).map_err(StoreError::Thread)?;
        Ok((Self { memory, writer: Some(writer) }, loaded))
    }

    /// Has the clock kept for the next start. Returns at once.
    pub fn set_last_version(&self, version: Version) {
        if let Some(writer) = &self.writer {
            writer.set_last_version(version);
        }
    }

    /// A handle to write everything out at the end; `None` for a store that forgets.
    #[must_use]
    pub fn closer(&self) -> Option<StoreCloser> {
        self.writer.as_ref().map(|writer| StoreCloser(writer.clone()))
    }

    fn note(&self, key: &SlotKey, slot: Option<&Slot>) {
        if let Some(writer) = &self.writer
            && key.kind.is_state()
        {
            writer.note(key.clone(), slot.cloned());
        }
    }
}

impl Drop for AgentStore {
    fn drop(&mut self) {
        if let Some(writer) = &self.writer {
            writer.stop();
        }
    }
}

/// Writes a store out and ends its thread.
#[derive(Debug)]
pub struct StoreCloser(Writer);

impl StoreCloser {
    /// Writes what is not on disk yet, and waits until it is there. Blocks. Later changes are not
    /// kept.
    pub fn close(self) {
        self.0.close();
    }
}

fn is_genuine(slot: &Slot, crypto: &mut impl Crypto, mesh: &MeshId) -> bool {
    let rival_fits = slot.rival.as_ref().is_none_or(|rival| {
        rival.slot() == slot.top.slot()
            && rival.version() == slot.top.version()
            && rival.order() < slot.top.order()
            && rival.verify(crypto, mesh)
    });
    rival_fits && slot.top.kind().is_state() && slot.top.verify(crypto, mesh)
}

impl RecordStore for AgentStore {
    fn slot(&self, key: &SlotKey) -> Option<Slot> {
        self.memory.slot(key)
    }

    fn put(&mut self, key: &SlotKey, slot: Slot) {
        self.note(key, Some(&slot));
        self.memory.put(key, slot);
    }

    fn remove(&mut self, key: &SlotKey) {
        self.note(key, None);
        self.memory.remove(key);
    }

    fn by_id(&self, id: RecordId) -> Option<Arc<Record>> {
        self.memory.by_id(id)
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Arc<Record>)) {
        self.memory.for_each(visit);
    }

    fn for_origin(&self, origin: &PeerId, visit: &mut dyn FnMut(&Arc<Record>)) {
        self.memory.for_origin(origin, visit);
    }

    fn len(&self) -> usize {
        self.memory.len()
    }
}

#[cfg(test)]
mod tests;
