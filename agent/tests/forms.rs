//! The command line as scripts meet it: forms, exit codes, colours, closed pipes, sockets that
//! cannot be had. A stand-in for an agent answers with the documents of `tests/snapshots`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clap::CommandFactory;
use plexmesh_agent::cli::args::Cli;
use serde_json::Value;

/// All forms but `dot`, which is for `topology` alone.
const FORMS: [&str; 8] = ["table", "wide", "json", "ndjson", "yaml", "csv", "markdown", "html"];
/// What is typed after each verb, and the exit code.
const VERBS: &[(&str, &[&str], i32)] = &[
    ("authority", &[], 0),
    ("certificate", &[], 0),
    ("check", &[], 2),
    ("completions", &["bash"], 0),
    ("config", &["show"], 0),
    ("doctor", &[], 1),
    ("events", &[], 0),
    ("events", &["--audit"], 0),
    ("init", &[], 0),
    ("integrity", &["--exit-code"], 10),
    ("keys", &[], 0),
    ("latency", &[], 0),
    ("leave", &["--yes"], 0),
    ("man", &[], 0),
    ("peer", &["beta"], 0),
    ("peers", &[], 0),
    ("scrub", &[], 0),
    ("shards", &[], 0),
    ("status", &["--exit-code"], 10),
    ("topology", &[], 0),
    ("wait", &["--for", "converged"], 0),
    ("why", &["gamma"], 0),
];
/// Verbs that are tried elsewhere, with real agents or data directories. `metrics` gives text for collectors alone.
const ELSEWHERE: &[&str] = &[
    "demo",
    "export-identity",
    "forget",
    "import-identity",
    "invite",
    "join",
    "metrics",
    "revoke",
    "run",
    "store",
];
/// Nobody in particular.
const OTHER_USER: u32 = 65_534;

/// Answers as an agent would, until the test ends.
struct StandIn {
    dir: tempfile::TempDir,
}

impl StandIn {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("agent.sock")).unwrap();
        std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
        Self { dir }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("agent.sock")
    }

    /// A command that asks it.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = plexmesh(words);
        command.env("PLEXMESH_SOCKET", self.socket());
        command
    }

    fn ask(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }
}

/// A command that neither the environment nor a running agent has a say in.
fn plexmesh(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plexmesh"));
    for name in ["PLEXMESH_SOCKET", "PLEXMESH_DATA_DIR", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.env("XDG_RUNTIME_DIR", "/nonexistent").stdin(Stdio::null()).args(words);
    command
}

/// Answers one request, whatever becomes of it.
fn answer(stream: UnixStream) {
    let mut reader = BufReader::new(&stream);
    let mut first = String::new();
    let _ = reader.read_line(&mut first);
    let mut length = 0;
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(read) if read > 2 => {
                let head = line.to_ascii_lowercase();
                if let Some(value) = head.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
            }
            _ => break,
        }
    }
    let _ = reader.read_exact(&mut vec![0; length]);
    let path = first.split(' ').nth(1).unwrap_or_default();
    let name = match path.split('?').next().unwrap_or_default() {
        "/readyz" => "status",
        one if one.starts_with("/v1/peers/") => "peer",
        one if one.starts_with("/v1/why/") => "why",
        "/v1/audit" => "events-audit",
        "/v1/authorities" => "authority",
        other => other.trim_start_matches("/v1/"),
    };
    let body = snapshot(&format!("{name}.ndjson"));
    let body = body.trim_end();
    let _ = write!(
        &stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
}

fn snapshot(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    std::fs::read_to_string(path).unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Whether a text is in a form, as far as that can be told from outside.
fn is_in(form: &str, text: &str) -> bool {
    match form {
        "json" => serde_json::from_str::<Value>(text).is_ok(),
        "ndjson" => text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "yaml" => serde_saphyr::from_str::<Value>(text).is_ok_and(|value| value.is_object()),
        "csv" => csv::Reader::from_reader(text.as_bytes()).records().all(|row| row.is_ok()),
        "markdown" => text.starts_with("# "),
        "html" => text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>\n"),
        _ => true,
    }
}

#[test]
fn every_verb_answers_in_every_form_with_one_exit_code() {
    let agent = StandIn::start();
    for (verb, words, code) in VERBS.iter().copied() {
        for form in FORMS {
            let data = tempfile::tempdir().unwrap();
            let dir = data.path().join("data");
            let mut command = agent.command(&[verb, "-o", form]);
            let output = command.args(words).arg("--data-dir").arg(dir).output().unwrap();
            let (shown, said) = (text(&output.stdout), text(&output.stderr));
            assert_eq!(output.status.code(), Some(code), "{verb} -o {form}: {said}");
            assert!(!shown.is_empty() && is_in(form, &shown), "{verb} -o {form}: {shown}");
        }
    }
}

#[test]
fn every_verb_is_tried() {
    let tried: BTreeSet<&str> =
        VERBS.iter().map(|(verb, ..)| *verb).chain(ELSEWHERE.iter().copied()).collect();
    let command = Cli::command();
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    let missing: Vec<&str> =
        verbs.map(|verb| verb.get_name()).filter(|verb| !tried.contains(verb)).collect();
    assert!(
        missing.is_empty(),
        "add {missing:?} to VERBS in agent/tests/forms.rs, with what is typed after each; the \
         stand-in answers /v1/NAME with agent/tests/snapshots/NAME.ndjson"
    );
}

#[test]
fn errors_take_the_form_of_results_and_the_exit_code_does_not_depend_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("none.sock").display().to_string();
    let cases: [(&[&str], i32); 3] =
        [(&["peers"], 3), (&["statsu"], 2), (&["peers", "--nonsense"], 2)];
    for (words, code) in cases {
        for form in FORMS {
            let mut command = plexmesh(words);
            let output = command.args(["--socket", &socket, "-o", form]).output().unwrap();
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{words:?} -o {form}: {said}");
            assert!(!said.is_empty() && is_in(form, &said), "{words:?} -o {form}: {said}");
            assert!(output.stdout.is_empty(), "{words:?} -o {form}");
        }
    }
}

#[test]
fn only_a_topology_is_a_graph() {
    let agent = StandIn::start();
    let graph = agent.ask(&["topology", "-o", "dot"]);
    assert!(text(&graph.stdout).contains("digraph plexmesh"));
    let refused = agent.ask(&["peers", "-o", "dot"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("plexmesh topology -o dot"));
}

#[test]
fn no_color_gives_no_escape_and_always_gives_one() {
    let agent = StandIn::start();
    let shown = |words: &[&str], set: &[(&str, &str)]| {
        let output = agent.command(words).envs(set.iter().copied()).output().unwrap();
        text(&output.stdout)
    };
    for set in [&[("NO_COLOR", "1")][..], &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], &[]] {
        assert!(!shown(&["status"], set).contains('\x1b'), "{set:?}");
    }
    assert!(shown(&["status", "--color", "always"], &[]).contains('\x1b'));
    assert!(shown(&["status"], &[("CLICOLOR_FORCE", "1")]).contains('\x1b'));
    for form in ["csv", "markdown", "html", "yaml"] {
        let text = shown(&["status", "--color", "always", "-o", form], &[]);
        assert!(!text.contains('\x1b'), "{form}");
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let agent = StandIn::start();
    for words in [
        &["status"][..],
        &["peers", "-o", "html"],
        &["events", "-o", "csv"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = agent.command(words).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert_eq!(text(&output.stderr), "", "{words:?}");
    }
}

#[test]
fn without_an_agent_the_way_to_one_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let output = plexmesh(&["status", "--data-dir"]).arg(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("next:   plexmesh run"), "{output:?}");
}

#[test]
fn who_may_not_ask_is_told_what_to_do() {
    if !rustix::process::geteuid().is_root() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: only root can ask as another user");
        return;
    }
    let agent = StandIn::start();
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(agent.dir.path(), 0o755);
    open(&agent.socket(), 0o660);
    // The build directory may be closed to others. A process of its own copies: were the file open
    // for writing here while another test starts a command, it could not be run.
    let program = agent.dir.path().join("plexmesh");
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_plexmesh")).arg(&program).status();
    assert!(copied.unwrap().success());
    open(&program, 0o755);
    let output = Command::new(&program)
        .args(["status", "--socket"])
        .arg(agent.socket())
        .current_dir("/")
        .uid(OTHER_USER)
        .gid(OTHER_USER)
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("owner, root and the socket's group"), "{said}");
    assert!(said.contains("next:   sudo plexmesh --socket"), "{said}");
}

#[test]
fn a_socket_path_that_is_too_long_is_a_clear_problem_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("x".repeat(120));
    for verb in ["status", "run"] {
        let output = plexmesh(&[verb, "--data-dir"]).arg(&deep).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{verb}: {said}");
        assert!(said.contains("the system allows 10") && said.contains("--socket"), "{said}");
        assert!(!deep.exists(), "{verb} made its data directory");
    }
}

#[test]
fn a_check_tells_by_word_and_exit_code() {
    let agent = StandIn::start();
    let output = agent.ask(&["check"]);
    let line = text(&output.stdout);
    assert!(line.starts_with("PLEXMESH CRITICAL - 2 of 3 peers up"), "{line}");
    assert!(line.contains(" | peers_up=2;;;0;3 ") && line.lines().count() == 1, "{line}");
    assert_eq!(output.status.code(), Some(2));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let unread = agent.command(&["check"]).stdout(writer).status().unwrap();
    assert_eq!(unread.code(), Some(2));
}

#[test]
fn a_check_that_cannot_be_made_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let silent = dir.path().join("silent.sock");
    let _listener = UnixListener::bind(&silent).unwrap();
    let (silent, none) = (silent.display().to_string(), dir.path().display().to_string());
    for words in [
        &["check", "--socket", &none][..],
        &["check", "--socket", &silent, "--timeout", "200ms"],
        &["check", "--nonsense"],
        &["--socket", &silent, "check", "--timeout", "soon"],
        &["check", "-o", "dot"],
    ] {
        let output = plexmesh(words).output().unwrap();
        let line = text(&output.stdout);
        assert_eq!(output.status.code(), Some(3), "{words:?}");
        assert!(line.starts_with("PLEXMESH UNKNOWN - ") && line.lines().count() == 1, "{line}");
    }
    let output = plexmesh(&["check", "--nonsense", "-o", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(is_in("json", &text(&output.stderr)) && output.stdout.is_empty());
    assert_eq!(plexmesh(&["check", "--help"]).output().unwrap().status.code(), Some(0));
}

#[test]
fn watching_gives_json_lines_or_says_what_works() {
    let agent = StandIn::start();
    for form in ["json", "ndjson"] {
        let mut command = agent.command(&["status", "--watch=0.2", "-o", form]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines: Vec<String> = lines.take(2).map(Result::unwrap).collect();
        // First of all, so that it does not outlive a test that fails.
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(lines.iter().all(|line| is_in("json", line)), "{form}: {lines:?}");
    }
    for form in ["yaml", "csv", "markdown", "html"] {
        for words in [["status", "--watch"], ["events", "--follow"]] {
            let output = agent.command(&words).args(["-o", form]).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{words:?} -o {form}");
            assert!(text(&output.stderr).contains("ndjson"), "{words:?} -o {form}");
        }
    }
}

#[test]
fn the_manual_has_a_page_for_each_verb() {
    let dir = tempfile::tempdir().unwrap();
    let output = plexmesh(&["man"]).arg(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&plexmesh(&["man"]).output().unwrap().stdout).contains(".TH plexmesh 1"));
    for (verb, ..) in VERBS {
        let page = std::fs::read_to_string(dir.path().join(format!("plexmesh-{verb}.1"))).unwrap();
        assert!(page.contains(&format!(".TH plexmesh-{verb} 1")), "{verb}: {page}");
        assert!(page.contains("data\\-dir"), "{verb} has no global flags");
    }
}
