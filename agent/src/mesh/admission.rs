//! Who may connect: peers whose certificate an authority of this mesh signed.

use plexmesh_net::{Admission, PeerKey};
use plexmesh_proto::record::{Certificate, CertificateError, MeshId};
use plexmesh_proto::types::PeerId;

use crate::clock;
use crate::identity::NodeKeys;

/// Checks the certificates of connecting peers.
#[derive(Debug)]
pub struct MeshAdmission {
    keys: NodeKeys,
    mesh: MeshId,
    authorities: Vec<PeerId>,
}

impl MeshAdmission {
    /// Admits members of `mesh` that one of `authorities` vouches for.
    #[must_use]
    pub const fn new(keys: NodeKeys, mesh: MeshId, authorities: Vec<PeerId>) -> Self {
        Self { keys, mesh, authorities }
    }

    fn check(&self, peer: &PeerKey, bytes: &[u8], wall_s: u64) -> Result<(), CertificateError> {
        let mut verifier = self.keys.clone();
        Certificate::parse(bytes)?.check(
            &mut verifier,
            &self.mesh,
            &self.authorities,
            &PeerId(*peer),
            wall_s,
        )
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
            let admission = MeshAdmission::new(keys(), MESH, vec![authority.peer()]);
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
