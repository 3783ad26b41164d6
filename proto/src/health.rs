//! Findings: what is wrong with the mesh, derived from records and evaluation alone, so that all peers of a component name the same things.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::integrity::ShardFinding;
use crate::membership::state::{DOWN_QUORUM, Evaluation, Judgement, PeerState, Reason};
use crate::record::{EdgeStatus, LinkEdge};
use crate::report::{Finding, HealthCode, OneWay, Partition, Severity};
use crate::ring::RINGS;
use crate::roster::{Member, Roster};
use crate::types::{PeerId, Version};

/// Members lost within this of each other, in milliseconds, count as lost together: detection on the worst edges takes that long.
const TOGETHER_MS: u64 = 30_000;
/// Members lost together from which it is called a partition; one alone is a dead peer.
const PARTITION_MIN: usize = 2;
/// Subjects that an observer alone reports lost, from which it is named: two may be bad links, three are its own doing.
const DISAGREEMENTS: usize = 3;

/// What is wrong, the worst first.
#[must_use]
pub fn findings(
    roster: &Roster,
    evaluation: &Evaluation,
    shards: &[(PeerId, ShardFinding)],
) -> Vec<Finding> {
    let judgements = evaluation.judgements(roster);
    let partition = partition(roster, evaluation);
    let mut findings = Vec::new();
    if let Some(partition) = &partition {
        let evidence = format!(
            "{} members can be reached from here, {} were lost together: cut off, or failed at the same time",
            partition.inside,
            partition.outside.len()
        );
        findings.push(finding(HealthCode::Partition, Severity::Critical, None, evidence));
    }
    let outside: BTreeSet<PeerId> =
        partition.iter().flat_map(|partition| partition.outside.iter().copied()).collect();
    let liars = disagreeing(roster, &judgements);
    for (index, (member, judgement)) in (0..).zip(roster.members().iter().zip(&judgements)) {
        peer_findings(roster, judgement, index, member, &outside, &mut findings);
        if member.contradicts {
            let evidence = String::from(
                "signed two different records under one version; its reports do not count",
            );
            let peer = Some(member.id());
            findings.push(finding(HealthCode::Equivocation, Severity::High, peer, evidence));
        }
    }
    for (peer, lost) in &liars {
        let evidence =
            format!("reports {lost} subjects lost that most of their other observers hear");
        let peer = Some(*peer);
        findings.push(finding(HealthCode::ObserverDisagrees, Severity::High, peer, evidence));
    }
    edge_findings(roster, evaluation, &judgements, &liars, &mut findings);
    findings.extend(shards.iter().map(|(peer, found)| {
        let evidence = found.kind.in_words(found.count);
        finding(HealthCode::Shards(found.kind), found.severity, Some(*peer), evidence)
    }));
    findings.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then((a.code, a.peer, a.other).cmp(&(b.code, b.peer, b.other)))
    });
    findings
}

/// The two sides of a cut, if several members were lost together and cannot be reached.
#[must_use]
pub fn partition(roster: &Roster, evaluation: &Evaluation) -> Option<Partition> {
    let present = |index: &u32| roster.member(*index).is_some_and(|member| !member.left);
    let outside: Vec<u32> = evaluation.unreachable().filter(present).collect();
    if outside.len() < PARTITION_MIN {
        return None;
    }
    let mut lost: Vec<(Option<Version>, PeerId)> = Vec::new();
    for (index, judgement) in evaluation.judgements_of(roster, &outside) {
        // Laptops that sleep at the same time are no cut.
        let awake = judgement.state != PeerState::Asleep;
        if let Some(member) = roster.member(index).filter(|_| awake)
            && (judgement.since.is_some() || has_reported(member))
        {
            lost.push((judgement.since, member.id()));
        }
    }
    lost.sort_unstable();
    // Those without any report on this side stand with the largest group: nobody here can tell when they went.
    let (unseen, mut dated): (Vec<_>, Vec<_>) =
        lost.into_iter().partition(|(since, _)| since.is_none());
    // No loss, no cut: newcomers whose observers have not reported yet look the same.
    let group = largest_group(&dated)?;
    dated.retain(|(since, _)| (Some(group.0)..=Some(group.1)).contains(since));
    let since = dated.first().and_then(|(since, _)| *since);
    let mut outside: Vec<PeerId> = dated.into_iter().chain(unseen).map(|(_, id)| id).collect();
    outside.sort_unstable();
    let inside = evaluation.reachable.iter().filter(|reachable| **reachable).count();
    (outside.len() >= PARTITION_MIN).then_some(Partition { inside, outside, since })
}

/// Which single direction of an edge works, if exactly one does.
#[must_use]
pub fn one_way(observer: PeerId, edge: &LinkEdge, subject: &Member) -> Option<OneWay> {
    if edge.status != EdgeStatus::Lost {
        return None;
    }
    if edge.evidence.is_some_and(|evidence| evidence.outbound_only) {
        return Some(OneWay::OutboundCut);
    }
    let deaf = subject.links().is_some_and(|links| links.deaf.contains(&observer));
    deaf.then_some(OneWay::InboundCut)
}

/// A newcomer that nobody has reached yet was not lost.
fn has_reported(member: &Member) -> bool {
    member.links().is_some_and(|links| !links.edges.is_empty())
}

/// First and last loss of the largest run of losses that follow each other closely.
fn largest_group(dated: &[(Option<Version>, PeerId)]) -> Option<(Version, Version)> {
    let mut best: Option<(usize, Version, Version)> = None;
    let mut current: Option<(usize, Version, Version)> = None;
    for since in dated.iter().filter_map(|(since, _)| *since) {
        current = Some(match current {
            Some((count, from, to)) if since.ms().saturating_sub(to.ms()) <= TOGETHER_MS => {
                (count + 1, from, since)
            }
            _ => (1, since, since),
        });
        best = best.max(current);
    }
    best.map(|(_, from, to)| (from, to))
}

fn peer_findings(
    roster: &Roster,
    judgement: &Judgement,
    index: u32,
    member: &Member,
    outside: &BTreeSet<PeerId>,
    findings: &mut Vec<Finding>,
) {
    let statuses: Vec<EdgeStatus> = judgement
        .seats
        .iter()
        .filter_map(|seat| Some(roster.sighting(seat.observer, index)?.status()))
        .collect();
    let lost = statuses.iter().filter(|status| **status == EdgeStatus::Lost).count();
    let (code, severity) = match judgement.state {
        PeerState::Down => (HealthCode::PeerDown, Severity::High),
        PeerState::Unreachable => (HealthCode::PeerUnreachable, Severity::Medium),
        PeerState::Flapping => (HealthCode::PeerFlapping, Severity::Medium),
        PeerState::Up | PeerState::Suspect => {
            let expected = RINGS.min(roster.rings().len().saturating_sub(1)).min(DOWN_QUORUM);
            if statuses.len() < expected && judgement.reason != Reason::Myself {
                let evidence = format!(
                    "{} of its observers report on it, {expected} are needed",
                    statuses.len()
                );
                let peer = Some(member.id());
                findings.push(finding(HealthCode::MonitoringGap, Severity::Low, peer, evidence));
            }
            return;
        }
        PeerState::Asleep | PeerState::Left => return,
    };
    let evidence = format!("{lost} of {} observers in reach that watch it lost it", statuses.len());
    let because_of = outside.contains(&member.id()).then_some(HealthCode::Partition);
    findings.push(Finding { because_of, ..finding(code, severity, Some(member.id()), evidence) });
}

/// Observers that alone report several subjects lost, with how many.
fn disagreeing(roster: &Roster, judgements: &[Judgement]) -> Vec<(PeerId, usize)> {
    let mut alone = alloc::vec![0usize; roster.members().len()];
    for (index, judgement) in (0..).zip(judgements) {
        let words: Vec<(u32, EdgeStatus)> = judgement
            .seats
            .iter()
            .filter_map(|seat| {
                Some((seat.observer, roster.sighting(seat.observer, index)?.status()))
            })
            .collect();
        let heard = words.iter().filter(|(_, status)| *status == EdgeStatus::Heard).count();
        if 2 * heard <= words.len() {
            continue;
        }
        for (observer, _) in words.iter().filter(|(_, status)| *status == EdgeStatus::Lost) {
            if let Some(count) = alone.get_mut(*observer as usize) {
                *count += 1;
            }
        }
    }
    let members = roster.members().iter().zip(alone);
    members
        .filter(|(_, count)| *count >= DISAGREEMENTS)
        .map(|(member, count)| (member.id(), count))
        .collect()
}

fn edge_findings(
    roster: &Roster,
    evaluation: &Evaluation,
    judgements: &[Judgement],
    liars: &[(PeerId, usize)],
    findings: &mut Vec<Finding>,
) {
    for (index, observer) in (0..).zip(roster.members()) {
        if !evaluation.is_reachable(index) || liars.iter().any(|(peer, _)| *peer == observer.id()) {
            continue;
        }
        for (subject, edge) in roster.edges(index) {
            let Some((member, judgement)) =
                roster.member(subject).zip(judgements.get(subject as usize))
            else {
                continue;
            };
            let assigned = judgement.seats.iter().any(|seat| seat.observer == index);
            // Of a peer that a quorum lost a moment ago nobody can say that others hear it.
            let lives = matches!(judgement.state, PeerState::Up | PeerState::Suspect)
                && judgement.reason != Reason::MayBeFound;
            if edge.status != EdgeStatus::Lost || !lives || !assigned {
                continue;
            }
            findings.push(edge_finding(observer, member, edge));
        }
    }
}

fn edge_finding(observer: &Member, subject: &Member, edge: &LinkEdge) -> Finding {
    let (code, severity, evidence) = match one_way(observer.id(), edge, subject) {
        Some(OneWay::OutboundCut) => (
            HealthCode::EdgeAsymmetric,
            Severity::Medium,
            String::from("the subject reaches its observer, but hears nothing of it"),
        ),
        Some(OneWay::InboundCut) => (
            HealthCode::EdgeAsymmetric,
            Severity::Medium,
            String::from("the subject hears its observer, but its answers do not arrive"),
        ),
        None => {
            let missed = edge.evidence.map_or(0, |evidence| evidence.missed);
            let evidence =
                format!("{missed} probes in a row unanswered, while others hear the subject");
            (HealthCode::EdgeDegraded, Severity::Low, evidence)
        }
    };
    Finding { other: Some(subject.id()), ..finding(code, severity, Some(observer.id()), evidence) }
}

const fn finding(
    code: HealthCode,
    severity: Severity,
    peer: Option<PeerId>,
    evidence: String,
) -> Finding {
    Finding { code, severity, peer, other: None, evidence, because_of: None }
}
