//! Ed25519 identities and their libp2p names.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use libp2p::PeerId;
use libp2p::identity::{Keypair, ed25519};

use crate::error::{NetError, PeerIdError};

/// A raw Ed25519 public key. The libp2p peer id is its identity multihash, so either names the
/// other without a table.
pub type PeerKey = [u8; 32];

/// What stands before the raw key in a peer id: identity multihash code, its length (36), and
/// the protobuf header "key type Ed25519, 32 bytes of key".
/// Source: the libp2p peer id specification.
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// The key pair of this peer.
///
/// Cloning copies the secret; it is wiped when each copy is dropped. `Debug` shows the public
/// half alone.
#[derive(Clone)]
pub struct Identity {
    signing: SigningKey,
}

impl Identity {
    /// Makes a new identity from the operating system's random source.
    pub fn generate() -> Self {
        let secret = ed25519::SecretKey::generate();
        let mut bytes = [0; 32];
        bytes.copy_from_slice(secret.as_ref());
        Self::from_secret_bytes(bytes)
    }

    /// Restores an identity from its 32 secret bytes. Every value is a valid secret.
    pub fn from_secret_bytes(secret: [u8; 32]) -> Self {
        Self { signing: SigningKey::from_bytes(&secret) }
    }

    /// The 32 secret bytes, for the identity file. They belong nowhere else.
    pub fn secret_bytes(&self) -> [u8; 32] {
        self.signing.to_bytes()
    }

    /// The public half, by which other peers know this one.
    pub fn public(&self) -> PeerKey {
        self.signing.verifying_key().to_bytes()
    }

    /// Signs a message (RFC 8032, pure Ed25519).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }

    pub(crate) fn keypair(&self) -> Result<Keypair, NetError> {
        Keypair::ed25519_from_bytes(self.secret_bytes())
            .map_err(|error| NetError::Identity(error.to_string()))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&peer_id_text(&self.public())).finish()
    }
}

/// Checks a signature strictly: small-order keys and malleable encodings are refused, so that
/// every peer agrees on what is signed.
pub fn verify(key: &PeerKey, message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(key)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

/// The text form of a peer id, `12D3KooW...`.
pub fn peer_id_text(key: &PeerKey) -> String {
    peer_id(key).to_base58()
}

/// Reads a peer id in text form.
///
/// # Errors
/// When the text is not a peer id, or names a key that is not Ed25519.
pub fn parse_peer_id(text: &str) -> Result<PeerKey, PeerIdError> {
    let id = PeerId::from_str(text).map_err(|error| PeerIdError::Malformed(error.to_string()))?;
    peer_key(&id).ok_or(PeerIdError::NotEd25519)
}

pub(crate) fn peer_id(key: &PeerKey) -> PeerId {
    let mut bytes = [0; PEER_ID_PREFIX.len() + 32];
    bytes[..PEER_ID_PREFIX.len()].copy_from_slice(&PEER_ID_PREFIX);
    bytes[PEER_ID_PREFIX.len()..].copy_from_slice(key);
    match PeerId::from_bytes(&bytes) {
        Ok(id) => id,
        // An identity multihash of 36 bytes is a peer id whatever the bytes are.
        Err(error) => unreachable!("identity multihash of 36 bytes refused: {error}"),
    }
}

pub(crate) fn peer_key(id: &PeerId) -> Option<PeerKey> {
    id.to_bytes().strip_prefix(PEER_ID_PREFIX.as_slice())?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_secret_bytes() {
        let identity = Identity::generate();
        let restored = Identity::from_secret_bytes(identity.secret_bytes());
        assert_eq!(identity.public(), restored.public());
        assert!(verify(&identity.public(), b"text", &restored.sign(b"text")));
    }

    #[test]
    fn peer_id_text_is_what_libp2p_makes_of_the_same_key() {
        let identity = Identity::generate();
        let expected = identity.keypair().unwrap().public().to_peer_id();
        assert_eq!(peer_id_text(&identity.public()), expected.to_base58());
        assert_eq!(parse_peer_id(&expected.to_base58()), Ok(identity.public()));
        assert_eq!(peer_key(&expected), Some(identity.public()));
    }

    #[test]
    fn peer_ids_of_other_kinds_are_refused() {
        assert!(matches!(parse_peer_id("no peer id"), Err(PeerIdError::Malformed(_))));
        // The peer id of an RSA key: a SHA-256 multihash.
        assert_eq!(
            parse_peer_id("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"),
            Err(PeerIdError::NotEd25519)
        );
    }

    #[test]
    fn a_changed_message_key_or_signature_does_not_verify() {
        let identity = Identity::generate();
        let mut signature = identity.sign(b"text");
        assert!(!verify(&identity.public(), b"test", &signature));
        assert!(!verify(&Identity::generate().public(), b"text", &signature));
        signature[0] ^= 1;
        assert!(!verify(&identity.public(), b"text", &signature));
    }

    #[test]
    fn a_small_order_key_verifies_nothing() {
        // The neutral element with an all-zero scalar satisfies the lax equation for any message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!verify(&neutral, b"anything", &signature));
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let identity = Identity::from_secret_bytes([7; 32]);
        let text = format!("{identity:?}");
        assert!(text.contains("12D3KooW") && !text.contains("7, 7"));
    }
}
