//! The stranger's side.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::PeerId;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt};
use libp2p::core::transport::{Boxed, DialOpts, PortUse, Transport, TransportError};
use libp2p::core::{Endpoint, Multiaddr};
use thiserror::Error;
use tokio::time::timeout;

use super::{MAX_ADMISSION_ANSWER_BYTES, MAX_ADMISSION_REQUEST_BYTES, Status, TAG};
use crate::address::{on_one_line, parse_address, path_kind};
use crate::config::{MAX_DIAL_ADDRESSES, NetTiming};
use crate::error::NetError;
use crate::event::PathKind;
use crate::identity::{Identity, PeerKey, peer_id};
use crate::stream::{drive, open};
use crate::transport;

/// The share of the time that QUIC has before TCP is tried: where QUIC is blocked, two thirds are
/// left for TCP.
const QUIC_SHARE: u32 = 3;

/// How long the goodbye may take that spares the other side a wait.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// Why a request for admission has no answer.
#[derive(Debug, Error)]
pub enum AdmissionError {
    /// The request is larger than the protocol carries; nothing was sent.
    #[error("the request is {size_bytes} bytes, at most {limit_bytes} can be sent")]
    RequestTooLong {
        /// Size of the request.
        size_bytes: usize,
        /// The protocol's limit.
        limit_bytes: usize,
    },
    /// No address was reached.
    #[error("nobody answers ({reason}); is the peer running, and are its ports open?")]
    Unreachable {
        /// What happened at each address.
        reason: String,
    },
    /// Another peer than the one that was asked for lives at the address; it was told nothing.
    #[error("another peer answers at {address}: {found}; is the address still right?")]
    WrongPeer {
        /// The multiaddr.
        address: String,
        /// The peer id that was found there, as text.
        found: String,
    },
    /// The peer has too much to do; worth another try in a few seconds.
    #[error("the peer is busy; try again in a few seconds")]
    Busy,
    /// The peer does not serve requests for admission.
    #[error("this peer admits nobody; ask one whose certificate has the role enroller")]
    NotAnEnroller,
    /// The peer does not understand the request.
    #[error("the peer could not read the request; are the versions alike?")]
    NotUnderstood,
    /// The connection ended before the answer; whether the request was served is not known.
    #[error("the connection broke before the answer came ({reason}); try again")]
    Broken {
        /// What the transport said.
        reason: String,
    },
    /// The answer is larger than an answer may be.
    #[error("the answer is {size_bytes} bytes, at most {limit_bytes} are allowed")]
    AnswerTooLong {
        /// Size that was announced.
        size_bytes: usize,
        /// The protocol's limit.
        limit_bytes: usize,
    },
    /// No answer in the time given; whether the request was served is not known.
    #[error("no answer within {} s; is the path slow, or the peer overloaded?", .limit.as_secs())]
    Timeout {
        /// The time given.
        limit: Duration,
    },
    /// The transport could not be set up.
    #[error(transparent)]
    Setup(#[from] NetError),
}

impl From<std::io::Error> for AdmissionError {
    fn from(error: std::io::Error) -> Self {
        Self::Broken { reason: on_one_line(&error) }
    }
}

/// Asks a peer for admission with one request of at most [`MAX_ADMISSION_REQUEST_BYTES`], and
/// returns its answer of at most [`MAX_ADMISSION_ANSWER_BYTES`].
///
/// The first eight addresses count: all QUIC ones are dialled at once, the TCP ones when these
/// have failed. The request is said once, to the first of them that proves to be `to`. The
/// connection is an own one, whether or not a [`spawn`](crate::spawn)ed transport has another.
/// Must be called on a Tokio runtime.
///
/// # Errors
/// Why there is no answer, within `limit`.
pub async fn ask_admission(
    identity: &Identity,
    to: PeerKey,
    addresses: Vec<String>,
    request: Vec<u8>,
    limit: Duration,
) -> Result<Vec<u8>, AdmissionError> {
    let size_bytes = request.len();
    if size_bytes > MAX_ADMISSION_REQUEST_BYTES {
        let limit_bytes = MAX_ADMISSION_REQUEST_BYTES;
        return Err(AdmissionError::RequestTooLong { size_bytes, limit_bytes });
    }
    let asked = async {
        let mut muxer = connect(identity, to, addresses, limit / QUIC_SHARE).await?;
        let answer = converse(&mut muxer, &request).await;
        // The other side waits for this, but not for long.
        let _ =
            timeout(CLOSE_LIMIT, futures::future::poll_fn(|cx| muxer.poll_close_unpin(cx))).await;
        answer
    };
    timeout(limit, asked).await.unwrap_or(Err(AdmissionError::Timeout { limit }))
}

/// What the addresses led to so far.
#[derive(Default)]
struct Attempts {
    failures: Vec<String>,
    wrong_peer: Option<(Multiaddr, PeerId)>,
}

impl Attempts {
    fn into_error(mut self) -> AdmissionError {
        if let Some((address, found)) = self.wrong_peer {
            let (address, found) = (address.to_string(), found.to_base58());
            return AdmissionError::WrongPeer { address, found };
        }
        if self.failures.is_empty() {
            self.failures.push("no address is known".to_owned());
        }
        AdmissionError::Unreachable { reason: self.failures.join("; ") }
    }
}

async fn connect(
    identity: &Identity,
    to: PeerKey,
    addresses: Vec<String>,
    quic_limit: Duration,
) -> Result<StreamMuxerBox, AdmissionError> {
    let mut timing = NetTiming::default();
    timing.handshake_timeout = timing.handshake_timeout.min(quic_limit);
    let mut transport = transport::ungated(&identity.keypair()?, &timing)?;
    let mut attempts = Attempts::default();
    let (mut quic, mut tcp) = (Vec::new(), Vec::new());
    for text in addresses.into_iter().take(MAX_DIAL_ADDRESSES) {
        match parse_address(&text, &to) {
            Ok(address) if path_kind(&address) == PathKind::Quic => quic.push(address),
            Ok(address) => tcp.push(address),
            Err(reason) => attempts.failures.push(format!("{text}: {reason}")),
        }
    }
    for stage in [quic, tcp] {
        if let Some(muxer) = first_of(&mut transport, peer_id(&to), stage, &mut attempts).await {
            return Ok(muxer);
        }
    }
    Err(attempts.into_error())
}

/// Dials all addresses at once; the first at which the right peer answers wins.
async fn first_of(
    transport: &mut Boxed<(PeerId, StreamMuxerBox)>,
    to: PeerId,
    addresses: Vec<Multiaddr>,
    attempts: &mut Attempts,
) -> Option<StreamMuxerBox> {
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let mut dials = FuturesUnordered::new();
    for address in addresses {
        match transport.dial(address.clone(), options) {
            Ok(dial) => dials.push(async move { (address, dial.await) }),
            Err(TransportError::MultiaddrNotSupported(address)) => {
                attempts.failures.push(format!("{address}: not an address of QUIC or TCP"));
            }
            Err(TransportError::Other(error)) => {
                attempts.failures.push(format!("{address}: {}", on_one_line(&error)));
            }
        }
    }
    while let Some((address, reached)) = dials.next().await {
        match reached {
            Ok((found, muxer)) if found == to => return Some(muxer),
            Ok((found, _)) => attempts.wrong_peer = Some((address, found)),
            Err(error) => attempts.failures.push(format!("{address}: {}", on_one_line(&error))),
        }
    }
    None
}

async fn converse(muxer: &mut StreamMuxerBox, request: &[u8]) -> Result<Vec<u8>, AdmissionError> {
    let mut stream = open(muxer).await?;
    drive(muxer, async {
        let mut wire = TAG.to_vec();
        // Checked against MAX_ADMISSION_REQUEST_BYTES, which is below 2^16, by the caller.
        wire.extend_from_slice(&(request.len() as u16).to_be_bytes());
        wire.extend_from_slice(request);
        stream.write_all(&wire).await?;
        stream.flush().await?;
        let mut status = [0];
        stream.read_exact(&mut status).await?;
        let [status] = status;
        match Status::from_byte(status) {
            Status::Answered => {}
            Status::Malformed => return Err(AdmissionError::NotUnderstood),
            Status::Busy => return Err(AdmissionError::Busy),
            Status::AdmitsNobody => return Err(AdmissionError::NotAnEnroller),
        }
        let mut length = [0; 2];
        stream.read_exact(&mut length).await?;
        let size_bytes = usize::from(u16::from_be_bytes(length));
        if size_bytes > MAX_ADMISSION_ANSWER_BYTES {
            let limit_bytes = MAX_ADMISSION_ANSWER_BYTES;
            return Err(AdmissionError::AnswerTooLong { size_bytes, limit_bytes });
        }
        let mut answer = vec![0; size_bytes];
        stream.read_exact(&mut answer).await?;
        stream.close().await?;
        Ok(answer)
    })
    .await
}
