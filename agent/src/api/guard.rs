//! Routes that are not for everybody: who is refused, and how what is changed gets into the audit
//! log.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::task::spawn_blocking;

use super::problem::{Code, Problem};
use super::routes::{Agent, Caller};
use crate::audit::{Attempt, AuditError, AuditLog, Changed};

/// Longest body of a request that changes something, in bytes: a thousand ids of ordinary length.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long a request body may take: it comes from this host.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// What callers are told who may not use a route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    /// What they may not.
    pub(super) refused: &'static str,
    /// What they may type in its place.
    pub(super) instead: &'static str,
}

impl Refusal {
    fn problem(self) -> Problem {
        Problem::new(Code::NotPermitted, self.refused)
            .because("only root and the user that the agent runs as may do that")
            .then(self.instead)
    }
}

/// What a change did, for the audit log: put into the answer by the route that made it.
#[derive(Clone, Debug)]
pub(super) struct Effect(pub(super) Changed);

/// Serves a route that only the owner and root may use, and that changes nothing.
pub(super) async fn owned(
    refusal: Refusal,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    if caller.may_write() {
        return next.run(request).await;
    }
    refusal.problem().into_response()
}

/// Serves a route that changes something: written down before it is done, and its outcome before it
/// is answered. Once begun, it is not broken off if the caller goes away.
pub(super) async fn audited(
    agent: Arc<Agent>,
    refusal: Refusal,
    method: &'static str,
    request: Request,
    next: Next,
) -> Response {
    let caller = request.extensions().get::<Caller>().copied();
    let (uid, pid) = caller.map_or((None, None), |it| (it.uid, it.pid));
    let (parts, body) = request.into_parts();
    let body = read_body(body).await;
    let attempt = Attempt {
        uid,
        pid,
        method,
        path: parts.uri.path().to_owned(),
        body: body.as_ref().ok().map(|bytes| bytes.to_vec()),
    };
    let log = agent.audit.clone();
    let permitted = caller.is_some_and(Caller::may_write);
    let body = match body {
        Ok(body) if permitted => body,
        Ok(_) => return refuse(log, attempt, refusal.problem()).await,
        Err(problem) if permitted => return refuse(log, attempt, problem).await,
        Err(_) => return refuse(log, attempt, refusal.problem()).await,
    };
    let request = Request::from_parts(parts, Body::from(body));
    let change = tokio::spawn(change(log, attempt, request, next));
    change.await.unwrap_or_else(|error| failed(&error.to_string()).into_response())
}

/// Makes a change between its two entries.
async fn change(log: Arc<AuditLog>, attempt: Attempt, request: Request, next: Next) -> Response {
    let (writer, begins) = (log.clone(), attempt.clone());
    let begun = match blocking(move || writer.begin(&begins)).await {
        Ok(begun) => begun,
        Err(problem) => return problem.into_response(),
    };
    let mut response = next.run(request).await;
    let refused = response.extensions().get::<Code>().copied();
    let effect = response.extensions_mut().remove::<Effect>();
    let changed = effect.map_or_else(Changed::default, |effect| effect.0);
    if let Err(problem) = blocking(move || log.end(begun, &attempt, changed, refused)).await {
        // The log says that it was begun; what was done cannot be taken back.
        tracing::error!(begun, %problem, "the outcome of a change is not in the audit log");
    }
    response
}

async fn refuse(log: Arc<AuditLog>, attempt: Attempt, problem: Problem) -> Response {
    let code = problem.code;
    if let Err(error) = blocking(move || log.refuse(&attempt, code)).await {
        tracing::warn!(%error, "a refused attempt is not in the audit log");
    }
    problem.into_response()
}

/// Works on the audit log in a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AuditError> + Send + 'static,
) -> Result<T, Problem> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(Problem::from),
        Err(error) => Err(failed(&error.to_string())),
    }
}

fn failed(reason: &str) -> Problem {
    Problem::new(Code::Failed, format!("the change was broken off: {reason}"))
        .because("this is a fault of the agent; please report it with the log")
        .then("plexmesh events --audit")
}

async fn read_body(body: Body) -> Result<Bytes, Problem> {
    tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES))
        .await
        .map_err(|_| Problem::new(Code::TimedOut, "the request body did not come in time"))?
        .map_err(|error| {
            let message = format!("the request body cannot be read: {error}");
            Problem::new(Code::BadRequest, message)
                .because(format!("no request takes more than {MAX_BODY_BYTES} bytes"))
        })
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        Self::new(Code::NotAudited, format!("nothing was changed: {error}"))
            .because("changes that cannot be written down are refused; the disk may be full")
            .then("plexmesh doctor")
    }
}
