//! An agent that is killed at any moment forgets no shard that it said was on disk, and no finding
//! that it told. `KILLS` (15 unless it is set) says how often it is killed; `SEED` at which moments.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tempfile::TempDir;

#[path = "support/command.rs"]
mod command;
#[path = "support/environment.rs"]
mod environment;
#[path = "support/process.rs"]
mod process;
#[path = "support/wait.rs"]
mod wait;

use environment::number;
use process::Process;
use wait::until;

const KILLS: u32 = 15;
/// How long a process lives: from a start that is cut short to an agent at rest.
const ALIVE_MS: std::ops::Range<u64> = 20..1_500;
/// One in so many kills finds a shard deleted that was there.
const DELETIONS: u32 = 3;

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(place.shards()).unwrap();
        fs::write(place.dir.path().join("x.toml"), "").unwrap();
        assert!(place.plexmesh(&["init"]).output().unwrap().status.success());
        place
    }

    fn shards(&self) -> PathBuf {
        self.dir.path().join("shards")
    }

    fn plexmesh(&self, words: &[&str]) -> Command {
        let mut command = command::plexmesh();
        command.arg("--config").arg(self.dir.path().join("x.toml"));
        command.arg("--data-dir").arg(self.dir.path().join("data")).args(words);
        command
    }

    fn run(&self) -> Process {
        let mut command = self.plexmesh(&["run", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"]);
        command.arg("--shards").arg(self.shards());
        Process::start(command, &self.dir.path().join("log"))
    }

    /// The ids of shards with one of these verdicts.
    fn with(&self, verdicts: &[&str]) -> Result<BTreeSet<String>, String> {
        let mut command = self.plexmesh(&["shards"]);
        for verdict in verdicts {
            command.args(["--verdict", verdict]);
        }
        let document = process::json(command)?;
        let items = document["items"].as_array().unwrap().iter();
        Ok(items.map(|it| it["id"].as_str().unwrap().to_owned()).collect())
    }

    /// Whether all that the agent knew a moment ago is on disk.
    fn is_saved(&self) -> bool {
        let scrub = process::json(self.plexmesh(&["scrub"]));
        scrub.is_ok_and(|it: Value| it["items"][0]["unsavedChanges"] == 0)
    }

    /// Shards that are known and on disk.
    fn acknowledged(&self) -> BTreeSet<String> {
        let known = self.with(&["ok"]).unwrap_or_default();
        if self.is_saved() { known } else { BTreeSet::new() }
    }

    /// Changes a bit of a shard behind the agent's back.
    fn damage(&self, id: &str) {
        let file = fs::File::options().write(true).open(self.shards().join(id)).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.write_all_at(b"X", 0).unwrap();
        file.set_modified(modified).unwrap();
    }
}

#[test]
fn a_killed_agent_forgets_nothing_that_it_said_was_on_disk() {
    let (kills, seed) = (number("KILLS", KILLS), number("SEED", 1));
    println!("KILLS={kills} SEED={seed}");
    let (place, mut random) = (Place::new(), StdRng::seed_from_u64(seed));
    let (mut intact, mut damaged, mut deleted) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for kill in 0..kills {
        let id = format!("shard-{kill}");
        let agent = place.run();
        fs::write(place.shards().join(&id), format!("content of {id}")).unwrap();
        intact.insert(id);
        let end = Instant::now() + Duration::from_millis(random.random_range(ALIVE_MS));
        let mut acknowledged = BTreeSet::new();
        while Instant::now() < end {
            acknowledged = place.acknowledged();
            sleep(Duration::from_millis(random.random_range(1..100)));
        }
        drop(agent);
        let known: Vec<String> = acknowledged.intersection(&intact).cloned().collect();
        for id in &known {
            intact.remove(id);
            if random.random_range(0..DELETIONS) == 0 {
                fs::remove_file(place.shards().join(id)).unwrap();
                deleted.insert(id.clone());
            } else {
                place.damage(id);
                damaged.insert(id.clone());
            }
        }
    }
    assert!(!damaged.is_empty() && !deleted.is_empty(), "no shard was acknowledged");
    let _agent = place.run();
    until("every shard that changed while nobody looked is told", || {
        let told = (
            place.with(&["ok"])?,
            place.with(&["corrupt", "modified"])?,
            place.with(&["vanished", "evicted"])?,
        );
        let expected = (&intact, &damaged, &deleted);
        if (&told.0, &told.1, &told.2) == expected {
            Ok(())
        } else {
            Err(format!("told {told:?}, expected {expected:?}"))
        }
    });
}
