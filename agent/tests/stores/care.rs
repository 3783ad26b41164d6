//! The databases of an agent: what an operator does for them, and a disk that is full or breaks them
//! while shards are read.

use std::fs;
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::place::Place;
use crate::wait::until;

/// Exit codes.
const DAMAGED: i32 = 1;
const IN_USE: i32 = 8;
/// Room of the disk that is filled.
const DISK: &str = "size=16m";

/// Writes shards of these numbers.
fn write_shards(place: &Place, numbers: Range<u32>) {
    for number in numbers {
        fs::write(place.shard(&format!("shard-{number}")), number.to_string()).unwrap();
    }
}

fn store(place: &Place, verb: &str) -> (Output, Value) {
    let output = place.plexmesh(&["store", verb, "-o", "json"]).output().unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output, document)
}

/// Waits until so many shards are ok.
fn wait_for_ok(place: &Place, count: usize) {
    until("all shards are ok", || {
        let ok = place.with(&["ok"])?.len();
        if ok == count { Ok(()) } else { Err(format!("{ok} are ok")) }
    });
}

/// Waits until as many changes are not on disk as `is_right` likes.
fn wait_for_unsaved(place: &Place, is_right: fn(u64) -> bool) {
    until("changes that are not on disk", || {
        let unsaved = place.unsaved()?;
        if is_right(unsaved) { Ok(()) } else { Err(unsaved.to_string()) }
    });
}

/// Mounted as long as this lives.
struct Disk(PathBuf);

impl Disk {
    /// A small disk of its own; `None` if this user may not mount one.
    fn mount(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", DISK, "plexmesh-test"]).arg(at);
        let output = mount.output().unwrap();
        if !output.status.success() {
            println!("SKIPPED: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        Some(Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy"]).arg(&self.0).status();
    }
}

/// Fills a disk to its last byte.
fn fill(file: &Path) {
    let mut kept = fs::File::create(file).unwrap();
    for size in [1 << 16, 1 << 9, 1] {
        while kept.write_all(&vec![1; size]).is_ok() {}
    }
}

#[test]
fn nothing_is_done_to_the_databases_of_an_agent_that_runs() {
    let place = Place::new().init();
    let agent = place.run();
    wait_for_ok(&place, 0);
    let (output, _) = store(&place, "check");
    assert_eq!(output.status.code(), Some(IN_USE), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("stop"), "{output:?}");
    drop(agent);
    assert!(store(&place, "check").0.status.success());
}

#[test]
fn a_database_that_does_not_open_is_found_kept_and_made_anew() {
    let place = Place::new().init();
    write_shards(&place, 1..2);
    let agent = place.run();
    wait_for_ok(&place, 1);
    wait_for_unsaved(&place, |unsaved| unsaved == 0);
    drop(agent);
    let (output, document) = store(&place, "check");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(document["items"][1]["name"], "inventory");
    assert_eq!(document["items"][1]["sound"], true);
    let db = place.path("data/inventory/db");
    let length = fs::metadata(&db).unwrap().len();
    fs::write(&db, vec![0xA5; usize::try_from(length).unwrap()]).unwrap();
    let (output, document) = store(&place, "check");
    assert_eq!(output.status.code(), Some(DAMAGED), "{output:?}");
    assert_eq!(document["items"][1]["sound"], false);
    let (output, _) = store(&place, "compact");
    assert_eq!(output.status.code(), Some(DAMAGED), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("plexmesh store rebuild"));
    let (output, document) = store(&place, "rebuild");
    assert!(output.status.success(), "{output:?}");
    let aside = document["items"][1]["setAside"].as_str().unwrap();
    assert!(Path::new(aside).join("db").exists());
    let _agent = place.run();
    wait_for_ok(&place, 1);
}

#[test]
fn a_compacted_database_holds_what_it_held() {
    let place = Place::new().init();
    write_shards(&place, 0..50);
    let agent = place.run();
    wait_for_ok(&place, 50);
    wait_for_unsaved(&place, |unsaved| unsaved == 0);
    drop(agent);
    let entries = |document: &Value| document["items"][1]["entries"].clone();
    let before = entries(&store(&place, "check").1);
    let (output, document) = store(&place, "compact");
    assert!(output.status.success(), "{output:?}");
    assert!(document["items"][1]["fileBytesBefore"].is_u64());
    assert_eq!(entries(&document), before);
    assert_eq!(entries(&store(&place, "check").1), before);
}

#[test]
fn a_full_disk_costs_nothing_that_was_found_meanwhile() {
    let place = Place::new();
    let Some(disk) = Disk::mount(&place.path("data")) else { return };
    let place = place.init();
    write_shards(&place, 0..1);
    let agent = place.run();
    wait_for_ok(&place, 1);
    wait_for_unsaved(&place, |unsaved| unsaved == 0);
    let ballast = place.path("data/ballast");
    fill(&ballast);
    write_shards(&place, 1..2_000);
    wait_for_ok(&place, 2_000);
    wait_for_unsaved(&place, |unsaved| unsaved > 0);
    fs::remove_file(&ballast).unwrap();
    wait_for_unsaved(&place, |unsaved| unsaved == 0);
    drop(agent);
    fs::remove_file(place.path("shards/shard-1999")).unwrap();
    let agent = place.run();
    until("what vanished meanwhile is told", || {
        let vanished = place.with(&["vanished"])?;
        if vanished.contains("shard-1999") { Ok(()) } else { Err(format!("{vanished:?}")) }
    });
    drop(agent);
    drop(disk);
}

#[test]
fn a_database_that_breaks_under_a_running_agent_stops_neither_it_nor_the_next() {
    let place = Place::new().init();
    write_shards(&place, 0..500);
    let agent = place.run();
    wait_for_ok(&place, 500);
    for database in ["store", "inventory"] {
        let db = place.path("data").join(database).join("db");
        let length = usize::try_from(fs::metadata(&db).unwrap().len()).unwrap();
        let file = fs::File::options().write(true).open(&db).unwrap();
        file.write_all_at(&vec![0x5A; length], 0).unwrap();
    }
    write_shards(&place, 500..600);
    wait_for_ok(&place, 600);
    drop(agent);
    let _agent = place.run();
    wait_for_ok(&place, 600);
}
