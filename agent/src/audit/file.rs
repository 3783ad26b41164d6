//! The files of the log: appending, and moving full ones aside.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::chain::{self, Hash, MAX_LINE_BYTES, ORIGIN};
use crate::api::schema::AuditEntry;

/// The newest file; older ones have a number behind it, the larger the older.
pub(super) const FILE: &str = "audit.log";
/// Files that are kept, the newest included.
pub(super) const MAX_FILES: usize = 8;
/// Longest file, in bytes: with 8 of them 32 MiB, some ten thousand changes at least.
pub(super) const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// The log names users and shards: for the owner alone.
const MODE: u32 = 0o600;

/// The end of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Sequence number of the last line; 0 before the first.
    pub(super) sequence: u64,
    pub(super) hash: Hash,
}

impl Head {
    const NONE: Self = Self { sequence: 0, hash: ORIGIN };
}

/// The newest file, open for appending.
#[derive(Debug)]
pub(super) struct Appender {
    dir: PathBuf,
    file: File,
    length: u64,
    max_bytes: u64,
    pub(super) head: Head,
    /// Bytes at the end of the file that are no whole line.
    pub(super) torn: u64,
}

impl Appender {
    /// Opens the log in a directory. The chain goes on from `head`, if it is known, else from what
    /// the files say.
    pub(super) fn open(dir: &Path, head: Option<Head>, max_bytes: u64) -> io::Result<Self> {
        let path = dir.join(FILE);
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(&path)?;
        if file.metadata()?.mode() & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(MODE))?;
        }
        let length = file.metadata()?.len();
        let (last, torn) = last_line(&mut file, length)?;
        let found = match last.as_deref().map(chain::open) {
            Some(Some(line)) => Some(Head { sequence: line.entry.sequence, hash: line.hash }),
            // What follows such a line does not follow from it, and that shows.
            Some(None) => older_head(dir, 0)?,
            None => older_head(dir, 1)?,
        };
        let head = head.or(found).unwrap_or(Head::NONE);
        sync_dir(dir)?;
        Ok(Self { dir: dir.to_owned(), file, length, max_bytes, head, torn })
    }

    /// Whether the file that is open is still the newest one of the log: somebody may have moved it
    /// away.
    pub(super) fn is_in_place(&self) -> bool {
        let place = |it: &fs::Metadata| (it.dev(), it.ino());
        let here = self.file.metadata();
        let there = fs::symlink_metadata(self.dir.join(FILE));
        here.is_ok_and(|here| there.is_ok_and(|there| place(&here) == place(&there)))
    }

    /// Writes an entry under the next sequence number, which is returned. On disk once this returns;
    /// if it fails, nothing is.
    pub(super) fn append(&mut self, mut entry: AuditEntry) -> io::Result<u64> {
        entry.sequence = self.head.sequence.saturating_add(1);
        entry.torn_bytes = (self.torn > 0).then_some(self.torn);
        let (line, hash) = chain::seal(&entry, self.head.hash).map_err(io::Error::other)?;
        if line.len() > MAX_LINE_BYTES {
            return Err(io::Error::other("the entry is too long"));
        }
        // The torn line has to be in front of the line that tells of it.
        let full = self.length.saturating_add(line.len() as u64) > self.max_bytes;
        if full && self.torn == 0 && self.length > 0 {
            self.rotate()?;
        }
        let text = if self.torn > 0 { format!("\n{line}") } else { line };
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.undo();
            return Err(error);
        }
        self.length = self.length.saturating_add(text.len() as u64);
        self.torn = 0;
        self.head = Head { sequence: entry.sequence, hash };
        Ok(entry.sequence)
    }

    /// Takes half a line back.
    fn undo(&mut self) {
        if self.file.set_len(self.length).is_err() {
            let now = self.file.metadata().map_or(self.length, |it| it.len());
            self.torn = self.torn.saturating_add(now.saturating_sub(self.length));
            self.length = now;
        }
    }

    /// Moves all files one place on, over the oldest one, and begins a new one. A crash in between
    /// leaves a gap in the numbers and nothing else.
    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..MAX_FILES).rev() {
            let (from, to) = (path(&self.dir, number - 1), path(&self.dir, number));
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        *self = Self::open(&self.dir, Some(self.head), self.max_bytes)?;
        Ok(())
    }
}

/// The file with this number; the newest has 0.
pub(super) fn path(dir: &Path, number: usize) -> PathBuf {
    dir.join(if number == 0 { FILE.to_owned() } else { format!("{FILE}.{number}") })
}

/// The end of the chain by the files from this number on; `None` if there is no line.
fn older_head(dir: &Path, from: usize) -> io::Result<Option<Head>> {
    for number in from..MAX_FILES {
        let mut bytes = Vec::new();
        match File::open(path(dir, number)) {
            // A file may be over by what follows a torn line.
            Ok(file) => file.take(2 * MAX_FILE_BYTES).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut lines = bytes.rsplit(|byte| *byte == b'\n').filter_map(chain::open);
        if let Some(line) = lines.next() {
            return Ok(Some(Head { sequence: line.entry.sequence, hash: line.hash }));
        }
    }
    Ok(None)
}

/// The last whole line without its end, and how many bytes come after it. Does not read more than a
/// few lines' worth.
fn last_line(file: &mut File, length: u64) -> io::Result<(Option<Vec<u8>>, u64)> {
    let window = (3 * MAX_LINE_BYTES) as u64;
    file.seek(SeekFrom::Start(length.saturating_sub(window)))?;
    let mut bytes = Vec::new();
    file.take(window).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let torn = (bytes.len() - whole) as u64;
    bytes.truncate(whole.saturating_sub(1));
    let start = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let line = bytes.split_off(start);
    Ok(((!line.is_empty()).then_some(line), torn))
}

/// Has names of files on disk.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
