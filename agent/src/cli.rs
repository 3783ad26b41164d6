//! The command line: reads what was typed, asks an agent or becomes one, and maps every outcome to
//! an exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

pub mod args;
mod authority;
pub mod check;
pub mod client;
pub mod config;
pub mod doctor;
pub mod form;
pub mod join;
pub mod logging;
pub mod membership;
pub mod metrics;
pub mod output;
pub mod passphrase;
pub mod scripts;
pub mod shards;
pub mod store;
pub mod token;
pub mod transfer;
pub mod usage;
pub mod verbs;
pub mod wait;

use crate::api::problem::{Code, Problem};
use args::{Cli, Format, Verb};
use client::Client;
use logging::{Logging, Loudness};
use output::{Output, OutputError};

/// Threads of an agent: one for the driver and the protocol, one for transport and socket. More do
/// not help a peer that is to be quiet.
const AGENT_THREADS: usize = 2;

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::explain(&error),
    };
    let output = Output::new(&cli.global);
    let logging = logging::start(&cli);
    let checks = matches!(cli.verb, Verb::Check(_));
    match execute(cli, &output, logging) {
        Ok(code) => ExitCode::from(code),
        Err(error) if OutputError::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let problem = Problem::from(error);
            if checks {
                return check::failed(&problem, output.format(), &output.error_screen());
            }
            output.problem(&problem);
            ExitCode::from(problem.code.exit_code())
        }
    }
}

/// Does what was asked for. Gives the exit code.
fn execute(cli: Cli, output: &Output, logging: Logging) -> anyhow::Result<u8> {
    let global = cli.global;
    if global.output == Format::Dot && !matches!(cli.verb, Verb::Topology(_)) {
        let problem = Problem::new(Code::Usage, "only `plexmesh topology` can be drawn as a graph")
            .then("plexmesh topology -o dot");
        return Err(problem.into());
    }
    match cli.verb {
        Verb::Run(mut args) => {
            args.loudness = Loudness::typed(&global);
            args.data_dir = global.data_dir;
            args.config = global.config;
            args.socket = global.socket;
            agent_runtime()?.block_on(crate::run::run(*args, logging))?;
            Ok(0)
        }
        Verb::Demo(args) => {
            agent_runtime()?.block_on(crate::demo::run(args, &global))?;
            Ok(0)
        }
        Verb::Init(mut args) => {
            args.data_dir = config::data_dir(&global).map_err(Problem::from)?;
            verbs::init(args, output)?;
            Ok(0)
        }
        Verb::ExportIdentity(args) => {
            transfer::export(&args, &data_dir(&global)?, output)?;
            Ok(0)
        }
        Verb::ImportIdentity(args) => {
            transfer::import(&args, &data_dir(&global)?, output)?;
            Ok(0)
        }
        Verb::Join(args) => {
            let dir = data_dir(&global)?;
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(join::join(args, &dir, output))?;
            Ok(0)
        }
        Verb::Store(verb) => store::store(verb, &data_dir(&global)?, output),
        Verb::Config(verb) => config::config(&verb, &global, output),
        Verb::Doctor => {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(doctor::doctor(&global, output))
        }
        Verb::Completions(args) => {
            scripts::completions(&args, output)?;
            Ok(0)
        }
        Verb::Man(args) => {
            scripts::man(&args, output)?;
            Ok(0)
        }
        verb => {
            let mut client = Client::new(config::places(&global).map_err(Problem::from)?);
            // One thread is enough to ask, and starts at once.
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let outcome = runtime.block_on(verbs::ask(verb, &mut client, output));
            if let Some(version) = client.other_version() {
                output.note(&format!(
                    "the agent is of version {version}, this command of {}",
                    env!("CARGO_PKG_VERSION")
                ));
            }
            outcome
        }
    }
}

/// The data directory that flags and configuration name, or the usual one.
fn data_dir(global: &args::GlobalArgs) -> anyhow::Result<PathBuf> {
    let named = config::data_dir(global).map_err(Problem::from)?;
    crate::settings::data_dir(named.as_deref())
}

fn agent_runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(AGENT_THREADS).enable_all().build()
}

#[cfg(test)]
mod tests;
