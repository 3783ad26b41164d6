//! Probe frames: one long-lived stream per direction of use, and streams for single frames.
//!
//! A side opens a stream with its first frame and keeps it; frames in the other direction travel
//! on the stream that the other side opened. A frame is a length (2 bytes, big endian) and that
//! many bytes. A substream per probe would cost several times the bytes and the work; and on one
//! ordered stream gaps and late frames are evidence of loss.
//!
//! That order has a price where packets are lost: one that is missing holds back all that follow.
//! So while answers are missing, a probe and its answer travel on a stream of their own each,
//! under another protocol name, which ends after them. A bounded number of those is open; what
//! exceeds it takes the ordered stream.
//!
//! A stream that breaks is dropped with the frames in it, and the next frame opens another:
//! an old probe is worth nothing, so nothing is sent twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};

use crate::stats::Counters;

mod frame;
mod handler;
mod own;

use handler::{Handler, Outgoing};

/// Frames between the network task and the connection tasks. The swarm drains them within the
/// same turn, unless a connection task is starved.
const MAX_PENDING_EVENTS: usize = 1024;

/// A frame that arrived.
#[derive(Debug)]
pub(crate) struct FrameReceived {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) bytes: Vec<u8>,
}

/// Routes frames between the network task and the connections.
pub(crate) struct Behaviour {
    events: VecDeque<ToSwarm<FrameReceived, Outgoing>>,
    counters: Arc<Counters>,
}

impl Behaviour {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self { events: VecDeque::new(), counters }
    }

    /// Sends a frame over this connection, on a stream of its own if wanted. The swarm must be
    /// polled afterwards.
    pub(crate) fn send(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        frame: Vec<u8>,
        own_stream: bool,
    ) {
        if self.events.len() >= MAX_PENDING_EVENTS {
            self.counters.dropped_frames_queue.increment();
            return;
        }
        self.events.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::One(connection),
            event: Outgoing { frame, own_stream },
        });
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = FrameReceived;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(Arc::clone(&self.counters)))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(Arc::clone(&self.counters)))
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        bytes: THandlerOutEvent<Self>,
    ) {
        if self.events.len() >= MAX_PENDING_EVENTS {
            self.counters.dropped_frames_events.increment();
            return;
        }
        self.events.push_back(ToSwarm::GenerateEvent(FrameReceived { peer, connection, bytes }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<FrameReceived, THandlerInEvent<Self>>> {
        match self.events.pop_front() {
            Some(event) => Poll::Ready(event),
            None => Poll::Pending,
        }
    }
}
