//! Frames that travel on a stream of their own, in either direction.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use futures_bounded::{Delay, FuturesSet};
use libp2p::swarm::Stream;

use super::frame::{self, FrameError};
use crate::stats::Counters;

/// Such streams open at one time, each way. Quick probes are 65 ms apart, so these are those of
/// 1.5 s; both ways together leave a quarter of a connection's 64 streams to others.
const MAX_STREAMS: usize = 24;

/// What has not passed within this is an old probe: nobody waits for its answer any more.
const STREAM_TIMEOUT: Duration = Duration::from_secs(5);

/// The streams of one connection that carry one frame each.
pub(super) struct OwnStreams {
    /// Asked for and not open yet.
    opening: usize,
    outgoing: FuturesSet<()>,
    incoming: FuturesSet<Result<Option<Vec<u8>>, FrameError>>,
    counters: Arc<Counters>,
}

impl OwnStreams {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        let timeout = || Delay::tokio(STREAM_TIMEOUT);
        Self {
            opening: 0,
            outgoing: FuturesSet::new(timeout, MAX_STREAMS),
            incoming: FuturesSet::new(timeout, MAX_STREAMS),
            counters,
        }
    }

    /// Takes the place of one more; false if there is none.
    pub(super) fn reserve(&mut self) -> bool {
        let free = self.opening + self.outgoing.len() < MAX_STREAMS;
        self.opening += usize::from(free);
        free
    }

    /// No stream could be opened for a frame.
    pub(super) fn on_not_opened(&mut self) {
        self.opening = self.opening.saturating_sub(1);
        self.counters.dropped_frames_broken.increment();
    }

    /// A stream is open for this frame.
    pub(super) fn send(&mut self, stream: Stream, frame: Vec<u8>) {
        self.opening = self.opening.saturating_sub(1);
        let counters = Arc::clone(&self.counters);
        let write = async move {
            match frame::write(stream, vec![frame]).await {
                Ok(mut stream) => {
                    counters.frames_sent.increment();
                    // The other side ends the stream when it has read the frame. Until then this
                    // holds a place here, so that there are never more than have one there.
                    let _ = stream.close().await;
                    let _ = stream.read(&mut [0]).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "a probe's own stream broke while sending");
                    counters.dropped_frames_broken.increment();
                }
            }
        };
        if self.outgoing.try_push(write).is_err() {
            self.counters.dropped_frames_queue.increment();
        }
    }

    /// The other side opened a stream.
    pub(super) fn receive(&mut self, stream: Stream) {
        let read = async move { Ok(frame::read(stream).await?.map(|(_, frame)| frame)) };
        if self.incoming.try_push(read).is_err() {
            self.counters.dropped_frames_streams.increment();
        }
    }

    /// The next frame that arrived.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, FrameError>> {
        while self.outgoing.poll_unpin(cx).is_ready() {}
        while let Poll::Ready(ended) = self.incoming.poll_unpin(cx) {
            match ended {
                Ok(Ok(Some(frame))) => return Poll::Ready(Ok(frame)),
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                // It ended without a frame, or took too long.
                Ok(Ok(None)) | Err(_) => {}
            }
        }
        Poll::Pending
    }
}
