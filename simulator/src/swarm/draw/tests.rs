use std::collections::BTreeSet;

use super::*;
use crate::scenario::Latency;
use crate::swarm::Options;

fn drawn(seeds: u64, peers: usize) -> impl Iterator<Item = Scenario> {
    (1..=seeds).map(move |seed| scenario(seed, peers, Options::usual_phases()))
}

fn hosts(who: &Who) -> &[usize] {
    match who {
        Who::Listed(hosts) => hosts,
        Who::Count(_) | Who::Named(_) => panic!("{who:?} leaves open who it is"),
    }
}

#[test]
fn every_drawn_scenario_is_valid_and_reads_back_from_its_file() {
    for peers in [MIN_PEERS, 9, 20, 60] {
        for scenario in drawn(150, peers) {
            let seed = scenario.seed;
            scenario.validate().unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
            let text = scenario.to_toml().expect("a valid scenario can be written");
            let read = crate::scenario::load(&text, "drawn.toml");
            assert_eq!(read.expect("what was written can be read"), scenario);
        }
    }
}

#[test]
fn a_short_phase_has_room_for_faults_too() {
    let phases = Phases { faults: SHORTEST_PHASE, ..Options::usual_phases() };
    for seed in 1..=100 {
        let scenario = scenario(seed, 12, phases);
        scenario.validate().unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
    }
}

#[test]
fn the_same_seed_draws_the_same_and_another_one_does_not() {
    let first = |seed| scenario(seed, 30, Options::usual_phases());
    assert_eq!(first(7), first(7));
    assert_ne!(first(7).faults, first(8).faults);
}

#[test]
fn every_kind_of_fault_and_every_model_of_latency_is_drawn() {
    let kinds: BTreeSet<&str> = drawn(300, 40)
        .flat_map(|scenario| scenario.faults.into_iter().map(|entry| entry.fault.name()))
        .collect();
    assert_eq!(kinds.len(), 16, "{kinds:?}");
    let (mut uniform, mut matrix, mut regions, mut generated, mut churn) = (0, 0, 0, 0, 0);
    for scenario in drawn(300, 40) {
        churn += usize::from(scenario.churn.is_some());
        match scenario.network.latency {
            Latency::Uniform { .. } => uniform += 1,
            Latency::Matrix { .. } => matrix += 1,
            Latency::Regions { .. } => regions += 1,
            Latency::Generated { .. } => generated += 1,
            Latency::Graphml { .. } => {}
        }
    }
    for drawn in [uniform, matrix, regions, generated, churn] {
        assert!(drawn >= 20, "{:?}", [uniform, matrix, regions, generated, churn]);
    }
}

#[test]
fn most_peers_are_left_alone_at_any_time_and_nine_of_ten_never_lie() {
    for scenario in drawn(200, 60) {
        let mut liars = BTreeSet::new();
        let mut taken: Vec<(Duration, Duration, &[usize])> = Vec::new();
        if let Some(churn) = &scenario.churn {
            taken.push((Duration::ZERO, Duration::MAX, hosts(&churn.peers)));
        }
        for entry in &scenario.faults {
            let until = entry.lasts.map_or(Duration::MAX, |lasts| entry.at.0 + lasts.0);
            match &entry.fault {
                Fault::Lie { peers, .. } => liars.extend(hosts(peers).iter().copied()),
                Fault::Crash { peers, .. }
                | Fault::Pause { peers }
                | Fault::Sleep { peers }
                | Fault::Leave { peers }
                | Fault::Starve { peers, .. }
                | Fault::Loss { peers, .. }
                | Fault::FlipFlop { peers, .. } => taken.push((entry.at.0, until, hosts(peers))),
                _ => {}
            }
        }
        assert!(liars.len() <= 6, "seed {}: {liars:?}", scenario.seed);
        for moment in (0..120).map(Duration::from_secs) {
            let now = taken.iter().filter(|(from, until, _)| *from <= moment && moment < *until);
            let affected: BTreeSet<usize> =
                now.flat_map(|(_, _, hosts)| hosts.iter().copied()).collect();
            assert!(affected.len() * 2 < 60, "seed {}: {affected:?}", scenario.seed);
        }
    }
}
