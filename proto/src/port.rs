//! What a [`Node`](crate::Node) takes in and gives out, and the two things that it borrows from its driver: keys and storage.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::admission::Admissions;
use crate::event::Event;
use crate::exchange::message::{ExchangeAnswer, ExchangeRequest};
use crate::integrity::ShardReport;
use crate::keys::MeshSecret;
use crate::membership::frame::Frame;
use crate::record::{Authorities, Profile, Record, Resources};
use crate::types::{PeerId, RequestId, Token};

/// Keys, signatures and randomness, as the driver provides them.
pub trait Crypto {
    /// Signs `message` with the node's own Ed25519 key.
    fn sign(&mut self, message: &[u8]) -> [u8; 64];

    /// Whether `signature` is `key`'s Ed25519 signature of `message`, checked strictly (RFC 8032, no small-order keys).
    fn verify(&mut self, key: &PeerId, message: &[u8], signature: &[u8; 64]) -> bool;

    /// Seals the mesh's secret, so that `to` alone can open it; at most [`MAX_SEALED_BYTES`](crate::record::MAX_SEALED_BYTES) bytes, none if `to` is no key.
    fn seal(&mut self, to: &PeerId, secret: &[u8; 32]) -> Vec<u8>;

    /// Opens what was sealed to the node's own key; `None` if it was sealed to another or changed.
    fn open(&mut self, sealed: &[u8]) -> Option<[u8; 32]>;

    /// 64 random bits. Seeded in the virtual world.
    fn random_u64(&mut self) -> u64;
}

/// One thing that happened. [`Node::handle`](crate::Node::handle) takes exactly one.
#[derive(Clone, Debug)]
pub enum Input {
    /// The driver is ready: listening addresses and profile are known.
    Start,
    /// The deadline of [`Node::poll_timeout`](crate::Node::poll_timeout) has come.
    Tick,
    /// A connection to a peer whose certificate the driver checked is usable.
    Connected {
        /// Who is at the other end.
        peer: PeerId,
    },
    /// The last connection to a peer is gone.
    Disconnected {
        /// Who was at the other end.
        peer: PeerId,
    },
    /// A dial asked for by [`Output::Connect`] failed.
    DialFailed {
        /// Who was dialled.
        peer: PeerId,
    },
    /// A frame came on the probe stream.
    Frame {
        /// Who sent it.
        from: PeerId,
        /// What it said.
        frame: Frame,
    },
    /// A request came; exactly one [`Output::Answer`] with this token follows.
    Request {
        /// Who asks.
        from: PeerId,
        /// Names the request.
        token: Token,
        /// What is asked.
        request: ExchangeRequest,
    },
    /// The answer to an earlier [`Output::Request`].
    Answer {
        /// The request.
        id: RequestId,
        /// What was answered.
        answer: ExchangeAnswer,
    },
    /// An earlier [`Output::Request`] will get no answer.
    RequestFailed {
        /// The request.
        id: RequestId,
    },
    /// A broadcast came; exactly one [`Output::Verdict`] with this token follows.
    Broadcast {
        /// Who passed it on.
        from: PeerId,
        /// Names the message.
        token: Token,
        /// What it carried.
        record: Arc<Record>,
    },
    /// What the host measures of itself changed.
    Resources(Resources),
    /// What is known of this peer's shards changed.
    Shards(ShardReport),
    /// Name, labels or addresses of this peer changed.
    Profile(Profile),
    /// The operator takes this peer out of the mesh.
    Leave {
        /// Shown to others; may be empty.
        reason: String,
    },
}

/// One thing to do. [`Node::poll_output`](crate::Node::poll_output) gives them in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Dial a peer, unless it is connected already.
    Connect {
        /// Whom.
        peer: PeerId,
        /// Multiaddrs as its own record states them; may be empty, then the driver uses what it knows.
        addresses: Vec<String>,
    },
    /// Close the connection to a peer: it has carried nothing for long, and a new one may.
    Disconnect {
        /// To whom.
        peer: PeerId,
    },
    /// Whom to stay connected to; connections to others may be closed.
    Keep(BTreeSet<PeerId>),
    /// Send a frame on the probe stream; lost without notice if there is no connection.
    Frame {
        /// To whom.
        to: PeerId,
        /// What to say.
        frame: Frame,
    },
    /// Send a request; [`Input::Answer`] or [`Input::RequestFailed`] follows.
    Request {
        /// To whom.
        to: PeerId,
        /// Correlates the answer.
        id: RequestId,
        /// What to ask.
        request: ExchangeRequest,
    },
    /// Answer an inbound request.
    Answer {
        /// The request's token.
        token: Token,
        /// What to say.
        answer: ExchangeAnswer,
    },
    /// Give a record to the broadcast channel.
    Broadcast(Arc<Record>),
    /// Whether a broadcast may be passed on.
    Verdict {
        /// The broadcast's token.
        token: Token,
        /// What to do with it.
        verdict: Verdict,
    },
    /// A peer brought a record with a wrong signature or certificate, which it must have checked: hold it against it.
    Forged {
        /// Who brought it.
        from: PeerId,
    },
    /// Who is barred from now on: no connection with them is to be established.
    Admissions(Arc<Admissions>),
    /// Whose certificates make members from now on: the driver keeps it.
    Authorities(Arc<Authorities>),
    /// The mesh's secret of a higher epoch than the one held, or the one that counts of two of one epoch: the driver keeps it.
    KeyEpoch {
        /// The epoch.
        epoch: u32,
        /// The secret.
        secret: MeshSecret,
    },
    /// Something that a person or a log may want to know.
    Event(Event),
}

/// What becomes of a broadcast that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// New and valid: pass it on.
    Accept,
    /// Known or not usable here: do not pass it on, blame nobody.
    Ignore,
    /// Invalid: do not pass it on, hold it against who sent it.
    Reject,
}
