//! Peers, one or all.

use std::collections::BTreeSet;

use plexmesh_net::peer_id_text;
use plexmesh_proto::record::{Availability, Heartbeat as ProtoHeartbeat};
use plexmesh_proto::report::PeerReport;
use plexmesh_proto::types::{PeerId, Version};

use super::{envelope, filled, percent, refer, seconds, signed_seconds, time_of, topology};
use crate::api::schema::{Heartbeat, Item, Items, Kind, Many, One, Peer, PeerDetail, PeerRef, Rtt};
use crate::query::Snapshot;
use crate::time::WallTime;

/// Bytes in a MiB.
const MIB: u64 = 1024 * 1024;

/// All peers.
#[must_use]
pub fn peers(moment: &Snapshot<'_>) -> Many<Peer> {
    envelope(moment, Kind::PeerList, Items { items: all(moment) })
}

/// One peer with the edges at it; `None` if it has gone meanwhile.
#[must_use]
pub fn peer(moment: &Snapshot<'_>, id: &PeerId) -> Option<One<PeerDetail>> {
    let report = moment.node.peers(moment.now).into_iter().find(|peer| peer.id == *id)?;
    let (mut watches, mut watched_by) = (Vec::new(), Vec::new());
    let mut others = BTreeSet::new();
    for edge in moment.node.edges(moment.now) {
        if edge.observer == *id {
            others.insert(edge.subject);
            watches.push(topology::edge(&edge));
        } else if edge.subject == *id {
            others.insert(edge.observer);
            watched_by.push(topology::edge(&edge));
        }
    }
    let neighbours: Vec<PeerRef> = others.iter().map(|peer| refer(moment.node, peer)).collect();
    let detail = PeerDetail { peer: convert(moment, report), neighbours, watches, watched_by };
    Some(envelope(moment, Kind::Peer, Item { item: detail }))
}

pub(super) fn all(moment: &Snapshot<'_>) -> Vec<Peer> {
    moment.node.peers(moment.now).into_iter().map(|report| convert(moment, report)).collect()
}

fn convert(moment: &Snapshot<'_>, report: PeerReport) -> Peer {
    let profile = report.profile;
    let intermittent = profile.availability == Availability::Intermittent;
    Peer {
        id: peer_id_text(&report.id.0),
        name: filled(&profile.name),
        is_self: report.id == moment.node.me(),
        state: report.state.into(),
        reason: report.reason.into(),
        since: report.since.map(time_of),
        region: filled(&profile.region),
        zone: filled(&profile.zone),
        tier: filled(&profile.tier),
        addresses: profile.addresses,
        availability: profile.availability.into(),
        sleep_grace_seconds: intermittent.then_some(profile.sleep_grace_s),
        agent_version: filled(&profile.agent_version),
        certificate_lapses_at: WallTime::from_s(report.certificate_lapses_s),
        reachable: report.reachable,
        connected: report.connected,
        rtt: report.rtt.map(|rtt| Rtt { micros: rtt.micros, estimated: rtt.estimated }),
        clock_ahead_seconds: report.clock_ahead_ms.map(signed_seconds),
        heartbeat: report
            .heartbeat
            .map(|(version, it)| heartbeat(version, &it, moment.now.wall_ms)),
    }
}

fn heartbeat(version: Version, heartbeat: &ProtoHeartbeat, wall_ms: u64) -> Heartbeat {
    let resources = heartbeat.resources;
    Heartbeat {
        published_at: time_of(version),
        age_seconds: seconds(wall_ms.saturating_sub(version.ms())),
        uptime_seconds: heartbeat.uptime_s,
        instance: format!("{:016x}", heartbeat.instance),
        cpu_percent: resources.cpu_permille.map(percent),
        memory_percent: resources.memory_permille.map(percent),
        disk_total_bytes: resources.disk_total_mib.map(|mib| mib.saturating_mul(MIB)),
        disk_free_bytes: resources.disk_free_mib.map(|mib| mib.saturating_mul(MIB)),
        load_average: resources.load_centi.map(|centi| f64::from(centi) / 100.0),
    }
}
