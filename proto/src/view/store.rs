//! Where records stand: the port, and the store in memory that comes with it.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use crate::record::{Kind, Record, SlotKey};
use crate::ring::Rings;
use crate::types::{PeerId, RecordId};

/// What stands in one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The highest record by (version, hash).
    pub top: Arc<Record>,
    /// The second highest body under the same version: proof that the origin contradicts itself.
    pub rival: Option<Arc<Record>>,
}

/// Record storage, as the driver provides it.
///
/// The agent's also persists; the virtual world's shares bodies between nodes. Visiting order must depend on the records alone.
pub trait RecordStore {
    /// What stands in a slot.
    fn slot(&self, key: &SlotKey) -> Option<Slot>;

    /// Fills a slot.
    fn put(&mut self, key: &SlotKey, slot: Slot);

    /// Empties a slot.
    fn remove(&mut self, key: &SlotKey);

    /// The record with this id.
    fn by_id(&self, id: RecordId) -> Option<Arc<Record>>;

    /// Visits every record, rivals too: origins by rising id, and those of one origin together.
    fn for_each(&self, visit: &mut dyn FnMut(&Arc<Record>));

    /// Visits every record of one origin.
    fn for_origin(&self, origin: &PeerId, visit: &mut dyn FnMut(&Arc<Record>));

    /// Number of slots that are filled.
    fn len(&self) -> usize;

    /// The rings of the membership with this key. They depend on the membership alone, so a driver of many nodes may keep what `build` gives for the next who asks.
    fn rings(&self, key: &[u8; 32], build: &mut dyn FnMut() -> Rings) -> Arc<Rings> {
        let _ = key;
        Arc::new(build())
    }

    /// Whether no slot is filled.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A store in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    slots: BTreeMap<SlotKey, Slot>,
    ids: BTreeMap<RecordId, SlotKey>,
}

impl MemoryStore {
    fn unindex(&mut self, slot: &Slot) {
        self.ids.remove(&slot.top.id());
        if let Some(rival) = &slot.rival {
            self.ids.remove(&rival.id());
        }
    }
}

impl RecordStore for MemoryStore {
    fn slot(&self, key: &SlotKey) -> Option<Slot> {
        self.slots.get(key).cloned()
    }

    fn put(&mut self, key: &SlotKey, slot: Slot) {
        if let Some(old) = self.slots.remove(key) {
            self.unindex(&old);
        }
        self.ids.insert(slot.top.id(), key.clone());
        if let Some(rival) = &slot.rival {
            self.ids.insert(rival.id(), key.clone());
        }
        self.slots.insert(key.clone(), slot);
    }

    fn remove(&mut self, key: &SlotKey) {
        if let Some(old) = self.slots.remove(key) {
            self.unindex(&old);
        }
    }

    fn by_id(&self, id: RecordId) -> Option<Arc<Record>> {
        let slot = self.slots.get(self.ids.get(&id)?)?;
        [Some(&slot.top), slot.rival.as_ref()]
            .into_iter()
            .flatten()
            .find(|record| record.id() == id)
            .cloned()
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Arc<Record>)) {
        for slot in self.slots.values() {
            visit(&slot.top);
            slot.rival.iter().for_each(&mut *visit);
        }
    }

    fn for_origin(&self, origin: &PeerId, visit: &mut dyn FnMut(&Arc<Record>)) {
        let first = SlotKey { origin: *origin, scope: 0, kind: Kind(0), key: [].into() };
        for (_, slot) in self.slots.range(first..).take_while(|(key, _)| key.origin == *origin) {
            visit(&slot.top);
            slot.rival.iter().for_each(&mut *visit);
        }
    }

    fn len(&self) -> usize {
        self.slots.len()
    }
}
