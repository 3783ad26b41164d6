use super::*;
use crate::scenario::Phases;
use crate::swarm::{Options, draw};

fn has(scenario: &Scenario, name: &str) -> bool {
    scenario.faults.iter().any(|entry| entry.fault.name() == name)
}

/// The first drawn scenario of this kind.
fn drawn(which: impl Fn(&Scenario) -> bool) -> Scenario {
    let mut all = (1..).map(|seed| draw::scenario(seed, 30, Options::usual_phases()));
    all.find(|scenario| which(scenario)).expect("seeds without end")
}

#[test]
fn two_faults_that_break_together_are_all_that_is_left() {
    let whole = drawn(|scenario| {
        scenario.faults.len() >= 6 && has(scenario, "crash") && has(scenario, "partition")
    });
    let mut runs = 0;
    let smallest = shrink(&whole, MAX_RUNS, &mut |scenario| {
        runs += 1;
        Some(has(scenario, "crash") && has(scenario, "partition"))
    });
    let left: Vec<&str> = smallest.scenario.faults.iter().map(|entry| entry.fault.name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(has(&smallest.scenario, "crash") && has(&smallest.scenario, "partition"));
    assert!(smallest.complete);
    assert_eq!(smallest.runs, runs);
    assert_eq!(smallest.scenario.network, crate::scenario::Network::default());
    assert_eq!(smallest.scenario.churn, None);
    for entry in &smallest.scenario.faults {
        assert!(entry.lasts.is_none_or(|lasts| lasts < Span::seconds(2)), "{entry:?}");
        assert!(entry.fault.sets().all(|(_, who)| size_of(who) == 1), "{entry:?}");
    }
}

#[test]
fn what_is_needed_of_a_fault_stays() {
    let phases = Phases::default();
    let mut whole = draw::scenario(1, 20, phases);
    whole.faults = vec![Entry {
        at: Span::seconds(10),
        lasts: Some(Span::seconds(40)),
        fault: Fault::Crash {
            peers: Who::Listed(vec![1, 5, 9, 13, 17]),
            process_only: true,
            lose_state: true,
        },
    }];
    let smallest = shrink(&whole, MAX_RUNS, &mut |scenario| {
        Some(scenario.faults.iter().any(|entry| match &entry.fault {
            Fault::Crash { peers: Who::Listed(peers), lose_state: true, .. } => {
                peers.contains(&5) && peers.contains(&17) && entry.lasts >= Some(Span::seconds(15))
            }
            _ => false,
        }))
    });
    assert_eq!(
        smallest.scenario.faults,
        vec![Entry {
            at: Span::seconds(10),
            lasts: Some(Span::seconds(20)),
            fault: Fault::Crash {
                peers: Who::Listed(vec![5, 17]),
                process_only: false,
                lose_state: true
            },
        }]
    );
}

#[test]
fn a_search_ends_with_its_runs_and_keeps_what_it_has() {
    let whole = drawn(|scenario| scenario.faults.len() >= 6);
    let smallest = shrink(&whole, 3, &mut |_| Some(false));
    assert_eq!((smallest.runs, smallest.complete), (3, false));
    assert_eq!(smallest.scenario, whole);
    let stopped = shrink(&whole, MAX_RUNS, &mut |_| None);
    assert_eq!((stopped.runs, stopped.complete), (1, false));
}

#[test]
fn nothing_is_run_twice() {
    let whole = drawn(|scenario| scenario.faults.len() >= 6 && has(scenario, "loss"));
    let mut seen = Vec::new();
    shrink(&whole, MAX_RUNS, &mut |scenario| {
        assert!(!seen.contains(scenario), "{scenario:?}");
        seen.push(scenario.clone());
        Some(has(scenario, "loss"))
    });
    assert!(seen.len() > 5);
}
