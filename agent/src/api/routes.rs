//! Paths of the local socket, and who may use them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use futures::stream::{self, Stream};
use plexmesh_proto::event::Event as ProtoEvent;
use plexmesh_proto::integrity::Verdict as ProtoVerdict;
use plexmesh_proto::types::{Now, PeerId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::task::spawn_blocking;

use super::answer;
use super::guard::Effect;
use super::problem::{Code, Problem};
use super::schema::{
    BackupItems, Envelope, Event, EventItems, Figures, Integrity, Item, Kind, Latency, Leave,
    Liveness, Many, One, Peer, PeerDetail, Readiness, Scrub, ScrubAction, ScrubRequest, ShardItems,
    Status, Topology, Verdict, Why,
};
use super::select::select;
use super::server::Counters;
use super::table::{ROUTES, paths};
use super::{metrics, openapi};
use crate::audit::{AuditLog, Changed};
use crate::certificate::Installer;
use crate::events::EventEntry;
use crate::query::{AgentNode, DriverHandle, QueryError, Snapshot};
use crate::scrub::{DEFAULT_PAUSE, ScrubHandle};
use crate::time::WallTime;

/// Header by which the command line notices that agent and command are of different versions.
pub const VERSION_HEADER: &str = "plexmesh-version";
/// Longest reason for leaving, in bytes: what a `Leave` record may carry.
pub const MAX_REASON_BYTES: usize = 256;

/// Longest reason as a request body, in bytes: with every character escaped.
const MAX_LEAVE_BYTES: usize = 4 * 1024;
/// Rows of the latency matrix that are estimated between two protocol steps: 8 000 pairs at most,
/// about a millisecond.
const ROWS_A_STEP: usize = 16;

/// What the routes work on.
#[derive(Debug)]
pub struct Agent {
    driver: DriverHandle,
    scrub: ScrubHandle,
    /// Where changes are written down.
    pub(super) audit: Arc<AuditLog>,
    /// Who takes over certificates.
    pub(super) installer: Installer,
    /// The agent was told of other peers: alone it is not ready.
    expects_company: bool,
    /// It has been converged once since the start.
    settled: AtomicBool,
    pub(super) socket: Counters,
    /// True when the agent stops: endless answers end then.
    pub(super) closing: watch::Receiver<bool>,
}

impl Agent {
    pub(super) fn new(
        driver: DriverHandle,
        scrub: ScrubHandle,
        audit: Arc<AuditLog>,
        installer: Installer,
        expects_company: bool,
        closing: watch::Receiver<bool>,
    ) -> Self {
        let (settled, socket) = (AtomicBool::new(false), Counters::default());
        Self { driver, scrub, audit, installer, expects_company, settled, socket, closing }
    }

    /// Whether the agent has found its mesh since it was started; once true, it stays so.
    fn has_settled(&self, moment: &Snapshot<'_>) -> bool {
        if !self.settled.load(Ordering::Relaxed) && answer::is_settled(moment, self.expects_company)
        {
            self.settled.store(true, Ordering::Relaxed);
        }
        self.settled.load(Ordering::Relaxed)
    }

    pub(super) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut AgentNode, Now) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        Ok(self.driver.change(change).await?)
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot<'_>) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        Ok(self.driver.read(read).await?)
    }
}

/// Who is at the other end of a connection, as the kernel says; `None` if it does not.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// User id.
    pub uid: Option<u32>,
    /// Process id.
    pub pid: Option<i32>,
}

impl Caller {
    /// Whether this user may change something: root, or whom the agent runs as. The group may read
    /// alone.
    pub(super) fn may_write(self) -> bool {
        self.uid.is_some_and(|uid| uid == 0 || uid == rustix::process::geteuid().as_raw())
    }
}

/// All routes.
pub fn router(agent: Arc<Agent>) -> Router {
    let routes = ROUTES.iter();
    routes
        .fold(Router::new(), |router, route| router.route(route.path, route.served(&agent)))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(map_response(add_version))
        .with_state(agent)
}

/// Notes when the agent has found its mesh even if nobody asks meanwhile. Ends with the driver.
pub(super) async fn watch_readiness(agent: Arc<Agent>) {
    let mut events = agent.driver.subscribe();
    loop {
        match events.recv().await {
            Ok(entry) if !matches!(entry.event, ProtoEvent::ConvergenceChanged { .. }) => {}
            Err(RecvError::Closed) => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {
                let asked = agent.clone();
                // A driver that is too busy is asked again at the next change.
                if let Ok(true) = agent.read(move |moment| asked.has_settled(moment)).await {
                    return;
                }
            }
        }
    }
}

type Answer<T> = Result<Json<T>, Problem>;

pub(super) async fn liveness(State(agent): State<Arc<Agent>>) -> Answer<One<Liveness>> {
    let item = Item { item: Liveness { alive: true } };
    let answer = agent.read(|moment| answer::envelope(moment, Kind::Liveness, item)).await?;
    Ok(Json(answer))
}

pub(super) async fn readiness(State(agent): State<Arc<Agent>>) -> Answer<One<Readiness>> {
    let asked = agent.clone();
    let (ready, stamp) =
        agent.read(move |moment| (asked.has_settled(moment), answer::stamp(moment))).await?;
    if ready {
        let item = Item { item: Readiness { ready } };
        return Ok(Json(Envelope::new(Kind::Readiness, stamp, item)));
    }
    Err(Problem::new(Code::NotReady, "this agent has not found its mesh yet")
        .because("no neighbour has answered, or neighbours do not agree yet")
        .then("plexmesh wait --for converged"))
}

pub(super) async fn status(State(agent): State<Arc<Agent>>) -> Answer<One<Status>> {
    let asked = agent.clone();
    let answer =
        agent.read(move |moment| answer::status(moment, asked.has_settled(moment))).await?;
    Ok(Json(answer))
}

pub(super) async fn peers(State(agent): State<Arc<Agent>>) -> Answer<Many<Peer>> {
    Ok(Json(agent.read(answer::peers).await?))
}

pub(super) async fn peer(
    State(agent): State<Arc<Agent>>,
    Path(text): Path<String>,
) -> Answer<One<PeerDetail>> {
    of_peer(&agent, text, answer::peer).await
}

pub(super) async fn why(
    State(agent): State<Arc<Agent>>,
    Path(text): Path<String>,
) -> Answer<One<Why>> {
    of_peer(&agent, text, answer::why).await
}

pub(super) async fn topology(State(agent): State<Arc<Agent>>) -> Answer<One<Topology>> {
    Ok(Json(agent.read(answer::topology).await?))
}

pub(super) async fn integrity(State(agent): State<Arc<Agent>>) -> Answer<One<Integrity>> {
    Ok(Json(agent.read(answer::integrity).await?))
}

pub(super) async fn figures(State(agent): State<Arc<Agent>>) -> Answer<One<Figures>> {
    let socket = agent.socket.figures();
    Ok(Json(agent.read(move |moment| answer::figures(moment, socket)).await?))
}

/// What `/v1/latency` takes; described in the table of routes.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct LatencyQuery {
    limit: Option<usize>,
    peers: Option<String>,
}

pub(super) async fn latency(
    State(agent): State<Arc<Agent>>,
    query: Result<Query<LatencyQuery>, QueryRejection>,
) -> Answer<One<Latency>> {
    let Query(query) = query?;
    let limit = query.limit.unwrap_or(usize::MAX).min(answer::MAX_MATRIX_PEERS);
    let begun = agent.read(move |moment| {
        let named = query.peers.map(|texts| resolve_all(moment, &texts)).transpose()?;
        Ok::<_, Problem>(answer::matrix(moment, named.as_ref(), limit))
    });
    let mut matrix = begun.await??;
    let ids: Arc<[PeerId]> = matrix.ids.as_slice().into();
    for start in (0..ids.len()).step_by(ROWS_A_STEP) {
        let ids = ids.clone();
        let rows = start..ids.len().min(start + ROWS_A_STEP);
        matrix.add_rows(agent.read(move |moment| answer::estimate_rows(moment, &ids, rows)).await?);
    }
    let body = Item { item: matrix.latency };
    Ok(Json(Envelope::new(Kind::Latency, matrix.stamp, body)))
}

/// What `/v1/events` takes; described in the table of routes.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct EventsQuery {
    since: Option<u64>,
    limit: Option<usize>,
    #[serde(default)]
    follow: bool,
}

pub(super) async fn events(
    State(agent): State<Arc<Agent>>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let (since, limit) = (query.since.unwrap_or(0), query.limit.unwrap_or(usize::MAX));
    if query.follow {
        let lines = Body::from_stream(follow(agent, since, limit));
        let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
        return Ok((kind, lines).into_response());
    }
    let answer: Envelope<EventItems> = agent
        .read(move |moment| {
            let events = answer::events_after(moment, since, limit);
            answer::envelope(moment, Kind::EventList, events)
        })
        .await?;
    Ok(Json(answer).into_response())
}

/// Where a followed list of events has got to.
struct Following {
    agent: Arc<Agent>,
    wake: broadcast::Receiver<EventEntry>,
    closing: watch::Receiver<bool>,
    /// Sequence number of the last event that was sent.
    last: u64,
    /// Of the first batch alone.
    limit: usize,
    first: bool,
}

/// One line an event. Events are taken from the log; the channel only says that there are some, so
/// that a slow reader loses nothing that the log still has.
fn follow(
    agent: Arc<Agent>,
    since: u64,
    limit: usize,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let wake = agent.driver.subscribe();
    let closing = agent.closing.clone();
    let begin = Following { agent, wake, closing, last: since, limit, first: true };
    stream::unfold(begin, |mut at| async move {
        loop {
            if !at.first {
                tokio::select! {
                    _ = at.closing.wait_for(|closing| *closing) => return None,
                    woken = at.wake.recv() => if matches!(woken, Err(RecvError::Closed)) {
                        return None;
                    },
                }
            }
            let (last, limit) = (at.last, if at.first { at.limit } else { usize::MAX });
            let batch = at
                .agent
                .read(move |moment| {
                    (answer::stamp(moment), answer::events_after(moment, last, limit).items)
                })
                .await;
            let (stamp, mut events) = match batch {
                Ok(batch) => batch,
                Err(problem) if problem.code == Code::Busy => continue,
                Err(_) => return None,
            };
            let Some((next, newest)) = events.first().zip(events.last()) else {
                at.first = false;
                continue;
            };
            let gap = next.sequence.saturating_sub(at.last + 1);
            let newest = newest.sequence;
            if gap > 0 && !at.first {
                events.insert(0, answer::missed(next, gap));
            }
            (at.last, at.first) = (newest, false);
            let mut lines = Vec::new();
            for event in events {
                let line = Envelope::new(Kind::Event, stamp.clone(), Item { item: event });
                push_line(&mut lines, &line);
            }
            return Some((Ok(Bytes::from(lines)), at));
        }
    })
}

fn push_line(lines: &mut Vec<u8>, line: &One<Event>) {
    // Writing to memory fails only for keys that are not text, and there are none.
    if serde_json::to_writer(&mut *lines, line).is_ok() {
        lines.push(b'\n');
    }
}

pub(super) async fn leave(State(agent): State<Arc<Agent>>, body: Bytes) -> Answer<One<Leave>> {
    let leave = parse_leave(&body)?;
    let stamp = agent.read(answer::stamp).await?;
    agent.driver.leave(leave.reason.clone()).await?;
    Ok(Json(Envelope::new(Kind::Left, stamp, Item { item: leave })))
}

fn parse_leave(body: &[u8]) -> Result<Leave, Problem> {
    if body.len() > MAX_LEAVE_BYTES {
        let message = format!("a request to leave may have {MAX_LEAVE_BYTES} bytes");
        return Err(Problem::new(Code::BadRequest, message));
    }
    let leave: Leave = parse(body)?;
    if leave.reason.len() > MAX_REASON_BYTES {
        let message = format!("the reason may have {MAX_REASON_BYTES} bytes");
        return Err(Problem::new(Code::BadRequest, message));
    }
    Ok(leave)
}

/// What a request body says, which the guard of the route has read; one that is empty stands for the
/// default.
fn parse<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("the request body is not as it should be: {error}");
        Problem::new(Code::BadRequest, message)
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ShardsQuery {
    verdict: Option<String>,
    id: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn shards(
    State(agent): State<Arc<Agent>>,
    query: Result<Query<ShardsQuery>, QueryRejection>,
) -> Answer<Envelope<ShardItems>> {
    let Query(query) = query?;
    let words = query.verdict.iter().flat_map(|words| words.split(','));
    let verdicts = words
        .take(Verdict::ALL.len())
        .map(|word| Verdict::of_word(word).ok_or_else(|| unknown_verdict(word)))
        .collect::<Result<Vec<_>, _>>()?;
    let stamp = agent.read(answer::stamp).await?;
    let (id, limit) = (query.id.unwrap_or_default(), query.limit.unwrap_or(usize::MAX));
    let scrub = agent.scrub.clone();
    // A hundred thousand shards take longer than a task may hold its thread.
    let items = spawn_blocking(move || answer::shards(&scrub, &verdicts, &id, limit));
    let items = items.await.map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
    Ok(Json(Envelope::new(Kind::ShardList, stamp, items)))
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct BackupsQuery {
    limit: Option<usize>,
}

pub(super) async fn backups(
    State(agent): State<Arc<Agent>>,
    query: Result<Query<BackupsQuery>, QueryRejection>,
) -> Answer<Envelope<BackupItems>> {
    let Query(query) = query?;
    let stamp = agent.read(answer::stamp).await?;
    let scrub = agent.scrub.clone();
    let items = spawn_blocking(move || answer::backups(&scrub, query.limit.unwrap_or(usize::MAX)));
    let items = items.await.map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
    Ok(Json(Envelope::new(Kind::BackupList, stamp, items)))
}

fn unknown_verdict(word: &str) -> Problem {
    let words: Vec<&str> = Verdict::ALL.into_iter().map(Verdict::word).collect();
    Problem::new(Code::BadRequest, format!("there is no verdict `{word}`"))
        .because(format!("the verdicts are {}", words.join(", ")))
}

pub(super) async fn scrub(State(agent): State<Arc<Agent>>) -> Answer<One<Scrub>> {
    let stamp = agent.read(answer::stamp).await?;
    let scrub = agent.scrub.clone();
    let item = spawn_blocking(move || answer::scrub(&scrub, None));
    let item = item.await.map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
    Ok(Json(Envelope::new(Kind::Scrub, stamp, Item { item })))
}

pub(super) async fn ask_scrub(
    State(agent): State<Arc<Agent>>,
    body: Bytes,
) -> Result<(Extension<Effect>, Json<One<Scrub>>), Problem> {
    let request: ScrubRequest = parse(&body)?;
    let stamp = agent.read(answer::stamp).await?;
    let scrub = agent.scrub.clone();
    // A hundred thousand shards take longer than a task may hold its thread.
    let told = spawn_blocking(move || tell_scrub(&scrub, &request));
    let told = told.await.map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
    let (item, changed) = told;
    Ok((Extension(Effect(changed)), Json(Envelope::new(Kind::Scrub, stamp, Item { item }))))
}

/// Has the scrub do what was asked; what that changed.
fn tell_scrub(scrub: &ScrubHandle, request: &ScrubRequest) -> (Scrub, Changed) {
    // Each of many shards is looked up in many names.
    let names: BTreeSet<&str> = request.shards.iter().map(String::as_str).collect();
    let named = |id: &str| names.is_empty() || names.contains(id);
    let judged = |verdict: ProtoVerdict| {
        request.verdicts.is_empty() || request.verdicts.contains(&verdict.into())
    };
    let by_verdict = RefCell::new(BTreeMap::<&str, u64>::new());
    let chosen = match request.action {
        ScrubAction::Read => scrub.read_now(&|id, verdict| named(id) && verdict.is_none_or(judged)),
        ScrubAction::Pause => {
            let seconds = request.pause_seconds.map(Duration::from_secs);
            scrub.pause(seconds.unwrap_or(DEFAULT_PAUSE));
            0
        }
        ScrubAction::Resume => usize::from(scrub.resume()),
        ScrubAction::Accept => scrub.accept(&|id, verdict| {
            let accepted = named(id) && judged(verdict);
            if accepted {
                *by_verdict.borrow_mut().entry(Verdict::from(verdict).word()).or_default() += 1;
            }
            accepted
        }),
    };
    tracing::info!(action = ?request.action, chosen, "the scrub was told what to do");
    let changed = match request.action {
        ScrubAction::Pause => {
            let until = scrub.progress().paused_until_ms.map(WallTime::from_ms);
            Changed { after: json!({ "pausedUntil": until }), ..Changed::default() }
        }
        ScrubAction::Resume => Changed {
            after: json!({ "pausedUntil": null, "wasPaused": chosen > 0 }),
            ..Changed::default()
        },
        ScrubAction::Read => Changed { after: json!({ "toRead": chosen }), ..Changed::default() },
        ScrubAction::Accept => {
            Changed { before: json!(by_verdict.into_inner()), after: json!({ "accepted": chosen }) }
        }
    };
    let concerns_shards = matches!(request.action, ScrubAction::Read | ScrubAction::Accept);
    (answer::scrub(scrub, concerns_shards.then_some(chosen)), changed)
}

/// Answers about the one peer that `text` stands for.
async fn of_peer<T: Send + 'static>(
    agent: &Agent,
    text: String,
    answer: fn(&Snapshot<'_>, &PeerId) -> Option<T>,
) -> Answer<T> {
    let found = agent.read(move |moment| {
        let peer = select(&text, &answer::directory(moment))?;
        answer(moment, &peer)
            .ok_or_else(|| Problem::new(Code::NotFound, "this peer has just been forgotten"))
    });
    found.await?.map(Json)
}

/// Peers named one by one, separated by commas.
fn resolve_all(moment: &Snapshot<'_>, texts: &str) -> Result<BTreeSet<PeerId>, Problem> {
    let directory = answer::directory(moment);
    // No more names than a matrix has rows; a request head has no room for many more either.
    let names = texts.split(',').take(answer::MAX_MATRIX_PEERS);
    names.map(|text| select(text, &directory)).collect()
}

pub(super) async fn metrics(State(agent): State<Arc<Agent>>) -> Result<Response, Problem> {
    let (asked, socket) = (agent.clone(), agent.socket.figures());
    let gathered = agent
        .read(move |moment| answer::metrics(moment, asked.has_settled(moment), socket))
        .await?;
    let text = metrics::encode(&gathered)
        .map_err(|_| Problem::new(Code::Failed, "the metrics cannot be written as text"))?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi::text())
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(Code::UnknownPath, format!("there is nothing at {}", uri.path())).because(paths())
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let message = format!("{} cannot be asked with {method}", uri.path());
    Problem::new(Code::MethodNotAllowed, message).because(paths())
}

async fn add_version(mut response: Response) -> Response {
    let version = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
    response.headers_mut().insert(VERSION_HEADER, version);
    response
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // The audit log tells why something was refused.
        (status, Extension(self.code), Json(One::problem(self))).into_response()
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let code = match error {
            QueryError::Stopped => Code::Stopping,
            QueryError::Busy => Code::Busy,
        };
        Self::new(code, error.to_string())
    }
}

impl From<QueryRejection> for Problem {
    fn from(error: QueryRejection) -> Self {
        Self::new(Code::BadRequest, error.body_text()).because(paths())
    }
}
