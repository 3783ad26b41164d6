//! The scrub over real files, through its handle.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};

use plexmesh_proto::integrity::Verdict;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::clock;

mod faults;

/// Between two questions.
const POLL: Duration = Duration::from_millis(20);
/// A scrub that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Backup Node's directory and an agent's data directory.
struct World {
    data: TempDir,
    root: TempDir,
    records: BTreeMap<String, (String, usize)>,
    /// Shards whose readings fail.
    broken: Vec<String>,
}

impl World {
    fn new(shards: usize) -> Self {
        let mut world = Self {
            data: tempfile::tempdir().unwrap(),
            root: tempfile::tempdir().unwrap(),
            records: BTreeMap::new(),
            broken: Vec::new(),
        };
        for number in 0..shards {
            world.store(&format!("s{number:02}"), &vec![number as u8; 100 + number]);
        }
        world
    }

    fn file(&self, id: &str) -> PathBuf {
        self.root.path().join(format!("shard_{id}"))
    }

    fn store(&mut self, id: &str, content: &[u8]) {
        fs::write(self.file(id), content).unwrap();
        let digest = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        self.records.insert(id.to_owned(), (digest, content.len()));
        self.record();
    }

    /// Rewrites the manifest in place, as the daemon does.
    fn record(&self) {
        let records: serde_json::Map<String, serde_json::Value> = self
            .records
            .iter()
            .map(|(id, (digest, size))| {
                let record = serde_json::json!({"original_hash": digest, "size_bytes": size});
                (id.clone(), record)
            })
            .collect();
        let text = serde_json::to_string_pretty(&records).unwrap();
        fs::write(self.root.path().join("shards_database.json"), text).unwrap();
    }

    fn flip_with_times_restored(&self, id: &str) {
        let file = File::options().read(true).write(true).open(self.file(id)).unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        let mut byte = [0; 1];
        file.read_exact_at(&mut byte, 7).unwrap();
        file.write_all_at(&[byte[0] ^ 1], 7).unwrap();
        file.set_times(FileTimes::new().set_modified(before)).unwrap();
    }

    fn start(&self) -> ScrubHandle {
        self.start_with(SourceKind::Auto)
    }

    fn start_with(&self, kind: SourceKind) -> ScrubHandle {
        let config = Config {
            deadline: Duration::from_secs(10),
            duty_percent: DEFAULT_DUTY_PERCENT,
            max_bytes_per_second: None,
            hours: None,
            sources: vec![Directory::new(self.root.path(), kind)],
        };
        ScrubHandle::start(self.data.path(), [7; 32], config).unwrap()
    }
}

/// What is thought of all shards that are not ok; pending ones as `None`.
fn wrong(scrub: &ScrubHandle) -> BTreeMap<String, Option<Verdict>> {
    let (shards, _) = scrub.shards(&|_, verdict| verdict != Some(Verdict::Ok), usize::MAX);
    shards.into_iter().map(|shard| (shard.id, shard.verdict)).collect()
}

fn until(what: &str, met: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !met() {
        assert!(Instant::now() < give_up, "never: {what}");
        thread::sleep(POLL);
    }
}

/// Waits until exactly these shards are not ok.
fn until_wrong(scrub: &ScrubHandle, expected: &[(&str, Verdict)]) {
    let expected: BTreeMap<String, Option<Verdict>> =
        expected.iter().map(|(id, verdict)| ((*id).to_owned(), Some(*verdict))).collect();
    let looked = || scrub.report().borrow().is_some();
    until(&format!("{expected:?}"), || looked() && wrong(scrub) == expected);
}

#[test]
fn each_kind_of_harm_gets_its_verdict_and_nothing_else_is_accused() {
    let mut world = World::new(30);
    let scrub = world.start();
    until_wrong(&scrub, &[]);

    world.flip_with_times_restored("s03");
    fs::remove_file(world.file("s04")).unwrap();
    fs::remove_file(world.file("s05")).unwrap();
    world.records.remove("s05");
    fs::write(world.file("s06"), "short").unwrap();
    fs::set_permissions(world.file("s07"), Permissions::from_mode(0o000)).unwrap();
    world.store("s08", b"another content with its record");
    until_wrong(
        &scrub,
        &[
            ("s03", Verdict::Corrupt),
            ("s04", Verdict::Missing),
            ("s05", Verdict::Vanished),
            ("s06", Verdict::Truncated),
            ("s07", Verdict::Unreadable),
            ("s08", Verdict::Replaced),
        ],
    );
    let told = || -> Vec<u32> {
        let report = scrub.report().borrow().clone();
        report.unwrap().findings.into_values().collect()
    };
    until("one of each kind is told", || told() == [1; 6]);
    scrub.stop();
}

#[test]
fn another_configuration_does_not_wait_for_a_reading() {
    let world = World::new(0);
    fs::write(world.root.path().join("long.bin"), vec![1; 4 << 20]).unwrap();
    let slowly = Config {
        // Its reading takes hours.
        max_bytes_per_second: NonZeroU64::new(100),
        sources: vec![Directory::new(world.root.path(), SourceKind::Plain)],
        ..Config::default()
    };
    let scrub = ScrubHandle::start(world.data.path(), [7; 32], slowly).unwrap();
    until("a shard", || scrub.progress().shards == 1);
    for _ in 0..20 {
        scrub.read_now(&|_, _| true);
    }
    scrub.configure(Config::default());
    until("no source", || scrub.progress().sources.is_empty());
    scrub.stop();
}

#[test]
fn a_deletion_is_noticed_while_a_long_file_is_read() {
    let world = World::new(0);
    fs::write(world.root.path().join("a.bin"), [1; 50]).unwrap();
    fs::write(world.root.path().join("long.bin"), vec![1; 4 << 20]).unwrap();
    let slowly = Config {
        deadline: Duration::from_secs(10),
        duty_percent: DEFAULT_DUTY_PERCENT,
        max_bytes_per_second: NonZeroU64::new(1_000),
        hours: None,
        sources: vec![Directory::new(world.root.path(), SourceKind::Plain)],
    };
    let scrub = ScrubHandle::start(world.data.path(), [7; 32], slowly).unwrap();
    until("a short file read", || scrub.progress().files_read == 1);
    fs::remove_file(world.root.path().join("a.bin")).unwrap();
    until("a deletion", || wrong(&scrub).get("a.bin") == Some(&Some(Verdict::Vanished)));
    scrub.stop();
}

#[test]
fn what_is_repaired_is_ok_again() {
    let mut world = World::new(12);
    let scrub = world.start();
    until_wrong(&scrub, &[]);
    world.flip_with_times_restored("s03");
    let content = fs::read(world.file("s04")).unwrap();
    fs::remove_file(world.file("s04")).unwrap();
    until_wrong(&scrub, &[("s03", Verdict::Corrupt), ("s04", Verdict::Missing)]);
    world.flip_with_times_restored("s03");
    fs::write(world.file("s04"), content).unwrap();
    until_wrong(&scrub, &[]);
    world.store("s05", b"new");
    until_wrong(&scrub, &[("s05", Verdict::Replaced)]);
    assert_eq!(scrub.accept(&|id, _| id == "s05"), 1);
    until_wrong(&scrub, &[]);
    scrub.stop();
}

#[test]
fn a_deletion_while_the_agent_is_down_is_noticed_at_the_next_start() {
    let mut world = World::new(12);
    let scrub = world.start();
    until_wrong(&scrub, &[]);
    scrub.stop();
    fs::remove_file(world.file("s01")).unwrap();
    world.records.remove("s01");
    world.record();
    let scrub = world.start();
    until_wrong(&scrub, &[("s01", Verdict::Vanished)]);
    scrub.stop();
    // And it is not forgotten by the next one.
    let scrub = world.start();
    until_wrong(&scrub, &[("s01", Verdict::Vanished)]);
    scrub.stop();
}

#[test]
fn a_tenth_that_vanishes_at_once_was_evicted() {
    let mut world = World::new(20);
    let scrub = world.start();
    until_wrong(&scrub, &[]);
    for id in ["s00", "s01"] {
        fs::remove_file(world.file(id)).unwrap();
        world.records.remove(id);
    }
    world.record();
    until_wrong(&scrub, &[("s00", Verdict::Evicted), ("s01", Verdict::Evicted)]);
    scrub.stop();
}

#[test]
fn a_source_that_is_gone_is_one_finding_and_its_shards_stand() {
    let world = World::new(12);
    let scrub = world.start();
    until_wrong(&scrub, &[]);
    let aside = world.root.path().with_extension("aside");
    fs::rename(world.root.path(), &aside).unwrap();
    let findings = || scrub.report().borrow().clone().map(|report| report.findings);
    let absent = BTreeMap::from([(FindingKind::SourceAbsent, 1)]);
    // Neither a look nor a reading accuses a single shard.
    scrub.read_now(&|_, _| true);
    until("an absent source", || findings().as_ref() == Some(&absent));
    scrub.read_now(&|_, _| true);
    until("nothing left to read", || scrub.progress().backlog == Backlog::default());
    assert_eq!((wrong(&scrub), findings()), (BTreeMap::new(), Some(absent)));
    fs::rename(&aside, world.root.path()).unwrap();
    until("no finding", || findings() == Some(BTreeMap::new()));
    scrub.stop();
}

#[test]
fn a_plain_tree_is_held_to_its_first_reading() {
    let world = World::new(0);
    for name in ["a.bin", "b.bin", "c.bin"] {
        fs::write(world.root.path().join(name), [1; 50]).unwrap();
    }
    let scrub = world.start_with(SourceKind::Plain);
    until("three shards", || scrub.progress().read_in_time == 3);
    until_wrong(&scrub, &[]);
    fs::write(world.root.path().join("a.bin"), [2; 50]).unwrap();
    let file = File::options().write(true).open(world.root.path().join("b.bin")).unwrap();
    let before = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(&[9], 0).unwrap();
    file.set_times(FileTimes::new().set_modified(before)).unwrap();
    until_wrong(&scrub, &[("a.bin", Verdict::Modified), ("b.bin", Verdict::Corrupt)]);
    assert_eq!(scrub.accept(&|_, _| true), 1);
    until_wrong(&scrub, &[("b.bin", Verdict::Corrupt)]);
    scrub.stop();
}

#[test]
fn a_scrub_changes_nothing_in_its_source() {
    let world = World::new(12);
    let look = || -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
        let mut all: Vec<_> = fs::read_dir(world.root.path())
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let changed = fs::metadata(&path).unwrap().modified().unwrap();
                (path.clone(), fs::read(&path).unwrap(), changed)
            })
            .collect();
        all.sort();
        all
    };
    let before = look();
    let scrub = world.start();
    until("all read", || scrub.progress().read_in_time == 12);
    scrub.stop();
    assert_eq!(look(), before);
}

#[test]
fn an_agent_without_sources_says_so_at_once() {
    let data = tempfile::tempdir().unwrap();
    let scrub = ScrubHandle::start(data.path(), [0; 32], Config::default()).unwrap();
    until("a report", || scrub.report().borrow().is_some());
    assert_eq!(scrub.report().borrow().clone(), Some(ShardReport::default()));
    scrub.stop();
}

#[test]
fn the_digest_of_all_changes_with_a_content_and_not_with_a_restart() {
    let mut world = World::new(3);
    let digest = |scrub: &ScrubHandle| {
        let report = scrub.report().borrow().clone();
        let inventory = report.and_then(|report| report.inventory);
        inventory.filter(|it| it.count(Verdict::Ok) == 3).map(|it| it.digest)
    };
    let scrub = world.start();
    until("a digest of all", || digest(&scrub).is_some());
    scrub.stop();
    let first = digest(&scrub);
    let scrub = world.start();
    until("the same digest", || digest(&scrub) == first);
    world.store("s01", b"other");
    until("one shard replaced", || {
        let report = scrub.report().borrow().clone();
        let inventory = report.and_then(|report| report.inventory);
        inventory.is_some_and(|it| it.count(Verdict::Replaced) == 1 && Some(it.digest) != first)
    });
    scrub.stop();
}

#[test]
fn a_pause_stops_readings_and_outlives_the_agent_and_looks_go_on() {
    let world = World::new(12);
    let scrub = world.start();
    until_wrong(&scrub, &[]);
    scrub.pause(DEFAULT_PAUSE);
    let read = scrub.progress().files_read;
    world.flip_with_times_restored("s03");
    assert!(scrub.read_now(&|id, _| id == "s03") > 0);
    fs::remove_file(world.file("s04")).unwrap();
    until_wrong(&scrub, &[("s04", Verdict::Missing)]);
    assert_eq!(scrub.progress().files_read, read);
    scrub.stop();
    let scrub = world.start();
    assert!(scrub.progress().paused_until_ms.is_some());
    until_wrong(&scrub, &[("s04", Verdict::Missing)]);
    assert_eq!((scrub.progress().files_read, scrub.progress().done_in), (0, None));
    assert!(scrub.resume() && !scrub.resume());
    assert!(scrub.read_now(&|id, _| id == "s03") > 0);
    until_wrong(&scrub, &[("s03", Verdict::Corrupt), ("s04", Verdict::Missing)]);
    scrub.stop();
    let scrub = world.start();
    assert_eq!(scrub.progress().paused_until_ms, None);
    scrub.stop();
}

#[test]
fn a_pause_ends_by_itself() {
    let world = World::new(3);
    let scrub = world.start();
    scrub.pause(Duration::from_millis(300));
    until_wrong(&scrub, &[]);
    assert_eq!(scrub.progress().paused_until_ms, None);
    scrub.stop();
}

#[test]
fn pieces_of_backups_are_told_with_their_gaps() {
    let world = World::new(0);
    for (backup, number) in [("b_1_00", 1), ("b_1_00", 2), ("b_1_00", 5), ("b_2_ff", 0)] {
        let directory = world.root.path().join("shards").join(backup);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{backup}_shard_{number:04}.shard")), "abc").unwrap();
    }
    let scrub = world.start();
    until("all were read", || scrub.progress().read_in_time == 4);
    fs::remove_file(world.root.path().join("shards/b_1_00/b_1_00_shard_0002.shard")).unwrap();
    until("a piece that is gone", || scrub.backups().iter().any(|backup| backup.lacking == 1));
    let first = Backup {
        source: world.root.path().to_owned(),
        id: "b_1_00".to_owned(),
        present: 2,
        lacking: 1,
        highest: 5,
        gaps: vec![0..=0, 3..=4],
        absent: 3,
    };
    let second = Backup {
        id: "b_2_ff".to_owned(),
        present: 1,
        lacking: 0,
        highest: 0,
        gaps: vec![],
        absent: 0,
        ..first.clone()
    };
    assert_eq!(scrub.backups(), [first, second]);
    scrub.stop();
}

#[test]
fn outside_of_its_hours_only_what_is_asked_for_is_read() {
    let world = World::new(3);
    let closed = Config {
        hours: Some(hours_without_now()),
        sources: vec![Directory::new(world.root.path(), SourceKind::Auto)],
        ..Config::default()
    };
    let scrub = ScrubHandle::start(world.data.path(), [7; 32], closed.clone()).unwrap();
    until("three shards wait", || scrub.progress().backlog.shards == 3);
    let progress = scrub.progress();
    assert!(progress.opens_ms.is_some_and(|at| at > clock::wall_ms()));
    assert_eq!((progress.done_in, progress.files_read), (None, 0));
    scrub.read_now(&|id, _| id == "s01");
    until("the one that is asked for", || scrub.progress().read_in_time == 1);
    assert_eq!(scrub.progress().files_read, 1);
    scrub.configure(Config { hours: None, ..closed });
    until("all others", || scrub.progress().read_in_time == 3);
    scrub.stop();
}

/// An hour that begins in about twelve.
fn hours_without_now() -> Hours {
    let closed = (0..24).map(|hour| format!("{hour:02}:00-{:02}:00", hour + 1).parse::<Hours>());
    let now_ms = clock::wall_ms();
    let far = |hours: &Hours| {
        hours.begin_in(now_ms).is_some_and(|wait| wait > Duration::from_secs(6 * 3_600))
    };
    closed.filter_map(Result::ok).find(far).unwrap()
}
