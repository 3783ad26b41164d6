//! Connections that come and go.

use libp2p::PeerId;
use libp2p::core::ConnectedPoint;
use libp2p::core::transport::TransportError;
use libp2p::identify;
use libp2p::swarm::{ConnectionId, ListenError};
use tokio::time::Instant;

use super::Task;
use crate::address::path_kind;
use crate::event::{NetEvent, PathKind};
use crate::hello::{HelloError, Introduction};
use crate::identity::{PeerKey, peer_id_text, peer_key};
use crate::peers::{Arrival, Connection};
use crate::transport::hello_error;

impl Task {
    pub(super) fn on_established(
        &mut self,
        peer_id: PeerId,
        id: ConnectionId,
        endpoint: &ConnectedPoint,
        established: u32,
    ) {
        let key = peer_key(&peer_id);
        let admitted = key.and_then(|peer| Some((peer, self.gate.take_introduction(&peer)?)));
        let Some((peer, introduction)) = admitted else {
            // Its introduction was pushed out by those of connections the swarm denied.
            tracing::debug!(%peer_id, "connection without an introduction closed");
            self.swarm.close_connection(id);
            return;
        };
        let dialled = endpoint.is_dialer();
        if dialled && !self.dials.finish(&peer, id) {
            tracing::debug!(%peer_id, "a dial that was called off succeeded; closed");
            self.swarm.close_connection(id);
            return;
        }
        let path = path_kind(endpoint.get_remote_address());
        let connection = Connection {
            id,
            dialler: if dialled { self.local } else { peer },
            since: Instant::now(),
            instance: introduction.instance,
            path,
            address: endpoint.get_remote_address().to_string(),
        };
        match self.peers.arrive(peer, connection) {
            Arrival::First if established > 1 => {
                tracing::debug!(%peer_id, "a former connection is still closing; this one closed");
                self.close_all(peer);
                if dialled {
                    let reason = String::from("a former connection was still closing");
                    self.outbox.must(NetEvent::DialFailed { peer, reason });
                }
            }
            Arrival::First => self.announce(peer, introduction, endpoint, path),
            Arrival::Additional => self.report_moved(peer),
            Arrival::Restarted => {
                // Gossip tells its topics on the first connection of a peer alone: a new process
                // that comes on a second one would never learn them.
                self.counters.replaced_by_restart.increment();
                let instances = self.peers.instances(&peer).into_iter();
                for former in instances.filter(|it| *it != introduction.instance) {
                    self.gate.displace(peer, former);
                }
                self.disconnect(peer);
            }
        }
    }

    fn announce(
        &mut self,
        peer: PeerKey,
        introduction: Introduction,
        endpoint: &ConnectedPoint,
        path: PathKind,
    ) {
        if self.outbox.is_congested() {
            // Its `Disconnected` would have to wait too, and without end: refuse the beginning.
            self.counters.closed_by_overflow.increment();
            self.close_all(peer);
            return;
        }
        tracing::debug!(peer = peer_id_text(&peer), ?path, "connected");
        self.outbox.must(NetEvent::Connected {
            peer,
            certificate: introduction.certificate,
            takes_over: self.gate.is_shared(&peer),
            address: endpoint.get_remote_address().to_string(),
            path,
        });
    }

    pub(super) fn on_closed(&mut self, peer_id: PeerId, id: ConnectionId) {
        let Some(peer) = peer_key(&peer_id) else {
            return;
        };
        if self.peers.leave(&peer, id) {
            tracing::debug!(%peer_id, "disconnected");
            self.outbox.must(NetEvent::Disconnected { peer });
        } else {
            self.report_moved(peer);
        }
    }

    fn report_moved(&mut self, peer: PeerKey) {
        if let Some(connection) = self.peers.take_moved(&peer) {
            let event = NetEvent::PathChanged {
                peer,
                address: connection.address.clone(),
                path: connection.path,
            };
            self.outbox.must(event);
        }
    }

    /// Closes all connections of a peer. It counts as gone at once: closing may take a while on
    /// a dead path, and nothing that still arrives there is of interest.
    pub(super) fn disconnect(&mut self, peer: PeerKey) {
        if self.close_all(peer) {
            self.outbox.must(NetEvent::Disconnected { peer });
        }
    }

    /// Closes and forgets all connections of a peer; whether there were any.
    fn close_all(&mut self, peer: PeerKey) -> bool {
        let connections = self.peers.remove(&peer);
        for id in &connections {
            self.swarm.close_connection(*id);
        }
        !connections.is_empty()
    }

    pub(super) fn on_inbound_failed(&mut self, error: &ListenError) {
        tracing::debug!(%error, "inbound connection failed");
        let hello = match error {
            ListenError::Transport(TransportError::Other(error)) => hello_error(error),
            _ => None,
        };
        // Refusals and strangers are counted where they are told so.
        if !matches!(hello, Some(HelloError::Refused { .. } | HelloError::Stranger)) {
            self.counters.inbound_failed.increment();
        }
        self.report_refusals();
    }

    /// Tells of connections that ended at the gate.
    pub(super) fn report_refusals(&mut self) {
        for refusal in self.gate.take_refusals() {
            tracing::debug!(
                peer = peer_id_text(&refusal.peer),
                by = %refusal.by,
                reason = refusal.reason,
                "refused"
            );
            if refusal.outbound {
                self.dials.refused(&refusal.peer);
            }
            let told = self.outbox.may(NetEvent::Refused {
                peer: refusal.peer,
                by: refusal.by,
                reason: refusal.reason,
            });
            if !told {
                self.counters.dropped_notices.increment();
            }
        }
    }

    pub(super) fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { connection_id, peer_id, info } = event else {
            return;
        };
        let Some(by) = peer_key(&peer_id).filter(|p| self.peers.is_live(p, connection_id)) else {
            return;
        };
        let address = info.observed_addr.to_string();
        if !self.outbox.may(NetEvent::ObservedAddress { by, address }) {
            self.counters.dropped_notices.increment();
        }
    }
}
