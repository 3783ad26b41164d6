//! `plexmesh-sim run`: one scenario, from its beginning to its end.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use plexmesh_simulator::World;
use plexmesh_simulator::output::{self, Live, Moment, Style, svg};
use plexmesh_simulator::report::{Outcome, RunReport};
use plexmesh_simulator::run::{Progress, Watch, run as play};
use plexmesh_simulator::scenario::{Scenario, Span};

use super::choice::Choice;
use super::stdout::stdout;
use super::{BROKEN, Failure, INTERRUPTED};

/// Run a scenario and say which promises held
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    choice: Choice,
    /// How to print what came of it
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
    /// Put the samples of every second into the JSON
    #[arg(long)]
    series: bool,
    /// Write one page with plots
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write each plot as SVG into this directory
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// Print every event that a node tells, on standard error
    #[arg(long)]
    trace: bool,
}

/// A form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a person
    Table,
    /// Everything, for programs
    Json,
    /// The samples of every second, for spreadsheets
    Csv,
}

/// Runs the command.
pub(crate) fn run(options: &Run) -> Result<ExitCode, Failure> {
    let (scenario, base) = options.choice.read()?;
    announce(options, &scenario).context("cannot write the options").map_err(Failure::Machine)?;
    let stop = on_interrupt()?;
    let live = !options.trace && io::stderr().is_terminal();
    let mut watch =
        Terminal { live: Live::new(live, scenario.phases.total()), stop, trace: options.trace };
    let report = play(&options.choice.scenario, &scenario, &base, &mut watch);
    watch.live.finish();
    let report = report.map_err(|error| Failure::Input(anyhow!(error)))?;
    write_files(options, &report).map_err(Failure::Machine)?;
    print(options, &report).map_err(Failure::Machine)?;
    Ok(match report.outcome {
        Outcome::Held => ExitCode::SUCCESS,
        Outcome::Broken => ExitCode::from(BROKEN),
        Outcome::Interrupted => ExitCode::from(INTERRUPTED),
    })
}

/// What is run, before it runs: whoever sees a run hang or break knows how to do it again.
fn announce(options: &Run, scenario: &Scenario) -> io::Result<()> {
    let line = format!(
        "{}: seed {}, {} peers, {} virtual (settle {}, faults {}, healed {})",
        options.choice.scenario,
        scenario.seed,
        scenario.peers,
        Span(scenario.phases.total()),
        scenario.phases.settle,
        scenario.phases.faults,
        scenario.phases.healed
    );
    match options.output {
        Form::Table => writeln!(stdout(), "{line}"),
        Form::Json | Form::Csv => writeln!(io::stderr(), "{line}"),
    }
}

/// Asks the run to end at the first interrupt, so that what was computed is written; the second one
/// ends the program.
pub(super) fn on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    let set = ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
    set.context("cannot catch interrupts").map_err(Failure::Machine)?;
    Ok(stop)
}

/// Draws the progress and ends the run when it is asked to.
struct Terminal {
    live: Live,
    stop: Arc<AtomicBool>,
    trace: bool,
}

impl Watch for Terminal {
    fn tick(&mut self, world: &World, progress: &Progress<'_>) -> bool {
        self.live.update(&Moment {
            elapsed: progress.elapsed,
            phase: progress.phase_name(),
            running: progress.sample.running,
            agreeing: progress.sample.agreeing,
            events: world.events(),
        });
        !self.stop.load(Ordering::Relaxed)
    }

    fn traces(&self) -> bool {
        self.trace
    }
}

fn print(options: &Run, report: &RunReport) -> anyhow::Result<()> {
    const TO: &str = "cannot write to standard output";
    let mut out = stdout();
    match options.output {
        Form::Table => output::table(report, &mut out, Style::of_stdout()).context(TO)?,
        Form::Json => writeln!(out, "{}", output::json(report, options.series)?).context(TO)?,
        Form::Csv => write!(out, "{}", output::csv(report)?).context(TO)?,
    }
    out.flush().context(TO)
}

/// Draws one plot.
type Draw = fn(&RunReport) -> String;

fn write_files(options: &Run, report: &RunReport) -> anyhow::Result<()> {
    if let Some(path) = &options.html {
        write_file(path, &output::html(report))?;
    }
    let Some(directory) = &options.svg else { return Ok(()) };
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    let plots: [(&str, Draw); 7] = [
        ("detection", svg::detection_cdf),
        ("convergence", svg::convergence),
        ("heartbeat-lag", svg::heartbeat_lag),
        ("bytes", svg::bytes),
        ("judgements", svg::judgements),
        ("latency-error", svg::latency_error),
        ("topology", svg::topology),
    ];
    for (name, draw) in plots {
        write_file(&directory.join(name).with_extension("svg"), &draw(report))?;
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
