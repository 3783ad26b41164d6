//! What the mesh is told of shards names none of them: no id, no path, nothing that a client said,
//! no digest of a content. Real shards, the real scrub, the real protocol; every byte is looked at.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plexmesh_agent::scrub::{Config, Directory, ScrubHandle};
use plexmesh_agent::sources::SourceKind;
use plexmesh_proto::integrity::{ShardReport, Verdict};
use plexmesh_proto::record::{Kind, Payload, Profile, Record};
use plexmesh_proto::wire;
use plexmesh_simulator::World;
use plexmesh_simulator::traffic::Channel;
use plexmesh_simulator::world::wiretap::Sent;
use plexmesh_tests::worlds::{everybody, seed, settle};
use serde_json::json;
use sha2::{Digest, Sha256};

/// What nobody but the host itself may know. Ids, names, paths and records are made of it.
const MARK: &str = "MARK-7f3a";
/// What everybody may know.
const PUBLIC: &str = "OPEN-91c4-name";
/// Shards on the host.
const SHARDS: usize = 24;
/// The host that has them.
const HOLDER: usize = 3;
/// The scrub is waited for so long: many times what it takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Pieces of secrets: half a secret is one too.
const PIECE_BYTES: usize = 8;

/// Things to be found in bytes, by their pieces.
#[derive(Default)]
struct Needles(HashMap<[u8; PIECE_BYTES], String>);

impl Needles {
    fn add(&mut self, what: &str, bytes: &[u8]) {
        assert!(bytes.len() >= PIECE_BYTES, "{what} is too short to be told from chance");
        for piece in bytes.windows(PIECE_BYTES) {
            self.0.insert(piece.try_into().unwrap(), what.to_owned());
        }
    }

    /// The digests of a content, as bytes and as text.
    fn add_digests(&mut self, what: &str, content: &[u8]) {
        let sha256: [u8; 32] = Sha256::digest(content).into();
        for (kind, digest) in [("SHA-256", sha256), ("BLAKE3", *blake3::hash(content).as_bytes())] {
            let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            self.add(&format!("{kind} of {what}"), &digest);
            self.add(&format!("{kind} of {what} as text"), text.as_bytes());
            self.add(&format!("{kind} of {what} as text"), text.to_uppercase().as_bytes());
        }
    }

    fn found_in<'a>(&self, all: impl IntoIterator<Item = &'a [u8]>) -> BTreeSet<&str> {
        let pieces = all.into_iter().flat_map(|bytes| bytes.windows(PIECE_BYTES));
        pieces.filter_map(|piece| self.0.get(piece).map(String::as_str)).collect()
    }
}

fn id(number: usize) -> String {
    format!("{MARK}-shard-{number:02}")
}

fn content(number: usize) -> Vec<u8> {
    format!("{MARK}-content-{number}-").into_bytes().repeat(1 + number)
}

fn file(root: &Path, number: usize) -> PathBuf {
    root.join(format!("shard_{}", id(number)))
}

/// Writes the manifest of a Backup Node over these shards and contents.
fn record(root: &Path, shards: impl Iterator<Item = (usize, Vec<u8>)>) {
    let mut records = serde_json::Map::new();
    for (number, content) in shards {
        let digest: String =
            Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        let record = json!({
            "shard_id": id(number),
            "original_hash": digest,
            "size_bytes": content.len(),
            "created_at": "2026-11-19T08:15:30.123456+00:00",
            "last_verified": null,
            "verification_count": 0,
            "source_node": format!("{MARK}-node"),
            "redundancy_level": 1,
            "metadata": {
                "message_id": format!("{MARK}-message-{number}"),
                "user_id": format!("{MARK}-user"),
            },
        });
        records.insert(id(number), record);
    }
    let text = serde_json::to_string_pretty(&records).unwrap();
    fs::write(root.join("shards_database.json"), text).unwrap();
}

/// What a scrub says, once that is as wanted.
fn report_of(scrub: &ScrubHandle, wanted: impl Fn(&ShardReport) -> bool) -> ShardReport {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let report = scrub.report().borrow().clone();
        if let Some(report) = report.clone().filter(&wanted) {
            return report;
        }
        assert!(Instant::now() < deadline, "at last: {report:?}");
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// A directory of marked shards, all of them sound; gives its root.
fn filled(dir: &Path) -> PathBuf {
    let root = dir.join(format!("{MARK}-root"));
    fs::create_dir_all(&root).unwrap();
    for number in 0..SHARDS {
        fs::write(file(&root, number), content(number)).unwrap();
    }
    record(&root, (0..SHARDS).map(|number| (number, content(number))));
    root
}

/// A scrub of a root that keeps what it knows in `data`, and what it tells of sound shards.
fn scrub(data: &Path, root: &Path, secret: [u8; 32]) -> (ScrubHandle, ShardReport) {
    fs::create_dir_all(data).unwrap();
    let config = Config {
        deadline: Duration::from_secs(10),
        sources: vec![Directory::new(root, SourceKind::Auto)],
        ..Config::default()
    };
    let scrub = ScrubHandle::start(data, secret, config).unwrap();
    let sound = report_of(&scrub, |report| {
        let inventory = report.inventory.as_ref();
        inventory.is_some_and(|it| it.count(Verdict::Ok) as usize == SHARDS)
    });
    (scrub, sound)
}

/// What the real scrub tells of marked shards: first all are sound, then some are harmed.
fn reports() -> [ShardReport; 2] {
    let dir = tempfile::tempdir().unwrap();
    let root = filled(dir.path());
    let (scrub, sound) = scrub(&dir.path().join("data"), &root, [7; 32]);
    let another = format!("{MARK}-another").into_bytes();

    // Other bytes under its record; gone; gone with its record; of another length; another one
    // with its record.
    let mut flipped = content(1);
    flipped[0] ^= 1;
    fs::write(file(&root, 1), flipped).unwrap();
    fs::remove_file(file(&root, 2)).unwrap();
    fs::remove_file(file(&root, 3)).unwrap();
    fs::write(file(&root, 4), MARK).unwrap();
    fs::write(file(&root, 5), &another).unwrap();
    let left = (0..SHARDS).filter(|number| *number != 3);
    record(
        &root,
        left.map(|number| (number, if number == 5 { another.clone() } else { content(number) })),
    );
    let harmed = report_of(&scrub, |report| report.findings.len() == 5);
    scrub.stop();
    [sound, harmed]
}

/// Every secret of the host.
fn secrets() -> Needles {
    let mut secrets = Needles::default();
    secrets.add("a mark", MARK.as_bytes());
    for number in 0..SHARDS {
        secrets.add_digests(&id(number), &content(number));
        secrets.add_digests("an id", id(number).as_bytes());
    }
    secrets.add_digests("another", format!("{MARK}-another").as_bytes());
    secrets
}

/// A mesh that was told these reports one after the other, with all that it said on the way. One
/// host lost its disk meanwhile, so that it was told everything anew.
fn mesh_that_was_told(reports: &[ShardReport]) -> World {
    let mut world = World::builder(seed(21)).nodes(12).loss(0.02).build();
    world.set_wiretap();
    let profile = Profile { name: PUBLIC.to_owned(), ..Profile::default() };
    world.set_profile(HOLDER, profile);
    assert!(settle(&mut world).is_some());
    let holder = world.peer_id(HOLDER).unwrap();
    for report in reports {
        world.tell_shards(HOLDER, report.clone());
        let known = world.run_until(Duration::from_secs(180), |world| {
            everybody(world).into_iter().all(|host| {
                let (node, now) = (world.node(host).unwrap(), world.now_at(host));
                let told = node.shard_findings(&holder, now).into_iter();
                let told = told.map(|(_, it)| (it.kind, it.count)).filter(|(_, count)| *count > 0);
                let heartbeat = node.peers(now).into_iter().find(|peer| peer.id == holder);
                let inventory = heartbeat.and_then(|peer| peer.heartbeat?.1.inventory);
                told.eq(report.findings.clone()) && inventory == report.inventory
            })
        });
        assert!(known.is_some(), "not all were told {report:?}");
    }
    world.crash(7);
    world.run_for(Duration::from_secs(20));
    world.restart(7, false);
    world.run_for(Duration::from_secs(60));
    world
}

/// The records in a message.
fn records_in(sent: &Sent) -> Vec<Record> {
    let owned = |record: &std::sync::Arc<Record>| Record::clone(record);
    match sent.channel {
        Channel::Exchange => {
            let answer = wire::decode_answer(&sent.bytes).map(|answer| answer.records);
            let request = wire::decode_request(&sent.bytes).map(|request| request.push);
            let all = [answer, request].into_iter().flatten().flatten();
            all.map(|record| owned(&record)).collect()
        }
        Channel::Broadcast => wire::decode_broadcast(&sent.bytes).into_iter().collect(),
        _ => Vec::new(),
    }
}

#[test]
fn no_byte_that_leaves_a_node_or_lies_in_a_store_tells_which_shards_there_are() {
    let reports = reports();
    let mut world = mesh_that_was_told(&reports);
    let wiretap = world.wiretap().unwrap();
    assert_eq!(wiretap.omitted(), 0);
    let sent: Vec<Sent> = wiretap.sent().to_vec();
    let hosts = everybody(&world);
    let stored: Vec<Vec<u8>> = hosts
        .into_iter()
        .flat_map(|host| world.stored(host))
        .map(|record| wire::encode_broadcast(&record))
        .collect();
    let messages = || sent.iter().map(|message| &message.bytes[..]);
    let stored = || stored.iter().map(Vec::as_slice);

    let secrets = secrets();
    assert_eq!(secrets.found_in(messages()), BTreeSet::new(), "in what was sent");
    assert_eq!(secrets.found_in(stored()), BTreeSet::new(), "in what is stored");

    // What is looked for that way is found, and the shards were spoken of.
    let mut public = Needles::default();
    public.add("the name", PUBLIC.as_bytes());
    assert_eq!(public.found_in(messages()), BTreeSet::from(["the name"]));
    assert_eq!(public.found_in(stored()), BTreeSet::from(["the name"]));
    for channel in [Channel::Frame, Channel::Exchange, Channel::Broadcast] {
        assert!(sent.iter().any(|message| message.channel == channel), "nothing on {channel:?}");
    }
    let records: Vec<Record> = sent.iter().flat_map(records_in).collect();
    let findings: BTreeSet<_> = records
        .iter()
        .filter_map(|record| match record.payload() {
            Payload::Finding(finding) if finding.count > 0 => Some(finding.kind),
            _ => None,
        })
        .collect();
    assert!(findings.iter().eq(reports[1].findings.keys()), "{findings:?}");
    let inventory = |record: &Record| match record.payload() {
        Payload::Heartbeat(heartbeat) => heartbeat.inventory.clone(),
        _ => None,
    };
    let inventories: Vec<_> = records.iter().filter_map(inventory).collect();
    for report in &reports {
        assert!(inventories.contains(report.inventory.as_ref().unwrap()), "{report:?}");
    }
    assert!(world_holds_findings(&mut world));
}

/// Whether all hosts store what was told, the one that came back without a disk too.
fn world_holds_findings(world: &mut World) -> bool {
    everybody(world).into_iter().all(|host| {
        let stored = world.stored(host);
        let findings = stored.iter().filter(|record| record.kind() == Kind::FINDING);
        findings.count() >= 5
    })
}

#[test]
fn two_peers_with_the_same_shards_cannot_be_known_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = filled(dir.path());
    let digest = |data: &str, secret| {
        let (scrub, sound) = scrub(&dir.path().join(data), &root, secret);
        scrub.stop();
        sound.inventory.unwrap().digest
    };
    assert_eq!(digest("one", [7; 32]), digest("two", [7; 32]));
    assert_ne!(digest("three", [7; 32]), digest("four", [8; 32]));
}

#[test]
fn half_a_digest_is_found_too() {
    let mut needles = Needles::default();
    needles.add_digests("a content", b"content");
    let digest = blake3::hash(b"content");
    let sent = [&[0; 9][..], &digest.as_bytes()[13..22], &[0; 9]].concat();
    assert_eq!(needles.found_in([&sent[..]]), BTreeSet::from(["BLAKE3 of a content"]));
    assert_eq!(needles.found_in([&[0; 64][..]]), BTreeSet::new());
}
