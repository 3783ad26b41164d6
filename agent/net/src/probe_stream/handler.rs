//! The two streams of one connection.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{
    ConnectionEvent, ConnectionHandler, ConnectionHandlerEvent, FullyNegotiatedInbound,
    FullyNegotiatedOutbound,
};
use libp2p::swarm::{Stream, StreamProtocol, SubstreamProtocol};

use super::frame::{self, FrameError};
use crate::stats::Counters;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/plexmesh/1/probe");

/// Frames waiting to be written. At a probe a second these are a minute's: more can only be
/// frames that nobody waits for any longer.
const SEND_QUEUE: usize = 64;

/// Opening the stream takes one round trip; what takes longer than this is a dead path.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

type NextFrame = Result<Option<(Stream, Vec<u8>)>, FrameError>;
type Protocol = ReadyUpgrade<StreamProtocol>;
type Event = ConnectionHandlerEvent<Protocol, (), Vec<u8>>;

/// Holds the stream this side opened for sending, and the one the other side opened.
pub(crate) struct Handler {
    queue: VecDeque<Vec<u8>>,
    outbound: Outbound,
    inbound: Option<BoxFuture<'static, NextFrame>>,
    counters: Arc<Counters>,
}

enum Outbound {
    Closed,
    Opening,
    Idle(Stream),
    Writing { frames: u64, write: BoxFuture<'static, io::Result<Stream>> },
}

impl Handler {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { queue: VecDeque::new(), outbound: Outbound::Closed, inbound: None, counters }
    }

    /// Writes what waits; asks for a stream when there is none.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Option<Event> {
        loop {
            match std::mem::replace(&mut self.outbound, Outbound::Closed) {
                Outbound::Writing { frames, mut write } => match write.poll_unpin(cx) {
                    Poll::Ready(Ok(stream)) => {
                        self.counters.frames_sent.add(frames);
                        self.outbound = Outbound::Idle(stream);
                    }
                    Poll::Ready(Err(error)) => {
                        tracing::debug!(%error, "probe stream broke while sending");
                        self.counters.dropped_frames_broken.add(frames);
                    }
                    Poll::Pending => {
                        self.outbound = Outbound::Writing { frames, write };
                        return None;
                    }
                },
                Outbound::Idle(stream) if !self.queue.is_empty() => {
                    let frames: Vec<_> = self.queue.drain(..).collect();
                    self.outbound = Outbound::Writing {
                        frames: frames.len() as u64,
                        write: frame::write(stream, frames).boxed(),
                    };
                }
                Outbound::Closed if !self.queue.is_empty() => {
                    self.outbound = Outbound::Opening;
                    return Some(ConnectionHandlerEvent::OutboundSubstreamRequest {
                        protocol: protocol(),
                    });
                }
                waiting => {
                    self.outbound = waiting;
                    return None;
                }
            }
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Option<Event> {
        match self.inbound.as_mut()?.poll_unpin(cx) {
            Poll::Ready(Ok(Some((stream, bytes)))) => {
                self.inbound = Some(frame::read(stream).boxed());
                Some(ConnectionHandlerEvent::NotifyBehaviour(bytes))
            }
            Poll::Ready(Ok(None)) => {
                self.inbound = None;
                None
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "probe stream of the other side broke");
                match error {
                    FrameError::TooLong(_) => self.counters.broken_frame_too_long.increment(),
                    FrameError::BrokenOff(_) => self.counters.broken_frame_broken_off.increment(),
                }
                self.inbound = None;
                None
            }
            Poll::Pending => None,
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Vec<u8>;
    type ToBehaviour = Vec<u8>;
    type InboundProtocol = Protocol;
    type OutboundProtocol = Protocol;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Protocol> {
        protocol()
    }

    /// Connections are closed by the network task's own rules alone.
    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn on_behaviour_event(&mut self, frame: Vec<u8>) {
        if self.queue.len() >= SEND_QUEUE {
            self.queue.pop_front();
            self.counters.dropped_frames_queue.increment();
        }
        self.queue.push_back(frame);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        match self.poll_send(cx).or_else(|| self.poll_receive(cx)) {
            Some(event) => Poll::Ready(event),
            None => Poll::Pending,
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Protocol, Protocol>) {
        match event {
            // A newer stream replaces the older: the other side writes to its newest alone.
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: stream,
                ..
            }) => self.inbound = Some(frame::read(stream).boxed()),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream,
                ..
            }) => self.outbound = Outbound::Idle(stream),
            ConnectionEvent::DialUpgradeError(failed) => {
                tracing::debug!(error = %failed.error, "no probe stream could be opened");
                self.counters.dropped_frames_broken.add(self.queue.len() as u64);
                self.queue.clear();
                self.outbound = Outbound::Closed;
            }
            _ => {}
        }
    }
}

fn protocol() -> SubstreamProtocol<Protocol> {
    SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ()).with_timeout(OPEN_TIMEOUT)
}
