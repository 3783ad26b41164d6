//! Requests and responses: one stream each, a length and that many bytes in either direction.
//!
//! The length is explicit because a stream that is dropped half-way ends like a finished one on
//! QUIC: without it a response cut short would pass for a complete one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response::{Behaviour, Codec, Config, ProtocolSupport};

use tokio::time::Instant;

use crate::config::{MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES};
use crate::reading::{Message, Reading};
use crate::stats::Counters;

/// Streams in both directions on one connection. A peer has one exchange a second and seldom
/// more than two in flight; sixteen of the largest responses are 4 MiB.
const MAX_CONCURRENT_STREAMS: usize = 16;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/plexmesh/1/exchange");

pub(crate) fn behaviour(
    request_timeout: Duration,
    counters: Arc<Counters>,
) -> Behaviour<ExchangeCodec> {
    Behaviour::with_codec(
        ExchangeCodec { request_timeout, counters },
        [(PROTOCOL, ProtocolSupport::Full)],
        Config::default()
            .with_request_timeout(request_timeout)
            .with_max_concurrent_streams(MAX_CONCURRENT_STREAMS),
    )
}

/// Carries raw bytes within the limits.
#[derive(Debug, Clone)]
pub(crate) struct ExchangeCodec {
    request_timeout: Duration,
    counters: Arc<Counters>,
}

impl Codec for ExchangeCodec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let deadline = self.request_timeout;
        let reading = Reading::new(Message::Request, &self.counters, Instant::now(), deadline);
        reading.end(read_bounded(io, MAX_REQUEST_BYTES).await)
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let began = Instant::now();
        // A request that is not answered at all has no broken response.
        let length = read_length(io).await?;
        let deadline = self.request_timeout;
        let reading = Reading::new(Message::Response, &self.counters, began, deadline);
        reading.end(read_body(io, length, MAX_RESPONSE_BYTES).await)
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &bytes).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &bytes).await
    }
}

async fn read_bounded<T>(io: &mut T, limit: usize) -> io::Result<Vec<u8>>
where
    T: AsyncRead + Unpin + Send,
{
    let length = read_length(io).await?;
    read_body(io, length, limit).await
}

async fn read_length<T>(io: &mut T) -> io::Result<u32>
where
    T: AsyncRead + Unpin + Send,
{
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    Ok(u32::from_be_bytes(length))
}

async fn read_body<T>(io: &mut T, length: u32, limit: usize) -> io::Result<Vec<u8>>
where
    T: AsyncRead + Unpin + Send,
{
    if length as usize > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{length} bytes announced, at most {limit} are allowed"),
        ));
    }
    // Grows with what really arrives: an announcement alone reserves nothing.
    let mut bytes = Vec::new();
    io.take(u64::from(length)).read_to_end(&mut bytes).await?;
    if bytes.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

async fn write<T>(io: &mut T, bytes: &[u8]) -> io::Result<()>
where
    T: AsyncWrite + Unpin + Send,
{
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(bytes).await?;
    io.flush().await
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read_back() {
        for bytes in [Vec::new(), vec![7; MAX_REQUEST_BYTES]] {
            let mut wire = Cursor::new(Vec::new());
            write(&mut wire, &bytes).await.unwrap();
            wire.set_position(0);
            let read = read_bounded(&mut wire, MAX_REQUEST_BYTES).await.unwrap();
            assert_eq!(read, bytes);
        }
    }

    #[tokio::test]
    async fn more_than_the_limit_is_refused_unread() {
        let mut wire = Cursor::new(u32::MAX.to_be_bytes().to_vec());
        let error = read_bounded(&mut wire, MAX_RESPONSE_BYTES).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_message_cut_short_is_an_error() {
        let mut wire = Cursor::new([&4u32.to_be_bytes()[..], b"abc"].concat());
        let error = read_bounded(&mut wire, MAX_REQUEST_BYTES).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
