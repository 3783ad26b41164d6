//! Who watches whom.

use plexmesh_net::peer_id_text;
use plexmesh_proto::record::Evidence as ProtoEvidence;
use plexmesh_proto::report::EdgeReport;

use super::{envelope, peers, percent, seconds, status, time_of};
use crate::api::schema::{Edge, EdgeFigures, Evidence, Item, Kind, One, Topology};
use crate::query::Snapshot;

/// Steps of `surprise` in one bit.
const SURPRISE_STEPS: f64 = 16.0;

/// All peers and all edges.
#[must_use]
pub fn topology(moment: &Snapshot<'_>) -> One<Topology> {
    let topology = Topology {
        peers: peers::all(moment),
        edges: moment.node.edges(moment.now).iter().map(edge).collect(),
        partition: status::partition(moment.node),
    };
    envelope(moment, Kind::Topology, Item { item: topology })
}

pub(super) fn edge(report: &EdgeReport) -> Edge {
    Edge {
        observer: peer_id_text(&report.observer.0),
        subject: peer_id_text(&report.subject.0),
        status: report.edge.status.into(),
        since: time_of(report.edge.since),
        assigned: report.assigned,
        one_way: report.one_way.map(Into::into),
        flaps: report.edge.flaps,
        poor: report.edge.poor,
        evidence: report.edge.evidence.as_ref().map(evidence),
        figures: report.figures.map(|figures| EdgeFigures {
            rtt_p50_micros: figures.rtt_p50_us,
            rtt_p99_micros: figures.rtt_p99_us,
            jitter_micros: figures.jitter_us,
            loss_percent: percent(figures.loss_permille),
        }),
    }
}

pub(super) fn evidence(evidence: &ProtoEvidence) -> Evidence {
    Evidence {
        missed_probes: evidence.missed,
        silence_seconds: seconds(evidence.silence_ms.into()),
        surprise_bits: f64::from(evidence.surprise) / SURPRISE_STEPS,
        indirect_asked: evidence.asked,
        indirect_heard: evidence.indirect_heard,
        outbound_only: evidence.outbound_only,
        observer_local_health: evidence.local_health,
    }
}
