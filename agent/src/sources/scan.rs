//! What lies in the directories of a source, before anybody asks what it means: most looks find
//! nothing new, and then nobody has to.

use std::hash::{BuildHasher, RandomState};
use std::io;

use super::root::{Entry, Listed, Root, Wanted};
use super::{MAX_SHARDS, SourceFault};

/// Names and directories that are looked up in one source: as many shards as it may have, and as much
/// else.
const MAX_ENTRIES: usize = 2 * MAX_SHARDS;

/// What is in the directories of a source.
#[derive(Debug)]
pub(super) struct Scan {
    /// With the files in them, unless only the signature is wanted.
    pub(super) directories: Vec<Directory>,
    /// Paths of directories that could not be looked at, or not wholly.
    pub(super) closed: Vec<String>,
    /// Names that are no text, and directories that are left alone.
    pub(super) refused: usize,
    /// More lies there than is looked up.
    pub(super) is_cut: bool,
    room: usize,
    lists_files: bool,
    hasher: RandomState,
    /// Of all entries, in any order.
    sum: u64,
}

/// What is in one directory.
#[derive(Debug)]
pub(super) struct Directory {
    /// Below the one in which shards lie, empty for that itself.
    pub(super) path: String,
    pub(super) found: Listed,
}

impl Scan {
    /// One that lists files, or takes their signature alone: that needs no memory.
    pub(super) fn new(lists_files: bool, hasher: &RandomState) -> Self {
        Self::with_room(MAX_ENTRIES, lists_files, hasher)
    }

    /// One that looks up so many names and directories at the most.
    fn with_room(room: usize, lists_files: bool, hasher: &RandomState) -> Self {
        Self {
            directories: Vec::new(),
            closed: Vec::new(),
            refused: 0,
            is_cut: false,
            room,
            lists_files,
            hasher: hasher.clone(),
            sum: 0,
        }
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
        let of_path = self.hasher.hash_one(&path);
        let number_of = |name: &str, entry: &io::Result<Option<Entry>>| {
            self.hasher.hash_one((of_path, name, entry.as_ref().map_err(io::Error::kind)))
        };
        let wanted = Wanted { files: self.lists_files, number_of: &number_of };
        let entries = directory.entries(picked, self.room, wanted)?;
        self.sum = self.sum.wrapping_add(of_path).wrapping_add(entries.sum);
        self.room = self.room.saturating_sub(entries.count + 1);
        self.refused += entries.unnamed + entries.left;
        self.is_cut |= entries.left > 0;
        self.directories.push(Directory { path, found: entries.found });
        directory.searched(entries.denied)
    }

    /// A number that is another one if anything in it is, whatever the order in which directories are
    /// listed.
    pub(super) fn signature(&self) -> u64 {
        let closed = self.closed.iter().map(|path| self.hasher.hash_one((0, path)));
        self.hasher.hash_one((self.sum, closed.fold(0, u64::wrapping_add), self.refused))
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
            let mut scan = Scan::with_room(room, true, &RandomState::new());
            scan.add(&root, &|_| true).unwrap();
            for name in ["a", "b", "c"] {
                scan.add_below(name.to_owned(), root.child(name), &|_| true);
            }
            let found = scan.directories.iter().map(|it| it.found.iter().count()).sum::<usize>();
            (found, scan.refused, scan.is_cut)
        };
        // A directory takes room for itself and for each of its names.
        assert_eq!(looked_up(10), (6, 0, false));
        assert_eq!(looked_up(6), (4, 2, true));
        assert_eq!(looked_up(2), (2, 4, true));
    }
}
