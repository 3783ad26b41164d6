//! A data directory whose disk is full, read-only, or has damaged what lay there.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::host::{ANY_UDP, Agent, Host, contents, done, refused};
use crate::mount::Mount;
use crate::wait::until;

/// Files that make the peer who it is.
const OWN: [&str; 5] = ["identity.key", "certificate", "mesh.toml", "mesh.secret", "authority.key"];

fn own(data: &Path) -> Vec<Vec<u8>> {
    OWN.iter().map(|file| fs::read(data.join(file)).unwrap()).collect()
}

/// What was set aside in a data directory.
fn set_aside(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains("unreadable")).collect()
}

/// Who the agent of a data directory is.
fn identity(agent: &Agent<'_>) -> String {
    agent.until("an id", &["peers"], |_| true)["id"].as_str().unwrap().to_owned()
}

/// Takes all the room that is left.
fn fill(path: &Path) {
    let mut ballast = File::create(path).unwrap();
    for block in [64 * 1024, 4 * 1024, 64, 1] {
        let bytes = vec![1; block];
        while ballast.write_all(&bytes).is_ok() {}
    }
}

/// A disk of its own with a peer in `disk/data`.
fn with_disk(host: &Host, size: &str) -> Option<Mount> {
    fs::create_dir(host.path("disk")).unwrap();
    let disk = Mount::tmpfs(&host.path("disk"), size)?;
    done(&host.typed("disk/data", &["init"]));
    Some(disk)
}

#[test]
fn an_agent_whose_disk_is_full_goes_on_and_writes_again_when_there_is_room() {
    let host = Host::new();
    host.configure("[scrub]\ndeadline = '10s'\n");
    let Some(_disk) = with_disk(&host, "24m") else { return };
    let (data, ballast, shards) =
        (host.path("disk/data"), host.path("disk/ballast"), host.path("shards"));
    fs::create_dir(&shards).unwrap();
    let store = |count: usize| {
        for number in 0..count {
            fs::write(shards.join(format!("{number:03}")), number.to_string()).unwrap();
        }
    };
    let sound = |agent: &Agent<'_>, count: usize| {
        agent.until("all sound", &["integrity"], |it| it["verdicts"]["ok"] == count);
    };
    store(3);
    let words = ["--shards", shards.to_str().unwrap()];
    let agent = host.start("disk/data", &words);
    sound(&agent, 3);
    let (me, before) = (identity(&agent), own(&data));
    fill(&ballast);
    store(300);
    sound(&agent, 300);
    agent.until_log("cannot be written");
    let change = host.typed("disk/data", &["scrub", "start"]);
    refused(&change, 7, &["not", "audit.log"]);
    assert_eq!(identity(&agent), me);
    fs::remove_file(&ballast).unwrap();
    agent.until_log("can be written again");
    done(&host.typed("disk/data", &["scrub", "start"]));
    agent.stop();
    let agent = host.start("disk/data", &words);
    assert!(agent.log().contains("remembered=300"), "{}", agent.log());
    assert_eq!(identity(&agent), me);
    assert!(own(&data) == before);
    assert_eq!(set_aside(&data), <[PathBuf; 0]>::default());
}

#[test]
fn a_start_on_a_full_disk_loses_nothing() {
    let host = Host::new();
    let Some(_disk) = with_disk(&host, "24m") else { return };
    let (data, ballast) = (host.path("disk/data"), host.path("disk/ballast"));
    let agent = host.start("disk/data", &[]);
    let (me, before) = (identity(&agent), own(&data));
    agent.stop();
    fill(&ballast);
    let mut agent = host.spawn("disk/data", &["--listen", ANY_UDP]);
    // It runs and says so, or it ends and says so.
    until("words on the disk", || match agent.ended() {
        Some(status) => {
            assert_eq!(status.code(), Some(1), "{}", agent.log());
            assert!(agent.log().contains("df -h"), "{}", agent.log());
            Ok(())
        }
        None => {
            let status = host.item("disk/data", &["status"])?;
            let full = status["findings"].to_string().contains("DATA_DIR_FULL");
            if full { Ok(()) } else { Err(status.to_string()) }
        }
    });
    drop(agent);
    assert!(own(&data) == before);
    assert_eq!(set_aside(&data), <[PathBuf; 0]>::default());
    fs::remove_file(&ballast).unwrap();
    assert_eq!(identity(&host.start("disk/data", &[])), me);
}

#[test]
fn a_peer_that_finds_no_room_is_not_half_made() {
    let host = Host::new();
    fs::create_dir(host.path("disk")).unwrap();
    let Some(_disk) = Mount::tmpfs(&host.path("disk"), "1m") else { return };
    fs::create_dir(host.path("disk/data")).unwrap();
    fill(&host.path("disk/ballast"));
    refused(&host.typed("disk/data", &["init"]), 1, &["No space left", "df -h"]);
    refused(&host.refused_run("disk/data"), 1, &["No space left", "df -h"]);
    assert_eq!(contents(&host.path("disk/data")).len(), 0);
    fs::remove_file(host.path("disk/ballast")).unwrap();
    done(&host.typed("disk/data", &["init"]));
}

#[test]
fn a_directory_that_cannot_be_written_is_told_and_left_as_it_is() {
    let host = Host::new();
    let Some(disk) = with_disk(&host, "24m") else { return };
    let data = host.path("disk/data");
    drop(host.start("disk/data", &[]));
    let before = contents(&data);
    disk.set_read_only(true);
    let words = ["disk", "Read-only file system", "findmnt -T"];
    refused(&host.refused_run("disk/data"), 1, &words);
    refused(&host.refused_run("disk/new"), 1, &words);
    refused(&host.typed("disk/new", &["init"]), 1, &words);
    assert!(contents(&data) == before);
    disk.set_read_only(false);
    host.start("disk/data", &[]).stop();
}

/// Overwrites bytes in the middle of a file.
fn scratch(path: &Path, from: usize, count: usize) {
    let mut bytes = fs::read(path).unwrap();
    let end = bytes.len().min(from + count);
    bytes[from..end].iter_mut().for_each(|byte| *byte ^= 0xa5);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_store_is_set_aside_told_and_filled_again() {
    let host = Host::with_peer();
    let data = host.path("data");
    let agent = host.start("data", &[]);
    let (me, before) = (identity(&agent), own(&data));
    agent.stop();
    for database in ["store", "inventory"] {
        let file = data.join(database).join("db");
        scratch(&file, 0, usize::MAX / 2);
        let agent = host.start("data", &[]);
        assert_eq!(identity(&agent), me);
        let aside = set_aside(&data);
        let [kept] = aside.as_slice() else { panic!("{aside:?}\n{}", agent.log()) };
        assert!(kept.join("db").exists(), "{database}");
        let told = agent.until_findings(&["DATABASE_SET_ASIDE"]);
        let name = kept.file_name().unwrap().to_str().unwrap();
        assert!(told["findings"].to_string().contains(name), "{told}");
        agent.stop();
        fs::remove_dir_all(kept).unwrap();
        let agent = host.start("data", &[]);
        agent.until_findings(&[]);
        assert!(own(&data) == before);
        agent.stop();
    }
}

#[test]
fn whatever_is_scratched_in_a_store_the_agent_starts_as_who_it_was() {
    let host = Host::with_peer();
    let data = host.path("data");
    let agent = host.start("data", &[]);
    let (me, before) = (identity(&agent), own(&data));
    agent.stop();
    let whole = host.path("whole");
    fs::rename(data.join("store"), &whole).unwrap();
    let files: Vec<PathBuf> = fs::read_dir(&whole)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    assert!(files.len() >= 2, "{files:?}");
    for file in &files {
        let length = usize::try_from(fs::metadata(file).unwrap().len()).unwrap();
        for (from, count) in [(0, 4), (length / 3, 64), (length.saturating_sub(8), 8)] {
            let store = data.join("store");
            let _ = fs::remove_dir_all(&store);
            fs::create_dir_all(&store).unwrap();
            for file in &files {
                fs::copy(file, store.join(file.file_name().unwrap())).unwrap();
            }
            scratch(&store.join(file.file_name().unwrap()), from, count);
            let agent = host.start("data", &[]);
            assert_eq!(identity(&agent), me);
            agent.stop();
            assert!(own(&data) == before);
        }
    }
}
