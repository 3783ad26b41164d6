//! How much of the host's time reading may take.

use std::num::NonZeroU64;
use std::time::Duration;

/// All of a core's and a disk's time.
pub(super) const ALL_PERCENT: u8 = 100;

/// What one thread may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// How much of its time it works, in percent; the rest it sleeps.
    pub(super) duty_percent: u8,
    /// Bytes a second at most, if the operator set a limit.
    pub(super) max_bytes_per_second: Option<NonZeroU64>,
}

impl Pace {
    /// What each of so many threads may take.
    pub(super) fn shared_by(self, threads: usize) -> Self {
        let threads = u64::try_from(threads).unwrap_or(u64::MAX).max(1);
        let share = |limit: NonZeroU64| NonZeroU64::new(limit.get() / threads).unwrap_or(limit);
        Self { max_bytes_per_second: self.max_bytes_per_second.map(share), ..self }
    }

    /// How long to sleep after work.
    pub(super) fn rest_after(self, worked: Duration, bytes: u64) -> Duration {
        let duty = u32::from(self.duty_percent.clamp(1, ALL_PERCENT));
        let by_duty = worked.saturating_mul(u32::from(ALL_PERCENT) - duty) / duty;
        let by_bytes = self.max_bytes_per_second.map_or(Duration::ZERO, |limit| {
            Duration::from_micros(bytes.saturating_mul(1_000_000) / limit).saturating_sub(worked)
        });
        by_duty.max(by_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_of_duty_and_byte_limit_sets_the_rest() {
        let second = Duration::from_secs(1);
        let max_bytes_per_second = NonZeroU64::new(1_000);
        let quarter = Pace { duty_percent: 25, max_bytes_per_second };
        assert_eq!(quarter.rest_after(second, 1_000), 3 * second);
        assert_eq!(quarter.rest_after(second, 10_000), 9 * second);
        assert_eq!(quarter.shared_by(2).rest_after(second, 10_000), 19 * second);
        let all = Pace { duty_percent: ALL_PERCENT, max_bytes_per_second: None };
        assert_eq!(all.rest_after(second, 10_000), Duration::ZERO);
    }

    #[test]
    fn a_limit_is_never_shared_away() {
        let max_bytes_per_second = NonZeroU64::new(1);
        let pace = Pace { duty_percent: 50, max_bytes_per_second };
        assert_eq!(pace.shared_by(4).max_bytes_per_second, max_bytes_per_second);
    }
}
