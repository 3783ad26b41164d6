//! Real agents, many on one machine: how soon they all know of a crash, what they cost at rest, whether a crowded start accuses anybody, and whether they stay as they are for an hour.
//!
//! `benches/field` builds what is needed and runs this in a network namespace of its own where it may, so that the bytes on the loopback device are those of the agents alone.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "figures are what this program is for")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

mod agents;
mod crashes;
mod crowd;
mod host;
mod idle;
mod soak;
mod stat;
mod watch;

/// Figures of real agents on this machine.
#[derive(Debug, Parser)]
struct Cli {
    /// The agent's program; the one beside this program unless it is given
    #[arg(long, global = true, value_name = "FILE")]
    plexmesh: Option<PathBuf>,
    /// Where the agents live; a directory that is removed at the end unless it is given
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How soon every survivor knows of a peer that was killed, or stopped
    Crashes {
        /// How many agents
        #[arg(long, default_value_t = 50)]
        agents: usize,
        /// How many are killed, one after the other
        #[arg(long, default_value_t = 10)]
        kills: usize,
        /// How many are stopped by a signal, one after the other
        #[arg(long, default_value_t = 10)]
        stops: usize,
        /// Which agents, and when
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// What agents at rest send and take
    Idle {
        /// How many agents
        #[arg(long, default_value_t = 50)]
        agents: usize,
        /// For how long
        #[arg(long, default_value_t = 300)]
        seconds: u64,
    },
    /// All start at once at nice 10 beside two busy loops: whether anybody is accused
    Crowd {
        /// How many agents
        #[arg(long, default_value_t = 50)]
        agents: usize,
        /// For how long they are watched after they all agree
        #[arg(long, default_value_t = 120)]
        seconds: u64,
    },
    /// Whether memory and descriptors stay as they are while the scrub runs
    Soak {
        /// How many agents
        #[arg(long, default_value_t = 10)]
        agents: usize,
        /// For how long
        #[arg(long, default_value_t = 60)]
        minutes: u64,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("field: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all that was promised held.
fn run(cli: &Cli) -> anyhow::Result<bool> {
    let program = match &cli.plexmesh {
        Some(program) => program.clone(),
        None => beside_this_program()?,
    };
    let temporary = tempfile::tempdir().context("no temporary directory")?;
    let root = cli.dir.as_deref().unwrap_or_else(|| temporary.path());
    match cli.what {
        What::Crashes { agents, kills, stops, seed } => {
            crashes::run(&program, root, agents, [kills, stops], seed)
        }
        What::Idle { agents, seconds } => idle::run(&program, root, agents, seconds),
        What::Crowd { agents, seconds } => crowd::run(&program, root, agents, seconds),
        What::Soak { agents, minutes } => soak::run(&program, root, agents, minutes),
    }
}

fn beside_this_program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("plexmesh");
    anyhow::ensure!(
        program.is_file(),
        "{} is not there; run: cargo build --release -p plexmesh-agent",
        program.display()
    );
    Ok(program)
}
