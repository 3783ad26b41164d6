//! Times and memory of processes, as the kernel tells them.

use std::time::Duration;

/// Ticks of `/proc/PID/stat` in a second; Linux has shown 100 on every architecture for decades.
const TICKS_A_SECOND: u64 = 100;

/// CPU time of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTimes {
    /// Its own.
    pub own: Duration,
    /// Of all of its children that ended.
    pub children: Duration,
}

/// CPU times by the text of `/proc/PID/stat`; zero where it does not have them.
#[must_use]
pub fn cpu_times(stat: &str) -> CpuTimes {
    // The name in parentheses may hold anything; fields are counted behind it. The times are the 14th
    // to 17th: user and system of the process, and of its children.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
    let mut ticks = fields.skip(11).map(|field| field.parse::<u64>().unwrap_or(0));
    let mut next = || {
        let ticks: u64 = ticks.by_ref().take(2).sum();
        Duration::from_millis(ticks * 1_000 / TICKS_A_SECOND)
    };
    CpuTimes { own: next(), children: next() }
}

/// The KiB of a line such as `VmRSS:  12 kB` of `/proc/PID/status` or `/proc/meminfo`; `None` where
/// there is none.
#[must_use]
pub fn kib(text: &str, field: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    rest?.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_whatever_name() {
        let stat = "7 (a) b) c) R 1 7 7 0 -1 4194560 99 0 0 0 150 50 3 4 20 0 1 0 100 1000 10";
        let times = cpu_times(stat);
        assert_eq!(times.own, Duration::from_secs(2));
        assert_eq!(times.children, Duration::from_millis(70));
        assert_eq!(cpu_times("").own, Duration::ZERO);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "VmHWM:\t 20 kB\nVmRSS:\t    12 kB\nVmRSSx:\t 7 kB\n";
        assert_eq!(kib(text, "VmRSS"), Some(12));
        assert_eq!(kib(text, "RssAnon"), None);
    }
}
