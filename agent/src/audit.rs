//! The audit log: who changed what by hand, over the local socket, and when.
//!
//! A change is written down before it is made, and its outcome before it is answered: a change that
//! cannot be written down is refused. Attempts that were refused are written too. `audit.log` in the
//! data directory has a line of JSON for each, chained by hashes so that a line that was changed or
//! taken out shows; full files are moved aside, and the eight latest are kept.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thiserror::Error;

use crate::api::problem::Code;
use crate::api::schema::{AuditEntry, AuditItems, AuditOutcome};
use crate::time::WallTime;

mod chain;
mod file;
mod read;
mod user;

pub use read::{MAX_LISTED, Since, read_since};

use file::{Appender, Head};

/// Longest value of an entry, in bytes of JSON: what was asked, what was before, what was after.
pub const MAX_VALUE_BYTES: usize = 4 * 1024;
/// Refused attempts that are written in [`REFUSED_WINDOW`]: who may read, and not write, must not
/// push the history out of the log by asking again and again.
const MAX_REFUSED: u32 = 60;
/// See [`MAX_REFUSED`].
const REFUSED_WINDOW: Duration = Duration::from_secs(600);
/// Longest path of a request, in characters.
const MAX_PATH_CHARS: usize = 256;

/// Why something cannot be written down or read back.
#[derive(Debug, Error)]
#[error("the audit log {} cannot be {what}: {source}", .path.display())]
pub struct AuditError {
    path: PathBuf,
    what: &'static str,
    source: io::Error,
}

/// A change that somebody asks for.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// User id of the caller.
    pub uid: Option<u32>,
    /// Process id of the caller.
    pub pid: Option<i32>,
    /// How it is asked.
    pub method: &'static str,
    /// Where.
    pub path: String,
    /// The body of the request; `None` if it did not come.
    pub body: Option<Vec<u8>>,
}

/// What a change did, as far as that says something.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// What was before.
    pub before: Value,
    /// What was after.
    pub after: Value,
}

/// The audit log of a data directory.
#[derive(Debug)]
pub struct AuditLog {
    dir: PathBuf,
    max_file_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` until it can be opened.
    appender: Option<Appender>,
    /// The last line that was written or found; `None` before the log was opened once.
    head: Option<Head>,
    /// Why the last line could not be written.
    fault: Option<String>,
    /// Since when refused attempts are counted, and how many were written since.
    window: (Instant, u32),
    unwritten: u64,
}

impl AuditLog {
    /// The log in this directory. If it cannot be opened, that is tried again with each change, and
    /// changes are refused until then. Blocks.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        Self::with_files_of(dir, file::MAX_FILE_BYTES)
    }

    fn with_files_of(dir: &Path, max_file_bytes: u64) -> Self {
        let state = State {
            appender: None,
            head: None,
            fault: None,
            window: (Instant::now(), 0),
            unwritten: 0,
        };
        let log = Self { dir: dir.to_owned(), max_file_bytes, state: Mutex::new(state) };
        let mut state = log.state();
        match log.appender(&mut state) {
            Ok(appender) if appender.torn > 0 => {
                let bytes = appender.torn;
                tracing::warn!(bytes, "a crash cut the last line of the audit log short");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, dir = %dir.display(), "the audit log cannot be opened; \
                    changes over the socket are refused");
                state.fault = Some(error.to_string());
            }
        }
        drop(state);
        log
    }

    /// Writes down that a change is about to be made. Gives the number to [`Self::end`] it with.
    /// Blocks.
    ///
    /// # Errors
    /// [`AuditError`] if it cannot be written: the change must not be made then.
    pub fn begin(&self, attempt: &Attempt) -> Result<u64, AuditError> {
        self.write(entry(attempt, AuditOutcome::Begun))
    }

    /// Writes down how a change ended: `refused` says why it was not made. Blocks.
    ///
    /// # Errors
    /// [`AuditError`] if it cannot be written.
    pub fn end(
        &self,
        begun: u64,
        attempt: &Attempt,
        changed: Changed,
        refused: Option<Code>,
    ) -> Result<u64, AuditError> {
        let outcome = if refused.is_some() { AuditOutcome::Refused } else { AuditOutcome::Done };
        self.write(AuditEntry {
            before: capped(changed.before),
            after: capped(changed.after),
            code: refused,
            begun: Some(begun),
            ..entry(attempt, outcome)
        })
    }

    /// Writes down an attempt that was refused before anything was begun. Of very many only some are
    /// written, and the rest is counted. Blocks.
    ///
    /// # Errors
    /// [`AuditError`] if it cannot be written.
    pub fn refuse(&self, attempt: &Attempt, code: Code) -> Result<(), AuditError> {
        {
            let mut state = self.state();
            if state.window.0.elapsed() > REFUSED_WINDOW {
                state.window = (Instant::now(), 0);
            }
            if state.window.1 >= MAX_REFUSED {
                state.unwritten = state.unwritten.saturating_add(1);
                return Ok(());
            }
            state.window.1 += 1;
        }
        let entry = AuditEntry { code: Some(code), ..entry(attempt, AuditOutcome::Refused) };
        self.write(entry).map(drop)
    }

    /// The latest `limit` entries since then, and whether the chain holds. Reads all files, while
    /// changes wait. Blocks.
    ///
    /// # Errors
    /// [`AuditError`] if the files cannot be read.
    pub fn read(&self, since: Since, limit: usize) -> Result<AuditItems, AuditError> {
        let state = self.state();
        let read = read::read(&self.dir, since, limit, state.head);
        let mut items = read.map_err(|source| self.error("read", source))?;
        items.chain.fault.clone_from(&state.fault);
        Ok(items)
    }

    fn write(&self, mut entry: AuditEntry) -> Result<u64, AuditError> {
        let mut state = self.state();
        entry.unwritten = state.unwritten;
        let written = self.appender(&mut state).and_then(|appender| {
            let sequence = appender.append(entry)?;
            Ok((sequence, appender.head))
        });
        match written {
            Ok((sequence, head)) => {
                state.head = Some(head);
                state.fault = None;
                state.unwritten = 0;
                Ok(sequence)
            }
            Err(source) => {
                state.fault = Some(source.to_string());
                // Whatever the reason is, opening it anew is a fresh start.
                state.appender = None;
                Err(self.error("written", source))
            }
        }
    }

    /// The newest file, opened again if it was moved away.
    fn appender<'a>(&self, state: &'a mut State) -> io::Result<&'a mut Appender> {
        let usable = state.appender.take().filter(Appender::is_in_place);
        let appender = match usable {
            Some(appender) => appender,
            None => Appender::open(&self.dir, state.head, self.max_file_bytes)?,
        };
        state.head = Some(appender.head);
        Ok(state.appender.insert(appender))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, what: &'static str, source: io::Error) -> AuditError {
        AuditError { path: file::path(&self.dir, 0), what, source }
    }
}

fn entry(attempt: &Attempt, outcome: AuditOutcome) -> AuditEntry {
    AuditEntry {
        sequence: 0,
        at: WallTime::now(),
        outcome,
        uid: attempt.uid,
        user: attempt.uid.and_then(user::name_of),
        pid: attempt.pid,
        method: attempt.method.to_owned(),
        path: attempt.path.chars().take(MAX_PATH_CHARS).collect(),
        asked: attempt.body.as_deref().map_or(Value::Null, asked),
        before: Value::Null,
        after: Value::Null,
        code: None,
        begun: None,
        unwritten: 0,
        torn_bytes: None,
    }
}

/// A request body as an entry has it.
fn asked(body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    match serde_json::from_slice(body) {
        Ok(value) if size(&value) <= MAX_VALUE_BYTES => value,
        _ => cut(&String::from_utf8_lossy(body), body.len()),
    }
}

fn capped(value: Value) -> Value {
    match size(&value) {
        bytes if bytes > MAX_VALUE_BYTES => cut(&value.to_string(), bytes),
        _ => value,
    }
}

/// The beginning of a text that is too long, or no JSON.
fn cut(text: &str, bytes: usize) -> Value {
    let mut letters = text.chars().count().min(MAX_VALUE_BYTES);
    loop {
        let start: String = text.chars().take(letters).collect();
        let value = json!({ "cutText": start, "bytes": bytes });
        // Letters may take several bytes, and more when they are escaped.
        if letters == 0 || size(&value) <= MAX_VALUE_BYTES {
            return value;
        }
        letters /= 2;
    }
}

/// Bytes that a value takes as JSON.
fn size(value: &Value) -> usize {
    value.to_string().len()
}

#[cfg(test)]
mod tests;
