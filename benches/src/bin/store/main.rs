//! The agent's database beside redb: the same work, each in a process of its own.
//!
//! `benches/store` builds what is needed and runs this.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "figures are what this program is for")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use plexmesh_agent::store::Database;
use plexmesh_benches::stores::redb::Redb;

mod kills;
mod speed;

/// Figures of databases on this machine.
#[derive(Debug, Parser)]
struct Cli {
    /// Where they are made; a directory that is removed at the end unless it is given
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How fast they are, how much room they take
    Speed {
        /// How many entries, as long as those of a shard
        #[arg(long, default_value_t = 100_000)]
        entries: u32,
        /// How often each is measured; the median counts
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// What is lost when a process that writes is killed at a random moment
    Kills {
        /// How often each is killed
        #[arg(long, default_value_t = 200)]
        rounds: u32,
        /// Which moments
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// What `speed` runs
    #[command(hide = true)]
    Work { engine: Engine, directory: PathBuf, entries: u32 },
    /// What `kills` kills
    #[command(hide = true)]
    Write { engine: Engine, directory: PathBuf, round: u32 },
}

/// The databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    Sled,
    Redb,
}

impl Engine {
    const ALL: [Self; 2] = [Self::Sled, Self::Redb];

    const fn word(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }
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
    let made = tempfile::tempdir()?;
    let dir = cli.dir.as_deref().unwrap_or(made.path());
    match cli.what {
        What::Speed { entries, rounds } => speed::run(dir, entries, rounds),
        What::Kills { rounds, seed } => kills::run(dir, rounds, seed),
        What::Work { engine: Engine::Sled, directory, entries } => {
            speed::work::<Database>(&directory, entries)
        }
        What::Work { engine: Engine::Redb, directory, entries } => {
            speed::work::<Redb>(&directory, entries)
        }
        What::Write { engine: Engine::Sled, directory, round } => {
            kills::write::<Database>(&directory, round)
        }
        What::Write { engine: Engine::Redb, directory, round } => {
            kills::write::<Redb>(&directory, round)
        }
    }
}
