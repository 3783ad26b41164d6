//! Runs programs in turn, and tells how long each took.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use plexmesh_benches::process::{cpu_times, kib};

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) wall: Duration,
    /// CPU time of the program and those that it started.
    pub(crate) cpu: Duration,
    /// What the page cache had more at its end than at its beginning.
    pub(crate) cache_kib: i64,
}

/// A program, and what it took in each round.
#[derive(Debug)]
pub(crate) struct Contender {
    name: &'static str,
    command: Command,
    runs: Vec<Run>,
}

impl Contender {
    pub(crate) fn new(name: &'static str, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self { name, command, runs: Vec::new() }
    }

    /// The run of which as many were slower as faster.
    pub(crate) fn median(&self) -> Option<Run> {
        let mut runs = self.runs.clone();
        runs.sort_by_key(|run| run.wall);
        runs.get(runs.len() / 2).copied()
    }
}

/// Runs all in turn, once to warm up and `rounds` times for the figures, and prints a table.
/// `bytes` are those that each of them reads; `prepare` is called before each run.
pub(crate) fn compare(
    contenders: &mut [Contender],
    rounds: usize,
    bytes: u64,
    prepare: &dyn Fn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for round in 0..=rounds {
        for contender in &mut *contenders {
            prepare()?;
            let run = run(contender)?;
            if round > 0 {
                contender.runs.push(run);
            }
        }
    }
    let first = contenders.first().and_then(Contender::median);
    println!(
        "| program | wall, median of {rounds} | CPU | GB a second | GB a CPU second | page cache grew by | first is |"
    );
    println!("|---|---|---|---|---|---|---|");
    for contender in contenders {
        let (Some(run), Some(first)) = (contender.median(), first) else { continue };
        let rate = |time: Duration| bytes as f64 / 1e9 / time.as_secs_f64();
        println!(
            "| {} | {:.3} s | {:.2} s | {:.2} | {:.2} | {:.0} MiB | {:.2} times as fast |",
            contender.name,
            run.wall.as_secs_f64(),
            run.cpu.as_secs_f64(),
            rate(run.wall),
            rate(run.cpu),
            run.cache_kib as f64 / 1024.0,
            run.wall.as_secs_f64() / first.wall.as_secs_f64(),
        );
    }
    Ok(())
}

fn run(contender: &mut Contender) -> anyhow::Result<Run> {
    let cached_kib = cached_kib()?;
    let (began, cpu) = (Instant::now(), cpu_of_children()?);
    let status = contender
        .command
        .status()
        .with_context(|| format!("cannot run {:?}", contender.command.get_program()))?;
    ensure!(status.success(), "{} ended with {status}", contender.name);
    let wall = began.elapsed();
    let cpu = cpu_of_children()?.saturating_sub(cpu);
    Ok(Run { wall, cpu, cache_kib: self::cached_kib()? - cached_kib })
}

/// What the page cache has.
fn cached_kib() -> anyhow::Result<i64> {
    let cached = kib(&fs::read_to_string("/proc/meminfo")?, "Cached");
    Ok(i64::try_from(cached.context("no page cache")?)?)
}

/// CPU time of all children that ended.
fn cpu_of_children() -> anyhow::Result<Duration> {
    Ok(cpu_times(&fs::read_to_string("/proc/self/stat")?).children)
}
