//! What is known of one shard.

use plexmesh_proto::integrity::Verdict;

use super::queue::Queue;
use super::{CONFIRM_MS, Moment, READING_MS};
use crate::scrub::inventory::SourceKey;
use crate::scrub::judge::Memory;
use crate::sources::{Digests, Found};

/// A verdict that is not certain yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspect {
    pub(super) verdict: Verdict,
    found: Found,
    confirm_ms: u64,
}

/// One shard.
#[derive(Clone, Debug, Default)]
pub(in crate::scrub) struct Shard {
    pub(in crate::scrub) memory: Memory,
    /// What was found, if that is not what is remembered. It almost always is, and there may be a
    /// million shards.
    differs: Option<Box<Found>>,
    pub(super) suspect: Option<Box<Suspect>>,
    /// When it is to be read; `None` if it cannot be.
    pub(super) due_ms: Option<u64>,
    /// An operator wants it read now, whatever the hour.
    pub(super) ordered: bool,
    pub(super) unsaved: bool,
    /// What it adds to the digest of all; 0 until that is wanted.
    pub(super) fold: u64,
}

/// How long a shard may go unread.
#[derive(Clone, Copy, Debug)]
pub(in crate::scrub) struct Patience {
    pub(super) patience_ms: u64,
    pub(super) started: Moment,
}

impl Shard {
    /// One of which this is remembered, and no more known.
    pub(super) fn new(memory: Memory, due_ms: Option<u64>) -> Self {
        Self { memory, due_ms, ..Self::default() }
    }

    /// What was found at the last look.
    pub(in crate::scrub) fn found(&self) -> Found {
        self.differs.as_deref().copied().unwrap_or_else(|| self.memory.found())
    }

    pub(super) fn set_found(&mut self, found: Found) {
        self.differs = (found != self.memory.found()).then(|| Box::new(found));
    }

    /// Changes what is remembered; what was found stays.
    pub(super) fn remember(&mut self, change: impl FnOnce(&mut Memory, &Found)) {
        let found = self.found();
        change(&mut self.memory, &found);
        self.set_found(found);
    }

    /// What is told of it: a shard that should have been read long ago is not known to be anything.
    pub(in crate::scrub) fn shown(&self, patience: Patience, now: Moment) -> Option<Verdict> {
        match self.memory.verdict {
            None | Some(Verdict::Ok | Verdict::Replaced) if self.is_overdue(patience, now) => {
                Some(Verdict::Unverified)
            }
            verdict => verdict,
        }
    }

    /// Whether a look that found it so tells nothing new: it waits for its next reading.
    pub(super) fn is_settled_as(&self, found: &Found) -> bool {
        self.due_ms.is_some() && self.found() == *found
    }

    /// Whether it could have been read in time, and was not.
    pub(in crate::scrub) fn is_unread(&self, in_time: &dyn Fn(Option<u64>) -> bool) -> bool {
        self.due_ms.is_some() && !in_time(self.memory.verified_ms)
    }

    fn is_overdue(&self, patience: Patience, now: Moment) -> bool {
        let Patience { patience_ms, started } = patience;
        let run_ms = now.awake_ms.saturating_sub(started.awake_ms);
        // A wall clock that was set, or a host that slept, makes no reading late: the earlier of two
        // clocks counts.
        let wall_ms = now.wall_ms.min(started.wall_ms.saturating_add(run_ms));
        let read =
            self.memory.verified_ms.is_some_and(|at| wall_ms < at.saturating_add(patience_ms));
        self.found().file.is_some() && !read && run_ms > patience_ms
    }

    /// Takes a verdict, at once or at the second look. Whether it is certain.
    pub(super) fn note(&mut self, verdict: Verdict, read: Option<&Digests>, now: Moment) -> bool {
        let found = self.found();
        let doubted = self
            .suspect
            .as_ref()
            .filter(|suspect| suspect.verdict == verdict && suspect.found == found);
        let certain = verdict == Verdict::Ok
            || self.memory.verdict == Some(verdict)
            || doubted.is_some_and(|suspect| suspect.confirm_ms <= now.at_ms);
        if certain {
            self.suspect = None;
            self.remember(|memory, found| memory.settle(verdict, found, read, now.wall_ms));
        } else if doubted.is_none() {
            let confirm_ms = now.at_ms + CONFIRM_MS;
            self.suspect = Some(Box::new(Suspect { verdict, found, confirm_ms }));
        }
        certain
    }

    /// Adds it to a queue, if it is to be read and is not being read.
    pub(super) fn queue_up(&self, queue: &mut Queue, source: usize, id: &str) {
        if let Some(due_ms) = self.due_ms.filter(|due_ms| *due_ms != READING_MS) {
            queue.insert(due_ms, source, id, self.is_urgent());
        }
    }

    /// Whether it is read whatever the hour.
    fn is_urgent(&self) -> bool {
        self.ordered || self.suspect.is_some()
    }

    pub(super) fn confirm_ms(&self) -> Option<u64> {
        self.suspect.as_ref().map(|suspect| suspect.confirm_ms)
    }
}

/// What a shard adds to the digest of all. Sums of keyed hashes do not depend on their order.
pub(super) fn fold(secret: &[u8; 32], source: &SourceKey, id: &str, memory: &Memory) -> u64 {
    let Some(content) = memory.blake3 else { return 0 };
    let mut hasher = blake3::Hasher::new_keyed(secret);
    hasher.update(source).update(id.as_bytes()).update(&content);
    let hash = hasher.finalize();
    hash.as_bytes().first_chunk().copied().map_or(0, u64::from_be_bytes)
}
