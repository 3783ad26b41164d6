//! Who belongs to the mesh: certificates that an authority key signed, or an enroller whose own certificate one signed.
//!
//! A certificate of an enroller brings the enroller's along, so that whoever sees it can judge it alone, on a first connection too. Two links are the longest chain: an authority
//! gives roles, an enroller makes plain members, and nobody but an authority makes an enroller.

use alloc::boxed::Box;
use alloc::vec::Vec;

use prost::Message;

use super::authorities::Authorities;
use crate::port::Crypto;
use crate::schema;
use crate::types::PeerId;

/// Longest encoded certificate with its issuer's inside, in bytes; a real one takes about 420.
pub const MAX_CERTIFICATE_BYTES: usize = 1024;
/// Longest encoded certificate of an issuer, in bytes; a real one takes about 210.
const MAX_ISSUER_BYTES: usize = 512;
/// Length of the ring nonce, in bytes: enough that no joiner can search for a seat.
const RING_NONCE_BYTES: usize = 16;
/// How long a certificate lasts, in seconds: 90 days, so that a peer that is gone is forgotten within a quarter, and one that is up renews it long before.
pub const CERTIFICATE_LIFETIME_S: u64 = 90 * 24 * 3_600;
const SIGNATURE_CONTEXT: &[u8] = b"plexmesh/1/certificate";

/// Which mesh: 32 bytes, chosen when the mesh is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MeshId(pub [u8; 32]);

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Takes part.
    Member,
    /// Lets others in.
    Enroller,
    /// Revokes and configures.
    Admin,
}

/// Why a certificate does not let its bearer in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not an encoded certificate, or a field of it has the wrong length.
    #[error("malformed certificate")]
    Malformed,
    /// Made for another mesh.
    #[error("certificate of another mesh")]
    OtherMesh,
    /// Made for another peer.
    #[error("certificate of another peer")]
    OtherPeer,
    /// Signed by a key that is no authority of this mesh.
    #[error("certificate signed by a key that is no authority of this mesh")]
    UnknownAuthority,
    /// The authority key that it hangs on was replaced, and its time is over.
    #[error("certificate of an authority key that was replaced")]
    AuthorityReplaced,
    /// Signed by a peer that may not let others in.
    #[error("certificate signed by a peer that is no enroller of this mesh")]
    NotEnroller,
    /// An enroller gave a role that only an authority gives.
    #[error("certificate of an enroller with a role that only an authority gives")]
    RoleNotGiven,
    /// It does not say that its bearer takes part.
    #[error("certificate without the role of a member")]
    NotMember,
    /// The signature is wrong.
    #[error("certificate with a wrong signature")]
    Forged,
    /// Its time is over.
    #[error("certificate has lapsed")]
    Lapsed,
}

/// A member's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The mesh that it is for.
    pub mesh: MeshId,
    /// The member.
    pub peer: PeerId,
    /// Chosen by the enroller after it saw the key: places the member on the rings.
    pub ring_nonce: [u8; RING_NONCE_BYTES],
    /// What the member may do.
    pub roles: Vec<Role>,
    /// First Unix second of validity, for display: a joiner's clock may be behind the enroller's.
    pub not_before_s: u64,
    /// Unix second at which it lapses: with its issuer's certificate at the latest.
    pub not_after_s: u64,
    /// It names a role that this version of the protocol does not know.
    other_roles: bool,
    signer: PeerId,
    /// The certificate of the enroller that signed; `None` if an authority did.
    issuer: Option<Box<Certificate>>,
    signature: [u8; 64],
    body: Vec<u8>,
}

impl Certificate {
    /// Issues a certificate, signed by the authority key that `crypto` holds.
    pub fn issue(
        crypto: &mut impl Crypto,
        authority: PeerId,
        mesh: MeshId,
        peer: PeerId,
        roles: Vec<Role>,
        not_before_s: u64,
        not_after_s: u64,
    ) -> Self {
        let terms = Terms { mesh, peer, roles, not_before_s, not_after_s };
        Self::sign(crypto, authority, None, terms)
    }

    /// Issues a plain member's certificate, signed by the enroller whose key `crypto` holds and whose own certificate `enroller` is. It lapses with the enroller's at the
    /// latest.
    pub fn issue_by_enroller(
        crypto: &mut impl Crypto,
        enroller: &Self,
        peer: PeerId,
        not_before_s: u64,
        not_after_s: u64,
    ) -> Self {
        let terms = Terms {
            mesh: enroller.mesh,
            peer,
            roles: alloc::vec![Role::Member],
            not_before_s,
            not_after_s: not_after_s.min(enroller.not_after_s),
        };
        Self::sign(crypto, enroller.peer, Some(Box::new(enroller.clone())), terms)
    }

    /// Renews this certificate with the authority key that `crypto` holds: same roles, same seat on the rings.
    #[must_use]
    pub fn renew(
        &self,
        crypto: &mut impl Crypto,
        authority: PeerId,
        not_before_s: u64,
        not_after_s: u64,
    ) -> Self {
        let (mesh, peer, roles) = (self.mesh, self.peer, self.roles.clone());
        let terms = Terms { mesh, peer, roles, not_before_s, not_after_s };
        Self::sign_for_seat(crypto, authority, None, terms, self.ring_nonce)
    }

    /// Renews this plain member's certificate with the key of an enroller, as [`Self::issue_by_enroller`] makes one; the seat on the rings stays.
    #[must_use]
    pub fn renew_by_enroller(
        &self,
        crypto: &mut impl Crypto,
        enroller: &Self,
        not_before_s: u64,
        not_after_s: u64,
    ) -> Self {
        let terms = Terms {
            mesh: enroller.mesh,
            peer: self.peer,
            roles: alloc::vec![Role::Member],
            not_before_s,
            not_after_s: not_after_s.min(enroller.not_after_s),
        };
        let issuer = Some(Box::new(enroller.clone()));
        Self::sign_for_seat(crypto, enroller.peer, issuer, terms, self.ring_nonce)
    }

    /// From two thirds of its life on it is to be renewed, in Unix seconds: a month is left then, for whoever has to walk to an authority key.
    #[must_use]
    pub const fn renewal_s(&self) -> u64 {
        let life_s = self.not_after_s.saturating_sub(self.not_before_s);
        self.not_before_s.saturating_add(life_s / 3 * 2)
    }

    fn sign(
        crypto: &mut impl Crypto,
        signer: PeerId,
        issuer: Option<Box<Self>>,
        terms: Terms,
    ) -> Self {
        let mut ring_nonce = [0; RING_NONCE_BYTES];
        for chunk in ring_nonce.chunks_mut(8) {
            chunk.copy_from_slice(&crypto.random_u64().to_le_bytes());
        }
        Self::sign_for_seat(crypto, signer, issuer, terms, ring_nonce)
    }

    fn sign_for_seat(
        crypto: &mut impl Crypto,
        signer: PeerId,
        issuer: Option<Box<Self>>,
        terms: Terms,
        ring_nonce: [u8; RING_NONCE_BYTES],
    ) -> Self {
        let Terms { mesh, peer, roles, not_before_s, not_after_s } = terms;
        let body = schema::CertificateBody {
            mesh_id: mesh.0.to_vec(),
            peer: peer.0.to_vec(),
            ring_nonce: ring_nonce.to_vec(),
            roles: roles.iter().map(|role| role.to_wire() as i32).collect(),
            not_before_s,
            not_after_s,
        }
        .encode_to_vec();
        let signature = crypto.sign(&signed_bytes(&body));
        Self {
            mesh,
            peer,
            ring_nonce,
            roles,
            not_before_s,
            not_after_s,
            other_roles: false,
            signer,
            issuer,
            signature,
            body,
        }
    }

    /// Reads a certificate; checks form, not validity.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CertificateError> {
        const MALFORMED: CertificateError = CertificateError::Malformed;
        if bytes.len() > MAX_CERTIFICATE_BYTES {
            return Err(MALFORMED);
        }
        let outer = schema::Certificate::decode(bytes).map_err(|_| MALFORMED)?;
        let issuer = match outer.issuer.as_deref() {
            None => None,
            Some(bytes) if bytes.len() > MAX_ISSUER_BYTES => return Err(MALFORMED),
            Some(bytes) => {
                let issuer = schema::Certificate::decode(bytes).map_err(|_| MALFORMED)?;
                // Two links are all: a third is not even looked at.
                if issuer.issuer.is_some() {
                    return Err(MALFORMED);
                }
                Some(Box::new(Self::of_parts(issuer, None)?))
            }
        };
        Self::of_parts(outer, issuer)
    }

    fn of_parts(
        outer: schema::Certificate,
        issuer: Option<Box<Self>>,
    ) -> Result<Self, CertificateError> {
        const MALFORMED: CertificateError = CertificateError::Malformed;
        let inner = schema::CertificateBody::decode(&*outer.body).map_err(|_| MALFORMED)?;
        let roles: Vec<Role> = inner.roles().filter_map(Role::from_wire).collect();
        let lapses_with = issuer.as_ref().map_or(u64::MAX, |issuer| issuer.not_after_s);
        Ok(Self {
            mesh: MeshId(inner.mesh_id.as_slice().try_into().map_err(|_| MALFORMED)?),
            peer: PeerId::from_slice(&inner.peer).ok_or(MALFORMED)?,
            ring_nonce: inner.ring_nonce.as_slice().try_into().map_err(|_| MALFORMED)?,
            other_roles: roles.len() != inner.roles.len(),
            roles,
            not_before_s: inner.not_before_s,
            not_after_s: inner.not_after_s.min(lapses_with),
            signer: PeerId::from_slice(&outer.authority).ok_or(MALFORMED)?,
            issuer,
            signature: outer.signature.as_slice().try_into().map_err(|_| MALFORMED)?,
            body: outer.body,
        })
    }

    /// The certificate's encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_wire().encode_to_vec()
    }

    fn to_wire(&self) -> schema::Certificate {
        schema::Certificate {
            body: self.body.clone(),
            authority: self.signer.0.to_vec(),
            signature: self.signature.to_vec(),
            issuer: self.issuer.as_ref().map(|issuer| issuer.encode()),
        }
    }

    /// The enroller that let this member in; `None` if an authority did.
    #[must_use]
    pub fn enroller(&self) -> Option<PeerId> {
        self.issuer.as_ref().map(|issuer| issuer.peer)
    }

    /// The authority that it hangs on: who signed, or who signed the enroller's.
    #[must_use]
    pub fn authority(&self) -> PeerId {
        self.issuer.as_ref().map_or(self.signer, |issuer| issuer.signer)
    }

    /// Whether its bearer has a role.
    #[must_use]
    pub fn has_role(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether this certificate makes `peer` a member of `mesh` at `wall_s`.
    ///
    /// # Errors
    /// Says which condition fails.
    pub fn check(
        &self,
        crypto: &mut impl Crypto,
        mesh: &MeshId,
        authorities: &Authorities,
        peer: &PeerId,
        wall_s: u64,
    ) -> Result<(), CertificateError> {
        if self.mesh != *mesh {
            return Err(CertificateError::OtherMesh);
        }
        if self.peer != *peer {
            return Err(CertificateError::OtherPeer);
        }
        if !self.has_role(Role::Member) {
            return Err(CertificateError::NotMember);
        }
        self.check_authority(authorities, wall_s)?;
        self.check_issuer()?;
        if self.has_lapsed(wall_s) {
            return Err(CertificateError::Lapsed);
        }
        let issuer_is_genuine = self.issuer.as_ref().is_none_or(|issuer| issuer.is_genuine(crypto));
        if !issuer_is_genuine || !self.is_genuine(crypto) {
            return Err(CertificateError::Forged);
        }
        Ok(())
    }

    fn check_authority(
        &self,
        authorities: &Authorities,
        wall_s: u64,
    ) -> Result<(), CertificateError> {
        let key = self.authority();
        match authorities.vouches(&key, wall_s) {
            true => Ok(()),
            false if authorities.knows(&key) => Err(CertificateError::AuthorityReplaced),
            false => Err(CertificateError::UnknownAuthority),
        }
    }

    /// Whether an enroller that signed may give what this certificate gives; the signatures are another matter.
    fn check_issuer(&self) -> Result<(), CertificateError> {
        let Some(issuer) = &self.issuer else { return Ok(()) };
        if issuer.mesh != self.mesh {
            return Err(CertificateError::OtherMesh);
        }
        if issuer.peer != self.signer || !issuer.has_role(Role::Enroller) {
            return Err(CertificateError::NotEnroller);
        }
        if self.other_roles || self.roles.iter().any(|role| *role != Role::Member) {
            return Err(CertificateError::RoleNotGiven);
        }
        Ok(())
    }

    fn is_genuine(&self, crypto: &mut impl Crypto) -> bool {
        crypto.verify(&self.signer, &signed_bytes(&self.body), &self.signature)
    }

    /// Whether its time is over at `wall_s`.
    #[must_use]
    pub const fn has_lapsed(&self, wall_s: u64) -> bool {
        wall_s >= self.not_after_s
    }
}

/// What a certificate says.
struct Terms {
    mesh: MeshId,
    peer: PeerId,
    roles: Vec<Role>,
    not_before_s: u64,
    not_after_s: u64,
}

impl Role {
    const fn to_wire(self) -> schema::Role {
        match self {
            Self::Member => schema::Role::Member,
            Self::Enroller => schema::Role::Enroller,
            Self::Admin => schema::Role::Admin,
        }
    }

    const fn from_wire(role: schema::Role) -> Option<Self> {
        match role {
            schema::Role::Unspecified => None,
            schema::Role::Member => Some(Self::Member),
            schema::Role::Enroller => Some(Self::Enroller),
            schema::Role::Admin => Some(Self::Admin),
        }
    }
}

fn signed_bytes(body: &[u8]) -> Vec<u8> {
    [SIGNATURE_CONTEXT, body].concat()
}
