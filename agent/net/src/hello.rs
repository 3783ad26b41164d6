//! Admission, inside the connection upgrade.
//!
//! A connection is handed to the swarm only after both sides have shown mesh id and certificate
//! and have admitted each other. Gossip, requests, probes and identify therefore never meet a
//! stranger, in either direction, and no protocol needs a rule of its own for peers that are not
//! admitted yet.
//!
//! The dialler opens the first stream of the connection:
//!
//! ```text
//! dialler   "/plexmesh/1/hello" body
//! listener  verdict [body, when the verdict is 0]
//! dialler   verdict
//! body    = mesh id (32) | instance (16) | certificate length (2, big endian) | certificate
//! verdict = 0 admitted, 1 other mesh, 2 certificate refused, 3 malformed, 4 busy
//! ```
//!
//! The third message lets the listener know that it was admitted too, so neither side reports a
//! peer that refused it. A verdict carries a code and no text: a stranger learns no details.
//! The instance is random for each start of the transport and tells a restarted peer from a
//! second connection of the same process.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::PeerId;
use libp2p::core::ConnectedPoint;
use libp2p::core::muxing::{StreamMuxerBox, SubstreamBox};
use libp2p::multiaddr::Protocol;
use thiserror::Error;
use tokio::sync::mpsc::WeakSender;
use tokio::time::{Instant, timeout};

use crate::admission::{self, Desk, Visit};
use crate::config::NetConfig;
use crate::counted;
use crate::event::{NetEvent, RefusedBy};
use crate::identity::{PeerKey, peer_key};
use crate::stats::{Counter, Counters};
use crate::stream::{REFUSAL_LINGER, accept, drive, farewell, open};
use crate::turns::Turns;

/// Largest hello, tag included. A certificate with its enroller's inside takes at most 1 KiB, and what the
/// agent shows beside it about twice as much.
pub(crate) const MAX_HELLO_BYTES: usize = 4096;

/// What a hello holds beside the certificate: tag, mesh id, instance, certificate length.
pub(crate) const FIXED_HELLO_BYTES: usize = TAG.len() + 32 + 16 + 2;

/// Names the protocol and its version.
const TAG: &[u8; 17] = b"/plexmesh/1/hello";

/// Outcomes kept for the network task. It takes them as each connection is reported; leftovers
/// come only from connections that the swarm denied after the hello.
const HANDOFF_LIMIT: usize = 64;

use NotAdmittedBecause as Because;

/// Random per start of the transport.
pub(crate) type Instance = [u8; 16];

/// Decides who may join the mesh's protocols.
pub trait Admission: Send + Sync + 'static {
    /// Judges the certificate that a peer presented. The transport has proven that the peer
    /// holds `peer`'s secret key. Called on connection tasks: it must not block.
    ///
    /// # Errors
    /// The reason to refuse the peer, for this side's counters, events and logs; it is not sent.
    fn admit(&self, peer: &PeerKey, certificate: &[u8]) -> Result<(), NotAdmitted>;
}

/// Why a peer is not admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAdmitted {
    /// What it is counted as.
    pub because: NotAdmittedBecause,
    /// The same for people.
    pub reason: String,
}

/// What peers that are not admitted are counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmittedBecause {
    /// What it said could not be read.
    Malformed,
    /// It belongs to another mesh.
    OtherMesh,
    /// The certificate is another peer's.
    OtherPeer,
    /// The certificate hangs on a key that is no authority of the mesh.
    UnknownAuthority,
    /// The certificate hangs on an authority key that was replaced.
    AuthorityReplaced,
    /// The certificate has lapsed.
    Lapsed,
    /// The certificate has a wrong signature.
    Forged,
    /// The certificate gives what its signer may not give, or does not make a member.
    Role,
    /// An admin does not trust the peer any more.
    Revoked,
    /// An admin gave the peer up.
    Forgotten,
    /// The enroller that let the peer in was revoked.
    EnrollerRevoked,
    /// The peer's token had been used by another before.
    TokenOverused,
    /// There is no connection to spare.
    Busy,
}

impl NotAdmittedBecause {
    const fn verdict(self) -> Verdict {
        match self {
            Self::Malformed => Verdict::Malformed,
            Self::OtherMesh => Verdict::OtherMesh,
            Self::Busy => Verdict::Busy,
            _ => Verdict::CertificateRefused,
        }
    }

    const fn counter(self, counters: &Counters) -> &Counter {
        match self {
            Self::Malformed => &counters.refused_malformed,
            Self::OtherMesh => &counters.refused_other_mesh,
            Self::OtherPeer => &counters.refused_other_peer,
            Self::UnknownAuthority => &counters.refused_unknown_authority,
            Self::AuthorityReplaced => &counters.refused_authority_replaced,
            Self::Lapsed => &counters.refused_lapsed,
            Self::Forged => &counters.refused_forged,
            Self::Role => &counters.refused_role,
            Self::Revoked => &counters.refused_revoked,
            Self::Forgotten => &counters.refused_forgotten,
            Self::EnrollerRevoked => &counters.refused_enroller_revoked,
            Self::TokenOverused => &counters.refused_token_overused,
            Self::Busy => &counters.refused_busy,
        }
    }
}

/// What an admitted peer said in its hello.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) certificate: Vec<u8>,
    pub(crate) instance: Instance,
    mesh_id: [u8; 32],
}

/// A connection that ended with a verdict other than "admitted".
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) peer: PeerKey,
    pub(crate) outbound: bool,
    pub(crate) by: RefusedBy,
    pub(crate) reason: String,
}

/// Performs hellos and keeps their outcomes until the network task takes them.
pub(crate) struct Gate {
    mesh_id: [u8; 32],
    instance: Instance,
    certificate: Mutex<Arc<[u8]>>,
    admission: Arc<dyn Admission>,
    hello_timeout: Duration,
    connection_limit: u64,
    counters: Arc<Counters>,
    handoff: Mutex<Handoff>,
    turns: Mutex<Turns>,
    desk: Desk,
}

/// Who passed the first stage of a connection.
enum Caller {
    Peer(Introduction),
    Stranger(Visit),
}

#[derive(Default)]
struct Handoff {
    admitted: VecDeque<(PeerKey, Introduction)>,
    refused: VecDeque<Refusal>,
}

/// Why a connection did not get past the gate.
#[derive(Debug, Error)]
pub(crate) enum HelloError {
    #[error("the peer's identity is not an Ed25519 key")]
    NotEd25519,
    #[error("another peer answers at this address")]
    OtherPeer,
    #[error("no hello in time")]
    Timeout,
    #[error("a stranger asked for admission")]
    Stranger,
    #[error("the hello broke off: {0}")]
    Io(#[from] io::Error),
    #[error("refused by {by}: {reason}")]
    Refused { by: RefusedBy, reason: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Admitted = 0,
    OtherMesh = 1,
    CertificateRefused = 2,
    Malformed = 3,
    Busy = 4,
}

impl Verdict {
    fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Admitted,
            1 => Self::OtherMesh,
            2 => Self::CertificateRefused,
            4 => Self::Busy,
            _ => Self::Malformed,
        }
    }

    fn as_said_by_them(self) -> &'static str {
        match self {
            Self::Admitted => "nothing",
            Self::OtherMesh => "they belong to another mesh",
            Self::CertificateRefused => "they do not accept this peer's certificate",
            Self::Malformed => "they could not read the hello; are the versions alike?",
            Self::Busy => "they have no connection to spare",
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Gate {
    pub(crate) fn new(
        config: &NetConfig,
        admission: Arc<dyn Admission>,
        connection_limit: usize,
        events: WeakSender<NetEvent>,
        counters: Arc<Counters>,
    ) -> Self {
        let hello_timeout = config.timing.hello_timeout;
        let desk = Desk::new(events, hello_timeout, Arc::clone(&counters));
        Self {
            mesh_id: config.mesh_id,
            instance: rand::random(),
            certificate: Mutex::new(config.certificate.as_slice().into()),
            admission,
            hello_timeout,
            connection_limit: connection_limit as u64,
            counters,
            handoff: Mutex::default(),
            turns: Mutex::default(),
            desk,
        }
    }

    /// Shows this certificate in all hellos to come.
    pub(crate) fn set_certificate(&self, certificate: &[u8]) {
        *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = certificate.into();
    }

    /// Where strangers ask for admission.
    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Takes what an admitted peer said, as its connection is reported established.
    pub(crate) fn take_introduction(&self, peer: &PeerKey) -> Option<Introduction> {
        let mut handoff = self.handoff();
        // The newest: an older one belongs to a connection that the swarm denied.
        let position = handoff.admitted.iter().rposition(|(key, _)| key == peer)?;
        handoff.admitted.remove(position).map(|(_, said)| said)
    }

    /// Has a process wait in whose place another one of the same peer came.
    pub(crate) fn displace(&self, peer: PeerKey, instance: Instance) {
        self.turns().displace(peer, instance, Instant::now());
    }

    /// Whether a process of this peer lost its place a moment ago.
    pub(crate) fn is_shared(&self, peer: &PeerKey) -> bool {
        self.turns().is_shared(peer, Instant::now())
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        // Nothing panics while it is held.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all refusals since the last call.
    pub(crate) fn take_refusals(&self) -> VecDeque<Refusal> {
        std::mem::take(&mut self.handoff().refused)
    }

    /// Lets a connection through once both sides have admitted each other.
    pub(crate) async fn pass(
        self: Arc<Self>,
        peer: PeerId,
        muxer: StreamMuxerBox,
        endpoint: ConnectedPoint,
    ) -> Result<(PeerId, StreamMuxerBox), HelloError> {
        let key = peer_key(&peer).ok_or(HelloError::NotEd25519)?;
        if let ConnectedPoint::Dialer { address, .. } = &endpoint
            && address.iter().last() != Some(Protocol::P2p(peer))
        {
            // Checked before a word is said: the certificate is for the peer that was dialled.
            return Err(HelloError::OtherPeer);
        }
        let mut muxer = counted::count(muxer, Arc::clone(&self.counters));
        let outcome = timeout(self.hello_timeout, self.greet(&key, &endpoint, &mut muxer))
            .await
            .unwrap_or(Err(HelloError::Timeout));
        match outcome {
            Ok(Caller::Peer(introduction)) => {
                push_bounded(&mut self.handoff().admitted, (key, introduction));
                Ok((peer, muxer))
            }
            Ok(Caller::Stranger(visit)) => {
                let served = async {
                    self.desk.serve(key, endpoint.get_remote_address(), visit).await;
                    Err(HelloError::Stranger)
                };
                drive(&mut muxer, served).await
            }
            Err(error) => {
                if let HelloError::Refused { by, reason } = &error {
                    // What is refused here is counted by reason as it is said.
                    if *by == RefusedBy::Them {
                        self.counters.refused_by_them.increment();
                    }
                    let outbound = endpoint.is_dialer();
                    let refusal = Refusal { peer: key, outbound, by: *by, reason: reason.clone() };
                    push_bounded(&mut self.handoff().refused, refusal);
                }
                Err(error)
            }
        }
    }

    async fn greet(
        &self,
        peer: &PeerKey,
        endpoint: &ConnectedPoint,
        muxer: &mut StreamMuxerBox,
    ) -> Result<Caller, HelloError> {
        if endpoint.is_dialer() {
            let stream = open(muxer).await?;
            drive(muxer, self.greet_first(peer, stream)).await.map(Caller::Peer)
        } else {
            let stream = accept(muxer).await?;
            drive(muxer, self.receive(peer, endpoint, stream)).await
        }
    }

    /// The dialler's side.
    async fn greet_first(
        &self,
        peer: &PeerKey,
        mut stream: SubstreamBox,
    ) -> Result<Introduction, HelloError> {
        let mut hello = TAG.to_vec();
        self.write_body(&mut hello);
        stream.write_all(&hello).await?;
        stream.flush().await?;
        expect_admitted(&mut stream).await?;
        let said = read_body(&mut stream).await;
        let Some(said) = said.map_err(HelloError::Io)? else {
            return Err(self.refuse(stream, Because::Malformed, "its hello is malformed").await);
        };
        if let Err(error) = self.judge(peer, &said) {
            return Err(self.refuse(stream, error.because, &error.reason).await);
        }
        stream.write_all(&[Verdict::Admitted as u8]).await?;
        stream.flush().await?;
        stream.close().await?;
        Ok(said)
    }

    /// The listener's side: a hello, or a stranger's request.
    async fn receive(
        &self,
        peer: &PeerKey,
        endpoint: &ConnectedPoint,
        mut stream: SubstreamBox,
    ) -> Result<Caller, HelloError> {
        let mut tag = [0; TAG.len()];
        stream.read_exact(&mut tag).await?;
        if &tag != admission::TAG {
            return self.greet_back(peer, &tag == TAG, stream).await.map(Caller::Peer);
        }
        match self.desk.receive(endpoint.get_remote_address(), stream).await? {
            Some(visit) => Ok(Caller::Stranger(visit)),
            None => Err(HelloError::Stranger),
        }
    }

    /// Answers a hello, or what is none.
    async fn greet_back(
        &self,
        peer: &PeerKey,
        known: bool,
        mut stream: SubstreamBox,
    ) -> Result<Introduction, HelloError> {
        let said = if known { read_body(&mut stream).await? } else { None };
        let Some(said) = said else {
            let reason = "it does not speak this hello";
            return Err(self.refuse(stream, Because::Malformed, reason).await);
        };
        if let Err(error) = self.judge(peer, &said) {
            return Err(self.refuse(stream, error.because, &error.reason).await);
        }
        // Every dial that is under way still counts on a place, hence only inbound ones are
        // turned away here; the swarm's own limit holds for both.
        if self.counters.established_connections.get() >= self.connection_limit {
            return Err(self.refuse(stream, Because::Busy, "no connection to spare").await);
        }
        let mut answer = vec![Verdict::Admitted as u8];
        self.write_body(&mut answer);
        stream.write_all(&answer).await?;
        stream.flush().await?;
        expect_admitted(&mut stream).await?;
        Ok(said)
    }

    fn judge(&self, peer: &PeerKey, said: &Introduction) -> Result<(), NotAdmitted> {
        if said.mesh_id != self.mesh_id {
            let reason = "it belongs to another mesh".to_owned();
            return Err(NotAdmitted { because: Because::OtherMesh, reason });
        }
        self.admission.admit(peer, &said.certificate)?;
        if !self.turns().may_come(peer, &said.instance, Instant::now()) {
            let reason = "another process with its identity took its place a moment ago".to_owned();
            return Err(NotAdmitted { because: Because::Busy, reason });
        }
        Ok(())
    }

    /// Tells the verdict, and why it is so to this side alone.
    async fn refuse(&self, stream: SubstreamBox, because: Because, reason: &str) -> HelloError {
        because.counter(&self.counters).increment();
        farewell(stream, &[because.verdict() as u8], REFUSAL_LINGER).await;
        HelloError::Refused { by: RefusedBy::Us, reason: reason.to_owned() }
    }

    fn write_body(&self, hello: &mut Vec<u8>) {
        let certificate =
            Arc::clone(&self.certificate.lock().unwrap_or_else(PoisonError::into_inner));
        hello.extend_from_slice(&self.mesh_id);
        hello.extend_from_slice(&self.instance);
        // Checked against MAX_CERTIFICATE_BYTES, which is below 2^16, whenever it is set.
        hello.extend_from_slice(&(certificate.len() as u16).to_be_bytes());
        hello.extend_from_slice(&certificate);
    }

    fn handoff(&self) -> MutexGuard<'_, Handoff> {
        // Nothing panics while it is held; and the queues are valid at every step.
        self.handoff.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() >= HANDOFF_LIMIT {
        queue.pop_front();
    }
    queue.push_back(item);
}

async fn read_body(stream: &mut SubstreamBox) -> io::Result<Option<Introduction>> {
    let mut mesh_id = [0; 32];
    stream.read_exact(&mut mesh_id).await?;
    let mut instance = [0; 16];
    stream.read_exact(&mut instance).await?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let length = usize::from(u16::from_be_bytes(length));
    if length > MAX_HELLO_BYTES - FIXED_HELLO_BYTES {
        return Ok(None);
    }
    let mut certificate = vec![0; length];
    stream.read_exact(&mut certificate).await?;
    Ok(Some(Introduction { certificate, instance, mesh_id }))
}

async fn expect_admitted(stream: &mut SubstreamBox) -> Result<(), HelloError> {
    let mut byte = [0];
    stream.read_exact(&mut byte).await?;
    let [byte] = byte;
    match Verdict::from_byte(byte) {
        Verdict::Admitted => Ok(()),
        verdict => Err(HelloError::Refused {
            by: RefusedBy::Them,
            reason: verdict.as_said_by_them().to_owned(),
        }),
    }
}
