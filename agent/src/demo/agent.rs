//! One agent of a demo: a process with its files.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::report::DemoAgent;
use super::text;
use crate::api::schema::{One, PeerRef, Status};
use crate::api::socket::Place;
use crate::cli::client::Client;
use crate::config::sets_key;
use crate::supervisor::SOCKET_VARIABLE;

/// Where the agents listen: on this machine alone, at any free port.
const LISTEN: [&str; 2] = ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"];
/// The agents' configuration: a demo is not to depend on what is configured on this machine.
const CONFIG_FILE: &str = "demo.toml";
const CONFIG: &str = "# An agent of a demo takes nothing from files but this one.\n";
/// Within what time an agent reads all its shards once: somebody is waiting.
const SCRUB_DEADLINE: &str = "10s";
/// An agent that takes longer is stuck; it is asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an agent may take to stop by itself before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// Lines of a log that an error shows, and how much of the file's end is looked at for them, in
/// bytes.
const TAIL_LINES: usize = 12;
const TAIL_BYTES: u64 = 8 * 1024;

/// A process, its files, and who it is.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) name: String,
    pub(super) data_dir: PathBuf,
    /// Where its shards lie.
    pub(super) shards: PathBuf,
    pub(super) id: String,
    child: Option<Child>,
}

impl Agent {
    /// An agent of this id whose mesh files lie in `data_dir`; not started.
    pub(super) const fn new(name: String, data_dir: PathBuf, shards: PathBuf, id: String) -> Self {
        Self { name, data_dir, shards, id, child: None }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.data_dir.join("agent.sock")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.data_dir.join("agent.log")
    }

    pub(super) fn peer(&self) -> PeerRef {
        PeerRef { id: self.id.clone(), name: Some(self.name.clone()) }
    }

    pub(super) fn describe(&self) -> DemoAgent {
        DemoAgent {
            id: self.id.clone(),
            name: self.name.clone(),
            pid: self.child.as_ref().and_then(Child::id),
            socket: text(&self.socket()),
            data_dir: text(&self.data_dir),
            shards_dir: text(&self.shards),
            log: text(&self.log()),
        }
    }

    /// Starts the process. Called on the thread that lives as long as the demo: the kernel ends the
    /// child with the thread that made it.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let program = std::env::current_exe().context("cannot tell where this program lies")?;
        let log = self.log();
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let config = self.data_dir.join(CONFIG_FILE);
        fs::write(&config, CONFIG).with_context(|| format!("cannot write {}", config.display()))?;
        let mut command = Command::new(&program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| sets_key(name)) {
            command.env_remove(name);
        }
        command
            .args(["run", "--die-with-stdin", "--data-dir"])
            .arg(&self.data_dir)
            .arg("--config")
            .arg(&config)
            .arg("--shards")
            .arg(&self.shards)
            .env("PLEXMESH_SCRUB__DEADLINE", SCRUB_DEADLINE)
            .args(LISTEN.iter().flat_map(|address| ["--listen", address]))
            .env_remove("PLEXMESH_SOCKET")
            // Who supervises the demo is not to hear of its agents.
            .env_remove(SOCKET_VARIABLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(file)
            // Ctrl-C is for the demo; it then ends its agents.
            .process_group(0)
            .kill_on_drop(true);
        let started = command.spawn();
        self.child = Some(started.with_context(|| format!("cannot start {}", program.display()))?);
        Ok(())
    }

    /// Fails, with the end of the log, if the process ended by itself.
    pub(super) fn check_alive(&mut self) -> anyhow::Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        match child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                self.child = None;
                bail!("{} ended by itself ({}){}", self.name, how(status), self.log_tail())
            }
            Err(error) => Err(error).with_context(|| format!("cannot watch {}", self.name)),
        }
    }

    /// Kills the process as a crash would: without a word to anybody.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill().await.with_context(|| format!("cannot kill {}", self.name))
    }

    /// Has the process end, and kills it if it does not.
    pub(super) async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        drop(child.stdin.take());
        if timeout(STOP_TIMEOUT, child.wait()).await.is_err() {
            // It is dead or cannot be killed; either way nothing is left to do here.
            let _ = child.kill().await;
        }
    }

    pub(super) async fn ask<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let place = Place { path: self.socket(), source: "demo" };
        match timeout(ANSWER_TIMEOUT, Client::new(vec![place]).document(path)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => bail!("does not answer within {} s", ANSWER_TIMEOUT.as_secs()),
        }
    }

    pub(super) async fn status(&self) -> anyhow::Result<One<Status>> {
        self.ask("/v1/status").await
    }

    /// The end of the log, to be put behind an error.
    pub(super) fn log_tail(&self) -> String {
        let path = self.log();
        let lines = tail(&path).unwrap_or_default();
        format!("\n  log: {}\n{lines}", path.display())
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = File::open(path)?;
    let size = fs::metadata(path)?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let content = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = content.lines().collect();
    let last = lines.iter().skip(lines.len().saturating_sub(TAIL_LINES));
    Ok(last.map(|line| format!("  | {line}\n")).collect())
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_the_last_lines_of_a_log_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let agent =
            Agent::new("peer-1".into(), dir.path().to_owned(), PathBuf::new(), String::new());
        let lines: String = (0..5_000).map(|number| format!("line {number}\n")).collect();
        fs::write(agent.log(), lines).unwrap();
        let shown = agent.log_tail();
        assert!(shown.contains("line 4999") && shown.contains("line 4988"), "{shown}");
        assert!(!shown.contains("line 4987") && shown.contains("agent.log"), "{shown}");
    }
}
