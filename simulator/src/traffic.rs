//! What every host sends and receives.

use plexmesh_proto::types::{SECOND, Time};

/// Window over which the peak rate is taken, in seconds: a burst budget is a budget over seconds,
/// not over packets.
const PEAK_WINDOW_S: usize = 5;

/// What bytes are spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Probe frames.
    Frame,
    /// Requests and answers of exchanges.
    Exchange,
    /// Broadcasts, duplicates included.
    Broadcast,
    /// Handshakes.
    Connection,
}

impl Channel {
    /// All channels.
    pub const ALL: [Self; 4] = [Self::Frame, Self::Exchange, Self::Broadcast, Self::Connection];
}

/// Bytes on the wire, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Sent, retransmissions included.
    pub sent: u64,
    /// Received.
    pub received: u64,
}

/// The meter of one host. Counts from the start of the world or the last reset.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    channels: [Bytes; Channel::ALL.len()],
    window: [Bytes; PEAK_WINDOW_S],
    second: u64,
    peak: Bytes,
    since: Time,
}

impl Meter {
    /// Bytes of one channel.
    #[must_use]
    pub fn channel(&self, channel: Channel) -> Bytes {
        self.channels.get(channel as usize).copied().unwrap_or_default()
    }

    /// Bytes of all channels.
    #[must_use]
    pub fn total(&self) -> Bytes {
        sum(&self.channels)
    }

    /// The highest rate over any five seconds, in bytes per second.
    #[must_use]
    pub fn peak_per_second(&self) -> Bytes {
        let window = sum(&self.window);
        let most = |a: u64, b: u64| a.max(b) / PEAK_WINDOW_S as u64;
        Bytes {
            sent: most(self.peak.sent, window.sent),
            received: most(self.peak.received, window.received),
        }
    }

    /// The mean rate up to `now`, in bytes per second.
    #[must_use]
    pub fn mean_per_second(&self, now: Time) -> Bytes {
        let total = self.total();
        let micros = now.since(self.since).max(1);
        let rate =
            |bytes: u64| (u128::from(bytes) * u128::from(SECOND) / u128::from(micros)) as u64;
        Bytes { sent: rate(total.sent), received: rate(total.received) }
    }

    /// Counts anew from now on.
    pub fn reset(&mut self, now: Time) {
        *self = Self { second: now.0 / SECOND, since: now, ..Self::default() };
    }

    /// Counts bytes that were sent.
    pub fn sent(&mut self, now: Time, channel: Channel, bytes: usize) {
        self.count(now, channel, Bytes { sent: bytes as u64, received: 0 });
    }

    /// Counts bytes that came.
    pub fn received(&mut self, now: Time, channel: Channel, bytes: usize) {
        self.count(now, channel, Bytes { sent: 0, received: bytes as u64 });
    }

    fn count(&mut self, now: Time, channel: Channel, bytes: Bytes) {
        self.advance(now.0 / SECOND);
        let slot = self.second as usize % PEAK_WINDOW_S;
        let places = [self.channels.get_mut(channel as usize), self.window.get_mut(slot)];
        for place in places.into_iter().flatten() {
            place.sent += bytes.sent;
            place.received += bytes.received;
        }
    }

    /// Closes the windows that end before `second`.
    fn advance(&mut self, second: u64) {
        if second <= self.second {
            return;
        }
        let window = sum(&self.window);
        self.peak.sent = self.peak.sent.max(window.sent);
        self.peak.received = self.peak.received.max(window.received);
        let passed = (second - self.second).min(PEAK_WINDOW_S as u64);
        for step in 0..passed {
            let slot = (second - step) as usize % PEAK_WINDOW_S;
            if let Some(place) = self.window.get_mut(slot) {
                *place = Bytes::default();
            }
        }
        self.second = second;
    }
}

fn sum(parts: &[Bytes]) -> Bytes {
    parts.iter().fold(Bytes::default(), |sum, part| Bytes {
        sent: sum.sent + part.sent,
        received: sum.received + part.received,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_busiest_five_seconds() {
        let mut meter = Meter::default();
        for second in 0..20 {
            let bytes = if (8..13).contains(&second) { 1_000 } else { 10 };
            meter.sent(Time(second * SECOND), Channel::Frame, bytes);
        }
        assert_eq!(meter.peak_per_second().sent, 1_000);
        assert_eq!(meter.total().sent, 5 * 1_000 + 15 * 10);
        assert_eq!(meter.mean_per_second(Time(20 * SECOND)).sent, 5_150 / 20);
    }

    #[test]
    fn silence_empties_the_window() {
        let mut meter = Meter::default();
        meter.received(Time(0), Channel::Exchange, 5_000);
        meter.received(Time(60 * SECOND), Channel::Broadcast, 5_000);
        assert_eq!(meter.peak_per_second().received, 1_000);
        assert_eq!(meter.channel(Channel::Exchange), Bytes { sent: 0, received: 5_000 });
    }
}
