//! How well peers know how far they are from each other.

use std::collections::BTreeSet;

use plexmesh_proto::record::EdgeStatus;

use super::quantile::percentiles;
use crate::dice::Dice;
use crate::world::{VirtualNode, World};

/// Most pairs whose estimate is compared: the 99th percentile then rests on two hundred of them.
const MAX_PAIRS: usize = 20_000;

impl World {
    /// The round-trip time between two hosts as the paths are, without jitter, in microseconds.
    #[must_use]
    pub fn rtt_us(&self, a: usize, b: usize) -> u64 {
        self.links.rtt_us(a, b)
    }
}

/// Relative errors of what peers estimate their round trip to others to be that they share no edge
/// with: the quantiles 0 to 100 per cent; empty if nobody estimates. In a large mesh those of 20,000
/// pairs, drawn.
#[must_use]
pub fn latency_error(world: &World) -> Vec<f64> {
    let well = |host: &usize| {
        let truth = world.truth(*host);
        truth.counts() && !truth.impaired
    };
    let hosts: Vec<usize> = (0..world.len()).filter(well).collect();
    percentiles(pairs(world, &hosts).into_iter().filter_map(|(a, b)| error(world, a, b)).collect())
}

/// Who observes whom, and the one-way latency from the observer to its subject in milliseconds, as
/// the first honest running peer of the largest party knows it.
#[must_use]
pub fn edges(world: &World) -> Vec<(usize, usize, f64)> {
    let hosts: Vec<usize> = (0..world.len()).filter(|&host| world.truth(host).counts()).collect();
    let digests = crate::check::digests(world, &hosts);
    let common = digests.iter().max_by_key(|(_, count)| **count).map(|(digest, _)| *digest);
    let mut nodes = hosts.iter().filter_map(|&host| world.node(host));
    let Some(node) = nodes.find(|node| Some(node.digest()) == common) else { return Vec::new() };
    let roster = node.roster();
    let mut edges = Vec::new();
    for (index, observer) in (0u32..).zip(roster.members()) {
        let Some(from) = world.host_of(&observer.id()) else { continue };
        let works = roster
            .edges(index)
            .filter(|(_, edge)| matches!(edge.status, EdgeStatus::Heard | EdgeStatus::Checking));
        for to in works.filter_map(|(_, edge)| world.host_of(&edge.subject)) {
            edges.push((from, to, world.links.latency_us(from, to) as f64 / 1e3));
        }
    }
    edges.sort_by_key(|&(from, to, _)| (from, to));
    edges
}

/// All pairs, or a sample of them.
fn pairs(world: &World, hosts: &[usize]) -> Vec<(usize, usize)> {
    let count = hosts.len();
    if count * count.saturating_sub(1) / 2 <= MAX_PAIRS {
        let after = |place: usize| hosts.iter().skip(place + 1);
        return (hosts.iter().enumerate())
            .flat_map(|(place, &a)| after(place).map(move |&b| (a, b)))
            .collect();
    }
    let mut dice = Dice::new(world.seed, "latency error", 0);
    let mut draw = || hosts.get(dice.below(count as u64) as usize).copied().unwrap_or_default();
    let mut drawn = BTreeSet::new();
    for _ in 0..MAX_PAIRS {
        let (a, b) = (draw(), draw());
        if a != b {
            drawn.insert((a.min(b), a.max(b)));
        }
    }
    drawn.into_iter().collect()
}

/// How wrong `a` is about its round trip to `b`, in relation to the true one.
fn error(world: &World, a: usize, b: usize) -> Option<f64> {
    let (node, a_id, b_id) = (world.node(a)?, world.peer_id(a)?, world.peer_id(b)?);
    if world.parted_since(a, b).is_some() || shares_edge(node, &b_id) {
        return None;
    }
    let estimate = f64::from(node.estimate_us(&a_id, &b_id, world.now_at(a))?);
    let truth = world.rtt_us(a, b) as f64;
    (truth > 0.0).then(|| (estimate - truth).abs() / truth)
}

/// Whether one of the two observes the other, and so measures.
fn shares_edge(node: &VirtualNode, other: &plexmesh_proto::types::PeerId) -> bool {
    let roster = node.roster();
    let (Some(me), Some(other)) = (roster.index_of(&node.me()), roster.index_of(other)) else {
        return false;
    };
    let observes = |a, b| roster.sighting(a, b).is_some();
    observes(me, other) || observes(other, me)
}
