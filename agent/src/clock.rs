//! What the clocks of this host show.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plexmesh_proto::types::{Now, SECOND, Time};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Microseconds since boot, suspend included: a laptop that slept knows that it slept.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SINCE_BOOT: ClockId = ClockId::Boottime;
/// Elsewhere than on Linux the monotonic clock is the nearest; on macOS it counts suspend too.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SINCE_BOOT: ClockId = ClockId::Monotonic;

/// Reads both clocks.
#[must_use]
pub fn now() -> Now {
    Now { time: monotonic(), wall_ms: wall_ms() }
}

/// Unix time in milliseconds; 0 if the host's clock stands before 1970.
#[must_use]
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds for which the host was awake, since any time. Where the system's clock counts suspend
/// too, so does this.
#[must_use]
pub fn awake_ms() -> u64 {
    awake_micros() / 1_000
}

/// The same in microseconds; on Linux this is `CLOCK_MONOTONIC`, which other programs read too.
#[must_use]
pub fn awake_micros() -> u64 {
    awake(clock_gettime)
}

fn monotonic() -> Time {
    since_boot(clock_gettime)
}

/// `read` is the port to the host's clocks.
fn awake(read: impl Fn(ClockId) -> Timespec) -> u64 {
    micros(read(ClockId::Monotonic))
}

fn since_boot(read: impl Fn(ClockId) -> Timespec) -> Time {
    Time(micros(read(SINCE_BOOT)))
}

fn micros(spec: Timespec) -> u64 {
    let seconds = u64::try_from(spec.tv_sec).unwrap_or(0);
    let micros = u64::try_from(spec.tv_nsec / 1_000).unwrap_or(0);
    seconds.saturating_mul(SECOND).saturating_add(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_never_goes_back() {
        let mut last = now().time;
        for _ in 0..1_000 {
            let next = now().time;
            assert!(next >= last);
            last = next;
        }
    }

    /// A host that was awake for 100 s and slept for an hour.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn slept(clock: ClockId) -> Timespec {
        let tv_sec = if clock == ClockId::Boottime { 3_700 } else { 100 };
        Timespec { tv_sec, tv_nsec: 0 }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn what_a_node_is_told_counts_suspend_and_the_time_awake_does_not() {
        assert_eq!(since_boot(slept), Time(3_700 * SECOND));
        assert_eq!(awake(slept), 100 * SECOND);
    }

    #[test]
    fn wall_time_is_past_the_year_2020() {
        assert!(now().wall_s() > 1_577_836_800);
    }
}
