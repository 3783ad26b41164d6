//! Findings and inventories on the wire.

use alloc::vec::Vec;

use super::PayloadError;
use crate::integrity::{FindingKind, INVENTORY_DIGEST_BYTES, Inventory, ShardFinding, VERDICTS};
use crate::report::Severity;
use crate::schema;
use crate::types::Version;

/// Most verdicts in an inventory: room for those of later versions, whose counts this one does not read.
const MAX_COUNTS: usize = 32;

impl ShardFinding {
    /// The key of its record: one of each kind stands beside the others.
    pub(super) const fn key(&self) -> u8 {
        self.kind.number()
    }

    pub(super) fn to_wire(self) -> schema::Finding {
        schema::Finding {
            kind: u32::from(self.kind.number()),
            count: self.count,
            severity: match self.severity {
                Severity::Low => schema::Severity::Low,
                Severity::Medium => schema::Severity::Medium,
                Severity::High => schema::Severity::High,
                Severity::Critical => schema::Severity::Critical,
            } as i32,
            since: self.since.0,
        }
    }

    pub(super) fn from_wire(wire: &schema::Finding) -> Result<Self, PayloadError> {
        let kind = FindingKind::of_number(wire.kind).ok_or(PayloadError::Finding)?;
        Ok(Self {
            kind,
            count: wire.count,
            severity: match wire.severity() {
                // Of a later version, or left out: what this version thinks of the kind.
                schema::Severity::Unspecified => kind.severity(),
                schema::Severity::Low => Severity::Low,
                schema::Severity::Medium => Severity::Medium,
                schema::Severity::High => Severity::High,
                schema::Severity::Critical => Severity::Critical,
            },
            since: Version(wire.since),
        })
    }
}

impl Inventory {
    pub(super) fn to_wire(&self) -> schema::Inventory {
        let used = self.counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        schema::Inventory {
            counts: self.counts.iter().take(used).copied().collect::<Vec<u32>>(),
            sources: self.sources,
            oldest_s: self.oldest_s,
            digest: u64::from_le_bytes(self.digest),
            pending: self.pending,
        }
    }

    pub(super) fn from_wire(wire: &schema::Inventory) -> Result<Self, PayloadError> {
        if wire.counts.len() > MAX_COUNTS {
            return Err(PayloadError::TooLarge);
        }
        let mut counts = [0; VERDICTS];
        counts.iter_mut().zip(&wire.counts).for_each(|(count, told)| *count = *told);
        let digest: [u8; INVENTORY_DIGEST_BYTES] = wire.digest.to_le_bytes();
        Ok(Self {
            counts,
            sources: wire.sources,
            oldest_s: wire.oldest_s,
            digest,
            pending: wire.pending,
        })
    }
}
