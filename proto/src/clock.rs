//! The hybrid logical clock that versions come from.

use crate::types::Version;

/// How far ahead of the own clock another peer's version may pull this one, in milliseconds.
///
/// One minute is the skew that the mesh tolerates before it names it. A version further ahead is kept but not followed, so one
/// broken clock cannot drag a whole mesh into the future.
pub const MAX_SKEW_MS: u64 = 60_000;

/// Whether a version lies too far in the future of this clock.
#[must_use]
pub const fn is_far_future(version: Version, wall_ms: u64) -> bool {
    version.ms() > wall_ms.saturating_add(MAX_SKEW_MS)
}

/// A hybrid logical clock: never goes back, stays near Unix time.
#[derive(Clone, Copy, Debug, Default)]
pub struct HybridClock {
    last: Version,
}

impl HybridClock {
    /// A clock that continues above `last`, for example the highest version of an earlier start.
    #[must_use]
    pub const fn resume(last: Version) -> Self {
        Self { last }
    }

    /// The next version: above everything this clock gave or observed.
    pub fn tick(&mut self, wall_ms: u64) -> Version {
        self.last = Version::at_ms(wall_ms).max(Version(self.last.0.saturating_add(1)));
        self.last
    }

    /// The highest version given or observed.
    #[must_use]
    pub const fn last(&self) -> Version {
        self.last
    }

    /// Moves the clock to at least `seen`, unless that is too far in the future.
    pub fn observe(&mut self, seen: Version, wall_ms: u64) {
        if !is_far_future(seen, wall_ms) {
            self.last = self.last.max(seen);
        }
    }

    /// Moves the clock above a version of the own identity, however far ahead: only so can this peer speak again after its clock had
    /// once been wrong.
    pub fn overtake(&mut self, own: Version) {
        self.last = self.last.max(own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rise_when_the_wall_clock_goes_back() {
        let mut clock = HybridClock::default();
        let first = clock.tick(5_000);
        assert!(clock.tick(4_000) > first);
    }

    #[test]
    fn a_far_future_version_does_not_drag_the_clock() {
        let mut clock = HybridClock::default();
        clock.observe(Version::at_ms(1_000 + MAX_SKEW_MS + 1), 1_000);
        assert_eq!(clock.tick(1_000), Version::at_ms(1_000));
    }

    #[test]
    fn an_own_version_is_overtaken_however_far_ahead() {
        let mut clock = HybridClock::default();
        clock.overtake(Version::at_ms(999_999_999));
        assert!(clock.tick(1_000) > Version::at_ms(999_999_999));
    }
}
