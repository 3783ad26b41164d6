//! Virtual time: an authority key is replaced, and every member follows.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::time::Duration;

use plexmesh_proto::record::{Authorities, AuthorityWord, Payload};
use plexmesh_proto::types::PeerId;
use plexmesh_simulator::World;
use plexmesh_tests::worlds::{all_but, everybody, seed, settle};

/// Who replaces the key. All certificates hang on the key that is lost until they are renewed.
const FIRST: usize = 0;
const AWAY: usize = 7;
const HOUR: Duration = Duration::from_secs(3_600);

fn world_of_twenty(own_seed: u64) -> World {
    let mut world = World::builder(seed(own_seed)).nodes(20).loss(0.01).build();
    assert!(settle(&mut world).is_some());
    world
}

/// How many replacements each knows.
fn know(world: &World, hosts: &[usize], replacements: usize) -> bool {
    let known = |&host: &usize| world.node(host).map(|node| node.authorities().changes().len());
    hosts.iter().all(|host| known(host) == Some(replacements))
}

/// Whether each of these has exactly these in its roster.
fn see_each_other_alone(world: &World, hosts: &[usize]) -> bool {
    let mut ids: Vec<PeerId> = hosts.iter().filter_map(|&host| world.peer_id(host)).collect();
    ids.sort();
    hosts.iter().all(|&host| {
        let members = world.node(host).unwrap().roster().members();
        members.iter().map(|member| member.id()).eq(ids.iter().copied())
    })
}

fn agree(world: &World, hosts: &[usize]) -> bool {
    let mut digests = hosts.iter().map(|&host| world.node(host).unwrap().digest());
    let first = digests.next();
    digests.all(|digest| Some(digest) == first)
}

#[test]
fn all_in_reach_follow_within_seconds_and_who_was_cut_off_after_healing() {
    let mut world = world_of_twenty(71);
    let near = all_but(&world, &[AWAY]);
    world.partition(&[&near, &[AWAY]]);
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.replace_authority(FIRST, HOUR), Some(Ok(())));
    let took = world.run_until(Duration::from_secs(5), |world| know(world, &near, 1));
    println!("in reach after {took:?}");
    assert!(took.is_some());
    assert!(know(&world, &[AWAY], 0));
    world.heal();
    let all = everybody(&world);
    let took = world.run_until(Duration::from_secs(60), |world| {
        know(world, &all, 1) && see_each_other_alone(world, &all) && agree(world, &all)
    });
    println!("healed after {took:?}");
    assert!(took.is_some());
}

#[test]
fn after_the_grace_who_did_not_renew_is_out_and_the_others_agree() {
    let mut world = world_of_twenty(72);
    assert_eq!(world.replace_authority(FIRST, HOUR), Some(Ok(())));
    let renewed: Vec<usize> = (0..12).collect();
    for &host in renewed.iter().filter(|host| **host != FIRST) {
        assert!(world.renew_by_spare(host));
    }
    let all = everybody(&world);
    world.run_for(HOUR - Duration::from_secs(60));
    assert!(see_each_other_alone(&world, &all), "nobody is out before the grace is over");
    let took = world.run_until(Duration::from_secs(120), |world| {
        see_each_other_alone(world, &renewed) && agree(world, &renewed)
    });
    println!("after {took:?}");
    assert!(took.is_some());
}

#[test]
fn a_restarted_peer_that_slept_through_it_follows() {
    let mut world = world_of_twenty(73);
    world.crash(AWAY);
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.replace_authority(FIRST, HOUR), Some(Ok(())));
    world.run_for(Duration::from_secs(60));
    world.restart(AWAY, true);
    let all = everybody(&world);
    let took = world.run_until(Duration::from_secs(60), |world| {
        know(world, &all, 1) && see_each_other_alone(world, &all)
    });
    println!("after {took:?}");
    assert!(took.is_some());
}

#[test]
fn a_chain_that_no_authority_signed_changes_nothing() {
    let mut world = world_of_twenty(74);
    let node = world.node(3).unwrap();
    let certificate = Box::new(node.certificate().clone());
    assert_eq!(world.replace_authority(FIRST, HOUR), Some(Ok(())));
    let all = everybody(&world);
    assert!(world.run_until(Duration::from_secs(5), |world| know(world, &all, 1)).is_some());
    // The genuine chain, cut; one that goes on with what was said before; and none at all.
    let genuine: &Authorities = world.node(FIRST).unwrap().authorities();
    let genuine = genuine.changes().to_vec();
    let twice = [genuine.clone(), genuine.clone()].concat();
    for changes in [Vec::new(), twice] {
        let word = AuthorityWord { changes, certificate: certificate.clone() };
        let record = world.sign_as(3, Payload::Authorities(Box::new(word))).unwrap();
        let from = world.peer_id(4).unwrap();
        world.inject(5, from, record);
    }
    world.run_for(Duration::from_secs(5));
    assert!(know(&world, &all, 1) && see_each_other_alone(&world, &all));
}
