//! Small files of the data directory: written whole or not at all, secrets for the owner alone.

use std::fs::{self, DirBuilder, File, FileType, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use thiserror::Error;

use crate::text::hex;

/// Largest file that is read whole, in bytes: many times what any of them takes.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// Mode of the data directory: it holds secrets.
const DIR_MODE: u32 = 0o700;
/// Mode of files with secrets.
const SECRET_MODE: u32 = 0o600;
/// Mode of files without.
const OPEN_MODE: u32 = 0o644;
/// Permission bits of group and others.
const NOT_OWNER: u32 = 0o077;

/// Why a file of the data directory cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The content is not what belongs there.
    #[error("{} is damaged or no file of this kind: {reason}; it was left as it is, restore it \
            from a backup", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, without the content.
        reason: &'static str,
    },
    /// Something else lies in the place of a file.
    #[error("{} is {what}, and a file is to be there; nothing was read or changed", .path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// Others can read a secret.
    #[error(
        "{} can be read by others (mode {mode:04o}); if nobody did, run: chmod 600 {}",
        .path.display(),
        .path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl FileError {
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }
}

/// A kind of file: a line that names it and its format, and a line of hexadecimal digits.
#[derive(Debug)]
pub(super) struct Sealed {
    /// Its name in the data directory.
    pub(super) file: &'static str,
    /// What its first line says, besides the version.
    pub(super) label: &'static str,
    /// The format's version.
    pub(super) version: u32,
    /// Whether nobody but the owner may read it.
    pub(super) secret: bool,
}

impl Sealed {
    pub(super) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.file)
    }

    pub(super) fn read(&self, dir: &Path) -> Result<Vec<u8>, FileError> {
        let path = self.path(dir);
        self.parse(&path, &read_text(&path, self.secret)?)
    }

    /// Reads a file of this kind that a person names.
    pub(super) fn read_named(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        self.parse(path, &read_named(path, self.secret, MAX_FILE_BYTES)?)
    }

    fn parse(&self, path: &Path, text: &str) -> Result<Vec<u8>, FileError> {
        let malformed = |reason| FileError::Malformed { path: path.to_owned(), reason };
        let mut lines = text.lines();
        let (header, content) = (lines.next().unwrap_or_default(), lines.next());
        let Some(version) = header.strip_prefix(self.label).and_then(|r| r.strip_prefix(" v"))
        else {
            return Err(malformed("its first line is another one"));
        };
        if version != self.version.to_string() {
            return Err(malformed("its format is of another version of plexmesh"));
        }
        match (content.and_then(from_hex), lines.next()) {
            (Some(bytes), None) => Ok(bytes),
            _ => Err(malformed("its second line is not the only one or not hexadecimal")),
        }
    }

    pub(super) fn write(&self, dir: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let text = format!("{} v{}\n{}\n", self.label, self.version, hex(bytes));
        write_atomically(&self.path(dir), text.as_bytes(), self.secret)
    }

    /// Removes the file, if it is there.
    pub(super) fn remove(&self, dir: &Path) -> Result<(), FileError> {
        let path = self.path(dir);
        remove_if_there(&path).map_err(|error| FileError::write(&path, error))
    }

    pub(super) fn malformed(&self, dir: &Path, reason: &'static str) -> FileError {
        FileError::Malformed { path: self.path(dir), reason }
    }
}

/// Makes a directory, and what is missing above it, that only the owner may enter. One that exists
/// keeps its mode.
///
/// # Errors
/// If it cannot be made.
pub fn make_private_dir(dir: &Path) -> Result<(), FileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(dir)
        .map_err(|error| FileError::write(dir, error))
}

/// Whether anything is at a path; a link that leads nowhere is something.
pub(super) fn is_there(path: &Path) -> Result<bool, FileError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::read(path, error)),
    }
}

/// Reads a small text file of a data directory, and nothing that is no regular file; with `secret`,
/// only if nobody but the owner may.
pub(super) fn read_text(path: &Path, secret: bool) -> Result<String, FileError> {
    let failed = |error| FileError::read(path, error);
    // A device may act on being opened.
    refuse_odd(path, fs::metadata(path).map_err(failed)?.file_type())?;
    // A pipe may have taken the file's place since; opening it would wait for whoever writes to it.
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    refuse_odd(path, file.metadata().map_err(failed)?.file_type())?;
    read_open(path, &file, secret, MAX_FILE_BYTES)
}

/// Reads a text that a person names, of at most `max_bytes`. It may come out of a pipe.
pub(super) fn read_named(path: &Path, secret: bool, max_bytes: u64) -> Result<String, FileError> {
    let file = File::open(path).map_err(|error| FileError::read(path, error))?;
    read_open(path, &file, secret, max_bytes)
}

fn refuse_odd(path: &Path, kind: FileType) -> Result<(), FileError> {
    let what = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(FileError::NotAFile { path: path.to_owned(), what })
}

fn read_open(path: &Path, file: &File, secret: bool, max_bytes: u64) -> Result<String, FileError> {
    let failed = |error| FileError::read(path, error);
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if secret && mode & NOT_OWNER != 0 {
        return Err(FileError::Exposed { path: path.to_owned(), mode });
    }
    let malformed = |reason| FileError::Malformed { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max_bytes {
        return Err(malformed("it is far too long"));
    }
    String::from_utf8(bytes).map_err(|_| malformed("it is not text"))
}

/// Replaces a file so that a crash leaves the old or the new content, and the new one once this
/// returned. A failure leaves nothing but the old content.
pub(super) fn write_atomically(path: &Path, bytes: &[u8], secret: bool) -> Result<(), FileError> {
    let failed = |error| FileError::write(path, error);
    let temporary = path.with_extension("new");
    // A leftover of a crash may have another mode, which opening would keep.
    remove_if_there(&temporary).map_err(failed)?;
    let mode = if secret { SECRET_MODE } else { OPEN_MODE };
    let written = write_new(&temporary, bytes, mode).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(failed(error));
    }
    sync_dir_of(path).map_err(failed)
}

/// Makes a secret file outside of the data directory. One that is there is not touched, and a
/// failure leaves none.
pub(super) fn write_secret_once(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed = |error| FileError::write(path, error);
    let written = write_new(path, bytes, SECRET_MODE).and_then(|()| sync_dir_of(path));
    match written {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            let _ = fs::remove_file(path);
            Err(failed(error))
        }
        other => other.map_err(failed),
    }
}

/// Makes a file that must not be there yet, and brings it to the disk.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // The process's mask may have taken bits away from the mode.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_dir_of(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Bytes from hexadecimal digits; `None` if it is anything else.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| Some(c.to_digit(16)? as u8)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Sealed =
        Sealed { file: "thing", label: "plexmesh thing", version: 2, secret: true };

    fn reason(dir: &Path, text: &str) -> String {
        write_atomically(&KIND.path(dir), text.as_bytes(), true).unwrap();
        KIND.read(dir).unwrap_err().to_string()
    }

    #[test]
    fn content_survives_and_secrets_are_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        KIND.write(dir.path(), &[0, 1, 254, 255]).unwrap();
        assert_eq!(KIND.read(dir.path()).unwrap(), [0, 1, 254, 255]);
        let mode = fs::metadata(KIND.path(dir.path())).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        KIND.write(dir.path(), b"secret").unwrap();
        let path = KIND.path(dir.path());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let text = KIND.read(dir.path()).unwrap_err().to_string();
        assert!(text.contains("0644") && text.contains("chmod 600"), "{text}");
        assert!(path.exists());
    }

    #[test]
    fn garbage_is_refused_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "hunter2", "plexmesh thing v1\n00\n", "plexmesh thing v2\nhunter2\n"] {
            let said = reason(dir.path(), text);
            assert!(said.contains("damaged") && !said.contains("hunter2"), "{said}");
        }
        let said = reason(dir.path(), "plexmesh thing v2\n00\n00\n");
        assert!(said.contains("damaged"), "{said}");
    }

    #[test]
    fn a_leftover_of_a_crash_does_not_stop_a_write() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thing.new"), "half").unwrap();
        KIND.write(dir.path(), b"whole").unwrap();
        assert_eq!(KIND.read(dir.path()).unwrap(), b"whole");
    }

    #[test]
    fn an_endless_file_is_not_read_to_its_end() {
        let zeros = Path::new("/dev/zero");
        let text = read_named(zeros, false, MAX_FILE_BYTES).unwrap_err().to_string();
        assert!(text.contains("too long"), "{text}");
        let text = read_text(zeros, false).unwrap_err().to_string();
        assert!(text.contains("is a device"), "{text}");
    }
}
