//! Peers that do harm are refused, and harm nobody.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a check fails by panicking"
)]

use std::time::Duration;

use plexmesh_simulator::{Lie, World, check};

const NODES: usize = 16;
const ROGUE: usize = 5;
const SECOND: Duration = Duration::from_secs(1);

/// A mesh with a rogue in it after some minutes, and who is honest.
fn harmed(seed: u64, lie: Lie) -> (World, Vec<usize>) {
    let mut world = World::builder(seed).nodes(NODES).loss(0.02).build();
    let everybody: Vec<usize> = (0..NODES).collect();
    let up = world.run_until(120 * SECOND, |world| check::all_up(world, &everybody));
    assert!(up.is_some());
    world.corrupt(ROGUE, lie);
    assert!(world.truth(ROGUE).lies && !world.truth(ROGUE).impaired);
    world.run_for(120 * SECOND);
    let honest = (0..NODES).filter(|&host| host != ROGUE).collect();
    (world, honest)
}

fn refused(world: &World, hosts: &[usize], counter: &str) -> usize {
    let count = |host: usize| world.node(host).unwrap().counters().get(counter).copied();
    hosts.iter().filter(|&&host| count(host).is_some_and(|count| count > 0)).count()
}

/// Nobody is called down, and the honest come to one state while the rogue goes on.
fn harms_nobody(world: &mut World, honest: &[usize]) {
    let agree = world.run_until(30 * SECOND, |world| {
        check::digests_equal(world, honest) && check::all_up(world, honest)
    });
    assert!(agree.is_some(), "{:?}", check::digests(world, honest));
    assert_eq!(check::false_downs(world).count(), 0);
    assert_eq!(world.overflowed(), 0);
}

#[test]
fn what_a_replayer_brings_up_is_outdated_and_changes_nothing() {
    let (mut world, honest) = harmed(1, Lie::Replayer);
    harms_nobody(&mut world, &honest);
    assert!(refused(&world, &honest, "record_outdated") >= honest.len() / 2);
}

#[test]
fn what_a_forger_makes_is_refused_and_its_future_is_noticed() {
    let (mut world, honest) = harmed(2, Lie::Forger);
    harms_nobody(&mut world, &honest);
    let neighbours = refused(&world, &honest, "record_forged");
    assert!(neighbours >= honest.len() / 2, "{neighbours}");
    assert!(refused(&world, &honest, "record_of_stranger") >= honest.len() / 2);
    assert_eq!(refused(&world, &honest, "record_far_future"), honest.len());
    let members = |host: usize| world.node(host).unwrap().roster().members().len();
    assert!(honest.iter().all(|&host| members(host) == NODES));
}

#[test]
fn a_flooder_gets_through_and_gets_nobody_down() {
    let (mut world, honest) = harmed(3, Lie::Flooder);
    world.reset_traffic();
    world.run_for(10 * SECOND);
    let sent = world.traffic(ROGUE).unwrap().total().sent;
    let others = honest.iter().map(|&host| world.traffic(host).unwrap().total().sent);
    println!("flooder {sent} B, others at most {:?} B in 10 s", others.max());
    harms_nobody(&mut world, &honest);
}

#[test]
fn a_rogue_goes_on_after_it_started_again() {
    let (mut world, honest) = harmed(4, Lie::Forger);
    world.crash(ROGUE);
    world.run_for(30 * SECOND);
    world.restart(ROGUE, true);
    world.run_for(30 * SECOND);
    let forged = |world: &World| -> u64 {
        let of = |host: usize| world.node(host).unwrap().counters().get("record_forged").copied();
        honest.iter().filter_map(|&host| of(host)).sum()
    };
    let before = forged(&world);
    world.run_for(30 * SECOND);
    assert!(forged(&world) > before);
}
