//! The order in which a node learned its records, so that a neighbour can ask for what is new.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::Changes;
use crate::exchange::message::Cursor;
use crate::types::{PeerId, RecordId};

/// Entries kept. Neighbours ask about once a second, and a peer that fetches with all its repair budget learns some 120 records in one: this is a minute of it. Who
/// comes later is told that the log does not reach back, and the sets are reconciled.
const MAX_ENTRIES: usize = 8 * 1_024;
/// Positions with this bit are places in a walk through the store, not in the log.
const WALK_BIT: u64 = 1 << 63;
/// Bits of a log position that a walk remembers: no start of an agent learns more records.
const POSITION_BITS: u32 = 38;
const POSITION_MASK: u64 = (1 << POSITION_BITS) - 1;
/// Places that a walk can name: all records of the largest mesh.
const PLACE_MASK: u64 = (1 << (63 - POSITION_BITS)) - 1;

#[derive(Debug)]
struct Entry {
    id: RecordId,
    /// First bytes of who passed it on: enough not to offer it back; a collision costs one late repair.
    from: u32,
}

/// A walk through the whole store, page by page, and where the log ended when it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// Records before this one were given.
    pub(super) place: usize,
    began: u64,
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
        if self.entries.len() == MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { id, from: from.map_or(0, short) });
        self.next += 1;
    }

    /// Offers a peer what came from it, too.
    pub(super) fn forget_source(&mut self, peer: PeerId) {
        for entry in self.entries.iter_mut().filter(|entry| entry.from == short(peer)) {
            entry.from = 0;
        }
    }

    pub(super) const fn end(&self) -> Cursor {
        Cursor { epoch: self.epoch, position: self.next }
    }

    /// The walk that a cursor stands for; `None` if it is one of the log.
    pub(super) fn walk(&self, cursor: Cursor) -> Option<Walk> {
        if cursor.epoch == 0 {
            return Some(Walk { place: 0, began: self.next });
        }
        if cursor.epoch != self.epoch || cursor.position & WALK_BIT == 0 {
            return None;
        }
        let place = usize::try_from((cursor.position & !WALK_BIT) >> POSITION_BITS).ok()?;
        Some(Walk { place, began: cursor.position & POSITION_MASK })
    }

    /// Where to go on: at the next place of the walk, or with what was learned since it began.
    pub(super) fn after_walk(&self, walk: Walk, next: Option<usize>) -> Cursor {
        let place = next.and_then(|place| u64::try_from(place).ok());
        let position = match place.filter(|place| *place <= PLACE_MASK) {
            Some(place) => WALK_BIT | (place << POSITION_BITS) | (walk.began & POSITION_MASK),
            None => walk.began,
        };
        Cursor { epoch: self.epoch, position }
    }

    pub(super) fn since(
        &self,
        cursor: Cursor,
        asker: PeerId,
        limit: usize,
        is_live: impl Fn(RecordId) -> bool,
    ) -> Changes {
        let kept = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        let oldest = self.next.saturating_sub(kept);
        if cursor.epoch != self.epoch || cursor.position < oldest {
            return Changes { ids: Vec::new(), cursor: self.end(), reset: true };
        }
        let (mut ids, mut position) = (Vec::new(), cursor.position.min(self.next));
        let skip = usize::try_from(position - oldest).unwrap_or(usize::MAX);
        for entry in self.entries.range(skip.min(self.entries.len())..) {
            if ids.len() == limit {
                break;
            }
            position += 1;
            if entry.from != short(asker) && is_live(entry.id) {
                ids.push(entry.id);
            }
        }
        Changes { ids, cursor: Cursor { epoch: self.epoch, position }, reset: false }
    }
}

fn short(peer: PeerId) -> u32 {
    let [a, b, c, d, ..] = peer.0;
    // 0 stands for nobody.
    u32::from_le_bytes([a, b, c, d]).max(1)
}
