//! The report for a person at a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style as Paint};
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::{peer, reproduce, verdict, words};
use crate::report::{Check, Outcome, RunReport, Spread};

/// Narrower than this, columns cannot be arranged: they are then as wide as what is in them.
const NARROWEST: u16 = 40;
/// How the state of a promise stands at the beginning of its line.
const HELD: &str = "✓ held";
/// The same of a broken one.
const BROKEN: &str = "✗ BROKEN";

/// What is drawn on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Colours may be used. They never say anything alone.
    pub color: bool,
    /// Columns; `None` if nothing limits a line.
    pub width: Option<u16>,
}

impl Style {
    /// What standard output can show: `NO_COLOR` and `CLICOLOR_FORCE` are obeyed, and without a
    /// terminal there are no colours and no limit.
    #[must_use]
    pub fn of_stdout() -> Self {
        let stdout = io::stdout();
        let color = match anstream::AutoStream::choice(&stdout) {
            anstream::ColorChoice::Always | anstream::ColorChoice::AlwaysAnsi => true,
            anstream::ColorChoice::Auto | anstream::ColorChoice::Never => false,
        };
        let width = stdout
            .is_terminal()
            .then(|| console::Term::stdout().size_checked().map(|(_, columns)| columns))
            .flatten();
        Self { color, width }
    }

    fn paint(self, paint: Paint, text: &str) -> String {
        if self.color { format!("{paint}{text}{paint:#}") } else { text.to_owned() }
    }
}

/// Writes the verdict, then what was measured, then what was broken and how to see it again. The
/// hash of the events is the last line.
///
/// # Errors
///
/// If `out` cannot be written to.
pub fn table(report: &RunReport, out: &mut impl Write, style: Style) -> io::Result<()> {
    head(report, out, style)?;
    promises(report, out, style)?;
    detection(report, out, style)?;
    traffic(report, out, style)?;
    facts(report, out, style)?;
    violations(report, out, style)?;
    writeln!(out)?;
    pair(out, "reproduce", &plain(&reproduce(report)))?;
    pair(out, "event hash", &plain(&report.event_hash))
}

fn head(report: &RunReport, out: &mut impl Write, style: Style) -> io::Result<()> {
    let (sign, word) = verdict(report.outcome);
    let paint = match report.outcome {
        Outcome::Held => good(),
        Outcome::Broken => bad(),
        Outcome::Interrupted => AnsiColor::Yellow.on_default().bold(),
    };
    let verdict = style.paint(paint, &format!("{sign} {word}"));
    writeln!(
        out,
        "{verdict}  {}, seed {}, {} peers, {} of virtual time",
        plain(&report.name),
        report.scenario.seed,
        words::count(report.scenario.peers as u64),
        words::clock(report.virtual_seconds),
    )?;
    if report.scenario.title.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", style.paint(dim(), &plain(&report.scenario.title)))
}

fn promises(report: &RunReport, out: &mut impl Write, style: Style) -> io::Result<()> {
    if report.checks.is_empty() {
        return Ok(());
    }
    let mut table = columns(style, &["", "promise", "measured", "bound"]);
    for check in &report.checks {
        table.add_row([
            if check.held { HELD } else { BROKEN },
            &plain(&check.promise),
            &plain(&check.measured),
            &check.bound.as_deref().map_or_else(|| words::NOTHING.to_owned(), plain),
        ]);
    }
    section(out, style, "Promises", &table)
}

fn detection(report: &RunReport, out: &mut impl Write, style: Style) -> io::Result<()> {
    if report.detections.is_empty() {
        return Ok(());
    }
    let all = &report.detections;
    let mut table = columns(style, &["", "crashes", "p50", "p99", "highest"]);
    for (name, values) in [
        ("known to the first peer", words::sorted(all.iter().filter_map(|one| one.first_seconds))),
        ("known to every peer", words::sorted(all.iter().filter_map(|one| one.all_seconds))),
    ] {
        let share = |share| words::seconds(words::quantile(&values, share));
        let reached = format!("{} of {}", values.len(), all.len());
        table.add_row([name.to_owned(), reached, share(0.5), share(0.99), share(1.0)]);
    }
    right(&mut table, 1..5);
    section(out, style, "Detection", &table)
}

fn traffic(report: &RunReport, out: &mut impl Write, style: Style) -> io::Result<()> {
    let traffic = &report.traffic;
    let mut table = columns(style, &["", "mean", "p50", "p99", "highest"]);
    for (name, spread) in [("sent", traffic.sent), ("received", traffic.received)] {
        let Spread { mean, p50, p99, max } = spread;
        let figures = [mean, p50, p99, max].map(words::rate);
        table.add_row([name.to_owned()].into_iter().chain(figures));
    }
    for (channel, &mean) in &traffic.sent_by_channel {
        table.add_row([format!("  {}", plain(channel)), words::rate(mean)]);
    }
    right(&mut table, 1..5);
    section(out, style, "Traffic of a peer during the faults", &table)?;
    pair(out, "peak", &format!("{} over five seconds", words::rate(peak(report))))
}

fn facts(report: &RunReport, out: &mut impl Write, style: Style) -> io::Result<()> {
    writeln!(out, "\n{}", style.paint(bold(), "Run"))?;
    let healed = match report.healed_seconds {
        Some(_) => format!("all agreed {} after healing", words::seconds(report.healed_seconds)),
        None => "not all agreed after healing".to_owned(),
    };
    pair(out, "healing", &healed)?;
    if !report.latency_error.is_empty() {
        let at = |share| {
            words::quantile(&report.latency_error, share)
                .map_or_else(|| words::NOTHING.to_owned(), words::percent)
        };
        let text = format!("p50 {}, p90 {}, p99 {}", at(0.5), at(0.9), at(0.99));
        pair(out, "latency error", &text)?;
    }
    let wall = &report.wall;
    let speed = format!(
        "{} in {:.1} s, {}",
        words::count(report.events),
        wall.seconds,
        words::events_rate(wall.events_per_second)
    );
    pair(out, "events", &speed)?;
    if !report.event_counts.is_empty() {
        let told: Vec<String> = report
            .event_counts
            .iter()
            .map(|(name, &times)| format!("{} {}", plain(name), words::count(times)))
            .collect();
        pair(out, "nodes told", &told.join(", "))?;
    }
    Ok(())
}

fn violations(report: &RunReport, out: &mut impl Write, style: Style) -> io::Result<()> {
    for check in report.checks.iter().filter(|check| !check.held) {
        let title = format!("{} was broken {}", plain(&check.promise), times(check));
        writeln!(out, "\n{}", style.paint(bad(), &title))?;
        for violation in &check.violations {
            let mut line = format!("  at {}", words::clock(violation.at_seconds));
            for (role, index) in [("observer", violation.observer), ("about", violation.subject)] {
                if let Some(index) = index {
                    let _ = write!(line, ", {role} {}", plain(&peer(report, index)));
                }
            }
            writeln!(out, "{line}: {}", plain(&violation.detail))?;
        }
        let rest = check.violation_count.saturating_sub(check.violations.len() as u64);
        if rest > 0 {
            writeln!(out, "  and {} more", words::count(rest))?;
        }
    }
    Ok(())
}

fn times(check: &Check) -> String {
    match check.violation_count {
        1 => "once".to_owned(),
        count => format!("{} times", words::count(count)),
    }
}

fn peak(report: &RunReport) -> f64 {
    report.traffic.peak_bytes_per_second as f64
}

pub(super) fn columns(style: Style, head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(head);
    if let Some(width) = style.width.filter(|&width| width >= NARROWEST) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

pub(super) fn right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// A table under its title. Colours come last, so that they do not count as width.
pub(super) fn section(
    out: &mut impl Write,
    style: Style,
    title: &str,
    table: &Table,
) -> io::Result<()> {
    writeln!(out, "\n{}", style.paint(bold(), title))?;
    for (index, line) in table.lines().enumerate() {
        let line = line.trim_end();
        let painted = match (index, line.strip_prefix(HELD), line.strip_prefix(BROKEN)) {
            (0, _, _) => style.paint(dim(), line),
            (_, Some(rest), _) => style.paint(good(), HELD) + rest,
            (_, _, Some(rest)) => style.paint(bad(), BROKEN) + rest,
            _ => line.to_owned(),
        };
        writeln!(out, "{painted}")?;
    }
    Ok(())
}

fn pair(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "{name:<15}{value}")
}

/// Names and texts come from files: what steers a terminal is taken out.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

const fn good() -> Paint {
    AnsiColor::Green.on_default().bold()
}

const fn bad() -> Paint {
    AnsiColor::Red.on_default().bold()
}

const fn dim() -> Paint {
    Paint::new().dimmed()
}

const fn bold() -> Paint {
    Paint::new().bold()
}
