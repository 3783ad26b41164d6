//! The agent's end of the command queue.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::admission::MAX_ADMISSION_ANSWER_BYTES;
use crate::config::{
    MAX_BROADCAST_BYTES, MAX_CERTIFICATE_BYTES, MAX_FRAME_BYTES, MAX_REQUEST_BYTES,
    MAX_RESPONSE_BYTES,
};
use crate::error::SendError;
use crate::event::Verdict;
use crate::hello::Gate;
use crate::identity::PeerKey;
use crate::stats::{Counters, NetStats};
use crate::task::{Command, Intent};

/// Talks to the network task. Cheap to clone; the transport ends with its last handle.
///
/// No method waits for the network. All return an error when the command did not reach the task:
/// [`SendError::Full`] when it is behind, [`SendError::Closed`] when it has ended, and
/// [`SendError::TooLong`] when a payload exceeds its protocol's limit.
#[derive(Debug, Clone)]
pub struct NetHandle {
    commands: mpsc::Sender<Command>,
    intent: Arc<watch::Sender<Intent>>,
    gate: Arc<Gate>,
    counters: Arc<Counters>,
}

impl NetHandle {
    pub(crate) fn new(
        commands: mpsc::Sender<Command>,
        intent: watch::Sender<Intent>,
        gate: Arc<Gate>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { commands, intent: Arc::new(intent), gate, counters }
    }

    /// Dials a peer at these multiaddrs (the first eight; a `/p2p/...` end is optional): all
    /// QUIC ones at once, the TCP ones when these have failed. Does nothing when the peer is
    /// connected or being dialled; otherwise `Connected` or `DialFailed` follows.
    ///
    /// # Errors
    /// When the command did not reach the task.
    pub fn dial(&self, peer: PeerKey, addresses: Vec<String>) -> Result<(), SendError> {
        self.send(Command::Dial { peer, addresses })
    }

    /// Closes all connections to a peer and calls off a dial. The peer may connect again unless
    /// admission refuses it.
    ///
    /// # Errors
    /// When the command did not reach the task.
    pub fn disconnect(&self, peer: PeerKey) -> Result<(), SendError> {
        self.send(Command::Disconnect(peer))
    }

    /// Names the peers whose connections are kept although nothing is said on them. It replaces
    /// the former set, dials nobody, and is never dropped.
    pub fn set_wanted(&self, wanted: BTreeSet<PeerKey>) {
        self.intent.send_modify(|intent| intent.wanted = wanted);
    }

    /// Shows a renewed certificate, of at most [`MAX_CERTIFICATE_BYTES`], on connections to
    /// come. Living ones go on.
    ///
    /// # Errors
    /// When the certificate is too long.
    pub fn set_certificate(&self, certificate: &[u8]) -> Result<(), SendError> {
        check_size(certificate, MAX_CERTIFICATE_BYTES)?;
        self.gate.set_certificate(certificate);
        Ok(())
    }

    /// Sends a probe frame of at most [`MAX_FRAME_BYTES`]; it is lost without a word when the
    /// peer is not connected.
    ///
    /// # Errors
    /// When the frame is too long or the command did not reach the task.
    pub fn frame(&self, peer: PeerKey, bytes: Vec<u8>) -> Result<(), SendError> {
        check_size(&bytes, MAX_FRAME_BYTES)?;
        self.send(Command::Frame { peer, bytes, own_stream: false })
    }

    /// Like [`Self::frame`], on a stream of its own: what was lost before does not hold it back,
    /// and it has no order with other frames.
    ///
    /// # Errors
    /// When the frame is too long or the command did not reach the task.
    pub fn frame_alone(&self, peer: PeerKey, bytes: Vec<u8>) -> Result<(), SendError> {
        check_size(&bytes, MAX_FRAME_BYTES)?;
        self.send(Command::Frame { peer, bytes, own_stream: true })
    }

    /// Sends a request of at most [`MAX_REQUEST_BYTES`]. Exactly one `Response` or
    /// `RequestFailed` with this id follows; the caller keeps ids apart.
    ///
    /// # Errors
    /// When the request is too long or the command did not reach the task.
    pub fn request(&self, peer: PeerKey, request_id: u64, bytes: Vec<u8>) -> Result<(), SendError> {
        check_size(&bytes, MAX_REQUEST_BYTES)?;
        self.send(Command::Request { peer, request_id, bytes })
    }

    /// Answers a request with at most [`MAX_RESPONSE_BYTES`]. Too late is no error; the other
    /// side has seen a failure then.
    ///
    /// # Errors
    /// When the response is too long or the command did not reach the task.
    pub fn respond(&self, token: u64, bytes: Vec<u8>) -> Result<(), SendError> {
        check_size(&bytes, MAX_RESPONSE_BYTES)?;
        self.send(Command::Respond { token, bytes })
    }

    /// Broadcasts at most [`MAX_BROADCAST_BYTES`] to the mesh. That nobody is there to hear it
    /// is counted and no error: anti-entropy repairs that. Content published in the last five
    /// minutes is not sent again.
    ///
    /// # Errors
    /// When the message is too long or the command did not reach the task.
    pub fn publish(&self, bytes: Vec<u8>) -> Result<(), SendError> {
        check_size(&bytes, MAX_BROADCAST_BYTES)?;
        self.send(Command::Publish(bytes))
    }

    /// Judges a received broadcast; until then it is not passed on.
    ///
    /// # Errors
    /// When the command did not reach the task.
    pub fn verdict(&self, token: u64, verdict: Verdict) -> Result<(), SendError> {
        self.send(Command::Verdict { token, verdict })
    }

    /// Whether strangers may ask for admission here. They may not until this is called; others
    /// are told that this peer admits nobody.
    pub fn set_admitting(&self, admitting: bool) {
        self.gate.desk().set_admitting(admitting);
    }

    /// Answers a stranger's request with at most [`MAX_ADMISSION_ANSWER_BYTES`]; the connection
    /// ends with it. Too late is no error, but counted; the stranger was told to come back then.
    ///
    /// # Errors
    /// When the answer is too long, or the task has ended.
    pub fn answer_admission(&self, token: u64, bytes: Vec<u8>) -> Result<(), SendError> {
        check_size(&bytes, MAX_ADMISSION_ANSWER_BYTES)?;
        if self.commands.is_closed() {
            return Err(SendError::Closed);
        }
        self.gate.desk().answer(token, bytes);
        Ok(())
    }

    /// The counters as they are now. Gauges lag by at most one turn of the task.
    pub fn stats(&self) -> NetStats {
        self.counters.snapshot()
    }

    /// Closes all connections so that peers notice, and returns when the task has ended, after
    /// little more than a second at worst. Other handles see [`SendError::Closed`] from then on.
    pub async fn shutdown(&self) {
        self.intent.send_modify(|intent| intent.stop = true);
        self.commands.closed().await;
    }

    fn send(&self, command: Command) -> Result<(), SendError> {
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.counters.dropped_commands.increment();
                SendError::Full
            }
            mpsc::error::TrySendError::Closed(_) => SendError::Closed,
        })
    }
}

fn check_size(bytes: &[u8], limit_bytes: usize) -> Result<(), SendError> {
    let size_bytes = bytes.len();
    if size_bytes > limit_bytes {
        return Err(SendError::TooLong { size_bytes, limit_bytes });
    }
    Ok(())
}
