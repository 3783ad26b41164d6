//! Directories that go away or are exchanged, and what an operator has the scrub do.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::agent::{Agent, Place};
use super::daemon::Daemon;

/// A scrub that somebody waits for.
const QUICK: &str = "[scrub]\ndeadline = '10s'\n";

fn filled(root: &Path, shards: usize) -> Daemon {
    let mut daemon = Daemon::settle(root);
    for number in 0..shards {
        daemon.store(&format!("s{number:02}"), &vec![7; 100 + number]);
    }
    daemon
}

/// A configuration with one source.
fn source(root: &Path) -> String {
    format!("{QUICK}[[source]]\nroot = '{}'\n", root.display())
}

fn chosen(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["items"][0]["chosenShards"].clone()
}

#[test]
fn a_directory_that_is_gone_is_told_alone_and_none_of_its_shards_is_accused() {
    let place = Place::with("");
    let daemon = filled(&place.path("shards"), 12);
    place.configure(&source(daemon.root()));
    let agent = Agent::start(&place, &[]);
    agent.until_sound(12);
    fs::rename(daemon.root(), place.path("aside")).unwrap();
    let integrity = agent.until_findings(&[("SOURCE_ABSENT", 1)]);
    assert_eq!(integrity["verdicts"]["ok"], 12, "{integrity}");
    fs::rename(place.path("aside"), daemon.root()).unwrap();
    agent.until_sound(12);
}

#[test]
fn a_scrub_that_is_started_reads_every_shard_at_once() {
    // By itself it would read them tomorrow.
    let place = Place::with("");
    let daemon = filled(&place.path("shards"), 12);
    let agent = Agent::start(&place, &["--shards", daemon.root().to_str().unwrap()]);
    agent.until_sound(12);
    agent.until("nothing to read", &["scrub"], |scrub| scrub["dueShards"] == 0);
    assert_eq!(chosen(&agent.run(&["scrub", "start"])), 12);
    agent.until("all read twice", &["scrub"], |scrub| {
        scrub["filesRead"] == 24 && scrub["dueShards"] == 0
    });
}

#[test]
fn a_shard_that_vanished_is_told_until_that_is_accepted() {
    let place = Place::with(QUICK);
    let mut daemon = filled(&place.path("shards"), 12);
    let agent = Agent::start(&place, &["--shards", daemon.root().to_str().unwrap()]);
    agent.until_sound(12);
    daemon.delete("s03");
    agent.until_findings(&[("REPLICA_VANISHED", 1)]);
    assert_eq!(chosen(&agent.run(&["scrub", "accept", "--verdict", "vanished"])), 1);
    agent.until_sound(11);
}

#[test]
fn what_a_record_contradicts_cannot_be_accepted() {
    let place = Place::with("");
    let output = place.command().args(["scrub", "accept", "--verdict", "corrupt"]).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("corrupt"), "{text}");
}

#[test]
fn a_hangup_has_the_agent_look_at_another_directory() {
    let place = Place::with("");
    let (old, new) = (filled(&place.path("old"), 12), filled(&place.path("new"), 5));
    place.configure(&source(old.root()));
    let agent = Agent::start(&place, &[]);
    agent.until_sound(12);
    place.configure(&source(new.root()));
    agent.hang_up();
    agent.until_sound(5);
    let scrub = agent.until("one source", &["scrub"], |_| true);
    let roots = scrub["sources"].as_array().unwrap();
    assert_eq!(roots.len(), 1, "{scrub}");
    assert_eq!(roots[0]["root"], new.root().to_str().unwrap(), "{scrub}");
    // What happens where it looked before is nothing to it.
    fs::remove_dir_all(old.root()).unwrap();
    assert_eq!(chosen(&agent.run(&["scrub", "start"])), 5);
    agent.until("all read", &["scrub"], |scrub| scrub["dueShards"] == 0);
    agent.until_findings(&[]);
}
