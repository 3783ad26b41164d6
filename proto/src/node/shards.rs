//! What this peer says of its shards, and what it hears of those of others.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Node;
use crate::event::Event;
use crate::integrity::{FindingKind, Inventory, ShardFinding, ShardReport};
use crate::port::Crypto;
use crate::record::{Kind, Payload, Record};
use crate::types::{MILLI, Now, PeerId, SECOND, Time, Version};
use crate::view::RecordStore;

/// A count that goes on changing is told this often; that something begins or ends is told at once.
const RECOUNT_INTERVAL: u64 = 10 * SECOND;
/// Findings that may follow each other at once: each kind begins or ends, and some end again.
const BURST: u32 = 16;
/// One more per this much time: a disk that comes and goes costs the mesh no more than two broadcasts in five seconds.
const REFILL: u64 = 2_500 * MILLI;

/// What the driver told of this peer's shards, and what of that was published when.
#[derive(Debug, Default)]
pub(super) struct Shards {
    /// `None` until the driver has looked: what an earlier start said stands until then.
    report: Option<ShardReport>,
    told: BTreeMap<FindingKind, Time>,
    spent: u32,
    refilled: Time,
}

impl Shards {
    pub(super) fn take(&mut self, report: ShardReport) {
        self.report = Some(report);
    }

    pub(super) fn inventory(&self) -> Option<&Inventory> {
        self.report.as_ref()?.inventory.as_ref()
    }

    /// When a change may be told. `begins_or_ends` tells a beginning or an end from a new count.
    fn earliest(&mut self, kind: FindingKind, begins_or_ends: bool, now: Time) -> Time {
        let earned = u32::try_from(now.since(self.refilled) / REFILL).unwrap_or(u32::MAX);
        if earned > 0 {
            self.spent = self.spent.saturating_sub(earned);
            self.refilled = now;
        }
        let token = if self.spent < BURST { now } else { self.refilled.plus(REFILL) };
        let recount = self.told.get(&kind).filter(|_| !begins_or_ends);
        recount.map_or(token, |told| told.plus(RECOUNT_INTERVAL).max(token))
    }

    fn note(&mut self, kind: FindingKind, now: Time) {
        self.told.insert(kind, now);
        self.spent += 1;
    }
}

impl<C: Crypto, S: RecordStore> Node<C, S> {
    /// What a peer says is wrong with its shards, by kind, and when it said so last; what is over is among it, with a count of 0.
    pub fn shard_findings(&self, peer: &PeerId, now: Now) -> Vec<(Version, ShardFinding)> {
        let mut findings = Vec::new();
        self.view.for_origin(peer, &mut |record: &Arc<Record>| {
            let valid = finding(record).filter(|_| record.expires_s() > now.wall_s());
            findings.extend(valid.map(|finding| (record.version(), finding)));
        });
        findings
    }

    /// What the driver knows of this peer's shards; `None` before it has looked.
    pub const fn own_shards(&self) -> Option<&ShardReport> {
        self.shards.report.as_ref()
    }

    /// All that members say is wrong with their shards.
    pub(super) fn all_shard_findings(&self, now: Now) -> Vec<(PeerId, ShardFinding)> {
        let mut found = Vec::new();
        self.view.for_each(&mut |record| {
            if let Some(finding) = finding(record).filter(|finding| finding.count > 0)
                && record.expires_s() > now.wall_s()
                && self.roster.find(&record.origin()).is_some_and(|member| !member.left)
            {
                found.push((record.origin(), finding));
            }
        });
        found
    }

    /// Tells what changed since it was last told.
    pub(super) fn publish_findings(&mut self, now: Now) {
        let Some(wanted) = self.shards.report.as_ref().map(|report| report.findings.clone()) else {
            return;
        };
        let published = self.shard_findings(&self.me(), now);
        let published: Vec<ShardFinding> = published.into_iter().map(|(_, it)| it).collect();
        let kinds: BTreeSet<FindingKind> =
            wanted.keys().copied().chain(published.iter().map(|finding| finding.kind)).collect();
        for kind in kinds {
            let count = wanted.get(&kind).copied().unwrap_or(0);
            let before = published.iter().find(|finding| finding.kind == kind);
            let count_before = before.map_or(0, |finding| finding.count);
            if count == count_before {
                continue;
            }
            let begins_or_ends = (count == 0) != (count_before == 0);
            let earliest = self.shards.earliest(kind, begins_or_ends, now.time);
            if earliest > now.time {
                self.publisher.request_at(Kind::FINDING, earliest);
                continue;
            }
            let since = before.filter(|_| !begins_or_ends).map(|finding| finding.since);
            let since = since.unwrap_or_else(|| self.clock.tick(now.wall_ms));
            self.shards.note(kind, now.time);
            let finding = ShardFinding { kind, count, severity: kind.severity(), since };
            self.publish(Payload::Finding(finding), now);
            let peer = self.me();
            self.emit(Event::ShardsChanged { peer, kind, before: count_before, count });
        }
    }

    /// How many shards the view says that a finding concerns, before a new record of it is merged.
    pub(super) fn counted(&self, record: &Record) -> u32 {
        if record.kind() != Kind::FINDING {
            return 0;
        }
        let slot = self.view.store().slot(record.slot());
        slot.and_then(|slot| finding(&slot.top)).map_or(0, |finding| finding.count)
    }

    /// Tells of a finding that was merged.
    pub(super) fn announce_finding(&mut self, record: &Record, before: u32) {
        if let Some(ShardFinding { kind, count, .. }) =
            finding(record).filter(|it| it.count != before)
        {
            self.emit(Event::ShardsChanged { peer: record.origin(), kind, before, count });
        }
    }
}

fn finding(record: &Record) -> Option<ShardFinding> {
    match record.payload() {
        Payload::Finding(finding) => Some(*finding),
        _ => None,
    }
}
