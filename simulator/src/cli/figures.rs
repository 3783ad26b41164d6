//! `plexmesh-sim figures`: what the protocol promises, measured.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use plexmesh_simulator::figures::document::{self, BEGIN, END};
use plexmesh_simulator::figures::session::{self, News, Options, Summary};
use plexmesh_simulator::figures::state::{self, Found, RowResult, State, fingerprint};
use plexmesh_simulator::figures::{Row, Size, nearest_row, rows, rows_named};
use plexmesh_simulator::scenario::Span;

use super::run::on_interrupt;
use super::stdout::stdout;
use super::{BROKEN, Failure, INTERRUPTED};

/// Parts of the bar of progress that one row is, so that long rows move too.
const PARTS: f64 = 100.0;

/// Measure the figures that the protocol promises, and write their table
#[derive(Debug, Args)]
pub(crate) struct Figures {
    /// How large the worlds are
    #[arg(long, value_enum, default_value_t = Scale::Full)]
    size: Scale,
    /// These rows alone; the beginning of several names, such as `detection`, stands for all of them
    #[arg(long, value_name = "ROW", value_delimiter = ',')]
    only: Vec<String>,
    /// List the rows, and measure nothing
    #[arg(long)]
    list: bool,
    /// Directory for what was measured: another run goes on from there
    #[arg(long, value_name = "DIR", default_value = "plexmesh-figures")]
    state: PathBuf,
    /// Measure anew what is known already
    #[arg(long)]
    fresh: bool,
    /// All randomness follows from this
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rows at one time; all cores if left out
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Replace the table between the marks in this document
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// How to print what came of it
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
}

/// How large the worlds are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scale {
    /// As the figures are promised: takes hours
    Full,
    /// Few peers and short times: takes a minute, and judges only what must never be wrong
    Reduced,
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
pub(crate) fn figures(command: &Figures) -> Result<ExitCode, Failure> {
    let rows = chosen(command)?;
    if command.list {
        return list(&rows).map_err(Failure::Machine);
    }
    // Hours of measuring must not end without a place for what came of them.
    if let Some(path) = &command.write {
        written(path, "").map_err(Failure::Input)?;
    }
    let (fingerprint, program) = std::env::current_exe()
        .and_then(|program| Ok((fingerprint(&program)?, program)))
        .context("cannot read the file of this program, which tells its results from others'")
        .map_err(Failure::Machine)?;
    let size = match command.size {
        Scale::Full => Size::Full,
        Scale::Reduced => Size::Reduced,
    };
    let state = State::open(&command.state, fingerprint, size, command.seed)
        .with_context(|| {
            format!(
                "cannot write to the directory {}; name another one with --state DIR",
                command.state.display()
            )
        })
        .map_err(Failure::Input)?;
    let cores = std::thread::available_parallelism().ok();
    let options = Options {
        rows,
        size,
        seed: command.seed,
        state: &state,
        fresh: command.fresh,
        jobs: command.jobs.or(cores).map_or(1, NonZeroUsize::get),
        program: &program,
    };
    let stop = on_interrupt()?;
    let mut line = Line::new(options.rows.len());
    let summary = session::run(&options, &stop, &mut |news| line.hear(news));
    line.bar.finish_and_clear();
    print(command, &summary).map_err(Failure::Machine)?;
    if let Some(path) = &command.write {
        write(path, &state).map_err(Failure::Machine)?;
    }
    Ok(match (summary.interrupted, summary.missed.is_empty() && summary.failed.is_empty()) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::from(BROKEN),
    })
}

/// The rows that are wanted, in the order of the table.
fn chosen(command: &Figures) -> Result<Vec<&'static Row>, Failure> {
    if command.only.is_empty() {
        return Ok(rows().collect());
    }
    let mut wanted = Vec::new();
    for name in &command.only {
        let named = rows_named(name);
        if named.is_empty() {
            let hint = match nearest_row(name) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "`plexmesh-sim figures --list` lists them".to_owned(),
            };
            return Err(Failure::Input(anyhow!("there is no row `{name}`; {hint}")));
        }
        wanted.extend(named.into_iter().map(|row| row.name));
    }
    Ok(rows().filter(|row| wanted.contains(&row.name)).collect())
}

fn list(rows: &[&'static Row]) -> anyhow::Result<ExitCode> {
    let mut out = stdout();
    for row in rows {
        writeln!(out, "{:<24} {}", row.name, row.what)
            .context("cannot write to standard output")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A document with another table.
fn written(path: &Path, table: &str) -> anyhow::Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    document::replace(&text, table).map_err(|error| {
        anyhow!(
            "{} has no place for the table: {error}; put the lines `{BEGIN}` and `{END}` where it \
             is to stand",
            path.display()
        )
    })
}

/// Writes all that is known, also of rows that were not wanted this time.
fn write(path: &Path, state: &State) -> anyhow::Result<()> {
    let known = rows().filter_map(|row| match state.find(row) {
        Found::Fresh(result) => Some(*result),
        Found::Stale | Found::Nothing => None,
    });
    let known: Vec<RowResult> = known.collect();
    let text = written(path, &document::table(&known))?;
    state::write_whole(path, &text).with_context(|| format!("cannot write {}", path.display()))
}

/// A line at the foot of the terminal.
struct Line {
    bar: ProgressBar,
    shares: BTreeMap<&'static str, f64>,
    done: usize,
}

impl Line {
    fn new(rows: usize) -> Self {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let parts = rows as u64 * PARTS as u64;
        let bar = ProgressBar::with_draw_target(Some(parts), target);
        // A template that cannot be read leaves the usual bar, which is no reason to stop.
        if let Ok(style) = ProgressStyle::with_template("{bar:16.cyan} {percent} % · {wide_msg}") {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self { bar, shares: BTreeMap::new(), done: 0 }
    }

    fn hear(&mut self, news: &News) {
        match news {
            News::Stale(row) => {
                let said = format!("{}: known of another build only, measured anew", row.name);
                self.bar.suspend(|| {
                    // Nobody is left to be told that standard error is gone.
                    let _unwritable = writeln!(io::stderr(), "{said}");
                });
            }
            News::Share(row, share) => {
                self.shares.insert(row.name, share.clamp(0.0, 1.0));
            }
            News::Known(row, _) | News::Done(row, _) | News::Failed(row, _) => {
                self.shares.remove(row.name);
                self.done += 1;
            }
        }
        let under_way: f64 = self.shares.values().sum();
        self.bar.set_position(((self.done as f64 + under_way) * PARTS) as u64);
        let names: Vec<&str> = self.shares.keys().copied().collect();
        self.bar.set_message(names.join(", "));
    }
}

fn print(command: &Figures, summary: &Summary) -> anyhow::Result<()> {
    const TO: &str = "cannot write to standard output";
    let mut out = stdout();
    match command.output {
        Form::Table => table(command, summary, &mut out).context(TO)?,
        Form::Json => writeln!(out, "{}", serde_json::to_string_pretty(summary)?).context(TO)?,
    }
    out.flush().context(TO)
}

fn table(command: &Figures, summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    for result in &summary.items {
        row(result, out)?;
    }
    for failure in &summary.failed {
        writeln!(out, "■ {}: not measured: {}\n", failure.row, failure.why)?;
    }
    let held = summary.items.len() - summary.missed.len();
    writeln!(out, "{held} as asked, {} missed", summary.missed.len())?;
    if summary.interrupted {
        let state = command.state.display();
        writeln!(
            out,
            "interrupted; what is finished is kept in {state}: the same command goes on"
        )?;
    }
    Ok(())
}

fn row(result: &RowResult, out: &mut impl Write) -> io::Result<()> {
    let measured = &result.measured;
    let (sign, word) = if measured.held() { ("✓", "as asked") } else { ("✗", "MISSED") };
    let what = rows_named(&result.row).first().map_or("", |row| row.what);
    let wall = Span(Duration::from_secs(result.wall_seconds.max(1.0) as u64));
    writeln!(out, "{sign} {word}  {}: {what}", result.row)?;
    for figure in &measured.figures {
        let missed = if figure.held() { ' ' } else { '✗' };
        let asked = figure.asked_in_words().map(|asked| format!("  (asked: {asked})"));
        writeln!(out, "  {missed} {}{}", figure.measured_in_words(), asked.unwrap_or_default())?;
    }
    for note in &measured.notes {
        writeln!(out, "    {note}")?;
    }
    writeln!(
        out,
        "    {} peers, {:.0} virtual seconds, took {wall}\n",
        measured.peers, measured.virtual_seconds
    )
}
