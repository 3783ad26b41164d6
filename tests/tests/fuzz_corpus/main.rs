//! Replays the corpora of the fuzzers: what their decoders met once, they are to meet in every test run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use plexmesh_tests::fuzz::TARGETS;

mod seeds;

/// Begins the names of inputs that every later version has to accept, as version 1 wrote them.
const GOLDEN: &str = "v1-";
/// Longest input of a corpus, in bytes: a minimised one is far shorter, and repositories keep all.
const MAX_INPUT_BYTES: usize = 8 * 1024;

fn fuzzers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Names in a directory without what stands behind their last point.
fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_target_has_a_fuzzer_and_a_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names(&fuzzers().join("fuzz_targets")), targets);
    assert_eq!(names(&fuzzers().join("corpus")), targets);
    let manifest = fs::read_to_string(fuzzers().join("Cargo.toml")).unwrap();
    for target in targets {
        let path = format!("path = \"fuzz_targets/{target}.rs\"");
        assert!(manifest.contains(&path), "{target} is not in tests/fuzz/Cargo.toml");
    }
}

/// With `PLEXMESH_UPDATE_CORPUS=1` seeds that are not there are written first; none is replaced.
#[test]
fn what_was_found_once_breaks_no_promise_and_what_version_1_wrote_is_accepted() {
    if std::env::var_os("PLEXMESH_UPDATE_CORPUS").is_some() {
        for (target, name, bytes) in seeds::all() {
            let dir = fuzzers().join("corpus").join(target);
            fs::create_dir_all(&dir).unwrap();
            if !dir.join(name).exists() {
                fs::write(dir.join(name), bytes).unwrap();
            }
        }
    }
    for target in TARGETS {
        let dir = fuzzers().join("corpus").join(target.name);
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            assert!(bytes.len() <= MAX_INPUT_BYTES, "{} is too long", path.display());
            // Shown if the test fails; what fails is the last one.
            println!("{}", path.display());
            let mut accepted = false;
            let held = allocation_counter::measure(|| accepted = (target.run)(&bytes)).bytes_max;
            let most = target.most_bytes.unwrap_or(u64::MAX);
            assert!(held <= most, "{}: held {held} of {most} bytes", path.display());
            let golden = path.file_name().unwrap().to_str().unwrap().starts_with(GOLDEN);
            assert!(accepted || !golden, "{} is not accepted any more", path.display());
        }
    }
}
