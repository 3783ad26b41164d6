//! The socket as its users meet it: with a real agent behind it, and with none.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use hyper::Request;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::problem::Code;
use super::routes::{Agent, Caller, router};
use super::server::{BindError, Server};
use super::socket;
use crate::cli::client::Client;
use crate::query::{DriverHandle, Query};
use crate::run;
use crate::scrub::ScrubHandle;
use crate::settings::Settings;

/// A driver that is not there: queries wait in the queue that is given.
fn handle() -> (DriverHandle, mpsc::Receiver<Query>) {
    let (sender, receiver) = mpsc::channel(4);
    (DriverHandle::new(sender, broadcast::channel(4).0), receiver)
}

/// A scrub that looks at nothing; it ends with its handle.
fn idle_scrub() -> ScrubHandle {
    let dir = tempfile::tempdir().unwrap();
    ScrubHandle::start(dir.path(), [0; 32], Default::default()).unwrap()
}

fn client(path: &Path) -> Client {
    Client::new(socket::places(Some(path), None, None))
}

/// A real agent that is alone, and a client of it.
pub(crate) struct MeshOfOne {
    pub(crate) client: Client,
    pub(crate) running: JoinHandle<anyhow::Result<()>>,
    dir: TempDir,
}

impl MeshOfOne {
    /// Starts an agent called alpha.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let args = crate::cli::args::RunArgs {
            data_dir: Some(dir.path().to_owned()),
            listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1".to_owned()],
            name: Some("alpha".to_owned()),
            ..Default::default()
        };
        let agent = run::Agent::start(Settings::resolve(args).unwrap()).await.unwrap();
        let running = tokio::spawn(agent.run_until(std::future::pending()));
        let mut client = client(&dir.path().join("agent.sock"));
        // An agent knows itself once its driver has taken the first step.
        while client.get("/readyz").await.is_err() {
            tokio::task::yield_now().await;
        }
        Self { client, running, dir }
    }
}

/// Asks the routes without a socket, as a user with this id.
async fn ask(driver: DriverHandle, request: Request<Body>, uid: u32) -> (u16, Value) {
    let agent = Arc::new(Agent::new(driver, idle_scrub(), false, watch::channel(false).1));
    let mut request = request;
    request.extensions_mut().insert(Caller { uid: Some(uid) });
    let answer = TowerToHyperService::new(router(agent)).call(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn leave(body: impl Into<Body>) -> Request<Body> {
    Request::post("/v1/leave").body(body.into()).unwrap()
}

#[tokio::test]
async fn an_unknown_path_is_answered_with_the_paths_that_there_are() {
    let (driver, _queries) = handle();
    let request = Request::get("/v2").body(Body::empty()).unwrap();
    let (status, error) = ask(driver, request, 0).await;
    assert_eq!((status, &error["kind"]), (404, &Value::from("Error")));
    assert_eq!(error["items"][0]["code"], "unknownPath");
    assert!(error["items"][0]["likelyCause"].as_str().unwrap().contains("GET /v1/status"));
}

#[tokio::test]
async fn only_root_and_the_owner_may_take_the_peer_out() {
    let (driver, mut queries) = handle();
    let stranger = rustix::process::geteuid().as_raw() + 1;
    let (status, error) = ask(driver, leave("{}"), stranger).await;
    assert_eq!((status, &error["items"][0]["code"]), (403, &Value::from("notPermitted")));
    assert!(queries.try_recv().is_err(), "the driver must not have heard of it");
}

#[tokio::test]
async fn a_request_that_is_too_large_or_makes_no_sense_does_not_reach_the_driver() {
    for body in ["x".repeat(1 << 16), "7".to_owned(), format!("{{\"reason\":\"{:300}\"}}", 1)] {
        let (driver, mut queries) = handle();
        let (status, error) = ask(driver, leave(body), 0).await;
        assert_eq!((status, &error["items"][0]["code"]), (400, &Value::from("badRequest")));
        assert!(queries.try_recv().is_err());
    }
}

#[tokio::test]
async fn an_agent_whose_driver_is_gone_says_so() {
    let (driver, queries) = handle();
    drop(queries);
    let request = Request::get("/v1/status").body(Body::empty()).unwrap();
    let (status, error) = ask(driver, request, 0).await;
    assert_eq!((status, &error["items"][0]["code"]), (503, &Value::from("stopping")));
}

#[tokio::test]
async fn a_live_socket_is_left_alone_and_a_dead_one_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/agent.sock");
    let bind = || Server::bind(&path, handle().0, idle_scrub(), false);
    let first = bind().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o660);
    assert_eq!(mode(path.parent().unwrap()) & 0o027, 0o050 & 0o027, "others are kept out");
    assert!(matches!(bind(), Err(BindError::InUse(_))));
    drop(first);
    let second = bind().unwrap();
    second.serve(async {}).await;
    assert!(!path.exists(), "an agent that stops takes its socket along");
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(bind(), Err(BindError::NotASocket(_))));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn one_connection_too_many_is_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.sock");
    let (driver, _queries) = handle();
    let server = Server::bind(&path, driver, idle_scrub(), false).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async move { stopped.await.unwrap_or(()) }));
    let mut open = Vec::new();
    let refused = loop {
        assert!(open.len() < 100, "nobody was refused");
        let mut stream = UnixStream::connect(&path).await.unwrap();
        // An accepted connection answers this path without a driver; a refused one by itself.
        stream.write_all(b"GET /v2 HTTP/1.1\r\nhost: x\r\n\r\n").await.ok();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        if head.ends_with(b"503") {
            break open.len();
        }
        open.push(stream);
    };
    assert_eq!(refused, 64);
    drop(open);
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mesh_of_one_answers_every_path_until_it_leaves() {
    let MeshOfOne { mut client, running, dir: _dir } = MeshOfOne::start().await;
    for (at, kind) in [
        ("/livez", "Liveness"),
        ("/readyz", "Readiness"),
        ("/v1/status", "Status"),
        ("/v1/peers", "PeerList"),
        ("/v1/peers/alpha", "Peer"),
        ("/v1/why/alp", "Why"),
        ("/v1/topology", "Topology"),
        ("/v1/latency?limit=9&peers=alpha", "Latency"),
        ("/v1/events?limit=1", "EventList"),
        ("/v1/figures", "Figures"),
    ] {
        let document: Value = client.document(at).await.unwrap();
        assert_eq!(document["kind"], kind, "{at}");
        assert_eq!(document["observedByName"], "alpha", "{at}");
    }
    let status: Value = client.document("/v1/status").await.unwrap();
    assert_eq!(status["items"][0]["status"], "OK", "{status}");
    let problem = client.get("/v1/peers/nobody").await.unwrap_err();
    assert_eq!(problem.code, Code::NotFound);

    let mut lines = client.lines("/v1/events?follow=true").await.unwrap();
    let first = lines.next().await.unwrap().unwrap();
    let event: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!((&event["kind"], &event["items"][0]["sequence"]), (&"Event".into(), &1.into()));
    client.post("/v1/leave", "{\"reason\":\"test\"}".into()).await.unwrap();
    while lines.next().await.unwrap().is_some() {}
    running.await.unwrap().unwrap();
    assert_eq!(client.get("/livez").await.unwrap_err().code, Code::NoAgent);
}
