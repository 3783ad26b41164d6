//! Checkers: they look at a world from outside and know what its nodes cannot.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::report::Finding;
use plexmesh_proto::types::{SECOND, StateDigest};

use crate::history::Change;
use crate::world::{World, micros};

/// A process that runs for less than this is still being heard of: a `down` that was true a moment
/// ago is not yet false.
const NEWLY_WELL_US: u64 = 30 * SECOND;

/// The different state digests among `hosts`, and how many have each.
#[must_use]
pub fn digests(world: &World, hosts: &[usize]) -> BTreeMap<StateDigest, usize> {
    let mut digests = BTreeMap::new();
    for node in hosts.iter().filter_map(|&host| world.node(host)) {
        *digests.entry(node.digest()).or_default() += 1;
    }
    digests
}

/// Whether all of `hosts` run and have one state digest.
#[must_use]
pub fn digests_equal(world: &World, hosts: &[usize]) -> bool {
    hosts.iter().all(|&host| world.node(host).is_some()) && digests(world, hosts).len() <= 1
}

/// What `observers` think of `subject`, and how many think so; those that have no opinion or do not
/// run are left out.
#[must_use]
pub fn states_of(world: &World, observers: &[usize], subject: usize) -> BTreeMap<PeerState, usize> {
    let mut states = BTreeMap::new();
    let Some(peer) = world.peer_id(subject) else { return states };
    for node in observers.iter().filter_map(|&host| world.node(host)) {
        if let Some(state) = node.state_of(&peer) {
            *states.entry(state).or_default() += 1;
        }
    }
    states
}

/// Whether every one of `observers` other than `subject` itself runs and thinks that `subject` is
/// in `state`.
#[must_use]
pub fn all_see(world: &World, observers: &[usize], subject: usize, state: PeerState) -> bool {
    let Some(peer) = world.peer_id(subject) else { return false };
    observers
        .iter()
        .filter(|&&host| host != subject)
        .all(|&host| world.node(host).is_some_and(|node| node.state_of(&peer) == Some(state)))
}

/// Whether every one of `hosts` runs and thinks that all of them are up.
#[must_use]
pub fn all_up(world: &World, hosts: &[usize]) -> bool {
    hosts.iter().all(|&subject| all_see(world, hosts, subject, PeerState::Up))
        && hosts.iter().all(|&host| world.node(host).is_some())
}

/// Every time that a node called a peer `down` that had been running for a while.
pub fn false_downs(world: &World) -> impl Iterator<Item = &Change> {
    accusations(world, &[PeerState::Down])
}

/// Every time that a node gave a peer that had been running for a while one of `states`.
pub fn accusations<'a>(
    world: &'a World,
    states: &'a [PeerState],
) -> impl Iterator<Item = &'a Change> {
    world.history().changes().iter().filter(move |change| {
        let well = change.well_since.is_some_and(|since| change.at.since(since) > NEWLY_WELL_US);
        well && states.contains(&change.to)
    })
}

/// Changes from a time on.
pub fn since<'a>(
    changes: impl Iterator<Item = &'a Change>,
    from: Duration,
) -> impl Iterator<Item = &'a Change> {
    changes.filter(move |change| change.at.0 >= micros(from))
}

/// What a host finds wrong.
#[must_use]
pub fn findings(world: &World, host: usize) -> Vec<Finding> {
    world.node(host).map(|node| node.findings(world.now_at(host))).unwrap_or_default()
}

/// All states that peers have in the eyes of `observers`.
#[must_use]
pub fn states(world: &World, observers: &[usize]) -> BTreeSet<PeerState> {
    (0..world.len()).flat_map(|subject| states_of(world, observers, subject).into_keys()).collect()
}
