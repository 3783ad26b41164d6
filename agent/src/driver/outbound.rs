//! Outputs to deeds.

use std::sync::Arc;

use plexmesh_net::{SendError, Verdict as NetVerdict};
use plexmesh_proto::exchange::message::ExchangeRequest;
use plexmesh_proto::port::{Input, Output, Verdict};
use plexmesh_proto::record::Authorities;
use plexmesh_proto::types::{PeerId, RequestId};
use plexmesh_proto::wire;

use super::Driver;
use crate::clock;
use crate::identity::short_id;
use crate::mesh::secret::{MeshSecret, MeshSecrets};
use crate::mesh::{write_authorities, write_secrets};

impl Driver {
    /// Does one thing. A command that the transport has no room for is counted there; where the
    /// node waits for an outcome it is told.
    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::Connect { peer, addresses } => self.connect(peer, &addresses),
            Output::Disconnect { peer } => {
                log_lost("disconnect", self.net.disconnect(peer.0));
            }
            Output::Keep(peers) => {
                self.net.set_wanted(peers.into_iter().map(|peer| peer.0).collect());
            }
            Output::Frame { to, frame } => {
                let bytes = wire::encode_frame(&frame);
                let sent = if frame.own_stream() {
                    self.net.frame_alone(to.0, bytes)
                } else {
                    self.net.frame(to.0, bytes)
                };
                log_lost("frame", sent);
            }
            Output::Request { to, id, request } => self.request(to, id, &request),
            Output::Answer { token, answer } => {
                log_lost("answer", self.net.respond(token.0, wire::encode_answer(&answer)));
            }
            Output::Broadcast(record) => {
                log_lost("broadcast", self.net.publish(wire::encode_broadcast(&record)));
            }
            Output::Verdict { token, verdict } => {
                log_lost("verdict", self.net.verdict(token.0, net_verdict(verdict)));
            }
            Output::Forged { from } => self.hold_against(from),
            Output::Admissions(admissions) => {
                self.gate.set_admissions(admissions);
                self.put_out |= self.was_put_out();
            }
            Output::Authorities(authorities) => self.keep_authorities(&authorities),
            Output::KeyEpoch { epoch, secret } => {
                self.keep_secret(epoch, MeshSecret::new(secret.0))
            }
            Output::Event(event) => self.journal.note(clock::wall_ms(), event, &self.node),
        }
    }

    /// Keeps whose certificates make members, for itself, for those that it lets in, and for those that it
    /// meets.
    fn keep_authorities(&mut self, authorities: &Arc<Authorities>) {
        self.gate.set_authorities(authorities.clone());
        self.welcome.authorities = authorities.clone();
        // What is not written is learned from the others again after the next start.
        if let Err(error) = write_authorities(&self.welcome.data_dir, authorities) {
            tracing::error!(%error, "whose certificates make members is not written");
        }
        self.show_credential();
    }

    /// Shows others what counts now.
    pub(super) fn show_credential(&self) {
        let credential = self.node.credential().encode();
        if let Err(error) = self.net.set_certificate(&credential) {
            tracing::error!(%error, "others are still shown the former certificate");
        }
    }

    /// Keeps a new secret of the mesh, for itself and for those that it lets in.
    fn keep_secret(&mut self, epoch: u32, secret: MeshSecret) {
        let secrets = match &self.welcome.secrets {
            Some(held) => held.with(epoch, secret),
            None => MeshSecrets::new(vec![(epoch, secret)]).ok(),
        };
        let Some(secrets) = secrets else { return };
        // A hundred bytes, once a rotation. What is not written is taken from the records again at
        // the next start.
        match write_secrets(&self.welcome.data_dir, &secrets) {
            Ok(()) => tracing::info!(epoch, "the mesh has a new secret"),
            Err(error) => tracing::error!(%error, epoch, "the mesh's new secret is not written"),
        }
        self.welcome.secrets = Some(secrets);
    }

    fn connect(&mut self, peer: PeerId, announced: &[String]) {
        let addresses = self.addresses.of(&peer, announced);
        if addresses.is_empty() {
            tracing::debug!(peer = short_id(&peer), "no address is known");
            self.failures.push_back(Input::DialFailed { peer });
        } else if self.net.dial(peer.0, addresses).is_err() {
            self.failures.push_back(Input::DialFailed { peer });
        }
    }

    fn request(&mut self, to: PeerId, id: RequestId, request: &ExchangeRequest) {
        if self.net.request(to.0, id.0, wire::encode_request(request)).is_err() {
            self.failures.push_back(Input::RequestFailed { id });
        }
    }
}

const fn net_verdict(verdict: Verdict) -> NetVerdict {
    match verdict {
        Verdict::Accept => NetVerdict::Accept,
        Verdict::Ignore => NetVerdict::Ignore,
        Verdict::Reject => NetVerdict::Reject,
    }
}

fn log_lost(what: &'static str, sent: Result<(), SendError>) {
    if let Err(error) = sent {
        tracing::debug!(what, %error, "not sent");
    }
}
