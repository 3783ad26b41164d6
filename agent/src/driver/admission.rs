//! Answers strangers that ask to be let in, and members that ask for a renewed certificate.

use std::path::PathBuf;
use std::sync::Arc;

use plexmesh_net::{
    MAX_ADMISSION_ANSWER_BYTES, MAX_ADMISSION_REQUEST_BYTES, MAX_CERTIFICATE_BYTES, PeerKey,
};
use plexmesh_proto::admission::Bar;
use plexmesh_proto::admission::credential::MAX_CREDENTIAL_BYTES;
use plexmesh_proto::admission::request::{
    AdmissionAnswer, AdmissionRefusal, AdmissionRequest, Admitted, MAX_ANSWER_BYTES,
    MAX_REQUEST_BYTES, MAX_SEEDS,
};
use plexmesh_proto::admission::token::{Enroller, MAX_ENROLLER_ADDRESSES};
use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::record::{Authorities, MeshId, Role};
use plexmesh_proto::types::PeerId;

use super::Driver;
use crate::clock;
use crate::identity::short_id;
use crate::mesh::secret::MeshSecrets;

/// What a newcomer is given beside its certificate.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// The mesh.
    pub mesh: MeshId,
    /// Keys whose certificates make members.
    pub authorities: Arc<Authorities>,
    /// What members alone know; `None` if this peer was not given it yet.
    pub secrets: Option<MeshSecrets>,
    /// Where this peer keeps them.
    pub data_dir: PathBuf,
}

impl Driver {
    /// Lets strangers ask if this peer may let them in.
    pub(super) fn open_for_strangers(&self) {
        self.net.set_admitting(self.node.certificate().has_role(Role::Enroller));
    }

    pub(super) fn on_admission(&mut self, peer: PeerKey, address: &str, token: u64, bytes: &[u8]) {
        let peer = PeerId(peer);
        let outcome = match AdmissionRequest::decode(bytes) {
            Ok(request) => self.decide(peer, &request),
            Err(error) => {
                tracing::debug!(peer = short_id(&peer), address, %error, "a request for admission");
                Err(AdmissionRefusal::Malformed)
            }
        };
        match &outcome {
            Ok(_) => tracing::info!(peer = short_id(&peer), address, "a certificate was given"),
            Err(refusal) => {
                tracing::info!(peer = short_id(&peer), address, %refusal, "admission refused");
            }
        }
        let answer = AdmissionAnswer { wall_ms: clock::wall_ms(), outcome };
        if let Err(error) = self.net.answer_admission(token, answer.encode()) {
            tracing::debug!(%error, "the answer to a request for admission is lost");
        }
    }

    fn decide(
        &mut self,
        peer: PeerId,
        request: &AdmissionRequest,
    ) -> Result<Admitted, AdmissionRefusal> {
        let decided = self.node.admit(peer, request, clock::now());
        self.drain();
        let certificate = decided?;
        let secrets = self.welcome.secrets.iter().flat_map(MeshSecrets::iter);
        Ok(Admitted {
            certificate,
            mesh: self.welcome.mesh,
            founding: self.welcome.authorities.founding().to_vec(),
            changes: self.welcome.authorities.changes().to_vec(),
            seeds: self.seeds_for(&peer),
            secrets: secrets.map(|(epoch, secret)| (epoch, *secret.expose())).collect(),
        })
    }

    /// This peer, and others that are up.
    fn seeds_for(&self, newcomer: &PeerId) -> Vec<Enroller> {
        let me = self.node.me();
        let own = Enroller { peer: me, addresses: self.announcement.profile().addresses };
        let members = self.node.roster().members().iter().zip(self.node.evaluation().states());
        let others = members
            .filter(|(member, state)| {
                *state == PeerState::Up && ![me, *newcomer].contains(&member.id())
            })
            .filter_map(|(member, _)| {
                let addresses = member.profile()?.addresses.clone();
                Some(Enroller { peer: member.id(), addresses })
            });
        std::iter::once(own)
            .chain(others)
            .filter(|seed| !seed.addresses.is_empty())
            .map(|mut seed| {
                seed.addresses.truncate(MAX_ENROLLER_ADDRESSES);
                seed
            })
            .take(MAX_SEEDS)
            .collect()
    }

    /// Whether this peer is no member any more, which it says once.
    pub(super) fn was_put_out(&self) -> bool {
        let Some(bar) = self.node.own_bar() else { return false };
        let why = match bar {
            Bar::Revoked => "an admin revoked this peer",
            Bar::Forgotten => "an admin gave this peer up",
            Bar::WithEnroller(_) => "the enroller that let this peer in was revoked",
            Bar::TokenOverused(_) => "the token that let this peer in had been used before",
        };
        tracing::error!("{why}: it is no member of the mesh any more, and its agent stops");
        true
    }
}

// What the protocol lets a message take is what the transport carries.
const _: () = {
    assert!(MAX_REQUEST_BYTES == MAX_ADMISSION_REQUEST_BYTES);
    assert!(MAX_ANSWER_BYTES == MAX_ADMISSION_ANSWER_BYTES);
    assert!(MAX_CREDENTIAL_BYTES <= MAX_CERTIFICATE_BYTES);
};
