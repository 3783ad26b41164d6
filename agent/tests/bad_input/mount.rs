//! File systems that a test mounts, and takes away again however it ends.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::skip;

/// A mount; gone when this is dropped.
pub(crate) struct Mount {
    at: PathBuf,
}

impl Mount {
    /// A file system of this size in memory; `None`, said aloud, where nothing may be mounted.
    pub(crate) fn tmpfs(at: &Path, size: &str) -> Option<Self> {
        let mounted = mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "plexmesh-test"], at);
        if mounted.is_err() {
            skip("root alone may mount, and not in every container");
        }
        mounted.ok()
    }

    /// A directory in another place too.
    pub(crate) fn bind(directory: &Path, at: &Path) -> Self {
        mount(&["--bind", directory.to_str().unwrap()], at).unwrap()
    }

    /// Lets nobody, or everybody again, write.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        let mode = if read_only { "remount,ro" } else { "remount,rw" };
        assert!(Command::new("mount").args(["-o", mode]).arg(&self.at).status().unwrap().success());
    }
}

fn mount(words: &[&str], at: &Path) -> Result<Mount, ()> {
    let output = Command::new("mount").args(words).arg(at).output().map_err(drop)?;
    if output.status.success() { Ok(Mount { at: at.to_owned() }) } else { Err(()) }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process that is just ending may have files there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}
