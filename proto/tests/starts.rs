//! What a node makes of what an earlier start kept.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{Keys, MESH, NOW_S, certificate, links_record, peer_record};
use plexmesh_proto::record::{
    Certificate, Kind, Payload, Profile, Record, Revocation, RevocationCause, Role,
};
use plexmesh_proto::types::{Now, PeerId, Time, Version};
use plexmesh_proto::view::{MemoryStore, View};
use plexmesh_proto::{Config, Node};

fn revocation(authority: &mut Keys, admin: &mut Keys, peer: PeerId) -> Arc<Record> {
    let (issuer, id, roles) = (authority.id(), admin.id(), vec![Role::Member, Role::Admin]);
    let certificate = Certificate::issue(authority, issuer, MESH, id, roles, 0, 1_000_000);
    let (cause, reason, name) = (RevocationCause::Revoked, String::new(), String::new());
    let certificate = Box::new(certificate);
    let revocation = Revocation { peer, cause, reason, name, certificate };
    let payload = Payload::Revocation(Box::new(revocation));
    Arc::new(Record::sign(admin, &MESH, id, Version(9), 1_000_000, payload))
}

#[test]
fn what_a_revoked_peer_had_said_is_gone_after_a_start_that_finds_it_beside_the_revocation() {
    let [mut authority, own, mut admin, mut revoked, mut other] = [250, 1, 2, 3, 4].map(Keys::new);
    let records = [
        peer_record(&mut authority, &mut revoked, 1),
        links_record(&mut revoked, 2, Vec::new()),
        peer_record(&mut authority, &mut other, 1),
        revocation(&mut authority, &mut admin, revoked.id()),
    ];
    // As after a start that was cut short between keeping the last one and dropping the first two.
    let mut kept = View::open(MemoryStore::default(), 1);
    for record in &records {
        assert!(kept.merge(record, None, NOW_S).changed());
    }
    let config = Config {
        mesh: MESH,
        authorities: Arc::new(vec![authority.id()].into()),
        certificate: certificate(&mut authority, own.id()),
        profile: Profile::default(),
        seeds: Vec::new(),
        last_version: Version::default(),
        key_epoch: 0,
    };
    let now = Now { time: Time(0), wall_ms: NOW_S * 1_000 };
    let node = Node::new(config, own, kept.store_mut().clone(), now);
    let held = |peer: PeerId, kind| node.record(peer, kind, now).is_some();
    assert!(!held(revoked.id(), Kind::PEER) && !held(revoked.id(), Kind::LINKS));
    assert!(held(other.id(), Kind::PEER));
    assert!(node.admissions().is_revoked(&revoked.id()));
}
