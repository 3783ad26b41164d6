//! An agent takes a Backup Node's directory as it lies, and leaves it as it was.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::agent::{Agent, Place};
use super::daemon::Daemon;
use super::witness::{Watch, entries};

/// Shards of several sizes: none at all, one byte, and more than any one buffer holds.
const SIZES: [(&str, usize); 6] = [
    ("msg_000001_0", 0),
    ("msg_000001_1", 1),
    ("msg_000002_0", 4_096),
    ("msg_000002_1", 65_537),
    ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", 300 * 1024),
    ("msg_000003_0", 1_024 * 1024 + 3),
];

fn filled(place: &Place) -> Daemon {
    let mut daemon = Daemon::settle(&place.path("shards"));
    for (number, (id, size)) in (0_u8..).zip(SIZES) {
        let content: Vec<u8> = (0..size).map(|at| (at as u8).wrapping_mul(31) ^ number).collect();
        let metadata = match number % 2 {
            0 => Value::Null,
            _ => json!({"message_id": format!("m-{number}"), "user_id": "u-17"}),
        };
        daemon.store_with(id, &content, metadata);
    }
    daemon
}

#[test]
fn a_directory_is_adopted_by_its_name_alone() {
    let place = Place::with("");
    let daemon = filled(&place);
    let agent = Agent::start(&place, &["--shards", daemon.root().to_str().unwrap()]);
    let integrity = agent.until_sound(SIZES.len());
    assert_eq!(integrity["status"], "OK", "{integrity}");
    assert_eq!(integrity["peers"][0]["sources"], 1, "{integrity}");
    let scrub = agent.until("a scrub", &["scrub"], |_| true);
    assert_eq!(scrub["sources"][0]["kind"], "backup-node");
    let output = agent.run(&["shards"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut listed: Vec<(&str, u64)> = Vec::new();
    for shard in document["items"].as_array().unwrap() {
        assert_eq!(shard["verdict"], "ok", "{shard}");
        assert_eq!(shard["sizeBytes"], shard["expectedSizeBytes"], "{shard}");
        listed.push((shard["id"].as_str().unwrap(), shard["sizeBytes"].as_u64().unwrap()));
    }
    listed.sort_unstable();
    let mut expected = SIZES.map(|(id, size)| (id, size as u64));
    expected.sort_unstable();
    assert_eq!(listed, expected);
    agent.stop();
}

#[test]
fn nothing_in_a_directory_is_changed() {
    let place = Place::with("scrub.deadline = '10s'");
    let daemon = filled(&place);
    let before = entries(daemon.root());
    let agent = Agent::start(&place, &["--shards", daemon.root().to_str().unwrap()]);
    agent.until_sound(SIZES.len());
    agent.until("every file read twice", &["scrub"], |scrub| {
        scrub["filesRead"].as_u64() >= Some(2 * SIZES.len() as u64)
    });
    agent.stop();
    assert_eq!(entries(daemon.root()), before);
}

#[test]
fn no_file_but_the_shards_and_their_manifest_is_ever_opened() {
    let place = Place::with("");
    let daemon = filled(&place);
    let watch = Watch::on(daemon.root());
    let agent = Agent::start(&place, &["--shards", daemon.root().to_str().unwrap()]);
    agent.until_sound(SIZES.len());
    agent.stop();
    let mut expected: BTreeSet<String> =
        SIZES.iter().map(|(id, _)| format!("shard_{id}")).collect();
    expected.insert("shards_database.json".to_owned());
    assert_eq!(watch.opened(), expected);
    // The watch would have told of a key that is opened.
    std::fs::read(daemon.root().join("encryption.key")).unwrap();
    assert_eq!(watch.opened(), BTreeSet::from(["encryption.key".to_owned()]));
}
