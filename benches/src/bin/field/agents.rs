//! Agents as processes: a mesh of them, started, asked, killed, stopped.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use plexmesh_agent::mesh::{self, Labels, Seed};
use plexmesh_agent::time::WallTime;
use serde_json::Value;

/// How long a mesh has to become one: many times what it takes on two busy cores.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at all agents while it does: fifty questions then cost little beside what is measured.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long one answer may take on a crowded machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two scrubs of each shard: short, so that the scrub is at work all the time.
const SCRUB_DEADLINE: &str = "60s";
/// The port of the first agent; each has one of its own, so that it keeps its address over a restart.
const FIRST_PORT: usize = 20_000;

/// One agent and its directory.
#[derive(Debug)]
pub(crate) struct Agent {
    program: PathBuf,
    dir: PathBuf,
    /// The name under which others speak of it.
    pub(crate) name: String,
    number: usize,
    nice: bool,
    process: Option<Child>,
}

impl Agent {
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.dir.join("log"))?;
        let mut command = if self.nice {
            let mut nice = Command::new("nice");
            nice.args(["-n", "10"]).arg(&self.program);
            nice
        } else {
            Command::new(&self.program)
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PLEXMESH_") {
                command.env_remove(name);
            }
        }
        let listen = format!("/ip4/127.0.0.1/udp/{}/quic-v1", FIRST_PORT + self.number);
        command
            .args(["run", "--die-with-stdin", "--config"])
            .arg(self.dir.join("empty.toml"))
            .arg("--data-dir")
            .arg(&self.dir)
            .arg("--shards")
            .arg(self.dir.join("shards"))
            .args(["--listen", &listen])
            .env("PLEXMESH_SCRUB__DEADLINE", SCRUB_DEADLINE)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log);
        self.process = Some(command.spawn().context("cannot start an agent")?);
        Ok(())
    }

    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill").args(["-s", name, &self.pid()?.to_string()]).status()?;
        ensure!(status.success(), "kill -s {name} failed");
        Ok(())
    }

    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.as_ref().map(Child::id).ok_or_else(|| anyhow!("{} does not run", self.name))
    }

    /// A connection on which a path was asked for.
    pub(crate) fn open(&self, path: &str) -> anyhow::Result<UnixStream> {
        let mut stream = UnixStream::connect(self.dir.join("agent.sock"))?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        Ok(stream)
    }

    /// The document at a path.
    pub(crate) fn ask(&self, path: &str) -> anyhow::Result<Value> {
        let mut stream = self.open(path)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        Ok(serde_json::from_str(body.ok_or_else(|| anyhow!("no answer to {path}"))?)?)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // What cannot be killed ends with its standard input.
        let _ = self.kill();
    }
}

/// A mesh of agents that share the first one as seed; none runs yet.
pub(crate) fn mesh_of(
    program: &Path,
    root: &Path,
    count: usize,
    nice: bool,
) -> anyhow::Result<Vec<Agent>> {
    ensure!(count >= 2, "a mesh has two agents at the least");
    let wall_s = WallTime::now().ms() / 1_000;
    let mut agents = Vec::new();
    let mut seeds = Vec::new();
    for number in 1..=count {
        let dir = root.join(number.to_string());
        let name = format!("peer-{number}");
        let labels = Labels { name: Some(name.clone()), ..Labels::default() };
        if number == 1 {
            let peer = mesh::init(&dir, labels, wall_s)?.peer;
            let address = format!("/ip4/127.0.0.1/udp/{}/quic-v1", FIRST_PORT + number);
            seeds.push(Seed { peer, address });
        } else {
            mesh::enrol(&root.join("1"), &dir, labels, seeds.clone(), wall_s)?;
        }
        fs::write(dir.join("empty.toml"), "")?;
        fill(&dir.join("shards"), number)?;
        agents.push(Agent { program: program.to_owned(), dir, name, number, nice, process: None });
    }
    Ok(agents)
}

/// Some shards for the scrub to read.
fn fill(directory: &Path, number: usize) -> anyhow::Result<()> {
    const SHARDS: usize = 200;
    const SHARD_BYTES: usize = 64 * 1024;
    fs::create_dir_all(directory)?;
    for shard in 0..SHARDS {
        let byte = u8::try_from((number * 31 + shard) % 251)?;
        fs::write(directory.join(format!("shard-{shard}")), vec![byte; SHARD_BYTES])?;
    }
    Ok(())
}

/// Waits until all that run see each other up, with one digest.
pub(crate) fn await_one_mesh(agents: &[Agent]) -> anyhow::Result<Duration> {
    let began = Instant::now();
    loop {
        match are_one(agents) {
            Ok(()) => return Ok(began.elapsed()),
            Err(seen) if began.elapsed() > PATIENCE => bail!("no mesh yet: {seen:#}"),
            Err(_) => std::thread::sleep(LOOK_INTERVAL),
        }
    }
}

fn are_one(agents: &[Agent]) -> anyhow::Result<()> {
    let mut digests = BTreeSet::new();
    for agent in agents {
        let status = agent.ask("/v1/status")?;
        let up = status.pointer("/items/0/states/up").and_then(Value::as_u64).unwrap_or_default();
        ensure!(up == agents.len() as u64, "{} sees {up} up", agent.name);
        digests.insert(status["stateDigest"].to_string());
    }
    ensure!(digests.len() == 1, "{} digests", digests.len());
    Ok(())
}
