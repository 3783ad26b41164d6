//! Whether an agent answers, and whether its socket is as it should be.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Deadline, DoctorArea, crit, ok, quoted, unknown, warn};
use crate::api::problem::{Code, Problem};
use crate::api::schema::{DoctorCheck, One, Scrub, Status, Why};
use crate::api::socket::{Place, refuse_long};
use crate::cli::client::{Client, encoded};
use crate::run::LOCK_FILE;

const AREA: DoctorArea = DoctorArea::Agent;
/// How long a connection to a socket of this host may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Whoever is neither owner nor of the group.
const OTHERS: u32 = 0o007;

/// What the agent says, if one answers.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Whether one answers; `None` if this user may not ask.
    pub(super) answers: Option<bool>,
    /// User and process of whoever listens there, as the kernel says.
    pub(super) uid: Option<u32>,
    pub(super) pid: Option<i32>,
    pub(super) status: Option<One<Status>>,
    /// What others say of this peer.
    pub(super) why: Option<Why>,
    pub(super) scrub: Option<Scrub>,
}

impl Asked {
    /// Asks the first agent that there is.
    pub(super) async fn ask(places: Vec<Place>, data_dir: &Path) -> (Self, Vec<DoctorCheck>) {
        let mut asked = Self { answers: Some(false), ..Self::default() };
        let mut checks = Vec::new();
        for place in places {
            if checks.is_empty() || asked.answers == Some(false) {
                checks.extend(asked.ask_at(place).await);
            }
        }
        checks.push(lock(data_dir, asked.answers));
        (asked, checks)
    }

    async fn ask_at(&mut self, place: Place) -> Vec<DoctorCheck> {
        let path = place.path.clone();
        let what = path.display().to_string();
        if let Err(problem) = refuse_long(&path) {
            return vec![
                crit(AREA, what, problem.message)
                    .fixed_by("plexmesh --socket \"$XDG_RUNTIME_DIR/plexmesh.sock\" run"),
            ];
        }
        let stream = match timeout(CONNECT_TIMEOUT, UnixStream::connect(&path)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return vec![self.unconnected(&path, &error)],
            Err(_) => {
                return vec![
                    crit(AREA, what, "it takes no connection: the agent is stuck")
                        .fixed_by("ps -o pid,stat,pcpu,args -C plexmesh"),
                ];
            }
        };
        let peer = stream.peer_cred().ok();
        (self.uid, self.pid) = (peer.map(|it| it.uid()), peer.and_then(|it| it.pid()));
        drop(stream);
        let mut client = Client::new(vec![place]);
        let deadline = Deadline::new();
        let limit = || deadline.left(Duration::from_secs(5));
        let status = timeout(limit(), client.document::<One<Status>>("/v1/status")).await;
        let status =
            match status.unwrap_or_else(|_| Err(Problem::new(Code::TimedOut, "no answer in time")))
            {
                Ok(status) => status,
                Err(problem) => {
                    let found = format!("connected, and no status: {}", problem.message);
                    return vec![crit(AREA, what, found).fixed_by(
                        problem.next_command.unwrap_or_else(|| "plexmesh status".into()),
                    )];
                }
            };
        self.answers = Some(true);
        if let Some(me) = &status.stamp.observed_by {
            let at = format!("/v1/why/{}", encoded(me));
            let why = timeout(limit(), client.document::<One<Why>>(&at)).await;
            self.why = why.ok().and_then(Result::ok).map(|it| it.body.item);
        }
        let scrub = timeout(limit(), client.document::<One<Scrub>>("/v1/scrub")).await;
        self.scrub = scrub.ok().and_then(Result::ok).map(|it| it.body.item);
        let version = status.body.item.agent_version.clone();
        self.status = Some(status);
        vec![answering(&what, self.pid, &version), mode(&path)]
    }

    fn unconnected(&mut self, path: &Path, error: &io::Error) -> DoctorCheck {
        let what = path.display().to_string();
        match error.kind() {
            ErrorKind::NotFound => {
                warn(AREA, what, "no agent answers: there is no socket").fixed_by("plexmesh run")
            }
            ErrorKind::PermissionDenied => {
                self.answers = None;
                unknown(AREA, what, "this user may not ask; its owner, root and its group may")
                    .fixed_by("sudo plexmesh doctor")
            }
            _ if !is_socket(path) => crit(AREA, what, "something that is no socket lies there")
                .fixed_by(format!("ls -l {}", quoted(path))),
            ErrorKind::ConnectionRefused => {
                let found = "no agent answers: one was killed and left its socket, which the next \
                    one replaces";
                warn(AREA, what, found).fixed_by("plexmesh run")
            }
            _ => crit(AREA, what, format!("it cannot be connected to: {error}"))
                .fixed_by(format!("ls -l {}", quoted(path))),
        }
    }
}

fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket())
}

fn answering(what: &str, pid: Option<i32>, version: &str) -> DoctorCheck {
    let here = env!("CARGO_PKG_VERSION");
    let pid = pid.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"));
    if version == here {
        return ok(AREA, what, format!("an agent answers: {pid}, version {version}"));
    }
    let found = format!("the agent is of version {version}, this command of {here}");
    warn(AREA, what, found).fixed_by("plexmesh --version")
}

fn mode(path: &Path) -> DoctorCheck {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return unknown(AREA, "mode of the socket", "it has just gone");
    };
    let mode = metadata.permissions().mode() & 0o777;
    let found = format!("{mode:04o}");
    if mode & OTHERS == 0 {
        return ok(AREA, "mode of the socket", found);
    }
    warn(AREA, "mode of the socket", format!("{found}: every user of this host may ask"))
        .fixed_by(format!("chmod o= {}", quoted(path)))
}

/// Whether somebody works with the data directory. The lock is taken for an instant and shared: an
/// agent that starts in that instant says that another one runs, and starts at the next attempt.
fn lock(data_dir: &Path, answers: Option<bool>) -> DoctorCheck {
    let path: PathBuf = data_dir.join(LOCK_FILE);
    let what = path.display().to_string();
    let held = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Some(false),
        Err(_) => None,
        Ok(file) => match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Some(false),
            Err(Errno::WOULDBLOCK) => Some(true),
            Err(_) => None,
        },
    };
    match (held, answers) {
        (None, _) => unknown(AREA, what, "this user cannot see whether it is held")
            .fixed_by("sudo plexmesh doctor"),
        (Some(true), Some(false)) => {
            let found = "an agent holds the data directory and does not answer: it has another \
                --socket, or is stuck";
            crit(AREA, what, found).fixed_by(format!("fuser -v {}", quoted(&path)))
        }
        (Some(true), _) => ok(AREA, what, "held by an agent"),
        (Some(false), Some(true)) => {
            let found = "not held: the agent that answers works with another data directory";
            warn(AREA, what, found).fixed_by("plexmesh config show --origin agent")
        }
        (Some(false), _) => ok(AREA, what, "not held: no agent works with the data directory"),
    }
}
