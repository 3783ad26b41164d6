//! This peer's key as the protocol uses it.

use std::sync::Arc;

use crypto_box::aead::OsRng;
use ed25519_dalek::{SigningKey, VerifyingKey};
use plexmesh_net::{Identity, peer_id_text};
use plexmesh_proto::port::Crypto;
use plexmesh_proto::types::PeerId;

/// What all peer ids of Ed25519 keys begin with: it tells none from another.
const COMMON_PREFIX: &str = "12D3KooW";
/// Characters of a peer id that a log line shows: 47 bits, enough for every mesh of today.
const SHORT_ID_CHARS: usize = 8;

/// Keys, signatures and randomness of a running agent.
///
/// Clones share one copy of the secret.
#[derive(Clone, Debug)]
pub struct NodeKeys {
    identity: Arc<Identity>,
}

impl NodeKeys {
    /// Signs with `identity`.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity: Arc::new(identity) }
    }

    /// The public half.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        PeerId(self.identity.public())
    }

    /// The X25519 half of the key pair, as libsodium derives it.
    fn sealing_key(&self) -> crypto_box::SecretKey {
        crypto_box::SecretKey::from(
            SigningKey::from_bytes(&self.identity.secret_bytes()).to_scalar_bytes(),
        )
    }

    /// The key pair, for the transport.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl Crypto for NodeKeys {
    fn sign(&mut self, message: &[u8]) -> [u8; 64] {
        self.identity.sign(message)
    }

    fn verify(&mut self, key: &PeerId, message: &[u8], signature: &[u8; 64]) -> bool {
        plexmesh_net::verify(&key.0, message, signature)
    }

    fn seal(&mut self, to: &PeerId, secret: &[u8; 32]) -> Vec<u8> {
        let Ok(key) = VerifyingKey::from_bytes(&to.0) else { return Vec::new() };
        let key = crypto_box::PublicKey::from(key.to_montgomery().to_bytes());
        key.seal(&mut OsRng, secret).unwrap_or_default()
    }

    fn open(&mut self, sealed: &[u8]) -> Option<[u8; 32]> {
        self.sealing_key().unseal(sealed).ok()?.try_into().ok()
    }

    fn random_u64(&mut self) -> u64 {
        rand::random()
    }
}

/// A peer id in a log line: the first characters that differ between peers.
#[must_use]
pub fn short_id(peer: &PeerId) -> String {
    let text = peer_id_text(&peer.0);
    let distinct = text.strip_prefix(COMMON_PREFIX).unwrap_or(&text);
    distinct.chars().take(SHORT_ID_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use plexmesh_proto::record::MAX_SEALED_BYTES;

    use super::*;
    use crate::mesh::files::from_hex;
    use crate::text::hex;

    /// What libsodium 1.0.18 made of the seed 1, 2, 3 to 32 and the text 64, 65, 66 to 95:
    /// `crypto_sign_ed25519_seed_keypair`, `crypto_sign_ed25519_pk_to_curve25519`,
    /// `crypto_box_seal`.
    const SEALED_BY_LIBSODIUM: &str = "51bb457eb45017bdc6682ecc6613af255d506295e6dbfa7a6d929f98\
        ca0ca107f073d7b698d57c31f4cf77420ab0454eb4bc578afbc52501731362f9075e87a83b58ac71b0327803\
        d43275e8544f08af";
    const PUBLIC_BY_LIBSODIUM: &str =
        "79b5562e8fe654f94078b112e8a98ba7901f853ae695bed7e0e3910bad049664";

    /// Bytes that rise by one.
    fn rising(first: u8) -> [u8; 32] {
        std::array::from_fn(|place| first + place as u8)
    }

    #[test]
    fn a_signature_of_the_node_verifies_for_its_own_key_only() {
        let mut keys = NodeKeys::new(Identity::generate());
        let other = NodeKeys::new(Identity::generate()).peer();
        let signature = keys.sign(b"text");
        let me = keys.peer();
        assert!(keys.verify(&me, b"text", &signature));
        assert!(!keys.verify(&other, b"text", &signature));
    }

    #[test]
    fn what_is_sealed_to_a_peer_it_alone_opens_and_no_changed_byte_passes() {
        let mut keys = NodeKeys::new(Identity::generate());
        let mut other = NodeKeys::new(Identity::generate());
        let sealed = other.seal(&keys.peer(), &[7; 32]);
        assert!(sealed.len() <= MAX_SEALED_BYTES);
        assert_eq!(keys.open(&sealed), Some([7; 32]));
        assert_eq!(other.open(&sealed), None);
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(keys.open(&changed), None, "byte {place}");
        }
        assert_eq!(keys.open(&[]), None);
    }

    #[test]
    fn what_libsodium_sealed_to_a_peer_opens() {
        let mut keys = NodeKeys::new(Identity::from_secret_bytes(rising(1)));
        assert_eq!(hex(&keys.peer().0), PUBLIC_BY_LIBSODIUM);
        let sealed = from_hex(SEALED_BY_LIBSODIUM).unwrap();
        assert_eq!(keys.open(&sealed), Some(rising(64)));
    }

    #[test]
    fn random_numbers_differ() {
        let mut keys = NodeKeys::new(Identity::generate());
        assert_ne!(keys.random_u64(), keys.random_u64());
    }

    #[test]
    fn a_short_id_is_part_of_the_long_one_and_drops_the_common_prefix() {
        let peer = NodeKeys::new(Identity::generate()).peer();
        let short = short_id(&peer);
        assert_eq!(short.len(), SHORT_ID_CHARS);
        assert!(peer_id_text(&peer.0).starts_with(&format!("{COMMON_PREFIX}{short}")));
    }
}
