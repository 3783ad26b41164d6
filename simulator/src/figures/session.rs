//! Measures the rows that are wanted, as many at one time as there are cores and as memory bears.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::state::{Found, RowResult, State};
use super::{Load, Row, RowError, SHARED_MIB, Size};
use crate::report::API_VERSION;
use crate::spread::{spread, tell};

/// The kind of the document that a [`Summary`] is.
pub const KIND: &str = "SimulationFigures";
/// How often a row tells how far it is.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Which rows, in the order of the table.
    pub rows: Vec<&'static Row>,
    /// How large.
    pub size: Size,
    /// What all randomness follows from.
    pub seed: u64,
    /// Where results are kept.
    pub state: &'a State,
    /// Whether to measure what is known already.
    pub fresh: bool,
    /// Rows at one time at most.
    pub jobs: usize,
    /// `plexmesh-sim`.
    pub program: &'a Path,
}

/// What goes on, as it happens.
#[derive(Debug)]
pub enum News {
    /// A row was known already.
    Known(&'static Row, Box<RowResult>),
    /// What is known of a row is of another build.
    Stale(&'static Row),
    /// A row has so much of it done, 0 to 1.
    Share(&'static Row, f64),
    /// A row is measured.
    Done(&'static Row, Box<RowResult>),
    /// A row could not be measured.
    Failed(&'static Row, String),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// How large.
    pub size: Size,
    /// The seed.
    pub seed: u64,
    /// Rows as they were wanted; those that were not measured are left out.
    pub items: Vec<RowResult>,
    /// Rows that were not as asked.
    pub missed: Vec<String>,
    /// Rows that could not be measured, and why.
    pub failed: Vec<Failure>,
    /// Whether somebody stopped it.
    pub interrupted: bool,
}

/// A row that could not be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Its name.
    pub row: String,
    /// Why.
    pub why: String,
}

/// Measures what is not known yet. `stop` ends it early: what is under way is lost, what was finished
/// is kept. `hear` gets the news in no particular order.
pub fn run(options: &Options<'_>, stop: &AtomicBool, hear: &mut dyn FnMut(&News)) -> Summary {
    let mut results: Vec<RowResult> = Vec::new();
    let mut failed = Vec::new();
    let mut wanted = Vec::new();
    for row in &options.rows {
        let found = if options.fresh { Found::Nothing } else { options.state.find(row) };
        match found {
            Found::Fresh(result) => {
                results.push((*result).clone());
                hear(&News::Known(row, result));
                continue;
            }
            Found::Stale => hear(&News::Stale(row)),
            Found::Nothing => {}
        }
        wanted.push(*row);
    }
    let (alone, shared): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|row| row.load == Load::Alone);
    let work = |row: &'static Row, news: &Sender<News>| measure(options, row, stop, news);
    let mut take = |news: News| {
        hear(&news);
        match news {
            News::Done(_, result) => results.push(*result),
            News::Failed(row, why) => failed.push(Failure { row: row.name.to_owned(), why }),
            News::Known(..) | News::Stale(_) | News::Share(..) => {}
        }
    };
    spread(shared, options.jobs.min(room()), &work, &mut take);
    spread(alone, 1, &work, &mut take);
    let place = |name: &str| options.rows.iter().position(|row| row.name == name);
    results.sort_by_key(|result| place(&result.row));
    failed.sort_by_key(|failure| place(&failure.row));
    let missed = results.iter().filter(|result| !result.measured.held());
    Summary {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        size: options.size,
        seed: options.seed,
        missed: missed.map(|result| result.row.clone()).collect(),
        items: results,
        failed,
        interrupted: stop.load(Ordering::Relaxed),
    }
}

fn measure(options: &Options<'_>, row: &'static Row, stop: &AtomicBool, news: &Sender<News>) {
    if stop.load(Ordering::Relaxed) {
        return;
    }
    let began = Instant::now();
    tell(news, News::Share(row, 0.0));
    let told = Cell::new(began);
    let goes_on = |share: f64| {
        if told.get().elapsed() >= TELL_EVERY {
            told.set(Instant::now());
            tell(news, News::Share(row, share));
        }
        !stop.load(Ordering::Relaxed)
    };
    let measured = row.measure(options.size, options.seed, options.program, &goes_on);
    let what = match measured {
        Err(RowError::Interrupted) => return,
        Err(error) => News::Failed(row, error.to_string()),
        Ok(measured) => {
            let kept = options.state.keep(row, measured, began.elapsed().as_secs_f64());
            match kept {
                Ok(result) => News::Done(row, Box::new(result)),
                Err(error) => News::Failed(row, format!("its result cannot be kept: {error}")),
            }
        }
    };
    tell(news, what);
}

/// How many rows have room in memory at one time.
fn room() -> usize {
    let info = fs::read_to_string("/proc/meminfo").ok();
    // Where nobody tells, a machine that runs a simulator is taken to have room for its cores.
    let Some(available) = info.and_then(|info| available_mib(&info)) else { return usize::MAX };
    usize::try_from(available / SHARED_MIB).unwrap_or(usize::MAX).max(1)
}

/// Memory that can be taken without swapping, as `/proc/meminfo` tells it, in MiB.
fn available_mib(info: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read() {
        let info = "MemTotal: 1 kB\nMemAvailable:    4194304 kB\n";
        assert_eq!(available_mib(info), Some(4_096));
        assert_eq!(available_mib("MemTotal: 1 kB\n"), None);
    }
}
