//! What an agent logs and keeps for others names no shard and nothing that clients said of one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::agent::{Agent, Place};
use super::daemon::{Daemon, MANIFEST};

/// What nobody but the host itself may read.
const MARK: &str = "MARK-7f3a";
/// What everybody may read.
const NAME: &str = "OPEN-91c4-name";

fn marked(root: &Path) -> Daemon {
    let mut daemon = Daemon::settle(root);
    for number in 0..12 {
        let metadata = json!({
            "message_id": format!("{MARK}-message-{number}"),
            "user_id": format!("{MARK}-user"),
        });
        let id = format!("{MARK}-shard-{number:02}");
        daemon.store_with(&id, format!("{MARK}-content-{number}").as_bytes(), metadata);
        daemon.amend(&id, "source_node", format!("{MARK}-node").into());
    }
    daemon
}

fn id(number: usize) -> String {
    format!("{MARK}-shard-{number:02}")
}

/// Files below a directory that hold a text, by their paths below it.
fn files_with(directory: &Path, text: &str) -> Vec<String> {
    let (mut found, mut waiting) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(path) = waiting.pop() {
        let it = fs::symlink_metadata(&path).unwrap();
        if it.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if it.is_file() {
            let bytes = fs::read(&path).unwrap();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                let below = path.strip_prefix(directory).unwrap();
                found.push(below.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// An agent that knows of marked shards of which some are harmed, each in another way.
fn harmed<'a>(place: &'a Place, daemon: &mut Daemon) -> Agent<'a> {
    let agent = Agent::start(place, &["--shards", daemon.root().to_str().unwrap()]);
    agent.until_sound(12);
    daemon.flip(&id(1));
    daemon.delete(&id(2));
    daemon.replace(&id(3), b"another");
    daemon.set_mode(&id(4), 0o000);
    fs::remove_file(daemon.file(&id(5))).unwrap();
    fs::write(daemon.file(&id(6)), MARK).unwrap();
    // Left alone, and counted in the log.
    std::os::unix::fs::symlink("/dev/null", daemon.file(&id(99))).unwrap();
    agent.until_findings(&[
        ("REPLICA_CORRUPT", 1),
        ("REPLICA_MISSING", 1),
        ("REPLICA_REPLACED", 1),
        ("REPLICA_TRUNCATED", 1),
        ("REPLICA_UNREADABLE", 1),
        ("REPLICA_VANISHED", 1),
    ]);
    agent
}

fn place() -> Place {
    Place::with(&format!("log.filter = 'info'\npeer.name = '{NAME}'\nscrub.deadline = '10s'\n"))
}

#[test]
fn neither_the_log_nor_the_store_names_a_shard_or_a_client() {
    let place = place();
    let mut daemon = marked(&place.path("shards"));
    let agent = harmed(&place, &mut daemon);
    // The manifest is torn, and then the whole directory is gone.
    fs::write(daemon.root().join(MANIFEST), "{\"").unwrap();
    let torn = |scrub: &Value| scrub["sources"][0]["staleManifest"] == true;
    agent.until("a torn manifest", &["scrub"], torn);
    fs::rename(daemon.root(), place.path("aside")).unwrap();
    agent.until("no directory", &["scrub"], |scrub| scrub["sources"][0]["fault"].is_string());
    assert!(agent.log().contains("INFO") && agent.log().contains("shards are looked at here"));
    agent.stop();

    let log = fs::read_to_string(place.path("log")).unwrap();
    assert!(!log.contains(MARK), "{log}");
    // What is remembered of shards by their ids stays in one place, and is sent to nobody.
    let data = place.path("data");
    let is_inventory = |path: &String| path.starts_with("inventory/");
    let telling = files_with(&data, MARK);
    assert!(!telling.is_empty() && telling.iter().all(is_inventory), "{telling:?}");
    assert!(files_with(&data, NAME).iter().any(|path| !is_inventory(path)));
}

#[test]
fn what_is_answered_of_all_peers_names_no_shard() {
    let place = place();
    let mut daemon = marked(&place.path("shards"));
    let agent = harmed(&place, &mut daemon);
    let said = |words: &[&str]| {
        let output = place.command().args(words).output().unwrap();
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat()
    };
    for words in [
        &["status"][..],
        &["peers", "-o", "wide"],
        &["peer", NAME],
        &["why", NAME],
        &["integrity", "-o", "json"],
        &["events", "-o", "json"],
        &["check"],
        &["metrics"],
    ] {
        let said = said(words);
        assert!(!said.is_empty() && !said.contains(MARK), "{words:?}: {said}");
    }
    assert!(said(&["shards"]).contains(MARK), "the host itself is told");
    agent.stop();
}

#[test]
fn what_a_broken_manifest_says_is_not_logged() {
    let place = place();
    let daemon = marked(&place.path("shards"));
    // A valid document, and not of the kind that is expected.
    let text = format!(r#"{{"{MARK}-shard": "{MARK}-user"}}"#);
    fs::write(daemon.root().join(MANIFEST), text).unwrap();
    let agent = Agent::start(&place, &["--shards", daemon.root().to_str().unwrap()]);
    agent.until_findings(&[("SOURCE_NOT_READABLE", 1)]);
    agent.stop();
    let log = fs::read_to_string(place.path("log")).unwrap();
    assert!(log.contains("WARN") && log.contains(MANIFEST), "{log}");
    assert!(!log.contains(MARK), "{log}");
}

#[test]
fn files_of_a_plain_tree_are_not_logged_by_name() {
    let place = place();
    let root = place.path("tree");
    let deep = root.join(format!("{MARK}-directory"));
    fs::create_dir_all(&deep).unwrap();
    let file = |number: usize| deep.join(format!("{MARK}-file-{number}"));
    for number in 0..12 {
        fs::write(file(number), [7; 64]).unwrap();
    }
    std::os::unix::fs::symlink("/dev/null", file(99)).unwrap();
    let agent = Agent::start(&place, &["--shards", root.to_str().unwrap()]);
    agent.until_sound(12);
    fs::write(file(1), "another").unwrap();
    fs::set_permissions(file(2), Permissions::from_mode(0o000)).unwrap();
    fs::remove_file(file(3)).unwrap();
    agent.until_findings(&[
        ("REPLICA_MODIFIED", 1),
        ("REPLICA_UNREADABLE", 1),
        ("REPLICA_VANISHED", 1),
    ]);
    agent.stop();
    let log = fs::read_to_string(place.path("log")).unwrap();
    assert!(log.contains("shards are looked at here") && !log.contains(MARK), "{log}");
}
