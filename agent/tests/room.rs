//! The data directory of a running agent is held below its cap, and an agent says when it cannot.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

#[path = "support/command.rs"]
mod command;
#[path = "support/process.rs"]
mod process;
#[path = "support/wait.rs"]
mod wait;

use process::Process;

const MIB: usize = 1024 * 1024;

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Self { dir };
        let made = place.plexmesh(&["init"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        place
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn file(&self, name: &str, bytes: usize) {
        let path = self.data().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![1; bytes]).unwrap();
    }

    fn cap(&self, cap: &str) {
        let text = format!(
            "[agent]\nmax_data_bytes = \"{cap}\"\n[net]\nlisten = [\"/ip4/127.0.0.1/udp/0/quic-v1\"]\n"
        );
        fs::write(self.config(), text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("x.toml")
    }

    fn plexmesh(&self, words: &[&str]) -> Command {
        if !Path::exists(&self.config()) {
            fs::write(self.config(), "").unwrap();
        }
        let mut command = command::plexmesh();
        command.arg("--config").arg(self.config()).arg("--data-dir").arg(self.data()).args(words);
        command
    }

    fn run(&self) -> Process {
        // Beside the directory, whose room is counted.
        Process::start(self.plexmesh(&["run"]), &self.dir.path().join("log"))
    }

    fn status(&self) -> Result<Value, String> {
        process::json(self.plexmesh(&["status"]))
    }

    /// The finding on the data directory in the status, if there is one; `None` if nobody answers
    /// either.
    fn finding(&self) -> Option<Value> {
        let status = self.status().ok()?;
        let mut findings = status["items"][0]["findings"].as_array()?.iter();
        findings.find(|it| it["code"] == "DATA_DIR_FULL").cloned()
    }
}

#[test]
fn what_was_set_aside_goes_and_then_the_agent_says_what_takes_the_room() {
    let place = Place::new();
    place.cap("4MiB");
    place.file("store.unreadable-1700000000/db", 6 * MIB);
    place.file("somebody-elses", 8 * MIB);
    let kept: Vec<PathBuf> = ["identity.key", "certificate", "mesh.toml", "somebody-elses"]
        .map(|name| place.data().join(name))
        .to_vec();
    let _agent = place.run();
    let told = wait::until("the shortage is told", || place.finding().ok_or_else(String::new));
    assert!(!place.data().join("store.unreadable-1700000000").exists());
    assert!(kept.iter().all(|path| path.exists()));
    let evidence = told["evidence"].as_str().unwrap();
    assert!(evidence.contains("of 4 MiB: somebody-elses takes 8 MiB"), "{evidence}");
    assert_eq!(told["severity"], "medium");
    assert_eq!(told["docs"], "docs/health.md#data_dir_full");
}

#[test]
fn below_the_cap_nothing_goes() {
    let place = Place::new();
    place.cap("1GiB");
    place.file("store.unreadable-1700000000/db", 6 * MIB);
    let _agent = place.run();
    wait::until("the agent answers", || place.status());
    assert_eq!(place.finding(), None);
    assert!(place.data().join("store.unreadable-1700000000").exists());
}
