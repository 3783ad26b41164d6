//! The database file: sled, behind a wall that no fault of it passes.
//!
//! sled is fast and unfinished: it may panic on a file that a crash or a bad disk has damaged, its
//! default cache is a gigabyte, and its flush survives a killed process but not a power cut. Hence:
//! every call that may panic is caught, the cache is small, and closing the store syncs the file
//! itself.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use sled::{Batch, Db, Tree};

use super::{StoreError, entry};
use crate::clock;

/// Bytes of pages that sled keeps in memory. Everything is read once at start and then only
/// written: a cache is of little use.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// How often sled syncs in its own thread, in milliseconds: what a power cut can cost.
const FLUSH_EVERY_MS: u64 = 500;
/// Names tried for a store that is set aside: past so many in a row, something else is wrong.
const MAX_SET_ASIDE_NAMES: usize = 100;
/// How sled says that another process has the file; it has no error kind for it.
const LOCKED: &str = "could not acquire lock";
/// How often a locked file is tried again, and after what time.
const LOCK_TRIES: u32 = 10;
const LOCK_INTERVAL: Duration = Duration::from_millis(50);
/// The tree of slots.
const SLOTS: &str = "slots";
/// The file beside sled's own that says that something was written.
const WRITTEN: &str = "written";
/// The tree of single values.
const VALUES: &str = "values";

/// An open database.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    db: Db,
    slots: Tree,
    values: Tree,
}

/// Why the database failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The system refuses: no permission, no space. The file may be in order.
    System(io::Error),
    /// The file is damaged, or sled is.
    Damage(String),
}

impl Database {
    /// Opens the database; one that does not open is renamed, and its new name is given beside a
    /// new database. `refill` says where that one's content comes from.
    pub(crate) fn open_or_set_aside(
        path: &Path,
        refill: &'static str,
    ) -> Result<(Self, Option<PathBuf>), StoreError> {
        let failed = |source| StoreError::Io { path: path.to_owned(), source };
        let reason = match Self::open(path) {
            Ok(database) => return Ok((database, None)),
            Err(Fault::System(error)) => return Err(failed(error)),
            Err(Fault::Damage(reason)) => reason,
        };
        let aside = set_aside(path).map_err(failed)?;
        tracing::warn!(
            store = %path.display(), kept_as = %aside.display(), %reason,
            "the store is unreadable and was set aside; a new one is filled by {refill}. Delete the \
            old one when nobody wants to look at it"
        );
        match Self::open(path) {
            Ok(database) => Ok((database, Some(aside))),
            Err(Fault::System(error)) => Err(failed(error)),
            Err(Fault::Damage(reason)) => Err(failed(io::Error::other(reason))),
        }
    }

    /// Opens the database. One that was closed a moment ago is waited for: sled lets go of its lock
    /// in a thread of its own.
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
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
                .flush_every_ms(Some(FLUSH_EVERY_MS))
                .open()?;
            let (slots, values) = (db.open_tree(SLOTS)?, db.open_tree(VALUES)?);
            Ok(Self { path: path.to_owned(), db, slots, values })
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

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Visits all slots; whether there was none that could not be read.
    pub(crate) fn for_each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> bool {
        let walked = guarded(|| {
            for item in &self.slots {
                let (key, value) = item?;
                visit(&key, &value);
            }
            Ok(())
        });
        walked.is_ok()
    }

    /// A single value as it was written; `None` if it is not there or damaged.
    pub(crate) fn value(&self, key: &str) -> Option<Vec<u8>> {
        let value = guarded(|| self.values.get(key)).ok().flatten()?;
        entry::unseal(&value).map(<[u8]>::to_vec)
    }

    /// Writes changed slots, as they are, empties those that are `None`, and keeps single values.
    pub(crate) fn write(
        &self,
        slots: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
        values: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<(), Fault> {
        let mut batch = Batch::default();
        for (key, value) in slots {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        guarded(|| {
            self.slots.apply_batch(batch)?;
            for (key, value) in values {
                self.values.insert(key, entry::seal(&value))?;
            }
            self.db.flush().map(|_| ())
        })?;
        let mark = self.path.join(WRITTEN);
        if mark.exists() { Ok(()) } else { File::create(mark).map(drop).map_err(Fault::System) }
    }

    /// Brings everything to the disk itself and closes.
    pub(crate) fn close(self) -> Result<(), Fault> {
        guarded(|| self.db.flush().map(|_| ()))?;
        File::open(self.path.join("db")).and_then(|file| file.sync_all()).map_err(Fault::System)
    }
}

/// Renames a directory so that nothing of it is lost.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = (clock::now().wall_s()..)
        .take(MAX_SET_ASIDE_NAMES)
        .map(|seconds| path.with_file_name(format!("{file}.unreadable-{seconds}")))
        .find(|aside| !aside.exists())
        .ok_or_else(|| io::Error::other("too many unreadable stores lie there already"))?;
    fs::rename(path, &aside)?;
    Ok(aside)
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
