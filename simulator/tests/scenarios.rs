//! What scenarios promise to those who run them: every built-in one holds at reduced size, one
//! scenario is one run, and what nobody could have meant is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a check fails by panicking"
)]

use std::path::Path;
use std::time::Duration;

use plexmesh_simulator::World;
use plexmesh_simulator::report::{Outcome, RunReport, Wall};
use plexmesh_simulator::run::{Progress, Watch, run};
use plexmesh_simulator::scenario::{Fault, LinkChange, Scenario, Span, builtin, builtins, load};

/// Enough that every fault finds somebody: the scenarios name peers up to 14, and draw down to 1 %.
const PEERS: usize = 24;

fn reduced(name: &str) -> Scenario {
    let mut scenario = builtin(name).expect("it is built in").load().expect("it is valid");
    scenario.set_peers(PEERS.min(scenario.peers));
    let fixed = scenario.phases.settle.0 + scenario.phases.healed.0;
    scenario.set_total(fixed + Duration::from_secs(100)).expect("something is left for faults");
    scenario
}

fn played(scenario: &Scenario) -> RunReport {
    run("test", scenario, Path::new(""), &mut ()).expect("it can be run")
}

fn holds(name: &str) {
    let report = played(&reduced(name));
    let broken: Vec<_> = report.checks.iter().filter(|check| !check.held).collect();
    assert_eq!(report.outcome, Outcome::Held, "{broken:#?}\n{:#?}", report.happenings);
}

macro_rules! scenarios_hold {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            holds($name);
        })*

        #[test]
        fn no_built_in_scenario_is_left_out_here() {
            let names: Vec<_> = builtins().iter().map(|builtin| builtin.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

scenarios_hold! {
    a_small_office_holds: "small-office",
    home_peers_hold: "home-peers",
    three_regions_hold: "three-regions",
    planetlab_holds: "planetlab",
    gray_failures_hold: "gray-failures",
    flip_flops_hold: "flip-flop",
    a_rolling_restart_holds: "rolling-restart",
    a_mass_restart_holds: "mass-restart",
    a_mass_crash_holds: "mass-crash",
    a_long_partition_holds: "long-partition",
    churn_holds: "churn",
    byzantine_peers_hold: "byzantine",
    clock_trouble_holds: "clock-trouble",
    starved_observers_hold: "starved-observers",
    a_thousand_idle_peers_hold: "thousand-idle",
}

/// A short run with something of everything in it.
const EVENTFUL: &str = r#"
format = 1
title = "Something of everything"
peers = 12
seed = 5

[phases]
stagger = "2s"
settle = "30s"
faults = "60s"
healed = "30s"

[[groups]]
name = "far"
peers = 3
conditions = { loss = 0.02, jitter = "9ms" }

[churn]
peers = 1
session = "20s"
absence = "10s"

[[faults]]
at = "5s"
for = "20s"
fault = "crash"
peers = 2

[[faults]]
at = "10s"
for = "20s"
fault = "flip-flop"
peers = "far"
off = "3s"
on = "3s"

[[faults]]
at = "40s"
fault = "join"
count = 1
"#;

fn eventful() -> Scenario {
    load(EVENTFUL, "eventful.toml").expect("it is valid")
}

#[test]
fn one_scenario_is_one_report_but_for_the_wall() {
    let timeless = |mut report: RunReport| {
        report.wall = Wall::default();
        report
    };
    assert_eq!(timeless(played(&eventful())), timeless(played(&eventful())));
}

#[test]
fn another_seed_link_or_fault_is_another_run() {
    let first = played(&eventful()).event_hash;
    let changed = |change: fn(&mut Scenario)| {
        let mut scenario = eventful();
        change(&mut scenario);
        played(&scenario).event_hash
    };
    let seed = changed(|scenario| scenario.seed += 1);
    let link = changed(|scenario| {
        let latency = Span::millis(77);
        scenario.network.links.push(LinkChange { from: 0, to: 1, latency });
    });
    let fault = changed(|scenario| {
        if let Fault::Crash { lose_state, .. } = &mut scenario.faults[0].fault {
            *lose_state = true;
        }
    });
    for other in [&seed, &link, &fault] {
        assert_ne!(&first, other);
    }
}

#[test]
fn peers_that_join_are_there_and_those_that_crashed_for_good_are_not() {
    let mut scenario = eventful();
    scenario.churn = None;
    scenario.faults[0].lasts = None;
    let report = played(&scenario);
    let running: Vec<_> = report.series.iter().map(|sample| sample.running).collect();
    assert_eq!((running[29], *running.last().unwrap()), (12, 12 - 2 + 1), "{running:?}");
    assert_eq!(report.series.len(), 120);
    assert_eq!(report.detections.len(), 2);
}

struct StopAt(Duration);

impl Watch for StopAt {
    fn tick(&mut self, _: &World, progress: &Progress<'_>) -> bool {
        progress.elapsed < self.0
    }
}

#[test]
fn an_interrupted_run_reports_what_was_seen_until_then() {
    let mut watch = StopAt(Duration::from_secs(50));
    let report = run("test", &eventful(), Path::new(""), &mut watch).unwrap();
    assert_eq!(report.outcome, Outcome::Interrupted);
    assert_eq!((report.series.len(), report.virtual_seconds), (50, 50.0));
}

#[test]
fn stretching_a_run_stretches_its_faults() {
    let mut scenario = eventful();
    scenario.set_total(Duration::from_secs(60 + 120)).unwrap();
    let first = &scenario.faults[0];
    assert_eq!((first.at, first.lasts), (Span::seconds(10), Some(Span::seconds(40))));
    assert!(eventful().set_total(Duration::from_secs(60)).is_err());
}

#[test]
fn the_examples_of_the_manual_are_valid() {
    let manual = include_str!("../../docs/simulator.md");
    let examples: Vec<&str> = manual
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        load(example, "docs/simulator.md").unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}
