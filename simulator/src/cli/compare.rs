//! `plexmesh-sim compare`: several protocols in the world of one scenario.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use plexmesh_simulator::compare::{self, Beat, CompareError, Protocol, Watcher};
use plexmesh_simulator::output::{self, Live, Moment, Style};
use plexmesh_simulator::scenario::{self, Builtin, MAX_PEERS, Scenario, Span, builtin};

use super::run::on_interrupt;
use super::stdout::stdout;
use super::{Failure, INTERRUPTED};

/// Run plexmesh and other protocols in the same world, and put what came of them side by side
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// crash, loss, gray, flip or partition; the name of another built-in scenario; or a file
    #[arg(long, value_name = "SCENARIO|FILE")]
    scenario: String,
    /// Peers, in place of the scenario's
    #[arg(long, value_parser = clap::value_parser!(u64).range(2..=MAX_PEERS as u64))]
    peers: Option<u64>,
    /// All randomness follows from this, in place of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// Which protocols, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "plexmesh,foca,swim,scuttlebutt")]
    protocols: Vec<Protocol>,
    /// How to print what came of it
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
}

/// A form of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a person
    Table,
    /// For programs
    Json,
}

/// Runs the command.
pub(crate) fn compare(options: &Compare) -> Result<ExitCode, Failure> {
    let (scenario, base) = read(options)?;
    announce(options, &scenario).context("cannot write the options").map_err(Failure::Machine)?;
    let live = Live::new(io::stderr().is_terminal(), scenario.phases.total());
    let mut watch = Terminal { live, stop: on_interrupt()?, peers: scenario.peers };
    let compared =
        compare::compare(&options.scenario, &scenario, &options.protocols, &base, &mut watch);
    watch.live.finish();
    let comparison = match compared {
        Ok(comparison) => comparison,
        Err(CompareError::Interrupted) => return Ok(ExitCode::from(INTERRUPTED)),
        Err(error) => return Err(blame(options, error)),
    };
    let mut out = stdout();
    let written = match options.output {
        Form::Table => output::comparison(&comparison, &mut out, Style::of_stdout()),
        Form::Json => serde_json::to_string_pretty(&comparison)
            .map_err(io::Error::other)
            .and_then(|text| writeln!(out, "{text}")),
    };
    written
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
        .map_err(Failure::Machine)?;
    Ok(ExitCode::SUCCESS)
}

/// The scenario with the options in it, and the directory that its files are relative to.
fn read(options: &Compare) -> Result<(Scenario, PathBuf), Failure> {
    let name = options.scenario.as_str();
    let path = Path::new(name);
    let (mut scenario, base) = match compare::scenario(name).or_else(|| builtin(name)) {
        Some(builtin) => (builtin.load(), PathBuf::new()),
        None if path.is_file() => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))
                .map_err(Failure::Input)?;
            let base = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
            (scenario::load(&text, name), base)
        }
        None => return Err(Failure::Input(anyhow!(unknown(name)))),
    };
    if let Ok(scenario) = &mut scenario {
        scenario.seed = options.seed.unwrap_or(scenario.seed);
        let peers = options.peers.map(|peers| usize::try_from(peers).unwrap_or(MAX_PEERS));
        scenario.set_peers(peers.unwrap_or(scenario.peers));
    }
    Ok((scenario.map_err(|error| Failure::Input(anyhow!(error)))?, base))
}

fn unknown(name: &str) -> String {
    let names = compare::scenarios().iter().map(|builtin: &Builtin| builtin.name);
    let own: Vec<&str> = names.collect();
    let hint = match scenario::nearest(name, own.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!(
            "{} are made for comparisons, and `plexmesh-sim scenarios` lists the others",
            own.join(", ")
        ),
    };
    format!("there is no scenario `{name}` and no such file; {hint}")
}

/// What is run, before it runs.
fn announce(options: &Compare, scenario: &Scenario) -> io::Result<()> {
    let names: Vec<&str> = options.protocols.iter().map(|protocol| protocol.name()).collect();
    let line = format!(
        "{}: seed {}, {} peers, {} virtual (settle {}, faults {}, healed {}) of {}",
        options.scenario,
        scenario.seed,
        scenario.peers,
        Span(scenario.phases.total()),
        scenario.phases.settle,
        scenario.phases.faults,
        scenario.phases.healed,
        names.join(", "),
    );
    writeln!(io::stderr(), "{line}")
}

fn blame(options: &Compare, error: CompareError) -> Failure {
    Failure::Input(anyhow!(error).context(format!("{} cannot be compared", options.scenario)))
}

/// Draws the progress and ends the comparison when it is asked to.
struct Terminal {
    live: Live,
    stop: Arc<AtomicBool>,
    peers: usize,
}

impl Watcher for Terminal {
    fn second(&mut self, beat: &Beat) -> bool {
        let phase = format!("{}, {}", beat.protocol.name(), beat.phase);
        self.live.update(&Moment {
            elapsed: beat.elapsed,
            phase: &phase,
            running: self.peers,
            agreeing: 1.0,
            events: beat.events,
        });
        !self.stop.load(Ordering::Relaxed)
    }
}
