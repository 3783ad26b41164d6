//! Other protocols in the simulator's world: each does what its rules promise, the same seed gives
//! the same run, and what cannot be compared is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use plexmesh_simulator::compare::{self, Outcome, Protocol, scenario, scenarios};
use plexmesh_simulator::report::Wall;
use plexmesh_simulator::scenario::{Scenario, load};
use serde_json::Value;

/// Small enough for a test, and large enough that news needs several rounds.
const PEERS: usize = 40;

fn small(name: &str) -> Scenario {
    let mut scenario = scenario(name).expect("it is there").load().expect("it is valid");
    scenario.set_peers(PEERS);
    scenario
}

fn play(scenario: &Scenario, protocol: Protocol) -> Outcome {
    let outcome = compare::run(scenario, protocol, Path::new(""), &mut ()).expect("it can be run");
    Outcome { wall: Wall::default(), ..outcome }
}

/// One peer dies at 0 % loss: all know within `seconds`, and nobody is accused.
fn knows_a_crash(protocol: Protocol, seconds: f64) {
    let outcome = play(&small("crash"), protocol);
    let detection = outcome.detection;
    assert_eq!(
        (detection.pairs, detection.pairs_known, detection.crashes_known_to_all),
        (PEERS - 1, PEERS - 1, 1),
        "{outcome:#?}"
    );
    let took = detection.all_latest_seconds.expect("all knew");
    assert!(took > 0.5 && took < seconds, "{took} s");
    assert!(detection.p50_seconds <= detection.latest_seconds);
    assert_eq!(outcome.false_positives.pairs, 0, "{outcome:#?}");
    let agreement = outcome.agreement;
    assert_eq!((agreement.well, agreement.agreeing, agreement.is_truth), (PEERS - 1, 1.0, true));
    assert_eq!(outcome.faulty, None);
    assert!(outcome.sent.mean > 0.0 && outcome.sent.mean <= outcome.sent.max);
}

#[test]
fn plexmesh_knows_a_crash() {
    knows_a_crash(Protocol::Plexmesh, 5.0);
}

/// A probe or two (of round-robin lists, so of one in forty seconds somebody's), a suspicion of
/// 6.4 s, and the way of the news.
#[test]
fn foca_knows_a_crash() {
    knows_a_crash(Protocol::Foca, 12.0);
}

#[test]
fn plain_swim_knows_a_crash() {
    knows_a_crash(Protocol::Swim, 20.0);
}

/// Eight mean intervals, smoothed by the prior.
#[test]
fn scuttlebutt_knows_a_crash() {
    knows_a_crash(Protocol::Scuttlebutt, 15.0);
}

#[test]
fn a_partition_heals_where_somebody_asks_the_other_side() {
    for protocol in [Protocol::Plexmesh, Protocol::Foca, Protocol::Scuttlebutt] {
        let agreement = play(&small("partition"), protocol).agreement;
        assert!(agreement.seconds_after_healing.is_some(), "{protocol:?}: {agreement:?}");
        assert!(agreement.is_truth, "{protocol:?}: {agreement:?}");
    }
}

#[test]
fn plain_swim_never_heals_a_partition() {
    let outcome = play(&small("partition"), Protocol::Swim);
    assert_eq!(outcome.agreement.seconds_after_healing, None);
    // Either side holds the other one to be gone, though it is there again.
    let across = 2 * (PEERS * 3 / 10) * (PEERS * 7 / 10);
    assert!(outcome.false_positives.pairs >= across, "{outcome:#?}");
}

#[test]
fn a_peer_that_comes_back_is_taken_up_again() {
    let mut scenario = small("crash");
    for entry in &mut scenario.faults {
        entry.lasts = Some(plexmesh_simulator::scenario::Span::seconds(40));
    }
    for protocol in Protocol::ALL {
        let outcome = play(&scenario, protocol);
        assert_eq!(outcome.detection.pairs_known, PEERS - 1, "{outcome:#?}");
        let agreement = outcome.agreement;
        assert_eq!((agreement.well, agreement.agreeing), (PEERS, 1.0), "{outcome:#?}");
        assert!(agreement.is_truth, "{outcome:#?}");
    }
}

#[test]
fn those_that_lose_what_reaches_them_are_counted_as_ill() {
    let outcome = play(&small("gray"), Protocol::Foca);
    assert_eq!(outcome.faulty.expect("somebody was ill").peers, 1);
    assert_eq!(play(&small("flip"), Protocol::Foca).faulty.expect("here too").peers, 1);
}

#[test]
fn loss_costs_every_protocol_something_and_plexmesh_no_peer() {
    let outcome = play(&small("loss"), Protocol::Plexmesh);
    assert_eq!((outcome.false_positives.pairs, outcome.detection.pairs_known), (0, PEERS - 1));
}

#[test]
fn one_seed_is_one_run_and_another_seed_another_one() {
    for protocol in Protocol::ALL {
        let mut scenario = small("gray");
        scenario.set_total(Duration::from_secs(150)).unwrap();
        let first = play(&scenario, protocol);
        assert_eq!(first, play(&scenario, protocol));
        scenario.seed += 1;
        assert_ne!(first.event_hash, play(&scenario, protocol).event_hash);
    }
}

#[test]
fn what_not_all_protocols_can_have_is_refused_by_its_place() {
    let head = "format = 1\ntitle = \"x\"\npeers = 9\n[[faults]]\nat = \"1s\"\npeers = 1\n";
    for (fault, key) in [
        ("fault = \"lie\"\nlie = \"forger\"", "faults[0].fault"),
        ("fault = \"pause\"", "faults[0].fault"),
        ("fault = \"leave\"", "faults[0].fault"),
        ("fault = \"clock\"\njump-ms = 5", "faults[0].fault"),
        ("fault = \"crash\"\nlose-state = true", "faults[0].lose-state"),
    ] {
        let scenario = load(&format!("{head}{fault}\n"), "mine").unwrap();
        let refused = compare::prepare(&scenario, &Protocol::ALL).unwrap_err().to_string();
        assert!(refused.contains(key), "{refused}");
    }
}

#[test]
fn a_digest_that_fits_no_datagram_is_refused_where_there_is_one() {
    let mut scenario = small("crash");
    scenario.set_peers(1_310);
    let refused = compare::prepare(&scenario, &Protocol::ALL).unwrap_err().to_string();
    assert!(refused.contains("peers") && refused.contains("1309"), "{refused}");
    assert!(compare::prepare(&scenario, &[Protocol::Plexmesh, Protocol::Foca]).is_ok());
}

#[test]
fn every_scenario_can_be_compared_at_its_own_size() {
    for scenario in scenarios() {
        let scenario = scenario.load().expect("it is valid");
        assert_eq!(scenario.peers, 1_000);
        assert!(compare::prepare(&scenario, &Protocol::ALL).is_ok());
    }
}

fn command(arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plexmesh-sim"));
    command.arg("compare").args(arguments).output().expect("the program runs")
}

#[test]
fn the_command_prints_a_table_or_json() {
    let options = ["--scenario", "crash", "--peers", "20", "--protocols", "foca,scuttlebutt"];
    let table = command(&options);
    let text = String::from_utf8(table.stdout).unwrap();
    for said in ["foca, LAN", "scuttlebutt+phi (reimplemented)", "1 of 1", "survivors that knew"] {
        assert!(text.contains(said), "{text}");
    }
    let json = command(&[&options[..], &["--seed", "5", "-o", "json"]].concat());
    let document: Value = serde_json::from_slice(&json.stdout).expect("it is JSON");
    assert_eq!(
        (document["kind"].as_str(), document["scenario"]["seed"].as_u64()),
        (Some("SimulationComparison"), Some(5))
    );
    assert_eq!(document["protocols"][1]["detection"]["pairs"], 19);
}

#[test]
fn the_command_says_what_it_cannot_do() {
    for (arguments, said) in [
        (["--scenario", "crahs", "--peers", "20"], "did you mean `crash`?"),
        (["--scenario", "gray", "--protocols", "focca"], "did you mean `foca`?"),
        (["--scenario", "byzantine", "--peers", "20"], "liars speak plexmesh alone"),
    ] {
        let output = command(&arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(said), "{error}");
    }
}
