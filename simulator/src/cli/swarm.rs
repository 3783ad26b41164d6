//! `plexmesh-sim swarm`: many runs with drawn faults.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use plexmesh_simulator::report::Outcome;
use plexmesh_simulator::scenario::{MAX_PEERS, Phases, Promises, Span};
use plexmesh_simulator::swarm::{self, News, Options, SeedResult, Shrunk, Summary, draw};

use super::run::on_interrupt;
use super::stdout::stdout;
use super::{BROKEN, Failure, INTERRUPTED};

/// Names that are tried for a file before giving up: a directory with so many findings of one seed
/// is not what was meant.
const MOST_FILES: u32 = 1_000;

/// Run many seeds with drawn faults, and make what breaks as small as it gets
#[derive(Debug, Args)]
pub(crate) struct Swarm {
    /// How many seeds
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    first: u64,
    /// Peers of each run, at its start
    #[arg(
        long,
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(draw::MIN_PEERS as u64..=MAX_PEERS as u64)
    )]
    peers: u64,
    /// Length of the phase in which faults happen, such as 2m
    #[arg(long, default_value_t = Options::usual_phases().faults, value_name = "SPAN")]
    faults: Span,
    /// Promise too that every peer in reach knows of a crash within this time
    #[arg(long, value_name = "SPAN")]
    detection: Option<Span>,
    /// Promise too that all agree within this time after everything is healed
    #[arg(long, value_name = "SPAN")]
    healing: Option<Span>,
    /// Run all seeds, even if one breaks a promise
    #[arg(long)]
    keep_going: bool,
    /// Directory for the smallest scripts that break a promise
    #[arg(long, default_value = ".", value_name = "DIR")]
    out: PathBuf,
    /// Runs at one time; all cores if left out
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Print the scenario that is drawn from the first seed, and run nothing
    #[arg(long)]
    show: bool,
    /// How to print what came of it
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
}

/// A form of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a person
    Table,
    /// Everything, for programs
    Json,
}

/// Runs the command.
pub(crate) fn swarm(command: &Swarm) -> Result<ExitCode, Failure> {
    let options = options(command);
    swarm::validate(&options).map_err(|problem| Failure::Input(anyhow!(problem)))?;
    if command.show {
        return show(&options).map_err(Failure::Machine);
    }
    // A search of hours must not end without a place for what it found.
    fs::create_dir_all(&command.out)
        .with_context(|| format!("cannot make the directory {}", command.out.display()))
        .map_err(Failure::Input)?;
    announce(command, &options).map_err(Failure::Machine)?;
    let stop = on_interrupt()?;
    let mut line = Line::new(options.seeds);
    let mut summary =
        swarm::run(&options, &swarm::simulate, &stop, &mut |news: &News| line.hear(news));
    line.bar.finish_and_clear();
    let written = write_files(command, &mut summary);
    // What was found is told even if it could not be written down.
    print(command, &summary).map_err(Failure::Machine)?;
    written.map_err(Failure::Machine)?;
    Ok(match (summary.broken, summary.interrupted) {
        (0, false) => ExitCode::SUCCESS,
        (0, true) => ExitCode::from(INTERRUPTED),
        _ => ExitCode::from(BROKEN),
    })
}

fn options(command: &Swarm) -> Options {
    let cores = std::thread::available_parallelism().ok();
    Options {
        first: command.first,
        seeds: command.seeds,
        peers: usize::try_from(command.peers).unwrap_or(MAX_PEERS),
        phases: Phases { faults: command.faults, ..Options::usual_phases() },
        promises: Promises {
            detection: command.detection,
            healing: command.healing,
            ..Promises::default()
        },
        jobs: command.jobs.or(cores).map_or(1, NonZeroUsize::get),
        keep_going: command.keep_going,
    }
}

/// A run that never ends cannot be shrunk; its script can be looked at nevertheless.
fn show(options: &Options) -> anyhow::Result<ExitCode> {
    let text = options.scenario(options.first).to_toml()?;
    write!(stdout(), "{text}").context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// What is run, before it runs.
fn announce(command: &Swarm, options: &Options) -> anyhow::Result<()> {
    let last = options.first.saturating_add(options.seeds - 1);
    let line = format!(
        "swarm: seeds {} to {last}, {} peers, {} virtual each (settle {}, faults {}, healed {}), \
         {} at one time",
        options.first,
        options.peers,
        Span(options.phases.total()),
        options.phases.settle,
        options.phases.faults,
        options.phases.healed,
        options.jobs
    );
    match command.output {
        Form::Table => writeln!(stdout(), "{line}"),
        Form::Json => writeln!(io::stderr(), "{line}"),
    }
    .context("cannot write the options")
}

/// A line at the foot of the terminal.
struct Line {
    bar: ProgressBar,
    held: u64,
    broken: u64,
}

impl Line {
    fn new(seeds: u64) -> Self {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(seeds), target);
        // A template that cannot be read leaves the usual bar, which is no reason to stop.
        if let Ok(style) = ProgressStyle::with_template("{bar:16.cyan} {pos} of {len} · {wide_msg}")
        {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self { bar, held: 0, broken: 0 }
    }

    fn hear(&mut self, news: &News) {
        match news {
            News::Ran(result) => {
                let held = result.outcome == Outcome::Held;
                self.held += u64::from(held);
                self.broken += u64::from(!held);
                self.bar.inc(1);
                self.bar.set_message(format!("{} held, {} broken", self.held, self.broken));
            }
            News::Shrinking { seed, runs, faults } => {
                self.bar.set_message(format!("seed {seed}: run {runs}, {faults} faults tried"));
            }
            News::Shrunk { .. } => {}
        }
    }
}

fn write_files(command: &Swarm, summary: &mut Summary) -> anyhow::Result<()> {
    for result in &mut summary.results {
        if let Some(shrunk) = &mut result.shrunk {
            shrunk.file = Some(write_file(&command.out, result.seed, shrunk)?);
        }
    }
    Ok(())
}

/// Writes a file that was not there before: an older finding is not lost.
fn write_file(directory: &Path, seed: u64, shrunk: &Shrunk) -> anyhow::Result<PathBuf> {
    for number in 1..=MOST_FILES {
        let name = match number {
            1 => format!("swarm-{seed}.toml"),
            _ => format!("swarm-{seed}-{number}.toml"),
        };
        let path = directory.join(&name);
        let text = shrunk.to_file(&name)?;
        match File::create_new(&path) {
            Ok(mut file) => {
                let written = file.write_all(text.as_bytes());
                written.with_context(|| format!("cannot write {}", path.display()))?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if fs::read_to_string(&path).is_ok_and(|known| known == text) {
                    return Ok(path);
                }
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot write {}", path.display()));
            }
        }
    }
    Err(anyhow!("{} is full of swarm-{seed}-*.toml; expected another --out", directory.display()))
}

fn print(command: &Swarm, summary: &Summary) -> anyhow::Result<()> {
    const TO: &str = "cannot write to standard output";
    let mut out = stdout();
    match command.output {
        Form::Table => table(summary, &mut out).context(TO)?,
        Form::Json => writeln!(out, "{}", serde_json::to_string_pretty(summary)?).context(TO)?,
    }
    out.flush().context(TO)
}

fn table(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    for result in summary.results.iter().filter(|result| result.outcome == Outcome::Broken) {
        broken(result, out)?;
    }
    let wall = Duration::from_secs_f64(summary.wall_seconds);
    let wall = Span(Duration::from_secs(wall.as_secs().max(1)));
    let ran = summary.results.len();
    let verdict = match (summary.broken, summary.interrupted) {
        (0, false) => "✓ HELD",
        (0, true) => "■ INTERRUPTED",
        _ => "✗ BROKEN",
    };
    writeln!(out, "\n{verdict}")?;
    for (name, value) in [
        ("seeds", format!("{ran} of {} were run to the end", summary.seeds)),
        ("held", summary.held.to_string()),
        ("broken", summary.broken.to_string()),
        ("wall", wall.to_string()),
    ] {
        writeln!(out, "{name:<15}{value}")?;
    }
    Ok(())
}

fn broken(result: &SeedResult, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nseed {}: {} faults", result.seed, result.faults)?;
    for breach in &result.breaches {
        let often =
            if breach.times == 1 { "once".to_owned() } else { format!("{} times", breach.times) };
        writeln!(out, "  ✗ {} was broken {often}; first: {}", breach.promise, breach.detail)?;
    }
    let Some(shrunk) = &result.shrunk else { return Ok(()) };
    let how = if shrunk.complete { "" } else { "; it may get smaller still" };
    let faults = shrunk.scenario.faults.len();
    writeln!(
        out,
        "  {faults} faults are enough to break {} ({} runs{how})",
        shrunk.breach.promise, shrunk.runs
    )?;
    match &shrunk.file {
        Some(file) => writeln!(out, "  reproduce      plexmesh-sim run {}", argument(file)),
        None => Ok(()),
    }
}

/// A path that is not taken for the name of a built-in scenario, quoted for a shell if it must be.
fn argument(file: &Path) -> String {
    let file = file.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    if file.bytes().all(plain) {
        file.into_owned()
    } else {
        format!("'{}'", file.replace('\'', r"'\''"))
    }
}
