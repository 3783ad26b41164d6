//! What lies between a host and the network: losses and bandwidth of its own.

use plexmesh_proto::types::{MILLI, Time};

use crate::dice::Chance;

use super::conditions::Rules;

/// Longest time for which a packet waits for a full line; what comes while more waits is dropped.
/// Buffers of home routers hold some hundred milliseconds (Gettys and Nichols, "Bufferbloat", 2011).
pub const MAX_QUEUE_US: u64 = 500 * MILLI;

/// The access of one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Access {
    /// Losses of packets that come in and that go out, beside those of the path.
    pub(super) ingress: Chance,
    pub(super) egress: Chance,
    /// The rules of its group.
    pub(super) base: Option<Rules>,
    /// What holds in their place now.
    pub(super) now: Option<Rules>,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
}

impl Access {
    /// The rules that hold.
    pub(super) fn rules(&self) -> Option<Rules> {
        match (self.now, self.base) {
            (Some(now), Some(base)) => Some(now.over(base)),
            (now, base) => now.or(base),
        }
    }

    /// Whether it is as if it were not there.
    pub(super) fn is_plain(&self) -> bool {
        self.ingress == Chance::NEVER
            && self.egress == Chance::NEVER
            && self.base.is_none()
            && self.now.is_none()
    }
}

/// A line of limited bandwidth with a queue in front: first in, first out, in the order of sending.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pipe {
    busy_until: Time,
}

impl Pipe {
    /// How long so many bytes wait, and how long until they are through, in microseconds; `None` if
    /// the queue is full.
    pub(super) fn take(&mut self, now: Time, bytes: usize, kbps: u64) -> Option<(u64, u64)> {
        const BITS_PER_BYTE: u64 = 8;
        // A kbit/s is a bit per millisecond.
        let service_us = (bytes as u64).saturating_mul(BITS_PER_BYTE * MILLI) / kbps.max(1);
        let waits_us = self.busy_until.since(now);
        if waits_us > MAX_QUEUE_US {
            return None;
        }
        let through_us = waits_us + service_us;
        self.busy_until = now.plus(through_us);
        Some((waits_us, through_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_queue_up_until_the_queue_is_full() {
        let mut pipe = Pipe::default();
        // 1000 bytes at 80 kbit/s take 100 ms.
        let taken: Vec<_> = (0..10).map_while(|_| pipe.take(Time(0), 1_000, 80)).collect();
        assert_eq!(taken.first(), Some(&(0, 100 * MILLI)));
        assert_eq!(taken.last(), Some(&(500 * MILLI, 600 * MILLI)));
        assert_eq!(pipe.take(Time(600 * MILLI), 1_000, 80), Some((0, 100 * MILLI)));
    }
}
