//! Who may connect: peers whose certificate an authority of this mesh signed, or an enroller of it, and who
//! were not put out.

use std::sync::{Arc, PoisonError, RwLock};

use plexmesh_net::{Admission, PeerKey};
use plexmesh_proto::admission::{Admissions, Bar};
use plexmesh_proto::record::{Certificate, CertificateError, MeshId};
use plexmesh_proto::types::PeerId;

use crate::clock;
use crate::identity::NodeKeys;

/// Who is barred, as the driver last heard: shared with the connections' tasks.
#[derive(Clone, Debug, Default)]
pub struct Bars(Arc<RwLock<Arc<Admissions>>>);

impl Bars {
    /// Takes over what follows from the records now.
    pub fn set(&self, admissions: Arc<Admissions>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = admissions;
    }

    fn bar(&self, peer: &PeerId, certificate: &Certificate) -> Option<Bar> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).bar(peer, certificate)
    }
}

/// Why a peer may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("its membership was ended by an admin")]
    Ended,
    #[error("the enroller that let it in was revoked")]
    WithEnroller,
    #[error("its token had been used by another peer before")]
    TokenOverused,
}

/// Checks the certificates of connecting peers.
#[derive(Debug)]
pub struct MeshAdmission {
    keys: NodeKeys,
    mesh: MeshId,
    authorities: Vec<PeerId>,
    bars: Bars,
}

impl MeshAdmission {
    /// Admits members of `mesh` that one of `authorities` vouches for and `bars` does not name.
    #[must_use]
    pub const fn new(keys: NodeKeys, mesh: MeshId, authorities: Vec<PeerId>, bars: Bars) -> Self {
        Self { keys, mesh, authorities, bars }
    }

    fn check(&self, peer: &PeerKey, bytes: &[u8], wall_s: u64) -> Result<(), Refusal> {
        let (mut verifier, peer) = (self.keys.clone(), PeerId(*peer));
        let certificate = Certificate::parse(bytes)?;
        certificate.check(&mut verifier, &self.mesh, &self.authorities, &peer, wall_s)?;
        match self.bars.bar(&peer, &certificate) {
            None => Ok(()),
            Some(Bar::Revoked | Bar::Forgotten) => Err(Refusal::Ended),
            Some(Bar::WithEnroller(_)) => Err(Refusal::WithEnroller),
            Some(Bar::TokenOverused(_)) => Err(Refusal::TokenOverused),
        }
    }
}

impl Admission for MeshAdmission {
    fn admit(&self, peer: &PeerKey, certificate: &[u8]) -> Result<(), String> {
        self.check(peer, certificate, clock::now().wall_s()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use plexmesh_net::Identity;
    use plexmesh_proto::record::Role;

    use super::*;

    const MESH: MeshId = MeshId([7; 32]);

    struct World {
        authority: NodeKeys,
        peer: PeerKey,
        admission: MeshAdmission,
    }

    impl World {
        fn new() -> Self {
            let keys = || NodeKeys::new(Identity::generate());
            let authority = keys();
            let admission =
                MeshAdmission::new(keys(), MESH, vec![authority.peer()], Bars::default());
            Self { authority, peer: keys().peer().0, admission }
        }

        fn certificate(&self, mesh: MeshId, not_after_s: u64) -> Certificate {
            let mut signer = self.authority.clone();
            let roles = vec![Role::Member];
            let (authority, peer) = (self.authority.peer(), PeerId(self.peer));
            Certificate::issue(&mut signer, authority, mesh, peer, roles, 0, not_after_s)
        }

        fn refusal(&self, certificate: &[u8]) -> String {
            self.admission.admit(&self.peer, certificate).unwrap_err()
        }
    }

    #[test]
    fn a_member_is_admitted() {
        let world = World::new();
        let certificate = world.certificate(MESH, u64::MAX).encode();
        assert_eq!(world.admission.admit(&world.peer, &certificate), Ok(()));
    }

    #[test]
    fn every_refusal_says_why() {
        let world = World::new();
        let other_mesh = world.certificate(MeshId([8; 32]), u64::MAX).encode();
        assert!(world.refusal(&other_mesh).contains("another mesh"));
        assert!(world.refusal(&world.certificate(MESH, 1).encode()).contains("lapsed"));
        assert!(world.refusal(b"junk").contains("malformed"));
        let stranger = World::new();
        let foreign = stranger.certificate(MESH, u64::MAX).encode();
        assert!(world.refusal(&foreign).contains("another peer"));
        let self_made = World { peer: world.peer, ..stranger }.certificate(MESH, u64::MAX).encode();
        assert!(world.refusal(&self_made).contains("no authority"));
    }

    #[test]
    fn a_changed_certificate_is_refused() {
        let world = World::new();
        let good = world.certificate(MESH, u64::MAX).encode();
        for position in 0..good.len() {
            let mut bad = good.clone();
            if let Some(byte) = bad.get_mut(position) {
                *byte ^= 1;
            }
            assert!(world.admission.admit(&world.peer, &bad).is_err(), "byte {position}");
        }
    }
}
