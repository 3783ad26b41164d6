//! Round-trip times between all peers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::report::EdgeReport;
use plexmesh_proto::types::PeerId;

use super::{refer, stamp, topology};
use crate::api::schema::{EdgeStatus, Latency, PeerRef, Stamp};
use crate::query::Snapshot;

/// Most peers in one matrix: a quarter of a million pairs make an answer of about 2 MB.
pub const MAX_MATRIX_PEERS: usize = 512;

/// A matrix whose estimates are still to be filled in.
#[derive(Debug)]
pub struct Matrix {
    /// The moment at which it was begun.
    pub stamp: Stamp,
    /// What is known of it.
    pub latency: Latency,
    /// The peers, in the order of the rows.
    pub ids: Vec<PeerId>,
    /// Pairs without an estimate, as row and column: measured, or failed in either direction.
    excluded: BTreeSet<(usize, usize)>,
    /// Rows and columns of peers that cannot be reached.
    unreachable: BTreeSet<usize>,
}

/// The matrix of `wanted` peers, or of all: at most `limit`, those with a failed edge first.
/// Estimates are not filled in: they take too long to stop the driver for.
#[must_use]
pub fn matrix(moment: &Snapshot<'_>, wanted: Option<&BTreeSet<PeerId>>, limit: usize) -> Matrix {
    let node = moment.node;
    let edges = node.edges(moment.now);
    let failed: BTreeSet<PeerId> = edges
        .iter()
        .filter(|report| has_failed(report))
        .flat_map(|report| [report.observer, report.subject])
        .collect();
    let mut chosen: Vec<(bool, PeerRef, PeerId)> = node
        .roster()
        .members()
        .iter()
        .filter(|member| wanted.is_none_or(|wanted| wanted.contains(&member.id())))
        .filter(|member| wanted.is_some() || node.state_of(&member.id()) != Some(PeerState::Left))
        .map(|member| (!failed.contains(&member.id()), refer(node, &member.id()), member.id()))
        .collect();
    chosen.sort();
    let omitted_peers = chosen.len().saturating_sub(limit);
    chosen.truncate(limit);
    chosen.sort_by(|(_, a, _), (_, b, _)| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    let rows: BTreeMap<PeerId, usize> = chosen.iter().map(|(_, _, id)| *id).zip(0..).collect();
    let mut excluded = BTreeSet::new();
    let mut measured = Vec::new();
    for report in &edges {
        let places = rows.get(&report.observer).zip(rows.get(&report.subject));
        let Some((&from, &to)) = places else { continue };
        if has_failed(report) {
            excluded.extend([(from, to), (to, from)]);
        } else if report.figures.is_some() {
            excluded.insert((from, to));
        }
        measured.push(topology::edge(report));
    }
    let reachable = |id: &PeerId| {
        let index = node.roster().index_of(id);
        index.is_some_and(|index| node.evaluation().is_reachable(index))
    };
    let unreachable = rows.iter().filter(|(id, _)| !reachable(id)).map(|(_, row)| *row).collect();
    Matrix {
        stamp: stamp(moment),
        ids: chosen.iter().map(|(_, _, id)| *id).collect(),
        latency: Latency {
            peers: chosen.into_iter().map(|(_, peer, _)| peer).collect(),
            omitted_peers,
            measured,
            estimated_micros: Vec::new(),
        },
        excluded,
        unreachable,
    }
}

/// The estimates of some rows, from coordinates alone: pairs that must not have one are not left
/// out yet.
#[must_use]
pub fn estimate_rows(
    moment: &Snapshot<'_>,
    ids: &[PeerId],
    rows: Range<usize>,
) -> Vec<Vec<Option<u32>>> {
    let rows = ids.get(rows).unwrap_or_default();
    rows.iter()
        .map(|from| {
            ids.iter()
                .map(|to| (from != to).then(|| moment.node.estimate_us(from, to, moment.now))?)
                .collect()
        })
        .collect()
}

impl Matrix {
    /// Takes over the estimates of the next rows, without the pairs that must not have one.
    pub fn add_rows(&mut self, rows: Vec<Vec<Option<u32>>>) {
        for mut estimates in rows {
            let from = self.latency.estimated_micros.len();
            for (to, cell) in estimates.iter_mut().enumerate() {
                let out_of_reach =
                    self.unreachable.contains(&from) || self.unreachable.contains(&to);
                if out_of_reach || self.excluded.contains(&(from, to)) {
                    *cell = None;
                }
            }
            self.latency.estimated_micros.push(estimates);
        }
    }
}

fn has_failed(report: &EdgeReport) -> bool {
    EdgeStatus::from(report.edge.status).has_failed()
}
