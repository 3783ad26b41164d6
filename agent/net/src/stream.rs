//! The first stream of a connection, on which all is said before the connection is admitted.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use tokio::time::timeout;

/// How long a last word of one byte is held for the other side to read. Closing at once would
/// discard it on QUIC; one second covers any path a mesh works over.
pub(crate) const REFUSAL_LINGER: Duration = Duration::from_secs(1);

/// Opens the stream, for the dialler.
pub(crate) async fn open(muxer: &mut StreamMuxerBox) -> io::Result<SubstreamBox> {
    poll_fn(|cx| muxer.poll_outbound_unpin(cx)).await
}

/// Takes the stream, for the listener.
pub(crate) async fn accept(muxer: &mut StreamMuxerBox) -> io::Result<SubstreamBox> {
    poll_fn(|cx| muxer.poll_inbound_unpin(cx)).await
}

/// Runs a conversation on a stream. Yamux moves bytes only while its muxer is polled.
pub(crate) async fn drive<T, E: From<io::Error>>(
    muxer: &mut StreamMuxerBox,
    conversation: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut conversation = pin!(conversation);
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = conversation.as_mut().poll(cx) {
            return Poll::Ready(outcome);
        }
        match muxer.poll_unpin(cx) {
            // What arrived before the connection was closed still counts, a verdict above all.
            Poll::Ready(Err(error)) => match conversation.as_mut().poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(outcome),
                Poll::Pending => Poll::Ready(Err(error.into())),
            },
            Poll::Ready(Ok(_address_change)) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Says a last word and waits for so long until it was read.
pub(crate) async fn farewell(mut stream: SubstreamBox, word: &[u8], linger: Duration) {
    let said = async {
        stream.write_all(word).await?;
        stream.flush().await?;
        stream.close().await?;
        // The other side drops the connection on reading it.
        let mut rest = [0; 64];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether it arrived changes nothing here.
    let _ = timeout(linger, said).await;
}
