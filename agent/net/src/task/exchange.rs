//! Requests and responses in flight.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::request_response::{Event, Message, OutboundRequestId, ResponseChannel};
use libp2p::swarm::ConnectionId;
use tokio::time::Instant;

use super::Task;
use crate::event::NetEvent;
use crate::identity::{PeerKey, peer_id, peer_key};
use crate::rate::Rate;

/// Requests of ours in flight. An agent has one exchange a second and a few audits.
const MAX_OUTBOUND: usize = 256;

/// Requests of others that wait for the agent. At 64 KiB each they hold 16 MiB at worst.
const MAX_INBOUND: usize = 256;

/// Requests of one peer. A mesh that heals sends the next one as soon as the answer is there, which takes
/// milliseconds, and is through after some dozens; at rest there is one a second.
const ONE_PEER: Rate = Rate { interval: Duration::from_millis(10), burst: 256 };

/// Requests in flight, both ways.
#[derive(Default)]
pub(crate) struct Exchanges {
    outbound: BTreeMap<OutboundRequestId, u64>,
    inbound: BTreeMap<u64, Inbound>,
    /// When what each peer asked is paid off; of connected peers alone can there be any.
    paid_off: BTreeMap<PeerKey, Instant>,
    last_token: u64,
}

struct Inbound {
    channel: ResponseChannel<Vec<u8>>,
    from: PeerKey,
    since: Instant,
}

impl Exchanges {
    /// Drops requests of others that can no longer be answered; their side sees a failure.
    pub(super) fn expire(&mut self, now: Instant, timeout: Duration) {
        self.inbound.retain(|_, request| {
            request.channel.is_open() && now.duration_since(request.since) < timeout
        });
        self.paid_off.retain(|_, due| *due > now);
    }
}

impl Task {
    pub(super) fn send_request(&mut self, peer: PeerKey, request_id: u64, bytes: Vec<u8>) {
        if !self.peers.contains(&peer) {
            return self.fail_request(request_id, "the peer is not connected".to_owned());
        }
        if self.exchanges.outbound.len() >= MAX_OUTBOUND {
            let reason = format!("{MAX_OUTBOUND} requests are in flight already");
            return self.fail_request(request_id, reason);
        }
        self.peers.said(&peer, Instant::now());
        self.counters.requests_sent.increment();
        let exchange = &mut self.swarm.behaviour_mut().exchange;
        let id = exchange.send_request(&peer_id(&peer), bytes);
        self.exchanges.outbound.insert(id, request_id);
    }

    pub(super) fn send_response(&mut self, token: u64, bytes: Vec<u8>) {
        let Some(request) = self.exchanges.inbound.remove(&token) else {
            self.counters.dropped_responses_late.increment();
            return;
        };
        self.peers.said(&request.from, Instant::now());
        let exchange = &mut self.swarm.behaviour_mut().exchange;
        match exchange.send_response(request.channel, bytes) {
            Ok(()) => self.counters.responses_sent.increment(),
            Err(_unsent) => self.counters.dropped_responses_late.increment(),
        }
    }

    pub(super) fn on_exchange(&mut self, event: Event<Vec<u8>, Vec<u8>>) {
        match event {
            Event::Message { peer, connection_id, message } => {
                let Some(from) = peer_key(&peer) else { return };
                match message {
                    Message::Request { request, channel, .. } => {
                        self.on_request(from, connection_id, request, channel)
                    }
                    Message::Response { request_id, response } => {
                        self.on_response(from, connection_id, request_id, response)
                    }
                }
            }
            Event::OutboundFailure { request_id, error, .. } => {
                if let Some(request_id) = self.exchanges.outbound.remove(&request_id) {
                    self.fail_request(request_id, error.to_string());
                }
            }
            Event::InboundFailure { peer, error, .. } => {
                tracing::debug!(%peer, %error, "a request could not be answered");
            }
            Event::ResponseSent { .. } => {}
        }
    }

    fn on_request(
        &mut self,
        from: PeerKey,
        connection: ConnectionId,
        bytes: Vec<u8>,
        channel: ResponseChannel<Vec<u8>>,
    ) {
        self.counters.requests_received.increment();
        let since = Instant::now();
        let due = self.exchanges.paid_off.get(&from).copied();
        if !ONE_PEER.allows(due, since) {
            self.counters.dropped_requests_over_rate.increment();
            return;
        }
        self.exchanges.paid_off.insert(from, ONE_PEER.after_one_more(due, since));
        let full = self.exchanges.inbound.len() >= MAX_INBOUND || self.outbox.is_congested();
        if full || !self.peers.is_live(&from, connection) {
            // Dropping the channel ends the stream: the other side need not wait.
            self.counters.dropped_requests.increment();
            return;
        }
        self.peers.heard(&from, since);
        self.exchanges.last_token += 1;
        let token = self.exchanges.last_token;
        let request = Inbound { channel, from, since };
        self.exchanges.inbound.insert(token, request);
        self.outbox.must(NetEvent::Request { from, token, bytes });
    }

    fn on_response(
        &mut self,
        from: PeerKey,
        connection: ConnectionId,
        id: OutboundRequestId,
        bytes: Vec<u8>,
    ) {
        let Some(request_id) = self.exchanges.outbound.remove(&id) else {
            return;
        };
        if !self.peers.is_live(&from, connection) {
            return self.fail_request(request_id, "the peer was disconnected".to_owned());
        }
        self.peers.heard(&from, Instant::now());
        self.counters.responses_received.increment();
        self.outbox.must(NetEvent::Response { request_id, from, bytes });
    }

    fn fail_request(&mut self, request_id: u64, reason: String) {
        self.counters.requests_failed.increment();
        self.outbox.must(NetEvent::RequestFailed { request_id, reason });
    }
}
