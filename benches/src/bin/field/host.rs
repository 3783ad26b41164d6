//! What the kernel says of processes and of the loopback device.

use std::fs;

use anyhow::{Context, anyhow};
use plexmesh_benches::process::{cpu_times, kib};

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
    let cpu = cpu_times(&fs::read_to_string(format!("/proc/{pid}/stat"))?);
    Ok(Process {
        rss_kib: kib(&status, "VmRSS").ok_or_else(|| anyhow!("process {pid} has no memory"))?,
        descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
        cpu_ms: u64::try_from(cpu.own.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Bytes that passed the loopback device of this network namespace, headers included.
pub(crate) fn loopback_bytes() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/self/net/dev")?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    let sent = line.and_then(|fields| fields.split_whitespace().nth(8)?.parse().ok());
    sent.context("no loopback device")
}
