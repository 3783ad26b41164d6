//! What lies in the directories of a source, before anybody asks what it means: most looks find
//! nothing new, and then nobody has to.

use std::hash::{BuildHasher, RandomState};
use std::io;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::root::{Entry, Root};
use super::{MAX_SHARDS, SourceFault};

/// Names and directories that are looked up in one source: as many shards as it may have, and as much
/// else.
const MAX_ENTRIES: usize = 2 * MAX_SHARDS;

/// What is in the directories of a source.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) directories: Vec<Directory>,
    /// Paths of directories that could not be looked at, or not wholly.
    pub(super) closed: Vec<String>,
    /// Names that are no text, and directories that are left alone.
    pub(super) refused: usize,
    /// More lies there than is looked up.
    pub(super) is_cut: bool,
    room: usize,
}

/// What is in one directory.
#[derive(Debug)]
pub(super) struct Directory {
    /// Below the one in which shards lie, empty for that itself.
    pub(super) path: String,
    /// By name, in no order; `None` if nothing is there any more.
    pub(super) found: Vec<(String, io::Result<Option<Entry>>)>,
}

impl Default for Scan {
    fn default() -> Self {
        Self::with_room(MAX_ENTRIES)
    }
}

impl Scan {
    /// One that looks up so many names and directories at the most.
    fn with_room(room: usize) -> Self {
        Self { directories: Vec::new(), closed: Vec::new(), refused: 0, is_cut: false, room }
    }

    /// Adds a directory without which the source cannot be looked at: those of its names that are
    /// picked.
    pub(super) fn add(
        &mut self,
        directory: &Root,
        picked: &dyn Fn(&str) -> bool,
    ) -> Result<(), SourceFault> {
        self.take(String::new(), directory, picked)
    }

    /// Adds one that may be closed; gives what is in it, if anything could be seen.
    pub(super) fn add_below(
        &mut self,
        path: String,
        directory: io::Result<Root>,
        picked: &dyn Fn(&str) -> bool,
    ) -> Option<&Directory> {
        if self.room == 0 {
            self.refused += 1;
            self.is_cut = true;
            return None;
        }
        let count = self.directories.len();
        let taken = directory.is_ok_and(|it| self.take(path.clone(), &it, picked).is_ok());
        if !taken {
            self.refused += 1;
            self.closed.push(path);
        }
        self.directories.get(count)
    }

    fn take(
        &mut self,
        path: String,
        directory: &Root,
        picked: &dyn Fn(&str) -> bool,
    ) -> Result<(), SourceFault> {
        let entries = directory.entries(picked, self.room)?;
        self.room = self.room.saturating_sub(entries.found.len() + 1);
        self.refused += entries.unnamed + entries.left;
        self.is_cut |= entries.left > 0;
        self.directories.push(Directory { path, found: entries.found });
        directory.searched(entries.denied)
    }

    /// A number that is another one if anything in it is, whatever the order in which directories are
    /// listed.
    pub(super) fn signature(&self, hasher: &RandomState) -> u64 {
        let of_directory = |directory: &Directory| {
            let of_path = hasher.hash_one(&directory.path);
            let of_entry = |(name, entry): &(String, io::Result<Option<Entry>>)| {
                let entry = entry.as_ref().map_err(io::Error::kind);
                hasher.hash_one((of_path, name, entry))
            };
            let entries = directory.found.par_iter().map(of_entry);
            of_path.wrapping_add(entries.reduce(|| 0, u64::wrapping_add))
        };
        let entries = self.directories.iter().map(of_directory).fold(0, u64::wrapping_add);
        let closed = self.closed.iter().map(|path| hasher.hash_one((0, path)));
        hasher.hash_one((entries, closed.fold(0, u64::wrapping_add), self.refused))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_counted_and_said_to_be_cut() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("file"), "").unwrap();
        }
        let root = Root::open(dir.path()).unwrap();
        let looked_up = |room: usize| {
            let mut scan = Scan::with_room(room);
            scan.add(&root, &|_| true).unwrap();
            for name in ["a", "b", "c"] {
                scan.add_below(name.to_owned(), root.child(name), &|_| true);
            }
            let found = scan.directories.iter().map(|it| it.found.len()).sum::<usize>();
            (found, scan.refused, scan.is_cut)
        };
        // A directory takes room for itself and for each of its names.
        assert_eq!(looked_up(10), (6, 0, false));
        assert_eq!(looked_up(6), (4, 2, true));
        assert_eq!(looked_up(2), (2, 4, true));
    }
}
