//! How fast the simulator itself is, and how much memory it takes.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::bench::Bench;
use super::figure::{Bound, Figure, Measured, Unit};
use super::{Load, Row, RowError};
use crate::scenario::{Problem, builtin};

/// The scenario in which nothing happens.
const IDLE: &str = "thousand-idle";
/// How often the memory of a process is asked for: its highest is what counts, and the kernel keeps
/// that.
const ASK_EVERY: Duration = Duration::from_millis(100);

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "simulator-speed",
        what: "the simulator: 1000 peers for 10 virtual minutes",
        others: "freenet: 500 nodes in 33 to 46 min on 16 cores",
        load: Load::Alone,
        measure: speed,
    },
    Row {
        name: "simulator-memory",
        what: "the simulator: 10,000 peers",
        others: "",
        load: Load::Alone,
        measure: memory,
    },
];

fn speed(bench: &Bench<'_>) -> Result<Measured, RowError> {
    let file = builtin(IDLE).and_then(|file| file.load().ok());
    // It is part of the program, and a test loads it.
    let missing = || Problem::new("scenario", "no `thousand-idle`", "a built-in scenario");
    let mut scenario = file.ok_or_else(missing).map_err(crate::run::RunError::from)?;
    scenario.seed = bench.seed;
    scenario.set_peers(bench.peers());
    let total = Duration::from_secs(bench.pick(600, 120));
    scenario.set_total(total).map_err(crate::run::RunError::from)?;
    let report = bench.run(&scenario, &mut ())?;
    let wall = report.wall;
    let asked = |bound| bench.asked(bound);
    let figures = vec![
        Figure::new("wall time", wall.seconds, Unit::Seconds, asked(Bound::AtMost(60.0))),
        Figure::new(
            "events on one core",
            wall.events_per_second,
            Unit::PerSecond,
            asked(Bound::AtLeast(500_000.0)),
        ),
    ];
    let notes = vec![format!("{} events", crate::output::count(report.events))];
    let virtual_seconds = report.virtual_seconds;
    Ok(Measured { peers: scenario.peers, virtual_seconds, figures, notes })
}

fn memory(bench: &Bench<'_>) -> Result<Measured, RowError> {
    let (peers, minutes) = (bench.pick(10_000, 100), 2u64);
    let began = Instant::now();
    let child = Command::new(bench.program)
        .args(["run", IDLE, "-o", "json"])
        .args(["--peers", &peers.to_string(), "--minutes", &minutes.to_string()])
        .args(["--seed", &bench.seed.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let child = child.map_err(|error| {
        RowError::Machine(format!("cannot start {}: {error}", bench.program.display()))
    })?;
    let most = watch(Watched(child), bench.goes_on)?;
    let bound = bench.asked(Bound::AtMost(8e9));
    let figures = vec![
        Figure::new("resident", most.map(|bytes| bytes as f64), Unit::Bytes, bound),
        Figure::new("wall time", began.elapsed().as_secs_f64(), Unit::Seconds, None),
    ];
    let mut notes = vec![format!("{minutes} virtual minutes, in a process of its own")];
    if most.is_none() {
        notes.push("this system does not tell what a process takes (no /proc)".to_owned());
    }
    let virtual_seconds = minutes as f64 * 60.0;
    Ok(Measured { peers, virtual_seconds, figures, notes })
}

/// A process that ends with its owner.
struct Watched(Child);

impl Drop for Watched {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and need not be.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Waits until a process ends; gives the most memory that it took, in bytes.
fn watch(mut child: Watched, goes_on: &dyn Fn(f64) -> bool) -> Result<Option<u64>, RowError> {
    let status = Path::new("/proc").join(child.0.id().to_string()).join("status");
    let mut most = None;
    loop {
        most = fs::read_to_string(&status).ok().and_then(|text| resident(&text)).max(most);
        match child.0.try_wait() {
            // A broken promise is no matter here; a run that did not end is.
            Ok(Some(ended)) if ended.code().is_some_and(|code| code <= 1) => return Ok(most),
            Ok(Some(ended)) => {
                return Err(RowError::Machine(format!("the run of its own ended with {ended}")));
            }
            Ok(None) if !goes_on(0.5) => return Err(RowError::Interrupted),
            Ok(None) => sleep(ASK_EVERY),
            Err(error) => return Err(RowError::Machine(format!("cannot wait for it: {error}"))),
        }
    }
}

/// The highest resident memory that a `/proc/PID/status` tells, in bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_memory_is_read_from_the_status() {
        let status = "Name:\tplexmesh-sim\nVmPeak:\t  900 kB\nVmHWM:\t  12345 kB\nVmRSS:\t 9 kB\n";
        assert_eq!(resident(status), Some(12_345 * 1_024));
        assert_eq!(resident("Name:\tx\n"), None);
    }
}
