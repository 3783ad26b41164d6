//! Why a peer has its state.

use plexmesh_proto::membership::state::DOWN_QUORUM;
use plexmesh_proto::report::ObserverReport;
use plexmesh_proto::types::PeerId;

use super::{envelope, refer, time_of, topology};
use crate::api::schema::{EdgeStatus, Item, Kind, Observer, One, Quorum, Reason, Why};
use crate::query::{AgentNode, Snapshot};

/// The judgement of one peer with everything that it rests on; `None` if the peer has gone
/// meanwhile.
#[must_use]
pub fn why(moment: &Snapshot<'_>, id: &PeerId) -> Option<One<Why>> {
    let report = moment.node.why(id)?;
    let observers: Vec<Observer> =
        report.observers.iter().map(|it| observer(moment.node, it)).collect();
    let reason = Reason::from(report.reason);
    let why = Why {
        peer: refer(moment.node, id),
        state: report.state.into(),
        reason,
        rule: reason.sentence().to_owned(),
        reachable: report.reachable,
        last_word_at: time_of(report.last_word),
        quorum: quorum(&observers),
        observers,
        passed_over: report.passed_over,
    };
    Some(envelope(moment, Kind::Why, Item { item: why }))
}

fn observer(node: &AgentNode, report: &ObserverReport) -> Observer {
    Observer {
        peer: refer(node, &report.observer),
        ring: report.ring,
        passed_over: report.passed_over,
        status: report.status.map(Into::into),
        since: report.since.map(time_of),
        evidence: report.evidence.as_ref().map(topology::evidence),
        flaps: report.flaps,
        poor: report.poor,
        set_aside: report.set_aside,
    }
}

fn quorum(observers: &[Observer]) -> Quorum {
    let count = |rule: fn(EdgeStatus) -> bool| {
        let counted = observers.iter().filter(|observer| !observer.set_aside);
        counted.filter(|observer| observer.status.is_some_and(rule)).count()
    };
    Quorum {
        lost: count(|status| status == EdgeStatus::Lost),
        able: count(|status| status != EdgeStatus::NoPath),
        needed: DOWN_QUORUM,
    }
}
