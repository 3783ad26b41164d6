//! What the transport is told at start, and every limit it keeps.

use std::time::Duration;

use crate::identity::Identity;

/// Largest probe frame. A probe with piggy-backed rumours fits one QUIC packet with room to
/// spare, so that a frame never waits for a second packet.
pub const MAX_FRAME_BYTES: usize = 512;

/// Largest request. A digest exchange with a set sketch stays well below.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// Largest response. One batch of records; larger transfers are split by the caller.
pub const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// Largest broadcast. Broadcasts carry single changed records.
pub const MAX_BROADCAST_BYTES: usize = 16 * 1024;

/// Largest certificate: what is left of a 4 KiB hello after its fixed fields.
pub const MAX_CERTIFICATE_BYTES: usize =
    crate::hello::MAX_HELLO_BYTES - crate::hello::FIXED_HELLO_BYTES;

/// Connections wanted by default: ten ring neighbours and a few visits.
pub const DEFAULT_MAX_CONNECTIONS: usize = 16;

/// Connections above `max_connections` that are accepted for a moment: simultaneous dials and
/// visitors need a place until the maintenance pass closes what nobody wants.
pub(crate) const CONNECTION_MARGIN: usize = 8;

/// Connections to one peer that the swarm admits: two that settle a simultaneous dial, and one
/// that is still being closed.
pub(crate) const MAX_CONNECTIONS_PER_PEER: u32 = 3;

/// Connections in handshake, each way. Each costs a task and some KiB for at most a few seconds.
pub(crate) const MAX_PENDING_CONNECTIONS: u32 = 32;

/// Of the inbound ones, how many of one address there may be once half of all places are taken: several
/// hosts behind one router come in together after a power cut, and none of them needs two.
pub(crate) const MAX_PENDING_OF_ONE: usize = 8;

/// Peers dialled at the same time; half of what may be pending, as a dial has two stages.
pub(crate) const MAX_DIALS: usize = 16;

/// Addresses of one peer that are tried in one dial.
pub(crate) const MAX_DIAL_ADDRESSES: usize = 8;

/// Commands waiting for the network task: several seconds of a busy agent's output.
pub(crate) const COMMAND_QUEUE: usize = 1024;

/// Events waiting for the agent. At the usual tens a second it hides a stall of a minute.
pub(crate) const EVENT_QUEUE: usize = 4096;

/// Events that must not be lost and wait inside the task while the event queue is full.
pub(crate) const OVERFLOW_QUEUE: usize = 1024;

/// How often deadlines, surplus and unwanted connections are looked at. All of them are counted
/// in seconds.
pub(crate) const MAINTENANCE_INTERVAL: Duration = Duration::from_millis(500);

/// What the transport is told at start.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// Who this peer is.
    pub identity: Identity,
    /// Multiaddrs to listen on, QUIC (`/udp/PORT/quic-v1`) and TCP (`/tcp/PORT`). May be empty:
    /// such a peer only dials.
    pub listen: Vec<String>,
    /// The mesh; peers of another one are refused.
    pub mesh_id: [u8; 32],
    /// This peer's certificate as sent in the hello, at most [`MAX_CERTIFICATE_BYTES`].
    pub certificate: Vec<u8>,
    /// Connections in steady state. Above it the least active unwanted ones are closed at once.
    pub max_connections: usize,
    /// Deadlines.
    pub timing: NetTiming,
}

impl NetConfig {
    /// A configuration with the default limits and deadlines, listening nowhere.
    pub fn new(identity: Identity, mesh_id: [u8; 32], certificate: Vec<u8>) -> Self {
        Self {
            identity,
            listen: Vec::new(),
            mesh_id,
            certificate,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            timing: NetTiming::default(),
        }
    }
}

/// Deadlines of the transport.
#[derive(Debug, Clone)]
pub struct NetTiming {
    /// A connection on which nothing is heard for so long is closed. On QUIC its own idle timer
    /// does that. TCP has none, so there silence counts from the first frame or request that
    /// nothing answered.
    pub idle_timeout: Duration,
    /// QUIC sends something at least this often. Must be below `idle_timeout`.
    pub keep_alive: Duration,
    /// Handshake of the transport, for one address.
    pub handshake_timeout: Duration,
    /// The exchange of hellos, from the open connection to admission.
    pub hello_timeout: Duration,
    /// A connection outside the wanted set is closed when it carried no frame, request or
    /// response for so long.
    pub unwanted_after: Duration,
    /// From a request to its response; also how long a request's token can be answered.
    pub request_timeout: Duration,
}

impl Default for NetTiming {
    fn default() -> Self {
        Self {
            // Three lost keep-alives in a row: one or two are common on a congested home line.
            // The failure detector is far faster; this only frees the resources.
            idle_timeout: Duration::from_secs(15),
            // Below the 30 s that careless home routers keep a UDP mapping, with two tries.
            keep_alive: Duration::from_secs(5),
            // Three retransmissions of a lost first packet.
            handshake_timeout: Duration::from_secs(5),
            hello_timeout: Duration::from_secs(5),
            // Longer than a request lives, so that a visit ends before its connection does.
            unwanted_after: Duration::from_secs(10),
            request_timeout: Duration::from_secs(5),
        }
    }
}
