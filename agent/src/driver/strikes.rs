//! Messages that do not decode: how many, why, and of whom.

use std::collections::BTreeMap;

use plexmesh_proto::types::PeerId;
use plexmesh_proto::wire::WireError;

/// Malformed messages on one connection after which it is closed. A bit error cannot cause one, the transport checks for that; a few are forgiven because
/// versions may differ in a corner.
const MAX_STRIKES: u32 = 8;

/// Counts malformed messages.
#[derive(Debug, Default)]
pub(super) struct Strikes {
    /// Per connected peer, so as many as there are connections.
    peers: BTreeMap<PeerId, u32>,
    /// Per kind of message and reason: a handful.
    reasons: BTreeMap<(&'static str, &'static str), u64>,
}

impl Strikes {
    /// Counts one; whether it is one too many.
    pub(super) fn count(&mut self, peer: PeerId, message: &'static str, error: &WireError) -> bool {
        *self.reasons.entry((message, reason(error))).or_default() += 1;
        let strikes = self.peers.entry(peer).or_default();
        *strikes += 1;
        *strikes >= MAX_STRIKES
    }

    /// A new connection begins with a clean record.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }

    /// How many of each kind of message, by reason.
    pub(super) const fn by_reason(&self) -> &BTreeMap<(&'static str, &'static str), u64> {
        &self.reasons
    }
}

const fn reason(error: &WireError) -> &'static str {
    match error {
        WireError::Encoding => "encoding",
        WireError::TooLarge => "too_large",
        WireError::Length => "length",
        WireError::Record(_) => "record",
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
            assert!(!strikes.count(PEER, "frame", &WireError::Encoding));
        }
        assert!(!strikes.count(PeerId([2; 32]), "frame", &WireError::Encoding));
        assert!(strikes.count(PEER, "frame", &WireError::Length));
        strikes.forget(&PEER);
        assert!(!strikes.count(PEER, "frame", &WireError::Encoding));
    }

    #[test]
    fn messages_are_counted_by_kind_and_reason() {
        let mut strikes = Strikes::default();
        strikes.count(PEER, "frame", &WireError::Encoding);
        strikes.count(PEER, "frame", &WireError::Encoding);
        strikes.count(PEER, "answer", &WireError::TooLarge);
        assert_eq!(strikes.by_reason().get(&("frame", "encoding")), Some(&2));
        assert_eq!(strikes.by_reason().get(&("answer", "too_large")), Some(&1));
    }
}
