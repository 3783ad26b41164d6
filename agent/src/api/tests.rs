//! The socket as its users meet it: with a real agent behind it, and with none.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use hyper::Request;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use plexmesh_net::{Identity, NetConfig};
use plexmesh_proto::record::MeshId;
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
use crate::api::schema::{AuditEntry, AuditOutcome};
use crate::audit::{AuditLog, Since};
use crate::certificate::Installer;
use crate::cli::client::Client;
use crate::identity::NodeKeys;
use crate::mesh::{Gate, MeshAdmission};
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

/// Takes over certificates for a driver that is not there, over a transport that reaches nobody.
fn installer(driver: DriverHandle) -> Installer {
    let keys = NodeKeys::new(Identity::generate());
    let config = NetConfig::new(keys.identity().clone(), [0; 32], Vec::new());
    let admission = MeshAdmission::new(keys, MeshId([0; 32]), Gate::new(Arc::default()));
    let (net, _) = plexmesh_net::spawn(config, Arc::new(admission)).unwrap();
    Installer::new(driver, net, "/nonexistent".into())
}

/// An audit log in a directory of its own, which goes with the test.
fn audit_log() -> (TempDir, Arc<AuditLog>) {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(AuditLog::open(dir.path()));
    (dir, log)
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
    let (_dir, log) = audit_log();
    ask_with(driver, log, request, uid).await
}

/// [`ask`], with an audit log that the test can look at.
async fn ask_with(
    driver: DriverHandle,
    log: Arc<AuditLog>,
    request: Request<Body>,
    uid: u32,
) -> (u16, Value) {
    let closing = watch::channel(false).1;
    let agent =
        Arc::new(Agent::new(driver.clone(), idle_scrub(), log, installer(driver), false, closing));
    let mut request = request;
    request.extensions_mut().insert(Caller { uid: Some(uid), pid: Some(7) });
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

/// What an audit log says.
fn logged(log: &AuditLog) -> Vec<AuditEntry> {
    log.read(Since::Sequence(0), 100).unwrap().items
}

fn accept() -> Request<Body> {
    Request::post("/v1/scrub").body("{\"action\":\"accept\"}".into()).unwrap()
}

/// A driver that answers nothing.
fn gone() -> DriverHandle {
    handle().0
}

#[tokio::test]
async fn a_refused_change_is_logged_with_who_asked_and_why_not() {
    let (_dir, log) = audit_log();
    let stranger = rustix::process::geteuid().as_raw() + 1;
    ask_with(gone(), log.clone(), accept(), stranger).await;
    let bad = Request::post("/v1/leave").body("7".into()).unwrap();
    ask_with(gone(), log.clone(), bad, 0).await;
    let entries = logged(&log);
    let told: Vec<_> = entries.iter().map(|it| (it.uid, it.path.as_str(), it.code)).collect();
    let expected = [
        (Some(stranger), "/v1/scrub", Some(Code::NotPermitted)),
        (Some(0), "/v1/leave", Some(Code::BadRequest)),
    ];
    assert_eq!(told, expected);
    assert!(entries.iter().all(|it| it.outcome == AuditOutcome::Refused));
    assert_eq!(entries[0].asked["action"], "accept");
}

#[tokio::test]
async fn a_change_that_cannot_be_logged_is_not_made() {
    let (dir, log) = audit_log();
    std::fs::remove_file(dir.path().join("audit.log")).unwrap();
    std::fs::create_dir(dir.path().join("audit.log")).unwrap();
    let (driver, mut queries) = handle();
    let (status, error) = ask_with(driver, log, leave("{}"), 0).await;
    assert_eq!((status, &error["items"][0]["code"]), (507, &Value::from("notAudited")));
    assert!(queries.try_recv().is_err(), "the driver must not have heard of it");
}

#[tokio::test]
async fn the_group_may_not_read_the_audit_log() {
    let (driver, mut queries) = handle();
    let request = Request::get("/v1/audit").body(Body::empty()).unwrap();
    let stranger = rustix::process::geteuid().as_raw() + 1;
    let (status, error) = ask(driver, request, stranger).await;
    assert_eq!((status, &error["items"][0]["code"]), (403, &Value::from("notPermitted")));
    assert!(queries.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_in_the_audit_log_before_it_is_answered() {
    let mut mesh = MeshOfOne::start().await;
    let me = rustix::process::geteuid().as_raw();
    mesh.client.post("/v1/scrub", "{\"action\":\"accept\"}".into()).await.unwrap();
    let document: Value = mesh.client.document("/v1/audit").await.unwrap();
    let entry = &document["items"][0];
    assert_eq!((&entry["uid"], &entry["outcome"]), (&Value::from(me), &Value::from("done")));
    assert_eq!(entry["pid"], std::process::id());
    assert_eq!((&entry["method"], &entry["path"]), (&"POST".into(), &"/v1/scrub".into()));
    assert_eq!(
        (&entry["asked"]["action"], &entry["after"]["accepted"]),
        (&"accept".into(), &0.into())
    );
    assert_eq!(document["chain"]["holds"], true);
    mesh.client.post("/v1/leave", "{\"reason\":\"test\"}".into()).await.unwrap();
    mesh.running.await.unwrap().unwrap();
    let left = logged(&AuditLog::open(mesh.dir.path()));
    assert_eq!(
        left.last().map(|it| (it.path.as_str(), it.outcome)),
        Some(("/v1/leave", AuditOutcome::Done))
    );
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
    let bind = || {
        let driver = handle().0;
        let installer = installer(driver.clone());
        Server::bind(&path, driver, idle_scrub(), audit_log().1, installer, false)
    };
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
    let server =
        Server::bind(&path, driver.clone(), idle_scrub(), audit_log().1, installer(driver), false)
            .unwrap();
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
