//! How far peers are from each other: measured on observed edges, estimated everywhere else.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::record::{Heartbeat, MAX_EDGES};
use crate::report::EdgeFigures;
use crate::types::{PeerId, SECOND, Time};

pub mod coordinate;
pub mod edge;
pub mod position;

use coordinate::{Coordinate, DIMENSIONS, WireCoordinate};
use edge::{EdgeStats, expand_loss, expand_us, quantise_loss, quantise_us};
use position::Position;

/// One edge feeds the coordinate this often, in microseconds: as often as a stranger is visited, so
/// that the few ring neighbours do not outweigh all others, whose round trips say more.
pub const SAMPLE_INTERVAL: u64 = 60 * SECOND;
/// A random peer that is no neighbour is visited this often for the coordinates, in microseconds: a
/// dial and five probes a minute cost about 100 bytes a second.
pub const VISIT_INTERVAL: u64 = 60 * SECOND;
/// Bytes of a packed coordinate.
const COORDINATE_BYTES: usize = 4 * DIMENSIONS + 4 + 2;
/// Bytes of one packed edge: short id, round trip, jitter, loss.
const EDGE_BYTES: usize = 4 + 2 + 2 + 1;
/// A coordinate whose own relative error is larger says nothing yet: it starts at 1.
const USABLE_ERROR: f64 = 0.9;
/// Edges in one heartbeat: the five of the rings and some that it took over. Keeps it under 300 bytes.
pub const MAX_HEARTBEAT_EDGES: usize = 8;

/// The latency child of a node.
#[derive(Debug)]
pub(crate) struct Latency {
    position: Position<PeerId>,
    sampled: BTreeMap<PeerId, Time>,
}

impl Latency {
    pub(crate) fn new() -> Self {
        Self { position: Position::new(), sampled: BTreeMap::new() }
    }

    /// Takes in a measured round trip to a peer that published `remote`.
    pub(crate) fn observe(
        &mut self,
        peer: PeerId,
        remote: &Heartbeat,
        rtt_us: u32,
        now: Time,
        entropy: u64,
    ) {
        let Some(remote) = unpack_coordinate(&remote.coordinate) else { return };
        if self.sampled.get(&peer).is_some_and(|last| now.since(*last) < SAMPLE_INTERVAL) {
            return;
        }
        if self.sampled.len() > 2 * MAX_EDGES {
            self.sampled.retain(|_, last| now.since(*last) < SAMPLE_INTERVAL);
        }
        self.sampled.insert(peer, now);
        self.position.observe(peer, &remote, rtt_us, entropy);
    }

    /// Takes in where a peer says it is.
    pub(crate) fn heard(&mut self, peer: PeerId, heartbeat: &Heartbeat) {
        if let Some(remote) = unpack_coordinate(&heartbeat.coordinate) {
            self.position.heard(&peer, &remote);
        }
    }

    /// The own coordinate for a heartbeat.
    pub(crate) fn packed_coordinate(&self) -> Vec<u8> {
        let wire = self.position.coordinate().to_wire();
        let mut bytes = Vec::with_capacity(COORDINATE_BYTES);
        for component in wire.vector_us {
            bytes.extend_from_slice(&component.to_le_bytes());
        }
        bytes.extend_from_slice(&wire.height_us.to_le_bytes());
        bytes.extend_from_slice(&wire.error_permille.to_le_bytes());
        bytes
    }
}

/// Estimated round trip between two peers from their heartbeats, in microseconds; `None` if one has no usable coordinate yet.
#[must_use]
pub fn estimate_us(a: &Heartbeat, b: &Heartbeat) -> Option<u32> {
    let (a, b) = (unpack_coordinate(&a.coordinate)?, unpack_coordinate(&b.coordinate)?);
    let worth = a.error() < USABLE_ERROR && b.error() < USABLE_ERROR;
    worth.then(|| coordinate::estimate_us(&a, &b))
}

/// Packs figures of observed edges for a heartbeat; edges without samples are left out.
#[must_use]
pub fn pack_edges<'a>(edges: impl Iterator<Item = (PeerId, &'a EdgeStats)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let measured = edges.filter_map(|(peer, stats)| {
        let summary = stats.summary();
        Some((peer, summary.rtt_p50_us?, summary))
    });
    for (peer, rtt_us, summary) in measured.take(MAX_HEARTBEAT_EDGES) {
        bytes.extend_from_slice(&short(&peer));
        bytes.extend_from_slice(&quantise_us(rtt_us).to_le_bytes());
        bytes.extend_from_slice(&quantise_us(summary.jitter_us.unwrap_or(0)).to_le_bytes());
        bytes.push(quantise_loss(summary.loss_permille.unwrap_or(0)));
    }
    bytes
}

/// The figures that a heartbeat carries of the edge to `subject`.
#[must_use]
pub fn edge_figures(heartbeat: &Heartbeat, subject: &PeerId) -> Option<EdgeFigures> {
    let packed = heartbeat.edges.as_chunks::<EDGE_BYTES>().0;
    let [_, _, _, _, r0, r1, j0, j1, loss] =
        packed.iter().find(|edge| edge.starts_with(&short(subject)))?;
    Some(EdgeFigures {
        rtt_p50_us: expand_us(u16::from_le_bytes([*r0, *r1])),
        rtt_p99_us: None,
        jitter_us: expand_us(u16::from_le_bytes([*j0, *j1])),
        loss_permille: u32::from(expand_loss(*loss)),
    })
}

/// Figures of an edge that this peer measures itself.
pub(crate) fn own_figures(stats: &EdgeStats) -> Option<EdgeFigures> {
    let summary = stats.summary();
    Some(EdgeFigures {
        rtt_p50_us: summary.rtt_p50_us?,
        rtt_p99_us: summary.rtt_p99_us,
        jitter_us: summary.jitter_us.unwrap_or(0),
        loss_permille: summary.loss_permille.map_or(0, u32::from),
    })
}

fn unpack_coordinate(bytes: &[u8]) -> Option<Coordinate> {
    let packed: &[u8; COORDINATE_BYTES] = bytes.try_into().ok()?;
    let (words, error) = packed.as_chunks::<4>();
    let (height, vector) = words.split_last()?;
    let mut vector_us = [0; DIMENSIONS];
    for (component, word) in vector_us.iter_mut().zip(vector) {
        *component = i32::from_le_bytes(*word);
    }
    let wire = WireCoordinate {
        vector_us,
        height_us: u32::from_le_bytes(*height),
        error_permille: u16::from_le_bytes(error.try_into().ok()?),
    };
    Coordinate::from_wire(&wire).ok()
}

/// Names a subject inside of one observer's heartbeat: four bytes tell its few subjects apart.
fn short(peer: &PeerId) -> [u8; 4] {
    let [a, b, c, d, ..] = peer.0;
    [a, b, c, d]
}
