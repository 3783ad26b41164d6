//! Where the agents of a demo keep their files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::mesh::files::make_private_dir;

/// Longest path of the directory, in bytes: with `/peer-50/agent.sock` it stays within what a
/// socket's address holds on any system (103 bytes).
const MAX_PATH_BYTES: usize = 80;
/// Where the directory goes if the usual place has too long a path.
const SHORT_TEMP_DIR: &str = "/tmp";

/// A directory that goes away at the end, unless somebody wants to look at it.
#[derive(Debug)]
pub(super) struct Workspace {
    path: PathBuf,
    temporary: Option<TempDir>,
    kept_after_failure: bool,
}

impl Workspace {
    /// Makes a temporary directory, or takes the one that was named, which has to be empty and
    /// stays.
    pub(super) fn new(named: Option<&Path>) -> anyhow::Result<Self> {
        let Some(dir) = named else { return Self::temporary() };
        make_private_dir(dir)?;
        let dir = fs::canonicalize(dir).with_context(|| format!("--dir {}", dir.display()))?;
        let mut entries = fs::read_dir(&dir).with_context(|| format!("--dir {}", dir.display()))?;
        if entries.next().is_some() {
            bail!("{} is not empty; choose another --dir", dir.display());
        }
        if dir.as_os_str().len() > MAX_PATH_BYTES {
            bail!(
                "{} is too long for the sockets in it ({MAX_PATH_BYTES} bytes at most); choose \
                another --dir",
                dir.display()
            );
        }
        Ok(Self { path: dir, temporary: None, kept_after_failure: false })
    }

    fn temporary() -> anyhow::Result<Self> {
        let usual = std::env::temp_dir();
        // The name that is added takes a few bytes.
        let place = if usual.as_os_str().len() + 24 > MAX_PATH_BYTES {
            Path::new(SHORT_TEMP_DIR)
        } else {
            &usual
        };
        let dir = tempfile::Builder::new()
            .prefix("plexmesh-demo-")
            .tempdir_in(place)
            .with_context(|| format!("cannot make a directory in {}", place.display()))?;
        Ok(Self { path: dir.path().to_owned(), temporary: Some(dir), kept_after_failure: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the directory where it is: something went wrong, and the logs tell what.
    pub(super) fn keep(&mut self) {
        if let Some(dir) = self.temporary.take() {
            // Keeping it is all that this does; the path is known.
            let _ = dir.keep();
        }
        self.kept_after_failure = true;
    }

    /// What became of a demo that failed.
    pub(super) fn verdict(&self) -> String {
        if self.kept_after_failure {
            format!("the demo failed; logs and data are in {}", self.path.display())
        } else {
            "the demo did not finish".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_directory_goes_away_and_a_kept_one_stays() {
        let gone = Workspace::new(None).unwrap();
        let path = gone.path().to_owned();
        drop(gone);
        assert!(!path.exists());
        let mut kept = Workspace::new(None).unwrap();
        kept.keep();
        let path = kept.path().to_owned();
        assert!(kept.verdict().contains(&path.display().to_string()));
        drop(kept);
        assert!(path.exists());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_named_directory_has_to_be_empty_and_short() {
        let root = tempfile::tempdir().unwrap();
        let named = root.path().join("demo");
        drop(Workspace::new(Some(&named)).unwrap());
        assert!(named.exists());
        fs::write(named.join("file"), "").unwrap();
        let error = Workspace::new(Some(&named)).unwrap_err().to_string();
        assert!(error.contains("not empty"), "{error}");
        let long = root.path().join("x".repeat(MAX_PATH_BYTES));
        assert!(Workspace::new(Some(&long)).unwrap_err().to_string().contains("too long"));
    }
}
