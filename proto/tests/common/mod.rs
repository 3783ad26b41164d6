//! Keys and records for tests of the public face.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::sync::Arc;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use plexmesh_proto::integrity::{FindingKind, ShardFinding};
use plexmesh_proto::port::Crypto;
use plexmesh_proto::record::{
    Certificate, EdgeStatus, LinkEdge, Links, MeshId, Payload, Profile, Record, Role,
};
use plexmesh_proto::report::Severity;
use plexmesh_proto::types::{PeerId, Version};

pub const MESH: MeshId = MeshId([7; 32]);
/// A moment well before every expiry used in tests, in Unix seconds.
pub const NOW_S: u64 = 1_000;

/// Keys of one peer, with a counter in place of randomness.
#[derive(Clone)]
pub struct Keys {
    key: SigningKey,
    count: u64,
}

impl Keys {
    pub fn new(seed: u8) -> Self {
        Self { key: SigningKey::from_bytes(&[seed; 32]), count: 0 }
    }

    /// One of many; none is one of [`Self::new`].
    pub fn numbered(number: u16) -> Self {
        let mut seed = [255; 32];
        seed[..2].copy_from_slice(&number.to_le_bytes());
        Self { key: SigningKey::from_bytes(&seed), count: 0 }
    }

    pub fn id(&self) -> PeerId {
        PeerId(self.key.verifying_key().to_bytes())
    }
}

impl Crypto for Keys {
    fn sign(&mut self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    fn verify(&mut self, key: &PeerId, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        VerifyingKey::from_bytes(&key.0)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }

    fn seal(&mut self, to: &PeerId, secret: &[u8; 32]) -> Vec<u8> {
        [to.0, *secret].concat()
    }

    fn open(&mut self, sealed: &[u8]) -> Option<[u8; 32]> {
        let secret = sealed.strip_prefix(&self.id().0)?;
        secret.try_into().ok()
    }

    fn random_u64(&mut self) -> u64 {
        self.count += 1;
        self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

pub fn certificate(authority: &mut Keys, peer: PeerId) -> Certificate {
    let issuer = authority.id();
    Certificate::issue(authority, issuer, MESH, peer, vec![Role::Member], 0, 1_000_000)
}

pub fn peer_record(authority: &mut Keys, keys: &mut Keys, version: u64) -> Arc<Record> {
    let id = keys.id();
    let certificate = certificate(authority, id);
    let payload = Payload::Peer(Profile::default(), Box::new(certificate));
    Arc::new(Record::sign(keys, &MESH, id, Version(version), 1_000_000, payload))
}

pub fn links_record(
    keys: &mut Keys,
    version: u64,
    edges: Vec<(PeerId, EdgeStatus)>,
) -> Arc<Record> {
    let edges = edges.into_iter().map(|(subject, status)| edge(subject, status, version));
    links_record_of(keys, version, edges.collect())
}

pub fn edge(subject: PeerId, status: EdgeStatus, version: u64) -> LinkEdge {
    LinkEdge {
        subject,
        status,
        since: Version(version),
        flaps: 0,
        sleep_grace_over: false,
        poor: false,
        evidence: None,
    }
}

pub fn links_record_of(keys: &mut Keys, version: u64, mut edges: Vec<LinkEdge>) -> Arc<Record> {
    edges.sort_by_key(|edge| edge.subject);
    edges.dedup_by_key(|edge| edge.subject);
    let payload = Payload::Links(Links { edges, ..Links::default() });
    let id = keys.id();
    Arc::new(Record::sign(keys, &MESH, id, Version(version), 1_000_000, payload))
}

/// A finding of the kind with a number, that began at version 9.
pub fn finding_record(keys: &mut Keys, version: u64, kind: u8, count: u32) -> Arc<Record> {
    let kind = FindingKind::of_number(u32::from(kind)).expect("a number of a kind");
    let finding = ShardFinding { kind, count, severity: Severity::Critical, since: Version(9) };
    let id = keys.id();
    let payload = Payload::Finding(finding);
    Arc::new(Record::sign(keys, &MESH, id, Version(version), 1_000_000, payload))
}

pub fn other_record(
    keys: &mut Keys,
    kind: u32,
    version: u64,
    expires_s: u64,
    text: &[u8],
) -> Arc<Record> {
    let payload = Payload::Unknown(plexmesh_proto::record::Kind(kind), text.to_vec());
    let id = keys.id();
    Arc::new(Record::sign(keys, &MESH, id, Version(version), expires_s, payload))
}
