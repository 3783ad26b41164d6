//! The agent's network: admitted peers, and four ways to exchange bytes with them.
//!
//! This crate owns libp2p and knows nothing of the mesh's protocol; it moves bytes. The agent
//! holds a [`NetHandle`] for commands and one queue of [`NetEvent`]s. Behind them a single task
//! owns the swarm.
//!
//! # Who gets in
//!
//! QUIC is tried first, TCP with Noise and Yamux where QUIC fails. Either proves that the other
//! side holds the secret of its [`PeerKey`]. Before the connection reaches any protocol, both
//! sides exchange a hello: mesh id and certificate, at most 4 KiB, within
//! [`NetTiming::hello_timeout`]. [`Admission`] judges the certificate on both sides, and each
//! learns the other's verdict. A connection that either side refuses ends there: its peer gets
//! no gossip and no addresses, and nothing it says reaches the agent but a
//! [`NetEvent::Refused`].
//!
//! A stranger may ask for admission in place of the hello: one request of at most
//! [`MAX_ADMISSION_REQUEST_BYTES`] and one answer of at most [`MAX_ADMISSION_ANSWER_BYTES`], and
//! the connection ends ([`ask_admission`]). Requests reach the agent as [`NetEvent::Admission`],
//! few at a time and few a second, and only after [`NetHandle::set_admitting`].
//!
//! # Four ways to exchange bytes
//!
//! - A frame, at most [`MAX_FRAME_BYTES`]: in order on one long-lived stream, written at once,
//!   never repeated.
//! - A request, at most [`MAX_REQUEST_BYTES`], and its response, at most
//!   [`MAX_RESPONSE_BYTES`]: exactly one outcome for each request.
//! - A broadcast, at most [`MAX_BROADCAST_BYTES`]: best effort, delivered once per content in
//!   five minutes.
//! - The certificate, at most [`MAX_CERTIFICATE_BYTES`]: one with each connection.
//!
//! A broadcast is passed on only after the agent's [`Verdict::Accept`]; it bears no author, so
//! its content must prove its origin.
//!
//! # Order of events
//!
//! - A peer's events lie between its [`NetEvent::Connected`] and its
//!   [`NetEvent::Disconnected`], which alternate strictly, however many connections lie below.
//!   [`NetEvent::Response`] obeys this too; [`NetEvent::RequestFailed`] may follow the
//!   `Disconnected` that caused it.
//! - A dial ends in `Connected` (by either side's dial) or [`NetEvent::DialFailed`].
//! - Frames of one connection keep their order, but those sent with
//!   [`NetHandle::frame_alone`]. Between the four ways there is none.
//! - When both sides dial at once, both connections live for a second and serve one
//!   `Connected`; then both sides keep the one that the peer with the smaller key dialled. If
//!   frames move to another connection than the reported one, [`NetEvent::PathChanged`] says so.
//!   Requests that are on the surplus connection when it is closed fail.
//! - A peer whose process was restarted is told from a second connection by a random number in
//!   its hello: all its connections are closed at once, the new one too, and `Disconnected`
//!   follows. Whoever dials next gets a clean beginning; nothing waits for the former
//!   connection's timeout.
//!
//! - When the transport ends, the queue closes without another word.
//!
//! # Which connections stay
//!
//! Those to wanted peers ([`NetHandle::set_wanted`]), and others while frames, requests or
//! responses pass on them ([`NetTiming::unwanted_after`]). Above
//! [`NetConfig::max_connections`] the least lately used unwanted ones go at once. A dead QUIC
//! path is noticed after [`NetTiming::idle_timeout`]. TCP has no such timer: there the same time
//! counts from the first frame or request after which nothing was heard, so frames on TCP must be
//! answered now and then. Neither is the failure detector, which is the agent's business.
//!
//! # When somebody is too slow
//!
//! Every queue is bounded, and whatever is dropped is counted in [`NetStats`]. A slow peer loses
//! its oldest frames. A slow agent loses frames and broadcasts, then new requests and new peers,
//! but never the end of something it was told the beginning of. The task itself waits for nobody.

#![forbid(unsafe_code)]

mod address;
mod admission;
mod behaviour;
mod config;
mod counted;
mod error;
mod event;
mod exchange;
mod handle;
mod hello;
mod identity;
mod peers;
mod pending;
mod probe_stream;
mod rate;
mod reading;
mod spawn;
mod stats;
mod stream;
mod task;
mod transport;
mod turns;

pub use address::{AddressError, check_address};
pub use admission::{
    AdmissionError, MAX_ADMISSION_ANSWER_BYTES, MAX_ADMISSION_REQUEST_BYTES, ask_admission,
};
pub use config::{
    DEFAULT_MAX_CONNECTIONS, MAX_BROADCAST_BYTES, MAX_CERTIFICATE_BYTES, MAX_FRAME_BYTES,
    MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, NetConfig, NetTiming,
};
pub use error::{NetError, PeerIdError, SendError};
pub use event::{NetEvent, PathKind, RefusedBy, Verdict};
pub use handle::NetHandle;
pub use hello::{Admission, NotAdmitted, NotAdmittedBecause};
pub use identity::{Identity, PeerKey, parse_peer_id, peer_id_text, verify};
pub use spawn::spawn;
pub use stats::{NetFigure, NetStats};
