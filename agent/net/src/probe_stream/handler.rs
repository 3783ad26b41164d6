//! The streams of one connection: one each way that lasts, and those of single frames.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Either};
use libp2p::core::upgrade::{ReadyUpgrade, SelectUpgrade};
use libp2p::swarm::handler::{
    ConnectionEvent, ConnectionHandler, ConnectionHandlerEvent, DialUpgradeError,
    FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{Stream, StreamProtocol, SubstreamProtocol};

use super::frame::{self, FrameError};
use super::own::OwnStreams;
use crate::stats::Counters;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/plexmesh/1/probe");
/// Streams that carry one frame.
const OWN_STREAM_PROTOCOL: StreamProtocol = StreamProtocol::new("/plexmesh/1/probe-once");

/// Frames waiting to be written. At a probe a second these are a minute's: more can only be
/// frames that nobody waits for any longer.
const SEND_QUEUE: usize = 64;

/// Opening the stream takes one round trip; what takes longer than this is a dead path.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

type NextFrame = Result<Option<(Stream, Vec<u8>)>, FrameError>;
type Protocol = ReadyUpgrade<StreamProtocol>;
type Listened = SelectUpgrade<Protocol, Protocol>;
type Event = ConnectionHandlerEvent<Protocol, Purpose, Vec<u8>>;

/// A frame to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(super) frame: Vec<u8>,
    pub(super) own_stream: bool,
}

/// What a stream is opened for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// All frames that follow.
    Frames,
    /// This one.
    Frame(Vec<u8>),
}

/// Holds the stream this side opened for sending, the one the other side opened, and those of
/// single frames.
pub(crate) struct Handler {
    queue: VecDeque<Vec<u8>>,
    outbound: Outbound,
    inbound: Option<BoxFuture<'static, NextFrame>>,
    own: OwnStreams,
    /// Frames for which a stream is to be opened, not more than have a place.
    to_open: VecDeque<Vec<u8>>,
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
        Self {
            queue: VecDeque::new(),
            outbound: Outbound::Closed,
            inbound: None,
            own: OwnStreams::new(Arc::clone(&counters)),
            to_open: VecDeque::new(),
            counters,
        }
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
                    return Some(open(PROTOCOL, Purpose::Frames));
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
                self.count_broken(&error);
                self.inbound = None;
                None
            }
            Poll::Pending => None,
        }
    }

    fn poll_own(&mut self, cx: &mut Context<'_>) -> Option<Event> {
        if let Some(frame) = self.to_open.pop_front() {
            return Some(open(OWN_STREAM_PROTOCOL, Purpose::Frame(frame)));
        }
        while let Poll::Ready(received) = self.own.poll(cx) {
            match received {
                Ok(frame) => return Some(ConnectionHandlerEvent::NotifyBehaviour(frame)),
                Err(error) => self.count_broken(&error),
            }
        }
        None
    }

    fn count_broken(&self, error: &FrameError) {
        tracing::debug!(%error, "probe stream of the other side broke");
        match error {
            FrameError::TooLong(_) => self.counters.broken_frame_too_long.increment(),
            FrameError::BrokenOff(_) => self.counters.broken_frame_broken_off.increment(),
        }
    }

    fn enqueue(&mut self, frame: Vec<u8>) {
        if self.queue.len() >= SEND_QUEUE {
            self.queue.pop_front();
            self.counters.dropped_frames_queue.increment();
        }
        self.queue.push_back(frame);
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Outgoing;
    type ToBehaviour = Vec<u8>;
    type InboundProtocol = Listened;
    type OutboundProtocol = Protocol;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Purpose;

    fn listen_protocol(&self) -> SubstreamProtocol<Listened> {
        let either =
            SelectUpgrade::new(ReadyUpgrade::new(PROTOCOL), ReadyUpgrade::new(OWN_STREAM_PROTOCOL));
        SubstreamProtocol::new(either, ()).with_timeout(OPEN_TIMEOUT)
    }

    /// Connections are closed by the network task's own rules alone.
    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn on_behaviour_event(&mut self, Outgoing { frame, own_stream }: Outgoing) {
        if own_stream && self.own.reserve() {
            self.to_open.push_back(frame);
        } else {
            self.enqueue(frame);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        match self.poll_send(cx).or_else(|| self.poll_receive(cx)).or_else(|| self.poll_own(cx)) {
            Some(event) => Poll::Ready(event),
            None => Poll::Pending,
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Listened, Protocol, (), Purpose>) {
        match event {
            // A newer stream replaces the older: the other side writes to its newest alone.
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: stream,
                ..
            }) => match stream {
                Either::Left(stream) => self.inbound = Some(frame::read(stream).boxed()),
                Either::Right(stream) => self.own.receive(stream),
            },
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream,
                info,
            }) => match info {
                Purpose::Frames => self.outbound = Outbound::Idle(stream),
                Purpose::Frame(frame) => self.own.send(stream, frame),
            },
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                tracing::debug!(%error, "no probe stream could be opened");
                match info {
                    Purpose::Frames => {
                        self.counters.dropped_frames_broken.add(self.queue.len() as u64);
                        self.queue.clear();
                        self.outbound = Outbound::Closed;
                    }
                    Purpose::Frame(_) => self.own.on_not_opened(),
                }
            }
            _ => {}
        }
    }
}

fn open(protocol: StreamProtocol, purpose: Purpose) -> Event {
    ConnectionHandlerEvent::OutboundSubstreamRequest {
        protocol: SubstreamProtocol::new(ReadyUpgrade::new(protocol), purpose)
            .with_timeout(OPEN_TIMEOUT),
    }
}
