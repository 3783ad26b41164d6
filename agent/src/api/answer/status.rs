//! Is the mesh well?

use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::report::{
    Finding as ProtoFinding, HealthCode, Overview, Severity as ProtoSeverity,
};
use plexmesh_proto::types::PeerId;

use super::{envelope, is_converged, members, refer, seconds, signed_seconds, time_of};
use crate::api::health;
use crate::api::schema::{
    Finding, Health, Item, Kind, One, OwnClock, Partition, PeerRef, State, States, Status,
};
use crate::query::{AgentNode, Snapshot};
use crate::time::WallTime;

/// Most findings in one answer. A mesh that is cut in two has one for each lost peer, and nobody
/// reads more than a page.
const MAX_FINDINGS: usize = 200;

/// Whether this agent has found its mesh: its neighbours agree with it, or it is a mesh of its own
/// and was not told of others.
#[must_use]
pub fn is_settled(moment: &Snapshot<'_>, expects_company: bool) -> bool {
    let overview = moment.node.overview(moment.now);
    is_converged(&overview) && (overview.convergence.asked > 0 || !expects_company)
}

/// The mesh in a few figures. `settled`: it has once been converged since the start.
#[must_use]
pub fn status(moment: &Snapshot<'_>, settled: bool) -> One<Status> {
    let node = moment.node;
    let Judged { overview, found, health, summary } = judged(moment, settled);
    let status = Status {
        status: health,
        summary,
        states: states(&overview),
        members: members(&overview),
        reachable: overview.component,
        partition: partition(node),
        omitted_findings: found.len().saturating_sub(MAX_FINDINGS),
        findings: found.iter().take(MAX_FINDINGS).map(|it| finding(node, it)).collect(),
        local_health: overview.local_health,
        own_clock: overview.own_clock.map(|own| OwnClock {
            ahead_seconds: signed_seconds(own.ahead_ms),
            neighbours: own.neighbours,
        }),
        connections: overview.connections,
        records: overview.records,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: WallTime::from_ms(moment.started_ms),
        uptime_seconds: seconds(moment.now.wall_ms.saturating_sub(moment.started_ms)),
        listening: moment.listening.to_vec(),
    };
    envelope(moment, Kind::Status, Item { item: status })
}

/// What the one word on the mesh rests on.
pub(super) struct Judged {
    pub(super) overview: Overview,
    /// Everything that is wrong, root causes and the worst first.
    pub(super) found: Vec<ProtoFinding>,
    pub(super) health: Health,
    summary: String,
}

/// Judges the mesh. `settled`: it has once been converged since the start.
pub(super) fn judged(moment: &Snapshot<'_>, settled: bool) -> Judged {
    let overview = moment.node.overview(moment.now);
    let mut found = moment.node.findings(moment.now);
    found.extend(moment.troubles.iter().map(|trouble| ProtoFinding {
        code: trouble.code,
        severity: trouble.severity,
        peer: Some(moment.node.me()),
        other: None,
        evidence: trouble.evidence.clone(),
        because_of: None,
    }));
    found.extend(moment.denial.map(|denial| ProtoFinding {
        code: HealthCode::MembershipDenied,
        severity: ProtoSeverity::High,
        peer: Some(moment.node.me()),
        other: Some(denial.by),
        evidence: format!("nobody lets this peer in, and an enroller says: {}", denial.refusal),
        because_of: None,
    }));
    found.sort_by(|a, b| {
        (a.because_of.is_some(), b.severity).cmp(&(b.because_of.is_some(), a.severity))
    });
    let worst = found.iter().map(|finding| finding.severity).max();
    let (health, summary) = judge(&overview, worst, found.len(), settled);
    Judged { overview, found, health, summary }
}

/// The cut that this agent sees.
pub(super) fn partition(node: &AgentNode) -> Option<Partition> {
    node.partition().map(|cut| Partition {
        inside: cut.inside,
        outside: cut.outside.iter().map(|peer| refer(node, peer)).collect(),
        since: cut.since.map(time_of),
    })
}

/// The one word, and why. A view that may be wrong as a whole is `UNKNOWN` whatever it says; one
/// that is merely behind its neighbours still counts for what it knows to be wrong.
fn judge(
    overview: &Overview,
    worst: Option<ProtoSeverity>,
    findings: usize,
    settled: bool,
) -> (Health, String) {
    let total = members(overview);
    let up = overview.states.get(&PeerState::Up).copied().unwrap_or(0);
    let peers = format!("{up} of {total} peers up");
    if total > 1 && overview.component <= 1 {
        let text =
            format!("this peer hears none of the other {}: it may be cut off itself", total - 1);
        return (Health::Unknown, text);
    }
    if !settled {
        let text = format!("{peers}; this agent has not found its mesh yet");
        return (Health::Unknown, text);
    }
    let wrong = match findings {
        1 => "1 finding".to_owned(),
        many => format!("{many} findings"),
    };
    match worst {
        Some(ProtoSeverity::Critical | ProtoSeverity::High) => {
            (Health::Crit, format!("{peers}, {wrong}"))
        }
        Some(ProtoSeverity::Medium | ProtoSeverity::Low) => {
            (Health::Warn, format!("{peers}, {wrong}"))
        }
        None if !is_converged(overview) => {
            (Health::Unknown, format!("{peers}, but neighbours have another view"))
        }
        None if total == 1 => (Health::Ok, "a mesh of one".to_owned()),
        None => (Health::Ok, peers),
    }
}

pub(super) fn states(overview: &Overview) -> States {
    let mut states: States = State::ALL.iter().map(|state| (*state, 0)).collect();
    states.extend(overview.states.iter().map(|(state, count)| (State::from(*state), *count)));
    states
}

fn finding(node: &AgentNode, finding: &ProtoFinding) -> Finding {
    let text = health::text(finding.code);
    let who = |peer: &Option<PeerId>| peer.as_ref().map(|peer| refer(node, peer));
    let (peer, other) = (who(&finding.peer), who(&finding.other));
    let word = |peer: &Option<PeerRef>| peer.as_ref().map_or("", |peer| typed(peer)).to_owned();
    Finding {
        code: text.name.to_owned(),
        title: text.title.to_owned(),
        severity: finding.severity.into(),
        evidence: finding.evidence.clone(),
        because_of: finding.because_of.map(|code| health::text(code).name.to_owned()),
        advice: text.advice_for(&word(&peer), &word(&other)),
        docs: text.docs(),
        peer,
        other,
    }
}

/// What to type for a peer: its name if that needs no quoting in a shell, else its id. A name is
/// what its owner made it.
fn typed(peer: &PeerRef) -> &str {
    let plain = |name: &&str| {
        !name.starts_with('-')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    peer.name.as_deref().filter(plain).unwrap_or(&peer.id)
}

#[cfg(test)]
mod tests {
    use plexmesh_proto::report::{Convergence, HeartbeatLag};
    use plexmesh_proto::types::StateDigest;

    use super::*;

    fn overview(up: usize, unreachable: usize, asked: usize, equal: usize) -> Overview {
        Overview {
            me: PeerId([0; 32]),
            digest: StateDigest::default(),
            states: [(PeerState::Up, up), (PeerState::Unreachable, unreachable)].into(),
            component: up,
            convergence: Convergence { asked, equal },
            lag: HeartbeatLag::default(),
            local_health: 0,
            own_clock: None,
            connections: 0,
            records: 0,
        }
    }

    fn word(overview: &Overview, worst: Option<ProtoSeverity>, settled: bool) -> Health {
        judge(overview, worst, usize::from(worst.is_some()), settled).0
    }

    #[test]
    fn a_converged_mesh_without_findings_is_ok_and_never_with_one() {
        let well = overview(5, 0, 4, 4);
        assert_eq!(word(&well, None, true), Health::Ok);
        assert_eq!(word(&well, Some(ProtoSeverity::Low), true), Health::Warn);
        assert_eq!(word(&well, Some(ProtoSeverity::Medium), true), Health::Warn);
        assert_eq!(word(&well, Some(ProtoSeverity::High), true), Health::Crit);
    }

    #[test]
    fn a_peer_that_is_alone_by_loss_does_not_judge_the_others() {
        let alone = overview(1, 4, 0, 0);
        assert_eq!(word(&alone, Some(ProtoSeverity::Critical), true), Health::Unknown);
    }

    #[test]
    fn a_mesh_of_one_is_ok_and_one_that_nobody_answers_is_not() {
        assert_eq!(word(&overview(1, 0, 0, 0), None, true), Health::Ok);
        assert_eq!(word(&overview(3, 0, 0, 0), None, true), Health::Unknown);
        assert_eq!(word(&overview(1, 0, 0, 0), None, false), Health::Unknown);
    }

    #[test]
    fn what_is_known_to_be_wrong_counts_while_neighbours_differ() {
        let behind = overview(5, 0, 4, 3);
        assert_eq!(word(&behind, None, true), Health::Unknown);
        assert_eq!(word(&behind, Some(ProtoSeverity::High), true), Health::Crit);
    }

    #[test]
    fn advice_never_holds_a_name_that_a_shell_would_read() {
        let peer = |name: &str| PeerRef { id: "12D3KooW".into(), name: Some(name.into()) };
        assert_eq!(typed(&peer("node-7.eu")), "node-7.eu");
        for name in ["$(reboot)", "a b", "--yes", "x;y"] {
            assert_eq!(typed(&peer(name)), "12D3KooW", "{name}");
        }
    }
}
