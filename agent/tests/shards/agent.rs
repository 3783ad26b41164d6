//! Real processes, and how they are asked.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use crate::command::plexmesh;
pub(crate) use crate::wait::until;

/// Sends a signal to a process that the test started.
pub(crate) fn signal(process: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// The one item of a document that an agent answers with.
pub(crate) fn item(socket: &Path, words: &[&str]) -> Result<Value, String> {
    let output =
        plexmesh().arg("--socket").arg(socket).args(["-o", "json"]).args(words).output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let mut document: Value = serde_json::from_slice(&output.stdout).unwrap();
    Ok(document["items"][0].take())
}

/// Findings of all peers, as an agent tells them: name of the peer, code and count.
pub(crate) fn findings(integrity: &Value) -> Vec<(String, String, u64)> {
    let mut all = Vec::new();
    for peer in integrity["peers"].as_array().unwrap() {
        for finding in peer["findings"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let count = finding["count"].as_u64().unwrap();
            all.push((text(&peer["name"]), text(&finding["code"]), count));
        }
    }
    all.sort();
    all
}

/// A directory for an agent, its configuration and its shards.
pub(crate) struct Place(TempDir);

impl Place {
    /// With this configuration.
    pub(crate) fn with(config: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.configure(config);
        place
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes the configuration anew.
    pub(crate) fn configure(&self, text: &str) {
        fs::write(self.path("plexmesh.toml"), text).unwrap();
    }

    /// A command with this place's configuration and data.
    pub(crate) fn command(&self) -> Command {
        let mut command = plexmesh();
        command.arg("--config").arg(self.path("plexmesh.toml"));
        command.arg("--data-dir").arg(self.path("data"));
        command
    }
}

/// An agent of its own mesh; ends with the test.
pub(crate) struct Agent<'a> {
    place: &'a Place,
    process: Child,
}

impl<'a> Agent<'a> {
    /// Starts one, with the words of `run` that the test adds.
    pub(crate) fn start(place: &'a Place, words: &[&str]) -> Self {
        let log = File::create(place.path("log")).unwrap();
        let process = place
            .command()
            .args(["run", "--die-with-stdin", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { place, process }
    }

    /// Runs a command that asks it.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.place.command().args(["-o", "json"]).args(words).output().unwrap()
    }

    /// The item that it answers with, once that is as wanted.
    pub(crate) fn until(
        &self,
        what: &str,
        words: &[&str],
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        until(what, || match item(&self.place.path("data/agent.sock"), words) {
            Ok(item) if wanted(&item) => Ok(item),
            Ok(other) => Err(format!("{other}\n{}", self.log())),
            Err(error) => Err(format!("{error}\n{}", self.log())),
        })
    }

    /// Waits until it finds exactly this wrong with its own shards.
    pub(crate) fn until_findings(&self, expected: &[(&str, u64)]) -> Value {
        self.until(&format!("{expected:?} alone"), &["integrity"], |integrity| {
            let found = findings(integrity);
            integrity["silentPeers"] == 0
                && found
                    .iter()
                    .map(|(_, code, count)| (code.as_str(), *count))
                    .eq(expected.iter().copied())
        })
    }

    /// Waits until all shards were read and found right.
    pub(crate) fn until_sound(&self, shards: usize) -> Value {
        self.until(&format!("{shards} shards ok"), &["integrity"], |integrity| {
            integrity["verdicts"]["ok"] == shards
                && integrity["shards"] == shards
                && integrity["pendingShards"] == 0
                && findings(integrity).is_empty()
        })
    }

    /// Has it take its configuration anew.
    pub(crate) fn hang_up(&self) {
        signal(&self.process, Signal::HUP);
    }

    /// Has it stop, and waits until it has.
    pub(crate) fn stop(mut self) {
        signal(&self.process, Signal::TERM);
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{}", self.log());
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.place.path("log")).unwrap()
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
