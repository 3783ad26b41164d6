//! What a stranger asks an enroller, and what it is answered. Who asks is proven by the connection that carries it.

use alloc::string::String;
use alloc::vec::Vec;

use prost::Message;

use super::token::{Enroller, MAX_ENROLLER_ADDRESSES, Secret};
use crate::record::{
    AuthorityChange, Certificate, MAX_AUTHORITIES, MAX_AUTHORITY_CHANGES, MAX_CHANGE_BYTES, MeshId,
};
use crate::schema;
use crate::types::PeerId;

/// Longest encoded request, in bytes; a real one takes about 40.
pub const MAX_REQUEST_BYTES: usize = 2 * 1024;
/// Longest encoded answer, in bytes; one with all seeds at their caps takes about 9 KiB.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// Most members that a newcomer is told of: one that answers is enough.
pub const MAX_SEEDS: usize = 16;
/// Most epochs of the mesh's secret that count at one time.
pub const MAX_SECRETS: usize = 2;
/// Longest version of an agent, in bytes.
const MAX_VERSION_BYTES: usize = 64;
/// How far two clocks may be apart, in milliseconds: the skew that the mesh tolerates.
pub const MAX_CLOCK_OFFSET_MS: u64 = 60_000;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionRequest {
    /// Unix milliseconds by the clock of who asks.
    pub wall_ms: u64,
    /// The secret of a token; `None` asks for a renewal.
    pub secret: Option<Secret>,
    /// Version of the agent that asks.
    pub agent_version: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionAnswer {
    /// Unix milliseconds by the enroller's clock.
    pub wall_ms: u64,
    /// What it decided.
    pub outcome: Result<Admitted, AdmissionRefusal>,
}

/// What makes a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its certificate.
    pub certificate: Certificate,
    /// The mesh.
    pub mesh: MeshId,
    /// The keys that the mesh was made with.
    pub founding: Vec<PeerId>,
    /// What replaced them since, from the first on.
    pub changes: Vec<AuthorityChange>,
    /// Members to begin with.
    pub seeds: Vec<Enroller>,
    /// Secrets of the mesh, by epoch.
    pub secrets: Vec<(u32, [u8; 32])>,
}

/// Why a peer is not let in, or its certificate not renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionRefusal {
    /// The asked peer may let nobody in.
    #[error("the peer that was asked may let nobody in")]
    NotEnroller,
    /// No token has this secret.
    #[error(
        "no such token is known: it was never made here, has expired, or this enroller has not heard of it yet"
    )]
    UnknownToken,
    /// The token lets in no more.
    #[error("the token has been used as often as it may be")]
    UsedUp,
    /// The token is for another peer.
    #[error("the token is for another peer")]
    ForAnother,
    /// The peer was put out.
    #[error("this peer's membership was ended by an admin; a new identity could join")]
    Barred,
    /// The clocks are too far apart.
    #[error("the clock here is {} s {} the enroller's", .offset_ms.unsigned_abs() / 1_000, if *.offset_ms < 0 { "behind" } else { "ahead of" })]
    Clock {
        /// How far the clock of who asks is ahead, in milliseconds.
        offset_ms: i64,
    },
    /// Who asks for a renewal is no member.
    #[error("this peer is no member, or its certificate has lapsed; it needs a token")]
    NotMember,
    /// Its certificate has roles that an authority gives.
    #[error("only an authority key renews the certificate of an enroller or admin")]
    NeedsAuthority,
    /// It could not read the request.
    #[error("the enroller could not read the request; are the versions alike?")]
    Malformed,
    /// The enroller's own certificate lapses before the token does: it could not remember its use for long enough.
    #[error("the certificate of the enroller that was asked lapses before the token does")]
    OutlivesEnroller,
    /// Of a later version.
    #[error("refused, for a reason of a later version (code {0})")]
    Other(u32),
}

/// Bytes that are no request or answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {0}")]
pub struct Malformed(pub &'static str);

impl AdmissionRequest {
    /// The encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        schema::AdmissionRequest {
            wall_ms: self.wall_ms,
            secret: self.secret.as_ref().map(|it| it.expose().to_vec()).unwrap_or_default(),
            agent_version: self.agent_version.clone(),
        }
        .encode_to_vec()
    }

    /// Reads a request.
    ///
    /// # Errors
    /// [`Malformed`] names the broken rule.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_REQUEST_BYTES {
            return Err(Malformed("too long"));
        }
        let wire = schema::AdmissionRequest::decode(bytes).map_err(|_| Malformed("encoding"))?;
        if wire.agent_version.len() > MAX_VERSION_BYTES {
            return Err(Malformed("the version of the agent"));
        }
        let secret = match wire.secret.as_slice() {
            [] => None,
            bytes => Some(Secret::from_slice(bytes).ok_or(Malformed("the secret's length"))?),
        };
        Ok(Self { wall_ms: wire.wall_ms, secret, agent_version: wire.agent_version })
    }
}

impl AdmissionAnswer {
    /// The encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (admitted, refused) = match &self.outcome {
            Ok(admitted) => (Some(admitted.to_wire()), None),
            Err(refusal) => (None, Some(refusal.to_wire())),
        };
        schema::AdmissionAnswer { wall_ms: self.wall_ms, admitted, refused }.encode_to_vec()
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// [`Malformed`] names the broken rule.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_ANSWER_BYTES {
            return Err(Malformed("too long"));
        }
        let wire = schema::AdmissionAnswer::decode(bytes).map_err(|_| Malformed("encoding"))?;
        let outcome = match (wire.admitted, wire.refused) {
            (Some(admitted), None) => Ok(Admitted::from_wire(admitted)?),
            (None, Some(refused)) => Err(AdmissionRefusal::from_wire(&refused)),
            _ => return Err(Malformed("neither yes nor no")),
        };
        Ok(Self { wall_ms: wire.wall_ms, outcome })
    }
}

impl Admitted {
    fn to_wire(&self) -> schema::Admitted {
        let secret = |(epoch, secret): &(u32, [u8; 32])| schema::MeshSecret {
            epoch: *epoch,
            secret: secret.to_vec(),
        };
        schema::Admitted {
            certificate: self.certificate.encode(),
            mesh_id: self.mesh.0.to_vec(),
            authorities: self.founding.iter().map(|key| key.0.to_vec()).collect(),
            seeds: self.seeds.iter().take(MAX_SEEDS).map(Enroller::to_wire).collect(),
            secrets: self.secrets.iter().map(secret).collect(),
            authority_changes: self.changes.iter().map(AuthorityChange::encode).collect(),
        }
    }

    fn from_wire(wire: schema::Admitted) -> Result<Self, Malformed> {
        if wire.authorities.len() > MAX_AUTHORITIES || wire.authorities.is_empty() {
            return Err(Malformed("the number of authorities"));
        }
        if wire.seeds.len() > MAX_SEEDS || wire.secrets.len() > MAX_SECRETS {
            return Err(Malformed("a list is past its cap"));
        }
        let authority =
            |bytes: &Vec<u8>| PeerId::from_slice(bytes).ok_or(Malformed("an authority"));
        let seed = |seed| Enroller::from_wire(seed).map_err(|_| Malformed("a seed"));
        let secret = |secret: &schema::MeshSecret| {
            let bytes = secret.secret.as_slice().try_into();
            Ok((secret.epoch, bytes.map_err(|_| Malformed("a secret's length"))?))
        };
        Ok(Self {
            certificate: Certificate::parse(&wire.certificate)
                .map_err(|_| Malformed("the certificate"))?,
            mesh: MeshId(wire.mesh_id.as_slice().try_into().map_err(|_| Malformed("the mesh id"))?),
            founding: wire.authorities.iter().map(authority).collect::<Result<_, _>>()?,
            changes: AuthorityChange::parse_all(&wire.authority_changes)
                .map_err(|_| Malformed("the replacements of authority keys"))?,
            seeds: wire.seeds.into_iter().map(seed).collect::<Result<_, _>>()?,
            secrets: wire.secrets.iter().map(secret).collect::<Result<_, _>>()?,
        })
    }
}

impl AdmissionRefusal {
    const fn to_wire(self) -> schema::AdmissionRefused {
        let (code, clock_offset_ms) = match self {
            Self::NotEnroller => (1, 0),
            Self::UnknownToken => (2, 0),
            Self::UsedUp => (3, 0),
            Self::ForAnother => (4, 0),
            Self::Barred => (5, 0),
            Self::Clock { offset_ms } => (6, offset_ms),
            Self::NotMember => (7, 0),
            Self::NeedsAuthority => (8, 0),
            // 9 stays unused: who has no time says so before it reads the request.
            Self::Malformed => (10, 0),
            Self::OutlivesEnroller => (11, 0),
            Self::Other(code) => (code, 0),
        };
        schema::AdmissionRefused { code, clock_offset_ms }
    }

    const fn from_wire(wire: &schema::AdmissionRefused) -> Self {
        match wire.code {
            1 => Self::NotEnroller,
            2 => Self::UnknownToken,
            3 => Self::UsedUp,
            4 => Self::ForAnother,
            5 => Self::Barred,
            6 => Self::Clock { offset_ms: wire.clock_offset_ms },
            7 => Self::NotMember,
            8 => Self::NeedsAuthority,
            10 => Self::Malformed,
            11 => Self::OutlivesEnroller,
            other => Self::Other(other),
        }
    }
}

// All seeds with all addresses and all replacements fit into an answer.
const _: () = assert!(
    MAX_SEEDS * MAX_ENROLLER_ADDRESSES * 128 + MAX_AUTHORITY_CHANGES * MAX_CHANGE_BYTES
        < MAX_ANSWER_BYTES
);
