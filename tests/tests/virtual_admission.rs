//! Virtual time: who is let in, and who is put out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::time::Duration;

use plexmesh_proto::admission::request::{AdmissionRefusal, AdmissionRequest};
use plexmesh_proto::admission::token::Secret;
use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::record::{Certificate, Kind, RevocationCause, Role};
use plexmesh_proto::types::PeerId;
use plexmesh_proto::{InviteTerms, RevokeRefusal};
use plexmesh_simulator::{World, check};
use plexmesh_tests::worlds::{all_but, everybody, is_settled, seed, settle};

const ALL_ROLES: [Role; 3] = [Role::Member, Role::Enroller, Role::Admin];
/// Enrollers and admins of the worlds here.
const ADMINS: [usize; 2] = [0, 19];
/// Who is put out.
const VICTIM: usize = 7;

fn world_of_twenty(own_seed: u64) -> World {
    let mut world = World::builder(seed(own_seed)).nodes(20).loss(0.01).build();
    for admin in ADMINS {
        world.set_roles(admin, ALL_ROLES.to_vec());
    }
    assert!(settle(&mut world).is_some());
    world
}

fn revoke(world: &mut World, admin: usize, host: usize) -> Result<(), RevokeRefusal> {
    let peer = world.peer_id(host).unwrap();
    let ended = world.command(admin, |node, now| {
        node.revoke(peer, RevocationCause::Revoked, "test".to_owned(), false, now)
    });
    ended.unwrap()
}

/// Whether nobody of `hosts` has the host in its roster or is connected with it.
fn is_cut(world: &World, hosts: &[usize], host: usize) -> bool {
    let peer = world.peer_id(host).unwrap();
    hosts.iter().all(|&at| {
        world.node(at).is_some_and(|node| {
            node.roster().find(&peer).is_none() && node.connected().all(|other| other != peer)
        })
    })
}

#[test]
fn a_revoked_peer_is_cut_off_within_five_seconds_and_stays_so() {
    let mut world = world_of_twenty(41);
    let others = all_but(&world, &[VICTIM]);
    revoke(&mut world, ADMINS[0], VICTIM).unwrap();
    let took = world.run_until(Duration::from_secs(5), |world| is_cut(world, &others, VICTIM));
    println!("cut after {took:?}");
    assert!(took.is_some());
    // It goes on as if nothing was; nobody takes what it says, nor what it said before.
    let (from, now) = (world.peer_id(3).unwrap(), world.now_at(VICTIM));
    let own = world.node(VICTIM).unwrap();
    let said = [Kind::PEER, Kind::LINKS].map(|kind| own.record(own.me(), kind, now).unwrap());
    for record in said {
        world.inject(ADMINS[1], from, record);
    }
    world.run_for(Duration::from_secs(120));
    assert!(is_cut(&world, &others, VICTIM));
    assert!(is_settled(&world, &others));
    let now = world.now_at(ADMINS[0]);
    let known = world.node(ADMINS[0]).unwrap().acknowledgements(now);
    assert_eq!(known.len(), others.len());
    assert!(known.iter().all(|(_, knows)| *knows), "{known:?}");
}

#[test]
fn who_was_cut_off_during_a_revocation_learns_of_it_when_the_cut_heals() {
    let mut world = world_of_twenty(42);
    let (here, there): (Vec<usize>, Vec<usize>) = (0..20).partition(|host| *host < 12);
    world.partition(&[&here, &there]);
    world.run_for(Duration::from_secs(30));
    revoke(&mut world, ADMINS[0], VICTIM).unwrap();
    world.run_for(Duration::from_secs(30));
    let near: Vec<usize> = here.iter().copied().filter(|host| *host != VICTIM).collect();
    assert!(is_cut(&world, &near, VICTIM) && !is_cut(&world, &there, VICTIM));
    world.heal();
    let others = all_but(&world, &[VICTIM]);
    let took = world.run_until(Duration::from_secs(60), |world| {
        is_cut(world, &others, VICTIM) && is_settled(world, &others)
    });
    println!("healed after {took:?}");
    assert!(took.is_some(), "{:?}", check::states_of(&world, &others, VICTIM));
}

/// A token of one use, made by a host.
fn token(world: &mut World, host: usize, uses: u32) -> Secret {
    let terms = InviteTerms { uses, for_peer: None, lifetime_s: 3_600, note: String::new() };
    world.command(host, |node, now| node.invite(terms, now)).unwrap().unwrap().secret
}

fn ask(
    world: &mut World,
    enroller: usize,
    peer: PeerId,
    secret: &Secret,
) -> Result<Certificate, AdmissionRefusal> {
    let wall_ms = world.now_at(enroller).wall_ms;
    let (secret, agent_version) = (Some(secret.clone()), String::new());
    let request = AdmissionRequest { wall_ms, secret, agent_version };
    world.command(enroller, |node, now| node.admit(peer, &request, now)).unwrap()
}

/// Adds a host that an enroller let in, and starts it.
fn join(world: &mut World, enroller: usize, secret: &Secret) -> usize {
    let host = world.add_host(vec![enroller]);
    let peer = world.peer_id(host).unwrap();
    let certificate = ask(world, enroller, peer, secret).unwrap();
    world.set_certificate(host, certificate);
    world.start(host);
    host
}

#[test]
fn a_token_lets_in_as_many_as_it_says_by_any_enroller() {
    let mut world = world_of_twenty(43);
    let secret = token(&mut world, ADMINS[0], 2);
    world.run_for(Duration::from_secs(5));
    let first = join(&mut world, ADMINS[1], &secret);
    let again = world.peer_id(first).unwrap();
    assert!(ask(&mut world, ADMINS[1], again, &secret).is_ok(), "an answer may be lost");
    world.run_for(Duration::from_secs(5));
    join(&mut world, ADMINS[0], &secret);
    world.run_for(Duration::from_secs(5));
    let third = PeerId([9; 32]);
    for enroller in ADMINS {
        let refused = ask(&mut world, enroller, third, &secret);
        assert_eq!(refused, Err(AdmissionRefusal::UsedUp));
    }
    let hosts = everybody(&world);
    assert!(world.run_until(Duration::from_secs(60), |it| is_settled(it, &hosts)).is_some());
}

#[test]
fn a_token_that_was_used_on_both_sides_of_a_cut_lets_in_the_first_one_alone() {
    let mut world = world_of_twenty(44);
    let secret = token(&mut world, ADMINS[0], 1);
    world.run_for(Duration::from_secs(5));
    let (here, there): (Vec<usize>, Vec<usize>) = (0..20).partition(|host| *host < 12);
    world.partition(&[&here, &there]);
    world.run_for(Duration::from_secs(20));
    let first = join(&mut world, ADMINS[0], &secret);
    world.run_for(Duration::from_secs(10));
    // The host that joins on the far side has a link to nobody but it.
    let second = join(&mut world, ADMINS[1], &secret);
    world.run_for(Duration::from_secs(20));
    world.heal();
    let others = all_but(&world, &[second]);
    let took = world.run_until(Duration::from_secs(90), |world| {
        is_cut(world, &others, second)
            && is_settled(world, &others)
            && check::all_see(world, &others, first, PeerState::Up)
    });
    println!("settled after {took:?}");
    assert!(took.is_some(), "{:?}", check::states_of(&world, &others, second));
}

#[test]
fn who_is_gone_can_be_forgotten_and_who_is_up_cannot() {
    let mut world = world_of_twenty(45);
    let peer = world.peer_id(VICTIM).unwrap();
    let forget = |world: &mut World| {
        world.command(ADMINS[0], |node, now| {
            node.revoke(peer, RevocationCause::Forgotten, String::new(), false, now)
        })
    };
    assert_eq!(forget(&mut world), Some(Err(RevokeRefusal::NotGone(PeerState::Up))));
    world.crash(VICTIM);
    let others = all_but(&world, &[VICTIM]);
    let down = world.run_until(Duration::from_secs(20), |world| {
        check::all_see(world, &others, VICTIM, PeerState::Down)
    });
    assert!(down.is_some());
    assert_eq!(forget(&mut world), Some(Ok(())));
    let gone = world.run_until(Duration::from_secs(10), |world| is_cut(world, &others, VICTIM));
    assert!(gone.is_some());
    world.run_for(Duration::from_secs(60));
    assert!(is_settled(&world, &others));
}

#[test]
fn an_enroller_with_members_of_its_own_is_revoked_with_them_or_not_at_all() {
    let mut world = world_of_twenty(46);
    let secret = token(&mut world, ADMINS[1], 1);
    let let_in = join(&mut world, ADMINS[1], &secret);
    let hosts = everybody(&world);
    assert!(world.run_until(Duration::from_secs(60), |it| is_settled(it, &hosts)).is_some());
    assert_eq!(revoke(&mut world, ADMINS[0], ADMINS[1]), Err(RevokeRefusal::LetOthersIn(1)));
    let peer = world.peer_id(ADMINS[1]).unwrap();
    let both = world.command(ADMINS[0], |node, now| {
        node.revoke(peer, RevocationCause::Revoked, String::new(), true, now)
    });
    assert_eq!(both, Some(Ok(())));
    let others = all_but(&world, &[ADMINS[1], let_in]);
    let took = world.run_until(Duration::from_secs(10), |world| {
        is_cut(world, &others, ADMINS[1]) && is_cut(world, &others, let_in)
    });
    assert!(took.is_some());
}

#[test]
fn a_plain_member_puts_nobody_out_and_lets_nobody_in() {
    let mut world = world_of_twenty(47);
    assert_eq!(revoke(&mut world, 3, VICTIM), Err(RevokeRefusal::NotAdmin));
    let secret = token(&mut world, ADMINS[0], 1);
    world.run_for(Duration::from_secs(5));
    let refused = ask(&mut world, 3, PeerId([9; 32]), &secret);
    assert_eq!(refused, Err(AdmissionRefusal::NotEnroller));
}
