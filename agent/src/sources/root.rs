//! A root directory, and the only way to open anything below it.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

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
/// Names that are looked up at one go: worth handing to another thread, since each takes a microsecond,
/// and few enough that a directory of a few hundred is shared by several.
const NAMES_AT_ONCE: usize = 64;
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
    pub(super) found: Listed,
    /// How many names were looked up.
    pub(super) count: usize,
    /// The sum of a number for each of them.
    pub(super) sum: u64,
    /// Names that are no text.
    pub(super) unnamed: usize,
    /// Names that are picked, past those that could be looked at.
    pub(super) left: usize,
    /// What is under some names may not be seen.
    pub(super) denied: bool,
}

/// What is wanted of the entries of a directory.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'w> {
    /// Files are listed too, and not only all else.
    pub(super) files: bool,
    /// What is added up.
    pub(super) number_of: &'w (dyn Fn(&str, &io::Result<Option<Entry>>) -> u64 + Sync),
}

/// What is under the names of a directory, in no order.
#[derive(Debug, Default)]
pub(super) struct Listed(Vec<Batch>);

/// What was looked up at one go. Names lie one after the other in one text: a string for each takes
/// longer to make than to look it up.
#[derive(Debug, Default)]
struct Batch {
    names: String,
    /// Where in the text each name ends.
    ends: Vec<usize>,
    /// In the same order; `None` if nothing is there any more.
    entries: Vec<io::Result<Option<Entry>>>,
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
    /// a source, so other threads do it while names are still read.
    pub(super) fn entries(
        &self,
        picked: &dyn Fn(&str) -> bool,
        most: usize,
        wanted: Wanted<'_>,
    ) -> Result<Entries, SourceFault> {
        let (mut unnamed, mut left) = (0, 0);
        let done = Mutex::new(Entries::default());
        let add = |batch: &Batch| {
            let looked_up = batch.look_up(self, wanted);
            done.lock().unwrap_or_else(PoisonError::into_inner).add(looked_up);
        };
        let add = &add;
        rayon::in_place_scope(|scope| {
            let (mut batch, mut room) = (Batch::default(), most);
            self.names(&mut |name| match name {
                Some(name) if !picked(name) => {}
                Some(name) if room > 0 => {
                    room -= 1;
                    batch.add(name);
                    if batch.ends.len() == NAMES_AT_ONCE {
                        let full = mem::take(&mut batch);
                        scope.spawn(move |_| add(&full));
                    }
                }
                Some(_) => left += 1,
                None => unnamed += 1,
            })?;
            add(&batch);
            Ok(())
        })?;
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Entries { unnamed, left, ..done })
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

impl Entries {
    fn add(&mut self, other: Self) {
        self.found.0.extend(other.found.0);
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.denied |= other.denied;
    }
}

impl Listed {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &io::Result<Option<Entry>>)> {
        self.0.iter().flat_map(|batch| batch.names().zip(&batch.entries))
    }
}

impl Batch {
    fn add(&mut self, name: &str) {
        self.names.push_str(name);
        self.ends.push(self.names.len());
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let begins = [0].iter().chain(&self.ends);
        begins.zip(&self.ends).filter_map(|(from, to)| self.names.get(*from..*to))
    }

    fn look_up(&self, directory: &Root, wanted: Wanted<'_>) -> Entries {
        let mut entries = Entries { count: self.ends.len(), ..Entries::default() };
        let mut kept = Self::default();
        for name in self.names() {
            let entry = directory.entry(name);
            entries.sum = entries.sum.wrapping_add((wanted.number_of)(name, &entry));
            entries.denied |=
                entry.as_ref().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
            if wanted.files || !matches!(entry, Ok(Some(Entry::File(_)))) {
                kept.add(name);
                kept.entries.push(entry);
            }
        }
        entries.found.0.push(kept);
        entries
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
