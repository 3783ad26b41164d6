//! Harm that is done to shards of a demo from outside: all its agents tell of it, by its name, at
//! the peer that holds them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::Signal;
use serde::Deserialize as _;
use serde_json::Value;
use tempfile::TempDir;

use super::agent::{findings, item, plexmesh, signal, until};
use super::daemon::Daemon;

/// Name of a peer, code, and count.
type Finding = (String, String, u64);

/// A demo that keeps its agents; ends with the test.
struct Kept {
    demo: Child,
    agents: Vec<Value>,
    _dir: TempDir,
}

impl Kept {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut demo = plexmesh()
            .args(["demo", "--keep", "-q", "-o", "json", "--dir"])
            .arg(dir.path().join("demo"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut documents = serde_json::Deserializer::from_reader(demo.stdout.take().unwrap());
        let report = Value::deserialize(&mut documents);
        // From here on the demo ends with the test, whatever it said.
        let mut kept = Self { demo, agents: Vec::new(), _dir: dir };
        let report = report.expect("the demo reports in JSON");
        kept.agents.clone_from(report["items"][0]["agents"].as_array().unwrap());
        kept
    }

    fn sockets(&self) -> Vec<PathBuf> {
        self.agents.iter().map(|agent| agent["socket"].as_str().unwrap().into()).collect()
    }

    fn name(&self, index: usize) -> String {
        self.agents[index]["name"].as_str().unwrap().to_owned()
    }

    fn shards(&self, index: usize) -> Daemon {
        Daemon::at(Path::new(self.agents[index]["shardsDir"].as_str().unwrap()))
    }

    /// Waits until every agent tells exactly this. On the way there nothing may be told but
    /// `possible`.
    fn until_all_tell(&self, expected: &BTreeSet<Finding>, possible: &BTreeSet<Finding>) {
        for socket in self.sockets() {
            until(&format!("{} tells {expected:?}", socket.display()), || {
                let integrity = item(&socket, &["integrity"])?;
                let told: BTreeSet<Finding> = findings(&integrity).into_iter().collect();
                assert!(told.is_subset(possible), "{}: {told:?}", socket.display());
                if told == *expected && integrity["silentPeers"] == 0 {
                    return Ok(());
                }
                Err(integrity.to_string())
            });
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Its agents end with it: the kernel closes their standard input.
        let _ = self.demo.kill();
        let _ = self.demo.wait();
    }
}

/// Whether nobody listens there any more.
fn is_silent(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_err()
}

#[test]
fn four_kinds_of_harm_on_four_peers_are_told_by_all_agents_and_so_is_their_end() {
    let mut kept = Kept::start();
    let none = BTreeSet::new();
    kept.until_all_tell(&none, &none);
    let (corrupt, mut vanished) = (kept.shards(0), kept.shards(1));
    let (mut replaced, closed) = (kept.shards(3), kept.shards(4));
    let id = |daemon: &Daemon, place: usize| daemon.ids()[place].clone();
    let (flipped_id, closed_id) = (id(&corrupt, 3), id(&closed, 2));
    let expected: BTreeSet<Finding> = [
        (0, "REPLICA_CORRUPT"),
        (1, "REPLICA_VANISHED"),
        (3, "REPLICA_REPLACED"),
        (4, "REPLICA_UNREADABLE"),
    ]
    .map(|(peer, code)| (kept.name(peer), code.to_owned(), 1))
    .into();

    corrupt.flip(&flipped_id);
    let vanished_id = id(&vanished, 5);
    let gone = vanished.delete(&vanished_id);
    let replaced_id = id(&replaced, 7);
    let former = replaced.replace(&replaced_id, b"another content with its record");
    closed.set_mode(&closed_id, 0o000);
    kept.until_all_tell(&expected, &expected);

    corrupt.flip(&flipped_id);
    vanished.put_back(gone);
    replaced.put_back(former);
    closed.set_mode(&closed_id, 0o644);
    kept.until_all_tell(&none, &expected);

    let sockets = kept.sockets();
    signal(&kept.demo, Signal::INT);
    assert!(kept.demo.wait().unwrap().success());
    assert!(sockets.iter().all(|socket| is_silent(socket)));
    assert!(fs::exists(kept.shards(0).root()).unwrap(), "a directory that was named stays");
}
