//! A peer that brings up the past.

use std::collections::BTreeMap;
use std::sync::Arc;

use plexmesh_proto::record::{Record, SlotKey};
use plexmesh_proto::types::SECOND;

/// Between two replays.
pub(super) const PAUSE_US: u64 = SECOND;
/// Most old records that it keeps: enough for everybody's in the meshes in which one looks at it.
const MAX_KEPT: usize = 256;
/// Records that it brings up at a time.
const AT_ONCE: usize = 4;

/// The first version that it saw of each slot, until there is no room.
#[derive(Debug, Default)]
pub(super) struct Replayer {
    kept: BTreeMap<SlotKey, Kept>,
    /// Slots that have a later version by now, in the order in which they got it; only those are
    /// replayed.
    outdated: Vec<SlotKey>,
    next: usize,
}

#[derive(Debug)]
struct Kept {
    record: Arc<Record>,
    is_outdated: bool,
}

impl Replayer {
    pub(super) fn hear(&mut self, record: &Arc<Record>) {
        if let Some(kept) = self.kept.get_mut(record.slot()) {
            if record.version() > kept.record.version() && !kept.is_outdated {
                kept.is_outdated = true;
                self.outdated.push(record.slot().clone());
            }
        } else if self.kept.len() < MAX_KEPT {
            let kept = Kept { record: record.clone(), is_outdated: false };
            self.kept.insert(record.slot().clone(), kept);
        }
    }

    /// Some old records, each in its turn.
    pub(super) fn some(&mut self) -> Vec<Arc<Record>> {
        let count = self.outdated.len();
        let first = self.next;
        self.next = first.wrapping_add(AT_ONCE.min(count));
        let slots = (first..).take(AT_ONCE.min(count)).filter_map(|turn| {
            let slot = self.outdated.get(turn % count)?;
            self.kept.get(slot)
        });
        slots.map(|kept| kept.record.clone()).collect()
    }

    /// The older version of a record, if there is one.
    pub(super) fn older(&self, record: &Arc<Record>) -> Arc<Record> {
        let kept = self.kept.get(record.slot()).filter(|kept| kept.is_outdated);
        kept.map_or_else(|| record.clone(), |kept| kept.record.clone())
    }
}
