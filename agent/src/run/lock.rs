//! One agent a data directory: two would speak with one identity.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use thiserror::Error;

use crate::api::problem::{Code, Problem};
use crate::mesh::files::FileError;
use crate::text::quoted;

/// The lock's file in the data directory.
pub const FILE: &str = "agent.lock";

/// Why a data directory cannot be had alone.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another agent runs with {}", .0.display())]
    Held(PathBuf),
    /// The lock's file cannot be had.
    #[error(transparent)]
    File(#[from] FileError),
}

impl LockError {
    /// What to say where the directory has to be had alone and an agent has it: why, and what to type.
    #[must_use]
    pub fn while_agent_runs(self, because: &str, next: impl Into<String>) -> Problem {
        match self {
            Self::Held(dir) => {
                let message = format!("an agent runs with {}", dir.display());
                Problem::new(Code::InUse, message).because(because).then(next)
            }
            Self::File(error) => error.into(),
        }
    }
}

impl From<LockError> for Problem {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held(ref dir) => Self::new(Code::InUse, error.to_string())
                .because("a service or another terminal started it; one identity is for one agent")
                .then(format!("plexmesh --data-dir {} status", quoted(dir))),
            LockError::File(error) => error.into(),
        }
    }
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
        let failed = |source| FileError::Write { path: path.clone(), source };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // In the place of the lock a pipe would have this wait.
            .custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default())
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(LockError::Held(data_dir.to_owned())),
            Err(error) => Err(failed(error.into()).into()),
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
