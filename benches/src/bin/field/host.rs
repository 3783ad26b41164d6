//! What the kernel says of processes and of the loopback device.

use std::fs;

use anyhow::{Context, anyhow};

/// Ticks of `/proc/PID/stat` in a second; Linux has shown 100 on every architecture for decades.
const TICKS_A_SECOND: u64 = 100;

/// What one process takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    /// Resident memory, in KiB.
    pub(crate) rss_kib: u64,
    /// Open file descriptors.
    pub(crate) descriptors: u64,
    /// CPU time since its start, in milliseconds.
    pub(crate) cpu_ms: u64,
}

pub(crate) fn process(pid: u32) -> anyhow::Result<Process> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let rss_kib = rss.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; fields are counted behind it. CPU times are the 14th and 15th.
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' ')).into_iter().flatten();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Process {
        rss_kib: rss_kib.ok_or_else(|| anyhow!("process {pid} has no memory"))?,
        descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
        cpu_ms: ticks * 1_000 / TICKS_A_SECOND,
    })
}

/// Bytes that passed the loopback device of this network namespace, headers included.
pub(crate) fn loopback_bytes() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/self/net/dev")?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    let sent = line.and_then(|fields| fields.split_whitespace().nth(8)?.parse().ok());
    sent.context("no loopback device")
}
