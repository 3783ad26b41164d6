//! The one task that owns the swarm.
//!
//! It never waits for anything but "whichever happens next", so neither a slow agent nor a slow
//! peer can stop it. What the agent does not take is treated by kind, see [`outbox`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use libp2p::Swarm;
use libp2p::gossipsub::IdentTopic;
use libp2p::swarm::SwarmEvent;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::config::{MAINTENANCE_INTERVAL, NetTiming};
use crate::event::{NetEvent, Verdict};
use crate::hello::Gate;
use crate::identity::{PeerKey, peer_id, peer_key};
use crate::peers::Peers;
use crate::stats::{Counter, Counters};

mod broadcast;
mod connections;
mod dials;
mod exchange;
mod outbox;

use broadcast::Broadcasts;
use dials::Dials;
use exchange::Exchanges;
pub(crate) use outbox::Outbox;

/// How long closing connections may take at the end. Peers that miss it see a timeout instead.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(1);

/// How long the sockets live on after the last connection: the QUIC driver sends its goodbye
/// in its own task, a moment after the connection is reported closed.
const SHUTDOWN_LINGER: Duration = Duration::from_millis(50);

/// What a handle asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Dial { peer: PeerKey, addresses: Vec<String> },
    Disconnect(PeerKey),
    Frame { peer: PeerKey, bytes: Vec<u8>, own_stream: bool },
    Request { peer: PeerKey, request_id: u64, bytes: Vec<u8> },
    Respond { token: u64, bytes: Vec<u8> },
    Publish(Vec<u8>),
    Verdict { token: u64, verdict: Verdict },
}

/// What handles want as a lasting state: only the latest counts, and it is never dropped.
#[derive(Debug, Default)]
pub(crate) struct Intent {
    pub(crate) wanted: BTreeSet<PeerKey>,
    pub(crate) stop: bool,
}

/// The swarm and everything the agent does not need to know.
pub(crate) struct Task {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) local: PeerKey,
    pub(crate) topic: IdentTopic,
    pub(crate) gate: Arc<Gate>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) timing: NetTiming,
    pub(crate) max_connections: usize,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) intent: watch::Receiver<Intent>,
    pub(crate) outbox: Outbox,
    pub(crate) peers: Peers,
    pub(crate) dials: Dials,
    pub(crate) exchanges: Exchanges,
    pub(crate) broadcasts: Broadcasts,
}

impl Task {
    /// Runs until every handle is dropped, one asks to stop, or nobody reads events any more;
    /// then closes all connections.
    pub(crate) async fn run(mut self) {
        let mut maintenance = interval(MAINTENANCE_INTERVAL);
        maintenance.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let places = self.outbox.events.clone();
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                // While the agent is far behind, its commands wait too: each could make events.
                command = self.commands.recv(), if !self.outbox.is_congested() => match command {
                    Some(command) => self.on_command(command),
                    None => break,
                },
                changed = self.intent.changed() => {
                    let intent = self.intent.borrow_and_update();
                    if changed.is_err() || intent.stop {
                        break;
                    }
                    self.peers.set_wanted(intent.wanted.clone());
                }
                place = places.reserve(), if self.outbox.is_waiting() => match place {
                    Ok(place) => {
                        if let Some(event) = self.outbox.waiting.pop_front() {
                            place.send(event);
                        }
                    }
                    Err(_) => break,
                },
                () = places.closed() => break,
                _ = maintenance.tick() => self.maintain(Instant::now()),
            }
            self.update_gauges();
        }
        self.shut_down().await;
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Probe(frame)) => self.on_frame(frame),
            SwarmEvent::Behaviour(BehaviourEvent::Exchange(event)) => self.on_exchange(event),
            SwarmEvent::Behaviour(BehaviourEvent::Broadcast(event)) => self.on_broadcast(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.on_identify(event),
            SwarmEvent::Behaviour(BehaviourEvent::Limits(never)) => match never {},
            SwarmEvent::Behaviour(BehaviourEvent::Pending(never)) => match never {},
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                num_established,
                ..
            } => self.on_established(peer_id, connection_id, &endpoint, num_established.get()),
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                if let Some(cause) = cause {
                    tracing::debug!(%peer_id, %cause, "connection lost");
                }
                self.on_closed(peer_id, connection_id);
            }
            SwarmEvent::IncomingConnectionError { error, .. } => self.on_inbound_failed(&error),
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.on_dial_failed(connection_id, &error)
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listening");
                self.outbox.must(NetEvent::Listening { addr: address.to_string() });
            }
            SwarmEvent::ListenerClosed { addresses, reason: Err(error), .. } => {
                tracing::warn!(?addresses, %error, "a listening socket was closed")
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::debug!(%error, "a listening socket reports an error");
            }
            _ => {}
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Dial { peer, addresses } => self.dial(peer, addresses),
            Command::Disconnect(peer) => {
                self.dials.forget(&peer);
                self.disconnect(peer);
            }
            Command::Frame { peer, bytes, own_stream } => {
                self.send_frame(&peer, bytes, own_stream);
            }
            Command::Request { peer, request_id, bytes } => {
                self.send_request(peer, request_id, bytes)
            }
            Command::Respond { token, bytes } => self.send_response(token, bytes),
            Command::Publish(bytes) => self.publish(bytes),
            Command::Verdict { token, verdict } => self.judge(token, verdict),
        }
    }

    fn maintain(&mut self, now: Instant) {
        for id in self.peers.take_surplus(now) {
            self.swarm.close_connection(id);
            self.counters.closed_surplus.increment();
        }
        let counters = Arc::clone(&self.counters);
        let silent = self.peers.silent(now, self.timing.idle_timeout);
        self.disconnect_all(silent, &counters.closed_silent);
        let unwanted = self.peers.unwanted(now, self.timing.unwanted_after);
        self.disconnect_all(unwanted, &counters.closed_unwanted);
        let over = self.peers.over_limit(self.max_connections);
        self.disconnect_all(over, &counters.closed_over_limit);
        self.exchanges.expire(now, self.timing.request_timeout);
        self.expire_broadcasts(now);
    }

    fn disconnect_all(&mut self, peers: Vec<PeerKey>, reason: &Counter) {
        for peer in peers {
            reason.increment();
            self.disconnect(peer);
        }
    }

    fn send_frame(&mut self, peer: &PeerKey, bytes: Vec<u8>, own_stream: bool) {
        let Some(connection) = self.peers.primary(peer) else {
            self.counters.dropped_frames_unconnected.increment();
            return;
        };
        self.peers.said(peer, Instant::now());
        let behaviour = self.swarm.behaviour_mut();
        behaviour.probe.send(peer_id(peer), connection, bytes, own_stream);
    }

    fn on_frame(&mut self, frame: crate::probe_stream::FrameReceived) {
        let Some(from) = peer_key(&frame.peer) else {
            return;
        };
        if !self.peers.is_live(&from, frame.connection) {
            return;
        }
        self.peers.heard(&from, Instant::now());
        self.counters.frames_received.increment();
        let bytes = frame.bytes;
        if !self.outbox.may(NetEvent::Frame { from, bytes }) {
            self.counters.dropped_frames_events.increment();
        }
    }

    fn update_gauges(&self) {
        let info = self.swarm.network_info();
        let connections = info.connection_counters();
        let counters = &self.counters;
        counters.connected_peers.set(self.peers.len());
        counters.established_connections.set(connections.num_established() as usize);
        counters.unadmitted_connections.set(connections.num_pending() as usize);
        counters.waiting_events.set(self.outbox.waiting.len());
    }

    async fn shut_down(mut self) {
        let connected: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            // An error means that the connection is already gone.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closing = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        if timeout(SHUTDOWN_LIMIT, closing).await.is_err() {
            tracing::debug!("some connections did not close in time");
        }
        tokio::time::sleep(SHUTDOWN_LINGER).await;
    }
}
