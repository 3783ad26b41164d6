//! The commands of `plexmesh-sim`.
//!
//! Exit codes: 0 - done, and every promise held; 1 - a promise was broken, or the machine did not do
//! its part (a full disk); 2 - usage or bad input; 130 - interrupted.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use stdout::stdout;

mod choice;
mod compare;
mod explain;
mod figures;
mod import;
mod replay;
pub(crate) mod run;
mod scenarios;
mod stdout;
mod swarm;
pub(crate) mod topologies;

/// A promise was broken.
const BROKEN: u8 = 1;
/// Usage, or bad input.
const USAGE: u8 = 2;
/// Interrupted, as shells count it: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

#[derive(Debug, Parser)]
#[command(
    name = "plexmesh-sim",
    version,
    about = "A virtual plexmesh mesh in virtual time",
    after_help = "Exit codes: 0 held, 1 a promise was broken, 2 usage or bad input, 130 interrupted."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario and say which promises held
    Run(run::Run),
    /// Run plexmesh and other protocols in the same world, and put what came of them side by side
    Compare(compare::Compare),
    /// Step through a run around a moment: what happened, and who knew what
    Replay(replay::Replay),
    /// Say why a peer thinks what it thinks of another one, with the chain of messages
    Explain(explain::Explain),
    /// Make a scenario from what a live mesh measured
    Import(import::Import),
    /// Run many seeds with drawn faults, and make what breaks as small as it gets
    Swarm(swarm::Swarm),
    /// Measure the figures that the protocol promises, and write their table
    Figures(figures::Figures),
    /// List the built-in scenarios, or print one to begin with
    Scenarios(scenarios::Scenarios),
    /// List what latencies can come from, and draw it
    Topologies(topologies::Topologies),
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What the user wrote is to blame.
    Input(anyhow::Error),
    /// The machine is.
    Machine(anyhow::Error),
}

/// Runs the command line.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and they are no fault.
            let code = if error.use_stderr() { USAGE } else { 0 };
            let _unwritable = error.print();
            return ExitCode::from(code);
        }
    };
    let done = match &cli.command {
        Command::Run(options) => run::run(options),
        Command::Compare(options) => compare::compare(options),
        Command::Replay(options) => replay::run(options, &mut stdout()),
        Command::Explain(options) => explain::run(options, &mut stdout()),
        Command::Import(options) => import::run(options, &mut stdout()),
        Command::Swarm(options) => swarm::swarm(options),
        Command::Figures(options) => figures::figures(options),
        Command::Scenarios(options) => scenarios::scenarios(options).map(|()| ExitCode::SUCCESS),
        Command::Topologies(options) => topologies::topologies(options, &mut stdout())
            .map(|()| ExitCode::SUCCESS)
            .map_err(Failure::Input),
    };
    done.unwrap_or_else(|failure| {
        let (error, code) = match &failure {
            Failure::Input(error) => (error, USAGE),
            Failure::Machine(error) => (error, BROKEN),
        };
        // Nobody is left to be told that standard error is gone.
        let _unwritable = writeln!(std::io::stderr(), "error: {error:#}");
        ExitCode::from(code)
    })
}
