//! The scrub beside other programs: the same files, in turn, in one run.
//!
//! `benches/scrub` builds what is needed, b3sum included, and runs this.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "figures are what this program is for")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

mod cached;
mod cold;
mod digests;
mod files;
mod foreground;
mod light;
mod memory;
mod resident;
mod runs;
mod work;

/// Figures of the scrub on this machine.
#[derive(Debug, Parser)]
struct Cli {
    /// The program that is compared with
    #[arg(long, value_name = "FILE", default_value = "b3sum")]
    b3sum: PathBuf,
    /// Where the files are made; a directory that is removed at the end unless it is given
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How often each program runs; the median counts
    #[arg(long, global = true, default_value_t = 5)]
    rounds: usize,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Reading files that are in memory, beside b3sum
    Cached {
        /// How many files of a MiB
        #[arg(long, default_value_t = 2_000)]
        files: usize,
    },
    /// Reading files that are on the disk alone, beside b3sum; as root
    Cold {
        /// How many files of a MiB
        #[arg(long, default_value_t = 2_000)]
        files: usize,
    },
    /// What digests cost that records promise
    Digests {
        /// How many files of a MiB, four times
        #[arg(long, default_value_t = 1_000)]
        files: usize,
    },
    /// What another reader of the disk loses to the scrub at its usual pace; as root
    Foreground {
        /// How many files of a MiB, twice
        #[arg(long, default_value_t = 6_000)]
        files: usize,
    },
    /// What memory reading takes
    Memory {
        /// How many files of a MiB
        #[arg(long, default_value_t = 2_000)]
        files: usize,
    },
    /// What an agent takes that holds very many shards, while it has nothing to read
    Resident {
        /// How many shards
        #[arg(long, default_value_t = 100_000)]
        files: usize,
    },
    /// A look at files that did not change, beside find
    Light {
        /// How many files
        #[arg(long, default_value_t = 100_000)]
        files: usize,
    },
    /// What the others run as a process of its own
    #[command(hide = true)]
    Work(work::Work),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    if let What::Work(work) = cli.what {
        return work.run();
    }
    let made = tempfile::tempdir().context("no directory for the files")?;
    let dir: &Path = cli.dir.as_deref().unwrap_or(made.path());
    match cli.what {
        What::Cached { files } => cached::run(dir, files, cli.rounds, &cli.b3sum),
        What::Cold { files } => cold::run(dir, files, cli.rounds, &cli.b3sum),
        What::Digests { files } => digests::run(dir, files, cli.rounds),
        What::Foreground { files } => foreground::run(dir, files, cli.rounds),
        What::Memory { files } => memory::run(dir, files, cli.rounds),
        What::Resident { files } => resident::run(dir, files),
        What::Light { files } => light::run(dir, files, cli.rounds),
        What::Work(_) => Ok(()),
    }
}
