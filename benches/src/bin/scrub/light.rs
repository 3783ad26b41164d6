//! A look at files of which none changed, beside the list that find makes of the same figures.

use std::env::current_exe;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::files;

/// Bytes of a file: of those that do not change none is read.
const FILE_BYTES: usize = 16;

pub(crate) fn run(dir: &Path, files: usize, rounds: usize) -> anyhow::Result<()> {
    files::make(dir, files, FILE_BYTES)?;
    let output = Command::new(current_exe()?)
        .arg("work")
        .arg(dir)
        .args(["--files", &files.to_string(), "--looks", &rounds.to_string()])
        .output()?;
    ensure!(output.status.success(), "the scrub ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let micros = text.lines().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    let ours = median(micros.into_iter().map(Duration::from_micros).collect())?;
    let mut theirs = Vec::new();
    for _ in 0..rounds {
        let began = Instant::now();
        let mut find = Command::new("find");
        find.arg(dir).args(["-type", "f", "-printf", "%s %T@ %i\\n"]).stdout(Stdio::null());
        ensure!(find.status()?.success(), "find failed");
        theirs.push(began.elapsed());
    }
    let theirs = median(theirs)?;
    println!("| {files} files, none changed | wall, median of {rounds} |\n|---|---|");
    println!("| plexmesh's look | {:.1} ms |", ours.as_secs_f64() * 1e3);
    println!("| `find -printf '%s %T@ %i\\n'` | {:.1} ms |", theirs.as_secs_f64() * 1e3);
    println!("| ratio | {:.2} |", ours.as_secs_f64() / theirs.as_secs_f64());
    Ok(())
}

fn median(mut times: Vec<Duration>) -> anyhow::Result<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied().context("nothing was measured")
}
