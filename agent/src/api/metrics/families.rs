//! Which metrics there are.

use plexmesh_net::NetStats;

use super::Family;
use crate::api::answer::{Gathered, Shards};
use crate::api::schema::{Health, PeerRef, Severity, State, Verdict};

/// Most peers with a series of their own: what a Prometheus takes from one target without harm.
const MAX_PEERS: usize = 1_000;
/// Verdicts of shards that cannot be restored from as they are.
const FAILED: [Verdict; 6] = [
    Verdict::Truncated,
    Verdict::Corrupt,
    Verdict::Missing,
    Verdict::Unreadable,
    Verdict::Modified,
    Verdict::Disputed,
];
/// What the score of the whole is at most while something is to be looked at within the hour.
const SCORE_WHEN_CRITICAL: f64 = 0.5;
/// What it is at most while something is to be looked at.
const SCORE_WHEN_WARNED: f64 = 0.9;

/// All metrics, those without a value too.
pub(super) fn all(at: &Gathered) -> Vec<Family> {
    let mut all = mesh(at);
    all.extend(shards(at));
    all.extend(agent(at));
    all.extend(transport(at));
    all.extend(known_names(at));
    all
}

fn mesh(at: &Gathered) -> Vec<Family> {
    let ratio = at.asked_and_equal.and_then(|(asked, equal)| share(equal, asked));
    vec![
        Family::gauge(
            "plexmesh_members",
            "Peers by state, as this peer sees them; those that left until they are forgotten.",
        )
        .by(["state"], at.states.iter().map(|(state, count)| ([state.word().to_owned()], *count))),
        Family::gauge(
            "plexmesh_view_convergence_ratio",
            "Share of the neighbours asked lately that have the same view. Absent while none \
             answers.",
        )
        .of(ratio),
        Family::gauge("plexmesh_heartbeats_missing", "Reachable peers without a valid heartbeat.")
            .of(at.heartbeats_missing),
        Family::gauge(
            "plexmesh_heartbeat_oldest_age_seconds",
            "Age of the oldest valid heartbeat of a reachable peer.",
        )
        .of(at.oldest_heartbeat_seconds),
        Family::gauge(
            "plexmesh_local_health_score",
            "This peer's doubt in itself: 0 is healthy, more is worse.",
        )
        .of(at.local_health),
        Family::gauge(
            "plexmesh_health_finding_active",
            "Findings that hold now, by code and severity; docs/health.md describes the codes. A \
             code without findings has no series.",
        )
        .by(
            ["code", "severity"],
            at.findings.iter().map(|((code, severity), count)| {
                ([(*code).to_owned(), severity.word().to_owned()], *count)
            }),
        ),
    ]
}

fn shards(at: &Gathered) -> Vec<Family> {
    let by_verdict = |shards: &Option<Shards>| -> Vec<([String; 1], u64)> {
        let verdicts = shards.iter().flat_map(|shards| &shards.verdicts);
        verdicts.map(|(verdict, count)| ([verdict.word().to_owned()], *count)).collect()
    };
    let (own, mesh) = (at.own_shards.as_ref(), at.mesh_shards.as_ref());
    vec![
        Family::gauge("plexmesh_shards", "Shards of this peer that were judged, by verdict.")
            .by(["verdict"], by_verdict(&at.own_shards)),
        Family::gauge(
            "plexmesh_shards_pending",
            "Shards of this peer that were not read yet and are not past their deadline.",
        )
        .of(own.map(|shards| shards.pending)),
        Family::gauge(
            "plexmesh_shard_oldest_verification_age_seconds",
            "Age of the oldest verification of a shard of this peer.",
        )
        .of(own.and_then(|shards| shards.oldest_seconds)),
        Family::gauge(
            "plexmesh_mesh_shards",
            "Shards of all peers that were judged, by verdict; a shard counts once on each peer \
             that holds it. Peers that say nothing are not in it.",
        )
        .by(["verdict"], by_verdict(&at.mesh_shards)),
        Family::gauge(
            "plexmesh_mesh_shards_pending",
            "Shards of all peers that were not read yet and are not past their deadline.",
        )
        .of(mesh.map(|shards| shards.pending)),
        Family::gauge(
            "plexmesh_mesh_shard_oldest_verification_age_seconds",
            "Age of the oldest verification of a shard of any peer.",
        )
        .of(mesh.and_then(|shards| shards.oldest_seconds)),
    ]
}

fn agent(at: &Gathered) -> Vec<Family> {
    let version = [([env!("CARGO_PKG_VERSION").to_owned()], 1_u64)];
    let socket = at.socket;
    vec![
        Family::gauge("plexmesh_build_info", "Always 1; the label says the agent's version.")
            .by(["version"], version),
        Family::gauge("plexmesh_uptime_seconds", "How long the agent has been running.")
            .of(at.uptime_seconds),
        Family::gauge("plexmesh_records", "Records in the view.").of(at.records),
        Family::gauge("plexmesh_connections", "Connected peers.").of(at.connections),
        Family::counter("plexmesh_events", "Events: the sequence number of the latest one.")
            .of(at.last_event),
        Family::counter(
            "plexmesh_events_forgotten",
            "Events that were forgotten to make room for later ones.",
        )
        .of(at.events_forgotten),
        Family::counter(
            "plexmesh_protocol_refusals",
            "What the protocol refused, ignored or failed at, by reason.",
        )
        .by(["reason"], at.protocol.iter().map(|(name, count)| ([(*name).to_owned()], *count))),
        Family::gauge(
            "plexmesh_socket_connections",
            "Open connections to the local socket, the asking one included.",
        )
        .of(socket.map(|socket| socket.connections)),
        Family::counter("plexmesh_socket_accepted", "Connections to the local socket.")
            .of(socket.map(|socket| socket.accepted)),
        Family::counter(
            "plexmesh_socket_refused",
            "Connections to the local socket refused because there were too many.",
        )
        .of(socket.map(|socket| socket.refused)),
    ]
}

/// The transport's own figures, whose names and descriptions are kept where they are counted.
fn transport(at: &Gathered) -> Vec<Family> {
    let figures = at.transport.as_ref().map(NetStats::figures);
    let known = figures.is_some();
    let figures = figures.unwrap_or_else(|| NetStats::default().figures());
    let words = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect();
    let families = figures.into_iter().map(|figure| {
        let name = format!("plexmesh_transport_{}", figure.name);
        let help = format!("Transport: {}", uncapital(figure.help));
        let family =
            if figure.is_gauge { Family::gauge(name, help) } else { Family::counter(name, help) };
        let samples = figure.values.into_iter().filter(|_| known);
        Family {
            labels: figure.labels.to_vec(),
            samples: samples.map(|(told, value)| (words(told), value.into())).collect(),
            ..family
        }
    });
    families.collect()
}

/// Metrics that rules of operators ask for by these names.
fn known_names(at: &Gathered) -> Vec<Family> {
    // Nothing failed yet among shards that nobody has looked at; that is no good news either.
    let judged = at.mesh_shards.as_ref();
    let judged = judged.filter(|shards| shards.all == 0 || shards.pending < shards.all);
    let (peers, omitted) = peers(at);
    vec![
        Family::gauge(
            "plexichat_integrity_check_failures",
            "Shards of all peers that fail now: truncated, corrupt, missing, unreadable, modified \
             or disputed. Falls when they are repaired. Absent while no peer tells of shards, or \
             none was looked at yet.",
        )
        .of(judged.map(|shards| FAILED.iter().map(|verdict| count(shards, *verdict)).sum::<u64>())),
        Family::gauge(
            "plexichat_corruption_rate",
            "Share of the shards of all peers that are corrupt, 0 to 1. Absent while no shard was \
             judged.",
        )
        .of(judged.and_then(|shards| share(count(shards, Verdict::Corrupt), shards.all))),
        Family::gauge(
            "plexichat_peer_health_status",
            "1 for a peer that is up, else 0; plexmesh_members tells the states apart. For 1000 \
             peers at the most, those that are not up first.",
        )
        .by(["peer_id", "peer"], peers),
        Family::gauge(
            "plexmesh_metrics_peers_omitted",
            "Peers without a plexichat_peer_health_status because there are too many.",
        )
        .of(omitted),
        Family::gauge(
            "plexichat_system_health_score",
            "0 to 1, 1 is well. The smallest of: the share of members that are up or asleep; the \
             share of judged shards that are ok, if there are any; 0.5 while a finding of severity \
             high or critical holds, 0.9 while another one does. Absent while the status is \
             UNKNOWN.",
        )
        .of(score(at)),
    ]
}

/// A series for each peer, and for how many there is no room; `None` before peers are known.
fn peers(at: &Gathered) -> (Vec<([String; 2], u64)>, Option<usize>) {
    let mut peers: Vec<&(PeerRef, State)> = at.peers.iter().collect();
    peers.sort_by_key(|(peer, state)| (*state == State::Up, &peer.id));
    let omitted = (!peers.is_empty()).then(|| peers.len().saturating_sub(MAX_PEERS));
    let series = peers.into_iter().take(MAX_PEERS).map(|(peer, state)| {
        let name = peer.name.clone().unwrap_or_default();
        ([peer.id.clone(), name], u64::from(*state == State::Up))
    });
    (series.collect(), omitted)
}

fn score(at: &Gathered) -> Option<f64> {
    at.health.filter(|health| *health != Health::Unknown)?;
    let well = |state: State| at.states.get(&state).copied().unwrap_or(0);
    let peers = share(well(State::Up) + well(State::Asleep), at.members)?;
    let shards = at.mesh_shards.as_ref().and_then(|shards| {
        share(count(shards, Verdict::Ok), shards.all.saturating_sub(shards.pending))
    });
    let worst = at.findings.keys().map(|(_, severity)| *severity).max();
    let findings = worst.map_or(1.0, |severity| {
        if severity >= Severity::High { SCORE_WHEN_CRITICAL } else { SCORE_WHEN_WARNED }
    });
    Some(peers.min(shards.unwrap_or(1.0)).min(findings))
}

fn count(shards: &Shards, verdict: Verdict) -> u64 {
    shards.verdicts.get(&verdict).copied().unwrap_or(0)
}

/// A part of a whole, 0 to 1; `None` of nothing.
#[allow(clippy::cast_precision_loss)] // Shares of counts that no mesh reaches.
fn share(part: impl TryInto<u64>, whole: impl TryInto<u64>) -> Option<f64> {
    let (part, whole) = (part.try_into().ok()?, whole.try_into().ok()?);
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Words with a small first letter, as they stand behind a colon.
fn uncapital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}
