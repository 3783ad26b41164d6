//! What the transport tells the agent.

use std::fmt;

use crate::identity::PeerKey;

/// Which transport a connection runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathKind {
    /// QUIC over UDP.
    Quic,
    /// TCP with Noise and Yamux.
    Tcp,
}

/// Which side refused a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedBy {
    /// This peer.
    Us,
    /// The other one.
    Them,
}

impl fmt::Display for RefusedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Us => "this peer",
            Self::Them => "the other peer",
        })
    }
}

/// What the application makes of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Valid: pass it on.
    Accept,
    /// Neither passed on nor held against anybody, for example already known.
    Ignore,
    /// Invalid: not passed on.
    Reject,
}

/// One thing that happened. See the crate documentation for their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetEvent {
    /// A socket accepts connections on this multiaddr.
    Listening {
        /// The multiaddr, with the real port where 0 was configured.
        addr: String,
    },
    /// Both sides admitted each other. Exactly one until `Disconnected`.
    Connected {
        /// Who.
        peer: PeerKey,
        /// Another process with this identity was connected a moment ago: what that one said this one need
        /// not know.
        takes_over: bool,
        /// The certificate that [`Admission`](crate::Admission) accepted.
        certificate: Vec<u8>,
        /// The multiaddr dialled, or that the peer dialled from.
        address: String,
        /// The transport.
        path: PathKind,
    },
    /// The peer is reached by another connection from now on; measurements of the path begin
    /// anew.
    PathChanged {
        /// Who.
        peer: PeerKey,
        /// As in `Connected`.
        address: String,
        /// Its transport.
        path: PathKind,
    },
    /// The last connection is gone, or the peer's process was replaced by a new one.
    Disconnected {
        /// Who.
        peer: PeerKey,
    },
    /// A dial ended without a connection.
    DialFailed {
        /// Who was dialled.
        peer: PeerKey,
        /// What happened at each address.
        reason: String,
    },
    /// A probe frame arrived.
    Frame {
        /// The sender.
        from: PeerKey,
        /// At most [`MAX_FRAME_BYTES`](crate::MAX_FRAME_BYTES).
        bytes: Vec<u8>,
    },
    /// A request arrived.
    Request {
        /// The sender.
        from: PeerKey,
        /// For [`NetHandle::respond`](crate::NetHandle::respond), within the request timeout.
        token: u64,
        /// At most [`MAX_REQUEST_BYTES`](crate::MAX_REQUEST_BYTES).
        bytes: Vec<u8>,
    },
    /// The answer to a request of ours.
    Response {
        /// As given to [`NetHandle::request`](crate::NetHandle::request).
        request_id: u64,
        /// The answering peer.
        from: PeerKey,
        /// At most [`MAX_RESPONSE_BYTES`](crate::MAX_RESPONSE_BYTES).
        bytes: Vec<u8>,
    },
    /// A request of ours will not be answered.
    RequestFailed {
        /// As given to [`NetHandle::request`](crate::NetHandle::request).
        request_id: u64,
        /// Why.
        reason: String,
    },
    /// A broadcast arrived for the first time. It is passed on only after `Verdict::Accept`.
    Broadcast {
        /// The neighbour that passed it on; who made it is for the payload to prove.
        from: PeerKey,
        /// For [`NetHandle::verdict`](crate::NetHandle::verdict), within three seconds.
        token: u64,
        /// At most [`MAX_BROADCAST_BYTES`](crate::MAX_BROADCAST_BYTES).
        bytes: Vec<u8>,
    },
    /// A connection ended at admission. A dial that ends so is reported by `DialFailed` as well.
    Refused {
        /// The other side; that it holds the key is proven.
        peer: PeerKey,
        /// Who refused whom.
        by: RefusedBy,
        /// Why, for people.
        reason: String,
    },
    /// A stranger asks for admission. Only after
    /// [`NetHandle::set_admitting`](crate::NetHandle::set_admitting).
    Admission {
        /// Who asks; that it holds the key is proven.
        peer: PeerKey,
        /// The multiaddr that it dialled from.
        address: String,
        /// For [`NetHandle::answer_admission`](crate::NetHandle::answer_admission), within the
        /// hello timeout.
        token: u64,
        /// At most [`MAX_ADMISSION_REQUEST_BYTES`](crate::MAX_ADMISSION_REQUEST_BYTES).
        bytes: Vec<u8>,
    },
    /// An admitted peer says from which multiaddr it sees this one: a hint at the public
    /// address behind a router, and no more than that peer's word.
    ObservedAddress {
        /// Who says so.
        by: PeerKey,
        /// The multiaddr.
        address: String,
    },
}
