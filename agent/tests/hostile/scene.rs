//! What an attacker has: a membership, and where the others are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use plexmesh_agent::mesh::Membership;
use plexmesh_agent::time::WallTime;
use plexmesh_net::{Identity, PeerKey};
use plexmesh_proto::admission::credential::Credential;
use plexmesh_proto::record::{Payload, Profile, Record};
use plexmesh_proto::types::{PeerId, Version};

/// Records live for an hour: longer than the test.
const RECORD_LIFETIME_S: u64 = 3_600;

/// Somebody who knocks.
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    pub(crate) mesh: [u8; 32],
    pub(crate) certificate: Vec<u8>,
}

impl Caller {
    pub(crate) fn of(own: &Membership) -> Self {
        let identity = own.keys.identity().clone();
        let (certificate, changes) = (own.certificate.clone(), Vec::new());
        let certificate = Credential { certificate, changes }.encode();
        Self { identity, mesh: own.mesh.0, certificate }
    }
}

pub(crate) struct Scene {
    pub(crate) own: Membership,
    pub(crate) member: Caller,
    /// Without a certificate, of another mesh, with one that has lapsed.
    pub(crate) strangers: Vec<Caller>,
    /// The agents: who and where.
    pub(crate) targets: Vec<(PeerKey, Vec<String>)>,
    pub(crate) stop: AtomicBool,
    /// Connections that the agents closed.
    pub(crate) cuts: AtomicU64,
    /// Things said.
    pub(crate) deeds: AtomicU64,
}

impl Scene {
    pub(crate) fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn count_cut(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_deed(&self) {
        self.deeds.fetch_add(1, Ordering::Relaxed);
    }

    /// A record that this attacker signs, whoever is named as its origin.
    pub(crate) fn record(&self, origin: PeerId, version: Version, payload: Payload) -> Arc<Record> {
        let expires_s = WallTime::now().ms() / 1_000 + RECORD_LIFETIME_S;
        let mut keys = self.own.keys.clone();
        Arc::new(Record::sign(&mut keys, &self.own.mesh, origin, version, expires_s, payload))
    }

    /// The attacker's own `Peer` record, which makes it a member.
    pub(crate) fn peer_record(&self, name: String, version: Version) -> Arc<Record> {
        let profile = Profile { name, ..Profile::default() };
        let payload = Payload::Peer(profile, Box::new(self.own.certificate.clone()));
        self.record(self.own.keys.peer(), version, payload)
    }
}
