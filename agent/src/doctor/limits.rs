//! What the system allows the agent, and what it has.

use rustix::process::{Resource, getrlimit};
use sysinfo::System;

use super::agent::Asked;
use super::{DoctorArea, ok, unknown, warn};
use crate::api::schema::DoctorCheck;

const AREA: DoctorArea = DoctorArea::Limits;
/// Open files that an agent needs: connections to a few hundred peers, its store, its sources.
const ENOUGH_FILES: u64 = 1_024;
const MIB: u64 = 1024 * 1024;
/// Memory that is to be free for an agent, in bytes: it takes a fraction of it.
const ENOUGH_MEMORY: u64 = 128 * MIB;
/// What of a process's limits is read, in bytes; they take a twentieth of it.
const MAX_LIMITS_BYTES: usize = 64 * 1024;

pub(super) fn checks(asked: &Asked) -> Vec<DoctorCheck> {
    vec![files(asked), memory()]
}

/// The agent's own limit if it runs, else that of this process, which a child would inherit.
fn files(asked: &Asked) -> DoctorCheck {
    let agent = asked.pid.and_then(|pid| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
        limit_in(text.get(..MAX_LIMITS_BYTES.min(text.len()))?)
    });
    let (whose, soft) = match agent {
        Some(soft) => ("of the agent", soft),
        None => ("of this process", getrlimit(Resource::Nofile).current),
    };
    judge_files(whose, soft)
}

/// `None` is no limit.
pub(super) fn judge_files(whose: &str, soft: Option<u64>) -> DoctorCheck {
    let what = "open files";
    match soft {
        None => ok(AREA, what, format!("no limit {whose}")),
        Some(files) if files >= ENOUGH_FILES => ok(AREA, what, format!("{files} {whose}")),
        Some(files) => {
            let found = format!("{files} {whose}, {ENOUGH_FILES} are needed");
            warn(AREA, what, found)
                .fixed_by("ulimit -n 4096   # LimitNOFILE=4096 in a systemd unit")
        }
    }
}

/// The soft limit in the text of `/proc/PID/limits`: `Max open files  1024  524288  files`.
pub(super) fn limit_in(text: &str) -> Option<Option<u64>> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

fn memory() -> DoctorCheck {
    let what = "memory";
    let Ok(mut system) = System::new() else {
        return unknown(AREA, what, "this host does not tell how much memory is free");
    };
    system.refresh_memory();
    let cgroup = system.cgroup_limits().map(|it| it.free_memory);
    let free = system.available_memory().min(cgroup.unwrap_or(u64::MAX));
    if system.total_memory() == 0 {
        return unknown(AREA, what, "this host does not tell how much memory is free");
    }
    let found = format!("{} MiB are free", free / MIB);
    if free < ENOUGH_MEMORY {
        let found = format!("{found}, {} are to be", ENOUGH_MEMORY / MIB);
        return warn(AREA, what, found).fixed_by("free -m");
    }
    ok(AREA, what, found)
}
