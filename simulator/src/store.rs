//! Record storage of virtual nodes: bodies are shared, and a node holds four bytes for each.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use plexmesh_proto::record::{Kind, Record, SlotKey};
use plexmesh_proto::ring::Rings;
use plexmesh_proto::types::{PeerId, RecordId};
use plexmesh_proto::view::{RecordStore, Slot};

/// Kinds that every peer has: each origin has a place for them in each store.
const USUAL: [Kind; 3] = [Kind::PEER, Kind::LINKS, Kind::HEARTBEAT];
/// No record.
const NONE: u32 = u32::MAX;
/// The slot stands among the unusual ones.
const ELSEWHERE: u32 = u32::MAX - 1;
/// Memberships whose rings are kept. While a mesh forms there are many, and each is of use for a moment only.
const MAX_RINGS: usize = 64;

/// All record bodies of a world, and the rings of its memberships.
#[derive(Default)]
pub(crate) struct Shelf {
    records: Vec<Option<Arc<Record>>>,
    /// How many stores hold each record.
    holders: Vec<u32>,
    /// Where each record stands: its origin, and its place among the usual kinds.
    places: Vec<(u32, u32)>,
    free: Vec<u32>,
    by_id: HashMap<u64, u32, BuildHasherDefault<Uniform>>,
    origins: HashMap<PeerId, u32, BuildHasherDefault<Uniform>>,
    /// Numbers of origins by rising id.
    order: Vec<u32>,
    ids: Vec<PeerId>,
    rings: BTreeMap<[u8; 32], (u64, Arc<Rings>)>,
    asked: u64,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shelf of {} records", self.by_id.len())
    }
}

impl Shelf {
    fn origin(&mut self, id: PeerId) -> usize {
        if let Some(number) = self.origins.get(&id) {
            return *number as usize;
        }
        let number = u32::try_from(self.ids.len()).unwrap_or(NONE);
        let place = self.order.partition_point(|other| {
            self.ids.get(*other as usize).is_some_and(|other| *other < id)
        });
        self.order.insert(place, number);
        self.ids.push(id);
        self.origins.insert(id, number);
        number as usize
    }

    /// Takes a record in, or one more holder of it.
    fn hold(&mut self, record: &Arc<Record>) -> u32 {
        let known = self.by_id.get(&record.id().0).copied();
        if let Some(handle) = known.filter(|handle| self.get(*handle) == Some(record)) {
            self.share(handle);
            return handle;
        }
        let handle = self.free.pop().unwrap_or_else(|| {
            self.records.push(None);
            self.holders.push(0);
            self.places.push((NONE, NONE));
            u32::try_from(self.records.len() - 1).unwrap_or(NONE)
        });
        if let (Some(place), Some(holders)) =
            (self.records.get_mut(handle as usize), self.holders.get_mut(handle as usize))
        {
            *place = Some(record.clone());
            *holders = 1;
        }
        let kind = usual(record.slot()).and_then(|kind| u32::try_from(kind).ok());
        let origin = u32::try_from(self.origin(record.origin())).unwrap_or(NONE);
        if let Some(place) = self.places.get_mut(handle as usize) {
            *place = (origin, kind.unwrap_or(NONE));
        }
        self.by_id.entry(record.id().0).or_insert(handle);
        handle
    }

    fn share(&mut self, handle: u32) {
        if let Some(holders) = self.holders.get_mut(handle as usize) {
            *holders += 1;
        }
    }

    fn release(&mut self, handle: u32) {
        let Some(holders) = self.holders.get_mut(handle as usize) else { return };
        *holders -= 1;
        if *holders == 0
            && let Some(record) = self.records.get_mut(handle as usize).and_then(Option::take)
        {
            if self.by_id.get(&record.id().0) == Some(&handle) {
                self.by_id.remove(&record.id().0);
            }
            self.free.push(handle);
        }
    }

    fn get(&self, handle: u32) -> Option<&Arc<Record>> {
        self.records.get(handle as usize)?.as_ref()
    }

    fn rings(&mut self, key: &[u8; 32], build: &mut dyn FnMut() -> Rings) -> Arc<Rings> {
        self.asked += 1;
        let asked = self.asked;
        if let Some((last, rings)) = self.rings.get_mut(key) {
            *last = asked;
            return rings.clone();
        }
        let rings = Arc::new(build());
        if self.rings.len() >= MAX_RINGS {
            let oldest = self.rings.iter().min_by_key(|(_, (last, _))| *last).map(|(key, _)| *key);
            oldest.and_then(|oldest| self.rings.remove(&oldest));
        }
        self.rings.insert(*key, (asked, rings.clone()));
        rings
    }
}

/// The store of one virtual node.
pub struct SharedStore {
    shelf: Rc<RefCell<Shelf>>,
    /// Per origin: handles of its records of the usual kinds.
    usual: Vec<[u32; USUAL.len()]>,
    /// Slots of other kinds, and those with two bodies.
    unusual: BTreeMap<SlotKey, Slot>,
    len: usize,
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedStore of {} slots", self.len)
    }
}

impl SharedStore {
    /// An empty store on a shelf.
    pub(crate) fn new(shelf: &Rc<RefCell<Shelf>>) -> Self {
        Self { shelf: shelf.clone(), usual: Vec::new(), unusual: BTreeMap::new(), len: 0 }
    }

    /// What it holds; it is empty afterwards.
    pub(crate) fn take(&mut self) -> Self {
        let empty = Self::new(&self.shelf);
        std::mem::replace(self, empty)
    }

    fn handle(&self, shelf: &Shelf, key: &SlotKey) -> u32 {
        let (Some(kind), Some(origin)) = (usual(key), shelf.origins.get(&key.origin)) else {
            return ELSEWHERE;
        };
        let handles = self.usual.get(*origin as usize);
        handles.and_then(|handles| handles.get(kind)).copied().unwrap_or(NONE)
    }

    fn set(&mut self, shelf: &mut Shelf, key: &SlotKey, handle: u32) {
        let Some(kind) = usual(key) else { return };
        let origin = shelf.origin(key.origin);
        if self.usual.len() <= origin {
            self.usual.reserve_exact(shelf.ids.len() - self.usual.len());
            self.usual.resize(shelf.ids.len(), [NONE; USUAL.len()]);
        }
        let place = self.usual.get_mut(origin).and_then(|handles| handles.get_mut(kind));
        if let Some(place) = place {
            let old = std::mem::replace(place, handle);
            if old < ELSEWHERE {
                shelf.release(old);
            }
        }
    }

    fn visit_origin(&self, shelf: &Shelf, number: u32, visit: &mut dyn FnMut(&Arc<Record>)) {
        let handles = self.usual.get(number as usize).into_iter().flatten();
        for record in handles.filter_map(|handle| shelf.get(*handle)) {
            visit(record);
        }
        let Some(id) = shelf.ids.get(number as usize) else { return };
        if self.unusual.is_empty() {
            return;
        }
        let first = SlotKey { origin: *id, scope: 0, kind: Kind(0), key: [].into() };
        for (_, slot) in self.unusual.range(first..).take_while(|(key, _)| key.origin == *id) {
            visit(&slot.top);
            slot.rival.iter().for_each(&mut *visit);
        }
    }
}

impl RecordStore for SharedStore {
    fn slot(&self, key: &SlotKey) -> Option<Slot> {
        let shelf = self.shelf.borrow();
        match self.handle(&shelf, key) {
            NONE => None,
            ELSEWHERE => self.unusual.get(key).cloned(),
            handle => Some(Slot { top: shelf.get(handle)?.clone(), rival: None }),
        }
    }

    fn put(&mut self, key: &SlotKey, slot: Slot) {
        let shelf = self.shelf.clone();
        let mut shelf = shelf.borrow_mut();
        let before = self.handle(&shelf, key);
        let was_there = match before {
            NONE => false,
            ELSEWHERE => self.unusual.remove(key).is_some(),
            _ => true,
        };
        self.len += usize::from(!was_there);
        if slot.rival.is_none() && usual(key).is_some() {
            let handle = shelf.hold(&slot.top);
            self.set(&mut shelf, key, handle);
        } else {
            shelf.origin(key.origin);
            self.set(&mut shelf, key, ELSEWHERE);
            self.unusual.insert(key.clone(), slot);
        }
    }

    fn remove(&mut self, key: &SlotKey) {
        let shelf = self.shelf.clone();
        let mut shelf = shelf.borrow_mut();
        let was_there = match self.handle(&shelf, key) {
            NONE => false,
            ELSEWHERE => self.unusual.remove(key).is_some(),
            _ => true,
        };
        if was_there {
            self.len -= 1;
            self.set(&mut shelf, key, NONE);
        }
    }

    fn by_id(&self, id: RecordId) -> Option<Arc<Record>> {
        let shelf = self.shelf.borrow();
        if let Some(handle) = shelf.by_id.get(&id.0)
            && let Some((origin, kind)) = shelf.places.get(*handle as usize)
            && let Some(handles) = self.usual.get(*origin as usize)
            && handles.get(*kind as usize) == Some(handle)
        {
            return shelf.get(*handle).cloned();
        }
        if self.unusual.is_empty() {
            return None;
        }
        let unusual = self.unusual.values();
        let mut bodies = unusual.flat_map(|slot| [Some(&slot.top), slot.rival.as_ref()]).flatten();
        bodies.find(|record| record.id() == id).cloned()
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Arc<Record>)) {
        let shelf = self.shelf.borrow();
        for number in &shelf.order {
            self.visit_origin(&shelf, *number, visit);
        }
    }

    fn for_origin(&self, origin: &PeerId, visit: &mut dyn FnMut(&Arc<Record>)) {
        let shelf = self.shelf.borrow();
        if let Some(number) = shelf.origins.get(origin) {
            self.visit_origin(&shelf, *number, visit);
        }
    }

    fn len(&self) -> usize {
        self.len
    }

    fn rings(&self, key: &[u8; 32], build: &mut dyn FnMut() -> Rings) -> Arc<Rings> {
        self.shelf.borrow_mut().rings(key, build)
    }
}

impl Clone for SharedStore {
    fn clone(&self) -> Self {
        let mut shelf = self.shelf.borrow_mut();
        for handle in self.usual.iter().flatten().filter(|handle| **handle < ELSEWHERE) {
            shelf.share(*handle);
        }
        Self {
            shelf: self.shelf.clone(),
            usual: self.usual.clone(),
            unusual: self.unusual.clone(),
            len: self.len,
        }
    }
}

impl Drop for SharedStore {
    fn drop(&mut self) {
        let mut shelf = self.shelf.borrow_mut();
        for handle in self.usual.iter().flatten().filter(|handle| **handle < ELSEWHERE) {
            shelf.release(*handle);
        }
    }
}

/// The place of a usual slot among those of its origin.
fn usual(key: &SlotKey) -> Option<usize> {
    let plain = key.scope == 0 && key.key.is_empty();
    USUAL.iter().position(|kind| *kind == key.kind).filter(|_| plain)
}

/// A hash for keys that are random already: their last eight bytes.
#[derive(Debug, Default)]
pub(crate) struct Uniform(u64);

impl Hasher for Uniform {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk::<8>() {
            self.0 ^= u64::from_le_bytes(*last);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 ^= value;
    }

    // The length of an array tells nothing.
    fn write_usize(&mut self, _: usize) {}
}

#[cfg(test)]
mod tests {
    use plexmesh_proto::record::{MeshId, Payload};
    use plexmesh_proto::types::Version;
    use plexmesh_proto::view::MemoryStore;
    use proptest::prelude::*;

    use super::*;
    use crate::keys::{Verified, VirtualCrypto};

    /// Signed records: few origins, kinds and versions, so that slots are often hit twice.
    fn records() -> Vec<Arc<Record>> {
        let verified = Rc::new(Verified::default());
        let mut records = Vec::new();
        for origin in 0..4 {
            let mut crypto = VirtualCrypto::new(1, "peer", origin, 0, verified.clone());
            let id = crypto.peer_id();
            for version in 1..4 {
                for kind in [Kind::LINKS.0, Kind::HEARTBEAT.0, Kind::LEAVE.0, 99] {
                    let payload = match Kind(kind) {
                        Kind::LINKS => Payload::Links(Default::default()),
                        Kind::HEARTBEAT => Payload::Heartbeat(Default::default()),
                        Kind::LEAVE => Payload::leave(format!("{version}")),
                        _ => Payload::Unknown(Kind(kind), vec![1]),
                    };
                    let mesh = MeshId([1; 32]);
                    let version = Version(version);
                    let record = Record::sign(&mut crypto, &mesh, id, version, 9_000, payload);
                    records.push(Arc::new(record));
                }
            }
        }
        records
    }

    fn contents(store: &impl RecordStore) -> Vec<RecordId> {
        let mut ids = Vec::new();
        store.for_each(&mut |record| ids.push(record.id()));
        ids.sort_unstable();
        ids
    }

    proptest! {
        #[test]
        fn it_holds_what_the_protocols_own_store_holds(
            steps in proptest::collection::vec((0..48usize, 0..48usize, 0..4u8), 0..80),
        ) {
            let records = records();
            let shelf = Rc::new(RefCell::new(Shelf::default()));
            let (mut shared, mut plain) = (SharedStore::new(&shelf), MemoryStore::default());
            let copy = shared.clone();
            for (first, second, what) in steps {
                let (top, other) = (&records[first], &records[second]);
                let rival = (what == 0 && other.slot() == top.slot() && other != top)
                    .then(|| other.clone());
                if what == 3 {
                    shared.remove(top.slot());
                    plain.remove(top.slot());
                } else {
                    let slot = Slot { top: top.clone(), rival };
                    shared.put(top.slot(), slot.clone());
                    plain.put(top.slot(), slot);
                }
                prop_assert_eq!(shared.slot(top.slot()), plain.slot(top.slot()));
                prop_assert_eq!(shared.len(), plain.len());
                prop_assert_eq!(contents(&shared), contents(&plain));
                for record in &records {
                    prop_assert_eq!(shared.by_id(record.id()), plain.by_id(record.id()));
                }
            }
            prop_assert_eq!(copy.len(), 0);
            drop(shared);
            prop_assert!(shelf.borrow().by_id.is_empty());
        }
    }
}
