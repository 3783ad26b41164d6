//! Reads the log back, and follows its chain.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::chain::{self, Hash, MAX_LINE_BYTES, ORIGIN, Sealed};
use super::file::{self, Head, MAX_FILES};
use crate::api::schema::{AuditBreak, AuditChain, AuditEntry, AuditItems, AuditOutcome};
use crate::time::WallTime;

/// Entries in one answer at the most: 26 MB of JSON.
pub const MAX_LISTED: usize = 2_000;
/// Breaks that are named; the rest is counted.
const MAX_BREAKS: usize = 8;
/// How much of one file is read, in bytes: what is behind that is not of this log.
const MAX_READ_BYTES: u64 = 2 * file::MAX_FILE_BYTES;

/// What is wrong with a line.
const ALTERED: &str = "the line was changed after it was written";
const ASTRAY: &str =
    "it does not follow from the line before: lines were taken out, put in or moved";
const MISNUMBERED: &str = "its number is not the next one";
const FOREIGN: &str = "it is no line of this log";

/// From where on entries are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// After this sequence number.
    Sequence(u64),
    /// At this time or later.
    Time(WallTime),
}

impl Since {
    fn takes(self, entry: &AuditEntry) -> bool {
        match self {
            Self::Sequence(sequence) => entry.sequence > sequence,
            Self::Time(time) => entry.at >= time,
        }
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequence(sequence) => sequence.fmt(f),
            Self::Time(time) => time.fmt(f),
        }
    }
}

/// Reads a sequence number, or a time.
///
/// # Errors
/// A sentence for the person who typed it.
pub fn read_since(text: &str) -> Result<Since, String> {
    if let Ok(sequence) = text.parse() {
        return Ok(Since::Sequence(sequence));
    }
    serde_json::from_value::<WallTime>(text.into()).map(Since::Time).map_err(|_| {
        format!("`{text}` is neither a sequence number nor a time such as 2026-11-26T05:00:00Z")
    })
}

/// What is known while the lines go by.
struct Reader {
    since: Since,
    limit: usize,
    items: VecDeque<AuditEntry>,
    omitted: u64,
    /// Announced, and not yet ended.
    begun: BTreeMap<u64, AuditEntry>,
    chain: AuditChain,
    /// Hash of the line before; `None` at the oldest line that is kept.
    last: Option<Hash>,
    /// A line that is none: its place and length. The next line says whether a crash tore it.
    odd: Option<(String, u64, u64)>,
}

/// Reads all files. `written` is the last line that the agent wrote, if it knows, and `torn` how
/// many bytes at the end are no whole line.
pub(super) fn read(
    dir: &Path,
    since: Since,
    limit: usize,
    written: Option<Head>,
) -> io::Result<AuditItems> {
    let mut reader = Reader {
        since,
        limit: limit.min(MAX_LISTED),
        items: VecDeque::new(),
        omitted: 0,
        begun: BTreeMap::new(),
        chain: AuditChain {
            holds: true,
            breaks: Vec::new(),
            break_count: 0,
            files: 0,
            lines: 0,
            first_sequence: None,
            last_sequence: None,
            head: None,
            torn_lines: 0,
            fault: None,
        },
        last: None,
        odd: None,
    };
    for number in (0..MAX_FILES).rev() {
        let path = file::path(dir, number);
        match File::open(&path) {
            Ok(opened) => reader.file(&path.display().to_string(), opened)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(reader.finish(written, &file::path(dir, 0).display().to_string()))
}

impl Reader {
    fn file(&mut self, name: &str, opened: File) -> io::Result<()> {
        self.chain.files += 1;
        let mut input = BufReader::new(opened.take(MAX_READ_BYTES));
        for number in 1.. {
            let mut line = Vec::new();
            // A line that is too long is read in pieces, none of which is a line.
            let mut piece = input.by_ref().take(MAX_LINE_BYTES as u64);
            if piece.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let whole = line.last() == Some(&b'\n');
            if whole {
                line.pop();
            }
            match chain::open(&line).filter(|_| whole) {
                Some(sealed) => self.line(name, number, sealed),
                None => {
                    self.settle(None);
                    self.odd = Some((name.to_owned(), number, line.len() as u64));
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, name: &str, number: u64, sealed: Sealed) {
        let Sealed { entry, previous, hash, sound } = sealed;
        self.settle(entry.torn_bytes);
        let follows = match self.last {
            Some(last) => previous == last,
            None => entry.sequence != 1 || previous == ORIGIN,
        };
        let expected = self.chain.last_sequence.map(|last| last.saturating_add(1));
        if !sound {
            self.broken(name, number, ALTERED);
        } else if !follows {
            self.broken(name, number, ASTRAY);
        } else if expected.is_some_and(|expected| expected != entry.sequence) {
            self.broken(name, number, MISNUMBERED);
        }
        self.chain.lines += 1;
        self.chain.first_sequence.get_or_insert(entry.sequence);
        self.chain.last_sequence = Some(entry.sequence);
        self.last = Some(hash);
        self.keep(entry);
    }

    /// Judges a line that was none, now that the next one is known.
    fn settle(&mut self, torn_bytes: Option<u64>) {
        let Some((name, number, length)) = self.odd.take() else { return };
        if torn_bytes == Some(length) {
            self.chain.torn_lines += 1;
        } else {
            self.broken(&name, number, FOREIGN);
        }
    }

    fn broken(&mut self, file: &str, line: u64, reason: &str) {
        self.chain.holds = false;
        self.chain.break_count += 1;
        if self.chain.breaks.len() < MAX_BREAKS {
            let (file, reason) = (file.to_owned(), reason.to_owned());
            self.chain.breaks.push(AuditBreak { file, line, reason });
        }
    }

    /// An entry that tells how another ended stands in its place.
    fn keep(&mut self, entry: AuditEntry) {
        if let Some(begun) = entry.begun {
            self.begun.remove(&begun);
        }
        if entry.outcome == AuditOutcome::Begun {
            // Few are under way at once; of those that never ended the latest are kept.
            self.begun.insert(entry.sequence, entry);
            if self.begun.len() > self.limit.max(1) {
                self.begun.pop_first();
                self.omitted += 1;
            }
            return;
        }
        if !self.since.takes(&entry) {
            return;
        }
        self.items.push_back(entry);
        if self.items.len() > self.limit {
            self.items.pop_front();
            self.omitted += 1;
        }
    }

    fn finish(mut self, written: Option<Head>, newest: &str) -> AuditItems {
        // Nothing follows the last line: a crash tore it, or it is just being judged.
        if let Some((name, number, _)) = self.odd.take() {
            if name == newest {
                self.chain.torn_lines += 1;
            } else {
                self.broken(&name, number, FOREIGN);
            }
        }
        let head = Head {
            sequence: self.chain.last_sequence.unwrap_or(0),
            hash: self.last.unwrap_or(ORIGIN),
        };
        if let Some(written) = written.filter(|written| *written != head) {
            let line = self.chain.lines.saturating_add(1);
            let reason = format!(
                "the log ends with number {}, and this agent wrote number {} last",
                head.sequence, written.sequence
            );
            self.broken(newest, line, &reason);
        }
        self.chain.head = self.last.map(|hash| hash.to_hex().to_string());
        let since = self.since;
        let unfinished = self.begun.into_values().filter(|entry| since.takes(entry));
        let mut items: Vec<AuditEntry> = self.items.into_iter().chain(unfinished).collect();
        items.sort_by_key(|entry| entry.sequence);
        let surplus = items.len().saturating_sub(self.limit);
        items.drain(..surplus);
        let omitted = self.omitted.saturating_add(surplus as u64);
        AuditItems { items, omitted, chain: self.chain }
    }
}
