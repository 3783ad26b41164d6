//! Who belongs to the mesh: certificates that an authority key signed.

use alloc::vec::Vec;

use prost::Message;

use crate::port::Crypto;
use crate::schema;
use crate::types::PeerId;

/// Longest encoded certificate, in bytes; a real one takes about 250.
const MAX_CERTIFICATE_BYTES: usize = 512;
/// Length of the ring nonce, in bytes: enough that no joiner can search for a seat.
const RING_NONCE_BYTES: usize = 16;
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
    /// Unix second at which it lapses.
    pub not_after_s: u64,
    authority: PeerId,
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
        let mut ring_nonce = [0; RING_NONCE_BYTES];
        for chunk in ring_nonce.chunks_mut(8) {
            chunk.copy_from_slice(&crypto.random_u64().to_le_bytes());
        }
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
            authority,
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
        let inner = schema::CertificateBody::decode(&*outer.body).map_err(|_| MALFORMED)?;
        Ok(Self {
            mesh: MeshId(inner.mesh_id.as_slice().try_into().map_err(|_| MALFORMED)?),
            peer: PeerId::from_slice(&inner.peer).ok_or(MALFORMED)?,
            ring_nonce: inner.ring_nonce.as_slice().try_into().map_err(|_| MALFORMED)?,
            roles: inner.roles().filter_map(Role::from_wire).collect(),
            not_before_s: inner.not_before_s,
            not_after_s: inner.not_after_s,
            authority: PeerId::from_slice(&outer.authority).ok_or(MALFORMED)?,
            signature: outer.signature.as_slice().try_into().map_err(|_| MALFORMED)?,
            body: outer.body,
        })
    }

    /// The certificate's encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        schema::Certificate {
            body: self.body.clone(),
            authority: self.authority.0.to_vec(),
            signature: self.signature.to_vec(),
        }
        .encode_to_vec()
    }

    /// Whether this certificate makes `peer` a member of `mesh` at `wall_s`.
    ///
    /// # Errors
    /// Says which condition fails.
    pub fn check(
        &self,
        crypto: &mut impl Crypto,
        mesh: &MeshId,
        authorities: &[PeerId],
        peer: &PeerId,
        wall_s: u64,
    ) -> Result<(), CertificateError> {
        if self.mesh != *mesh {
            return Err(CertificateError::OtherMesh);
        }
        if self.peer != *peer {
            return Err(CertificateError::OtherPeer);
        }
        if !authorities.contains(&self.authority) {
            return Err(CertificateError::UnknownAuthority);
        }
        if self.has_lapsed(wall_s) {
            return Err(CertificateError::Lapsed);
        }
        if !crypto.verify(&self.authority, &signed_bytes(&self.body), &self.signature) {
            return Err(CertificateError::Forged);
        }
        Ok(())
    }

    /// Whether its time is over at `wall_s`.
    #[must_use]
    pub const fn has_lapsed(&self, wall_s: u64) -> bool {
        wall_s >= self.not_after_s
    }
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
