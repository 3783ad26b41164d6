//! One question to an agent over its socket.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// An agent that takes longer is stuck; the question is asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Largest answer read, in bytes: a list of 50 peers takes about 50 KiB.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Asks the agent behind `socket` for `path`.
///
/// # Errors
/// If no agent answers there in time, or not with what was expected.
pub(super) async fn ask<T: DeserializeOwned>(socket: &Path, path: &str) -> anyhow::Result<T> {
    timeout(ANSWER_TIMEOUT, get(socket, path))
        .await
        .with_context(|| format!("no answer on {} within 2 s", socket.display()))?
}

async fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> anyhow::Result<T> {
    let stream = UnixStream::connect(socket)
        .await
        .with_context(|| format!("no agent answers on {}", socket.display()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path).header(header::HOST, "agent").body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let bytes = body.map_err(anyhow::Error::from_boxed)?.to_bytes();
        if status != StatusCode::OK {
            bail!("{path}: {status}: {}", String::from_utf8_lossy(&bytes));
        }
        serde_json::from_slice(&bytes).with_context(|| format!("{path}: unexpected answer"))
    };
    tokio::pin!(connection);
    tokio::select! {
        answer = exchange => answer,
        // It ends first only if the agent hung up.
        ended = &mut connection => {
            ended?;
            bail!("{path}: the agent hung up")
        }
    }
}
