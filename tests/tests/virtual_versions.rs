//! Virtual time: peers of a later version of the protocol live with those of this one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use plexmesh_proto::record::{Kind, Payload, Record};
use plexmesh_simulator::{World, check};
use plexmesh_tests::worlds::{everybody, seed, settled};

/// Field 1000, a string: no message of this version has it.
const LATER_FIELD: &[u8] = &[0xc2, 0x3e, 5, b'l', b'a', b't', b'e', b'r'];

/// A record of `host` as a later version would write it, read as this version reads it.
fn of_later_version(world: &World, host: usize, kind: Kind, mut payload: Vec<u8>) -> Arc<Record> {
    payload.extend_from_slice(LATER_FIELD);
    let signed = world.sign_as(host, Payload::Unknown(kind, payload)).unwrap();
    let (origin, body) = (signed.origin().0, signed.body().to_vec());
    Arc::new(Record::parse(&origin, body, signed.signature()).unwrap())
}

#[test]
fn unknown_kinds_and_unknown_fields_reach_everybody_byte_for_byte() {
    let (mut world, joined) = settled(World::builder(seed(8)).nodes(20).loss(0.05));
    assert!(joined.is_some());
    let hosts = everybody(&world);
    // A member of a later version: what it says is all that the others see of it.
    let later = world.add_host(Vec::new());
    let profile = world.node(0).unwrap().roster().members()[0].profile().unwrap().clone();
    let certificate = Box::new(world.certificate(later).unwrap().clone());
    let peer = Payload::Peer(profile, certificate).encode();
    let records = [
        of_later_version(&world, later, Kind::PEER, peer),
        of_later_version(&world, later, Kind::LINKS, Vec::new()),
        of_later_version(&world, later, Kind(200), b"whatever it means".to_vec()),
        of_later_version(&world, 5, Kind(200), b"from a running peer".to_vec()),
    ];
    for record in &records {
        let neighbour = world.peer_id(1).unwrap();
        world.inject(0, neighbour, record.clone());
        world.run_for(Duration::from_millis(200));
    }
    let held = |world: &World, host: usize, record: &Record| {
        let now = world.now_at(host);
        world
            .node(host)
            .and_then(|node| node.record(record.origin(), record.kind(), now))
            .is_some_and(|held| {
                held.body() == record.body() && held.signature() == record.signature()
            })
    };
    let spread = world.run_until(Duration::from_secs(15), |world| {
        check::digests_equal(world, &hosts)
            && hosts.iter().all(|&host| records.iter().all(|record| held(world, host, record)))
    });
    println!("everywhere after {spread:?}");
    assert!(spread.is_some(), "{:?}", check::digests(&world, &hosts));
    assert!(records.iter().all(|record| record.body().ends_with(LATER_FIELD)));
}
