//! What travels on a connection, and how many bytes it takes.

use std::sync::Arc;

use plexmesh_proto::exchange::message::{ExchangeAnswer, ExchangeRequest};
use plexmesh_proto::membership::frame::Frame;
use plexmesh_proto::record::Record;
use plexmesh_proto::types::RequestId;
use plexmesh_proto::wire;

use super::stream::Lane;
use crate::gossip::Name;
use crate::traffic::Channel;

/// What stands around the content of one packet, in bytes: IP 20, UDP 8, a short QUIC header with
/// an 8-byte connection id 11, authentication tag 16, the header of a stream frame 8.
const PACKET_BYTES: usize = 63;
/// The same around a probe frame, which carries an acknowledgement or a frame for the peer's
/// windows: real probes take 78 bytes and pongs 75 (docs/simulator.md), 6 of them content.
const FRAME_PACKET_BYTES: usize = 71;
/// Both names that a new stream begins with, with their lengths: `/multistream/1.0.0` and
/// `/plexmesh/1/exchange`.
const NEGOTIATION_BYTES: usize = 42;
/// What a frame on a stream of its own costs beside its content: it shares its packet with the
/// negotiation. Real ones take 125 bytes (`strace -e sendmsg`, IP and UDP added), 12 of them the frame.
const OWN_STREAM_BYTES: usize = 113;
/// What comes back for such a frame: the other half of the negotiation and the end of the stream. It
/// is acknowledged for itself.
const OWN_STREAM_REPLY_BYTES: usize = 115;
/// The length in front of a request or an answer.
const LENGTH_BYTES: usize = 4;
/// What a request costs on top: its packet begins with the negotiation.
const REQUEST_BYTES: usize = PACKET_BYTES + NEGOTIATION_BYTES + LENGTH_BYTES;
/// What an answer costs on top: the negotiation goes ahead in a packet of its own, with an
/// acknowledgement.
const ANSWER_BYTES: usize = REQUEST_BYTES + PACKET_BYTES + ACK_FRAME_BYTES;
/// The frame that acknowledges in a packet that has something else to say.
const ACK_FRAME_BYTES: usize = 5;
/// A packet that does nothing but acknowledge: 58 to 66 bytes in real meshes.
pub(super) const ACK_BYTES: usize = 64;
/// Packets that are acknowledged together, if they come at once: RFC 9000, section 13.2.2.
const PACKETS_AN_ACK: usize = 2;
/// What a broadcast costs on top: packet, gossipsub frame and topic.
const BROADCAST_BYTES: usize = 80;
/// One name of a message in a list, with its tag and length.
const NAME_BYTES: usize = 18;
/// Payload of a full packet; QUIC does not assume a larger path.
const FULL_PACKET_BYTES: usize = 1_200;

/// One message between two hosts. It is encoded for a wiretap alone: record bodies are shared.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Frame(Frame),
    Request {
        id: RequestId,
        request: Box<ExchangeRequest>,
    },
    Answer {
        id: RequestId,
        answer: Box<ExchangeAnswer>,
    },
    Broadcast(Arc<Record>),
    /// Gossipsub's `IHAVE`.
    Have(Arc<[Name]>),
    /// Gossipsub's `IWANT`.
    Want(Arc<[Name]>),
}

impl Message {
    pub(crate) const fn channel(&self) -> Channel {
        match self {
            Self::Frame(_) => Channel::Frame,
            Self::Request { .. } | Self::Answer { .. } => Channel::Exchange,
            Self::Broadcast(_) | Self::Have(_) | Self::Want(_) => Channel::Broadcast,
        }
    }

    pub(super) const fn lane(&self) -> Lane {
        match self {
            Self::Frame(frame) if frame.own_stream() => Lane::Single,
            Self::Frame(_) => Lane::Frames,
            Self::Request { .. } | Self::Answer { .. } => Lane::Single,
            Self::Broadcast(_) | Self::Have(_) | Self::Want(_) => Lane::Broadcasts,
        }
    }

    /// The bytes that a real host would encrypt and send, without what the transport puts around.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Frame(frame) => wire::encode_frame(frame),
            Self::Request { request, .. } => wire::encode_request(request),
            Self::Answer { answer, .. } => wire::encode_answer(answer),
            Self::Broadcast(record) => wire::encode_broadcast(record),
            Self::Have(names) | Self::Want(names) => names.iter().flatten().copied().collect(),
        }
    }

    /// Size with everything around it.
    pub(crate) fn wire_bytes(&self) -> usize {
        match self {
            Self::Frame(frame) if frame.own_stream() => frame_bytes(frame) + OWN_STREAM_BYTES,
            Self::Frame(frame) => frame_bytes(frame) + FRAME_PACKET_BYTES,
            Self::Request { request, .. } => {
                REQUEST_BYTES + with_packets(wire::request_bytes(request))
            }
            Self::Answer { answer, .. } => ANSWER_BYTES + with_packets(wire::answer_bytes(answer)),
            Self::Broadcast(record) => record.wire_bytes() + BROADCAST_BYTES,
            Self::Have(names) => BROADCAST_BYTES + names.len() * NAME_BYTES,
            Self::Want(names) => PACKET_BYTES + names.len() * NAME_BYTES,
        }
    }
}

impl Message {
    /// Packets that its receiver sends back and nobody waits for, and the size of each. Most do
    /// nothing but acknowledge: whoever has nothing else to say within QUIC's 25 ms sends one. A
    /// probe is acknowledged by its pong, and by nothing else. The end of a stream is acknowledged
    /// for itself.
    pub(super) fn acknowledgements(&self) -> (usize, usize) {
        match self {
            Self::Frame(frame) if frame.own_stream() => (1, OWN_STREAM_REPLY_BYTES),
            Self::Frame(Frame::Probe { .. }) => (0, ACK_BYTES),
            Self::Frame(_) | Self::Request { .. } => (1, ACK_BYTES),
            Self::Broadcast(_) | Self::Have(_) | Self::Want(_) => (1, ACK_BYTES),
            Self::Answer { answer, .. } => {
                (2 + packets(wire::answer_bytes(answer)) / PACKETS_AN_ACK, ACK_BYTES)
            }
        }
    }
}

/// Packets that a message of this size fills.
pub(super) const fn packets(bytes: usize) -> usize {
    bytes.div_ceil(FULL_PACKET_BYTES)
}

const fn with_packets(bytes: usize) -> usize {
    bytes + (bytes / FULL_PACKET_BYTES) * PACKET_BYTES
}

/// Size of an encoded frame with its length in front, without encoding it: frames are most of what
/// happens in a world.
const fn frame_bytes(frame: &Frame) -> usize {
    match frame {
        Frame::Probe { unheard: false, own_stream: false, .. }
        | Frame::Pong { own_stream: false, .. } => 6,
        Frame::Probe { .. }
        | Frame::Pong { .. }
        | Frame::Silent { .. }
        | Frame::IndirectReport { .. } => 10,
        Frame::IndirectRequest { .. } => 44,
    }
}
