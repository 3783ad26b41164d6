//! The shared view: a set of records that merges the same way in whatever order they arrive.
//!
//! Per slot the view keeps the record that is highest by (version, hash) and, where an origin signed two bodies under that same version, the second
//! highest as proof of the contradiction. What is kept is thus a function of the set of records ever merged: merging is commutative, associative and
//! idempotent.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::exchange::message::Cursor;
use crate::record::{Kind, Record, SlotKey};
use crate::types::{PeerId, RecordId, StateDigest, Version};

mod digest;
mod log;
mod store;

pub use store::{MemoryStore, RecordStore, Slot};

use digest::DigestSum;
use log::ChangeLog;

/// How long the bytes of an expired record stay, in seconds.
///
/// Ten times the clock skew that the mesh tolerates: within it all peers see the same expiry, and past it nobody takes the record in again.
pub const EXPIRY_GRACE_S: u64 = 600;
/// Most slots of kinds that this version does not know, per origin. A later version with a dozen more kinds still passes through.
pub const MAX_UNKNOWN_SLOTS: usize = 16;
/// Most tokens of one enroller that are known at a time: what somebody makes who lets in a whole mesh one by one within an hour.
pub const MAX_INVITES: usize = 1_024;
/// Most enrolments, revocations and sealed secrets of one origin, each: every peer of the largest mesh.
pub const MAX_ENROLMENTS: usize = 8_192;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Taken: it fills a slot or takes the place of an older record.
    Taken,
    /// Taken as the second body under one version: its origin contradicts itself.
    Contradiction,
    /// This very body is here already.
    Known,
    /// A later one, or two higher bodies under the same version, are here.
    Outdated,
    /// Its time is over.
    Expired,
    /// Its origin has its fill of records of such kinds that rank higher.
    Crowded,
}

impl Merge {
    /// Whether the view changed.
    #[must_use]
    pub const fn changed(self) -> bool {
        matches!(self, Self::Taken | Self::Contradiction)
    }
}

/// What `changes_since` found.
#[derive(Debug, Default)]
pub struct Changes {
    /// Records learned since, oldest first.
    pub ids: Vec<RecordId>,
    /// Where to go on.
    pub cursor: Cursor,
    /// The cursor was of another epoch: nothing can be said but where the log ends now.
    pub reset: bool,
}

/// A set of records over a [`RecordStore`].
#[derive(Debug)]
pub struct View<S> {
    store: S,
    digest: DigestSum,
    log: ChangeLog,
    /// No record expires before this, in Unix seconds.
    first_expiry_s: u64,
}

impl<S: RecordStore> View<S> {
    /// A view over what `store` already holds. `epoch` is random and not 0: it tells this log from those of earlier starts.
    pub fn open(store: S, epoch: u64) -> Self {
        let mut digest = DigestSum::default();
        let mut first_expiry_s = u64::MAX;
        store.for_each(&mut |record| {
            digest.add(record);
            first_expiry_s = first_expiry_s.min(record.expires_s());
        });
        Self { digest, log: ChangeLog::new(epoch), store, first_expiry_s }
    }

    /// Merges a record whose signature the caller checked. `from` is who passed it on, so that it is not offered back.
    pub fn merge(&mut self, record: &Arc<Record>, from: Option<PeerId>, wall_s: u64) -> Merge {
        if is_over(record, wall_s) {
            return Merge::Expired;
        }
        let key = record.slot();
        let Some(mut slot) = self.store.slot(key) else {
            if !self.make_room(record) {
                return Merge::Crowded;
            }
            self.add(record, from);
            self.store.put(key, Slot { top: record.clone(), rival: None });
            return Merge::Taken;
        };
        if slot.top == *record || slot.rival.as_ref() == Some(record) {
            return Merge::Known;
        }
        let same_version = slot.top.version() == record.version();
        let outcome = if record.version() > slot.top.version() {
            self.drop_record(&slot.top);
            if let Some(rival) = slot.rival.take() {
                self.drop_record(&rival);
            }
            slot.top = record.clone();
            Merge::Taken
        } else if same_version && record.order() > slot.top.order() {
            if let Some(rival) = slot.rival.replace(slot.top) {
                self.drop_record(&rival);
            }
            slot.top = record.clone();
            Merge::Contradiction
        } else if same_version && slot.rival.as_ref().is_none_or(|r| record.order() > r.order()) {
            if let Some(rival) = slot.rival.replace(record.clone()) {
                self.drop_record(&rival);
            }
            Merge::Contradiction
        } else {
            return Merge::Outdated;
        };
        self.add(record, from);
        self.store.put(key, slot);
        outcome
    }

    /// Why merging a record would change nothing, before anybody spends a signature check on it; `None` if it would.
    pub fn is_useless(&self, record: &Record, wall_s: u64) -> Option<Merge> {
        if is_over(record, wall_s) {
            return Some(Merge::Expired);
        }
        let slot = self.store.slot(record.slot())?;
        if *slot.top == *record || slot.rival.as_deref() == Some(record) {
            return Some(Merge::Known);
        }
        (record.version() < slot.top.version()).then_some(Merge::Outdated)
    }

    /// Whether any record may have expired.
    pub const fn has_expired(&self, wall_s: u64) -> bool {
        self.first_expiry_s <= wall_s
    }

    /// Drops what has been expired for longer than the grace. Gives how many records left.
    pub fn expire(&mut self, wall_s: u64) -> usize {
        let mut over: Vec<Arc<Record>> = Vec::new();
        let mut first_expiry_s = u64::MAX;
        self.store.for_each(&mut |record| {
            if is_over(record, wall_s) {
                over.push(record.clone());
            } else {
                first_expiry_s = first_expiry_s.min(record.expires_s());
            }
        });
        self.first_expiry_s = first_expiry_s;
        for record in &over {
            self.remove(record);
        }
        over.len()
    }

    /// Drops records that nobody is to have any more. Gives how many.
    pub fn purge(&mut self, unwanted: &dyn Fn(&Record) -> bool) -> usize {
        let mut out: Vec<Arc<Record>> = Vec::new();
        self.store.for_each(&mut |record| {
            if unwanted(record) {
                out.push(record.clone());
            }
        });
        for record in &out {
            self.remove(record);
        }
        out.len()
    }

    /// The record of a slot, if it has not expired.
    pub fn get(&self, origin: PeerId, kind: Kind, wall_s: u64) -> Option<Arc<Record>> {
        let key = SlotKey { origin, scope: 0, kind, key: [].into() };
        let record = self.store.slot(&key)?.top;
        (record.expires_s() > wall_s).then_some(record)
    }

    /// The two bodies under one version, if the origin contradicts itself in this slot.
    pub fn contradiction(&self, origin: PeerId, kind: Kind) -> Option<(Arc<Record>, Arc<Record>)> {
        let slot = self.store.slot(&SlotKey { origin, scope: 0, kind, key: [].into() })?;
        slot.rival.map(|rival| (slot.top, rival))
    }

    /// The record with this id.
    pub fn by_id(&self, id: RecordId) -> Option<Arc<Record>> {
        self.store.by_id(id)
    }

    /// Whether the record with this id is here.
    pub fn holds(&self, id: RecordId) -> bool {
        self.store.by_id(id).is_some()
    }

    /// The highest version of any record of `origin`.
    pub fn highest_version(&self, origin: &PeerId) -> Version {
        let mut highest = Version::default();
        self.store.for_origin(origin, &mut |record| highest = highest.max(record.version()));
        highest
    }

    /// Calls `visit` for every record, in an order that depends on the records alone.
    pub fn for_each(&self, visit: &mut dyn FnMut(&Arc<Record>)) {
        self.store.for_each(visit);
    }

    /// Calls `visit` for every record of one origin.
    pub fn for_origin(&self, origin: &PeerId, visit: &mut dyn FnMut(&Arc<Record>)) {
        self.store.for_origin(origin, visit);
    }

    /// The ids of all state records of one origin.
    pub fn state_ids(&self, origin: &PeerId) -> Vec<RecordId> {
        let mut ids = Vec::new();
        self.store.for_origin(origin, &mut |record| {
            if record.kind().is_state() {
                ids.push(record.id());
            }
        });
        ids
    }

    /// The items of all state records, for set reconciliation.
    pub fn state_items(&self) -> Vec<[u8; 16]> {
        let mut items = Vec::new();
        self.store.for_each(&mut |record| {
            if record.kind().is_state() {
                items.push(record.item());
            }
        });
        items
    }

    /// Summary of all state records; equal digests mean equal state.
    pub fn digest(&self) -> StateDigest {
        self.digest.summary()
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Another process speaks for a peer now: what came from that peer it need not know.
    pub fn forget_source(&mut self, peer: PeerId) {
        self.log.forget_source(peer);
    }

    /// What was learned past `cursor`, not from `asker` itself; at most `limit` ids. The default cursor asks for everything.
    pub fn changes_since(&self, cursor: Cursor, asker: PeerId, limit: usize) -> Changes {
        let store = &self.store;
        let Some(walk) = self.log.walk(cursor) else {
            return self.log.since(cursor, asker, limit, |id| store.by_id(id).is_some());
        };
        let (mut place, mut ids) = (0, Vec::new());
        store.for_each(&mut |record| {
            if (walk.place..walk.place.saturating_add(limit)).contains(&place) {
                ids.push(record.id());
            }
            place += 1;
        });
        let rest = place.saturating_sub(walk.place) > limit;
        let next = rest.then(|| walk.place.saturating_add(limit));
        Changes { ids, cursor: self.log.after_walk(walk, next), reset: false }
    }

    /// The end of this view's log.
    pub fn log_end(&self) -> Cursor {
        self.log.end()
    }

    /// The storage port.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The storage port, for a driver that keeps more than the view in it.
    pub const fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    fn add(&mut self, record: &Record, from: Option<PeerId>) {
        self.first_expiry_s = self.first_expiry_s.min(record.expires_s());
        self.digest.add(record);
        self.log.push(record.id(), from);
    }

    fn drop_record(&mut self, record: &Record) {
        self.digest.subtract(record);
    }

    fn remove(&mut self, record: &Arc<Record>) {
        let Some(mut slot) = self.store.slot(record.slot()) else { return };
        self.drop_record(record);
        if slot.rival.as_ref() == Some(record) {
            slot.rival = None;
            self.store.put(record.slot(), slot);
        } else if let Some(rival) = slot.rival {
            self.store.put(record.slot(), Slot { top: rival, rival: None });
        } else {
            self.store.remove(record.slot());
        }
    }

    /// Makes room for a record of a kind of which an origin may have many, by rank, not by arrival; whether there is.
    fn make_room(&mut self, record: &Arc<Record>) -> bool {
        let kind = record.kind();
        let most = match kind {
            Kind::INVITE => MAX_INVITES,
            Kind::ENROLMENT | Kind::REVOCATION | Kind::KEY_EPOCH => MAX_ENROLMENTS,
            kind if kind.is_known() => return true,
            _ => MAX_UNKNOWN_SLOTS,
        };
        if self.store.len() < most {
            return true;
        }
        let shares_the_room = |other: Kind| other == kind || !(kind.is_known() || other.is_known());
        let mut rivals: Vec<Arc<Record>> = Vec::new();
        self.store.for_origin(&record.origin(), &mut |other| {
            if shares_the_room(other.kind()) {
                rivals.push(other.clone());
            }
        });
        rivals.retain(|other| self.store.slot(other.slot()).is_some_and(|slot| slot.top == *other));
        if rivals.len() < most {
            return true;
        }
        let Some(lowest) = rivals.iter().min_by(|a, b| a.order().cmp(&b.order())) else {
            return true;
        };
        if lowest.order() >= record.order() {
            return false;
        }
        let lowest = lowest.clone();
        if let Some(rival) = self.store.slot(lowest.slot()).and_then(|slot| slot.rival) {
            self.remove(&rival);
        }
        self.remove(&lowest);
        true
    }
}

/// Whether a record's bytes are to leave, and are not to be taken in.
fn is_over(record: &Record, wall_s: u64) -> bool {
    wall_s >= record.expires_s().saturating_add(EXPIRY_GRACE_S)
}
