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

/// UDP, IP and QUIC around one small datagram, with its share of acknowledgements, in bytes.
const PACKET_BYTES: usize = 60;
/// What a request or an answer costs on top: a stream of its own, protocol negotiation, packets
/// both ways.
const EXCHANGE_BYTES: usize = 120;
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
            Self::Frame(frame) => frame_bytes(frame) + PACKET_BYTES,
            Self::Request { request, .. } => with_packets(wire::request_bytes(request)),
            Self::Answer { answer, .. } => with_packets(wire::answer_bytes(answer)),
            Self::Broadcast(record) => record.wire_bytes() + BROADCAST_BYTES,
            Self::Have(names) => BROADCAST_BYTES + names.len() * NAME_BYTES,
            Self::Want(names) => PACKET_BYTES + names.len() * NAME_BYTES,
        }
    }
}

/// Packets that a message of this size fills.
pub(super) const fn packets(bytes: usize) -> usize {
    bytes.div_ceil(FULL_PACKET_BYTES)
}

const fn with_packets(bytes: usize) -> usize {
    EXCHANGE_BYTES + bytes + (bytes / FULL_PACKET_BYTES) * PACKET_BYTES
}

/// Size of an encoded frame with its length in front, without encoding it: frames are most of what
/// happens in a world.
const fn frame_bytes(frame: &Frame) -> usize {
    match frame {
        Frame::Probe { unheard: false, .. } | Frame::Pong { .. } => 6,
        Frame::Probe { .. } | Frame::Silent { .. } | Frame::IndirectReport { .. } => 10,
        Frame::IndirectRequest { .. } => 44,
    }
}
