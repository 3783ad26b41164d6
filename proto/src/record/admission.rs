//! Who is let in and who is put out, as records say it.

use alloc::boxed::Box;
use alloc::string::String;

use super::PayloadError;
use super::certificate::Certificate;
use super::payload::{MAX_LABEL_BYTES, clip, within};
use crate::admission::token::TokenId;
use crate::schema;
use crate::types::PeerId;

/// Longest note on a token, in bytes: a label.
pub const MAX_NOTE_BYTES: usize = 64;
/// Longest reason for leaving or for ending a membership, in bytes: a sentence or two.
pub const MAX_REASON_BYTES: usize = 256;

/// A token that lets peers in, as the mesh knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// Hash of its secret.
    pub secret_hash: [u8; 32],
    /// How many peers it lets in; at least 1.
    pub uses: u32,
    /// The only peer that it lets in; `None` for any.
    pub for_peer: Option<PeerId>,
    /// What it is for, in the operator's words; may be empty.
    pub note: String,
}

/// A peer that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// With which token.
    pub token: TokenId,
    /// Who.
    pub peer: PeerId,
    /// How many peers the token lets in: this record outlives the token's invite.
    pub uses: u32,
}

/// Why a membership was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RevocationCause {
    /// The peer is gone for good; a certificate of later lets it in again.
    Forgotten,
    /// The peer's key is not trusted any more.
    Revoked,
}

/// A membership that was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub peer: PeerId,
    /// Why.
    pub cause: RevocationCause,
    /// The same in the admin's words; may be empty.
    pub reason: String,
    /// What the peer was called; may be empty.
    pub name: String,
    /// The admin's certificate: the record is judged by it alone, also when the admin has left.
    pub certificate: Box<Certificate>,
}

impl Invite {
    /// The token's id.
    #[must_use]
    pub fn token(&self) -> TokenId {
        TokenId::of_hash(&self.secret_hash)
    }

    /// This invite with its note cut to its cap and one use at least.
    #[must_use]
    pub fn clipped(mut self) -> Self {
        clip(&mut self.note, MAX_NOTE_BYTES);
        self.uses = self.uses.max(1);
        self
    }

    pub(super) fn to_wire(&self) -> schema::Invite {
        schema::Invite {
            secret_hash: self.secret_hash.to_vec(),
            uses: self.uses,
            for_peer: self.for_peer.map(|peer| peer.0.to_vec()).unwrap_or_default(),
            note: self.note.clone(),
        }
    }

    pub(super) fn from_wire(wire: schema::Invite) -> Result<Self, PayloadError> {
        within(wire.note.len(), MAX_NOTE_BYTES)?;
        let hash: Result<[u8; 32], _> = wire.secret_hash.as_slice().try_into();
        Ok(Self {
            secret_hash: hash.map_err(|_| PayloadError::Token)?,
            uses: wire.uses.max(1),
            for_peer: match wire.for_peer.as_slice() {
                [] => None,
                bytes => Some(PeerId::from_slice(bytes).ok_or(PayloadError::PeerId)?),
            },
            note: wire.note,
        })
    }
}

impl Enrolment {
    pub(super) fn to_wire(&self) -> schema::Enrolment {
        let (token, peer) = (self.token.0.to_vec(), self.peer.0.to_vec());
        schema::Enrolment { token, peer, uses: self.uses }
    }

    pub(super) fn from_wire(wire: &schema::Enrolment) -> Result<Self, PayloadError> {
        let token: Result<[u8; 16], _> = wire.token.as_slice().try_into();
        Ok(Self {
            token: TokenId(token.map_err(|_| PayloadError::Token)?),
            peer: PeerId::from_slice(&wire.peer).ok_or(PayloadError::PeerId)?,
            uses: wire.uses.max(1),
        })
    }
}

impl Revocation {
    /// This revocation with its texts cut to their caps.
    #[must_use]
    pub fn clipped(mut self) -> Self {
        clip(&mut self.reason, MAX_REASON_BYTES);
        clip(&mut self.name, MAX_LABEL_BYTES);
        self
    }

    pub(super) fn to_wire(&self) -> schema::Revocation {
        schema::Revocation {
            peer: self.peer.0.to_vec(),
            cause: match self.cause {
                RevocationCause::Revoked => schema::RevocationCause::Revoked,
                RevocationCause::Forgotten => schema::RevocationCause::Forgotten,
            } as i32,
            reason: self.reason.clone(),
            name: self.name.clone(),
            certificate: self.certificate.encode(),
        }
    }

    pub(super) fn from_wire(wire: schema::Revocation) -> Result<Self, PayloadError> {
        within(wire.reason.len(), MAX_REASON_BYTES)?;
        within(wire.name.len(), MAX_LABEL_BYTES)?;
        let certificate =
            Certificate::parse(&wire.certificate).map_err(|_| PayloadError::Certificate)?;
        Ok(Self {
            peer: PeerId::from_slice(&wire.peer).ok_or(PayloadError::PeerId)?,
            // A cause of a later version ends the membership no less.
            cause: match wire.cause() {
                schema::RevocationCause::Forgotten => RevocationCause::Forgotten,
                _ => RevocationCause::Revoked,
            },
            reason: wire.reason,
            name: wire.name,
            certificate: Box::new(certificate),
        })
    }
}
