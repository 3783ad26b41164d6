//! A host with directories and real agents, and what is compared before and after.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::command;
use crate::wait::until;

/// Listens on any free port of this machine alone.
pub(crate) const ANY_UDP: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// Directories that a test makes and agents that it starts; all of it goes with the test.
pub(crate) struct Host {
    dir: TempDir,
}

impl Host {
    /// With an empty configuration and no data directory.
    pub(crate) fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().unwrap() };
        host.configure("");
        host
    }

    /// With a peer in `data`.
    pub(crate) fn with_peer() -> Self {
        let host = Self::new();
        done(&host.typed("data", &["init", "--name", "alpha"]));
        host
    }

    /// A path on it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self, text: &str) {
        fs::write(self.path("x.toml"), text).unwrap();
    }

    /// A command with a data directory and this host's configuration.
    pub(crate) fn command(&self, data: &str, words: &[&str]) -> Command {
        let mut command = command::plexmesh();
        command.arg("--config").arg(self.path("x.toml")).arg("--data-dir").arg(self.path(data));
        command.args(words).stdin(Stdio::null()).current_dir(self.dir.path());
        command
    }

    /// What a command says, once it has ended by itself.
    pub(crate) fn typed(&self, data: &str, words: &[&str]) -> Output {
        ended(self.command(data, words))
    }

    /// What `run` says that is to end by itself.
    pub(crate) fn refused_run(&self, data: &str) -> Output {
        self.typed(data, &["run", "--listen", ANY_UDP])
    }

    /// The item that the agent of a data directory answers with.
    pub(crate) fn item(&self, data: &str, words: &[&str]) -> Result<Value, String> {
        let output = self.command(data, &[words, &["-o", "json"]].concat()).output().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let mut document: Value = serde_json::from_slice(&output.stdout).unwrap();
        // Right after a start an agent may list nothing yet.
        let first = document["items"].get_mut(0).map(Value::take);
        first.ok_or_else(|| "an empty list".to_owned())
    }

    /// Starts an agent, and waits until it answers.
    pub(crate) fn start(&self, data: &str, words: &[&str]) -> Agent<'_> {
        let agent = self.spawn(data, &[&["--listen", ANY_UDP], words].concat());
        agent.until("it answers", &["status"], |_| true);
        agent
    }

    /// Starts an agent with these words of `run` alone.
    pub(crate) fn spawn(&self, data: &str, words: &[&str]) -> Agent<'_> {
        let log = self.path(&format!("{}.log", data.replace('/', "-")));
        let process = self
            .command(data, &[&["run", "--die-with-stdin"], words].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::options().create(true).append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        Agent { host: self, data: data.to_owned(), log, process }
    }
}

/// An agent's process; ends with the test.
pub(crate) struct Agent<'a> {
    host: &'a Host,
    data: String,
    log: PathBuf,
    process: Child,
}

impl Agent<'_> {
    /// The item that it answers with, once that is as wanted.
    pub(crate) fn until(
        &self,
        what: &str,
        words: &[&str],
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        until(what, || match self.host.item(&self.data, words) {
            Ok(item) if wanted(&item) => Ok(item),
            Ok(other) => Err(format!("{other}\n{}", self.log())),
            Err(error) => Err(format!("{error}\n{}", self.log())),
        })
    }

    /// Waits until its status has findings of exactly these codes.
    pub(crate) fn until_findings(&self, codes: &[&str]) -> Value {
        self.until(&format!("{codes:?} alone"), &["status"], |status| {
            let findings = status["findings"].as_array().unwrap();
            findings.iter().map(|it| it["code"].as_str().unwrap()).eq(codes.iter().copied())
        })
    }

    /// Waits until it logged a text.
    pub(crate) fn until_log(&self, text: &str) {
        until(text, || if self.log().contains(text) { Ok(()) } else { Err(self.log()) });
    }

    /// What it logged, and the earlier agents of this directory.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Has it stop in order, and waits until it has.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        until("it ends", || self.ended().ok_or_else(String::new))
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a command said, which has to end by itself.
pub(crate) fn ended(mut command: Command) -> Output {
    struct Running(Child);
    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    use std::io::{Read, Seek};
    let mut said = tempfile::tempfile().unwrap();
    let stderr = said.try_clone().unwrap();
    let mut running = Running(command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap());
    let ended = || running.0.try_wait().unwrap().ok_or_else(String::new);
    let status = until(&format!("{command:?} ends by itself"), ended);
    let mut stderr = Vec::new();
    said.rewind().unwrap();
    said.read_to_end(&mut stderr).unwrap();
    Output { status, stdout: Vec::new(), stderr }
}

/// What a refusal said: it has this exit code, these words, a likely cause and a next command.
#[track_caller]
pub(crate) fn refused(output: &Output, code: i32, words: &[&str]) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in [words, &["likely:", "next:"]].concat() {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
    said
}

#[track_caller]
pub(crate) fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What is in a directory, but for what every start makes: of each file its number, the time of its
/// last change, and its bytes.
pub(crate) fn contents(dir: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if path.ends_with("agent.lock") {
            continue;
        }
        let bytes = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.insert(path, (metadata.ino(), metadata.ctime(), metadata.ctime_nsec(), bytes));
    }
    found
}

/// Says aloud that something cannot be tested here.
pub(crate) fn skip(why: &str) {
    // Past the test harness, which keeps the output of passing tests to itself.
    std::io::stderr().write_all(format!("SKIPPED: {why}\n").as_bytes()).unwrap();
}

/// Makes a device that gives zeros for ever; `false`, said aloud, where that is not allowed.
pub(crate) fn make_zeros(path: &Path) -> bool {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    /// `/dev/zero` on Linux.
    const ZERO: (u32, u32) = (1, 5);
    let device = makedev(ZERO.0, ZERO.1);
    let mode = Mode::from_raw_mode(0o600);
    match mknodat(CWD, path, FileType::CharacterDevice, mode, device) {
        Ok(()) => {}
        Err(_) => {
            skip("devices can be made by root alone");
            return false;
        }
    }
    // Where devices of this file system do not count, it is as good as none.
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            skip("the file system of temporary files has no devices");
            fs::remove_file(path).unwrap();
            false
        }
        _ => true,
    }
}
