//! Many runs with drawn faults, on all cores: what breaks is shrunk to the smallest script.
//!
//! What comes of it does not depend on how many threads there are or which one was faster: where
//! the first failure ends the search, that is the failure with the lowest seed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::report::{self, Outcome, RunReport};
use crate::run::{Progress, RunError, Watch};
use crate::scenario::{Phases, Problem, Promises, Scenario, Span};
use crate::spread::{spread, tell};
use crate::world::World;

pub mod draw;
pub mod shrink;

/// The kind of the document that a [`Summary`] is.
pub const KIND: &str = "SimulationSwarm";
/// The promise that a run breaks which panics.
pub const NO_PANIC: &str = "no-panic";
/// The promise that a drawn script breaks which cannot be run.
pub const POSSIBLE: &str = "possible-script";

/// Runs a scenario, for as long as it is told to go on.
pub type Runner<'a> =
    dyn Fn(&Scenario, &dyn Fn() -> bool) -> Result<RunReport, RunError> + Sync + 'a;

/// What to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// Peers of each run, at its start.
    pub peers: usize,
    /// Phases of each run.
    pub phases: Phases,
    /// What is promised beside what always is.
    pub promises: Promises,
    /// Runs at one time.
    pub jobs: usize,
    /// Whether all seeds are run, even if one breaks a promise.
    pub keep_going: bool,
}

impl Options {
    /// Phases that leave room for a few faults, and enough time afterwards to agree again.
    #[must_use]
    pub const fn usual_phases() -> Phases {
        Phases {
            stagger: Span::seconds(5),
            settle: Span::seconds(60),
            faults: Span::seconds(120),
            // Longer than any bound on healing: who does not agree by then never will.
            healed: Span::seconds(90),
        }
    }

    /// The scenario of a seed.
    #[must_use]
    pub fn scenario(&self, seed: u64) -> Scenario {
        let mut scenario = draw::scenario(seed, self.peers, self.phases);
        scenario.promises = self.promises;
        scenario
    }
}

/// What goes on in a search, as it happens.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A run ended.
    Ran(Box<SeedResult>),
    /// A script gets smaller.
    Shrinking {
        /// The seed that it is of.
        seed: u64,
        /// Runs until now.
        runs: usize,
        /// Faults that are left.
        faults: usize,
    },
    /// The smallest script of a seed.
    Shrunk {
        /// The seed that it is of.
        seed: u64,
        /// The script.
        shrunk: Box<Shrunk>,
    },
}

/// What came of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// [`report::API_VERSION`].
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// The first seed.
    pub first_seed: u64,
    /// Seeds that were asked for.
    pub seeds: u64,
    /// Peers of each run.
    pub peers: usize,
    /// Seeds whose run held every promise.
    pub held: usize,
    /// Seeds whose run broke one.
    pub broken: usize,
    /// Whether somebody stopped it.
    pub interrupted: bool,
    /// Every seed that was run to its end, in order.
    pub results: Vec<SeedResult>,
    /// Wall time, in seconds.
    pub wall_seconds: f64,
}

/// What came of one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeedResult {
    /// The seed.
    pub seed: u64,
    /// How the run ended.
    pub outcome: Outcome,
    /// Faults in the script.
    pub faults: usize,
    /// Promises that were broken.
    pub breaches: Vec<Breach>,
    /// Delivered events.
    pub events: u64,
    /// BLAKE3 over all of them, in hex; empty if the run did not end.
    pub event_hash: String,
    /// The smallest script that breaks the first of these promises.
    pub shrunk: Option<Shrunk>,
    /// Wall time of the run, in seconds.
    pub wall_seconds: f64,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Breach {
    /// Which.
    pub promise: String,
    /// How often.
    pub times: u64,
    /// The first time, for a person.
    pub detail: String,
}

/// A script that was made as small as it would get.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shrunk {
    /// It.
    pub scenario: Scenario,
    /// The promise that it still breaks.
    pub breach: Breach,
    /// Runs that it took.
    pub runs: usize,
    /// Whether nothing more could be left out; otherwise the runs were used up, or somebody
    /// stopped it.
    pub complete: bool,
    /// Where it was written.
    pub file: Option<PathBuf>,
}

impl Shrunk {
    /// The scenario file: what is broken and how to see it again, then the script.
    ///
    /// # Errors
    /// What the TOML writer says of a scenario that cannot be written.
    pub fn to_file(&self, name: &str) -> Result<String, toml::ser::Error> {
        let Breach { promise, times, detail } = &self.breach;
        let often = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
        let seed = self.scenario.seed;
        let comments = [
            format!(
                "Found by `plexmesh-sim swarm` with seed {seed}, made small in {} runs.",
                self.runs
            ),
            format!("Broken: {promise}, {often}; first: {detail}"),
            format!("See it again: plexmesh-sim run ./{name}"),
        ];
        let lines: String = comments.iter().map(|line| format!("# {}\n", plain(line))).collect();
        Ok(format!("{lines}\n{}", self.scenario.to_toml()?))
    }
}

/// The shipped way to run a drawn scenario.
///
/// # Errors
/// As [`crate::run::run`].
pub fn simulate(scenario: &Scenario, goes_on: &dyn Fn() -> bool) -> Result<RunReport, RunError> {
    crate::run::run("swarm", scenario, Path::new(""), &mut Until(goes_on))
}

/// Runs all seeds and shrinks what breaks. `stop` ends it early; what was done until then is in the
/// summary. `hear` gets the news in no particular order.
pub fn run(
    options: &Options,
    runner: &Runner<'_>,
    stop: &AtomicBool,
    hear: &mut dyn FnMut(&News),
) -> Summary {
    let began = Instant::now();
    let lowest_failed = AtomicU64::new(u64::MAX);
    let mut results: Vec<SeedResult> = Vec::new();
    let seeds = (0..options.seeds).map_while(|index| options.first.checked_add(index));
    let needed = |seed: u64| {
        let is_early = options.keep_going || seed <= lowest_failed.load(Ordering::Relaxed);
        is_early && !stop.load(Ordering::Relaxed)
    };
    let trial = |seed: u64, news: &Sender<News>| {
        if !needed(seed) {
            return;
        }
        let result = try_seed(seed, &options.scenario(seed), runner, &|| needed(seed));
        if result.outcome == Outcome::Broken {
            lowest_failed.fetch_min(seed, Ordering::Relaxed);
        }
        if result.outcome != Outcome::Interrupted {
            tell(news, News::Ran(Box::new(result)));
        }
    };
    spread(seeds.collect(), options.jobs, &trial, &mut |news| {
        hear(&news);
        if let News::Ran(result) = news {
            results.push(*result);
        }
    });
    results.sort_by_key(|result| result.seed);
    if !options.keep_going {
        // Which later seeds were faster is chance.
        results.retain(|result| result.seed <= lowest_failed.load(Ordering::Relaxed));
    }
    shrink_all(options, runner, stop, &mut results, hear);
    let broken = results.iter().filter(|result| result.outcome == Outcome::Broken).count();
    Summary {
        api_version: report::API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        first_seed: options.first,
        seeds: options.seeds,
        peers: options.peers,
        held: results.len() - broken,
        broken,
        interrupted: stop.load(Ordering::Relaxed),
        results,
        wall_seconds: began.elapsed().as_secs_f64(),
    }
}

fn shrink_all(
    options: &Options,
    runner: &Runner<'_>,
    stop: &AtomicBool,
    results: &mut [SeedResult],
    hear: &mut dyn FnMut(&News),
) {
    let broken = results.iter().filter(|result| is_shrinkable(result));
    let broken: Vec<(u64, Breach)> =
        broken.filter_map(|result| Some((result.seed, result.breaches.first()?.clone()))).collect();
    let goes_on = || !stop.load(Ordering::Relaxed);
    let work = |(seed, breach): (u64, Breach), news: &Sender<News>| {
        let mut last = breach;
        let mut runs = 0;
        let smallest = shrink::shrink(&options.scenario(seed), shrink::MAX_RUNS, &mut |smaller| {
            if !goes_on() {
                return None;
            }
            runs += 1;
            let result = try_seed(seed, smaller, runner, &goes_on);
            let same = result.breaches.into_iter().find(|again| again.promise == last.promise);
            let faults = smaller.faults.len();
            tell(news, News::Shrinking { seed, runs, faults });
            if result.outcome == Outcome::Interrupted {
                return None;
            }
            let breaks = same.is_some();
            last = same.unwrap_or_else(|| last.clone());
            Some(breaks)
        });
        let mut scenario = smallest.scenario;
        scenario.title = format!("Seed {seed} breaks {}", last.promise);
        let shrunk = Shrunk {
            scenario,
            breach: last,
            runs: smallest.runs,
            complete: smallest.complete,
            file: None,
        };
        tell(news, News::Shrunk { seed, shrunk: Box::new(shrunk) });
    };
    spread(broken, options.jobs, &work, &mut |news| {
        hear(&news);
        if let News::Shrunk { seed, shrunk } = news
            && let Some(result) = results.iter_mut().find(|result| result.seed == seed)
        {
            result.shrunk = Some(*shrunk);
        }
    });
}

/// A script that cannot be run has nothing that could be tried again.
fn is_shrinkable(result: &SeedResult) -> bool {
    result.outcome == Outcome::Broken
        && result.breaches.first().is_some_and(|breach| breach.promise != POSSIBLE)
}

fn try_seed(
    seed: u64,
    scenario: &Scenario,
    runner: &Runner<'_>,
    goes_on: &dyn Fn() -> bool,
) -> SeedResult {
    let began = Instant::now();
    // A run keeps nothing that another one could see broken.
    let ran = catch_unwind(AssertUnwindSafe(|| runner(scenario, goes_on)));
    let mut result = SeedResult {
        seed,
        outcome: Outcome::Broken,
        faults: scenario.faults.len(),
        breaches: Vec::new(),
        events: 0,
        event_hash: String::new(),
        shrunk: None,
        wall_seconds: began.elapsed().as_secs_f64(),
    };
    match ran {
        Ok(Ok(report)) => {
            result.outcome = report.outcome;
            result.breaches = breaches(&report);
            result.events = report.events;
            result.event_hash = report.event_hash;
        }
        Ok(Err(error)) => result.breaches.push(once(POSSIBLE, error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let text = text.unwrap_or_else(|| "a panic without words".to_owned());
            result.breaches.push(once(NO_PANIC, text));
        }
    }
    result
}

fn breaches(report: &RunReport) -> Vec<Breach> {
    let broken = report.checks.iter().filter(|check| !check.held);
    let breach = |check: &report::Check| Breach {
        promise: check.promise.clone(),
        times: check.violation_count.max(1),
        detail: check.violations.first().map_or_else(|| check.measured.clone(), first_words),
    };
    broken.map(breach).collect()
}

fn first_words(violation: &report::Violation) -> String {
    let mut words = format!("at {:.1} s", violation.at_seconds);
    for (role, peer) in [("observer", violation.observer), ("about", violation.subject)] {
        if let Some(peer) = peer {
            words.push_str(&format!(", {role} {peer}"));
        }
    }
    format!("{words}: {}", violation.detail)
}

fn once(promise: &str, detail: String) -> Breach {
    Breach { promise: promise.to_owned(), times: 1, detail }
}

/// One line, without what steers a terminal or ends a comment.
fn plain(text: &str) -> String {
    text.chars().map(|each| if each.is_control() { ' ' } else { each }).collect()
}

struct Until<'a>(&'a dyn Fn() -> bool);

impl Watch for Until<'_> {
    fn tick(&mut self, _: &World, _: &Progress<'_>) -> bool {
        (self.0)()
    }
}

/// Whether a swarm of these options can be drawn.
///
/// # Errors
/// What is wrong with the peers or the phases.
pub fn validate(options: &Options) -> Result<(), Problem> {
    if options.peers < draw::MIN_PEERS {
        let what = format!("{} peers", options.peers);
        let expected = format!("{} or more: faults leave most peers alone", draw::MIN_PEERS);
        return Err(Problem::new("peers", what, expected));
    }
    if options.phases.faults < draw::SHORTEST_PHASE {
        let what = format!("a fault phase of {}", options.phases.faults);
        return Err(Problem::new(
            "phases.faults",
            what,
            format!("{} or more", draw::SHORTEST_PHASE),
        ));
    }
    options.scenario(options.first).validate()
}
