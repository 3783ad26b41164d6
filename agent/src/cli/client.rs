//! Asks an agent over its local socket.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::api::problem::{Code, Problem};
use crate::api::routes::VERSION_HEADER;
use crate::api::schema::One;
use crate::api::socket::{self, Place};

/// How long a connection to a socket of this host may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an answer may take: longer than the agent waits for its own driver.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest answer, in bytes: the topology of 5000 peers takes about a quarter of it.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Longest line of a stream, in bytes: an event takes less than a thousandth of it.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// Asks the agent at one of several places.
#[derive(Debug)]
pub struct Client {
    places: Vec<Place>,
    /// The agent's version, if it is not this one's.
    other_version: Option<String>,
}

impl Client {
    /// A client that tries these places in order.
    #[must_use]
    pub const fn new(places: Vec<Place>) -> Self {
        Self { places, other_version: None }
    }

    /// The version of the agent that answered, if it is another one than this command's.
    #[must_use]
    pub fn other_version(&self) -> Option<&str> {
        self.other_version.as_deref()
    }

    /// Asks for a document. Gives its JSON.
    ///
    /// # Errors
    /// [`Problem`] if no agent answers, or it answers with one.
    pub async fn get(&mut self, path: &str) -> Result<Bytes, Problem> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Asks for a document, and reads it.
    ///
    /// # Errors
    /// [`Problem`] if no agent answers, it answers with one, or what it says makes no sense.
    pub async fn document<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Problem> {
        read_document(&self.get(path).await?)
    }

    /// Posts a JSON body. Gives the JSON that is answered.
    ///
    /// # Errors
    /// [`Problem`] if no agent answers, or it answers with one.
    pub async fn post(&mut self, path: &str, body: Bytes) -> Result<Bytes, Problem> {
        self.send(Method::POST, path, body).await
    }

    /// Asks for a stream of lines.
    ///
    /// # Errors
    /// [`Problem`] if no agent answers, or it answers with one.
    pub async fn lines(&mut self, path: &str) -> Result<Lines, Problem> {
        let response = self.ask(Method::GET, path, Bytes::new()).await?;
        Ok(Lines { body: response.into_body(), buffer: Vec::new() })
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Problem> {
        let response = self.ask(method, path, body).await?;
        collect(response).await
    }

    /// Sends one request on a new connection: on this host that costs less than keeping one alive
    /// is worth.
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, Problem> {
        let mut sender = self.connect().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "plexmesh")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| {
                Problem::new(Code::Usage, format!("cannot ask for {path}: {error}"))
            })?;
        let response = timeout(ANSWER_TIMEOUT, sender.send_request(request))
            .await
            .map_err(|_| slow())?
            .map_err(|error| broken(&error))?;
        let version = response.headers().get(VERSION_HEADER).and_then(|it| it.to_str().ok());
        if let Some(version) = version.filter(|it| *it != env!("CARGO_PKG_VERSION")) {
            self.other_version = Some(version.to_owned());
        }
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(told_problem(status, &collect(response).await?))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Problem> {
        let mut tried = Vec::new();
        if let [only] = self.places.as_slice() {
            socket::refuse_long(&only.path)?;
        }
        for place in &self.places {
            let outcome = timeout(CONNECT_TIMEOUT, UnixStream::connect(&place.path)).await;
            match outcome.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
                Ok(stream) => return handshake(stream).await,
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    return Err(not_permitted(&place.path));
                }
                Err(error) => tried.push(format!(
                    "{} ({}): {}",
                    place.path.display(),
                    place.source,
                    reason(error.kind())
                )),
            }
        }
        Err(Problem::new(Code::NoAgent, "no agent answers on this host")
            .because(format!(
                "none runs as this user, or it was started with another --data-dir or --socket. \
                 Tried:\n{}",
                tried.join("\n")
            ))
            .then("plexmesh run"))
    }
}

/// A stream of lines.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Lines {
    /// The next line without its end; `None` when the agent has no more to say.
    ///
    /// # Errors
    /// [`Problem`] if the connection breaks or a line is too long.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                return Ok(Some(line));
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(Problem::new(Code::Failed, "the agent sent a line that is too long"));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

/// Reads a document that an agent sent.
///
/// # Errors
/// [`Problem`] if it makes no sense.
pub fn read_document<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::new(Code::Failed, format!("cannot read what the agent answered: {error}"))
            .because("agent and command are of different versions")
            .then("plexmesh --version")
    })
}

/// A text as part of a path or a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

async fn handshake(stream: UnixStream) -> Result<SendRequest<Full<Bytes>>, Problem> {
    let (sender, connection) = timeout(CONNECT_TIMEOUT, http1::handshake(TokioIo::new(stream)))
        .await
        .map_err(|_| slow())?
        .map_err(|error| broken(&error))?;
    tokio::spawn(async move {
        // What goes wrong here comes out at the request, too.
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection to the agent ended early");
        }
    });
    Ok(sender)
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, Problem> {
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
    let collected = timeout(ANSWER_TIMEOUT, body.collect()).await.map_err(|_| slow())?;
    let whole = collected.map_err(|error| {
        Problem::new(Code::Failed, format!("the agent's answer broke off: {error}"))
            .because("the agent was stopped meanwhile")
            .then("plexmesh status")
    })?;
    Ok(whole.to_bytes())
}

/// The problem that the agent tells of; if it is not told in JSON, then what its status says.
fn told_problem(status: StatusCode, body: &[u8]) -> Problem {
    serde_json::from_slice::<One<Problem>>(body).map_or_else(
        |_| Problem::new(Code::Failed, format!("the agent answered with {status}")),
        |document| document.body.item,
    )
}

fn not_permitted(path: &Path) -> Problem {
    Problem::new(
        Code::NotPermitted,
        format!("this user may not ask the agent at {}", path.display()),
    )
    .because("only its owner, root and the socket's group may")
    .then(format!("sudo plexmesh --socket {} status", path.display()))
}

fn slow() -> Problem {
    Problem::new(Code::TimedOut, "the agent does not answer in time")
        .because("it is stopped, or the host is overloaded")
        .then("ps -o pid,stat,pcpu,args -C plexmesh")
}

fn broken(error: &hyper::Error) -> Problem {
    Problem::new(Code::Failed, format!("the connection to the agent broke: {error}"))
        .because("the agent was stopped, or what answers there is not an agent")
        .then("plexmesh status")
}

const fn reason(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "there is no socket",
        ErrorKind::ConnectionRefused => "nobody listens; an agent was killed",
        ErrorKind::TimedOut => "it takes no connection",
        ErrorKind::InvalidInput => "the path is too long for a socket",
        _ => "it cannot be connected to",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_error_names_every_place_that_was_tried() {
        let dir = tempfile::tempdir().unwrap();
        let dead = dir.path().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        let places = vec![
            Place { path: dir.path().join("none.sock"), source: "first" },
            Place { path: dead, source: "second" },
        ];
        let problem = Client::new(places).get("/v1/status").await.unwrap_err();
        assert_eq!(problem.code, Code::NoAgent);
        let cause = problem.likely_cause.unwrap();
        assert!(cause.contains("none.sock (first): there is no socket"), "{cause}");
        assert!(cause.contains("dead.sock (second): nobody listens"), "{cause}");
    }

    #[test]
    fn names_are_safe_in_a_path() {
        assert_eq!(encoded("a b/ü?"), "a%20b%2F%C3%BC%3F");
    }
}
