//! Writes behind: a thread that brings to disk what changed since it last looked.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use plexmesh_proto::record::SlotKey;
use plexmesh_proto::types::Version;
use plexmesh_proto::view::Slot;

use super::database::{Database, Fault};
use super::entry;
use super::upkeep::Upkeep;

/// Between two writes: changes within it become one.
const WRITE_INTERVAL: Duration = Duration::from_millis(500);
/// After a failure: a full disk is not emptied sooner.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// Most slots in one write: keeps a batch of full-sized records below 40 MiB.
const MAX_BATCH: usize = 4_096;

/// Key of the own clock.
pub(super) const LAST_VERSION: &str = "last-version";

/// What is not on disk yet. One entry a slot, so it never outgrows the view by more than the slots
/// that left it meanwhile.
#[derive(Debug, Default)]
struct Pending {
    slots: BTreeMap<SlotKey, Option<Slot>>,
    last_version: Option<Version>,
    stopping: bool,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.last_version.is_none()
    }

    /// Takes a batch. The rest stays.
    fn take(&mut self) -> Self {
        let slots = match self.slots.keys().nth(MAX_BATCH).cloned() {
            Some(next) => {
                let rest = self.slots.split_off(&next);
                std::mem::replace(&mut self.slots, rest)
            }
            None => std::mem::take(&mut self.slots),
        };
        Self { slots, last_version: self.last_version.take(), stopping: self.stopping }
    }

    /// Puts back what could not be written, unless it changed again.
    fn give_back(&mut self, unwritten: Self) {
        for (key, slot) in unwritten.slots {
            self.slots.entry(key).or_insert(slot);
        }
        self.last_version = self.last_version.max(unwritten.last_version);
    }
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    stop: Condvar,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Nothing panics while it is held, and the map is valid at every step.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The near end of the thread. Never waits for the disk, but in [`close`](Self::close).
#[derive(Clone, Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Writer {
    pub(super) fn start(database: Database) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let worker = Worker {
            path: database.path().to_owned(),
            database: Some(database),
            shared: Arc::clone(&shared),
            upkeep: Upkeep::default(),
            failing: false,
        };
        let thread = thread::Builder::new().name("store".into()).spawn(move || worker.run())?;
        Ok(Self { shared, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    pub(super) fn note(&self, key: SlotKey, slot: Option<Slot>) {
        self.shared.pending().slots.insert(key, slot);
    }

    pub(super) fn set_last_version(&self, version: Version) {
        self.shared.pending().last_version = Some(version);
    }

    /// Has the thread write the rest and end, without waiting for it.
    pub(super) fn stop(&self) {
        self.shared.pending().stopping = true;
        self.shared.stop.notify_all();
    }

    pub(super) fn close(self) {
        self.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the store's thread failed; the latest records may not be on disk");
        }
    }
}

struct Worker {
    path: PathBuf,
    database: Option<Database>,
    shared: Arc<Shared>,
    upkeep: Upkeep,
    failing: bool,
}

impl Worker {
    fn run(mut self) {
        loop {
            let stopping = self.wait();
            while self.write_batch() {}
            if stopping {
                break;
            }
        }
        let unwritten = !self.shared.pending().is_empty();
        let fault = self.database.and_then(|database| database.close().err());
        if unwritten || fault.is_some() {
            tracing::warn!(store = %self.path.display(), ?fault, "the latest records could not be \
                written; the mesh brings them back");
        }
    }

    /// Sleeps until the next write; whether it is the last.
    fn wait(&self) -> bool {
        let interval = if self.failing { RETRY_INTERVAL } else { WRITE_INTERVAL };
        let pending = self.shared.pending();
        let waited =
            self.shared.stop.wait_timeout_while(pending, interval, |pending| !pending.stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }

    /// Writes a batch; whether there may be more.
    fn write_batch(&mut self) -> bool {
        let batch = self.shared.pending().take();
        if batch.is_empty() {
            return false;
        }
        match self.write(&batch) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(store = %self.path.display(), "the store can be written again");
                }
                self.database = self.database.take().and_then(|it| self.upkeep.tend(it));
                true
            }
            Err(fault) => {
                self.shared.pending().give_back(batch);
                // A sled that failed once fails for ever; it is opened anew at the next try.
                self.database = None;
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(store = %self.path.display(), ?fault, "the store cannot be \
                        written; the agent goes on without, and tries again");
                }
                false
            }
        }
    }

    fn write(&mut self, batch: &Pending) -> Result<(), Fault> {
        let database = match &mut self.database {
            Some(database) => database,
            none => none.insert(Database::open(&self.path)?),
        };
        let slots = batch
            .slots
            .iter()
            .map(|(key, slot)| (entry::key(key), slot.as_ref().map(entry::encode)));
        let clock = batch
            .last_version
            .map(|version| (LAST_VERSION.to_owned(), version.0.to_be_bytes().to_vec()));
        database.write(slots, clock)
    }
}
