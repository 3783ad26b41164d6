//! The audit log over the socket.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::answer;
use super::problem::{Code, Problem};
use super::routes::Agent;
use super::schema::{AuditItems, Envelope, Kind};
use crate::audit::{MAX_LISTED, Since, read_since};

/// What `/v1/audit` takes; described in the table of routes.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct AuditQuery {
    since: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn audit(
    State(agent): State<Arc<Agent>>,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Json<Envelope<AuditItems>>, Problem> {
    let Query(query) = query?;
    let since = query.since.as_deref().map_or(Ok(Since::Sequence(0)), read_since);
    let since = since.map_err(|message| Problem::new(Code::BadRequest, message))?;
    let limit = query.limit.unwrap_or(MAX_LISTED);
    let stamp = agent.read(answer::stamp).await?;
    let log = agent.audit.clone();
    // Up to 32 MiB are read and hashed.
    let read = spawn_blocking(move || log.read(since, limit)).await;
    let items = read
        .map_err(|error| Problem::new(Code::Failed, error.to_string()))?
        .map_err(|error| Problem::new(Code::Failed, error.to_string()).then("plexmesh doctor"))?;
    Ok(Json(Envelope::new(Kind::AuditList, stamp, items)))
}
