//! How fast shards are read, and when what waits will have been.

use std::time::Duration;

/// What one more file costs, as the bytes that could be read in that time: opening, looking up and
/// remembering it takes some tens of microseconds.
const FILE_BYTES: u64 = 64 * 1024;
/// Time of reading after which what was read before counts half: long enough that a file more or
/// less does not matter, and soon enough to follow a disk that became busy.
const HALF_LIFE: Duration = Duration::from_secs(60);
/// Nothing is said before so much reading was seen.
const LEAST: Duration = Duration::from_millis(500);

/// What waits to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Shards.
    pub shards: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Backlog {
    /// Adds a shard.
    pub(super) const fn add(&mut self, size_bytes: u64) {
        self.shards += 1;
        self.bytes = self.bytes.saturating_add(size_bytes);
    }

    fn weight(self) -> f64 {
        let files = u64::try_from(self.shards).unwrap_or(u64::MAX);
        self.bytes.saturating_add(files.saturating_mul(FILE_BYTES)) as f64
    }
}

/// What was read lately, in what time. Time in which nothing waited does not count, and rests do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    weight: f64,
    bytes: f64,
    seconds: f64,
    /// Milliseconds since boot from which on reading has not been counted yet; `None` while nothing
    /// is read.
    from_ms: Option<u64>,
}

impl Rate {
    /// A reading begins.
    pub(super) fn begin(&mut self, now_ms: u64) {
        self.from_ms.get_or_insert(now_ms);
    }

    /// A reading ended; whether others go on.
    pub(super) fn end(&mut self, size_bytes: u64, now_ms: u64, others: bool) {
        let Some(from_ms) = self.from_ms else { return };
        let seconds = now_ms.saturating_sub(from_ms) as f64 / 1e3;
        let kept = 0.5_f64.powf(seconds / HALF_LIFE.as_secs_f64());
        let mut one = Backlog::default();
        one.add(size_bytes);
        self.weight = self.weight * kept + one.weight();
        self.bytes = self.bytes * kept + size_bytes as f64;
        self.seconds = self.seconds * kept + seconds;
        self.from_ms = others.then_some(now_ms);
    }

    /// Nothing is read any more, and what was begun is not counted.
    pub(super) const fn stop(&mut self) {
        self.from_ms = None;
    }

    /// Bytes a second while something is read; `None` before enough was.
    pub(super) fn bytes_per_second(&self) -> Option<f64> {
        self.is_known().then(|| self.bytes / self.seconds)
    }

    /// How long what waits will take; `None` before enough was read to say.
    pub(super) fn time_for(&self, backlog: Backlog) -> Option<Duration> {
        if backlog == Backlog::default() {
            return Some(Duration::ZERO);
        }
        let seconds = backlog.weight() * self.seconds / self.weight;
        self.is_known().then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
    }

    fn is_known(&self) -> bool {
        self.seconds >= LEAST.as_secs_f64() && self.weight > 0.0
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::super::pace::Pace;
    use super::*;

    /// A disk in virtual time.
    const DISK_BYTES_PER_SECOND: u64 = 400_000_000;
    const OPEN: Duration = Duration::from_micros(120);

    /// Sizes in an order without pattern, the same in every run.
    fn sizes(count: u64, largest: u64) -> Vec<u64> {
        (0..count)
            .map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17) % largest)
            .collect()
    }

    /// Reads all files at a pace; the worst ratio of what was foretold and what it was.
    fn worst(sizes: &[u64], pace: Pace) -> f64 {
        let (mut rate, mut clock) = (Rate::default(), Duration::ZERO);
        let mut backlog = Backlog::default();
        sizes.iter().for_each(|size| backlog.add(*size));
        let mut foretold = Vec::new();
        for size in sizes {
            let ms = |clock: Duration| u64::try_from(clock.as_millis()).unwrap();
            rate.begin(ms(clock));
            let work = OPEN + Duration::from_micros(size * 1_000_000 / DISK_BYTES_PER_SECOND);
            clock += work + pace.rest_after(work, *size);
            rate.end(*size, ms(clock), true);
            (backlog.shards, backlog.bytes) = (backlog.shards - 1, backlog.bytes - size);
            if let Some(left) = rate.time_for(backlog) {
                foretold.push((clock, left));
            }
        }
        // Of the last hundredth nobody asks any more.
        let asked = foretold.iter().filter(|(at, _)| at.as_secs_f64() < clock.as_secs_f64() * 0.99);
        let off = asked.map(|(at, left)| {
            let ratio = left.as_secs_f64() / (clock - *at).as_secs_f64();
            ratio.max(1.0 / ratio)
        });
        off.fold(1.0, f64::max)
    }

    #[test]
    fn what_is_foretold_is_right_to_a_fifth() {
        let quarter = Pace { duty_percent: 25, max_bytes_per_second: None };
        let capped = Pace { max_bytes_per_second: NonZeroU64::new(20 << 20), ..quarter };
        let all = Pace { duty_percent: 100, ..quarter };
        for (name, sizes) in [
            ("equal", vec![1 << 20; 20_000]),
            ("up to 4 MiB", sizes(20_000, 4 << 20)),
            ("up to 256 KiB", sizes(200_000, 256 << 10)),
        ] {
            for pace in [quarter, capped, all] {
                let worst = worst(&sizes, pace);
                assert!(worst <= 1.2, "{name}, {pace:?}: off by {worst}");
            }
        }
    }

    #[test]
    fn time_without_anything_to_read_does_not_count() {
        let mut rate = Rate::default();
        for round in 0..10 {
            let at_ms = round * 3_600_000;
            rate.begin(at_ms);
            rate.end(1_000_000, at_ms + 100, false);
        }
        assert_eq!(rate.bytes_per_second().map(f64::round), Some(10_000_000.0));
    }

    #[test]
    fn nothing_is_foretold_before_enough_was_read() {
        let mut rate = Rate::default();
        let mut backlog = Backlog::default();
        assert_eq!(rate.time_for(backlog), Some(Duration::ZERO));
        backlog.add(1);
        rate.begin(0);
        rate.end(1, 10, false);
        assert_eq!((rate.time_for(backlog), rate.bytes_per_second()), (None, None));
    }
}
