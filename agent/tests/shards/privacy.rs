//! What an agent logs and keeps for others names no shard and nothing that clients said of one.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::agent::{Agent, Place};
use super::daemon::Daemon;

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

#[test]
fn neither_the_log_nor_the_store_names_a_shard_or_a_client() {
    let config = format!("log.filter = 'info'\npeer.name = '{NAME}'\nscrub.deadline = '10s'\n");
    let place = Place::with(&config);
    let mut daemon = marked(&place.path("shards"));
    let agent = Agent::start(&place, &["--shards", daemon.root().to_str().unwrap()]);
    agent.until_sound(12);
    daemon.flip(&id(1));
    daemon.delete(&id(2));
    daemon.replace(&id(3), b"another");
    daemon.set_mode(&id(4), 0);
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
    // The manifest is torn, and then the whole directory is gone.
    fs::write(daemon.root().join("shards_database.json"), "{\"").unwrap();
    agent
        .until("a torn manifest", &["scrub"], |scrub| scrub["sources"][0]["staleManifest"] == true);
    fs::rename(daemon.root(), place.path("aside")).unwrap();
    agent.until("no directory", &["scrub"], |scrub| scrub["sources"][0]["fault"].is_string());
    assert!(agent.log().contains("INFO") && agent.log().contains("shards are looked at here"));
    agent.stop();

    let log = fs::read_to_string(place.path("log")).unwrap();
    assert!(!log.contains(MARK), "{log}");
    // What is remembered of shards by their ids stays in one place, and is sent to nobody.
    let data = place.path("data");
    let telling = files_with(&data, MARK);
    assert!(
        !telling.is_empty() && telling.iter().all(|it| it.starts_with("inventory/")),
        "{telling:?}"
    );
    assert!(files_with(&data, NAME).iter().any(|it| !it.starts_with("inventory/")));
}
