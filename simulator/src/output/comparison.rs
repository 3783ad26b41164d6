//! A comparison for a person at a terminal.

use std::io::{self, Write};

use super::table::{Style, columns, right, section};
use super::words;
use crate::compare::{Agreement, Comparison, Detection, Outcome};
use crate::scenario::Span;

/// A line of the table: what it is called, and how an outcome says it.
type Row = (&'static str, fn(&Outcome) -> String);

/// Writes what came of all protocols as one table, a column each, and how each was configured.
///
/// # Errors
/// If `out` cannot be written to.
pub fn comparison(comparison: &Comparison, out: &mut impl Write, style: Style) -> io::Result<()> {
    let outcomes = &comparison.protocols;
    let any = |is: fn(&Outcome) -> bool| outcomes.iter().any(is);
    let mut rows: Vec<Row> = Vec::new();
    if any(|outcome| outcome.detection.crashes > 0) {
        rows.extend(DETECTION);
    }
    rows.extend(FALSE);
    if any(|outcome| outcome.faulty.is_some()) {
        rows.extend(FAULTY);
    }
    rows.extend(REST);
    let labels = outcomes.iter().map(|outcome| outcome.label.as_str());
    let head: Vec<&str> = [""].into_iter().chain(labels).collect();
    let mut table = columns(style, &head);
    for (name, say) in &rows {
        table.add_row([(*name).to_owned()].into_iter().chain(outcomes.iter().map(say)));
    }
    right(&mut table, 1..outcomes.len() + 1);
    let scenario = &comparison.scenario;
    let title = format!(
        "{}, seed {}, {} peers, {} of virtual time",
        scenario.title,
        scenario.seed,
        words::count(scenario.peers as u64),
        Span(scenario.phases.total()),
    );
    section(out, style, &title, &table)?;
    writeln!(out)?;
    for outcome in outcomes {
        writeln!(out, "{}: {}", outcome.label, outcome.configuration)?;
        if let Some(first) = &outcome.false_positives.first {
            writeln!(out, "  first false accusation: {first}")?;
        }
        writeln!(out, "  event hash {}", outcome.event_hash)?;
    }
    Ok(())
}

const DETECTION: [Row; 6] = [
    ("survivors that knew", |outcome| knew(&outcome.detection)),
    ("a survivor knew, p50", |outcome| words::seconds(outcome.detection.p50_seconds)),
    ("p99", |outcome| words::seconds(outcome.detection.p99_seconds)),
    ("latest", |outcome| words::seconds(outcome.detection.latest_seconds)),
    ("crashes known to all", |outcome| {
        format!("{} of {}", outcome.detection.crashes_known_to_all, outcome.detection.crashes)
    }),
    ("all survivors knew, p50", |outcome| words::seconds(outcome.detection.all_p50_seconds)),
];

const FALSE: [Row; 3] = [
    ("peers falsely called down", |outcome| words::count(outcome.false_positives.victims as u64)),
    ("by accuser and accused", |outcome| words::count(outcome.false_positives.pairs as u64)),
    ("unreachable or flapping", |outcome| match outcome.false_positives.lesser_pairs {
        0 => "0".to_owned(),
        pairs => {
            let victims = words::count(outcome.false_positives.lesser_victims as u64);
            format!("{victims} ({} pairs)", words::count(pairs as u64))
        }
    }),
];

const FAULTY: [Row; 3] = [
    ("ill peers flagged by most", |outcome| {
        faulty(outcome, |faulty| (faulty.flagged_by_most, faulty.peers))
    }),
    ("by any", |outcome| faulty(outcome, |faulty| (faulty.flagged_by_any, faulty.peers))),
    ("well peers flagged by most, any", |outcome| {
        outcome.faulty.map_or_else(
            || words::NOTHING.to_owned(),
            |faulty| format!("{}, {}", faulty.well_flagged_by_most, faulty.well_flagged_by_any),
        )
    }),
];

const REST: [Row; 7] = [
    ("agree at the end", |outcome| agree(&outcome.agreement)),
    ("all agreed after healing", |outcome| {
        let after = outcome.agreement.seconds_after_healing;
        after.map_or_else(|| "never".to_owned(), |after| format!("{after:.0} s"))
    }),
    ("sent by a peer, mean", |outcome| words::rate(outcome.sent.mean)),
    ("sent, p99", |outcome| words::rate(outcome.sent.p99)),
    ("received, mean", |outcome| words::rate(outcome.received.mean)),
    ("received, p99", |outcome| words::rate(outcome.received.p99)),
    ("wall time", |outcome| format!("{:.1} s", outcome.wall.seconds)),
];

fn knew(detection: &Detection) -> String {
    let Detection { pairs, pairs_known, pairs_accused_before, .. } = *detection;
    let share = match pairs {
        0 => words::NOTHING.to_owned(),
        pairs => words::percent(pairs_known as f64 / pairs as f64),
    };
    match pairs_accused_before {
        0 => share,
        before => format!("{share} ({before} accused it before)"),
    }
}

fn faulty(outcome: &Outcome, pick: fn(&crate::compare::Faulty) -> (usize, usize)) -> String {
    let Some(faulty) = &outcome.faulty else { return words::NOTHING.to_owned() };
    let (count, of) = pick(faulty);
    format!("{count} of {of}")
}

fn agree(agreement: &Agreement) -> String {
    let share = words::percent(agreement.agreeing);
    if agreement.is_truth { share } else { format!("{share} (not the truth)") }
}
