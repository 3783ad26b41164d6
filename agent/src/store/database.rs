//! The database file: sled, behind a wall that no fault of it passes.
//!
//! sled is fast and unfinished: it may panic on a file that a crash or a bad disk has damaged, its
//! default cache is a gigabyte, its flush survives a killed process but not a power cut, and its
//! file only grows. Hence: every call that may panic is caught, the cache is small, each write syncs
//! the file itself, and [`compact`](Database::compact) begins a new file.

use std::fs::{File, metadata};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use sled::{Batch, Db, Tree};
use thiserror::Error;

use super::{StoreError, entry, swap};

/// Bytes of pages that sled keeps in memory. Everything is read once at start and then only
/// written: a cache is of little use.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// How often sled's own thread collects what is no longer needed, in milliseconds, for half of that
/// time at most. No data waits for it: each write is synced when it is made. Closing does.
const COLLECT_EVERY_MS: u64 = 2_000;
/// How sled says that another process has the file; it has no error kind for it.
const LOCKED: &str = "could not acquire lock";
/// How often a locked file is tried again, and after what time.
const LOCK_TRIES: u32 = 10;
const LOCK_INTERVAL: Duration = Duration::from_millis(50);
/// sled's file inside of the directory.
const FILE: &str = "db";
/// Entries in one write of a copy: keeps a batch of full-sized records below 40 MiB.
const COPY_BATCH: usize = 4_096;
/// The tree of slots.
const SLOTS: &str = "slots";
/// The file beside sled's own that says that something was written.
const WRITTEN: &str = "written";
/// The tree of single values.
const VALUES: &str = "values";

/// An open database: entries under keys, and single values under names.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    /// sled's file, to be synced.
    file: File,
    db: Db,
    slots: Tree,
    values: Tree,
}

/// Why the database failed.
#[derive(Debug, Error)]
pub enum Fault {
    /// The system refuses: no permission, no space. The file may be in order.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The file is damaged, or sled is.
    #[error("{0}")]
    Damage(String),
}

/// What a database holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Entries and values that can be read.
    pub entries: u64,
    /// Those of which a bit is not as it was written.
    pub damaged: u64,
    /// All of them could be listed; else there are more than these.
    pub is_whole: bool,
    /// Bytes of keys and values.
    pub live_bytes: u64,
}

impl Database {
    /// Opens the database; one that does not open is renamed, and its new name is given beside a
    /// new database. `refill` says where that one's content comes from.
    ///
    /// # Errors
    /// If the system refuses, or another process has it open.
    pub(crate) fn open_or_set_aside(
        path: &Path,
        refill: &'static str,
    ) -> Result<(Self, Option<PathBuf>), StoreError> {
        let failed = |fault| StoreError::of(path, fault);
        let reason = match Self::open(path) {
            Ok(database) => return Ok((database, None)),
            Err(Fault::Damage(reason)) => reason,
            Err(fault) => return Err(failed(fault)),
        };
        let aside = swap::set_aside(path).map_err(|error| failed(error.into()))?;
        tracing::warn!(
            store = %path.display(), kept_as = %aside.display(), %reason,
            "the store is unreadable and was set aside; a new one is filled by {refill}. Delete the \
            old one when nobody wants to look at it"
        );
        Self::open(path).map(|database| (database, Some(aside))).map_err(failed)
    }

    /// Opens the database, or makes one. One that was closed a moment ago is waited for: sled lets go
    /// of its lock in a thread of its own.
    ///
    /// # Errors
    /// [`Fault`]; then nothing was changed.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        swap::finish(path)?;
        for _ in 0..LOCK_TRIES {
            match Self::try_open(path) {
                Err(Fault::System(error)) if error.to_string().contains(LOCKED) => {
                    sleep(LOCK_INTERVAL);
                }
                opened => return opened,
            }
        }
        Self::try_open(path)
    }

    fn try_open(path: &Path) -> Result<Self, Fault> {
        guarded(|| {
            let db = sled::Config::new()
                .path(path)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(Some(COLLECT_EVERY_MS))
                .open()?;
            let (slots, values) = (db.open_tree(SLOTS)?, db.open_tree(VALUES)?);
            let file = File::open(path.join(FILE))?;
            Ok(Self { path: path.to_owned(), file, db, slots, values })
        })
        .and_then(Self::refuse_emptied)
    }

    /// sled takes a file of which it can read nothing for a new one.
    fn refuse_emptied(self) -> Result<Self, Fault> {
        let is_empty = guarded(|| Ok(self.slots.is_empty() && self.values.is_empty()))?;
        if is_empty && self.path.join(WRITTEN).exists() {
            return Err(Fault::Damage("nothing of what was written can be read".to_owned()));
        }
        Ok(self)
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Visits all entries in the order of their keys; whether there was none that could not be read.
    pub fn for_each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> bool {
        each(&self.slots, visit)
    }

    /// The entry under a key.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        guarded(|| Ok(self.slots.get(key)?.map(|value| value.to_vec())))
    }

    /// A single value as it was written; `None` if it is not there or damaged.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Vec<u8>> {
        let value = guarded(|| self.values.get(name)).ok().flatten()?;
        entry::unseal(&value).map(<[u8]>::to_vec)
    }

    /// Writes changed entries, as they are, removes those that are `None`, and keeps single values.
    /// When it returns, all of it outlives a power cut; after a fault, all or none of the entries do.
    ///
    /// # Errors
    /// [`Fault`]. sled does nothing more then: open the database anew.
    pub fn write(
        &self,
        entries: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
        values: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<(), Fault> {
        let mut batch = Batch::default();
        for (key, value) in entries {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        guarded(|| {
            self.slots.apply_batch(batch)?;
            for (name, value) in values {
                self.values.insert(name, entry::seal(&value))?;
            }
            Ok(())
        })?;
        self.sync()
    }

    /// Brings what was written to the disk itself, and notes beside it that something was.
    fn sync(&self) -> Result<(), Fault> {
        guarded(|| self.db.flush().map(|_| ()))?;
        self.file.sync_data()?;
        let mark = self.path.join(WRITTEN);
        if !mark.exists() {
            File::create(mark)?;
            File::open(&self.path)?.sync_all()?;
        }
        Ok(())
    }

    /// Brings everything to the disk and closes.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn close(self) -> Result<(), Fault> {
        guarded(|| self.db.flush().map(|_| ()))?;
        self.file.sync_all().map_err(Fault::System)
    }

    /// Reads everything, and says what is there.
    #[must_use]
    pub fn content(&self) -> Content {
        let mut content = Content { is_whole: true, ..Content::default() };
        for tree in [&self.slots, &self.values] {
            let is_whole = each(tree, &mut |key, value| {
                let is_sound = entry::unseal(value).is_some();
                content.entries += u64::from(is_sound);
                content.damaged += u64::from(!is_sound);
                content.live_bytes += u64::try_from(key.len() + value.len()).unwrap_or(0);
            });
            content.is_whole &= is_whole;
        }
        content
    }

    /// Bytes of its file.
    ///
    /// # Errors
    /// What the system failed with.
    pub fn file_bytes(&self) -> io::Result<u64> {
        self.file.metadata().map(|file| file.len())
    }

    /// Copies what can be read into a new database that takes this one's place, and is as small as
    /// can be. The old one is deleted, or, if not all of it could be read, kept under the name that is
    /// given. At each moment, also after a crash, one of both is in its place or
    /// [`open`](Self::open) puts it there.
    ///
    /// # Errors
    /// [`Fault`]; the old one is as it was then, and closed.
    pub fn compact(self) -> Result<(Self, Option<PathBuf>), Fault> {
        let path = self.path.clone();
        swap::finish(&path)?;
        let copied = self.copy_to(&swap::new_path(&path));
        if copied.is_err() {
            // What is left of it would be deleted at the next opening, and takes room until then.
            let _ = swap::finish(&path);
        }
        let is_whole = copied?;
        drop(self);
        let aside = if is_whole { None } else { Some(swap::aside_path(&path)?) };
        swap::swap(&path, aside.as_deref())?;
        Self::open(&path).map(|database| (database, aside))
    }

    /// Makes a copy of what can be read; whether that is all.
    fn copy_to(&self, path: &Path) -> Result<bool, Fault> {
        let new = Self::try_open(path)?;
        let slots = copy(&self.slots, &new.slots)?;
        let is_whole = copy(&self.values, &new.values)? && slots;
        new.sync()?;
        new.close()?;
        Ok(is_whole)
    }
}

/// Bytes of a database's file; `None` if there is none.
#[must_use]
pub fn file_bytes(path: &Path) -> Option<u64> {
    metadata(path.join(FILE)).ok().map(|file| file.len())
}

/// Visits all of a tree; whether there was nothing that could not be read.
fn each(tree: &Tree, visit: &mut dyn FnMut(&[u8], &[u8])) -> bool {
    let walked = guarded(|| {
        for item in tree {
            let (key, value) = item?;
            visit(&key, &value);
        }
        Ok(())
    });
    walked.is_ok()
}

/// Copies what can be read; whether that is all. Fails if it cannot be written.
fn copy(from: &Tree, to: &Tree) -> Result<bool, Fault> {
    let (mut entries, mut is_whole) = (from.iter(), true);
    loop {
        let (mut batch, mut count) = (Batch::default(), 0);
        let read = guarded(|| {
            for item in entries.by_ref().take(COPY_BATCH) {
                let (key, value) = item?;
                count += 1;
                if entry::unseal(&value).is_some() {
                    batch.insert(key, value);
                } else {
                    is_whole = false;
                }
            }
            Ok(())
        });
        guarded(|| to.apply_batch(batch))?;
        if read.is_err() || count < COPY_BATCH {
            return Ok(is_whole && read.is_ok());
        }
    }
}

/// Calls sled; a panic in it is damage.
fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) if is_systems(&error) => Err(Fault::System(error)),
        Ok(Err(error)) => Err(Fault::Damage(error.to_string())),
        Err(panic) => Err(Fault::Damage(panic_text(&*panic))),
    }
}

/// Whether an error speaks of the host and not of the file's content.
fn is_systems(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::InvalidData | Kind::UnexpectedEof | Kind::InvalidInput => false,
        Kind::Other => error.to_string().starts_with(LOCKED),
        _ => true,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic").to_owned()
}
