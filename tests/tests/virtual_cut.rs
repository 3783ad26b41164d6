//! Virtual time: cuts and partitions are named, and nobody on the own side is accused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::time::Duration;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::report::HealthCode;
use plexmesh_simulator::{World, check};
use plexmesh_tests::worlds::{everybody, is_settled, seed, settled};

/// States that blame a peer.
const ACCUSED: [PeerState; 4] =
    [PeerState::Down, PeerState::Unreachable, PeerState::Flapping, PeerState::Suspect];

/// A host with a duty to watch another one.
fn observer_and_subject(world: &World) -> (usize, usize) {
    let node = world.node(0).unwrap();
    let subject = node.roster().index_of(&world.peer_id(7).unwrap()).unwrap();
    let judgement = node.evaluation().judgement(node.roster(), subject).unwrap();
    let observer = node.roster().member(judgement.seats[0].observer).unwrap().id();
    (world.host_of(&observer).unwrap(), 7)
}

fn names_the_edge(world: &World, host: usize, one: usize, other: usize) -> bool {
    let ends = [world.peer_id(one), world.peer_id(other)];
    check::findings(world, host).iter().any(|finding| {
        finding.code == HealthCode::EdgeAsymmetric
            && ends.contains(&finding.peer)
            && ends.contains(&finding.other)
            && finding.peer != finding.other
    })
}

fn one_way_cut(outbound: bool) {
    let (mut world, joined) = settled(World::builder(seed(2)).nodes(30).loss(0.01));
    assert!(joined.is_some());
    let (observer, subject) = observer_and_subject(&world);
    let (from, to) = if outbound { (observer, subject) } else { (subject, observer) };
    world.cut(from, to);
    let hosts = everybody(&world);
    let named = world.run_until(Duration::from_secs(60), |world| {
        hosts.iter().all(|&host| names_the_edge(world, host, observer, subject))
    });
    println!("cut {from} -> {to}: named by all after {named:?}");
    assert!(named.is_some(), "{:?}", check::findings(&world, 0));
    world.run_for(Duration::from_secs(180));
    for &host in &hosts {
        let findings = check::findings(&world, host);
        assert!(names_the_edge(&world, host, observer, subject), "at {host}: {findings:?}");
    }
    let downs = world.history().changes().iter().filter(|change| change.to == PeerState::Down);
    assert_eq!(downs.count(), 0);
    world.heal();
    let healed = world.run_until(Duration::from_secs(60), |world| {
        is_settled(world, &hosts)
            && hosts.iter().all(|&host| check::findings(world, host).is_empty())
    });
    println!("healthy {healed:?} after mending");
    assert!(healed.is_some(), "{:?}", check::findings(&world, 0));
}

#[test]
fn a_link_that_is_cut_towards_the_subject_is_named_by_everybody() {
    one_way_cut(true);
}

#[test]
fn a_link_that_is_cut_towards_the_observer_is_named_by_everybody() {
    one_way_cut(false);
}

/// What a side of a partition says that is wrong.
fn wrong_at(world: &World, side: &[usize], others: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    for &host in side {
        let node = world.node(host).unwrap();
        let sizes = node.partition().map(|cut| (cut.inside, cut.outside.len()));
        // One lost peer is a lost peer: nobody can tell it from a cut around it.
        let expected = (others > 1).then_some((side.len(), others));
        if sizes != expected {
            wrong.push(format!("{host} sees {sizes:?} instead of {expected:?}"));
        }
        for &subject in side {
            let state = node.state_of(&world.peer_id(subject).unwrap());
            if state.is_none_or(|state| ACCUSED.contains(&state)) {
                wrong.push(format!("{host} accuses {subject} of its own side: {state:?}"));
            }
        }
    }
    wrong
}

fn partition(large: usize, small: usize) {
    let (mut world, joined) = settled(World::builder(seed(3)).nodes(large + small).loss(0.01));
    assert!(joined.is_some());
    let hosts = everybody(&world);
    let (one, other) = hosts.split_at(large);
    world.partition(&[one, other]);
    let named = world.run_until(Duration::from_secs(60), |world| {
        wrong_at(world, one, small).is_empty() && wrong_at(world, other, large).is_empty()
    });
    println!("{large}/{small}: named by all after {named:?}");
    assert!(
        named.is_some(),
        "{:?} {:?}",
        wrong_at(&world, one, small),
        wrong_at(&world, other, large)
    );
    let until = world.elapsed() + Duration::from_secs(540);
    while world.elapsed() < until {
        world.run_for(Duration::from_secs(5));
        for (side, others) in [(one, small), (other, large)] {
            let wrong = wrong_at(&world, side, others);
            assert!(wrong.is_empty(), "at {:?}: {wrong:?}", world.elapsed());
        }
    }
    let same_side = |a: usize, b: usize| (a < large) == (b < large);
    let accused: Vec<_> = check::false_downs(&world)
        .filter(|change| same_side(change.observer, change.subject))
        .collect();
    assert!(accused.is_empty(), "{accused:?}");

    world.reset_traffic();
    world.heal();
    let equal =
        world.run_until(Duration::from_secs(60), |world| check::digests_equal(world, &hosts));
    println!("{large}/{small}: digests equal {equal:?} after healing");
    assert!(equal.is_some_and(|took| took <= Duration::from_secs(15)), "{equal:?}");
    let up = world.run_until(Duration::from_secs(30), |world| is_settled(world, &hosts));
    println!("{large}/{small}: everybody up {up:?} after that");
    assert!(up.is_some(), "{:?}", check::states(&world, &hosts));
    let peak = hosts.iter().map(|&host| world.traffic(host).unwrap().peak_per_second());
    println!("{large}/{small}: peak {:?} B/s sent while healing", peak.map(|rate| rate.sent).max());
}

#[test]
fn a_partition_of_seventy_to_thirty_is_named_on_both_sides_and_heals() {
    partition(70, 30);
}

#[test]
fn a_partition_of_ninety_nine_to_one_is_named_on_both_sides_and_heals() {
    partition(99, 1);
}

#[test]
fn three_of_a_hundred_and_fifty_find_each_other_before_they_accuse_each_other() {
    let (large, small) = (147, 3);
    let (mut world, joined) = settled(World::builder(seed(4)).nodes(large + small));
    assert!(joined.is_some());
    let hosts = everybody(&world);
    let (one, other) = hosts.split_at(large);
    let before = world.history().changes().len();
    world.partition(&[one, other]);
    // To dial everybody once takes half a second each.
    let named =
        world.run_until(Duration::from_secs(90), |world| wrong_at(world, other, large).is_empty());
    println!("{large}/{small}: the three found each other after {named:?}");
    assert!(named.is_some(), "{:?}", wrong_at(&world, other, large));
    let told = &world.history().changes()[before..];
    let accused = told.iter().filter(|change| {
        change.observer >= large
            && change.subject >= large
            && matches!(change.to, PeerState::Down | PeerState::Unreachable | PeerState::Flapping)
    });
    assert_eq!(accused.count(), 0);
}
