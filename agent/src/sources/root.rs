//! A root directory, and the only way to open anything below it.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, open, openat, statat};
use rustix::io::Errno;

use super::{FileFacts, SourceFault};

/// How directories are opened.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// How files are opened: no link is followed, no pipe waited for, no terminal taken.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);
/// Any bit that lets somebody read.
const READ_BITS: u32 = 0o444;
/// Fewest names that are worth a thread: looking one up takes a microsecond.
const NAMES_A_THREAD: usize = 64;
const NANOS: i64 = 1_000_000_000;

/// A directory that is open.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    fd: OwnedFd,
    device: u64,
}

/// Entries of a directory.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// By name, in no order; `None` if nothing is there any more.
    pub(super) found: Vec<(String, io::Result<Option<Entry>>)>,
    /// Names that are no text.
    pub(super) unnamed: usize,
    /// Names that are picked, past those that could be looked at.
    pub(super) left: usize,
    /// What is under some names may not be seen.
    pub(super) denied: bool,
}

/// An entry of a directory.
#[derive(Debug, Hash)]
pub(super) enum Entry {
    /// A regular file.
    File(FileFacts),
    /// A directory.
    Directory,
    /// Anything else: links, pipes, sockets, devices.
    Other,
}

impl Root {
    /// Opens the root of a source. The root itself may be a link: the operator named it.
    pub(super) fn open(path: &Path) -> Result<Self, SourceFault> {
        let fd = open(path, DIRECTORY, Mode::empty()).map_err(|error| fault(path, error))?;
        let device = fstat(&fd).map_err(|error| fault(path, error))?.st_dev;
        Ok(Self { path: path.to_owned(), fd, device })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn device(&self) -> u64 {
        self.device
    }

    /// Opens a directory in this one; no link is followed.
    pub(super) fn child(&self, name: &str) -> io::Result<Self> {
        let fd = openat(&self.fd, name, DIRECTORY.union(OFlags::NOFOLLOW), Mode::empty())?;
        let device = fstat(&fd)?.st_dev;
        Ok(Self { path: self.path.join(name), fd, device })
    }

    /// Opens a directory in this one without which the source cannot be looked at.
    pub(super) fn child_or_fault(&self, name: &str) -> Result<Self, SourceFault> {
        self.child(name).map_err(|error| self.fault_below(name, &error))
    }

    /// Why something in this directory cannot be opened.
    pub(super) fn fault_below(&self, name: &str, error: &io::Error) -> SourceFault {
        fault(&self.path.join(name), Errno::from_io_error(error).unwrap_or(Errno::IO))
    }

    /// What is under the names that are picked, `most` of them. Looking each up takes most of a look at
    /// a source, so several threads do it.
    pub(super) fn entries(
        &self,
        picked: &dyn Fn(&str) -> bool,
        most: usize,
    ) -> Result<Entries, SourceFault> {
        let mut entries = Entries::default();
        let mut names: Vec<String> = Vec::new();
        self.names(&mut |name| match name {
            Some(name) if !picked(name) => {}
            Some(name) if names.len() < most => names.push(name.to_owned()),
            Some(_) => entries.left += 1,
            None => entries.unnamed += 1,
        })?;
        let names = names.into_par_iter().with_min_len(NAMES_A_THREAD);
        let found = names.map(|name| {
            let entry = self.entry(&name);
            (name, entry)
        });
        found.collect_into_vec(&mut entries.found);
        let is_denied = |entry: &io::Result<_>| {
            entry.as_ref().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        };
        entries.denied = entries.found.iter().any(|(_, entry)| is_denied(entry));
        Ok(entries)
    }

    /// Visits all names but `.` and `..`; those that are no text are given as `None`.
    pub(super) fn names(&self, visit: &mut dyn FnMut(Option<&str>)) -> Result<(), SourceFault> {
        let failed = |error| fault(&self.path, error);
        for entry in Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name: &CStr = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                visit(name.to_str().ok());
            }
        }
        Ok(())
    }

    /// A directory whose names may be read, and nothing behind them, is as good as closed.
    pub(super) fn searched(&self, denied: bool) -> Result<(), SourceFault> {
        if denied { Err(fault(&self.path, Errno::ACCESS)) } else { Ok(()) }
    }

    /// What is under a name; `None` if nothing is there any more.
    pub(super) fn entry(&self, name: &str) -> io::Result<Option<Entry>> {
        let stat = match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Entry::File(facts(&stat)),
            FileType::Directory => Entry::Directory,
            _ => Entry::Other,
        }))
    }

    /// Opens a regular file for reading, without touching its access time where the system allows
    /// that.
    pub(super) fn open_file(&self, name: &str) -> io::Result<(File, FileFacts)> {
        let quiet = FILE.union(OFlags::NOATIME);
        let fd = match openat(self.fd.as_fd(), name, quiet, Mode::empty()) {
            // Only the owner and root may ask for that.
            Err(Errno::PERM) => openat(self.fd.as_fd(), name, FILE, Mode::empty()),
            opened => opened,
        }?;
        let stat = fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
        }
        Ok((File::from(fd), facts(&stat)))
    }
}

/// Names that are never opened: keys, databases, and what is hidden.
pub(super) fn is_off_limits(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with('.') || lower.ends_with(".key") || lower.contains(".db")
}

pub(super) fn facts_of(file: &File) -> io::Result<FileFacts> {
    Ok(facts(&fstat(file)?))
}

fn facts(stat: &Stat) -> FileFacts {
    let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(NANOS).saturating_add(nanos);
    FileFacts {
        size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
        mtime_ns: nanos(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
        ctime_ns: nanos(stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(0)),
        inode: stat.st_ino,
        readable: stat.st_mode & READ_BITS != 0,
    }
}

fn fault(path: &Path, error: Errno) -> SourceFault {
    let reason = io::Error::from(error).to_string();
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::STALE | Errno::NODEV | Errno::NOTCONN => {
            SourceFault::Absent { root: path.to_owned(), reason }
        }
        _ => SourceFault::NotReadable { path: path.to_owned(), reason },
    }
}
