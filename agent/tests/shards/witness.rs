//! What was done to a directory: how it was before, and which of its files were opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

/// One entry of a directory. Its time of change tells of changes that were taken back too.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    sha256: Option<Vec<u8>>,
    size: u64,
    mode: u32,
    owner: (u32, u32),
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// All entries below a directory, and itself.
pub(crate) fn entries(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut all = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let it = fs::symlink_metadata(&path).unwrap();
        if it.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let sha256 = it.is_file().then(|| Sha256::digest(fs::read(&path).unwrap()).to_vec());
        let entry = Entry {
            sha256,
            size: it.size(),
            mode: it.mode(),
            owner: (it.uid(), it.gid()),
            inode: it.ino(),
            modified: (it.mtime(), it.mtime_nsec()),
            changed: (it.ctime(), it.ctime_nsec()),
        };
        all.insert(path, entry);
    }
    all
}

/// Sees every file that somebody opens in a directory, however short.
pub(crate) struct Watch(OwnedFd);

impl Watch {
    /// Watches from now on.
    pub(crate) fn on(root: &Path) -> Self {
        let queue = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        add_watch(&queue, root, WatchFlags::OPEN).unwrap();
        Self(queue)
    }

    /// Names of the files and directories that were opened since it was asked last.
    pub(crate) fn opened(&self) -> BTreeSet<String> {
        let mut buffer = [MaybeUninit::uninit(); 4_096];
        let mut reader = Reader::new(&self.0, &mut buffer);
        let mut names = BTreeSet::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    assert!(!event.events().contains(ReadFlags::QUEUE_OVERFLOW));
                    let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
                    names.extend(name);
                }
                Err(Errno::WOULDBLOCK) => return names,
                Err(error) => unreachable!("cannot read what was opened: {error}"),
            }
        }
    }
}
