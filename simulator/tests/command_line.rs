//! The program as a person or a script meets it: what it says to wrong input, to an interrupt, and to a reader that goes away.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A scenario that ends at once but for what is wrong with it.
const HEAD: &str = "format = 1\ntitle = \"Wrong\"\npeers = 4\n";

fn simulator() -> Command {
    Command::new(env!("CARGO_BIN_EXE_plexmesh-sim"))
}

fn run(directory: &Path, scenario: &str) -> Output {
    fs::write(directory.join("mine.toml"), scenario).unwrap();
    let run = simulator().args(["run", "mine.toml"]).current_dir(directory).output();
    run.expect("the program runs")
}

/// Asserts that a scenario, beside a file that it names, is refused in words that contain all of `said`.
fn refused(scenario: &str, file: (&str, &str), said: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(file.0), file.1).unwrap();
    let output = run(directory.path(), scenario);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    for part in said {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

fn with_source(model: &str, source: &str) -> String {
    let unit = if model == "matrix" { "unit = \"ms\"\n" } else { "" };
    format!("{HEAD}[network.latency]\nmodel = \"{model}\"\nsource = \"{source}\"\n{unit}")
}

#[test]
fn broken_toml_is_refused_with_its_line() {
    refused(&format!("{HEAD}[phases\n"), ("unused", ""), &["mine.toml", "4"]);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let scenario = format!("{HEAD}[phases]\nsetle = \"5s\"\n");
    refused(&scenario, ("unused", ""), &["mine.toml:5", "setle", "`settle`"]);
}

#[test]
fn no_peers_and_an_impossible_schedule_are_refused() {
    refused("format = 1\ntitle = \"x\"\npeers = 0\n", ("unused", ""), &["mine.toml", "peers", "1"]);
    let late = "[phases]\nfaults = \"1m\"\n[[faults]]\nat = \"2m\"\nfault = \"crash\"\npeers = 1\n";
    refused(&format!("{HEAD}{late}"), ("unused", ""), &["mine.toml", "2m", "1m"]);
}

#[test]
fn matrices_that_are_none_are_refused_with_line_and_column() {
    let scenario = with_source("matrix", "rtt.tsv");
    for (matrix, line) in [
        ("0 1 2\n1 0 fast\n2 1 0\n", "rtt.tsv:2"),
        ("0 1 2\n1 0 1\n-2 1 0\n", "rtt.tsv:3"),
        ("0 1 2\n1 0 NaN\n2 1 0\n", "rtt.tsv:2"),
        ("0 1 2\n1 0\n2 1 0\n", "rtt.tsv:2"),
    ] {
        refused(&scenario, ("rtt.tsv", matrix), &[line]);
    }
}

#[test]
fn a_matrix_without_a_unit_is_refused() {
    let scenario = with_source("matrix", "rtt.tsv").replace("unit = \"ms\"\n", "");
    refused(&scenario, ("rtt.tsv", "0 1\n1 0\n"), &["mine.toml:4", "unit"]);
}

#[test]
fn graphs_without_places_or_in_pieces_are_refused() {
    let scenario = with_source("graphml", "net.graphml");
    let keys = r#"<key id="x" for="node" attr.name="Latitude" attr.type="double"/>
<key id="y" for="node" attr.name="Longitude" attr.type="double"/>"#;
    let place = r#"<data key="x">1.0</data><data key="y">2.0</data>"#;
    let graph = |nodes: &str| {
        format!("<graphml>{keys}\n<graph edgedefault=\"undirected\">\n{nodes}\n</graph></graphml>")
    };
    let nowhere = graph("<node id=\"a\"/><node id=\"b\"/><edge source=\"a\" target=\"b\"/>");
    refused(&scenario, ("net.graphml", &nowhere), &["net.graphml:4", "Latitude"]);
    let pieces = graph(&format!("<node id=\"a\">{place}</node>\n<node id=\"b\">{place}</node>"));
    refused(&scenario, ("net.graphml", &pieces), &["net.graphml", "components"]);
}

#[test]
fn an_interrupt_ends_the_run_and_writes_what_was_computed() {
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("page.html");
    let mut child = simulator()
        .args(["run", "thousand-idle", "--minutes", "600", "--trace", "-o", "json", "--html"])
        .arg(&page)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first event shows that it runs, and that it listens for interrupts.
    let mut trace = BufReader::new(child.stderr.take().unwrap()).lines();
    trace.find(|line| line.as_ref().is_ok_and(|line| line.contains("peer"))).unwrap().unwrap();
    trace.next().unwrap().unwrap();
    let listener = std::thread::spawn(move || trace.for_each(drop));
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    listener.join().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let report: Value = serde_json::from_slice(&output.stdout).expect("a whole document");
    assert_eq!(report["outcome"], "interrupted");
    assert!(fs::read_to_string(page).unwrap().contains("</html>"));
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let mut command = simulator();
    command.arg("scenarios").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(0));
}

/// Runs `figures` in a directory.
fn figures(directory: &Path, arguments: &[&str]) -> Output {
    let run = simulator().arg("figures").args(arguments).current_dir(directory).output();
    run.expect("the program runs")
}

/// Asserts that `figures` refuses these arguments in words that contain all of `said`.
fn figures_refused(directory: &Path, arguments: &[&str], said: &[&str]) {
    let output = figures(directory, arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    for part in said {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn an_unknown_row_is_refused_with_the_nearest_one() {
    let directory = tempfile::tempdir().unwrap();
    let said = ["trafic-50", "`traffic-50`"];
    figures_refused(directory.path(), &["--only", "trafic-50"], &said);
    figures_refused(directory.path(), &["--only", "zzz"], &["zzz", "--list"]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was begun");
}

#[test]
fn a_state_directory_that_is_none_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let arguments = ["--size", "reduced", "--only", "traffic-50", "--state", "file/state"];
    figures_refused(directory.path(), &arguments, &["file/state", "--state"]);
}

#[test]
fn a_document_without_a_place_for_the_table_is_refused_before_anything_is_measured() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("mine.md"), "# Mine\n").unwrap();
    let arguments = ["--size", "reduced", "--only", "traffic-50", "--write", "mine.md"];
    figures_refused(directory.path(), &arguments, &["mine.md", "<!-- figures:begin -->"]);
    assert!(!directory.path().join("plexmesh-figures").exists());
}

#[test]
fn a_table_is_written_and_another_run_measures_nothing_again() {
    let directory = tempfile::tempdir().unwrap();
    let document = directory.path().join("mine.md");
    let head = "# Mine\n<!-- figures:begin -->\n";
    fs::write(&document, format!("{head}<!-- figures:end -->\nby hand\n")).unwrap();
    let arguments =
        ["--size", "reduced", "--only", "traffic-50", "--write", "mine.md", "-o", "json"];
    let first = figures(directory.path(), &arguments);
    let error = String::from_utf8(first.stderr).unwrap();
    assert_eq!((first.status.code(), error.as_str()), (Some(0), ""));
    let text = fs::read_to_string(&document).unwrap();
    assert!(text.starts_with(head) && text.ends_with("<!-- figures:end -->\nby hand\n"), "{text}");
    assert!(text.contains("| `plexmesh-sim figures --only traffic-50` |"), "{text}");
    let summary: Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!(summary["items"][0]["row"], "traffic-50");
    // The wall time is that of the first run.
    let again: Value =
        serde_json::from_slice(&figures(directory.path(), &arguments).stdout).unwrap();
    assert_eq!(again, summary);
}
