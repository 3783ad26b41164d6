//! Directories of shards with what does not belong there, that change under the reader, or go away.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::host::{Agent, Host, make_zeros};
use crate::mount::Mount;

/// What the file of a shard begins with.
const PREFIX: &str = "shard_";
/// A scrub that somebody waits for: all shards are looked at every second.
const QUICK: &str = "[scrub]\ndeadline = '10s'\n";

/// A Backup Node's directory.
struct Shards {
    root: PathBuf,
    records: Map<String, Value>,
}

impl Shards {
    /// With so many whole shards.
    fn with(root: PathBuf, count: usize) -> Self {
        fs::create_dir_all(&root).unwrap();
        let mut shards = Self { root, records: Map::new() };
        for number in 0..count {
            shards.store(&format!("s{number:02}"), &vec![7; 100 + number]);
        }
        shards
    }

    fn file(&self, id: &str) -> PathBuf {
        self.root.join(format!("{PREFIX}{id}"))
    }

    fn store(&mut self, id: &str, content: &[u8]) {
        fs::write(self.file(id), content).unwrap();
        self.record(id, content);
    }

    /// Records a shard, whatever its file is.
    fn record(&mut self, id: &str, content: &[u8]) {
        let digest: String =
            Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let record = json!({"original_hash": digest, "size_bytes": content.len()});
        self.records.insert(id.to_owned(), record);
        self.write_manifest();
    }

    fn manifest(&self) -> PathBuf {
        self.root.join("shards_database.json")
    }

    fn write_manifest(&self) {
        fs::write(self.manifest(), serde_json::to_vec_pretty(&self.records).unwrap()).unwrap();
    }

    /// Leaves half of the manifest.
    fn tear_manifest(&self) {
        let whole = fs::read(self.manifest()).unwrap();
        fs::write(self.manifest(), &whole[..whole.len() / 2]).unwrap();
    }

    fn start<'a>(&self, host: &'a Host) -> Agent<'a> {
        host.start("data", &["--shards", self.root.to_str().unwrap()])
    }
}

/// Findings on shards with their counts, as this peer has them.
fn findings(integrity: &Value) -> Vec<(&str, u64)> {
    let of_peers = integrity["peers"].as_array().unwrap().iter();
    let findings = of_peers.flat_map(|peer| peer["findings"].as_array().unwrap());
    findings.map(|it| (it["code"].as_str().unwrap(), it["count"].as_u64().unwrap())).collect()
}

/// Waits until so many shards are sound and exactly this is found of the rest.
fn until_found(agent: &Agent<'_>, sound: usize, expected: &[(&str, u64)]) -> Value {
    agent.until(&format!("{sound} ok and {expected:?}"), &["integrity"], |integrity| {
        integrity["verdicts"]["ok"] == sound
            && integrity["pendingShards"] == 0
            && findings(integrity) == expected
    })
}

fn source(agent: &Agent<'_>) -> Value {
    agent.until("a scrub", &["scrub"], |_| true)["sources"][0].clone()
}

/// Puts everything into a directory that a reader must neither open nor follow; how many there are.
fn litter(directory: &Path, prefix: &str, outside: &Path) -> usize {
    let at = |name: &str| directory.join(format!("{prefix}{name}"));
    fs::write(outside, "what is outside stays outside").unwrap();
    symlink(outside, at("link-out")).unwrap();
    symlink("/dev/zero", at("link-to-device")).unwrap();
    symlink(at("loop"), at("loop")).unwrap();
    symlink("..", at("up")).unwrap();
    symlink(directory.join("nowhere"), at("dangling")).unwrap();
    mkfifoat(CWD, at("pipe"), Mode::from_raw_mode(0o644)).unwrap();
    std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    7 + usize::from(make_zeros(&at("zeros")))
}

#[test]
fn what_is_no_shard_is_counted_and_never_opened() {
    let host = Host::with_peer();
    let mut shards = Shards::with(host.path("shards"), 3);
    let odd = litter(&shards.root, PREFIX, &host.path("outside"));
    fs::create_dir(shards.file("directory")).unwrap();
    let leaving = ["../../outside", "../outside", "/etc/passwd", "a/../../b"];
    for id in leaving {
        shards.record(id, b"");
    }
    let agent = shards.start(&host);
    until_found(&agent, 3, &[]);
    assert_eq!(source(&agent)["refused"], odd + 1 + leaving.len());
}

#[test]
fn a_record_of_what_is_no_file_is_one_of_a_missing_shard() {
    let host = Host::with_peer();
    let mut shards = Shards::with(host.path("shards"), 3);
    litter(&shards.root, PREFIX, &host.path("outside"));
    for id in ["link-out", "loop", "pipe"] {
        shards.record(id, b"what is outside stays outside");
    }
    let agent = shards.start(&host);
    until_found(&agent, 3, &[("REPLICA_MISSING", 3)]);
}

#[test]
fn a_plain_tree_is_followed_down_and_nowhere_else() {
    let host = Host::with_peer();
    let root = host.path("shards");
    fs::create_dir_all(root.join("deep/deeper")).unwrap();
    for file in ["top", "deep/one", "deep/deeper/two"] {
        fs::write(root.join(file), file).unwrap();
    }
    let odd = litter(&root, "", &host.path("outside"))
        + litter(&root.join("deep/deeper"), "", &host.path("outside"));
    let agent = host.start("data", &["--shards", root.to_str().unwrap()]);
    until_found(&agent, 3, &[]);
    assert_eq!(source(&agent)["refused"], odd);
}

#[test]
fn a_manifest_that_is_half_written_accuses_no_shard() {
    let host = Host::with_peer();
    host.configure(QUICK);
    let shards = Shards::with(host.path("shards"), 12);
    shards.tear_manifest();
    let agent = shards.start(&host);
    let told = until_found(&agent, 0, &[("SOURCE_NOT_READABLE", 1)]);
    assert_eq!(told["shards"], 0, "{told}");
    assert!(source(&agent)["fault"].to_string().contains("ends too early"), "{}", source(&agent));
    shards.write_manifest();
    until_found(&agent, 12, &[]);
    shards.tear_manifest();
    agent.until("the last whole manifest", &["scrub"], |scrub| {
        scrub["sources"][0]["staleManifest"] == true
    });
    until_found(&agent, 12, &[]);
    agent.stop();
    // Nothing stands in for it after a restart, and what is remembered stands.
    let agent = shards.start(&host);
    until_found(&agent, 12, &[("SOURCE_NOT_READABLE", 1)]);
    shards.write_manifest();
    until_found(&agent, 12, &[]);
}

#[test]
fn a_shard_that_changes_while_it_is_read_is_read_again_and_not_accused() {
    const BYTES: usize = 8 * 1024 * 1024;
    let host = Host::with_peer();
    // It takes eight seconds to read.
    host.configure("[scrub]\ndeadline = '1m'\nmax_bytes_per_second = '1MiB'\n");
    let mut shards = Shards::with(host.path("shards"), 0);
    let file = File::create(shards.file("long")).unwrap();
    file.write_all_at(&vec![1; BYTES], 0).unwrap();
    shards.record("long", &vec![1; BYTES]);
    let agent = shards.start(&host);
    agent.until("it was looked at", &["scrub"], |scrub| scrub["sources"][0]["shards"] == 1);
    // It changes in several places, whatever part of it is being read, and comes to rest.
    for place in 0..4 {
        file.write_all_at(&[2], place * (BYTES as u64 / 4)).unwrap();
        let read = agent.until("a scrub", &["scrub"], |_| true);
        assert_eq!(read["filesRead"], 0, "it was not being read any more");
    }
    drop(file);
    let content = fs::read(shards.file("long")).unwrap();
    shards.record("long", &content);
    agent.until("it is sound", &["integrity"], |integrity| {
        assert_eq!(findings(integrity), []);
        integrity["verdicts"]["ok"] == 1
    });
    let events = agent.until("events", &["events"], |_| true);
    assert!(!events.to_string().contains("REPLICA"), "{events}");
}

#[test]
fn a_file_system_that_is_not_mounted_takes_no_shard_with_it() {
    let host = Host::with_peer();
    host.configure(QUICK);
    fs::create_dir(host.path("disk")).unwrap();
    let Some(_disk) = Mount::tmpfs(&host.path("disk"), "4m") else { return };
    let shards = Shards::with(host.path("disk/shards"), 12);
    let place = host.path("shards");
    fs::create_dir(&place).unwrap();
    let mounted = Mount::bind(&shards.root, &place);
    let words = ["--shards", place.to_str().unwrap()];
    let agent = host.start("data", &words);
    until_found(&agent, 12, &[]);
    drop(mounted);
    until_found(&agent, 12, &[("SOURCE_ABSENT", 1)]);
    agent.stop();
    // An agent that starts before its disk is mounted says the same.
    let agent = host.start("data", &words);
    until_found(&agent, 12, &[("SOURCE_ABSENT", 1)]);
    let _mounted = Mount::bind(&shards.root, &place);
    until_found(&agent, 12, &[]);
    agent.stop();
}
