//! The figures that the protocol promises, measured: one row each, in one command.
//!
//! A row runs the shipped protocol in virtual worlds and says what it measured beside what is asked.
//! Rows do not know each other; [`session`] runs those that are wanted on all cores and keeps what
//! came of each in [`state`], so that a run that was interrupted goes on where it was.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::scenario::nearest;

mod bench;
pub mod coordinates;
mod detection;
mod dissemination;
pub mod document;
pub mod figure;
mod gray;
mod joining;
mod partition;
pub mod reconciliation;
mod safety;
pub mod session;
mod speed;
pub mod state;
mod traffic;

use bench::Bench;
pub use figure::{Bound, Figure, Measured, Unit};

/// How large the worlds are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// As the figures are promised.
    #[default]
    Full,
    /// Few peers and short times: the same code in a minute. What must never be wrong is judged; how
    /// fast it is says nothing.
    Reduced,
}

impl Size {
    /// Its name on the command line and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Reduced => "reduced",
        }
    }
}

/// Whether a row bears others beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// As many rows at one time as there are cores; each takes at most [`SHARED_MIB`] of memory.
    Shared,
    /// Alone: it measures the machine, or takes most of its memory.
    Alone,
}

/// Most memory that a row with [`Load::Shared`] takes, in MiB: a world of a thousand peers at 25 %
/// loss takes half of it.
pub const SHARED_MIB: u64 = 1_024;

/// Why a row has no result.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// It was told to stop.
    #[error("it was interrupted")]
    Interrupted,
    /// Its world could not be made.
    #[error(transparent)]
    Run(#[from] crate::run::RunError),
    /// The machine lacks something that it needs.
    #[error("{0}")]
    Machine(String),
}

/// A row of the table.
#[derive(Clone, Copy)]
pub struct Row {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is measured, for a person.
    pub what: &'static str,
    /// What others take for it, and who says so; empty if nobody says.
    pub others: &'static str,
    /// Whether it runs beside others.
    pub load: Load,
    measure: fn(&Bench<'_>) -> Result<Measured, RowError>,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Row {
    /// The command that measures it.
    #[must_use]
    pub fn command(&self) -> String {
        format!("plexmesh-sim figures --only {}", self.name)
    }

    /// Measures it. `program` is `plexmesh-sim` itself, for rows that need a process of their own;
    /// `goes_on` is told now and then which share of the row is done, and whether it gives `false`
    /// the row ends.
    ///
    /// # Errors
    /// If it was told to stop, or could not be run.
    pub fn measure(
        &self,
        size: Size,
        seed: u64,
        program: &Path,
        goes_on: &dyn Fn(f64) -> bool,
    ) -> Result<Measured, RowError> {
        (self.measure)(&Bench { size, seed, program, goes_on })
    }
}

/// All rows, in the order of the table.
const ROWS: &[&[Row]] = &[
    detection::ROWS,
    safety::ROWS,
    gray::ROWS,
    partition::ROWS,
    dissemination::ROWS,
    traffic::ROWS,
    joining::ROWS,
    reconciliation::ROWS,
    coordinates::ROWS,
    speed::ROWS,
];

/// All rows, in the order of the table.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().copied().flatten()
}

/// The rows of a name: one, or all whose names begin with it and a hyphen; none if there are none.
#[must_use]
pub fn rows_named(name: &str) -> Vec<&'static Row> {
    let begins = |row: &&Row| {
        row.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    rows().filter(begins).collect()
}

/// The name of the row that was probably meant.
#[must_use]
pub fn nearest_row(name: &str) -> Option<&'static str> {
    nearest(name, rows().map(|row| row.name))
}

/// A length of time in seconds.
const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_can_be_typed() {
        let names: BTreeSet<&str> = rows().map(|row| row.name).collect();
        assert_eq!(names.len(), rows().count());
        let typed = |name: &&str| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        assert!(names.iter().all(typed), "{names:?}");
    }

    #[test]
    fn a_group_of_rows_is_named_by_its_beginning() {
        assert_eq!(rows_named("partition").len(), 3);
        assert_eq!(rows_named("partition-70-30").len(), 1);
        assert!(rows_named("part").is_empty());
        assert_eq!(nearest_row("partitoin-70-30"), Some("partition-70-30"));
    }
}
