//! What ring neighbours say to each other in an exchange.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::record::Record;
use crate::types::{RecordId, StateDigest, Version};

/// A request of an exchange; its parts are independent of each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeRequest {
    /// The asker's state.
    pub digest: StateDigest,
    /// Ask what the answerer learned past this place of its log.
    pub changes: Option<Cursor>,
    /// Ask for the bodies of these records.
    pub wants: Vec<RecordId>,
    /// Bodies that the answerer is known to lack.
    pub push: Vec<Arc<Record>>,
    /// Ask for coded symbols of the answerer's set.
    pub sketch: Option<SketchRange>,
}

impl ExchangeRequest {
    /// Whether the asker knows no place in the answerer's log, and wants to hear its digest.
    #[must_use]
    pub const fn is_first_contact(&self) -> bool {
        let Self { changes, wants, push, sketch, digest: _ } = self;
        changes.is_none() && wants.is_empty() && push.is_empty() && sketch.is_none()
    }
}

/// A place in a peer's log of what it learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Random, of one start of the log's owner; 0 asks for all of the log.
    pub epoch: u64,
    /// The first position not yet seen.
    pub position: u64,
}

/// A range of coded symbols for set reconciliation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SketchRange {
    /// Keys hashes and mapping, so that nobody can prepare items that collide.
    pub salt: u64,
    /// First symbol.
    pub from: u32,
    /// One past the last symbol.
    pub to: u32,
}

/// The answer to an [`ExchangeRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeAnswer {
    /// The answerer's state.
    pub digest: StateDigest,
    /// Where the asker goes on in the answerer's log.
    pub cursor: Cursor,
    /// The asker's cursor was of another epoch.
    pub log_reset: bool,
    /// Records learned past the cursor; where there is none, the answerer's own heartbeat.
    pub ids: Vec<RecordId>,
    /// Wanted bodies.
    pub records: Vec<Arc<Record>>,
    /// Wanted records that the answerer does not hold any more.
    pub absent: Vec<RecordId>,
    /// Encoded coded symbols of the asked range.
    pub symbols: Vec<u8>,
    /// The answerer is still fetching what others know: what it lacks now, it will have in a moment.
    pub settling: bool,
    /// The highest version of any record of the asker that the answerer holds.
    pub your_version: Version,
    /// The answerer's wall clock when it answered, in Unix milliseconds; 0 if it does not say.
    pub wall_ms: u64,
}
