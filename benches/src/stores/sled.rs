//! The agent's own database.

use std::path::Path;

use anyhow::{Context, ensure};
use plexmesh_agent::store::{Database, file_bytes};

use super::{Changes, Store};

impl Store for Database {
    const NAME: &'static str = "sled 0.34";

    fn open(directory: &Path) -> anyhow::Result<Self> {
        Ok(Self::open(directory)?)
    }

    fn write(&self, changes: Changes) -> anyhow::Result<()> {
        Ok(self.write(changes, [])?)
    }

    fn get(&self, key: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(self.get(key)?)
    }

    fn for_each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()> {
        ensure!(self.for_each(visit), "not all entries can be read");
        Ok(())
    }

    fn compact(self) -> anyhow::Result<Self> {
        Ok(self.compact()?.0)
    }

    fn close(self) -> anyhow::Result<()> {
        Ok(self.close()?)
    }

    fn file_bytes(directory: &Path) -> anyhow::Result<u64> {
        file_bytes(directory).context("no file")
    }
}
