//! House rules that a machine can check: crate arrows, the protocol's purity, file and function sizes of the source tree.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// What the protocol crate may build on: hashing, encoding, error derive, and float functions that give the same bits everywhere.
const PROTO_DEPENDENCIES: [&str; 4] = ["blake3", "libm", "prost", "thiserror"];

/// Which crates of the workspace each may use.
const ARROWS: [(&str, &[&str]); 6] = [
    ("plexmesh-proto", &[]),
    ("plexmesh-net", &[]),
    ("plexmesh-agent", &["plexmesh-net", "plexmesh-proto"]),
    ("plexmesh-simulator", &["plexmesh-proto"]),
    ("plexmesh-tests", &["plexmesh-agent", "plexmesh-proto", "plexmesh-simulator"]),
    ("plexmesh-benches", &["plexmesh-agent", "plexmesh-proto", "plexmesh-simulator"]),
];

/// Longest source file, in lines: past it a file has more than one responsibility.
const MAX_FILE_LINES: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

fn members() -> BTreeMap<String, Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("cargo metadata");
    metadata.packages.into_iter().map(|package| (package.name.to_string(), package)).collect()
}

fn normal_dependencies(package: &Package) -> BTreeSet<&str> {
    let normal = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
    normal.map(|dependency| dependency.name.as_str()).collect()
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target" && name != ".git")
        {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn crate_arrows_point_one_way() {
    let members = members();
    assert_eq!(members.len(), ARROWS.len(), "a new crate needs its arrows here");
    for (name, allowed) in ARROWS {
        let package = &members[name];
        for dependency in normal_dependencies(package) {
            let inside = members.contains_key(dependency);
            assert!(!inside || allowed.contains(&dependency), "{name} must not use {dependency}");
        }
    }
}

#[test]
fn the_protocol_builds_on_its_allow_list_only() {
    let members = members();
    let allowed: BTreeSet<&str> = PROTO_DEPENDENCIES.into();
    assert_eq!(normal_dependencies(&members["plexmesh-proto"]), allowed);
}

#[test]
fn the_protocol_has_no_features_and_no_conditional_code_but_tests() {
    assert!(members()["plexmesh-proto"].features.is_empty());
    for file in sources(&root().join("proto/src")) {
        let text = std::fs::read_to_string(&file).expect("source");
        let conditional = text.matches("cfg(").count() - text.matches("cfg(test)").count();
        assert_eq!(conditional, 0, "{}", file.display());
    }
}

#[test]
fn the_protocol_names_no_clock_no_io_and_no_hash_order() {
    const FORBIDDEN: [&str; 9] = [
        "std::time",
        "Instant::now",
        "SystemTime",
        "std::net",
        "std::fs",
        "HashMap",
        "HashSet",
        "tokio",
        "libp2p",
    ];
    for file in sources(&root().join("proto/src")) {
        let text = std::fs::read_to_string(&file).expect("source");
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for name in FORBIDDEN {
                assert!(!line.contains(name), "{}: {line}", file.display());
            }
        }
    }
}

#[test]
fn the_protocol_builds_without_an_operating_system() {
    let target = "thumbv7em-none-eabi";
    let installed = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc");
    let sysroot = PathBuf::from(String::from_utf8_lossy(&installed.stdout).trim());
    if !sysroot.join("lib/rustlib").join(target).exists() {
        // Past the test harness, which keeps the output of passing tests to itself.
        writeln!(
            std::io::stderr(),
            "SKIPPED: target {target} is not installed; `rustup target add {target}` runs this check"
        )
        .expect("standard error");
        return;
    }
    let status = Command::new(env!("CARGO"))
        .args(["check", "--offline", "-p", "plexmesh-proto", "--target", target, "--target-dir"])
        .arg(root().join("target/bare-metal"))
        .current_dir(root())
        .status()
        .expect("cargo");
    assert!(status.success());
}

#[test]
fn no_source_file_has_more_than_one_responsibility_worth_of_lines() {
    for file in sources(&root()) {
        let lines = std::fs::read_to_string(&file).expect("source").lines().count();
        assert!(lines <= MAX_FILE_LINES, "{}: {lines} lines", file.display());
    }
}

#[test]
fn every_crate_forbids_unsafe_code_but_the_program_that_tunes_its_allocator() {
    for package in members().values() {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("manifest");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", package.name);
        let roots = package.targets.iter().filter(|target| target.is_lib() || target.is_bin());
        for target in roots.filter(|target| target.name != "plexmesh") {
            let source = std::fs::read_to_string(&target.src_path).expect("source");
            assert!(source.contains("\n#![forbid(unsafe_code)]\n"), "{}", target.src_path);
        }
    }
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).expect("manifest");
    assert!(workspace.contains("unsafe_code = \"deny\""));
}
