//! This peer's key as the protocol uses it.

use std::sync::Arc;

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
    use super::*;

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
