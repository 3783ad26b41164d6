//! Real agents over real sockets: who is let in, who is put out, and what newcomers do wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use plexmesh_agent::mesh::{self, Labels, Seed};
use plexmesh_agent::time::WallTime;
use serde_json::Value;

#[path = "support/command.rs"]
mod command;
#[path = "support/process.rs"]
mod process;
#[path = "support/wait.rs"]
mod wait;

use command::plexmesh;
use process::Process;
use wait::until;

/// Days of which a certificate has used up more than two thirds of its ninety.
const OLD_S: u64 = 61 * 24 * 3_600;

struct Agent {
    dir: PathBuf,
    process: Option<Process>,
}

impl Agent {
    fn new(root: &Path, name: &str) -> Self {
        Self { dir: root.join(name), process: None }
    }

    /// Makes a mesh of one, and runs it.
    fn first(root: &Path) -> Self {
        let mut agent = Self::new(root, "alpha");
        assert!(agent.typed(&["init", "--name", "alpha"], "").status.success());
        agent.start();
        agent
    }

    fn start(&mut self) {
        self.spawn();
        until("the agent answers", || self.json(&["status"]).map(drop));
    }

    fn kill(&mut self) {
        self.process = None;
    }

    /// Whether this peer hears nobody; or has stopped because it heard that it was put out, which it
    /// does only if that reached it before its connections were closed.
    fn is_out(&mut self) -> Result<(), String> {
        match self.process.as_mut().unwrap().0.try_wait().unwrap() {
            None => self.sees_up(&["gamma"]),
            Some(status) if status.code() == Some(7) => Ok(()),
            Some(status) => Err(status.to_string()),
        }
    }

    fn spawn(&mut self) {
        let mut command = self.command(&["run", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"]);
        command.args(["--listen", "/ip4/127.0.0.1/tcp/0"]);
        self.process = Some(Process::start(command, &self.dir.join("log")));
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = plexmesh();
        command.arg("--data-dir").arg(&self.dir).args(words);
        command
    }

    /// What was said on a command line with this data directory.
    fn typed(&self, words: &[&str], stdin: &str) -> Output {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may be gone already.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn json(&self, words: &[&str]) -> Result<Value, String> {
        process::json(self.command(words))
    }

    fn item(&self, words: &[&str]) -> Value {
        self.json(words).unwrap()["items"][0].clone()
    }

    fn token(&self, words: &[&str]) -> String {
        let item = self.item(&[&["invite"], words].concat());
        item["token"].as_str().unwrap().to_owned()
    }

    /// Joins with a token, and runs.
    fn joined(root: &Path, name: &str, token: &str) -> Self {
        let mut agent = Self::new(root, name);
        let output = agent.typed(&["join", "-", "--name", name], token);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        agent.start();
        agent
    }

    /// Whether this peer knows of so many authority keys that were replaced.
    fn knows_replacements(&self, count: usize) -> Result<(), String> {
        let replaced = self.json(&["authority"])?["items"][0]["replaced"].clone();
        let known = replaced.as_array().map(Vec::len);
        if known == Some(count) { Ok(()) } else { Err(replaced.to_string()) }
    }

    /// Whether exactly these are up here.
    fn sees_up(&self, names: &[&str]) -> Result<(), String> {
        let peers = self.json(&["peers"])?;
        let peers = peers["items"].as_array().cloned().unwrap_or_default();
        let mut up: Vec<&str> = peers
            .iter()
            .filter(|peer| peer["state"] == "up")
            .filter_map(|peer| peer["name"].as_str())
            .collect();
        up.sort_unstable();
        if up == names { Ok(()) } else { Err(format!("{}: {up:?}", self.dir.display())) }
    }
}

fn refused(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}

#[test]
fn a_token_lets_in_as_many_as_it_says_and_a_revoked_peer_is_cut_off_by_all() {
    let root = tempfile::tempdir().unwrap();
    let alpha = Agent::first(root.path());
    let token = alpha.token(&["--uses", "2", "--note", "rack 7"]);
    let beta = Agent::joined(root.path(), "beta", &token);
    let mut gamma = Agent::joined(root.path(), "gamma", &token);
    for agent in [&alpha, &beta, &gamma] {
        until("three that see each other", || agent.sees_up(&["alpha", "beta", "gamma"]));
    }
    let listed = until("a list of tokens at another peer", || beta.json(&["invite", "list"]));
    let item = &listed["items"][0];
    assert_eq!((&item["used"], &item["uses"]), (&2.into(), &2.into()));
    assert_eq!(item["note"], "rack 7");
    let late = Agent::new(root.path(), "delta");
    refused(&late.typed(&["join", "-"], &token), 7, "used as often");
    assert!(!late.dir.exists(), "nothing is to be left of it");

    refused(&beta.typed(&["revoke", "gamma", "--yes"], ""), 7, "role of an admin");
    let ended = alpha.item(&["revoke", "gamma", "--yes", "--reason", "stolen"]);
    assert_eq!(ended["acknowledged"], 2, "{ended}");
    for agent in [&alpha, &beta] {
        until("the revoked peer is gone", || agent.sees_up(&["alpha", "beta"]));
        let told = agent.item(&["revoke"]);
        assert_eq!((&told["cause"], &told["reason"]), (&"revoked".into(), &"stolen".into()));
    }
    let secret = |agent: &Agent| fs::read(agent.dir.join("mesh.secret")).unwrap();
    let (old, kept) = (secret(&beta), secret(&gamma));
    refused(&beta.typed(&["keys", "rotate"], ""), 7, "role of an admin");
    let rotated = alpha.item(&["keys", "rotate"]);
    assert_eq!((&rotated["latestEpoch"], &rotated["upToDate"]), (&2.into(), &2.into()));
    assert!(secret(&alpha) == secret(&beta) && secret(&beta) != old);
    assert_eq!(secret(&gamma), kept, "who was put out is given nothing");
    // Started again it stays out.
    gamma.kill();
    gamma.spawn();
    until("it is out", || gamma.is_out());
    for agent in [&alpha, &beta] {
        agent.sees_up(&["alpha", "beta"]).unwrap();
    }
    let audited = alpha.json(&["events", "--audit"]).unwrap().to_string();
    assert!(audited.contains("/v1/revocations") && !audited.contains(&token));
}

#[test]
fn a_token_for_one_peer_lets_in_no_other_and_a_used_up_or_mistyped_one_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let alpha = Agent::first(root.path());
    let known = plexmesh_net::Identity::generate();
    let id = plexmesh_net::peer_id_text(&known.public());
    let token = alpha.token(&["--for", &id]);
    let other = Agent::new(root.path(), "other");
    refused(&other.typed(&["join", "-"], &token), 7, "for another peer");
    let mut mistyped = token.clone();
    mistyped.replace_range(30..31, if &token[30..31] == "a" { "b" } else { "a" });
    refused(&other.typed(&["join", "-"], &mistyped), 2, "damaged");
    refused(&other.typed(&["join", "-"], "hello"), 2, "no join token");
    assert!(!other.dir.exists(), "nothing is to be left of it");
    let short = alpha.token(&["--expires", "1s"]);
    until("the token expires", || {
        let output = other.typed(&["join", "-"], &short);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.contains("expired") { Ok(()) } else { Err(said) }
    });
    refused(&alpha.typed(&["join", "-"], &token), 8, "another agent runs");
    refused(&alpha.typed(&["invite", "--uses", "0"], ""), 2, "uses");
}

#[test]
fn who_is_gone_can_be_forgotten_and_join_again() {
    let root = tempfile::tempdir().unwrap();
    let alpha = Agent::first(root.path());
    let token = alpha.token(&["--uses", "2"]);
    let mut beta = Agent::joined(root.path(), "beta", &token);
    until("two that see each other", || alpha.sees_up(&["alpha", "beta"]));
    refused(&alpha.typed(&["forget", "beta", "--yes"], ""), 7, "is up");
    beta.kill();
    until("it can be forgotten", || alpha.json(&["forget", "beta", "--yes"]).map(drop));
    until("it is gone", || match alpha.json(&["peers"])?["items"].as_array().map(Vec::len) {
        Some(1) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    // A new directory, a new key, the second use.
    drop(beta);
    fs::remove_dir_all(root.path().join("beta")).unwrap();
    let _beta = Agent::joined(root.path(), "beta", &token);
    until("it is back", || alpha.sees_up(&["alpha", "beta"]));
}

#[test]
fn who_was_revoked_while_away_hears_of_it_from_an_enroller_and_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let alpha = Agent::first(root.path());
    let mut beta = Agent::joined(root.path(), "beta", &alpha.token(&[]));
    until("two that see each other", || beta.sees_up(&["alpha", "beta"]));
    beta.kill();
    alpha.item(&["revoke", "beta", "--yes"]);
    beta.start();
    let told = until("an enroller's word", || {
        let findings = beta.json(&["status"])?["items"][0]["findings"].clone();
        let mut all = findings.as_array().into_iter().flatten();
        let denied = all.find(|it| it["code"] == "MEMBERSHIP_DENIED").cloned();
        denied.ok_or_else(|| findings.to_string())
    });
    assert_eq!((&told["peer"]["name"], &told["other"]["name"]), (&"beta".into(), &"alpha".into()));
    let evidence = told["evidence"].as_str().unwrap();
    assert!(evidence.contains("an enroller says: this peer's membership was ended"), "{evidence}");
    let ended = beta.process.as_mut().unwrap().0.try_wait().unwrap();
    assert_eq!(ended, None, "one enroller's word stops no peer");
}

#[test]
fn a_certificate_is_renewed_before_it_lapses() {
    let root = tempfile::tempdir().unwrap();
    let alpha = Agent::first(root.path());
    let status = alpha.item(&["status"]);
    let me = alpha.json(&["status"]).unwrap()["observedBy"].as_str().unwrap().to_owned();
    let peer = plexmesh_proto::types::PeerId(plexmesh_net::parse_peer_id(&me).unwrap());
    let address = status["listening"][0].as_str().unwrap().to_owned();
    let mut beta = Agent::new(root.path(), "beta");
    let labels = Labels { name: Some("beta".to_owned()), ..Labels::default() };
    let long_ago_s = WallTime::now().ms() / 1_000 - OLD_S;
    mesh::enrol(&alpha.dir, &beta.dir, labels, vec![Seed { peer, address }], long_ago_s).unwrap();
    let before = fs::read(beta.dir.join("certificate")).unwrap();
    beta.start();
    until("another certificate", || {
        let now = fs::read(beta.dir.join("certificate")).unwrap();
        if now == before { Err("the same".to_owned()) } else { Ok(()) }
    });
    let lapses = |agent: &Agent| {
        agent.item(&["peer", "beta"])["certificateLapsesAt"].as_str().unwrap().to_owned()
    };
    let in_60_days = WallTime::from_s(WallTime::now().ms() / 1_000 + 60 * 24 * 3_600).to_string();
    for agent in [&alpha, &beta] {
        until("all know of it", || {
            let lapses = lapses(agent);
            if lapses > in_60_days { Ok(()) } else { Err(lapses) }
        });
    }
}

#[test]
fn the_spare_replaces_a_lost_authority_key_and_who_was_away_learns_it_from_any_peer() {
    let root = tempfile::tempdir().unwrap();
    let alpha = Agent::first(root.path());
    let token = alpha.token(&["--uses", "2"]);
    let mut beta = Agent::joined(root.path(), "beta", &token);
    let mut gamma = Agent::joined(root.path(), "gamma", &token);
    until("all see all", || alpha.sees_up(&["alpha", "beta", "gamma"]));
    gamma.kill();
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let (lost, spare, new) = (at("lost.key"), at("spare.key"), at("new.key"));
    fs::rename(alpha.dir.join("authority.key"), &lost).unwrap();
    fs::rename(alpha.dir.join("authority-spare.key"), &spare).unwrap();
    let replace = ["authority", "replace", "--yes", "--with", &spare, "--new", &new];
    assert_eq!(alpha.item(&replace)["replaced"][0]["stolen"], false);
    until("beta knows", || beta.knows_replacements(1));
    // From here on alpha hangs on a key that gamma has never heard of, and nobody else is there.
    assert!(alpha.typed(&["certificate", "--renew-with", &new], "").status.success());
    beta.kill();
    let of_lost = fs::read(gamma.dir.join("certificate")).unwrap();
    gamma.start();
    until("gamma knows", || gamma.knows_replacements(1));
    until("gamma renews its certificate by itself", || {
        let now = fs::read(gamma.dir.join("certificate")).unwrap();
        if now == of_lost { Err("the same".to_owned()) } else { Ok(()) }
    });
    until("they see each other", || gamma.sees_up(&["alpha", "gamma"]));
    let delta = Agent::joined(root.path(), "delta", &alpha.token(&[]));
    until("a newcomer sees both", || delta.sees_up(&["alpha", "delta", "gamma"]));
    // Nobody signs with the lost key any more.
    let by_lost = ["authority", "replace", "--yes", "--with", &lost, "--new", &at("other.key")];
    refused(&alpha.typed(&by_lost, ""), 7, "no authority in force");
    assert!(!root.path().join("other.key").exists());
    gamma.kill();
    gamma.start();
    gamma.knows_replacements(1).expect("it was written down");
}

#[test]
fn an_authority_key_that_is_not_replaced_leaves_everything_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let alpha = Agent::first(root.path());
    let at = |name: &str| alpha.dir.join(name).to_str().unwrap().to_owned();
    let (daily, spare) = (at("authority.key"), at("authority-spare.key"));
    let before = fs::read(&spare).unwrap();
    let onto_another = ["authority", "replace", "--yes", "--with", &daily, "--new", &spare];
    let output = alpha.typed(&onto_another, "");
    assert!(!output.status.success());
    assert_eq!(fs::read(&spare).unwrap(), before);
    let new = at("new.key");
    let too_long =
        ["authority", "replace", "--yes", "--with", &daily, "--new", &new, "--grace", "91d"];
    refused(&alpha.typed(&too_long, ""), 2, "90 days at most");
    let no_key = ["authority", "replace", "--yes", "--with", &at("mesh.toml"), "--new", &new];
    assert!(!alpha.typed(&no_key, "").status.success());
    assert!(!Path::new(&new).exists());
    alpha.knows_replacements(0).unwrap();
}
