//! What another agent has already: a port, the socket, the data directory, the identity.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use plexmesh_agent::mesh::{self, Labels, Seed};
use plexmesh_agent::time::WallTime;
use plexmesh_proto::types::PeerId;
use serde_json::Value;

use crate::host::{ANY_UDP, Agent, Host, contents, done, refused};

/// The exit code of who finds something in use.
const IN_USE: i32 = 8;

/// Where an agent listens, and the port.
fn listening(agent: &Agent<'_>) -> (String, String) {
    let status = agent.until("it listens", &["status"], |it| it["listening"][0].is_string());
    let address = status["listening"][0].as_str().unwrap().to_owned();
    let port = address.split('/').nth(4).unwrap().to_owned();
    (address, port)
}

fn answers(agent: &Agent<'_>) {
    agent.until("the first agent answers", &["status"], |_| true);
}

#[test]
fn a_port_of_another_agent_is_told_with_who_may_have_it_and_nothing_is_made() {
    for any in [ANY_UDP, "/ip4/127.0.0.1/tcp/0"] {
        let host = Host::with_peer();
        let first = host.spawn("data", &["--listen", any]);
        let (address, port) = listening(&first);
        // The other address is free: one of two is enough.
        let second = host.typed("new", &["run", "--listen", ANY_UDP, "--listen", &address]);
        refused(&second, IN_USE, &[&address, "another process", "ss -lntup", &port]);
        assert_eq!(contents(&host.path("new")).len(), 0);
        answers(&first);
    }
}

#[test]
fn a_port_of_another_program_is_told_too() {
    let host = Host::with_peer();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let before = contents(&host.path("data"));
    let run = host.typed("data", &["run", "--listen", &format!("/ip4/127.0.0.1/tcp/{port}")]);
    refused(&run, IN_USE, &[&port.to_string(), "a program that happens to use this one"]);
    assert!(contents(&host.path("data")) == before);
}

#[test]
fn an_address_that_this_host_does_not_have_is_told() {
    let host = Host::with_peer();
    // For documentation: nobody has it.
    let run = host.typed("data", &["run", "--listen", "/ip4/192.0.2.1/udp/6374/quic-v1"]);
    refused(&run, 1, &["192.0.2.1", "no interface"]);
}

#[test]
fn the_socket_of_a_live_agent_stays_its_own() {
    let host = Host::with_peer();
    let first = host.start("data", &[]);
    let socket = host.path("data/agent.sock");
    let before = fs::metadata(&socket).unwrap().ino();
    let words = ["--socket", socket.to_str().unwrap(), "run", "--listen", ANY_UDP];
    refused(&host.typed("other", &words), IN_USE, &["agent.sock", "another agent answers"]);
    assert_eq!(fs::metadata(&socket).unwrap().ino(), before);
    answers(&first);
}

#[test]
fn the_directory_of_a_live_agent_is_refused_and_the_agent_goes_on() {
    let host = Host::with_peer();
    let first = host.start("data", &[]);
    let own = host.path("data/identity.key");
    let before = fs::read(&own).unwrap();
    let elsewhere = host.path("other.sock");
    let words = ["--socket", elsewhere.to_str().unwrap(), "run", "--listen", ANY_UDP];
    refused(&host.typed("data", &words), IN_USE, &["another agent runs with", "status"]);
    refused(&host.typed("data", &["join", "token"]), 2, &["no join token"]);
    assert!(!elsewhere.exists() && fs::read(&own).unwrap() == before);
    answers(&first);
    first.stop();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn tells(status: &Value, code: &str) -> bool {
    status["findings"].as_array().unwrap().iter().any(|finding| finding["code"] == code)
}

#[test]
fn two_agents_with_one_identity_both_say_so() {
    let host = Host::with_peer();
    let first = host.start("data", &[]);
    let (address, _) = listening(&first);
    let wall_s = WallTime::now().ms() / 1_000;
    let me = first.until("an id", &["peers"], |_| true)["id"].as_str().unwrap().to_owned();
    let peer = PeerId(plexmesh_net::parse_peer_id(&me).unwrap());
    let (seeds, labels) = (vec![Seed { peer, address }], Labels::default());
    mesh::enrol(&host.path("data"), &host.path("beta"), labels, seeds, wall_s).unwrap();
    copy(&host.path("beta"), &host.path("clone"));
    let (beta, clone) = (host.start("beta", &[]), host.start("clone", &[]));
    for agent in [&beta, &clone] {
        agent.until("IDENTITY_CLONED", &["status"], |it| tells(it, "IDENTITY_CLONED"));
    }
    // The third peer is told of nothing that is wrong with itself.
    assert!(!tells(&first.until("a status", &["status"], |_| true), "IDENTITY_CLONED"));
}

#[test]
fn a_refused_token_leaves_an_empty_directory_empty() {
    let host = Host::with_peer();
    let first = host.start("data", &[]);
    let invite = |words: &[&str]| {
        let item = first.until("a token", &[&["invite"], words].concat(), |_| true);
        item["token"].as_str().unwrap().to_owned()
    };
    let (used_up, brief) = (invite(&[]), invite(&["--expires", "1s"]));
    done(&host.typed("beta", &["join", &used_up]));
    let mut mistyped = used_up.clone();
    mistyped.replace_range(40..41, if &used_up[40..41] == "a" { "b" } else { "a" });
    fs::create_dir(host.path("new")).unwrap();
    let refuse = |token: &str, code, words: &[&str]| {
        refused(&host.typed("new", &["join", token]), code, words);
        assert_eq!(fs::read_dir(host.path("new")).unwrap().count(), 0);
    };
    refuse(&mistyped, 2, &["damaged"]);
    refuse(&used_up, 7, &["used as often"]);
    crate::wait::until("the token expires", || {
        let said = host.typed("never", &["join", &brief]);
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        fs::remove_dir_all(host.path("never")).unwrap_or_default();
        if said.contains("expired") { Ok(()) } else { Err(said) }
    });
    refuse(&brief, 2, &["expired", "plexmesh invite"]);
    let unheard = invite(&[]);
    first.stop();
    refuse(&unheard, 1, &["its agent may be down"]);
}
