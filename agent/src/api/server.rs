//! Accepts connections on the local socket and serves the routes on each.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::problem::{Code, Problem};
use super::routes::{self, Agent, Caller};
use super::schema::{One, SocketFigures};
use super::socket::MAX_PATH_BYTES;
use super::stall::StallGuard;
use crate::audit::AuditLog;
use crate::certificate::Installer;
use crate::query::DriverHandle;
use crate::scrub::ScrubHandle;
use crate::text::quoted;

/// Open connections at once: many more than people and programs on one host ask with, few enough to
/// cost nothing.
const MAX_CONNECTIONS: usize = 64;
/// How long a request head may take, and how long an idle connection stays open.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest request head, in bytes: no route needs more than a path and a few headers. The least
/// that hyper takes.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// How long open answers may take to finish when the agent stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after a failed accept: out of file descriptors is not cured by trying at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Owner and group may connect; whoever else is kept out by the mode.
const SOCKET_MODE: u32 = 0o660;
/// Mode of the socket's directory, if it is made here.
const DIRECTORY_MODE: u32 = 0o750;

/// Why the socket cannot be had.
#[derive(Debug, Error)]
pub enum BindError {
    /// Somebody answers there.
    #[error("another agent answers on {}", .0.display())]
    InUse(PathBuf),
    /// Something else lies there.
    #[error("{} is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The system refuses.
    #[error("cannot make the socket {}: {source}{}", .path.display(), hint(.path))]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<BindError> for Problem {
    fn from(error: BindError) -> Self {
        let message = error.to_string();
        match error {
            BindError::InUse(path) => Self::new(Code::InUse, message)
                .because("it has another data directory and the same --socket; stop it, or choose another one")
                .then(format!("plexmesh --socket {} status", quoted(path))),
            BindError::NotASocket(path) => Self::new(Code::Failed, message)
                .because("something else was put in its place; move it away, or choose another --socket")
                .then(format!("ls -ld {}", quoted(path))),
            BindError::Io { path, .. } => Self::new(Code::Failed, message)
                .because("this user may not write there; choose another --socket or --data-dir")
                .then(format!("ls -ld {}", quoted(path.parent().unwrap_or(&path)))),
        }
    }
}

/// The local socket, bound and not yet served.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the socket, so that only this one is removed at the end.
    inode: Option<(u64, u64)>,
    agent: Arc<Agent>,
    closing: watch::Sender<bool>,
}

/// What the socket did, for its own figures.
#[derive(Debug, Default)]
pub(super) struct Counters {
    accepted: AtomicU64,
    refused: AtomicU64,
    open: AtomicU64,
}

impl Counters {
    pub(super) fn figures(&self) -> SocketFigures {
        let open = self.open.load(Ordering::Relaxed);
        SocketFigures {
            connections: usize::try_from(open).unwrap_or(usize::MAX),
            accepted: self.accepted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

impl Server {
    /// Binds the socket at `path`. Its directory is made if it is not there; a socket that nobody
    /// answers on is replaced. Has to be called inside of a tokio runtime.
    ///
    /// `expects_company`: the agent was told of other peers, so that it is not ready before one of
    /// them answers.
    ///
    /// # Errors
    /// [`BindError`] if somebody answers there, something else lies there, or the system refuses.
    pub fn bind(
        path: &Path,
        driver: DriverHandle,
        scrub: ScrubHandle,
        audit: Arc<AuditLog>,
        installer: Installer,
        expects_company: bool,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { path: path.to_owned(), source };
        if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(DIRECTORY_MODE).create(directory).map_err(failed)?;
        }
        clear(path)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(failed)?;
        let (closing, closed) = watch::channel(false);
        let agent = Arc::new(Agent::new(driver, scrub, audit, installer, expects_company, closed));
        Ok(Self { listener, path: path.to_owned(), inode: inode(path), agent, closing })
    }

    /// Where the socket lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is served, for who asks without a connection. A request without a [`Caller`] extension
    /// may change nothing.
    pub fn router(&self) -> Router {
        routes::router(self.agent.clone())
    }

    /// Serves until `stop` is ready; then lets open answers finish, for two seconds at most, and
    /// removes the socket.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        let router = self.router();
        let readiness = tokio::spawn(routes::watch_readiness(self.agent.clone()));
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, _)) => match slots.clone().try_acquire_owned() {
                    Ok(slot) => {
                        let agent = self.agent.clone();
                        connections.spawn(serve(stream, router.clone(), agent, slot));
                    }
                    Err(_) => refuse(&stream, &self.agent.socket),
                },
                Err(error) => {
                    tracing::warn!(%error, "the local socket accepts nothing at the moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        readiness.abort();
        if inode(&self.path) == self.inode {
            // Another agent will replace it in any case.
            let _ = std::fs::remove_file(&self.path);
        }
        // Nobody listens if there is no connection.
        let _ = self.closing.send(true);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::debug!("answers were cut short because the agent stops");
        }
    }
}

async fn serve(stream: UnixStream, router: Router, agent: Arc<Agent>, slot: OwnedSemaphorePermit) {
    agent.socket.accepted.fetch_add(1, Ordering::Relaxed);
    agent.socket.open.fetch_add(1, Ordering::Relaxed);
    let peer = stream.peer_cred().ok();
    let caller = Caller { uid: peer.map(|it| it.uid()), pid: peer.and_then(|it| it.pid()) };
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(caller);
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(StallGuard::new(stream)), service);
    tokio::pin!(connection);
    let mut closing = agent.closing.clone();
    let asked_to_close = async move { closing.wait_for(|closing| *closing).await.map_or((), drop) };
    let outcome = tokio::select! {
        outcome = connection.as_mut() => Some(outcome),
        () = asked_to_close => None,
    };
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection to the local socket ended early");
    }
    agent.socket.open.fetch_sub(1, Ordering::Relaxed);
    drop(slot);
}

/// Tells a caller over the limit why it is not served; if it does not take that at once, it is
/// dropped without.
fn refuse(stream: &UnixStream, counters: &Counters) {
    counters.refused.fetch_add(1, Ordering::Relaxed);
    let problem = Problem::new(Code::Busy, "too many connections to the local socket")
        .because(format!("{MAX_CONNECTIONS} are open already, perhaps left by a script"))
        .then("ss -xp | grep agent.sock");
    let body = serde_json::to_string(&One::problem(problem)).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len(),
    );
    let _ = stream.try_write(answer.as_bytes());
}

/// Removes a socket that nobody answers on.
fn clear(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match probe(path) {
        Err(Errno::CONNREFUSED) => std::fs::remove_file(path).map_err(failed),
        Err(Errno::NOENT) => Ok(()),
        // A full backlog is a live agent too.
        Ok(()) | Err(Errno::AGAIN) => Err(BindError::InUse(path.to_owned())),
        Err(error) => Err(failed(error.into())),
    }
}

/// Connects without waiting: a stuck agent must not stop this one from saying so.
fn probe(path: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    net::connect(&socket, &SocketAddrUnix::new(path)?)
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The most frequent reason that the system's error text does not give away.
fn hint(path: &Path) -> String {
    let length = path.as_os_str().len();
    if length > MAX_PATH_BYTES {
        format!(" (this path has {length} bytes, a socket's may have {MAX_PATH_BYTES})")
    } else {
        String::new()
    }
}
