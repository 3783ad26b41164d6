//! Requests to the local socket, past HTTP itself: method, path, query and body, as its owner.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use http_body_util::{BodyExt, Limited};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::service::TowerToHyperService;
use plexmesh_agent::api::routes::Caller;
use plexmesh_agent::api::server::Server;
use plexmesh_agent::audit::AuditLog;
use plexmesh_agent::cli::args::RunArgs;
use plexmesh_agent::config::{self, Files, Inputs};
use plexmesh_agent::run::Agent;
use plexmesh_agent::scrub::ScrubHandle;
use plexmesh_agent::settings::Settings;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Longest answer, in bytes: the description of all routes takes 200 KiB.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// How long the agent may take to know itself: many times what it takes, for machines that are busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent that is alone, and its routes.
struct Asked {
    runtime: Runtime,
    router: Router,
    _server: Server,
    _agent: Agent,
    _dirs: [TempDir; 2],
}

/// The first line is method and path with query, the rest is the body. Every answer is a document,
/// and none is a fault of the agent.
pub(super) fn http(bytes: &[u8]) -> bool {
    static ASKED: LazyLock<Mutex<Option<Asked>>> = LazyLock::new(Mutex::default);
    let Some(request) = request(bytes) else { return false };
    let mut place = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let asked = place.get_or_insert_with(|| {
        let asked = Asked::start();
        assert!(asked.is_ok(), "no agent: {:?}", asked.as_ref().err());
        asked.unwrap_or_else(|_| std::process::abort())
    });
    let (status, kind) = asked.ask(request);
    assert!(status < 500 || status == 503, "{status} {kind}");
    if kind == "Left" {
        // That was the end of this agent.
        *place = None;
    }
    status < 300
}

fn request(bytes: &[u8]) -> Option<Request<Body>> {
    let (head, body) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(place) => (bytes.get(..place)?, bytes.get(place + 1..)?),
        None => (bytes, &[][..]),
    };
    let (method, target) = std::str::from_utf8(head).ok()?.split_once(' ')?;
    // A followed answer has no end.
    if target.contains("follow=") {
        return None;
    }
    let caller = Caller { uid: Some(0), pid: Some(1) };
    let builder = Request::builder().method(method).uri(target).extension(caller);
    builder.header("content-type", "application/json").body(Body::from(body.to_vec())).ok()
}

impl Asked {
    fn start() -> anyhow::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let dirs = [tempfile::tempdir()?, tempfile::tempdir()?];
        let [data, beside] = &dirs;
        let args = RunArgs {
            data_dir: Some(data.path().to_owned()),
            listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1".to_owned()],
            name: Some("alpha".to_owned()),
            ..RunArgs::default()
        };
        let inputs = Inputs {
            files: Files::Of(beside.path().to_owned()),
            environment: Vec::new(),
            flags: args,
        };
        let config = config::load(&inputs).sound()?;
        let (agent, server) = runtime.block_on(async {
            let agent = Agent::start(Settings::of(&config)?).await?;
            // The agent's own routes are behind its socket; these are others of the same agent.
            let scrub = ScrubHandle::start(beside.path(), [0; 32], Default::default())?;
            let audit = Arc::new(AuditLog::open(beside.path()));
            let socket = beside.path().join("agent.sock");
            let (driver, installer) = (agent.handle().clone(), agent.installer());
            let server = Server::bind(&socket, driver, scrub, audit, installer, false)?;
            Ok::<_, anyhow::Error>((agent, server))
        })?;
        let asked =
            Self { runtime, router: server.router(), _server: server, _agent: agent, _dirs: dirs };
        asked.wait()?;
        Ok(asked)
    }

    /// Waits until the agent knows itself: its driver has taken the first step then.
    fn wait(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let ready = Request::get("/readyz").body(Body::empty())?;
            if self.ask(ready).0 < 300 {
                return Ok(());
            }
            std::thread::yield_now();
        }
        anyhow::bail!("the agent is not ready within {} s", PATIENCE.as_secs())
    }

    /// The status of the answer and the kind of its document; the body itself where it is none.
    fn ask(&self, request: Request<Body>) -> (u16, String) {
        self.runtime.block_on(async {
            let Ok(answer) = TowerToHyperService::new(self.router.clone()).call(request).await;
            let status = answer.status().as_u16();
            (status, kind(answer).await)
        })
    }
}

async fn kind(answer: Response<Body>) -> String {
    let is_json = answer.headers().get("content-type").is_some_and(|it| it == "application/json");
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
    assert!(body.is_ok(), "the answer broke off");
    let bytes = body.map(|it| it.to_bytes()).unwrap_or_default();
    let document = serde_json::from_slice::<Value>(&bytes);
    assert!(!is_json || document.is_ok(), "an answer that is no JSON: {:?}", document.err());
    let kind = document.ok().and_then(|it| it.get("kind")?.as_str().map(str::to_owned));
    kind.unwrap_or_default()
}
