//! Many seeds with drawn faults: what breaks is found, made small and can be run again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a check fails by panicking"
)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use plexmesh_simulator::report::{Check, Outcome, RunReport};
use plexmesh_simulator::run::{RunError, run};
use plexmesh_simulator::scenario::{self, Phases, Promises, Scenario, Span};
use plexmesh_simulator::swarm::{self, News, Options, Runner, Summary};

/// Short runs of few peers.
fn small(first: u64, seeds: u64) -> Options {
    Options {
        first,
        seeds,
        peers: 12,
        phases: Phases {
            stagger: Span::seconds(2),
            settle: Span::seconds(30),
            faults: Span::seconds(40),
            healed: Span::seconds(40),
        },
        promises: Promises::default(),
        jobs: 2,
        keep_going: false,
    }
}

fn search(options: &Options, runner: &Runner<'_>) -> Summary {
    swarm::run(options, runner, &AtomicBool::new(false), &mut |_| {})
}

/// A report without a run, in which a promise may be broken.
fn report(scenario: &Scenario, broken: Option<&str>) -> RunReport {
    let mut nothing = scenario.clone();
    nothing.peers = 1;
    nothing.faults.clear();
    nothing.churn = None;
    nothing.network = scenario::Network::default();
    nothing.phases = Phases {
        stagger: Span::default(),
        settle: Span::default(),
        faults: Span::default(),
        healed: Span::seconds(1),
    };
    let mut report = run("planted", &nothing, Path::new(""), &mut ()).unwrap();
    report.checks = broken.map(check).into_iter().collect();
    report.outcome = if broken.is_some() { Outcome::Broken } else { Outcome::Held };
    report
}

fn check(promise: &str) -> Check {
    Check {
        promise: promise.to_owned(),
        held: false,
        measured: "planted".to_owned(),
        bound: None,
        violations: Vec::new(),
        violation_count: 1,
    }
}

fn has(scenario: &Scenario, name: &str) -> bool {
    scenario.faults.iter().any(|entry| entry.fault.name() == name)
}

/// Breaks whenever something crashes while clocks are wrong too.
fn planted(scenario: &Scenario, _: &dyn Fn() -> bool) -> Result<RunReport, RunError> {
    let breaks = has(scenario, "crash") && has(scenario, "clock");
    Ok(report(scenario, breaks.then_some("planted-promise")))
}

#[test]
fn a_violation_that_takes_two_faults_is_shrunk_to_these_two() {
    let summary = search(&small(1, 200), &planted);
    assert_eq!(summary.broken, 1);
    let last = summary.results.last().unwrap();
    assert_eq!(last.outcome, Outcome::Broken);
    let shrunk = last.shrunk.as_ref().unwrap();
    let mut kinds: Vec<&str> =
        shrunk.scenario.faults.iter().map(|entry| entry.fault.name()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["clock", "crash"]);
    assert_eq!(shrunk.breach.promise, "planted-promise");
    assert!(shrunk.complete);
}

#[test]
fn the_lowest_failing_seed_is_found_however_many_threads_there_are() {
    let with = |jobs| {
        let mut summary = search(&Options { jobs, ..small(1, 200) }, &planted);
        summary.wall_seconds = 0.0;
        summary.results.iter_mut().for_each(|result| result.wall_seconds = 0.0);
        summary
    };
    let one = with(1);
    assert_eq!(one, with(3));
    let seeds: Vec<u64> = one.results.iter().map(|result| result.seed).collect();
    assert_eq!(seeds, (1..=one.results.len() as u64).collect::<Vec<_>>());
}

#[test]
fn with_keep_going_every_seed_is_run() {
    let summary = search(&Options { keep_going: true, ..small(5, 40) }, &planted);
    assert_eq!(summary.results.len(), 40);
    assert_eq!(summary.held + summary.broken, 40);
    assert!(summary.broken > 1, "{}", summary.broken);
    assert!(
        summary
            .results
            .iter()
            .all(|result| { result.shrunk.is_some() == (result.outcome == Outcome::Broken) })
    );
}

#[test]
fn a_run_that_panics_is_a_failure_of_its_seed() {
    let runner = |scenario: &Scenario, _: &dyn Fn() -> bool| {
        assert!(scenario.seed != 3 || !has_any_fault(scenario), "planted panic");
        Ok(report(scenario, None))
    };
    let summary = search(&small(1, 5), &runner);
    let last = summary.results.last().unwrap();
    assert_eq!((last.seed, summary.held, summary.broken), (3, 2, 1));
    assert_eq!(last.breaches[0].promise, swarm::NO_PANIC);
    assert!(last.breaches[0].detail.contains("planted panic"));
    assert_eq!(last.shrunk.as_ref().unwrap().scenario.faults.len(), 1);
}

fn has_any_fault(scenario: &Scenario) -> bool {
    !scenario.faults.is_empty()
}

#[test]
fn a_search_that_is_stopped_tells_what_was_done() {
    let stop = AtomicBool::new(false);
    let runs = AtomicUsize::new(0);
    let runner = |scenario: &Scenario, _: &dyn Fn() -> bool| {
        runs.fetch_add(1, Ordering::Relaxed);
        Ok(report(scenario, None))
    };
    let options = Options { jobs: 1, ..small(1, 1_000) };
    let mut heard = 0;
    let summary = swarm::run(&options, &runner, &stop, &mut |news| {
        heard += usize::from(matches!(news, News::Ran(_)));
        stop.store(heard >= 3, Ordering::Relaxed);
    });
    assert!(summary.interrupted);
    assert_eq!(summary.broken, 0);
    assert_eq!(summary.held, runs.into_inner());
    assert!((3..1_000).contains(&summary.held), "{}", summary.held);
}

#[test]
fn a_promise_that_cannot_be_kept_is_broken_by_a_few_faults_that_run_again() {
    let promises = Promises { detection: Some(Span::millis(10)), ..Promises::default() };
    let options = Options { promises, ..small(1, 20) };
    let summary = search(&options, &swarm::simulate);
    let last = summary.results.last().unwrap();
    assert_eq!(last.outcome, Outcome::Broken, "{summary:?}");
    let shrunk = last.shrunk.as_ref().unwrap();
    assert_eq!(shrunk.breach.promise, "detection");
    assert!(shrunk.scenario.faults.len() <= 5, "{:?}", shrunk.scenario.faults);

    let text = shrunk.to_file("swarm.toml").unwrap();
    let read = scenario::load(&text, "swarm.toml").unwrap();
    let again = run("swarm.toml", &read, Path::new(""), &mut ()).unwrap();
    let broken: Vec<&str> = again
        .checks
        .iter()
        .filter(|check| !check.held)
        .map(|check| check.promise.as_str())
        .collect();
    assert_eq!(again.outcome, Outcome::Broken);
    assert!(broken.contains(&"detection"), "{broken:?}");
}

#[test]
fn drawn_faults_hold() {
    let summary = search(&Options { keep_going: true, ..small(103, 3) }, &swarm::simulate);
    let broken: Vec<_> = summary.results.iter().filter(|it| !it.breaches.is_empty()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}
