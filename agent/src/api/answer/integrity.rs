//! How the shards of all peers are.

use plexmesh_proto::integrity::{FindingKind, Inventory, ShardFinding as Told, Verdict as Proto};
use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::report::{HealthCode, PeerReport, Severity as ProtoSeverity};
use plexmesh_proto::types::Version;

use super::{envelope, refer, time_of};
use crate::api::health;
use crate::api::schema::{
    Health, Integrity, Item, Kind, One, PeerIntegrity, ShardFinding, Verdict, Verdicts,
};
use crate::query::Snapshot;
use crate::text::counted;

/// The shards of all peers that did not leave.
#[must_use]
pub fn integrity(moment: &Snapshot<'_>) -> One<Integrity> {
    envelope(moment, Kind::Integrity, Item { item: summed_up(moment) })
}

/// The same without an envelope.
pub(super) fn summed_up(moment: &Snapshot<'_>) -> Integrity {
    let members = moment.node.peers(moment.now).into_iter();
    let peers: Vec<PeerIntegrity> = members
        .filter(|peer| peer.state != PeerState::Left)
        .map(|peer| of_peer(moment, &peer))
        .collect();
    let mut verdicts = no_shards();
    for (verdict, count) in peers.iter().filter_map(|peer| peer.verdicts.as_ref()).flatten() {
        *verdicts.entry(*verdict).or_default() += count;
    }
    let pending_shards = peers.iter().filter_map(|peer| peer.pending_shards).sum();
    let (status, summary) = judge(&peers, &verdicts, pending_shards);
    Integrity {
        status,
        summary,
        shards: peers.iter().filter_map(|peer| peer.shards).sum(),
        verdicts,
        pending_shards,
        oldest_verification_seconds: peers
            .iter()
            .filter_map(|peer| peer.oldest_verification_seconds)
            .max(),
        silent_peers: peers.iter().filter(|peer| peer.shards.is_none()).count(),
        peers,
    }
}

fn of_peer(moment: &Snapshot<'_>, peer: &PeerReport) -> PeerIntegrity {
    let told = moment.node.shard_findings(&peer.id, moment.now);
    let mut findings: Vec<&Told> =
        told.iter().map(|(_, finding)| finding).filter(|finding| finding.count > 0).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse((finding.severity, finding.kind)));
    let (summed_up, unknown_because) = inventory(moment, peer);
    let counted =
        summed_up.as_ref().map(|(inventory, at)| (inventory, counts(inventory, *at, &told)));
    PeerIntegrity {
        peer: refer(moment.node, &peer.id),
        state: peer.state.into(),
        sources: counted.as_ref().map(|(inventory, _)| inventory.sources),
        shards: counted.as_ref().map(|(inventory, verdicts)| {
            verdicts.values().sum::<u64>() + u64::from(inventory.pending)
        }),
        pending_shards: counted.as_ref().map(|(inventory, _)| u64::from(inventory.pending)),
        oldest_verification_seconds: counted
            .as_ref()
            .and_then(|(inventory, _)| inventory.oldest_s.map(u64::from)),
        verdicts: counted.map(|(_, verdicts)| verdicts),
        as_of: summed_up.map(|(_, at)| time_of(at)),
        unknown_because: unknown_because.map(str::to_owned),
        findings: findings.into_iter().map(finding).collect(),
    }
}

/// What a peer says of all its shards, and when it said so; or why it says nothing.
fn inventory(
    moment: &Snapshot<'_>,
    peer: &PeerReport,
) -> (Option<(Inventory, Version)>, Option<&'static str>) {
    const LOOKS_AT_NONE: &str = "it looks at no directory of shards";
    if peer.id == moment.node.me() {
        // The counter's bits make it younger than everything of this very millisecond.
        let now = Version((moment.now.wall_ms << 16) | u64::from(u16::MAX));
        let own = moment.node.own_shards();
        let own = own.map(|report| report.inventory.clone().map(|inventory| (inventory, now)));
        return match own {
            Some(Some(inventory)) => (Some(inventory), None),
            Some(None) => (None, Some(LOOKS_AT_NONE)),
            None => (None, Some("it has not looked at its directories yet")),
        };
    }
    match &peer.heartbeat {
        None => (None, Some("no valid heartbeat of it is here")),
        Some((at, heartbeat)) => match &heartbeat.inventory {
            Some(inventory) => (Some((inventory.clone(), *at)), None),
            None => (None, Some(LOOKS_AT_NONE)),
        },
    }
}

/// Shards by verdict: those of the summary, corrected by what was told later.
fn counts(inventory: &Inventory, at: Version, told: &[(Version, Told)]) -> Verdicts {
    let mut verdicts: Verdicts = Proto::ALL
        .into_iter()
        .map(|verdict| (verdict.into(), u64::from(inventory.count(verdict))))
        .collect();
    let mut moved: i64 = 0;
    for (_, finding) in told.iter().filter(|(said, _)| *said > at) {
        let FindingKind::Shards(kind) = finding.kind else { continue };
        let count = u64::from(finding.count);
        let before = verdicts.insert(kind.into(), count).unwrap_or(0);
        // A file that nobody recorded was no shard before.
        if kind != Proto::Orphan {
            moved += i64::from(finding.count) - i64::try_from(before).unwrap_or(i64::MAX);
        }
    }
    let ok = verdicts.entry(Verdict::Ok).or_default();
    *ok = ok.saturating_add_signed(-moved);
    verdicts
}

fn finding(told: &Told) -> ShardFinding {
    ShardFinding {
        code: health::text(HealthCode::Shards(told.kind)).name.to_owned(),
        severity: told.severity.into(),
        count: told.count,
        since: time_of(told.since),
    }
}

fn no_shards() -> Verdicts {
    Proto::ALL.into_iter().map(|verdict| (verdict.into(), 0)).collect()
}

/// The one word, and why.
fn judge(peers: &[PeerIntegrity], verdicts: &Verdicts, pending: u64) -> (Health, String) {
    let shards: u64 = verdicts.values().sum::<u64>() + pending;
    let ok = verdicts.get(&Verdict::Ok).copied().unwrap_or(0);
    let holders = peers.iter().filter(|peer| peer.shards.is_some()).count();
    let text = format!("{ok} of {shards} shards on {} ok", counted(holders, "peer"));
    let worst = peers.iter().flat_map(|peer| &peer.findings).map(|finding| finding.severity).max();
    let high = ProtoSeverity::High.into();
    match worst {
        Some(severity) if severity >= high => (Health::Crit, text),
        Some(_) => (Health::Warn, text),
        None if shards == 0 => (Health::Unknown, "no peer tells of any shards".to_owned()),
        None if pending > 0 => (Health::Unknown, format!("{text}, {pending} not read yet")),
        None => (Health::Ok, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(version: u64, verdict: Proto, count: u32) -> (Version, Told) {
        let kind = FindingKind::Shards(verdict);
        let severity = kind.severity();
        (Version(version), Told { kind, count, severity, since: Version(1) })
    }

    fn inventory(ok: u32, corrupt: u32) -> Inventory {
        let mut inventory = Inventory::default();
        inventory.counts[Proto::Ok.number()] = ok;
        inventory.counts[Proto::Corrupt.number()] = corrupt;
        inventory
    }

    #[test]
    fn a_finding_that_is_younger_than_the_summary_corrects_it() {
        let later = [told(9, Proto::Corrupt, 2), told(9, Proto::Orphan, 1)];
        let verdicts = counts(&inventory(10, 0), Version(5), &later);
        assert_eq!(verdicts[&Verdict::Ok], 8);
        assert_eq!(verdicts[&Verdict::Corrupt], 2);
        assert_eq!(verdicts[&Verdict::Orphan], 1);
        let over = [told(9, Proto::Corrupt, 0)];
        let verdicts = counts(&inventory(8, 2), Version(5), &over);
        assert_eq!((verdicts[&Verdict::Ok], verdicts[&Verdict::Corrupt]), (10, 0));
    }

    #[test]
    fn a_finding_that_is_older_than_the_summary_changes_nothing() {
        let verdicts = counts(&inventory(8, 2), Version(9), &[told(5, Proto::Corrupt, 1)]);
        assert_eq!((verdicts[&Verdict::Ok], verdicts[&Verdict::Corrupt]), (8, 2));
    }

    #[test]
    fn nothing_is_ok_by_default() {
        assert_eq!(judge(&[], &no_shards(), 0).0, Health::Unknown);
        assert_eq!(judge(&[], &no_shards(), 5).0, Health::Unknown);
        let ok = counts(&inventory(5, 0), Version(1), &[]);
        assert_eq!(judge(&[], &ok, 1).0, Health::Unknown);
        assert_eq!(judge(&[], &ok, 0).0, Health::Ok);
    }
}
