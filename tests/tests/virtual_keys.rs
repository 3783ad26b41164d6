//! Virtual time: a new secret of the mesh reaches every member.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::time::Duration;

use plexmesh_proto::record::{KeyEpoch, Kind, Payload, Role};
use plexmesh_proto::{KeysRefusal, Rotation};
use plexmesh_simulator::World;
use plexmesh_tests::worlds::{all_but, everybody, seed, settle};

const ADMIN: usize = 0;
const AWAY: usize = 7;

fn world_of_twenty(own_seed: u64) -> World {
    let mut world = World::builder(seed(own_seed)).nodes(20).loss(0.01).build();
    world.set_roles(ADMIN, vec![Role::Member, Role::Enroller, Role::Admin]);
    assert!(settle(&mut world).is_some());
    world
}

fn rotate(world: &mut World, host: usize) -> Result<Rotation, KeysRefusal> {
    world.command(host, |node, now| node.rotate_keys([9; 32], now)).unwrap()
}

fn hold(world: &World, hosts: &[usize], epoch: u32) -> bool {
    hosts.iter().all(|&host| world.node(host).is_some_and(|node| node.key_epoch() == epoch))
}

#[test]
fn all_in_reach_hold_a_new_secret_within_seconds_and_who_was_cut_off_after_healing() {
    let mut world = world_of_twenty(61);
    let near = all_but(&world, &[AWAY]);
    world.partition(&[&near, &[AWAY]]);
    world.run_for(Duration::from_secs(30));
    assert_eq!(rotate(&mut world, ADMIN), Ok(Rotation { epoch: 1, recipients: 20 }));
    let took = world.run_until(Duration::from_secs(5), |world| hold(world, &near, 1));
    println!("in reach after {took:?}");
    assert!(took.is_some());
    assert!(hold(&world, &[AWAY], 0));
    world.heal();
    let all = everybody(&world);
    let took = world.run_until(Duration::from_secs(60), |world| hold(world, &all, 1));
    println!("healed after {took:?}");
    assert!(took.is_some());
    let told = world.run_until(Duration::from_secs(120), |world| {
        let known = world.node(ADMIN).unwrap().key_progress(world.now_at(ADMIN));
        known.len() == 20 && known.iter().all(|(_, epoch)| *epoch == Some(1))
    });
    println!("told after {told:?}");
    assert!(told.is_some());
}

#[test]
fn a_restarted_peer_that_slept_through_two_rotations_takes_the_last() {
    let mut world = world_of_twenty(62);
    world.crash(AWAY);
    world.run_for(Duration::from_secs(60));
    assert_eq!(rotate(&mut world, ADMIN).map(|it| it.epoch), Ok(1));
    assert_eq!(rotate(&mut world, ADMIN).map(|it| it.epoch), Ok(2));
    world.restart(AWAY, true);
    let all = everybody(&world);
    let took = world.run_until(Duration::from_secs(60), |world| hold(world, &all, 2));
    println!("after {took:?}");
    assert!(took.is_some());
    // A replay of what it has changes nothing; nor does a restart.
    world.restart(AWAY, true);
    world.run_for(Duration::from_secs(30));
    assert!(hold(&world, &all, 2));
}

#[test]
fn a_newcomer_after_a_rotation_gets_the_next_one_and_a_plain_member_gives_out_none() {
    let mut world = world_of_twenty(63);
    assert_eq!(rotate(&mut world, 3), Err(KeysRefusal::NotAdmin));
    assert_eq!(rotate(&mut world, ADMIN).map(|it| it.epoch), Ok(1));
    let newcomer = world.add_node();
    let known = world.run_until(Duration::from_secs(60), |world| {
        let peer = world.peer_id(newcomer).unwrap();
        let admin = world.node(ADMIN).unwrap();
        admin.record(peer, Kind::PEER, world.now_at(ADMIN)).is_some()
    });
    assert!(known.is_some());
    world.run_for(Duration::from_secs(5));
    // It was given the secret of its day with its certificate, or none; nobody seals to who was not there.
    assert!(hold(&world, &[newcomer], 0));
    assert_eq!(rotate(&mut world, ADMIN), Ok(Rotation { epoch: 2, recipients: 21 }));
    let all = everybody(&world);
    assert!(world.run_until(Duration::from_secs(5), |world| hold(world, &all, 2)).is_some());
}

#[test]
fn a_secret_from_a_member_that_is_no_admin_changes_nothing_whatever_certificate_it_shows() {
    let mut world = world_of_twenty(64);
    let victim = world.peer_id(5).unwrap();
    for bearer in [ADMIN, 3] {
        let certificate = Box::new(world.certificate(bearer).unwrap().clone());
        let sealed = [victim.0, [1; 32]].concat();
        let forged = KeyEpoch { epoch: 9, recipient: victim, sealed, certificate };
        let record = world.sign_as(3, Payload::KeyEpoch(forged)).unwrap();
        let from = world.peer_id(4).unwrap();
        world.inject(5, from, record);
    }
    world.run_for(Duration::from_secs(5));
    assert!(hold(&world, &everybody(&world), 0));
}
