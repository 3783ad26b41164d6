//! Keeps a database's file from growing without end: sled gives back no room.

use std::time::{Duration, Instant};

use super::database::Database;

/// A file so many times as large as what it holds is copied anew. A file that was written over three
/// times was measured at 3.5 times.
const MOST_TIMES: u64 = 5;
/// A smaller file is nobody's trouble: a new one takes several megabytes for itself.
const SMALLEST_BYTES: u64 = 32 * 1024 * 1024;
/// After a copy that failed: a full disk is not emptied sooner.
const RETRY: Duration = Duration::from_secs(60 * 60);

/// What is known of one database's size.
#[derive(Debug)]
pub(crate) struct Upkeep {
    smallest_bytes: u64,
    /// What it held when that was last counted. It is counted again when its file says so.
    live_bytes: u64,
    not_before: Option<Instant>,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self { smallest_bytes: SMALLEST_BYTES, live_bytes: 0, not_before: None }
    }
}

impl Upkeep {
    /// Copies a database anew if its file has grown far beyond what it holds; gives it back. `None`
    /// if it has to be opened anew.
    pub(crate) fn tend(&mut self, database: Database) -> Option<Database> {
        if !self.is_due(&database) {
            return Some(database);
        }
        let (path, before) = (database.path().to_owned(), database.file_bytes().unwrap_or(0));
        match database.compact() {
            Ok((database, set_aside)) => {
                let after = database.file_bytes().unwrap_or(0);
                tracing::info!(
                    store = %path.display(), before_bytes = before, after_bytes = after,
                    "the store was copied into a smaller file"
                );
                if let Some(aside) = set_aside {
                    tracing::warn!(
                        store = %path.display(), kept_as = %aside.display(),
                        "parts of the store could not be read; it was set aside"
                    );
                }
                Some(database)
            }
            Err(fault) => {
                self.not_before = Some(Instant::now() + RETRY);
                tracing::warn!(
                    store = %path.display(), %fault, file_bytes = before,
                    "the store could not be copied into a smaller file; it is tried again in an hour"
                );
                None
            }
        }
    }

    fn is_due(&mut self, database: &Database) -> bool {
        let bytes = database.file_bytes().unwrap_or(0);
        let rests = self.not_before.is_some_and(|at| Instant::now() < at);
        if rests || bytes <= self.most_bytes() {
            return false;
        }
        self.live_bytes = database.content().live_bytes;
        bytes > self.most_bytes()
    }

    /// How large the file may be.
    fn most_bytes(&self) -> u64 {
        self.live_bytes.saturating_mul(MOST_TIMES).max(self.smallest_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::seal;
    use super::*;

    /// Writes the same thousand entries.
    fn write(database: &Database, time: u32) {
        let entries = (0..1_000_u32).map(|number| {
            (
                number.to_be_bytes().to_vec(),
                Some(seal(&[number, time].map(u32::to_be_bytes).concat())),
            )
        });
        database.write(entries, []).unwrap();
    }

    #[test]
    fn a_file_that_is_written_over_and_over_stays_small_and_keeps_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let mut upkeep = Upkeep { smallest_bytes: 1 << 19, ..Upkeep::default() };
        let mut database = Database::open(&dir.path().join("store")).unwrap();
        let mut largest = 0;
        for time in 0..60 {
            write(&database, time);
            database = upkeep.tend(database).unwrap();
            largest = largest.max(database.file_bytes().unwrap());
        }
        assert!(largest <= 2 << 20, "{largest} bytes");
        let content = database.content();
        assert_eq!((content.entries, content.damaged, content.is_whole), (1_000, 0, true));
        let last = database.get(&7_u32.to_be_bytes()).unwrap();
        assert_eq!(last, Some(seal(&[7_u32, 59].map(u32::to_be_bytes).concat())));
        let names = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(names, 1, "something lies beside it");
    }
}
