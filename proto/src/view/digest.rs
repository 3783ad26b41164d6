//! The additive state digest.

use crate::record::Record;
use crate::types::StateDigest;

/// A sum of record hashes, lane by lane modulo 2^64.
///
/// Additive, so that taking and dropping a record cost one addition, and independent of order. Four lanes of 64 bits keep the sum as wide as the
/// hash; what travels is a hash of the sum, which gives nothing away to steer by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DigestSum {
    lanes: [u64; 4],
}

impl DigestSum {
    pub(super) fn add(&mut self, record: &Record) {
        self.apply(record, u64::wrapping_add);
    }

    pub(super) fn subtract(&mut self, record: &Record) {
        self.apply(record, u64::wrapping_sub);
    }

    pub(super) fn summary(&self) -> StateDigest {
        let mut hasher = blake3::Hasher::new();
        for lane in self.lanes {
            hasher.update(&lane.to_le_bytes());
        }
        let mut summary = [0; 16];
        summary.copy_from_slice(hasher.finalize().as_bytes().split_at(16).0);
        StateDigest(summary)
    }

    fn apply(&mut self, record: &Record, combine: impl Fn(u64, u64) -> u64) {
        if !record.kind().is_state() {
            return;
        }
        for (lane, bytes) in self.lanes.iter_mut().zip(record.hash().as_chunks::<8>().0) {
            *lane = combine(*lane, u64::from_le_bytes(*bytes));
        }
    }
}
