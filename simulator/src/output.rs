//! Draws what came of a run: for a terminal, for programs, and as a page.
//!
//! Everything here works from [`RunReport`] alone: nothing is shown that the JSON does not have.

mod comparison;
mod csv;
mod json;
mod live;
mod page;
pub mod svg;
mod table;
mod words;

pub use self::comparison::comparison;
pub use self::csv::csv;
pub use self::json::json;
pub use self::live::{Live, Moment};
pub use self::page::html;
pub use self::table::{Style, table};
pub(crate) use self::words::count;

use crate::report::{Outcome, RunReport};

/// Why a report could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// As JSON.
    #[error("cannot write the report as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// As CSV.
    #[error("cannot write the series as CSV: {0}")]
    Csv(#[from] ::csv::Error),
}

/// Sign and word of how a run ended: a colour never says it alone.
const fn verdict(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Held => ("✓", "HELD"),
        Outcome::Broken => ("✗", "BROKEN"),
        Outcome::Interrupted => ("■", "INTERRUPTED"),
    }
}

/// The command that gives the same run again.
fn reproduce(report: &RunReport) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let name = if !report.name.is_empty() && report.name.bytes().all(plain) {
        report.name.clone()
    } else {
        format!("'{}'", report.name.replace('\'', r"'\''"))
    };
    let scenario = &report.scenario;
    format!("plexmesh-sim run {name} --seed {} --peers {}", scenario.seed, scenario.peers)
}

/// What a peer is called: its index, and its name if it has one.
fn peer(report: &RunReport, index: usize) -> String {
    match report.topology.names.get(index).map(|name| name.trim()) {
        Some(name) if !name.is_empty() && name != index.to_string() => format!("{index} {name}"),
        _ => index.to_string(),
    }
}
