//! The simulator runs the shipped protocol: a run has one hash on every machine, a changed constant
//! of the protocol gives another, and one that breaks promises is found and made small.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a check fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use plexmesh_simulator::run::run;
use plexmesh_simulator::scenario::{Scenario, load};
use serde_json::Value;

/// Of [`SCENARIO`]. A change to the protocol or the model changes it, and is to be meant; a compiler
/// or a machine must not.
const GOLDEN: &str = "46e0bf3e36f92008cb9f9e747a20ff984527a3b9ef106e3bccd2f75ffa32e920";
/// Measured latencies, losses, and coordinates, which are floats.
const SCENARIO: &str = r#"
format = 1
title = "Golden"
peers = 40
seed = 7
start = "cold"

[phases]
stagger = "5s"
settle = "60s"
faults = "60s"
healed = "40s"

[network.latency]
model = "matrix"
source = "planetlab"

[network.conditions]
loss = 0.02

[[faults]]
at = "10s"
fault = "crash"
peers = [3, 17]
"#;
/// What is changed, in which file: a silence of likelihood 2^-3 counts as a loss, in place of 2^-30.
const FILE: &str = "proto/src/membership/likelihood.rs";
const SHIPPED: &str = "pub const LOST_BITS_X16: u32 = 30 * 16;";
const ALTERED: &str = "pub const LOST_BITS_X16: u32 = 3 * 16;";
/// Most faults that are left of a script when it has been made small.
const FEW: usize = 5;

fn scenario(directory: &Path) -> (PathBuf, Scenario) {
    let file = directory.join("golden.toml");
    fs::write(&file, SCENARIO).unwrap();
    let scenario = load(SCENARIO, "golden.toml").expect("it is valid");
    (file, scenario)
}

#[test]
fn a_run_has_the_committed_hash() {
    let directory = tempfile::tempdir().unwrap();
    let (_, scenario) = scenario(directory.path());
    let report = run("golden", &scenario, directory.path(), &mut ()).expect("it can be run");
    assert_eq!(report.event_hash, GOLDEN);
}

#[test]
fn an_altered_protocol_has_another_hash_and_its_fault_is_found_and_made_small() {
    let directory = tempfile::tempdir().unwrap();
    let (file, _) = scenario(directory.path());
    let altered = build_altered();
    let ran = simulate(&altered, &["run", file.to_str().unwrap(), "-o", "json"]);
    let report: Value = serde_json::from_slice(&ran.stdout).expect("it prints JSON");
    assert_ne!(report["eventHash"], GOLDEN);

    let out = directory.path().join("broken");
    let swarm = ["swarm", "--seeds", "3", "--peers", "20", "--out", out.to_str().unwrap()];
    assert_eq!(simulate(&altered, &swarm).status.code(), Some(1), "the swarm finds it");
    let mut files = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
    let small = files.find(|file| file.extension().is_some_and(|end| end == "toml"));
    let small = small.expect("it writes what breaks");
    let left = load(&fs::read_to_string(&small).unwrap(), "broken.toml").unwrap().faults.len();
    assert!(left <= FEW, "{left} faults are left");
    let again = simulate(&altered, &["run", small.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1), "and it can be run again");
}

fn simulate(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().expect("it can be run")
}

/// Builds the simulator over a copy of the workspace in which one constant is another.
fn build_altered() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("altered");
    for part in ["agent", "proto", "simulator", "tests", "benches", "Cargo.toml", "Cargo.lock"] {
        copy_changed(&workspace.join(part), &copy.join(part));
    }
    let source = fs::read_to_string(workspace.join(FILE)).unwrap();
    assert!(source.contains(SHIPPED), "the constant is where it was");
    write_changed(&copy.join(FILE), source.replace(SHIPPED, ALTERED).as_bytes());
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&copy).args(["build", "--release", "--locked", "-p", "plexmesh-simulator"]);
    // It runs for seconds: what is built sooner is done sooner.
    cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    let built = cargo.env("CARGO_TARGET_DIR", copy.join("target")).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    copy.join("target/release/plexmesh-sim")
}

fn copy_changed(from: &Path, to: &Path) {
    if from.ends_with(FILE) {
        return;
    }
    if from.is_dir() {
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy_changed(&from.join(&name), &to.join(&name));
        }
    } else {
        write_changed(to, &fs::read(from).unwrap());
    }
}

/// Leaves a file alone that is as it should be, so that cargo need not build again.
fn write_changed(file: &Path, content: &[u8]) {
    if fs::read(file).is_ok_and(|held| held == content) {
        return;
    }
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}
