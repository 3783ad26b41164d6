//! Five agents in processes of their own, and what they say of themselves.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use plexmesh_agent::mesh::{self, Labels, Seed};
use plexmesh_agent::time::WallTime;
use plexmesh_net::peer_id_text;
use plexmesh_proto::types::PeerId;
use serde_json::Value;

use crate::command::plexmesh;
use crate::wait::until;

/// How many there are.
pub(crate) const AGENTS: usize = 5;
/// Far above anything a socket needs: an agent that is silent for so long is stuck.
const SOCKET_PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Agent {
    dir: PathBuf,
    pub(crate) id: PeerId,
    process: Child,
}

impl Agent {
    fn start(dir: &Path, id: PeerId) -> Self {
        fs::write(dir.join("empty.toml"), "").unwrap();
        let log = File::create(dir.join("log")).unwrap();
        let mut command = plexmesh();
        command
            .args(["run", "--die-with-stdin", "--config"])
            .arg(dir.join("empty.toml"))
            .arg("--data-dir")
            .arg(dir)
            .args(["--listen", "/ip4/127.0.0.1/udp/0/quic-v1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log);
        Self { dir: dir.to_owned(), id, process: command.spawn().unwrap() }
    }

    /// What a reading route answers.
    pub(crate) fn get(&self, route: &str) -> Result<Value, String> {
        let asked = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(self.dir.join("agent.sock"))?;
            stream.set_read_timeout(Some(SOCKET_PATIENCE))?;
            write!(stream, "GET {route} HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = asked().map_err(|error| format!("{}: {error}", self.dir.display()))?;
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        serde_json::from_str(body).map_err(|error| format!("{route}: {error}: {answer}"))
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        until("an agent listens", || {
            let status = self.get("/v1/status")?;
            let listening = status["items"][0]["listening"].as_array().ok_or("no list")?.clone();
            let texts: Vec<_> =
                listening.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            if texts.is_empty() { Err("nowhere".to_owned()) } else { Ok(texts) }
        })
    }

    /// One of its counters, whether the protocol's or the transport's; 0 if it never counted.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let figures = self.get("/v1/figures").unwrap();
        let item = &figures["items"][0];
        ["protocol", "transport"].iter().filter_map(|part| item[part][name].as_u64()).sum()
    }

    /// Memory of its process that is resident, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Lets a peer into the mesh of `from` without starting it; gives its id.
pub(crate) fn enrol(root: &Path, name: &str, seeds: Vec<Seed>) -> (PathBuf, PeerId) {
    let dir = root.join(name);
    let labels = Labels { name: Some(name.to_owned()), ..Labels::default() };
    let wall_s = WallTime::now().ms() / 1_000;
    let id = mesh::enrol(&root.join("1"), &dir, labels, seeds, wall_s).unwrap();
    (dir, id)
}

/// Five agents that know the first, running.
pub(crate) fn mesh_of_five(root: &Path) -> Vec<Agent> {
    let first = root.join("1");
    let made = mesh::init(&first, Labels::default(), WallTime::now().ms() / 1_000).unwrap();
    let mut agents = vec![Agent::start(&first, made.peer)];
    let seeds = seeds(&agents[0]);
    for number in 2..=AGENTS {
        agents.push(join(root, &number.to_string(), seeds.clone()));
    }
    agents
}

/// One more agent.
pub(crate) fn join(root: &Path, name: &str, seeds: Vec<Seed>) -> Agent {
    let (dir, id) = enrol(root, name, seeds);
    Agent::start(&dir, id)
}

/// Where to find an agent.
pub(crate) fn seeds(agent: &Agent) -> Vec<Seed> {
    let addresses = agent.addresses();
    addresses.into_iter().map(|address| Seed { peer: agent.id, address }).collect()
}

/// Whether all say with one digest that all of them are up.
pub(crate) fn are_one(agents: &[Agent]) -> Result<(), String> {
    let mut digests = BTreeSet::new();
    for agent in agents {
        let peers = agent.get("/v1/peers")?;
        let listed = peers["items"].as_array().ok_or("no peers")?;
        for other in agents {
            let id = peer_id_text(&other.id.0);
            let entry = listed.iter().find(|peer| peer["id"] == id.as_str());
            let state = entry.map_or(&Value::Null, |peer| &peer["state"]);
            if state != "up" {
                return Err(format!("{} sees {id} {state}", agent.dir.display()));
            }
        }
        digests.insert(peers["stateDigest"].to_string());
    }
    if digests.len() == 1 { Ok(()) } else { Err(format!("{digests:?}")) }
}

/// The longest that one of them takes to answer `status`.
pub(crate) fn slowest_answer(agents: &[Agent]) -> Duration {
    let mut slowest = Duration::ZERO;
    for agent in agents {
        let asked = Instant::now();
        agent.get("/v1/status").unwrap();
        slowest = slowest.max(asked.elapsed());
    }
    slowest
}
