//! The databases of an agent: what an operator does for them, and a disk that is full or breaks them
//! while shards are read.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

#[path = "support/command.rs"]
mod command;
#[path = "support/process.rs"]
mod process;
#[path = "support/wait.rs"]
mod wait;

use process::Process;
use wait::until;

/// Exit codes.
const DAMAGED: i32 = 1;
const IN_USE: i32 = 8;
/// Shards are looked at every few seconds.
const DEADLINE: &str = "40s";
/// Room of the disk that is filled.
const DISK: &str = "size=16m";

/// A data directory, and shards beside it.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("shards")).unwrap();
        fs::create_dir(place.path("data")).unwrap();
        fs::write(place.path("x.toml"), "").unwrap();
        place
    }

    fn init(self) -> Self {
        let made = self.plexmesh(&["init"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn shard(&self, number: u32) {
        fs::write(self.path("shards").join(format!("shard-{number}")), number.to_string()).unwrap();
    }

    fn plexmesh(&self, words: &[&str]) -> Command {
        let mut command = command::plexmesh();
        command.arg("--config").arg(self.path("x.toml"));
        command.arg("--data-dir").arg(self.path("data"));
        command.arg("--socket").arg(self.path("socket")).args(words);
        command
    }

    fn run(&self) -> Process {
        let mut command = self.plexmesh(&["run", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"]);
        command.arg("--shards").arg(self.path("shards"));
        command.env("PLEXMESH_SCRUB__DEADLINE", DEADLINE);
        Process::start(command, &self.path("log"))
    }

    fn store(&self, verb: &str) -> (Output, Value) {
        let output = self.plexmesh(&["store", verb, "-o", "json"]).output().unwrap();
        let document = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output, document)
    }

    /// Waits until so many shards are ok.
    fn wait_for_ok(&self, count: usize) {
        until("all shards are ok", || {
            let document =
                process::json(self.plexmesh(&["shards", "--verdict", "ok", "--limit", "10000"]))?;
            let ok = document["items"].as_array().unwrap().len();
            if ok == count { Ok(()) } else { Err(format!("{ok} are ok")) }
        });
    }

    /// Waits until as many changes are not on disk as `is_right` likes.
    fn wait_for_unsaved(&self, is_right: fn(u64) -> bool) {
        until("changes that are not on disk", || {
            let document = process::json(self.plexmesh(&["scrub"]))?;
            let unsaved = document["items"][0]["unsavedChanges"].as_u64().unwrap();
            if is_right(unsaved) { Ok(()) } else { Err(unsaved.to_string()) }
        });
    }
}

/// Mounted as long as this lives.
struct Disk(PathBuf);

impl Disk {
    /// A small disk of its own; `None` if this user may not mount one.
    fn mount(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", DISK, "plexmesh-test"]).arg(at);
        let output = mount.output().unwrap();
        if !output.status.success() {
            println!("SKIPPED: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        Some(Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy"]).arg(&self.0).status();
    }
}

/// Fills a disk to its last byte.
fn fill(file: &Path) {
    let mut kept = fs::File::create(file).unwrap();
    for size in [1 << 16, 1 << 9, 1] {
        while std::io::Write::write_all(&mut kept, &vec![1; size]).is_ok() {}
    }
}

#[test]
fn nothing_is_done_to_the_databases_of_an_agent_that_runs() {
    let place = Place::new().init();
    let agent = place.run();
    place.wait_for_ok(0);
    let (output, _) = place.store("check");
    assert_eq!(output.status.code(), Some(IN_USE), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("stop"), "{output:?}");
    drop(agent);
    assert!(place.store("check").0.status.success());
}

#[test]
fn a_database_that_does_not_open_is_found_kept_and_made_anew() {
    let place = Place::new().init();
    place.shard(1);
    let agent = place.run();
    place.wait_for_ok(1);
    place.wait_for_unsaved(|unsaved| unsaved == 0);
    drop(agent);
    let (output, document) = place.store("check");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(document["items"][1]["name"], "inventory");
    assert_eq!(document["items"][1]["sound"], true);
    let db = place.path("data/inventory/db");
    let length = fs::metadata(&db).unwrap().len();
    fs::write(&db, vec![0xA5; usize::try_from(length).unwrap()]).unwrap();
    let (output, document) = place.store("check");
    assert_eq!(output.status.code(), Some(DAMAGED), "{output:?}");
    assert_eq!(document["items"][1]["sound"], false);
    let (output, _) = place.store("compact");
    assert_eq!(output.status.code(), Some(DAMAGED), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("plexmesh store rebuild"));
    let (output, document) = place.store("rebuild");
    assert!(output.status.success(), "{output:?}");
    let aside = document["items"][1]["setAside"].as_str().unwrap();
    assert!(Path::new(aside).join("db").exists());
    let _agent = place.run();
    place.wait_for_ok(1);
}

#[test]
fn a_compacted_database_holds_what_it_held() {
    let place = Place::new().init();
    (0..50).for_each(|number| place.shard(number));
    let agent = place.run();
    place.wait_for_ok(50);
    place.wait_for_unsaved(|unsaved| unsaved == 0);
    drop(agent);
    let entries = |document: &Value| document["items"][1]["entries"].clone();
    let before = entries(&place.store("check").1);
    let (output, document) = place.store("compact");
    assert!(output.status.success(), "{output:?}");
    assert!(document["items"][1]["fileBytesBefore"].is_u64());
    assert_eq!(entries(&document), before);
    assert_eq!(entries(&place.store("check").1), before);
}

#[test]
fn a_full_disk_costs_nothing_that_was_found_meanwhile() {
    let place = Place::new();
    let Some(disk) = Disk::mount(&place.path("data")) else { return };
    let place = place.init();
    place.shard(0);
    let agent = place.run();
    place.wait_for_ok(1);
    place.wait_for_unsaved(|unsaved| unsaved == 0);
    let ballast = place.path("data/ballast");
    fill(&ballast);
    (1..2_000).for_each(|number| place.shard(number));
    place.wait_for_ok(2_000);
    place.wait_for_unsaved(|unsaved| unsaved > 0);
    fs::remove_file(&ballast).unwrap();
    place.wait_for_unsaved(|unsaved| unsaved == 0);
    drop(agent);
    fs::remove_file(place.path("shards/shard-1999")).unwrap();
    let agent = place.run();
    until("what vanished meanwhile is told", || {
        let document = process::json(place.plexmesh(&["shards", "--verdict", "vanished"]))?;
        let id = document["items"][0]["id"].clone();
        if id == "shard-1999" { Ok(()) } else { Err(document.to_string()) }
    });
    drop(agent);
    drop(disk);
}

#[test]
fn a_database_that_breaks_under_a_running_agent_stops_neither_it_nor_the_next() {
    let place = Place::new().init();
    (0..500).for_each(|number| place.shard(number));
    let agent = place.run();
    place.wait_for_ok(500);
    for database in ["store", "inventory"] {
        let db = place.path("data").join(database).join("db");
        let length = usize::try_from(fs::metadata(&db).unwrap().len()).unwrap();
        let file = fs::File::options().write(true).open(&db).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &vec![0x5A; length], 0).unwrap();
    }
    (500..600).for_each(|number| place.shard(number));
    place.wait_for_ok(600);
    drop(agent);
    let _agent = place.run();
    place.wait_for_ok(600);
}
