//! `plexmesh-lab`: real agents under a scenario of the simulator.
//!
//! Each agent is a process of its own in a network namespace of its own. What it sends comes out of a TUN device into this process, which draws what becomes of each packet as the simulator does and hands it over when it is due. So the same file means the same network to both, and what the agents tell can be laid beside what the simulator says.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "figures are what this program is for")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, anyhow};
use clap::{Args, Parser, Subcommand, ValueEnum};
use plexmesh_simulator::report::Outcome;
use plexmesh_simulator::scenario::{self, Scenario};
use plexmesh_simulator::script::{Script, compile};

mod agents;
mod ledger;
mod namespaces;
mod net;
mod play;
mod refusal;
mod report;
mod switch;
mod watch;
mod wires;

use net::Net;
use play::Lab;
use report::LabReport;

/// The scenario is not for real agents, or cannot be read.
const REFUSED: u8 = 2;
/// Nothing was run, because this machine or this user may not: what automake and others take for «skipped».
const SKIPPED: u8 = 77;
/// Ended by the first Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Real agents under a scenario of the simulator.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Run a scenario with real agents; exit code 1 if a promise is broken, 77 if nothing could be run
    Run(Run),
}

#[derive(Debug, Args)]
struct Run {
    /// A scenario file
    scenario: PathBuf,
    /// How many agents, in place of the scenario's peers
    #[arg(long)]
    agents: Option<usize>,
    /// All that is drawn follows from this, in place of the scenario's seed
    #[arg(long)]
    seed: Option<u64>,
    /// All agents on one loopback device, without the switch: only processes can fail
    #[arg(long)]
    clean: bool,
    /// How to print what came of it
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
    /// Keep the directories and logs of the agents
    #[arg(long)]
    keep: bool,
    /// The agent's program; the one beside this program unless it is given
    #[arg(long, value_name = "FILE")]
    plexmesh: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Table,
    Json,
}

fn main() -> ExitCode {
    let Cli { what: What::Run(options) } = Cli::parse();
    let (scenario, script) = match read(&options) {
        Ok(read) => read,
        Err(error) => {
            eprintln!("plexmesh-lab: {error:#}");
            return ExitCode::from(REFUSED);
        }
    };
    if let Some(why) = obstacle() {
        eprintln!("plexmesh-lab: SKIPPED, nothing was run: {why}");
        return ExitCode::from(SKIPPED);
    }
    match run(&options, scenario, script) {
        Ok(Outcome::Held) => ExitCode::SUCCESS,
        Ok(Outcome::Broken) => ExitCode::FAILURE,
        Ok(Outcome::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("plexmesh-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The scenario with the options in it.
fn read(options: &Run) -> anyhow::Result<(Scenario, Script)> {
    let path = &options.scenario;
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut scenario = scenario::load(&text, &path.display().to_string())?;
    if let Some(seed) = options.seed {
        scenario.seed = seed;
    }
    if let Some(agents) = options.agents {
        scenario.set_peers(agents);
    }
    scenario.validate()?;
    if let Some(why) = refusal::refusal(&scenario, options.clean) {
        return Err(anyhow!("{} is not for real agents: {why}", path.display()));
    }
    let script = compile(&scenario)?;
    Ok((scenario, script))
}

/// Why nothing can be run here.
fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("network namespaces and TUN devices need root; run it as root".to_owned());
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("there is no /dev/net/tun; load the kernel module `tun`".to_owned());
    }
    let has_ip = Command::new("ip").arg("-V").output().is_ok_and(|output| output.status.success());
    if !has_ip {
        return Some("there is no `ip`; install iproute2".to_owned());
    }
    let made = Command::new("unshare").args(["--net", "true"]).status();
    let may = made.is_ok_and(|status| status.success());
    (!may).then(|| "this kernel or container makes no network namespaces".to_owned())
}

fn run(options: &Run, scenario: Scenario, script: Script) -> anyhow::Result<Outcome> {
    let program = match &options.plexmesh {
        Some(program) => program.clone(),
        None => beside_this_program()?,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))
        .context("cannot catch interrupts")?;
    namespaces::clean_up()?;
    let mut directory = tempfile::tempdir().context("no temporary directory")?;
    if options.keep {
        directory.disable_cleanup(true);
        eprintln!("the agents lie in {}", directory.path().display());
    }
    let began = Instant::now();
    let base = options.scenario.parent().unwrap_or(Path::new(""));
    let net = if options.clean {
        Net::loopback(scenario.peers)?
    } else {
        Net::switched(&scenario, &script, base, began)?
    };
    let name = options.scenario.display().to_string();
    let lab = Lab::new(scenario, script, (&name, &program, directory.path()), net, began, stop)?;
    let report = lab.play()?;
    print(options.output, &report)?;
    Ok(report.outcome)
}

fn print(form: Form, report: &LabReport) -> anyhow::Result<()> {
    match form {
        Form::Table => report::table(report, &mut io::stdout().lock())?,
        Form::Json => println!("{}", serde_json::to_string_pretty(report)?),
    }
    Ok(())
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
