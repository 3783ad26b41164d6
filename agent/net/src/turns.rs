//! Two processes with one identity: each has the connection for a while, so that both hear of the other.
//!
//! A peer cannot be connected twice, and a process that was restarted is to take the place of the former one at once. But a
//! former one that comes back did not end: two of them would take each other's place a hundred times a second, and neither
//! would ever say or hear a thing. So whoever lost its place waits for a turn.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::hello::Instance;
use crate::identity::PeerKey;

/// How long a process waits after another one took its place. Exchanges come once a second and heartbeats
/// every few: enough to say and to hear something.
const TURN: Duration = Duration::from_secs(10);

/// Processes that wait at a time; each restart of a peer leaves one that will never ask. With more of them the
/// oldest need not wait any longer, which costs connections and nothing else.
const MAX_WAITING: usize = 64;

/// Who has to wait.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    peer: PeerKey,
    instance: Instance,
    until: Instant,
}

impl Turns {
    /// Another process took the place of this one.
    pub(crate) fn displace(&mut self, peer: PeerKey, instance: Instance, now: Instant) {
        self.waiting.retain(|it| it.until > now);
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting { peer, instance, until: now + TURN });
    }

    /// Whether a process of this peer lost its place a moment ago.
    pub(crate) fn is_shared(&self, peer: &PeerKey, now: Instant) -> bool {
        self.waiting.iter().any(|it| it.peer == *peer && it.until > now)
    }

    /// Whether a process may connect now.
    pub(crate) fn may_come(&self, peer: &PeerKey, instance: &Instance, now: Instant) -> bool {
        let mut own = self.waiting.iter().filter(|it| it.peer == *peer && it.instance == *instance);
        own.all(|it| it.until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lost_its_place_waits_and_nobody_else_does() {
        let (mut turns, start, peer) = (Turns::default(), Instant::now(), [1; 32]);
        turns.displace(peer, [1; 16], start);
        assert!(!turns.may_come(&peer, &[1; 16], start + TURN - Duration::from_millis(1)));
        assert!(turns.may_come(&peer, &[1; 16], start + TURN));
        assert!(turns.is_shared(&peer, start) && !turns.is_shared(&peer, start + TURN));
        assert!(turns.may_come(&peer, &[2; 16], start), "the one in its place");
        assert!(turns.may_come(&[2; 32], &[1; 16], start), "another peer");
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let (mut turns, start) = (Turns::default(), Instant::now());
        for number in 0..=u8::try_from(MAX_WAITING).unwrap() {
            turns.displace([number; 32], [number; 16], start);
        }
        assert_eq!(turns.waiting.len(), MAX_WAITING);
        assert!(turns.may_come(&[0; 32], &[0; 16], start));
    }
}
