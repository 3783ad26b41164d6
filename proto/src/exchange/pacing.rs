//! How much is sent how often: the repair budget, and the heartbeat interval of a mesh of a given size.

use crate::types::{MILLI, SECOND, Time};

/// Budget of repair and first upload, in bytes a second each way: under the promised 64 KB with room for handshakes, broadcasts and what the transport adds.
const REPAIR_BYTES_PER_SECOND: u64 = 36 * 1024;
/// What may be spent at once after a quiet time: one full answer.
const REPAIR_BURST_BYTES: u64 = 24 * 1024;
/// Most debt: whoever asks without end must not silence this peer towards the others for longer than a few seconds.
const DEBT_LIMIT_BYTES: u64 = 4 * REPAIR_BYTES_PER_SECOND;

/// Interval of heartbeats per member in a large mesh. A heartbeat costs every peer about 350 bytes with its share of ids; one per member in 200 ms is 1.7 KB/s.
const HEARTBEAT_PER_MEMBER: u64 = 200 * MILLI;
/// Up to this a small mesh stretches the interval, so that fifty peers pay a third of what a thousand do: in a mesh of a hundred no figure is to be older than a minute, and the way through it takes half of that.
const HEARTBEAT_SMALL: u64 = 32 * SECOND;
/// Up to so many members the interval is the shortest: two heartbeats a second are a few hundred bytes.
const HEARTBEAT_MIN_MEMBERS: u64 = 10;
/// And for each member more it is longer by this, so that fifty come to [`HEARTBEAT_SMALL`].
const HEARTBEAT_PER_MEMBER_SMALL: u64 = 675 * MILLI;
/// Shortest heartbeat interval: small meshes have bytes to spare, but nobody reads figures more often.
const HEARTBEAT_MIN: u64 = 5 * SECOND;
/// Longest heartbeat interval: past it figures are no news.
const HEARTBEAT_MAX: u64 = 1_200 * SECOND;

/// Pause per member between two exchanges of a peer that agrees with its neighbours, in a small mesh: one of ten publishes about a record a second, and an exchange is the quickest way for it.
const QUIET_PER_MEMBER: u64 = 80 * MILLI;
/// Heartbeats that are worth an exchange: it costs a kilobyte of packets and acknowledgements, so it waits for that much news.
const HEARTBEATS_PER_EXCHANGE: u64 = 6;
/// Shortest pause: nobody waits for figures more closely.
const QUIET_MIN: u64 = SECOND;
/// Shortest pause in a mesh where there is news all the time: a heartbeat needs about a dozen of them through a thousand peers.
const QUIET_BUSY: u64 = 2 * SECOND;
/// A broadcast has reached everybody by then: it takes a third of a second through a thousand peers.
pub(crate) const BROADCAST_TRAVEL: u64 = SECOND;

/// Microseconds between two heartbeats of one peer in a mesh of `members`.
#[must_use]
pub fn heartbeat_interval(members: usize) -> u64 {
    let members = u64::try_from(members).unwrap_or(u64::MAX);
    let further = members.saturating_sub(HEARTBEAT_MIN_MEMBERS);
    let small = further.saturating_mul(HEARTBEAT_PER_MEMBER_SMALL).saturating_add(HEARTBEAT_MIN);
    let small = small.min(HEARTBEAT_SMALL);
    let large = members.saturating_mul(HEARTBEAT_PER_MEMBER);
    large.max(small).clamp(HEARTBEAT_MIN, HEARTBEAT_MAX)
}

/// Microseconds between two exchanges of a peer whose neighbours agree with it, in a mesh of `members`.
#[must_use]
pub fn quiet_interval(members: usize) -> u64 {
    let heartbeats = HEARTBEATS_PER_EXCHANGE * heartbeat_interval(members);
    let members = u64::try_from(members).unwrap_or(u64::MAX).max(1);
    let news = (heartbeats / members).max(QUIET_BUSY);
    members.saturating_mul(QUIET_PER_MEMBER).min(news).max(QUIET_MIN)
}

/// A token bucket over bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    bytes: i64,
    filled: Time,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: REPAIR_BURST_BYTES.cast_signed(), filled: Time::default() }
    }
}

impl Budget {
    /// Counts bytes that were spent; the balance may go below zero.
    pub(crate) fn spend(&mut self, bytes: usize, now: Time) {
        self.fill(now);
        let floor = -(DEBT_LIMIT_BYTES.cast_signed());
        let spent = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.bytes = self.bytes.saturating_sub(spent).max(floor);
    }

    /// Whether anything may be spent now.
    pub(crate) fn allows(&mut self, now: Time) -> bool {
        self.fill(now);
        self.bytes > 0
    }

    /// When something may be spent again.
    pub(crate) fn ready_at(&self) -> Time {
        let debt = (-self.bytes).max(0).cast_unsigned() + 1;
        self.filled.plus(debt.saturating_mul(SECOND) / REPAIR_BYTES_PER_SECOND + 1)
    }

    fn fill(&mut self, now: Time) {
        let elapsed = now.since(self.filled).min(60 * SECOND);
        let earned = elapsed * REPAIR_BYTES_PER_SECOND / SECOND;
        if earned > 0 {
            let limit = REPAIR_BURST_BYTES.cast_signed();
            self.bytes = self.bytes.saturating_add(earned.cast_signed()).min(limit);
            self.filled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_stay_within_the_promised_age() {
        for (members, age_s) in [(100, 60), (1_000, 300), (5_000, 1_200)] {
            assert!(heartbeat_interval(members) < age_s * SECOND);
        }
    }

    #[test]
    fn exchanges_at_rest_are_never_more_than_four_seconds_apart() {
        for members in [0, 1, 5, 10, 50, 100, 1_000, 5_000, usize::MAX] {
            assert!((SECOND..=4 * SECOND).contains(&quiet_interval(members)), "{members}");
        }
    }

    #[test]
    fn a_spent_budget_refills_with_time() {
        let mut budget = Budget::default();
        budget.spend(100 * 1024, Time(0));
        assert!(!budget.allows(Time(0)));
        let ready = budget.ready_at();
        assert!(budget.allows(ready));
    }
}
