//! An even rate that forgives a burst.

use std::time::Duration;

use tokio::time::Instant;

/// One thing each interval, and so many at once. What is kept of somebody is the moment at which all
/// that he had is paid off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) interval: Duration,
    pub(crate) burst: u32,
}

impl Rate {
    /// Whether one more fits, when those before are paid off at `due`.
    pub(crate) fn allows(self, due: Option<Instant>, now: Instant) -> bool {
        let debt = due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now));
        debt <= self.interval * self.burst.saturating_sub(1)
    }

    pub(crate) fn after_one_more(self, due: Option<Instant>, now: Instant) -> Instant {
        due.map_or(now, |due| due.max(now)) + self.interval
    }
}
