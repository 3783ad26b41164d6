//! An agent as a service of the system: what it tells its supervisor, its unit, and data that
//! another version left.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

#[path = "support/command.rs"]
mod command;

/// How long a test waits for what has to come about: many times what it takes, for machines that
/// are busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);
/// The time within which the supervisor of these tests wants a sign of life, in microseconds.
const WATCHDOG_MICROS: &str = "200000";
/// Longest message that a test reads, in bytes.
const MAX_MESSAGE_BYTES: usize = 4_096;

/// A supervisor with a directory for its agent.
struct Supervisor {
    dir: TempDir,
    socket: UnixDatagram,
}

impl Supervisor {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        fs::write(dir.path().join("x.toml"), "").unwrap();
        Self { dir, socket }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A command that nothing of this machine configures.
    fn plexmesh(&self, words: &[&str]) -> Command {
        let mut command = command::plexmesh();
        command.arg("--config").arg(self.dir.path().join("x.toml"));
        command.arg("--data-dir").arg(self.data()).args(words);
        command
    }

    fn ask(&self, words: &[&str]) -> Output {
        self.plexmesh(words).output().unwrap()
    }

    fn start(&self) -> Agent {
        let process = self
            .plexmesh(&["run", "--die-with-stdin", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"])
            .env("NOTIFY_SOCKET", self.dir.path().join("notify"))
            .env("WATCHDOG_USEC", WATCHDOG_MICROS)
            .env_remove("WATCHDOG_PID")
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Agent { process }
    }

    /// Waits for a message that begins so, past all others.
    fn until(&self, start: &str) -> String {
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        loop {
            let length = self.socket.recv(&mut buffer).expect(start);
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.starts_with(start) {
                return message;
            }
        }
    }
}

/// An agent's process; ends with the test.
struct Agent {
    process: Child,
}

impl Agent {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_agent_that_says_it_is_ready_answers() {
    let supervisor = Supervisor::new();
    let _agent = supervisor.start();
    supervisor.until("READY=1");
    let status = supervisor.ask(&["status"]);
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stderr));
}

#[test]
fn a_running_agent_gives_signs_of_life_again_and_again() {
    let supervisor = Supervisor::new();
    let _agent = supervisor.start();
    for _ in 0..3 {
        supervisor.until("WATCHDOG=1");
    }
}

#[test]
fn the_status_line_says_how_the_mesh_is() {
    let supervisor = Supervisor::new();
    let _agent = supervisor.start();
    assert_eq!(supervisor.until("STATUS=OK"), "STATUS=OK a mesh of one");
}

#[test]
fn a_reload_is_told_and_ends_with_ready() {
    let supervisor = Supervisor::new();
    let agent = supervisor.start();
    supervisor.until("READY=1");
    agent.signal(Signal::HUP);
    assert!(supervisor.until("RELOADING=1").contains("\nMONOTONIC_USEC="));
    supervisor.until("READY=1");
}

#[test]
fn an_agent_that_is_told_to_stop_says_so_and_ends_well() {
    let supervisor = Supervisor::new();
    let mut agent = supervisor.start();
    supervisor.until("READY=1");
    agent.signal(Signal::TERM);
    supervisor.until("STOPPING=1");
    assert_eq!(agent.wait().code(), Some(0));
}

#[test]
fn data_of_a_newer_version_is_refused_with_the_way_back() {
    let supervisor = Supervisor::new();
    assert!(supervisor.ask(&["init"]).status.success());
    let format = supervisor.data().join("format");
    let newer = "plexmesh data v2\nwritten by plexmesh 0.9.0\n";
    fs::write(&format, newer).unwrap();
    let refused = supervisor.ask(&["run"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(7), "{said}");
    // The program of this test is not where a package puts it.
    let way_back = [
        "0.9.0 still runs",
        "once it is installed again",
        "next:   cargo install --locked --path agent   # in the sources of plexmesh 0.9.0",
    ];
    assert!(way_back.iter().all(|it| said.contains(it)), "{said}");
    assert!(!supervisor.data().join("store").exists(), "the store was opened");
}

#[test]
fn an_agent_takes_over_data_from_before_formats_and_notes_its_own() {
    let supervisor = Supervisor::new();
    assert!(supervisor.ask(&["init"]).status.success());
    let format = supervisor.data().join("format");
    fs::remove_file(&format).unwrap();
    let _agent = supervisor.start();
    supervisor.until("READY=1");
    assert!(fs::read_to_string(format).unwrap().starts_with("plexmesh data v1\n"));
}

fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/packaging/systemd/plexmesh.service")
}

/// The unit in a directory of its own, for this test's binary; `None`, said aloud, where there is no
/// systemd to look at it.
fn unit_of_this_build() -> Option<(TempDir, PathBuf)> {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        // Past the test harness, which keeps the output of passing tests to itself.
        let text = "SKIPPED: there is no systemd-analyze; installing systemd runs this check\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        return None;
    }
    let text = fs::read_to_string(unit()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plexmesh.service");
    fs::write(&path, text.replace("/usr/bin/plexmesh", env!("CARGO_BIN_EXE_plexmesh"))).unwrap();
    Some((dir, path))
}

#[test]
fn systemd_has_nothing_to_say_against_the_unit() {
    let Some((_dir, unit)) = unit_of_this_build() else { return };
    let verify = ["verify", "--man=no", "--recursive-errors=no"];
    let output = Command::new("systemd-analyze").args(verify).arg(unit).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_unit_gives_the_agent_few_rights() {
    // systemd's own measure, in tenths: below 20 it speaks of a service that is well confined.
    const MOST_EXPOSURE: &str = "20";
    let Some((_dir, unit)) = unit_of_this_build() else { return };
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold", MOST_EXPOSURE])
        .arg(unit)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
