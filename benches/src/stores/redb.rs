//! redb, used as the agent would use it.

use std::fs;
use std::path::{Path, PathBuf};

use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Changes, Store};

/// Bytes of pages that it keeps in memory: as many as the agent's own.
const CACHE_BYTES: usize = 8 * 1024 * 1024;
const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");
const FILE: &str = "redb";

/// An open database of redb.
#[derive(Debug)]
pub struct Redb(Database);

fn file(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

impl Store for Redb {
    const NAME: &'static str = "redb 4";

    fn open(directory: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)?;
        let database = Builder::new().set_cache_size(CACHE_BYTES).create(file(directory))?;
        // A table that nobody wrote to is not there.
        let transaction = database.begin_write()?;
        transaction.open_table(ENTRIES)?;
        transaction.commit()?;
        Ok(Self(database))
    }

    fn write(&self, changes: Changes) -> anyhow::Result<()> {
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(ENTRIES)?;
            for (key, value) in changes {
                match value {
                    Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                    None => table.remove(key.as_slice())?,
                };
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, key: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        let table = self.0.begin_read()?.open_table(ENTRIES)?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    fn for_each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()> {
        let table = self.0.begin_read()?.open_table(ENTRIES)?;
        for entry in table.iter()? {
            let (key, value) = entry?;
            visit(key.value(), value.value());
        }
        Ok(())
    }

    fn compact(mut self) -> anyhow::Result<Self> {
        self.0.compact()?;
        Ok(self)
    }

    fn close(self) -> anyhow::Result<()> {
        drop(self);
        Ok(())
    }

    fn file_bytes(directory: &Path) -> anyhow::Result<u64> {
        Ok(fs::metadata(file(directory))?.len())
    }
}
