//! What somebody else who reads from the same disk loses to the scrub at its usual pace.

use std::env::current_exe;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use plexmesh_agent::scrub::DEFAULT_DUTY_PERCENT;
use rustix::fs::{Advice, fadvise};

use crate::cached::MIB;
use crate::cold::forget_files;
use crate::files;

/// How long the other one reads in each round.
const SPAN: Duration = Duration::from_secs(10);

/// The other one reads the files of `theirs`, one after the other and from the disk, while the scrub
/// reads those of `ours`, or does not.
pub(crate) fn run(dir: &Path, files: usize, rounds: usize) -> anyhow::Result<()> {
    let (theirs, ours) = (dir.join("theirs"), dir.join("ours"));
    files::make(&theirs, files, MIB)?;
    files::make(&ours, files, MIB)?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        forget_files()?;
        alone.push(read_for(&theirs, files)?);
        forget_files()?;
        let scrub = Scrub::start(&ours, files)?;
        beside.push(read_for(&theirs, files)?);
        scrub.end()?;
    }
    let (alone, beside) = (median(alone)?, median(beside)?);
    println!(
        "| another program reads from the disk | MB a second, median of {rounds} |\n|---|---|"
    );
    println!("| alone | {:.0} |\n| beside the scrub | {:.0} |", alone / 1e6, beside / 1e6);
    println!("| it loses | {:.1} % |", (1.0 - beside / alone) * 100.0);
    Ok(())
}

/// The scrub at its usual pace, in a process of its own.
struct Scrub(Child);

impl Scrub {
    fn start(dir: &Path, files: usize) -> anyhow::Result<Self> {
        let mut scrub = Command::new(current_exe()?);
        scrub.arg("work").arg(dir).args(["--files", &files.to_string()]);
        scrub.args(["--duty-percent", &DEFAULT_DUTY_PERCENT.to_string()]).stdout(Stdio::null());
        Ok(Self(scrub.spawn()?))
    }

    /// Ends it; it must not have been done before, or nothing was measured.
    fn end(mut self) -> anyhow::Result<()> {
        ensure!(self.0.try_wait()?.is_none(), "the scrub was done early: give more --files");
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

/// Reads for a while; bytes a second.
fn read_for(dir: &Path, files: usize) -> anyhow::Result<f64> {
    let (began, mut bytes) = (Instant::now(), 0_usize);
    let mut buffer = vec![0; MIB];
    for number in (0..files).cycle() {
        let mut file = File::open(files::path(dir, number))?;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => bytes += count,
            }
        }
        // It comes from the disk the next time too.
        fadvise(&file, 0, None, Advice::DontNeed)?;
        if began.elapsed() >= SPAN {
            break;
        }
    }
    Ok(bytes as f64 / began.elapsed().as_secs_f64())
}

fn median(mut rates: Vec<f64>) -> anyhow::Result<f64> {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().context("nothing was measured")
}
