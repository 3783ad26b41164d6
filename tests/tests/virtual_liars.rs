//! Virtual time: peers that lie are named and change nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::time::Duration;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::report::HealthCode;
use plexmesh_simulator::{Lie, World, check};
use plexmesh_tests::worlds::{all_but, seed};

#[test]
fn a_false_observer_and_an_equivocator_are_named_and_nobody_is_called_down() {
    let (liar, equivocator) = (11, 22);
    let mut world = World::builder(seed(5)).nodes(50).loss(0.01).build();
    world.corrupt(liar, Lie::FalseObserver);
    world.corrupt(equivocator, Lie::Equivocator);
    let honest = all_but(&world, &[liar, equivocator]);
    let expected = [
        (HealthCode::ObserverDisagrees, world.peer_id(liar)),
        (HealthCode::Equivocation, world.peer_id(equivocator)),
    ];
    let named_at = |world: &World, host: usize| {
        let findings = check::findings(world, host);
        expected.iter().all(|(code, peer)| {
            findings.iter().any(|finding| finding.code == *code && finding.peer == *peer)
        })
    };
    let named = world.run_until(Duration::from_secs(120), |world| {
        check::digests_equal(world, &honest) && honest.iter().all(|&host| named_at(world, host))
    });
    println!("named by all after {named:?}");
    assert!(named.is_some(), "{:?}", check::findings(&world, honest[0]));
    world.run_for(Duration::from_secs(300));
    for &host in &honest {
        assert!(named_at(&world, host), "at {host}: {:?}", check::findings(&world, host));
    }
    let downs = world.history().changes().iter().filter(|change| change.to == PeerState::Down);
    assert_eq!(downs.count(), 0);
    let all: Vec<usize> = (0..world.len()).collect();
    assert!(all.iter().all(|&subject| check::all_see(&world, &honest, subject, PeerState::Up)));
}
