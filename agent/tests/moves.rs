//! A peer moves to another directory: its new agent is the old peer, its old one does not come back,
//! and no failure on the way changes anything.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

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

const PHRASE: &str = "correct horse battery staple";

/// A host with a passphrase in a file, and whatever data directories a test makes.
struct Host {
    dir: TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(host.path("x.toml"), "").unwrap();
        host.phrase("phrase", PHRASE);
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn phrase(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    fn command(&self, data: &str) -> Command {
        let mut command = command::plexmesh();
        command.arg("--config").arg(self.path("x.toml")).arg("--data-dir").arg(self.path(data));
        command.stdin(Stdio::null()).current_dir(self.dir.path());
        command
    }

    fn ask(&self, data: &str, words: &[&str]) -> Output {
        self.command(data).args(words).output().unwrap()
    }

    fn export(&self, data: &str, words: &[&str]) -> Output {
        let all = [&["export-identity", "file", "--passphrase-file", "phrase"], words].concat();
        self.ask(data, &all)
    }

    fn import(&self, data: &str) -> Output {
        self.ask(data, &["import-identity", "file", "--passphrase-file", "phrase"])
    }

    /// Runs an agent until it answers. Gives it with the id that it has.
    fn run(&self, data: &str) -> (Process, Value) {
        let mut command = self.command(data);
        command.args(["run", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"]);
        let agent = Process::start(command, &self.path("log"));
        let status = until("an agent that answers", || {
            let mut command = self.command(data);
            command.arg("status");
            process::json(command).map_err(|_| fs::read_to_string(self.path("log")).unwrap())
        });
        (agent, status["observedBy"].clone())
    }
}

#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    assert!(!said.contains(PHRASE), "{said}");
}

#[track_caller]
fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_moved_peer_runs_in_its_new_place_and_not_in_the_old_one() {
    let host = Host::new();
    let (agent, before) = host.run("old");
    refused(&host.export("old", &[]), 8, &["an agent runs with", "stop the agent first"]);
    assert!(!host.path("file").exists() && !host.path("old/moved").exists());
    drop(agent);
    done(&host.export("old", &[]));
    refused(&host.ask("old", &["run"]), 7, &["moved away", "take the move back", "next:   rm "]);
    done(&host.import("new"));
    let (agent, after) = host.run("new");
    assert_eq!(after, before);
    drop(agent);
    // The way back that the refusal names.
    fs::remove_file(host.path("old/moved")).unwrap();
    let (_agent, again) = host.run("old");
    assert_eq!(again, before);
}

#[test]
fn a_copy_leaves_the_directory_as_it_is() {
    let host = Host::new();
    done(&host.ask("old", &["init"]));
    done(&host.export("old", &["--copy"]));
    let (_agent, _) = host.run("old");
}

#[test]
fn an_import_is_all_or_nothing() {
    let host = Host::new();
    done(&host.ask("old", &["init"]));
    refused(&host.import("new"), 5, &["no file"]);
    done(&host.export("old", &[]));
    host.phrase("phrase", "quite another passphrase");
    refused(&host.import("new"), 1, &["passphrase is not the one", "nothing was written"]);
    host.phrase("phrase", PHRASE);
    refused(&host.import("old"), 1, &["already holds a mesh", "nothing was changed"]);
    let text = fs::read_to_string(host.path("file")).unwrap();
    fs::write(host.path("file"), &text[..text.len() - 9]).unwrap();
    refused(&host.import("new"), 1, &["damaged", "nothing was written"]);
    assert!(!host.path("new").exists());
    fs::write(host.path("file"), text).unwrap();
    done(&host.import("new"));
}

#[test]
fn a_passphrase_has_to_be_given_and_to_be_long() {
    let host = Host::new();
    done(&host.ask("old", &["init"]));
    let unasked = host.ask("old", &["export-identity", "file"]);
    refused(&unasked, 2, &["nobody to ask", "--passphrase-file"]);
    host.phrase("phrase", "short");
    refused(&host.export("old", &[]), 2, &["at least 12 characters"]);
    assert!(!host.path("file").exists() && !host.path("old/moved").exists());
    host.phrase("phrase", PHRASE);
    fs::set_permissions(host.path("phrase"), Permissions::from_mode(0o644)).unwrap();
    let warned = host.export("old", &[]);
    done(&warned);
    assert!(String::from_utf8_lossy(&warned.stderr).contains("chmod 600"));
}

#[test]
fn what_is_no_peer_is_not_exported_and_what_is_there_is_not_replaced() {
    let host = Host::new();
    refused(&host.export("none", &[]), 1, &["holds no mesh"]);
    assert!(!host.path("none").exists());
    done(&host.ask("old", &["init"]));
    fs::write(host.path("file"), "precious").unwrap();
    refused(&host.export("old", &[]), 1, &["exists already"]);
    assert_eq!(fs::read_to_string(host.path("file")).unwrap(), "precious");
    assert!(!host.path("old/moved").exists());
}
