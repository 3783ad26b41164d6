//! Who may connect: peers whose certificate an authority of this mesh signed, or an enroller of it, and who
//! were not put out.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use plexmesh_net::{Admission, NotAdmitted, NotAdmittedBecause as Because, PeerKey};
use plexmesh_proto::admission::credential::Credential;
use plexmesh_proto::admission::{Admissions, Bar};
use plexmesh_proto::record::{Authorities, AuthorityChange, Certificate, CertificateError, MeshId};
use plexmesh_proto::types::PeerId;

use crate::clock;
use crate::identity::NodeKeys;

/// Who belongs to the mesh and who is barred, as the driver last heard: shared with the connections'
/// tasks.
#[derive(Clone, Debug)]
pub struct Gate(Arc<RwLock<Known>>);

#[derive(Debug)]
struct Known {
    admissions: Arc<Admissions>,
    authorities: Arc<Authorities>,
    /// Better ones, that a peer showed since.
    shown: Option<Arc<Authorities>>,
}

impl Gate {
    /// A gate that knows whose certificates count.
    #[must_use]
    pub fn new(authorities: Arc<Authorities>) -> Self {
        let admissions = Arc::default();
        Self(Arc::new(RwLock::new(Known { admissions, authorities, shown: None })))
    }

    /// Takes over who is barred now.
    pub fn set_admissions(&self, admissions: Arc<Admissions>) {
        self.write().admissions = admissions;
    }

    /// Takes over whose certificates count now.
    pub fn set_authorities(&self, authorities: Arc<Authorities>) {
        self.write().authorities = authorities;
    }

    /// Replacements of authority keys that count and that a peer showed when it connected, since the last call.
    #[must_use]
    pub fn take_shown(&self) -> Option<Arc<Authorities>> {
        // Seldom is there any, so connections do not wait for each other.
        self.read().shown.as_ref()?;
        self.write().shown.take()
    }

    fn authorities(&self) -> Arc<Authorities> {
        self.read().authorities.clone()
    }

    fn show(&self, told: Authorities) {
        let mut known = self.write();
        if known.shown.as_ref().is_none_or(|shown| told.supersedes(shown)) {
            known.shown = Some(Arc::new(told));
        }
    }

    fn bar(&self, peer: &PeerId, certificate: &Certificate) -> Option<Bar> {
        self.read().admissions.bar(peer, certificate)
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a peer may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("its membership was ended by an admin")]
    Revoked,
    #[error("it was given up by an admin, and its certificate is from before that")]
    Forgotten,
    #[error("the enroller that let it in was revoked")]
    WithEnroller,
    #[error("its token had been used by another peer before")]
    TokenOverused,
}

impl Refusal {
    const fn because(self) -> Because {
        match self {
            Self::Revoked => Because::Revoked,
            Self::Forgotten => Because::Forgotten,
            Self::WithEnroller => Because::EnrollerRevoked,
            Self::TokenOverused => Because::TokenOverused,
            Self::Certificate(error) => match error {
                CertificateError::Malformed => Because::Malformed,
                CertificateError::OtherMesh => Because::OtherMesh,
                CertificateError::OtherPeer => Because::OtherPeer,
                CertificateError::UnknownAuthority => Because::UnknownAuthority,
                CertificateError::AuthorityReplaced => Because::AuthorityReplaced,
                CertificateError::NotEnroller
                | CertificateError::RoleNotGiven
                | CertificateError::NotMember => Because::Role,
                CertificateError::Forged => Because::Forged,
                CertificateError::Lapsed => Because::Lapsed,
            },
        }
    }
}

/// Checks the certificates of connecting peers.
#[derive(Debug)]
pub struct MeshAdmission {
    keys: NodeKeys,
    mesh: MeshId,
    gate: Gate,
}

impl MeshAdmission {
    /// Admits members of `mesh` as far as `gate` knows them.
    #[must_use]
    pub const fn new(keys: NodeKeys, mesh: MeshId, gate: Gate) -> Self {
        Self { keys, mesh, gate }
    }

    fn check(&self, peer: &PeerKey, bytes: &[u8], wall_s: u64) -> Result<(), Refusal> {
        let (mut verifier, peer) = (self.keys.clone(), PeerId(*peer));
        let Credential { certificate, changes } =
            Credential::decode(bytes).map_err(|_| CertificateError::Malformed)?;
        let known = self.gate.authorities();
        let told = self.better(&known, &changes);
        let authorities = told.as_ref().unwrap_or(&known);
        certificate.check(&mut verifier, &self.mesh, authorities, &peer, wall_s)?;
        if let Some(told) = told {
            self.gate.show(told);
        }
        match self.gate.bar(&peer, &certificate) {
            None => Ok(()),
            Some(Bar::Revoked) => Err(Refusal::Revoked),
            Some(Bar::Forgotten) => Err(Refusal::Forgotten),
            Some(Bar::WithEnroller(_)) => Err(Refusal::WithEnroller),
            Some(Bar::TokenOverused(_)) => Err(Refusal::TokenOverused),
        }
    }

    /// What a peer shows, if it counts more than what is known here.
    fn better(&self, known: &Authorities, changes: &[AuthorityChange]) -> Option<Authorities> {
        if changes == known.changes() {
            return None;
        }
        let told = known.of_chain(&mut self.keys.clone(), &self.mesh, changes).ok()?;
        told.supersedes(known).then_some(told)
    }
}

impl Admission for MeshAdmission {
    fn admit(&self, peer: &PeerKey, certificate: &[u8]) -> Result<(), NotAdmitted> {
        self.check(peer, certificate, clock::now().wall_s())
            .map_err(|error| NotAdmitted { because: error.because(), reason: error.to_string() })
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
            let gate = Gate::new(Arc::new(vec![authority.peer()].into()));
            let admission = MeshAdmission::new(keys(), MESH, gate);
            Self { authority, peer: keys().peer().0, admission }
        }

        /// What a peer with such a certificate shows.
        fn shown(&self, mesh: MeshId, not_after_s: u64) -> Vec<u8> {
            let mut signer = self.authority.clone();
            let roles = vec![Role::Member];
            let (authority, peer) = (self.authority.peer(), PeerId(self.peer));
            let certificate =
                Certificate::issue(&mut signer, authority, mesh, peer, roles, 0, not_after_s);
            Credential { certificate, changes: Vec::new() }.encode()
        }

        fn refusal(&self, certificate: &[u8]) -> String {
            self.admission.admit(&self.peer, certificate).unwrap_err().reason
        }
    }

    #[test]
    fn a_member_is_admitted() {
        let world = World::new();
        let certificate = world.shown(MESH, u64::MAX);
        assert_eq!(world.admission.admit(&world.peer, &certificate), Ok(()));
    }

    #[test]
    fn every_refusal_is_counted_as_what_it_is() {
        let world = World::new();
        let because = |world: &World, shown: &[u8]| {
            world.admission.admit(&world.peer, shown).unwrap_err().because
        };
        let other_mesh = world.shown(MeshId([8; 32]), u64::MAX);
        assert_eq!(because(&world, &other_mesh), Because::OtherMesh);
        assert_eq!(because(&world, &world.shown(MESH, 1)), Because::Lapsed);
        assert_eq!(because(&world, b"junk"), Because::Malformed);
        let stranger = World::new();
        assert_eq!(because(&world, &stranger.shown(MESH, u64::MAX)), Because::OtherPeer);
        let self_made = World { peer: world.peer, ..stranger }.shown(MESH, u64::MAX);
        assert_eq!(because(&world, &self_made), Because::UnknownAuthority);
    }

    #[test]
    fn every_refusal_says_why() {
        let world = World::new();
        let other_mesh = world.shown(MeshId([8; 32]), u64::MAX);
        assert!(world.refusal(&other_mesh).contains("another mesh"));
        assert!(world.refusal(&world.shown(MESH, 1)).contains("lapsed"));
        assert!(world.refusal(b"junk").contains("malformed"));
        let stranger = World::new();
        let foreign = stranger.shown(MESH, u64::MAX);
        assert!(world.refusal(&foreign).contains("another peer"));
        let self_made = World { peer: world.peer, ..stranger }.shown(MESH, u64::MAX);
        assert!(world.refusal(&self_made).contains("no authority"));
    }

    #[test]
    fn a_changed_certificate_is_refused() {
        let world = World::new();
        let good = world.shown(MESH, u64::MAX);
        for position in 0..good.len() {
            let mut bad = good.clone();
            if let Some(byte) = bad.get_mut(position) {
                *byte ^= 1;
            }
            assert!(world.admission.admit(&world.peer, &bad).is_err(), "byte {position}");
        }
    }
}
