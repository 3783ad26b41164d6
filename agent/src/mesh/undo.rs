//! Files that belong together: all of them are there at the end, or none.

use std::fs;
use std::path::PathBuf;

/// Takes away what an attempt wrote, unless the attempt says that it came to its end.
#[derive(Debug, Default)]
pub(super) struct Undo {
    paths: Vec<PathBuf>,
}

impl Undo {
    /// Has a file or directory, which is not there or a leftover, removed if the attempt fails.
    pub(super) fn add(&mut self, path: PathBuf) {
        self.paths.push(path);
    }

    /// Everything was written.
    pub(super) fn keep(mut self) {
        self.paths.clear();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for path in self.paths.iter().rev() {
            // What was never written cannot be removed, and a disk that fails neither.
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}
