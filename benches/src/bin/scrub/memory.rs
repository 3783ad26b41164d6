//! What memory reading takes.

use std::path::Path;

use anyhow::{Context, ensure};

use crate::cached::{MIB, ours};
use crate::files;

pub(crate) fn run(dir: &Path, files: usize, rounds: usize) -> anyhow::Result<()> {
    files::make(dir, files, MIB)?;
    let mut more_kib = Vec::new();
    for _ in 0..rounds {
        let output = ours(dir, files)?.arg("--memory").output()?;
        ensure!(output.status.success(), "the scrub ended with {}", output.status);
        more_kib.push(String::from_utf8(output.stdout)?.trim().parse::<u64>()?);
    }
    more_kib.sort_unstable();
    let median = more_kib.get(more_kib.len() / 2).context("nothing was measured")?;
    println!("| {files} files of a MiB | median of {rounds} |\n|---|---|");
    println!(
        "| most memory while it read, over that of a scrub with nothing to read | {median} KiB |"
    );
    Ok(())
}
