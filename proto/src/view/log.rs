//! The order in which a node learned its records, so that a neighbour can ask for what is new.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::Changes;
use crate::exchange::message::Cursor;
use crate::types::{PeerId, RecordId};

/// Entries of records that are gone may be as many as those that live, and this many more, before the log is compacted.
///
/// So compaction costs a constant per entry, and a quiet small mesh does not compact all the time.
const DEAD_SLACK: usize = 1_024;

#[derive(Debug)]
struct Entry {
    position: u64,
    id: RecordId,
    /// First bytes of who passed it on: enough not to offer it back; a collision costs one late repair.
    from: u64,
}

#[derive(Debug)]
pub(super) struct ChangeLog {
    epoch: u64,
    next: u64,
    entries: VecDeque<Entry>,
}

impl ChangeLog {
    pub(super) fn new(epoch: u64) -> Self {
        Self { epoch: epoch.max(1), next: 0, entries: VecDeque::new() }
    }

    pub(super) fn push(&mut self, id: RecordId, from: Option<PeerId>) {
        self.entries.push_back(Entry { position: self.next, id, from: from.map_or(0, short) });
        self.next += 1;
    }

    pub(super) fn end(&self) -> Cursor {
        Cursor { epoch: self.epoch, position: self.next }
    }

    /// Drops entries of records that are gone, if they are too many.
    pub(super) fn compact(&mut self, live: usize, is_live: impl Fn(RecordId) -> bool) {
        if self.entries.len() > 2 * live + DEAD_SLACK {
            self.entries.retain(|entry| is_live(entry.id));
        }
    }

    pub(super) fn since(
        &self,
        cursor: Cursor,
        asker: PeerId,
        limit: usize,
        is_live: impl Fn(RecordId) -> bool,
    ) -> Changes {
        let whole = cursor.epoch == 0;
        let reset = !whole && cursor.epoch != self.epoch;
        let from = match (whole, reset) {
            (true, _) => 0,
            (_, true) => self.next,
            _ => cursor.position,
        };
        let start = self.entries.partition_point(|entry| entry.position < from);
        let mut ids = Vec::new();
        let mut position = self.next;
        for entry in self.entries.range(start..) {
            if ids.len() == limit {
                position = entry.position;
                break;
            }
            if entry.from != short(asker) && is_live(entry.id) {
                ids.push(entry.id);
            }
        }
        Changes { ids, cursor: Cursor { epoch: self.epoch, position }, reset }
    }
}

fn short(peer: PeerId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = peer.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
