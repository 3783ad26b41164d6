//! One agent a data directory: two would speak with one identity.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use thiserror::Error;

/// The lock's file in the data directory.
pub const FILE: &str = "agent.lock";

/// Why a data directory cannot be had alone.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another agent runs with {}: ask it with `plexmesh --data-dir {} status`, or choose \
            another --data-dir", .0.display(), .0.display())]
    Held(PathBuf),
    /// The system refuses.
    #[error("cannot write in the data directory: {}: {source}", .path.display())]
    Io {
        /// The lock's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Held as long as it is kept; the system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock of a data directory.
    ///
    /// # Errors
    /// [`LockError`] if another process has it, or the file cannot be made.
    pub fn take(data_dir: &Path) -> Result<Self, LockError> {
        let path = data_dir.join(FILE);
        let failed = |source| LockError::Io { path: path.clone(), source };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(LockError::Held(data_dir.to_owned())),
            Err(error) => Err(failed(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_agent_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirectoryLock::take(dir.path()).unwrap();
        let refused = DirectoryLock::take(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("another agent"), "{refused}");
        drop(first);
        assert!(DirectoryLock::take(dir.path()).is_ok());
    }
}
