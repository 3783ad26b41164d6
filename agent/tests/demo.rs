//! The demo as a person or a script runs it, and its agents under blows from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long a test waits for what has to come about: many times what it takes, for machines that
/// are busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

fn plexmesh() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plexmesh"));
    command.env_remove("PLEXMESH_SOCKET").env_remove("PLEXMESH_DATA_DIR");
    command
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(Instant::now() < deadline, "it did not come about that {what}");
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// Asks an agent; `None` if it does not answer.
fn ask(socket: &str, words: &[&str]) -> Option<Value> {
    let output = plexmesh().args(["--socket", socket, "-o", "json"]).args(words).output().unwrap();
    serde_json::from_slice(&output.stdout).ok().filter(|_| output.status.success())
}

/// What an agent calls a peer.
fn state_of(socket: &str, name: &str) -> Option<String> {
    let peers = ask(socket, &["peers"])?;
    let peer = peers["items"].as_array()?.iter().find(|peer| peer["name"] == name)?.clone();
    peer["state"].as_str().map(str::to_owned)
}

/// Whether all agents see all up, with one digest.
fn all_agree(sockets: &[String]) -> bool {
    let statuses: Option<Vec<Value>> =
        sockets.iter().map(|socket| ask(socket, &["status"])).collect();
    statuses.is_some_and(|statuses| {
        statuses.iter().all(|status| {
            status["items"][0]["states"]["up"] == sockets.len()
                && status["stateDigest"] == statuses[0]["stateDigest"]
        })
    })
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Whether nobody listens there any more.
fn is_silent(socket: &str) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_err()
}

/// A demo that keeps its agents; ends with the test.
struct Kept {
    demo: Child,
    agents: Vec<Value>,
    sockets: Vec<String>,
}

impl Kept {
    fn start(peers: &str) -> Self {
        let mut demo = plexmesh()
            .args(["demo", "--keep", "-o", "ndjson", "--peers", peers])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(demo.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let report: Value = serde_json::from_str(&line).expect("the demo reports in JSON");
        let agents = report["items"][0]["agents"].as_array().unwrap().clone();
        let socket = |agent: &Value| agent["socket"].as_str().unwrap().to_owned();
        Self { demo, sockets: agents.iter().map(socket).collect(), agents }
    }

    fn pid(&self, index: usize) -> u32 {
        u32::try_from(self.agents[index]["pid"].as_u64().unwrap()).unwrap()
    }

    fn name(&self, index: usize) -> &str {
        self.agents[index]["name"].as_str().unwrap()
    }

    fn dir(&self) -> PathBuf {
        let first = Path::new(self.agents[0]["dataDir"].as_str().unwrap());
        first.parent().unwrap().to_owned()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Told to end, a demo takes its agents and files along; one that was killed leaves files.
        if matches!(self.demo.try_wait(), Ok(None)) {
            signal(self.demo.id(), Signal::TERM);
        }
        let _ = self.demo.wait();
        let _ = std::fs::remove_dir_all(self.dir());
    }
}

/// An agent that the test itself started; ends with the test.
struct Own(Child);

impl Own {
    fn run(data_dir: &Path) -> Self {
        let mut command = plexmesh();
        command.args(["run", "--die-with-stdin", "-q", "--data-dir"]).arg(data_dir);
        for address in ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"] {
            command.args(["--listen", address]);
        }
        Self(command.stdin(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_demo_in_a_pipe_gives_one_json_document_and_nothing_else() {
    let Output { status, stdout, stderr } =
        plexmesh().args(["demo", "-o", "json"]).output().unwrap();
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success() && stderr.is_empty(), "{errors}");
    let report: Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(
        (&report["apiVersion"], &report["kind"]),
        (&"plexmesh/v1".into(), &"DemoReport".into())
    );
    assert_eq!(report["converged"], true);
    let item = &report["items"][0];
    assert_eq!((&item["peers"], &item["stateDigestsEqual"]), (&5.into(), &true.into()));
    for key in ["convergedSeconds", "crashSeenByAllSeconds", "rejoinSeenByAllSeconds"] {
        assert!(item[key].as_f64().is_some_and(|seconds| seconds > 0.0), "{key}: {item}");
    }
    assert_eq!(item["seenAs"], "down");
    assert!(item["lostBy"].as_array().unwrap().len() >= 3, "{item}");
    assert_eq!(item["sockets"].as_array().unwrap().len(), 5);
    assert!(item["steps"].as_array().unwrap().len() >= 3);
    assert!(item["heartbeatLag"].is_object());
    let dir = Path::new(item["agents"][0]["dataDir"].as_str().unwrap());
    assert!(!dir.exists() && !dir.parent().unwrap().exists());
}

#[test]
fn an_agent_alone_has_nobody_to_lose() {
    let output = plexmesh().args(["demo", "--peers", "1", "-o", "json"]).output().unwrap();
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["items"][0]["crashSeenByAllSeconds"].is_null());
    assert!(report["items"][0]["rejoinSeenByAllSeconds"].is_null());
}

#[test]
fn a_killed_and_a_stopped_agent_are_told_by_all_others_and_all_heals() {
    let kept = Kept::start("6");
    let (stopped, killed) = (4, 5);
    signal(kept.pid(stopped), Signal::STOP);
    signal(kept.pid(killed), Signal::KILL);
    let witnesses = &kept.sockets[..stopped];
    for victim in [stopped, killed] {
        let name = kept.name(victim);
        for socket in witnesses {
            until(&format!("{name} is down"), || (state_of(socket, name)? == "down").then_some(()));
        }
        let lost_by = until("all name the same observers", || {
            let told: Option<Vec<Vec<String>>> =
                witnesses.iter().map(|socket| lost_by(socket, name)).collect();
            let told = told?;
            told.iter().all(|one| *one == told[0]).then(|| told[0].clone())
        });
        assert!(lost_by.len() >= 3, "{name} lost by {lost_by:?}");
    }
    signal(kept.pid(stopped), Signal::CONT);
    let _again = Own::run(Path::new(kept.agents[killed]["dataDir"].as_str().unwrap()));
    until("all agents agree again", || all_agree(&kept.sockets).then_some(()));
}

/// Observers that lost a peer, by id, as an agent tells.
fn lost_by(socket: &str, name: &str) -> Option<Vec<String>> {
    let why = ask(socket, &["why", name])?;
    let observers = why["items"][0]["observers"].as_array()?;
    let lost = observers.iter().filter(|observer| observer["status"] == "lost");
    let mut ids: Vec<String> = lost.filter_map(|it| it["id"].as_str().map(str::to_owned)).collect();
    ids.sort();
    Some(ids)
}

#[test]
fn a_demo_that_is_told_to_end_leaves_nothing_behind() {
    let mut kept = Kept::start("3");
    let dir = kept.dir();
    signal(kept.demo.id(), Signal::TERM);
    assert!(kept.demo.wait().unwrap().success());
    assert!(kept.sockets.iter().all(|socket| is_silent(socket)));
    assert!(!dir.exists());
}

#[test]
fn the_agents_of_a_killed_demo_end_even_if_they_are_stopped() {
    let mut kept = Kept::start("2");
    signal(kept.pid(1), Signal::STOP);
    kept.demo.kill().unwrap();
    kept.demo.wait().unwrap();
    until("no agent is left", || kept.sockets.iter().all(|it| is_silent(it)).then_some(()));
}

#[test]
fn a_second_agent_in_one_data_directory_is_refused_with_the_way_out() {
    let kept = Kept::start("1");
    let output = plexmesh()
        .args(["run", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--data-dir"])
        .arg(kept.agents[0]["dataDir"].as_str().unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(8));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("another agent") && text.contains("--data-dir"), "{text}");
}

#[test]
fn an_agent_stops_in_order_when_told_and_knows_its_mesh_at_the_next_start() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("agent");
    let socket = dir.join("agent.sock").display().to_string();
    let mut first = Own::run(&dir);
    let before = until("the agent answers", || ask(&socket, &["status"]));
    signal(first.0.id(), Signal::TERM);
    assert!(first.0.wait().unwrap().success());
    assert!(!Path::new(&socket).exists());
    let mut second = Own::run(&dir);
    let after = until("the agent answers again", || ask(&socket, &["status"]));
    assert_eq!(before["observedBy"], after["observedBy"]);
    // Closing standard input is a stop as well.
    drop(second.0.stdin.take());
    assert!(second.0.wait().unwrap().success());
}

#[test]
fn twenty_agents_agree_and_none_has_more_than_sixteen_connections() {
    let root = tempfile::tempdir().unwrap();
    let init = plexmesh().args(["init", "--data-dir"]).arg(root.path().join("1")).output().unwrap();
    assert!(init.status.success());
    let dir = |number: usize| root.path().join(number.to_string());
    let socket = |number: usize| dir(number).join("agent.sock").display().to_string();
    let mut agents = vec![Own::run(&dir(1))];
    let status = until("the first agent answers", || ask(&socket(1), &["status"]));
    let peer = status["observedBy"].as_str().unwrap();
    let seeds: Vec<plexmesh_agent::mesh::Seed> = status["items"][0]["listening"]
        .as_array()
        .unwrap()
        .iter()
        .map(|address| format!("{}/p2p/{peer}", address.as_str().unwrap()).parse().unwrap())
        .collect();
    let wall_s = plexmesh_agent::clock::now().wall_s();
    for number in 2..=20 {
        let labels = plexmesh_agent::mesh::Labels::default();
        plexmesh_agent::mesh::enrol(&dir(1), &dir(number), labels, seeds.clone(), wall_s).unwrap();
        agents.push(Own::run(&dir(number)));
    }
    let sockets: Vec<String> = (1..=20).map(socket).collect();
    until("all agree", || all_agree(&sockets).then_some(()));
    // Those that came by the one seed are let go once they have neighbours of their own.
    until("no agent has too many connections", || {
        let counts: Option<Vec<u64>> = sockets.iter().map(|it| connections(it)).collect();
        counts?.iter().all(|count| *count <= 16).then_some(())
    });
}

/// Connected peers, from the figures of an agent.
fn connections(socket: &str) -> Option<u64> {
    use std::io::Write;
    let mut stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    stream
        .write_all(b"GET /v1/figures HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str::<Value>(body).ok()?["items"][0]["connections"].as_u64()
}
