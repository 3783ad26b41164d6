//! A peer that speaks for others.

use std::rc::Rc;
use std::sync::Arc;

use plexmesh_proto::port::Crypto;
use plexmesh_proto::record::{Certificate, Kind, Links, Payload, Profile, Record, Role};
use plexmesh_proto::types::{PeerId, SECOND, Version};

use super::Scene;
use crate::keys::{Verified, VirtualCrypto};
use crate::world::VirtualNode;

/// Between two forgeries.
pub(super) const PAUSE_US: u64 = SECOND;
/// How long its records claim to be valid, in seconds.
const VALID_S: u64 = 3_600;
/// How far ahead its own garbage claims to be: a year, in milliseconds.
const FAR_FUTURE_MS: u64 = 365 * 24 * 3_600 * 1_000;
/// Such garbage is valid and everybody keeps it, so it comes once in so many forgeries: digests are
/// to have the time to become equal.
const GARBAGE_EVERY: u64 = 20;
/// A kind that no version knows.
const GARBAGE_KIND: Kind = Kind(251);
/// Length of garbage, in bytes.
const GARBAGE_BYTES: usize = 200;

/// Its second identity, and what it said last.
#[derive(Debug)]
pub(super) struct Forger {
    stranger: VirtualCrypto,
    deeds: u64,
    last: Option<Arc<Record>>,
}

impl Forger {
    pub(super) fn new(seed: u64, host: usize, verified: &Rc<Verified>) -> Self {
        let stranger = VirtualCrypto::new(seed, "stranger", host as u64, 0, verified.clone());
        Self { stranger, deeds: 0, last: None }
    }

    /// The last record with a wrong signature.
    pub(super) fn last(&self) -> Option<Arc<Record>> {
        self.last.clone()
    }

    /// A good-bye of somebody else, news of a stranger with and without a certificate that it made
    /// itself, and now and then garbage from its own future.
    pub(super) fn forge(&mut self, node: &mut VirtualNode, scene: &Scene) -> Vec<Arc<Record>> {
        self.deeds += 1;
        let version = Version::at_ms(scene.now.wall_ms);
        let mut records = Vec::new();
        if let Some(victim) = self.victim(node) {
            let payload = Payload::leave("forged".to_owned());
            let record = sign(node.crypto_mut(), scene, victim, version, payload);
            self.last = Some(record.clone());
            records.push(record);
        }
        let stranger = self.stranger.peer_id();
        let links = Payload::Links(Links::default());
        records.push(sign(&mut self.stranger, scene, stranger, version, links));
        let peer = Payload::Peer(Profile::default(), Box::new(self.certificate(scene)));
        records.push(sign(&mut self.stranger, scene, stranger, version, peer));
        if self.deeds.is_multiple_of(GARBAGE_EVERY) {
            let ahead = Version::at_ms(scene.now.wall_ms + FAR_FUTURE_MS);
            let garbage = Payload::Unknown(GARBAGE_KIND, vec![self.deeds as u8; GARBAGE_BYTES]);
            let me = node.me();
            records.push(sign(node.crypto_mut(), scene, me, ahead, garbage));
        }
        records
    }

    /// The next member in whose name it speaks.
    fn victim(&self, node: &VirtualNode) -> Option<PeerId> {
        let me = node.me();
        let others = node.roster().members().iter().filter(|member| member.id() != me);
        let count = others.clone().count() as u64;
        let turn = self.deeds.checked_rem(count)?;
        others.map(|member| member.id()).nth(turn as usize)
    }

    /// A certificate that no authority signed.
    fn certificate(&mut self, scene: &Scene) -> Certificate {
        let stranger = self.stranger.peer_id();
        let wall_s = scene.now.wall_s();
        Certificate::issue(
            &mut self.stranger,
            stranger,
            scene.mesh,
            stranger,
            vec![Role::Member],
            wall_s.saturating_sub(60),
            wall_s + 2 * VALID_S,
        )
    }
}

fn sign(
    crypto: &mut impl Crypto,
    scene: &Scene,
    origin: PeerId,
    version: Version,
    payload: Payload,
) -> Arc<Record> {
    let expires_s = scene.now.wall_s() + VALID_S;
    Arc::new(Record::sign(crypto, &scene.mesh, origin, version, expires_s, payload))
}
