//! Keys of virtual peers: real Ed25519, with every verification done once per world.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use plexmesh_proto::port::Crypto;
use plexmesh_proto::types::PeerId;

use crate::dice::{self, Dice};
use crate::store::Uniform;

/// Most remembered verifications. At 40 bytes each this is 40 MB, and several minutes of records of
/// a thousand peers.
const MAX_REMEMBERED: usize = 1 << 20;

/// Outcomes of verifications, shared by all nodes of a world: a record that a thousand nodes check
/// costs one curve operation.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    outcomes: RefCell<HashMap<[u8; 32], bool, BuildHasherDefault<Uniform>>>,
}

impl Verified {
    fn check(&self, key: &PeerId, message: &[u8], signature: &[u8; 64]) -> bool {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&key.0).update(signature).update(message);
        let name = *hasher.finalize().as_bytes();
        let mut outcomes = self.outcomes.borrow_mut();
        if outcomes.len() >= MAX_REMEMBERED {
            outcomes.clear();
        }
        *outcomes.entry(name).or_insert_with(|| {
            VerifyingKey::from_bytes(&key.0).is_ok_and(|key| {
                key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
            })
        })
    }
}

/// The keys of one virtual peer, or of a mesh authority.
#[derive(Clone, Debug)]
pub struct VirtualCrypto {
    key: SigningKey,
    dice: Dice,
    verified: Rc<Verified>,
}

impl VirtualCrypto {
    /// The keys of `seed` for a purpose and index. `start` counts the starts of a peer, which share
    /// a key and nothing else.
    pub(crate) fn new(
        seed: u64,
        purpose: &str,
        index: u64,
        start: u64,
        verified: Rc<Verified>,
    ) -> Self {
        let key = SigningKey::from_bytes(&dice::derive(seed, purpose, index));
        let dice = Dice::new(seed, &format!("{purpose} {index}"), start);
        Self { key, dice, verified }
    }

    /// The public key.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        PeerId(self.key.verifying_key().to_bytes())
    }
}

impl Crypto for VirtualCrypto {
    fn sign(&mut self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    fn verify(&mut self, key: &PeerId, message: &[u8], signature: &[u8; 64]) -> bool {
        self.verified.check(key, message, signature)
    }

    // A model of sealing: names who may open it; nobody in a virtual world looks inside.
    fn seal(&mut self, to: &PeerId, secret: &[u8; 32]) -> Vec<u8> {
        [to.0, *secret].concat()
    }

    fn open(&mut self, sealed: &[u8]) -> Option<[u8; 32]> {
        let secret = sealed.strip_prefix(&self.peer_id().0)?;
        secret.try_into().ok()
    }

    fn random_u64(&mut self) -> u64 {
        self.dice.bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_key_and_message_alone() {
        let verified = Rc::new(Verified::default());
        let mut first = VirtualCrypto::new(1, "peer", 0, 0, verified.clone());
        let mut second = VirtualCrypto::new(1, "peer", 1, 0, verified);
        let signature = first.sign(b"word");
        for _ in 0..2 {
            assert!(second.verify(&first.peer_id(), b"word", &signature));
            assert!(!second.verify(&first.peer_id(), b"other", &signature));
            assert!(!first.verify(&second.peer_id(), b"word", &signature));
        }
    }

    #[test]
    fn a_second_start_has_the_same_key_and_other_random_bits() {
        let verified = Rc::new(Verified::default());
        let mut first = VirtualCrypto::new(1, "peer", 0, 0, verified.clone());
        let mut second = VirtualCrypto::new(1, "peer", 0, 1, verified);
        assert_eq!(first.peer_id(), second.peer_id());
        assert_ne!(first.random_u64(), second.random_u64());
    }
}
