//! What the metrics are made of.

use std::collections::BTreeMap;

use plexmesh_net::NetStats;

use super::status::{Judged, judged, states};
use super::{integrity, members, refer, seconds};
use crate::api::health;
use crate::api::schema::{Health, Integrity, PeerRef, Severity, SocketFigures, State, States};
use crate::api::schema::{PeerIntegrity, Verdicts};
use crate::query::Snapshot;

/// Figures of one moment, as metrics need them: unknown is `None`.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// The one word on the mesh.
    pub health: Option<Health>,
    /// Peers by state.
    pub states: States,
    /// Peers that did not leave.
    pub members: usize,
    /// Neighbours that answered lately, and how many of them have the same view.
    pub asked_and_equal: Option<(usize, usize)>,
    /// Reachable peers without a valid heartbeat.
    pub heartbeats_missing: Option<usize>,
    /// Age of the oldest valid heartbeat, in seconds.
    pub oldest_heartbeat_seconds: Option<f64>,
    /// This peer's doubt in itself.
    pub local_health: Option<u8>,
    /// Findings by code and severity.
    pub findings: BTreeMap<(&'static str, Severity), usize>,
    /// Shards of this peer; `None` if it has not told.
    pub own_shards: Option<Shards>,
    /// Shards of all peers; `None` if none has told.
    pub mesh_shards: Option<Shards>,
    /// All peers that did not leave.
    pub peers: Vec<(PeerRef, State)>,
    /// Records in the view.
    pub records: Option<usize>,
    /// Connected peers.
    pub connections: Option<usize>,
    /// Since the agent was started.
    pub uptime_seconds: Option<f64>,
    /// Sequence number of the latest event; 0 if there was none.
    pub last_event: Option<u64>,
    /// Events that were forgotten.
    pub events_forgotten: Option<u64>,
    /// Counters of the protocol.
    pub protocol: BTreeMap<&'static str, u64>,
    /// Figures of the transport; `None` before they are known.
    pub transport: Option<NetStats>,
    /// Figures of the local socket.
    pub socket: Option<SocketFigures>,
}

/// Shards in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shards {
    /// By verdict.
    pub verdicts: Verdicts,
    /// Not read yet, and not past their deadline.
    pub pending: u64,
    /// All.
    pub all: u64,
    /// Age of the oldest verification; `None` if there is none.
    pub oldest_seconds: Option<u64>,
}

/// Gathers what metrics are made of. `settled`: the mesh has once been converged since the start.
#[must_use]
pub fn metrics(moment: &Snapshot<'_>, settled: bool, socket: SocketFigures) -> Gathered {
    let Judged { overview, found, health, .. } = judged(moment, settled);
    let mut findings = BTreeMap::new();
    for finding in &found {
        let key = (health::text(finding.code).name, finding.severity.into());
        *findings.entry(key).or_default() += 1;
    }
    let integrity = integrity::summed_up(moment);
    let me = refer(moment.node, &overview.me);
    let own = integrity.peers.iter().find(|peer| peer.peer.id == me.id);
    Gathered {
        health: Some(health),
        states: states(&overview),
        members: members(&overview),
        asked_and_equal: Some((overview.convergence.asked, overview.convergence.equal)),
        heartbeats_missing: Some(overview.lag.missing),
        oldest_heartbeat_seconds: overview.lag.oldest_ms.map(seconds),
        local_health: Some(overview.local_health),
        findings,
        own_shards: own.and_then(shards_of),
        mesh_shards: shards_of_all(&integrity),
        peers: integrity.peers.into_iter().map(|peer| (peer.peer, peer.state)).collect(),
        records: Some(overview.records),
        connections: Some(overview.connections),
        uptime_seconds: Some(seconds(moment.now.wall_ms.saturating_sub(moment.started_ms))),
        last_event: Some(moment.events.iter().next_back().map_or(0, |entry| entry.sequence)),
        events_forgotten: Some(moment.events.forgotten()),
        protocol: moment
            .node
            .counters()
            .iter()
            .chain(moment.malformed)
            .map(|(name, count)| (*name, *count))
            .collect(),
        transport: Some(*moment.net),
        socket: Some(socket),
    }
}

fn shards_of(peer: &PeerIntegrity) -> Option<Shards> {
    Some(Shards {
        verdicts: peer.verdicts.clone()?,
        pending: peer.pending_shards?,
        all: peer.shards?,
        oldest_seconds: peer.oldest_verification_seconds,
    })
}

fn shards_of_all(mesh: &Integrity) -> Option<Shards> {
    let told = mesh.peers.iter().any(|peer| peer.shards.is_some());
    told.then(|| Shards {
        verdicts: mesh.verdicts.clone(),
        pending: mesh.pending_shards,
        all: mesh.shards,
        oldest_seconds: mesh.oldest_verification_seconds,
    })
}
