//! Virtual time: a crash is known soon, and nobody who lives is called down.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::time::Duration;

use plexmesh_proto::membership::state::{PeerState, Reason};
use plexmesh_proto::report::Finding;
use plexmesh_simulator::{Crash, World, check};
use plexmesh_tests::worlds::{all_but, everybody, is_settled, seed, settled};

#[test]
fn at_ten_percent_loss_a_crash_is_known_in_six_seconds_and_nobody_is_called_down_falsely() {
    let builder = World::builder(seed(1)).nodes(200).latency_ms(5..60).loss(0.1);
    let (mut world, joined) = settled(builder);
    println!("joined after {joined:?}");
    assert!(joined.is_some());
    world.run_for(Duration::from_secs(300));
    let hosts = everybody(&world);
    let late = world.run_until(Duration::from_secs(15), |world| is_settled(world, &hosts));
    assert!(late.is_some(), "{:?}", check::digests(&world, &hosts));
    world.crash(100);
    let survivors = all_but(&world, &[100]);
    let known = world.run_until(Duration::from_secs(30), |world| {
        check::all_see(world, &survivors, 100, PeerState::Down)
    });
    println!("crash known after {known:?}");
    assert!(known.is_some_and(|known| known <= Duration::from_secs(6)), "{known:?}");
    world.run_for(Duration::from_secs(300));
    let equal =
        world.run_until(Duration::from_secs(15), |world| check::digests_equal(world, &survivors));
    assert!(equal.is_some(), "{:?}", check::digests(&world, &survivors));
    let false_downs: Vec<_> = check::false_downs(&world).collect();
    assert!(false_downs.is_empty(), "{false_downs:?}");
    assert_eq!(world.overflowed(), 0);
}

#[test]
fn a_mesh_of_one_agrees_with_itself_and_is_healthy() {
    let (world, joined) = settled(World::builder(seed(1)));
    assert!(joined.is_some());
    let node = world.node(0).unwrap();
    let overview = node.overview(world.now_at(0));
    assert!(overview.convergence.is_converged());
    assert_eq!(node.state_of(&node.me()), Some(PeerState::Up));
    assert_eq!(check::findings(&world, 0), []);
}

#[test]
fn while_a_lost_peer_may_be_found_again_nobody_is_told_that_others_hear_it() {
    let (mut world, joined) = settled(World::builder(seed(5)).nodes(20).latency_ms(5..60));
    assert!(joined.is_some());
    let away: Vec<usize> = (0..6).collect();
    let rest: Vec<usize> = (6..20).collect();
    world.partition(&[&away, &rest]);
    world.run_for(Duration::from_secs(60));
    // Who was cut off a moment ago believes no loss at once.
    world.heal();
    world.run_for(Duration::from_secs(2));
    world.crash(7);
    let crashed = world.peer_id(7).unwrap();
    let survivors = all_but(&world, &[7]);
    let mut looked = 0;
    for _ in 0..200 {
        world.run_for(Duration::from_millis(100));
        for &viewer in &survivors {
            let node = world.node(viewer).unwrap();
            if node.why(&crashed).is_none_or(|why| why.reason != Reason::MayBeFound) {
                continue;
            }
            looked += 1;
            let findings = check::findings(&world, viewer);
            let about = |finding: &&Finding| finding.other == Some(crashed);
            assert!(findings.iter().find(about).is_none(), "{findings:?}");
        }
    }
    assert!(looked > 0, "nobody waited for it to be found");
}

#[test]
fn with_too_few_observers_a_crashed_peer_is_unreachable_and_not_down() {
    for nodes in [2, 3] {
        let (mut world, joined) = settled(World::builder(seed(nodes as u64)).nodes(nodes));
        assert!(joined.is_some());
        world.crash(1);
        let survivors = all_but(&world, &[1]);
        let known = world.run_until(Duration::from_secs(10), |world| {
            check::all_see(world, &survivors, 1, PeerState::Unreachable)
        });
        println!("N={nodes}: known after {known:?}");
        assert!(known.is_some(), "{:?}", check::states_of(&world, &survivors, 1));
        world.run_for(Duration::from_secs(120));
        for &survivor in &survivors {
            let why = world.node(survivor).unwrap().why(&world.peer_id(1).unwrap()).unwrap();
            assert_eq!((why.state, why.reason), (PeerState::Unreachable, Reason::TooFewObservers));
        }
        assert!(world.history().changes().iter().all(|change| change.to != PeerState::Down));
    }
}

#[test]
fn three_observers_are_enough_to_call_a_crashed_peer_down() {
    for crash in [Crash::Host, Crash::Process] {
        let (mut world, joined) = settled(World::builder(seed(4)).nodes(4));
        assert!(joined.is_some());
        world.crash_as(1, crash);
        let survivors = all_but(&world, &[1]);
        let known = world.run_until(Duration::from_secs(10), |world| {
            check::all_see(world, &survivors, 1, PeerState::Down)
        });
        println!("{crash:?}: known after {known:?}");
        assert!(known.is_some(), "{:?}", check::states_of(&world, &survivors, 1));
    }
}

#[test]
fn a_peer_that_comes_back_for_a_moment_and_dies_again_is_down() {
    let (mut world, joined) = settled(World::builder(seed(5)).nodes(20));
    assert!(joined.is_some());
    world.crash(1);
    let survivors = all_but(&world, &[1]);
    let is_down = |world: &World| check::all_see(world, &all_but(world, &[1]), 1, PeerState::Down);
    assert!(world.run_until(Duration::from_secs(10), is_down).is_some());
    // With its disk it would have nothing new to say.
    world.restart(1, false);
    // It speaks, and is gone before its observers have found it again.
    let spoke = world.run_until(Duration::from_secs(10), |world| {
        check::states_of(world, &survivors, 1).contains_key(&PeerState::Flapping)
    });
    assert!(spoke.is_some());
    world.crash(1);
    let known = world.run_until(Duration::from_secs(60), is_down);
    assert!(known.is_some(), "{:?}", check::states_of(&world, &survivors, 1));
}
