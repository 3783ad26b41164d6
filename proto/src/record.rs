//! The one kind of thing that peers tell each other: a signed record.
//!
//! There is one record per (scope, kind, origin, key). Records are ordered by version, then by hash. The signature covers the body as it was
//! sent, byte for byte, so a node passes on kinds and fields that it does not know without harm.

use alloc::boxed::Box;
use alloc::vec::Vec;

use prost::Message;

use crate::port::Crypto;
use crate::schema;
use crate::types::{PeerId, RecordId, Version};

mod admission;
mod authorities;
mod certificate;
mod keys;
mod payload;
mod shards;

pub use admission::{
    Enrolment, Invite, MAX_NOTE_BYTES, MAX_REASON_BYTES, Revocation, RevocationCause,
};
pub use authorities::{
    Authorities, AuthorityChange, AuthorityError, AuthorityWord, MAX_AUTHORITIES,
    MAX_AUTHORITY_CHANGES, MAX_AUTHORITY_GRACE_S, MAX_CHANGE_BYTES, Replacement,
};
pub use certificate::{
    CERTIFICATE_LIFETIME_S, Certificate, CertificateError, MAX_CERTIFICATE_BYTES, MeshId, Role,
};
pub use keys::{KeyEpoch, MAX_KEY_EPOCH, MAX_SEALED_BYTES};
pub use payload::{
    Availability, EdgeStatus, Evidence, Heartbeat, LinkEdge, Links, MAX_ADDRESSES, MAX_EDGES,
    Payload, PayloadError, Profile, Resources,
};

/// Longest body of any record, in bytes. The largest known kind, `Links` at its cap of edges, takes about 6 KiB.
pub const MAX_BODY_BYTES: usize = 8 * 1024;
/// Longest record key, in bytes: a hash.
pub const MAX_KEY_BYTES: usize = 32;
/// What the signature of a record covers in front of the body. Keeps signatures of different purposes apart.
const SIGNATURE_CONTEXT: &[u8] = b"plexmesh/1/record";

/// What a record is about. Numbers are those of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u32);

impl Kind {
    /// What seldom changes about a peer.
    pub const PEER: Self = Self(schema::Kind::Peer as u32);
    /// Whom a peer hears and whom it lost.
    pub const LINKS: Self = Self(schema::Kind::Links as u32);
    /// Periodic resource and latency figures.
    pub const HEARTBEAT: Self = Self(schema::Kind::Heartbeat as u32);
    /// A peer that left by itself.
    pub const LEAVE: Self = Self(schema::Kind::Leave as u32);
    /// What is wrong with shards of a peer.
    pub const FINDING: Self = Self(schema::Kind::Finding as u32);
    /// A token that lets peers in.
    pub const INVITE: Self = Self(schema::Kind::Invite as u32);
    /// A peer that was let in.
    pub const ENROLMENT: Self = Self(schema::Kind::Enrolment as u32);
    /// A membership that was ended.
    pub const REVOCATION: Self = Self(schema::Kind::Revocation as u32);
    /// The mesh's secret for a member.
    pub const KEY_EPOCH: Self = Self(schema::Kind::KeyEpoch as u32);
    /// Authority keys that were replaced.
    pub const AUTHORITIES: Self = Self(schema::Kind::Authorities as u32);

    /// Whether records of this kind count in the state digest.
    #[must_use]
    pub fn is_state(self) -> bool {
        self != Self::HEARTBEAT
    }

    /// Whether it says who belongs to the mesh.
    #[must_use]
    pub fn is_admission(self) -> bool {
        [Self::INVITE, Self::ENROLMENT, Self::REVOCATION].contains(&self)
    }

    /// Whether this version of the protocol knows the kind.
    #[must_use]
    pub fn is_known(self) -> bool {
        const KNOWN: [Kind; 10] = [
            Kind::PEER,
            Kind::LINKS,
            Kind::HEARTBEAT,
            Kind::LEAVE,
            Kind::FINDING,
            Kind::INVITE,
            Kind::ENROLMENT,
            Kind::REVOCATION,
            Kind::KEY_EPOCH,
            Kind::AUTHORITIES,
        ];
        KNOWN.contains(&self)
    }
}

/// The place of a record in a view: one record stands in each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotKey {
    /// Who speaks. First, so that the slots of one origin lie together.
    pub origin: PeerId,
    /// The cell; 0 today.
    pub scope: u32,
    /// What it is about.
    pub kind: Kind,
    /// Tells records of one kind apart; empty for most kinds.
    pub key: Box<[u8]>,
}

/// A record that does not parse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not the encoding of a record.
    #[error("not an encoded record")]
    Encoding,
    /// Origin or signature has the wrong length.
    #[error("origin or signature has the wrong length")]
    Length,
    /// Body, key or payload is past its cap.
    #[error("record exceeds its size cap")]
    TooLarge,
    /// A known kind with a payload that breaks that kind's rules.
    #[error("malformed payload: {0}")]
    Payload(#[from] PayloadError),
    /// A known kind came with another scope than this mesh has.
    #[error("this kind of record has no other scope")]
    UnexpectedScope,
    /// A known kind came with a key that its payload does not have.
    #[error("the record's key is not that of its payload")]
    UnexpectedKey,
}

/// A record: parsed once, then shared.
#[derive(Clone, Debug)]
pub struct Record {
    slot: SlotKey,
    version: Version,
    expires_s: u64,
    payload: Payload,
    body: Box<[u8]>,
    signature: [u8; 64],
    hash: [u8; 32],
}

impl PartialEq for Record {
    /// Two records are the same if origin and body are: a signature adds nothing to what is said.
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Record {}

impl Record {
    /// Makes and signs a record of `origin`, which must be the key that `crypto` signs with.
    pub fn sign(
        crypto: &mut impl Crypto,
        mesh: &MeshId,
        origin: PeerId,
        version: Version,
        expires_s: u64,
        payload: Payload,
    ) -> Self {
        let (kind, key) = (payload.kind(), payload.key());
        let body = schema::RecordBody {
            scope: 0,
            kind: kind.0,
            key: key.to_vec(),
            version: version.0,
            expires_s,
            payload: payload.encode(),
        }
        .encode_to_vec();
        let signature = crypto.sign(&signed_bytes(mesh, &origin, &body));
        let hash = hash(&origin, &body);
        let slot = SlotKey { origin, scope: 0, kind, key };
        Self { slot, version, expires_s, payload, body: body.into(), signature, hash }
    }

    /// Reads a record from its wire parts; checks form and caps, not the signature.
    ///
    /// # Errors
    /// [`RecordError`] names what is wrong; nothing was kept.
    pub fn parse(origin: &[u8], body: Vec<u8>, signature: &[u8]) -> Result<Self, RecordError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(RecordError::TooLarge);
        }
        let origin = PeerId::from_slice(origin).ok_or(RecordError::Length)?;
        let signature = signature.try_into().map_err(|_| RecordError::Length)?;
        let parsed = schema::RecordBody::decode(&*body).map_err(|_| RecordError::Encoding)?;
        if parsed.key.len() > MAX_KEY_BYTES {
            return Err(RecordError::TooLarge);
        }
        let kind = Kind(parsed.kind);
        if kind.is_known() && parsed.scope != 0 {
            return Err(RecordError::UnexpectedScope);
        }
        let payload = Payload::decode(kind, &parsed.payload)?;
        if kind.is_known() && *parsed.key != *payload.key() {
            return Err(RecordError::UnexpectedKey);
        }
        let hash = hash(&origin, &body);
        Ok(Self {
            slot: SlotKey { origin, scope: parsed.scope, kind, key: parsed.key.into() },
            version: Version(parsed.version),
            expires_s: parsed.expires_s,
            payload,
            body: body.into(),
            signature,
            hash,
        })
    }

    /// Whether the signature is the origin's, for this mesh.
    pub fn verify(&self, crypto: &mut impl Crypto, mesh: &MeshId) -> bool {
        let message = signed_bytes(mesh, &self.slot.origin, &self.body);
        crypto.verify(&self.slot.origin, &message, &self.signature)
    }

    /// The record's place in a view.
    #[must_use]
    pub const fn slot(&self) -> &SlotKey {
        &self.slot
    }

    /// Who speaks.
    #[must_use]
    pub const fn origin(&self) -> PeerId {
        self.slot.origin
    }

    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.slot.kind
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// When it stops to count, in Unix seconds.
    #[must_use]
    pub const fn expires_s(&self) -> u64 {
        self.expires_s
    }

    /// What it says.
    #[must_use]
    pub const fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The encoded body as signed.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The origin's signature.
    #[must_use]
    pub const fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// BLAKE3 of origin and body: identifies what is said.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The short name of this body.
    #[must_use]
    pub fn id(&self) -> RecordId {
        RecordId::of_item(&self.item())
    }

    /// The 16 byte item that stands for this record in set reconciliation.
    #[must_use]
    pub fn item(&self) -> [u8; 16] {
        let mut item = [0; 16];
        item.copy_from_slice(self.hash.split_at(16).0);
        item
    }

    /// The order of records in one slot: version, then hash.
    #[must_use]
    pub fn order(&self) -> (Version, &[u8; 32]) {
        (self.version, &self.hash)
    }

    /// The record as a wire message.
    #[must_use]
    pub fn to_wire(&self) -> schema::SignedRecord {
        schema::SignedRecord {
            origin: self.slot.origin.0.to_vec(),
            body: self.body.to_vec(),
            signature: self.signature.to_vec(),
        }
    }

    /// Size on the wire inside of a larger message, in bytes: the three fields and their frames.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        const FRAMES: usize = 2 + 2 + 3 + 3;
        32 + 64 + FRAMES + self.body.len()
    }
}

impl RecordId {
    /// The id of the record that `item` stands for in set reconciliation.
    #[must_use]
    pub fn of_item(item: &[u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *item;
        Self(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }
}

fn hash(origin: &PeerId, body: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&origin.0).update(body);
    *hasher.finalize().as_bytes()
}

fn signed_bytes(mesh: &MeshId, origin: &PeerId, body: &[u8]) -> Vec<u8> {
    [SIGNATURE_CONTEXT, &mesh.0, &origin.0, body].concat()
}
