//! Directories of databases that take each other's place.
//!
//! ```text
//! NAME              the database
//! NAME.new          a copy that is being made
//! NAME.old          the one whose place a whole copy is taking
//! NAME.unreadable-T one that was set aside, T in Unix seconds
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::clock;

/// Names tried for a database that is set aside: past so many in a row, something else is wrong.
const MAX_SET_ASIDE_NAMES: usize = 100;

/// Where a copy is made.
pub(super) fn new_path(path: &Path) -> PathBuf {
    beside(path, "new")
}

fn old_path(path: &Path) -> PathBuf {
    beside(path, "old")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.{suffix}"))
}

/// Puts the copy, which is whole, in the place of the database. That one becomes `aside`, or is
/// deleted.
pub(super) fn swap(path: &Path, aside: Option<&Path>) -> io::Result<()> {
    let old = old_path(path);
    fs::rename(path, aside.unwrap_or(&old))?;
    fs::rename(new_path(path), path)?;
    sync_parent(path)?;
    if aside.is_none() { fs::remove_dir_all(old) } else { Ok(()) }
}

/// Ends what a crash may have cut short. Nobody else may use the database.
pub(super) fn finish(path: &Path) -> io::Result<()> {
    let (new, old) = (new_path(path), old_path(path));
    if !path.exists() {
        // A database makes way for a whole copy alone.
        if !new.exists() {
            return Ok(());
        }
        fs::rename(&new, path)?;
        sync_parent(path)?;
    }
    for rest in [new, old] {
        if rest.exists() {
            fs::remove_dir_all(rest)?;
        }
    }
    Ok(())
}

/// Renames a database so that nothing of it is lost.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = aside_path(path)?;
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// A name for what is set aside.
pub(super) fn aside_path(path: &Path) -> io::Result<PathBuf> {
    (clock::now().wall_s()..)
        .take(MAX_SET_ASIDE_NAMES)
        .map(|seconds| beside(path, &format!("unreadable-{seconds}")))
        .find(|aside| !aside.exists())
        .ok_or_else(|| io::Error::other("too many unreadable stores lie there already"))
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories with a file that has their first name.
    fn with(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("is"), name).unwrap();
        }
        dir
    }

    fn left(dir: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        let mut left: Vec<_> = entries
            .map(|entry| {
                let is = fs::read_to_string(entry.path().join("is")).unwrap();
                (entry.file_name().into_string().unwrap(), is)
            })
            .collect();
        left.sort();
        left
    }

    #[test]
    fn wherever_a_crash_cuts_a_swap_short_a_whole_database_is_in_its_place() {
        for (found, stays) in [
            // While the copy was made.
            (&["store", "store.new"][..], "store"),
            // Between the two renames.
            (&["store.new", "store.old"], "store.new"),
            (&["store.new"], "store.new"),
            // Before the old one was deleted.
            (&["store", "store.old"], "store"),
        ] {
            let dir = with(found);
            finish(&dir.path().join("store")).unwrap();
            assert_eq!(left(dir.path()), [("store".to_owned(), stays.to_owned())], "{found:?}");
        }
    }

    #[test]
    fn what_was_set_aside_stays() {
        let dir = with(&["store", "store.new", "store.unreadable-1"]);
        let path = dir.path().join("store");
        swap(&path, Some(&dir.path().join("store.unreadable-2"))).unwrap();
        finish(&path).unwrap();
        let pairs = [
            ("store", "store.new"),
            ("store.unreadable-1", "store.unreadable-1"),
            ("store.unreadable-2", "store"),
        ];
        assert_eq!(left(dir.path()), pairs.map(|(name, is)| (name.to_owned(), is.to_owned())));
    }
}
