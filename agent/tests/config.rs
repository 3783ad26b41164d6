//! The configuration of real processes: what they say of it, and how a running agent takes a new
//! one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

#[path = "support/command.rs"]
mod command;

/// How long a test waits for what has to come about: many times what it takes, for machines that
/// are busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A command that nothing of this machine configures.
fn plexmesh(config: &Path) -> Command {
    let mut command = command::plexmesh();
    command.arg("--config").arg(config);
    command
}

/// A directory with a configuration file in it.
struct Place {
    dir: TempDir,
}

impl Place {
    fn with(text: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        place.write(text);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("x.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.config(), text).unwrap();
    }

    fn run(&self, words: &[&str]) -> Output {
        plexmesh(&self.config()).args(words).output().unwrap()
    }
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// An agent of its own mesh that keeps its log in a file; ends with the test.
struct Agent<'a> {
    place: &'a Place,
    process: Child,
}

impl<'a> Agent<'a> {
    fn start(place: &'a Place) -> Self {
        let log = File::create(place.path("log")).unwrap();
        let process = plexmesh(&place.config())
            .args(["run", "--die-with-stdin", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"])
            .arg("--data-dir")
            .arg(place.path("data"))
            .stdin(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { place, process }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.path("log")).unwrap()
    }

    /// Waits until the log says something.
    fn until_log(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "the log does not say `{text}`:\n{}", self.log());
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    fn hang_up(&self) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn show_says_what_holds_and_where_it_comes_from() {
    let place = Place::with("[scrub]\ndeadline = '1h'\nmax_bytes_per_second = '20MiB'\n");
    let output = plexmesh(&place.config())
        .args(["--data-dir", "/data", "-o", "json", "config", "show"])
        .env("PLEXMESH_SCRUB__DEADLINE", "10s")
        .output()
        .unwrap();
    let document = json(&output);
    assert_eq!(document["kind"], "Config");
    let item = |section: &str, key: &str| {
        let items = document["items"].as_array().unwrap();
        items.iter().find(|it| it["section"] == section && it["key"] == key).unwrap().clone()
    };
    let file = place.config().display().to_string();
    for (section, key, value, origin) in [
        ("scrub", "deadline", Value::from("10s"), "environment PLEXMESH_SCRUB__DEADLINE".into()),
        ("scrub", "max_bytes_per_second", Value::from(20 << 20), format!("{file}:3")),
        ("agent", "data_dir", Value::from("/data"), "flag --data-dir".to_owned()),
        ("agent", "socket", Value::from("/data/agent.sock"), "flag --data-dir".to_owned()),
        ("peer", "name", Value::Null, "default".to_owned()),
    ] {
        let item = item(section, key);
        assert_eq!((&item["value"], &item["origin"]), (&value, &Value::from(origin)), "{item}");
    }
}

#[test]
fn show_has_no_section_that_does_not_exist() {
    let output = Place::with("").run(&["config", "show", "scrbu"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("plexmesh config show scrub"));
}

#[test]
fn check_tells_all_errors_and_fails() {
    let place = Place::with("[scrub]\ndedline = '1h'\n[net]\nlisten = 7\n");
    let output = place.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let file = place.config().display().to_string();
    for expected in [
        format!("read {file}\n"),
        format!("{file}:2: unknown key `dedline` in [scrub]; did you mean `deadline`?\n"),
        format!("{file}:4: net.listen is the number 7"),
        "2 errors\n".to_owned(),
    ] {
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn a_file_that_init_writes_passes_the_check_and_is_never_overwritten() {
    let place = Place::with("");
    let made = place.path("made.toml").display().to_string();
    assert_eq!(place.run(&["config", "init", &made]).status.code(), Some(0));
    assert_eq!(place.run(&["config", "check", &made]).status.code(), Some(0));
    let shown = place.run(&["config", "init"]).stdout;
    assert_eq!(shown, fs::read(&made).unwrap());
    fs::write(&made, "precious").unwrap();
    let again = place.run(&["config", "init", &made]);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(fs::read(&made).unwrap(), b"precious");
}

#[test]
fn an_agent_does_not_start_with_a_wrong_configuration() {
    let place = Place::with("[scrub]\ndedline = '1h'\n");
    let output = place.run(&["run"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    let check = format!("plexmesh config check {}", place.config().display());
    assert!(text.contains("x.toml:2: unknown key `dedline`") && text.contains(&check), "{text}");
}

#[test]
fn a_flag_of_run_that_does_not_fit_is_a_matter_of_usage() {
    let output = Place::with("").run(&["run", "--listen", "localhost"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("flag --listen: net.listen"));
}

#[test]
fn a_hangup_takes_what_can_change_and_keeps_what_held_if_the_file_is_broken() {
    let place = Place::with("log.filter = 'warn'\npeer.name = 'alpha'\n");
    let agent = Agent::start(&place);
    let socket = place.path("data/agent.sock");
    let deadline = Instant::now() + PATIENCE;
    while !socket.exists() {
        assert!(Instant::now() < deadline, "the agent does not start:\n{}", agent.log());
        std::thread::sleep(LOOK_INTERVAL);
    }
    place.write("log.filter = 'info'\npeer.name = 'beta'\nscrub.deadline = '10s'\n");
    agent.hang_up();
    agent.until_log("INFO scrub.deadline 24h -> 10s");
    let log = agent.log();
    assert!(log.contains("INFO log.filter warn -> info"), "{log}");
    assert!(log.contains("WARN peer.name alpha -> beta needs a restart"), "{log}");
    assert!(!log.contains("agent started"), "the filter of the file held from the start: {log}");

    place.write("log.filter = 'info'\nscrub.dedline = '1h'\n");
    agent.hang_up();
    agent.until_log("what held before still holds");
    let log = agent.log();
    let named = format!("WARN {}:2: unknown key `dedline`", place.config().display());
    assert!(log.contains(&named), "{log}");

    place.write("log.filter = 'info'\nscrub.deadline = '20s'\n");
    agent.hang_up();
    agent.until_log("INFO scrub.deadline 10s -> 20s");
}

#[test]
fn an_agent_says_that_it_may_sleep_as_its_configuration_has_it() {
    let place =
        Place::with("[peer]\nname = 'lap'\navailability = 'intermittent'\nsleep_grace = '2h'\n");
    let _agent = Agent::start(&place);
    let data = place.path("data").display().to_string();
    let deadline = Instant::now() + PATIENCE;
    let peer = loop {
        let output = place.run(&["--data-dir", &data, "-o", "json", "peer", "lap"]);
        if output.status.success() {
            break json(&output)["items"][0].clone();
        }
        assert!(Instant::now() < deadline, "{output:?}");
        std::thread::sleep(LOOK_INTERVAL);
    };
    assert_eq!(peer["availability"], "intermittent", "{peer}");
    assert_eq!(peer["sleepGraceSeconds"], 7_200, "{peer}");
    let shown = place.run(&["--data-dir", &data, "peer", "lap"]);
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("may sleep for 2 h"), "{shown}");
}

#[test]
fn commands_find_the_agent_whose_socket_a_file_names_and_its_group_may_ask() {
    let place = Place::with("");
    let socket = place.path("x.sock");
    // Root may give the socket to any group, others to their own alone.
    let mine = rustix::process::getegid().as_raw();
    let group = mine + u32::from(rustix::process::geteuid().is_root());
    let (shown, data) = (socket.display(), place.path("data"));
    place.write(&format!(
        "[agent]\nsocket = '{shown}'\nsocket_group = '{group}'\ndata_dir = '{}'\n\
         [net]\nlisten = ['/ip4/127.0.0.1/udp/0/quic-v1']\n",
        data.display()
    ));
    let log = File::create(place.path("log")).unwrap();
    let process = plexmesh(&place.config())
        .args(["run", "--die-with-stdin"])
        .stdin(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let agent = Agent { place: &place, process };
    agent.until_log("agent started");
    assert_eq!(fs::metadata(&socket).unwrap().gid(), group);
    let status = place.run(&["status", "-o", "json"]);
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stderr));
}

#[test]
fn a_group_that_does_not_exist_is_named() {
    let place = Place::with("agent.socket_group = 'no-such-group-here'");
    let data = place.path("data").display().to_string();
    let output = place.run(&["--data-dir", &data, "run"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-group-here"));
}
