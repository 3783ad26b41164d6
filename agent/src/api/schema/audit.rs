//! What was changed by hand, as it goes over the socket and lies in the audit log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::problem::Code;
use crate::time::WallTime;

/// The body of the answer about the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditItems {
    /// The oldest first.
    pub items: Vec<AuditEntry>,
    /// Entries that were asked for and left out, because they are older than the latest so many.
    pub omitted: u64,
    /// What the log as a whole is worth.
    pub chain: AuditChain,
}

/// A change that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Counts up from 1 over all files of the log.
    pub sequence: u64,
    /// When it was written.
    pub at: WallTime,
    /// What became of it.
    pub outcome: AuditOutcome,
    /// User id of the caller, as the kernel says; `null` if it does not.
    pub uid: Option<u32>,
    /// Name of that user on this host at that time; `null` if there is none.
    pub user: Option<String>,
    /// Process id of the caller; `null` if the kernel does not say.
    pub pid: Option<i32>,
    /// How it was asked.
    pub method: String,
    /// Where.
    pub path: String,
    /// The body of the request; `null` if there was none or it did not come. One that is no JSON, or
    /// too long, is cut: `cutText` and `bytes`.
    pub asked: Value,
    /// What was before, where that says something.
    pub before: Value,
    /// What was after, where that says something.
    pub after: Value,
    /// Why it was refused; `null` if it was not.
    pub code: Option<Code>,
    /// Sequence number of the entry that announced it; `null` if none did.
    pub begun: Option<u64>,
    /// Refused attempts before this entry that were not written, because there were too many.
    pub unwritten: u64,
    /// Bytes of a line before this one that a crash cut short; `null` if there is none.
    pub torn_bytes: Option<u64>,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AuditOutcome {
    /// It was begun, and nothing was written of its end: the agent was ended meanwhile, or its disk
    /// was full.
    Begun,
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

impl AuditOutcome {
    /// The outcome as JSON names it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// What the log as a whole is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditChain {
    /// Whether each line follows from the one before, and the last one is the last that was written.
    pub holds: bool,
    /// Where it does not; the first few places.
    pub breaks: Vec<AuditBreak>,
    /// Places where it does not, including those that are not named.
    pub break_count: u64,
    /// Files of the log.
    pub files: usize,
    /// Lines that were checked.
    pub lines: u64,
    /// Sequence number of the oldest line that is kept; `null` if there is none.
    pub first_sequence: Option<u64>,
    /// Sequence number of the last line; `null` if there is none.
    pub last_sequence: Option<u64>,
    /// Hash of the last line, in hexadecimal, to be kept elsewhere; `null` if there is no line.
    pub head: Option<String>,
    /// Lines that a crash cut short. They break nothing.
    pub torn_lines: u64,
    /// Why nothing can be written to it at the moment, so that changes are refused; `null` if the
    /// last attempt succeeded.
    pub fault: Option<String>,
}

/// A place where the chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditBreak {
    /// The file.
    pub file: String,
    /// The line in it, from 1.
    pub line: u64,
    /// What is wrong there.
    pub reason: String,
}
