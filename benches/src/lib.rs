//! What the benchmarks share: a mesh of signed records, and what the kernel says of processes. Figures that depend on the machine live in this crate and not in tests.

#![forbid(unsafe_code)]

use std::sync::Arc;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use plexmesh_proto::admission::token::TokenId;
use plexmesh_proto::port::Crypto;
use plexmesh_proto::record::{
    Certificate, EdgeStatus, Enrolment, LinkEdge, Links, MeshId, Payload, Profile, Record, Role,
};
use plexmesh_proto::types::{PeerId, Version};

pub mod process;
pub mod stores;

/// A moment at which all records of [`mesh`] are valid, in Unix seconds.
pub const NOW_S: u64 = 1_000;
const EXPIRES_S: u64 = 1_000_000;
const MESH: MeshId = MeshId([1; 32]);
/// Subjects of each peer, as five rings give them.
const SUBJECTS: usize = 5;

/// Keys of one peer.
#[derive(Clone, Debug)]
pub struct Keys(SigningKey);

impl Keys {
    /// The keys of peer number `index`.
    #[must_use]
    pub fn new(index: u64) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&index.to_le_bytes());
        Self(SigningKey::from_bytes(&seed))
    }

    /// The peer's id.
    #[must_use]
    pub fn id(&self) -> PeerId {
        PeerId(self.0.verifying_key().to_bytes())
    }
}

impl Crypto for Keys {
    fn sign(&mut self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    fn verify(&mut self, key: &PeerId, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
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
        4
    }
}

/// `Peer` and `Links` records of `members` peers that hear each other.
#[must_use]
pub fn mesh(members: u64) -> Vec<Arc<Record>> {
    let mut authority = Keys::new(u64::MAX);
    let issuer = authority.id();
    let mut keys: Vec<Keys> = (0..members).map(Keys::new).collect();
    let ids: Vec<PeerId> = keys.iter().map(Keys::id).collect();
    let mut records = Vec::new();
    for (index, keys) in keys.iter_mut().enumerate() {
        let id = keys.id();
        let roles = vec![Role::Member];
        let certificate = Certificate::issue(&mut authority, issuer, MESH, id, roles, 0, EXPIRES_S);
        let peer = Payload::Peer(Profile::default(), Box::new(certificate));
        let mut edges: Vec<LinkEdge> = (1..=SUBJECTS)
            .map(|step| LinkEdge {
                subject: ids[(index + step * step) % ids.len()],
                status: EdgeStatus::Heard,
                since: Version(1),
                flaps: 0,
                sleep_grace_over: false,
                poor: false,
                evidence: None,
            })
            .collect();
        edges.sort_by_key(|edge| edge.subject);
        let links = Payload::Links(Links { edges, ..Links::default() });
        for payload in [peer, links] {
            let record = Record::sign(keys, &MESH, id, Version(2), EXPIRES_S, payload);
            records.push(Arc::new(record));
        }
    }
    records
}

/// `Enrolment` records of as many peers of [`mesh`], whom its first peer let in with tokens of
/// `uses` each.
#[must_use]
pub fn enrolments(members: u64, uses: u32) -> Vec<Arc<Record>> {
    let mut enroller = Keys::new(0);
    let id = enroller.id();
    let enrolled = (0..members).map(|index| {
        let mut token = [0; 16];
        token[..8].copy_from_slice(&(index / u64::from(uses)).to_le_bytes());
        let peer = Keys::new(index).id();
        let payload = Payload::Enrolment(Enrolment { token: TokenId(token), peer, uses });
        Arc::new(Record::sign(&mut enroller, &MESH, id, Version(3 + index), EXPIRES_S, payload))
    });
    enrolled.collect()
}
