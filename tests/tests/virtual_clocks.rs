//! Virtual time: a clock that is wrong is named with how wrong it is, by its neighbours and by its
//! own host, whether it is ahead or behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::time::Duration;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::report::{Finding, HealthCode};
use plexmesh_simulator::{World, check};
use plexmesh_tests::worlds::{all_but, everybody, seed, settled};

/// Whose clock is set.
const WRONG: usize = 4;
/// In which time a wrong clock is named: two exchanges with each neighbour, one a second in turn,
/// and what was measured by visitors before that counts no more.
const NAMED: Duration = Duration::from_secs(150);
/// Most that a path takes there and back, in milliseconds.
const ERROR_MS: u64 = 1_000;

fn skews(world: &World, host: usize) -> Vec<Finding> {
    let findings = check::findings(world, host).into_iter();
    findings.filter(|finding| finding.code == HealthCode::ClockSkew).collect()
}

/// Peers whose clock `host` compared with its own.
fn compared(world: &World, host: usize, other: usize) -> Option<i64> {
    let peer = world.peer_id(other).unwrap();
    let peers = world.node(host).unwrap().peers(world.now_at(host));
    peers.into_iter().find(|it| it.id == peer)?.clock_ahead_ms
}

fn neighbours(world: &World) -> Vec<usize> {
    let others = all_but(world, &[WRONG]).into_iter();
    others.filter(|host| compared(world, *host, WRONG).is_some()).collect()
}

/// Whether every neighbour, and the host itself, says so and blames nobody else.
fn is_named(world: &World, words: &str) -> bool {
    let wrong = world.peer_id(WRONG);
    let says = |host: usize, words: &str| {
        let found = skews(world, host);
        found.len() == 1 && found[0].peer == wrong && found[0].evidence.contains(words)
    };
    let own = format!("this peer's clock is {words} those of");
    says(WRONG, &own) && neighbours(world).iter().all(|host| says(*host, words))
}

fn wrong_by(own: u64, offset_ms: i64, words: &str) {
    let (mut world, joined) = settled(World::builder(seed(own)).nodes(24).loss(0.02));
    assert!(joined.is_some());
    world.set_clock_offset(WRONG, offset_ms);
    let named = world.run_until(NAMED, |world| is_named(world, words));
    println!("{offset_ms} ms: named by all neighbours after {named:?}");
    assert!(named.is_some(), "{:?} {:?}", skews(&world, WRONG), neighbours(&world));
    assert!(neighbours(&world).len() >= 5);
    for host in neighbours(&world) {
        let ahead_ms = compared(&world, host, WRONG).unwrap();
        assert!(ahead_ms.abs_diff(offset_ms) < ERROR_MS, "{host}: {ahead_ms}");
        let clock = world.node(host).unwrap().overview(world.now_at(host)).own_clock.unwrap();
        assert!(clock.ahead_ms.unsigned_abs() < ERROR_MS, "{clock:?}");
    }
    let clock = world.node(WRONG).unwrap().overview(world.now_at(WRONG)).own_clock.unwrap();
    assert!(clock.ahead_ms.abs_diff(offset_ms) < ERROR_MS, "{clock:?}");
    assert!(world.history().counts().get("clock skew").is_some_and(|told| *told >= 6));

    world.set_clock_offset(WRONG, 0);
    // What was signed with a clock that was ahead lies in the future for as long.
    let until = NAMED + Duration::from_millis(offset_ms.max(0).unsigned_abs());
    let over = world.run_until(until, |world| {
        everybody(world).iter().all(|&host| skews(world, host).is_empty())
    });
    println!("{offset_ms} ms: over for all after {over:?}");
    assert!(over.is_some());
    let downs = world.history().changes().iter().filter(|it| it.to == PeerState::Down);
    assert_eq!(downs.count(), 0);
}

#[test]
fn a_clock_that_is_ahead_is_named_by_its_neighbours_and_by_itself() {
    wrong_by(31, 312_000, "312 s ahead of");
}

#[test]
fn a_clock_that_is_behind_is_named_by_its_neighbours_and_by_itself() {
    wrong_by(32, -312_000, "312 s behind");
}

#[test]
fn clocks_within_a_minute_of_each_other_are_nobodys_finding() {
    let (mut world, joined) = settled(World::builder(seed(33)).nodes(24).loss(0.02));
    assert!(joined.is_some());
    for host in everybody(&world) {
        let offset_ms = i64::try_from(host).unwrap() * 2_300 - 27_000;
        world.set_clock_offset(host, offset_ms);
    }
    world.run_for(NAMED);
    let named: Vec<_> = everybody(&world).iter().flat_map(|&host| skews(&world, host)).collect();
    assert!(named.is_empty(), "{named:?}");
}
