//! What is held against peers: messages that do not decode, how many and why; and records that are forged.

use std::collections::BTreeMap;
use std::fmt;

use plexmesh_proto::types::PeerId;
use plexmesh_proto::wire::WireError;

/// Malformed messages and forged records on one connection after which it is closed. A bit error cannot cause one, the
/// transport checks for that; a few are forgiven because versions may differ in a corner.
const MAX_STRIKES: u32 = 8;

/// Kinds of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Frame,
    Request,
    Answer,
    Broadcast,
}

/// Counts malformed messages.
#[derive(Debug, Default)]
pub(super) struct Strikes {
    /// Per connected peer, so as many as there are connections.
    peers: BTreeMap<PeerId, u32>,
    /// Per kind of message and reason: a handful.
    counters: BTreeMap<&'static str, u64>,
}

impl Strikes {
    /// Counts one; whether it is one too many.
    pub(super) fn count(&mut self, peer: PeerId, message: Message, error: &WireError) -> bool {
        *self.counters.entry(counter(message, error)).or_default() += 1;
        self.add(peer)
    }

    /// Adds one for a record that the peer should not have passed on; whether it is one too many.
    pub(super) fn add(&mut self, peer: PeerId) -> bool {
        let strikes = self.peers.entry(peer).or_default();
        *strikes += 1;
        *strikes >= MAX_STRIKES
    }

    /// A new connection begins with a clean record.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }

    /// How many, by kind of message and reason.
    pub(super) const fn counters(&self) -> &BTreeMap<&'static str, u64> {
        &self.counters
    }
}

macro_rules! by_reason {
    ($message:literal, $error:expr) => {
        match $error {
            WireError::Encoding => concat!("malformed_", $message, "_encoding"),
            WireError::TooLarge => concat!("malformed_", $message, "_too_large"),
            WireError::Length => concat!("malformed_", $message, "_length"),
            WireError::Record(_) => concat!("malformed_", $message, "_record"),
        }
    };
}

const fn counter(message: Message, error: &WireError) -> &'static str {
    match message {
        Message::Frame => by_reason!("frame", error),
        Message::Request => by_reason!("request", error),
        Message::Answer => by_reason!("answer", error),
        Message::Broadcast => by_reason!("broadcast", error),
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frame => "frame",
            Self::Request => "request",
            Self::Answer => "answer",
            Self::Broadcast => "broadcast",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId([1; 32]);

    #[test]
    fn the_eighth_malformed_message_of_a_connection_is_one_too_many() {
        let mut strikes = Strikes::default();
        for _ in 1..MAX_STRIKES {
            assert!(!strikes.count(PEER, Message::Frame, &WireError::Encoding));
        }
        assert!(!strikes.count(PeerId([2; 32]), Message::Frame, &WireError::Encoding));
        assert!(strikes.count(PEER, Message::Answer, &WireError::Length));
        strikes.forget(&PEER);
        assert!(!strikes.count(PEER, Message::Frame, &WireError::Encoding));
    }

    #[test]
    fn forged_records_count_with_malformed_messages() {
        let mut strikes = Strikes::default();
        assert!(!strikes.count(PEER, Message::Broadcast, &WireError::Encoding));
        for _ in 2..MAX_STRIKES {
            assert!(!strikes.add(PEER));
        }
        assert!(strikes.add(PEER));
    }

    #[test]
    fn messages_are_counted_by_kind_and_reason() {
        let mut strikes = Strikes::default();
        strikes.count(PEER, Message::Frame, &WireError::Encoding);
        strikes.count(PEER, Message::Frame, &WireError::Encoding);
        strikes.count(PEER, Message::Answer, &WireError::TooLarge);
        assert_eq!(strikes.counters().get("malformed_frame_encoding"), Some(&2));
        assert_eq!(strikes.counters().get("malformed_answer_too_large"), Some(&1));
    }
}
