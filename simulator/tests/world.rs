//! What a world promises to those who run it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::time::Duration;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_simulator::{Start, World, check};

const MINUTE: Duration = Duration::from_secs(60);

fn world(seed: u64, nodes: usize) -> World {
    World::builder(seed).nodes(nodes).loss(0.05).build()
}

/// A run with something of everything in it.
fn eventful(seed: u64) -> [u8; 32] {
    let mut world = world(seed, 12);
    world.run_for(MINUTE);
    world.cut(1, 2);
    world.pause(3);
    world.crash(4);
    world.run_for(MINUTE / 2);
    world.resume(3);
    world.restart(4, false);
    world.partition(&[&[0, 1, 2, 3]]);
    world.run_for(MINUTE / 2);
    world.heal();
    world.add_node();
    world.run_for(MINUTE / 2);
    world.hash()
}

#[test]
fn one_seed_is_one_run() {
    assert_eq!(eventful(7), eventful(7));
}

#[test]
fn another_seed_is_another_run() {
    assert_ne!(eventful(7), eventful(8));
}

#[test]
fn peers_that_know_each_other_find_each_other_too() {
    let mut world = World::builder(2).nodes(12).start(Start::Warm).build();
    let hosts: Vec<usize> = (0..12).collect();
    let up = world.run_until(MINUTE, |world| check::all_up(world, &hosts));
    assert!(up.is_some());
}

#[test]
fn a_paused_peer_is_missed_and_comes_back_by_itself() {
    let mut world = world(3, 12);
    world.run_for(MINUTE);
    world.pause(5);
    let others: Vec<usize> = (0..12).filter(|&host| host != 5).collect();
    let missed =
        world.run_until(MINUTE, |world| check::all_see(world, &others, 5, PeerState::Down));
    assert!(missed.is_some());
    world.resume(5);
    let hosts: Vec<usize> = (0..12).collect();
    let back = world.run_until(2 * MINUTE, |world| {
        check::all_up(world, &hosts) && check::digests_equal(world, &hosts)
    });
    assert!(back.is_some());
    assert_eq!(check::false_downs(&world).count(), 0);
}

#[test]
fn a_clock_can_be_wrong_while_time_is_the_same() {
    let mut world = world(4, 2);
    world.set_clock_offset(1, -5_000);
    world.run_for(MINUTE);
    let (right, behind) = (world.now_at(0), world.now_at(1));
    assert_eq!(right.time, behind.time);
    assert_eq!(right.wall_ms - behind.wall_ms, 5_000);
}

#[test]
fn a_peer_that_is_off_has_no_node_and_its_disk_outlives_it() {
    let mut world = world(5, 5);
    world.run_for(MINUTE);
    let before = world.node(2).unwrap().last_version();
    world.crash(2);
    assert!(world.node(2).is_none());
    assert_eq!(world.running().collect::<Vec<_>>(), [0, 1, 3, 4]);
    world.restart(2, true);
    world.run_for(Duration::from_millis(1));
    let node = world.node(2).unwrap();
    assert!(node.last_version() >= before);
    assert_eq!(node.roster().members().len(), 5);
}
