//! Dials: QUIC first, TCP when every QUIC address has failed.

use std::collections::BTreeMap;

use libp2p::core::Multiaddr;
use libp2p::core::transport::TransportError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};

use super::Task;
use crate::address::{on_one_line, parse_address, path_kind};
use crate::config::{MAX_DIAL_ADDRESSES, MAX_DIALS};
use crate::event::{NetEvent, PathKind};
use crate::identity::{PeerKey, peer_id};

/// Longest reason in a `DialFailed`, in characters: a line or two for each address.
const MAX_REASON_CHARS: usize = 1000;

/// Dials under way, at most one a peer.
#[derive(Debug, Default)]
pub(crate) struct Dials {
    pending: BTreeMap<PeerKey, Dial>,
}

#[derive(Debug)]
struct Dial {
    /// The attempt of the present stage.
    attempt: ConnectionId,
    /// TCP addresses left for the second stage.
    later: Vec<Multiaddr>,
    failures: Vec<String>,
    /// The peer was reached and a hello ended in refusal: other addresses would end alike.
    refused: bool,
}

impl Dials {
    /// Ends a dial that led to this connection; false when nobody waits for it any more.
    pub(super) fn finish(&mut self, peer: &PeerKey, connection: ConnectionId) -> bool {
        let ours = self.pending.get(peer).is_some_and(|dial| dial.attempt == connection);
        if ours {
            self.pending.remove(peer);
        }
        ours
    }

    /// Calls a dial off. What it may still lead to is closed as it is established.
    pub(super) fn forget(&mut self, peer: &PeerKey) {
        self.pending.remove(peer);
    }

    pub(super) fn refused(&mut self, peer: &PeerKey) {
        if let Some(dial) = self.pending.get_mut(peer) {
            dial.refused = true;
        }
    }

    fn take_attempt(&mut self, attempt: ConnectionId) -> Option<(PeerKey, Dial)> {
        let (peer, _) = self.pending.iter().find(|(_, d)| d.attempt == attempt)?;
        let peer = *peer;
        self.pending.remove(&peer).map(|dial| (peer, dial))
    }
}

impl Task {
    pub(super) fn dial(&mut self, peer: PeerKey, addresses: Vec<String>) {
        if self.peers.contains(&peer) || self.dials.pending.contains_key(&peer) {
            return;
        }
        if peer == self.local {
            return self.give_up(peer, &["this is the own peer id".to_owned()]);
        }
        if self.dials.pending.len() >= MAX_DIALS {
            let reason = format!("{MAX_DIALS} dials are under way already; try again later");
            return self.give_up(peer, &[reason]);
        }
        self.counters.dials.increment();
        let mut failures = Vec::new();
        let (mut quic, mut tcp) = (Vec::new(), Vec::new());
        for text in addresses.into_iter().take(MAX_DIAL_ADDRESSES) {
            match parse_address(&text, &peer) {
                Ok(address) if path_kind(&address) == PathKind::Quic => quic.push(address),
                Ok(address) => tcp.push(address),
                Err(reason) => failures.push(format!("{text}: {reason}")),
            }
        }
        if quic.is_empty() {
            self.attempt(peer, tcp, Vec::new(), failures);
        } else {
            self.attempt(peer, quic, tcp, failures);
        }
    }

    /// Dials all addresses of one stage at once; the first that answers wins.
    fn attempt(
        &mut self,
        peer: PeerKey,
        now: Vec<Multiaddr>,
        later: Vec<Multiaddr>,
        mut failures: Vec<String>,
    ) {
        if now.is_empty() {
            if failures.is_empty() {
                failures.push("no address is known".to_owned());
            }
            return self.give_up(peer, &failures);
        }
        let over_tcp = now.iter().all(|a| path_kind(a) == PathKind::Tcp);
        let mut options = DialOpts::peer_id(peer_id(&peer))
            .addresses(now)
            // That a peer is dialled once at a time is seen to here. The swarm still counts
            // dials that were called off, and connections that are being closed.
            .condition(PeerCondition::Always);
        if over_tcp {
            // With the listener's port two peers that dial each other at once would meet in one
            // TCP connection in which both are diallers, and neither listens.
            options = options.allocate_new_port();
        }
        let options = options.build();
        let attempt = options.connection_id();
        let dial = Dial { attempt, later, failures, refused: false };
        self.dials.pending.insert(peer, dial);
        if let Err(error) = self.swarm.dial(options) {
            self.on_dial_failed(attempt, &error);
        }
    }

    pub(super) fn on_dial_failed(&mut self, attempt: ConnectionId, error: &DialError) {
        self.report_refusals();
        let Some((peer, mut dial)) = self.dials.take_attempt(attempt) else {
            return;
        };
        if self.peers.contains(&peer) {
            // The other side's dial was faster.
            return;
        }
        dial.failures.extend(explain(error));
        if dial.refused || dial.later.is_empty() {
            self.give_up(peer, &dial.failures);
        } else {
            self.attempt(peer, dial.later, Vec::new(), dial.failures);
        }
    }

    fn give_up(&mut self, peer: PeerKey, failures: &[String]) {
        self.counters.dials_failed.increment();
        let reason = failures.join("; ").chars().take(MAX_REASON_CHARS).collect();
        self.outbox.must(NetEvent::DialFailed { peer, reason });
    }
}

fn explain(error: &DialError) -> Vec<String> {
    match error {
        DialError::Transport(errors) => errors
            .iter()
            .map(|(address, error)| match error {
                TransportError::Other(error) => format!("{address}: {}", on_one_line(error)),
                TransportError::MultiaddrNotSupported(_) => {
                    format!("{address}: not an address of QUIC or TCP")
                }
            })
            .collect(),
        other => vec![other.to_string()],
    }
}
