//! Whose certificates make members: the keys that a mesh was made with, and what replaced those that were lost or stolen.
//!
//! A replacement is signed by another authority and names what it follows, so replacements form chains that begin with the founding keys and need no trust in whoever brings them.
//! Of two chains one counts everywhere: where they part, that whose signer stands later in the order of the keys, because the spare is the key that was kept away from everybody; then that with the higher hash. A
//! chain that another one continues counts less than it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

use prost::Message;

use super::PayloadError;
use super::certificate::{CERTIFICATE_LIFETIME_S, Certificate, MeshId};
use super::payload::within;
use crate::port::Crypto;
use crate::schema;
use crate::types::PeerId;

/// Most authorities of a mesh at a time: two, and room for meshes that were made with more.
pub const MAX_AUTHORITIES: usize = 8;
/// Most replacements in the life of a mesh: all of them travel in a hello, beside the certificate.
pub const MAX_AUTHORITY_CHANGES: usize = 8;
/// How long a lost key's certificates go on counting at most, in seconds: none of them lasts longer.
pub const MAX_AUTHORITY_GRACE_S: u64 = CERTIFICATE_LIFETIME_S;
/// Longest encoded replacement, in bytes; a real one takes about 260.
pub const MAX_CHANGE_BYTES: usize = 288;
/// Keeps these signatures apart from those of certificates and records.
const SIGNATURE_CONTEXT: &[u8] = b"plexmesh/1/authority";

/// Why replacements of authority keys do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// Not an encoded replacement.
    #[error("not an encoded replacement of an authority key")]
    Malformed,
    /// Too many.
    #[error("authority keys were replaced {MAX_AUTHORITY_CHANGES} times; a mesh lasts no longer")]
    TooMany,
    /// For another mesh.
    #[error("the replacement is for another mesh")]
    OtherMesh,
    /// It does not follow what was before.
    #[error("the replacement does not follow the keys in force")]
    OutOfOrder,
    /// Its signer is no authority.
    #[error("the key that signs the replacement is no authority in force")]
    UnknownSigner,
    /// What it replaces is no authority, or its own signer.
    #[error("the key to be replaced is not another authority in force")]
    NotReplaceable,
    /// The new key was an authority before.
    #[error("the new key is or was an authority of this mesh already")]
    KnownKey,
    /// The signature is wrong.
    #[error("the signature of the replacement is wrong")]
    Forged,
}

/// What is to become of a replaced key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The key that is replaced.
    pub lost: PeerId,
    /// The key in its place.
    pub new: PeerId,
    /// Unix second from which on its certificates count no more.
    pub until_s: u64,
    /// Somebody else may have it: from then on nothing counts that hangs on it, whatever date it bears.
    pub stolen: bool,
}

/// One replacement, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityChange {
    replacement: Replacement,
    mesh: MeshId,
    previous: [u8; 32],
    signer: PeerId,
    signature: [u8; 64],
    body: Vec<u8>,
}

/// The authorities of a mesh, as far as somebody knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorities {
    founding: Vec<PeerId>,
    changes: Vec<AuthorityChange>,
    /// In their order; the last one wins over the others.
    in_force: Vec<PeerId>,
}

/// A record's word of all replacements that its origin knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityWord {
    /// From the first one on.
    pub changes: Vec<AuthorityChange>,
    /// The origin's certificate: the record is judged by it alone.
    pub certificate: Box<Certificate>,
}

impl From<Vec<PeerId>> for Authorities {
    /// The keys that a mesh was made with.
    fn from(founding: Vec<PeerId>) -> Self {
        Self { in_force: founding.clone(), founding, changes: Vec::new() }
    }
}

impl Authorities {
    /// The keys that the mesh was made with.
    #[must_use]
    pub fn founding(&self) -> &[PeerId] {
        &self.founding
    }

    /// All replacements, from the first on.
    #[must_use]
    pub fn changes(&self) -> &[AuthorityChange] {
        &self.changes
    }

    /// The keys that sign today, in their order.
    #[must_use]
    pub fn in_force(&self) -> &[PeerId] {
        &self.in_force
    }

    /// The same mesh's authorities as a chain of replacements tells them.
    ///
    /// # Errors
    /// [`AuthorityError`] of the first replacement that does not count.
    pub fn of_chain(
        &self,
        crypto: &mut impl Crypto,
        mesh: &MeshId,
        chain: &[AuthorityChange],
    ) -> Result<Self, AuthorityError> {
        let mut told = Self::from(self.founding.clone());
        for (place, change) in chain.iter().enumerate() {
            // What is held was checked.
            let genuine = self.changes.get(place) == Some(change) || change.is_genuine(crypto);
            told = told.after(mesh, change.clone())?;
            if !genuine {
                return Err(AuthorityError::Forged);
            }
        }
        Ok(told)
    }

    /// These, with one more replacement that the authority key of `crypto` signs.
    ///
    /// # Errors
    /// [`AuthorityError`] says why it would not count.
    pub fn replace(
        &self,
        crypto: &mut impl Crypto,
        signer: PeerId,
        mesh: &MeshId,
        replacement: Replacement,
    ) -> Result<Self, AuthorityError> {
        let previous = self.head();
        let change = AuthorityChange::sign(crypto, signer, *mesh, previous, replacement);
        self.after(mesh, change)
    }

    /// Whether this chain counts where `other` is known, too. A total order over chains with the same founding keys.
    #[must_use]
    pub fn supersedes(&self, other: &Self) -> bool {
        self.rank(other) == Ordering::Greater
    }

    fn rank(&self, other: &Self) -> Ordering {
        let mut common = Self::from(self.founding.clone());
        for (own, theirs) in self.changes.iter().zip(&other.changes) {
            if own.body != theirs.body {
                let place = |key: &PeerId| common.in_force.iter().position(|it| it == key);
                let by_signer = place(&own.signer).cmp(&place(&theirs.signer));
                return by_signer.then_with(|| own.hash().cmp(&theirs.hash()));
            }
            common.take(own.clone());
        }
        self.changes.len().cmp(&other.changes.len())
    }

    /// Whether certificates of `key` count at `wall_s`.
    #[must_use]
    pub fn vouches(&self, key: &PeerId, wall_s: u64) -> bool {
        self.ends_s(key).is_some_and(|ends_s| wall_s < ends_s)
    }

    /// Whether nothing counts any more that hangs on `key`, whatever date it bears.
    #[must_use]
    pub fn is_void(&self, key: &PeerId, wall_s: u64) -> bool {
        let replaced = self.replacements().find(|it| it.lost == *key);
        replaced.is_some_and(|it| it.stolen && it.until_s <= wall_s)
    }

    /// Whether `key` is an authority, or was one.
    #[must_use]
    pub fn knows(&self, key: &PeerId) -> bool {
        self.ends_s(key).is_some()
    }

    /// Whether `key` signs today.
    #[must_use]
    pub fn is_in_force(&self, key: &PeerId) -> bool {
        self.in_force.contains(key)
    }

    /// When a certificate ends: as it says itself, or with the key that it hangs on.
    #[must_use]
    pub fn lapses_s(&self, certificate: &Certificate) -> u64 {
        let with_key = self.ends_s(&certificate.authority()).unwrap_or(u64::MAX);
        certificate.not_after_s.min(with_key)
    }

    /// What became of keys that were replaced, from the first on.
    pub fn replacements(&self) -> impl Iterator<Item = &Replacement> {
        self.changes.iter().map(AuthorityChange::replacement)
    }

    /// From when on certificates of `key` count no more; never, if it is in force, and `None` if it is no authority.
    fn ends_s(&self, key: &PeerId) -> Option<u64> {
        if self.is_in_force(key) {
            return Some(u64::MAX);
        }
        self.replacements().find(|it| it.lost == *key).map(|it| it.until_s)
    }

    /// What the next replacement follows.
    fn head(&self) -> [u8; 32] {
        if let Some(last) = self.changes.last() {
            return last.hash();
        }
        let mut hasher = blake3::Hasher::new();
        self.founding.iter().for_each(|key| {
            hasher.update(&key.0);
        });
        *hasher.finalize().as_bytes()
    }

    /// These with one more replacement, whose signature is another matter.
    fn after(&self, mesh: &MeshId, change: AuthorityChange) -> Result<Self, AuthorityError> {
        let Replacement { lost, new, .. } = change.replacement;
        if self.changes.len() >= MAX_AUTHORITY_CHANGES {
            return Err(AuthorityError::TooMany);
        }
        if change.mesh != *mesh {
            return Err(AuthorityError::OtherMesh);
        }
        if change.previous != self.head() {
            return Err(AuthorityError::OutOfOrder);
        }
        if !self.is_in_force(&change.signer) {
            return Err(AuthorityError::UnknownSigner);
        }
        if !self.is_in_force(&lost) || lost == change.signer {
            return Err(AuthorityError::NotReplaceable);
        }
        if self.knows(&new) {
            return Err(AuthorityError::KnownKey);
        }
        let mut after = self.clone();
        after.take(change);
        Ok(after)
    }

    fn take(&mut self, change: AuthorityChange) {
        let Replacement { lost, new, .. } = change.replacement;
        for key in self.in_force.iter_mut().filter(|key| **key == lost) {
            *key = new;
        }
        self.changes.push(change);
    }
}

impl AuthorityChange {
    fn sign(
        crypto: &mut impl Crypto,
        signer: PeerId,
        mesh: MeshId,
        previous: [u8; 32],
        replacement: Replacement,
    ) -> Self {
        let Replacement { lost, new, until_s, stolen } = replacement;
        let body = schema::AuthorityChangeBody {
            mesh_id: mesh.0.to_vec(),
            previous: previous.to_vec(),
            lost: lost.0.to_vec(),
            new_key: new.0.to_vec(),
            until_s,
            stolen,
        }
        .encode_to_vec();
        let signature = crypto.sign(&signed_bytes(&body));
        Self { replacement, mesh, previous, signer, signature, body }
    }

    /// What is replaced by what.
    #[must_use]
    pub const fn replacement(&self) -> &Replacement {
        &self.replacement
    }

    /// The authority that signed.
    #[must_use]
    pub const fn signer(&self) -> PeerId {
        self.signer
    }

    /// Reads a replacement; checks form, not whether it counts.
    ///
    /// # Errors
    /// [`AuthorityError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AuthorityError> {
        const MALFORMED: AuthorityError = AuthorityError::Malformed;
        if bytes.len() > MAX_CHANGE_BYTES {
            return Err(MALFORMED);
        }
        let outer = schema::AuthorityChange::decode(bytes).map_err(|_| MALFORMED)?;
        let inner = schema::AuthorityChangeBody::decode(&*outer.body).map_err(|_| MALFORMED)?;
        let key = |bytes: &[u8]| PeerId::from_slice(bytes).ok_or(MALFORMED);
        Ok(Self {
            replacement: Replacement {
                lost: key(&inner.lost)?,
                new: key(&inner.new_key)?,
                until_s: inner.until_s,
                stolen: inner.stolen,
            },
            mesh: MeshId(inner.mesh_id.as_slice().try_into().map_err(|_| MALFORMED)?),
            previous: inner.previous.as_slice().try_into().map_err(|_| MALFORMED)?,
            signer: key(&outer.signer)?,
            signature: outer.signature.as_slice().try_into().map_err(|_| MALFORMED)?,
            body: outer.body,
        })
    }

    /// The encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        schema::AuthorityChange {
            body: self.body.clone(),
            signer: self.signer.0.to_vec(),
            signature: self.signature.to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads several.
    ///
    /// # Errors
    /// [`AuthorityError::Malformed`], or [`AuthorityError::TooMany`].
    pub fn parse_all(chain: &[impl AsRef<[u8]>]) -> Result<Vec<Self>, AuthorityError> {
        if chain.len() > MAX_AUTHORITY_CHANGES {
            return Err(AuthorityError::TooMany);
        }
        chain.iter().map(|bytes| Self::parse(bytes.as_ref())).collect()
    }

    fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.body).as_bytes()
    }

    fn is_genuine(&self, crypto: &mut impl Crypto) -> bool {
        crypto.verify(&self.signer, &signed_bytes(&self.body), &self.signature)
    }
}

impl AuthorityWord {
    pub(super) fn to_wire(&self) -> schema::Authorities {
        schema::Authorities {
            changes: self.changes.iter().map(AuthorityChange::encode).collect(),
            certificate: self.certificate.encode(),
        }
    }

    pub(super) fn from_wire(wire: &schema::Authorities) -> Result<Self, PayloadError> {
        within(wire.changes.len(), MAX_AUTHORITY_CHANGES)?;
        let changes =
            AuthorityChange::parse_all(&wire.changes).map_err(|_| PayloadError::Authority)?;
        let certificate =
            Certificate::parse(&wire.certificate).map_err(|_| PayloadError::Certificate)?;
        Ok(Self { changes, certificate: Box::new(certificate) })
    }
}

fn signed_bytes(body: &[u8]) -> Vec<u8> {
    [SIGNATURE_CONTEXT, body].concat()
}
