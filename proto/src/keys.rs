//! Which secret of the mesh a peer takes.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::admission::Admissions;
use crate::record::{KeyEpoch, Payload, Record};
use crate::types::PeerId;
use crate::view::{RecordStore, View};

/// A secret of the mesh. Nothing prints it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MeshSecret(pub [u8; 32]);

impl fmt::Debug for MeshSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeshSecret(hidden)")
    }
}

/// Records that seal a secret to `peer`, of admins that were not put out, the one to take first: by epoch, then by (version, hash). A function of the set of records.
///
/// There is one of each admin at most. Those after the first matter if the first cannot be opened.
#[must_use]
pub fn sealed_to<S: RecordStore>(
    view: &View<S>,
    admissions: &Admissions,
    peer: &PeerId,
    wall_s: u64,
) -> Vec<Arc<Record>> {
    let mut found = Vec::new();
    view.for_each(&mut |record| {
        if key_epoch(record).is_some_and(|it| it.recipient == *peer)
            && record.expires_s() > wall_s
            && !admissions.is_unwanted(record)
        {
            found.push(record.clone());
        }
    });
    let epoch = |record: &Record| key_epoch(record).map(|it| it.epoch);
    found.sort_by(|a, b| (epoch(b), b.order()).cmp(&(epoch(a), a.order())));
    found
}

/// The highest epoch of any record; 0 if there is none.
#[must_use]
pub fn highest_epoch<S: RecordStore>(view: &View<S>) -> u32 {
    let mut highest = 0;
    view.for_each(&mut |record| {
        highest = highest.max(key_epoch(record).map_or(0, |it| it.epoch));
    });
    highest
}

/// What a record seals, if it is one that does.
pub(crate) fn key_epoch(record: &Record) -> Option<&KeyEpoch> {
    match record.payload() {
        Payload::KeyEpoch(epoch) => Some(epoch),
        _ => None,
    }
}
