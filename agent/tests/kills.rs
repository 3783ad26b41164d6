//! Five agents, of which one after the other is killed at any moment and started again. `KILLS`
//! (40 unless it is set) says how often; `SEED` which moments and which agents.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plexmesh_agent::mesh::{self, Labels, Seed};
use plexmesh_agent::time::WallTime;
use plexmesh_proto::types::PeerId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

#[path = "support/command.rs"]
mod command;
#[path = "support/environment.rs"]
mod environment;
#[path = "support/process.rs"]
mod process;
#[path = "support/wait.rs"]
mod wait;

use command::plexmesh;
use environment::number;
use process::Process;
use wait::until;

const AGENTS: usize = 5;
const KILLS: u32 = 40;
/// How long a process lives between two kills, and how long it is away: from a start that is cut
/// short to a mesh that is at rest.
const ALIVE_MS: std::ops::Range<u64> = 20..2_500;
const AWAY_MS: std::ops::Range<u64> = 0..1_500;
/// Counters that tell of a version that went backwards, or of a record that was torn.
const NEVER: [&str; 3] = ["equivocation", "ownRecordNotTaken", "recordForged"];

struct Agent {
    dir: PathBuf,
    id: PeerId,
    process: Option<Process>,
}

impl Agent {
    fn socket(&self) -> PathBuf {
        self.dir.join("agent.sock")
    }

    fn start(&mut self) {
        let mut command = plexmesh();
        command
            .args(["run", "--config"])
            .arg(self.dir.join("empty.toml"))
            .arg("--data-dir")
            .arg(&self.dir)
            .arg("--shards")
            .arg(self.dir.join("shards"))
            .args(["--listen", "/ip4/127.0.0.1/udp/0/quic-v1"])
            .env("PLEXMESH_SCRUB__DEADLINE", "10s");
        self.process = Some(Process::start(command, &self.dir.join("log")));
    }

    fn kill(&mut self) {
        self.process = None;
    }

    fn ask(&self, words: &[&str]) -> Result<Value, String> {
        let mut command = plexmesh();
        command.arg("--socket").arg(self.socket()).args(words);
        process::json(command)
    }
}

/// A Backup Node's directory with one shard whose bytes are not those of its record.
fn fill(directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    fs::write(directory.join("shard_a"), "abc").unwrap();
    fs::write(directory.join("shard_b"), "abd").unwrap();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let record = serde_json::json!({"original_hash": abc, "size_bytes": 3});
    let manifest = serde_json::json!({"a": record, "b": record});
    fs::write(directory.join("shards_database.json"), manifest.to_string()).unwrap();
}

fn labels(number: usize) -> Labels {
    Labels { name: Some(format!("peer-{number}")), ..Labels::default() }
}

/// Five agents that know the first, running.
fn mesh_of_five(root: &Path) -> Vec<Agent> {
    let wall_s = WallTime::now().ms() / 1_000;
    let dirs: Vec<PathBuf> = (1..=AGENTS).map(|number| root.join(number.to_string())).collect();
    for dir in &dirs {
        fill(&dir.join("shards"));
        fs::write(dir.join("empty.toml"), "").unwrap();
    }
    let made = mesh::init(&dirs[0], labels(1), wall_s).unwrap();
    let mut agents = vec![Agent { dir: dirs[0].clone(), id: made.peer, process: None }];
    agents[0].start();
    let addresses = until("the first agent listens", || {
        let status = agents[0].ask(&["status"])?;
        let listening = status["items"][0]["listening"].as_array().unwrap().clone();
        if listening.is_empty() { Err("nowhere".to_owned()) } else { Ok(listening) }
    });
    let seeds: Vec<Seed> = addresses
        .iter()
        .map(|address| Seed { peer: made.peer, address: address.as_str().unwrap().to_owned() })
        .collect();
    for (place, dir) in dirs.iter().enumerate().skip(1) {
        let id = mesh::enrol(&dirs[0], dir, labels(place + 1), seeds.clone(), wall_s).unwrap();
        let mut agent = Agent { dir: dir.clone(), id, process: None };
        agent.start();
        agents.push(agent);
    }
    agents
}

/// Whether all say with one digest that all are up and that each has its one corrupt shard.
fn are_one(agents: &[Agent]) -> Result<(), String> {
    let mut digests = BTreeSet::new();
    for agent in agents {
        let status = agent.ask(&["status"])?;
        let integrity = agent.ask(&["integrity"])?;
        let up = &status["items"][0]["states"]["up"];
        if up != AGENTS {
            return Err(format!("{} sees {up} up", agent.dir.display()));
        }
        let peers = integrity["items"][0]["peers"].as_array().unwrap();
        for peer in peers {
            let told: Vec<_> = peer["findings"].as_array().unwrap().iter().collect();
            let [finding] = told.as_slice() else {
                return Err(format!("{}: {} tells {told:?}", agent.dir.display(), peer["name"]));
            };
            if finding["code"] != "REPLICA_CORRUPT" || finding["count"] != 1 {
                return Err(format!("{}: {finding}", agent.dir.display()));
            }
        }
        if peers.len() != AGENTS {
            return Err(format!("{} knows {} peers", agent.dir.display(), peers.len()));
        }
        digests.insert(status["stateDigest"].to_string());
    }
    if digests.len() == 1 { Ok(()) } else { Err(format!("{digests:?}")) }
}

#[test]
fn agents_that_are_killed_at_any_moment_come_back_as_they_were() {
    let root = tempfile::tempdir().unwrap();
    let (kills, seed) = (number("KILLS", u64::from(KILLS)), number("SEED", 1));
    let mut random = StdRng::seed_from_u64(seed);
    let mut agents = mesh_of_five(root.path());
    until("five agents that agree", || are_one(&agents));
    for _ in 0..kills {
        let victim = &mut agents[random.random_range(0..AGENTS)];
        // The moments are the point of this test: nothing is waited for.
        std::thread::sleep(Duration::from_millis(random.random_range(ALIVE_MS)));
        victim.kill();
        std::thread::sleep(Duration::from_millis(random.random_range(AWAY_MS)));
        victim.start();
    }
    until(&format!("one mesh again after {kills} kills, SEED={seed}"), || are_one(&agents));
    for agent in &agents {
        let figures = agent.ask(&["status"]).unwrap();
        let me = figures["observedBy"].as_str().unwrap();
        assert_eq!(me, plexmesh_net::peer_id_text(&agent.id.0), "another identity");
        let asked = plexmesh_figures(agent);
        for counter in NEVER {
            let count = asked["items"][0]["protocol"].get(counter).cloned().unwrap_or_default();
            assert!(count == Value::Null || count == 0, "{}: {counter} {count}", me);
        }
        let aside = fs::read_dir(&agent.dir)
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().contains("unreadable"));
        assert!(!aside, "{me} set a store aside");
    }
}

/// The agent's own figures, which no verb shows.
fn plexmesh_figures(agent: &Agent) -> Value {
    use std::io::{Read, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(agent.socket()).unwrap();
    stream.write_all(b"GET /v1/figures HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}
