//! What the agent asks of a database, and two that give it: the agent's own, which is sled behind a
//! wall, and redb, so that the choice can be made again with figures.

use std::path::Path;

pub mod redb;
pub mod sled;

/// Changes of one write: a key, and its value or that it goes.
pub type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// A database in a directory of its own.
pub trait Store: Sized {
    /// What it is called.
    const NAME: &'static str;

    /// Opens it, or makes one.
    ///
    /// # Errors
    /// If the system refuses, somebody else has it open, or it is damaged; never a panic.
    fn open(directory: &Path) -> anyhow::Result<Self>;

    /// Writes all changes or none. When it returns, they outlive a power cut.
    ///
    /// # Errors
    /// If they cannot be written.
    fn write(&self, changes: Changes) -> anyhow::Result<()>;

    /// The value of a key.
    ///
    /// # Errors
    /// If it cannot be read.
    fn get(&self, key: &[u8]) -> anyhow::Result<Option<Vec<u8>>>;

    /// Visits all entries in the order of their keys.
    ///
    /// # Errors
    /// If some cannot be read.
    fn for_each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()>;

    /// Makes its file as small as can be.
    ///
    /// # Errors
    /// If that fails.
    fn compact(self) -> anyhow::Result<Self>;

    /// Closes it.
    ///
    /// # Errors
    /// If something could not be written.
    fn close(self) -> anyhow::Result<()>;

    /// Bytes of its file.
    ///
    /// # Errors
    /// What the system failed with.
    fn file_bytes(directory: &Path) -> anyhow::Result<u64>;
}

#[cfg(test)]
mod tests;
