//! What the side that answers encodes: all ranges of one reconciliation come from one snapshot, for symbols of a set that changed meanwhile do not fit the earlier ones.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::super::message::SketchRange;
use super::riblt;
use crate::types::{PeerId, SECOND, Time};

/// Snapshots kept at a time, one a peer: 16 bytes a record each. Seldom do more neighbours than this differ at once, and whoever lost his place begins anew.
const MAX_SNAPSHOTS: usize = 8;
/// An asker that was not back for so long gave up: its requests time out sooner.
const KEPT: u64 = 10 * SECOND;

/// Snapshots of this view's items, the latest used last.
#[derive(Debug, Default)]
pub(in super::super) struct Snapshots {
    kept: VecDeque<Snapshot>,
}

#[derive(Debug)]
struct Snapshot {
    asker: PeerId,
    salt: u64,
    used: Time,
    items: Vec<[u8; 16]>,
}

impl Snapshots {
    /// Encoded coded symbols for `asker`, of the set as it was when it asked for the first range with this salt.
    pub(in super::super) fn symbols(
        &mut self,
        asker: PeerId,
        range: SketchRange,
        items: impl FnOnce() -> Vec<[u8; 16]>,
        now: Time,
    ) -> Vec<u8> {
        let known = self.kept.iter().position(|kept| kept.asker == asker);
        let known = known.and_then(|place| self.kept.remove(place));
        let snapshot = known.filter(|kept| range.from > 0 && kept.salt == range.salt);
        let mut snapshot = snapshot.unwrap_or_else(|| Snapshot {
            asker,
            salt: range.salt,
            used: now,
            items: items(),
        });
        snapshot.used = now;
        let items = &snapshot.items;
        let symbols = riblt::encode_range(items.iter(), range.salt, range.from, range.to);
        let size = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let encoded = riblt::encode_batch(&symbols, range.from, size);
        if self.kept.len() == MAX_SNAPSHOTS {
            self.kept.pop_front();
        }
        self.kept.push_back(snapshot);
        encoded
    }

    /// Lets go of what nobody came back for.
    pub(in super::super) fn expire(&mut self, now: Time) {
        while self.kept.front().is_some_and(|oldest| now.since(oldest.used) > KEPT) {
            self.kept.pop_front();
        }
    }
}
