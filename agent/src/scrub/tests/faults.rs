//! One fault on each shard, all at once on real files, and the exact verdict of each. Whatever has
//! no fault is intact all the time.

use std::fs::{FileTimes, remove_file, rename, write};
use std::os::unix::fs::symlink;
use std::time::SystemTime;

use rustix::fs::{CWD, Mode, mkfifoat};

use super::*;

/// Bytes of every shard: more than one page, so that its middle is not its beginning.
const SIZE: usize = 10_000;
/// Shards without a fault beside those with one: the faults are less than a tenth, which would be an
/// eviction.
const INTACT: usize = 100;

/// What is done to a shard, and what is to be thought of it.
type Fault = (&'static str, fn(&mut World, &str), Verdict);

/// Faults of a shard with a record.
const RECORDED: [Fault; 21] = [
    ("first byte flipped", |world, id| world.flip(id, 0), Verdict::Corrupt),
    ("middle byte flipped", |world, id| world.flip(id, SIZE as u64 / 2), Verdict::Corrupt),
    ("last byte flipped", |world, id| world.flip(id, SIZE as u64 - 1), Verdict::Corrupt),
    ("truncated by a byte", |world, id| world.set_length(id, SIZE as u64 - 1), Verdict::Truncated),
    ("grown by a byte", |world, id| world.set_length(id, SIZE as u64 + 1), Verdict::Truncated),
    ("emptied", |world, id| world.set_length(id, 0), Verdict::Truncated),
    (
        "deleted without its record",
        |world, id| remove_file(world.file(id)).unwrap(),
        Verdict::Missing,
    ),
    ("deleted with its record", World::delete, Verdict::Vanished),
    ("record deleted alone", World::forget, Verdict::Orphan),
    ("replaced with its record", |world, id| world.store(id, &[9; SIZE]), Verdict::Replaced),
    (
        "replaced without its record",
        |world, id| write(world.file(id), [9; SIZE]).unwrap(),
        Verdict::Corrupt,
    ),
    ("touched", |world, id| world.set_time(id, SystemTime::now()), Verdict::Ok),
    ("from the future", |world, id| world.set_time(id, in_years(200)), Verdict::Ok),
    ("no permission", World::close, Verdict::Unreadable),
    (
        "a link in its place",
        |world, id| world.put(id, |at| symlink("/etc/hostname", at).unwrap()),
        Verdict::Missing,
    ),
    ("a pipe in its place", |world, id| world.put(id, make_pipe), Verdict::Missing),
    (
        "a directory in its place",
        |world, id| world.put(id, |at| fs::create_dir(at).unwrap()),
        Verdict::Missing,
    ),
    ("a digest of a wrong length", |world, id| world.promise(id, "abcd", SIZE), Verdict::Ok),
    (
        "a record of another content",
        |world, id| world.promise(id, &"ab".repeat(32), SIZE),
        Verdict::Corrupt,
    ),
    (
        "a record of another length",
        |world, id| world.promise(id, &"ab".repeat(32), 3),
        Verdict::Truncated,
    ),
    ("an I/O error", World::break_disk, Verdict::Unreadable),
];

/// Faults of a shard without a record.
const UNRECORDED: [Fault; 7] = [
    ("a bit that rots", |world, id| world.flip_with_times_restored(id), Verdict::Corrupt),
    ("rewritten", |world, id| write(world.file(id), [9; SIZE]).unwrap(), Verdict::Modified),
    ("truncated", |world, id| world.set_length(id, 5), Verdict::Modified),
    ("touched", |world, id| world.set_time(id, SystemTime::now()), Verdict::Ok),
    ("deleted", |world, id| remove_file(world.file(id)).unwrap(), Verdict::Vanished),
    ("no permission", World::close, Verdict::Unreadable),
    ("an I/O error", World::break_disk, Verdict::Unreadable),
];

fn in_years(years: u64) -> SystemTime {
    SystemTime::now() + Duration::from_secs(years * 365 * 24 * 60 * 60)
}

fn make_pipe(at: &Path) {
    mkfifoat(CWD, at, Mode::from_raw_mode(0o600)).unwrap();
}

impl World {
    fn flip(&self, id: &str, at: u64) {
        let file = File::options().read(true).write(true).open(self.file(id)).unwrap();
        let mut byte = [0; 1];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    }

    fn set_length(&self, id: &str, bytes: u64) {
        File::options().write(true).open(self.file(id)).unwrap().set_len(bytes).unwrap();
    }

    fn set_time(&self, id: &str, time: SystemTime) {
        let file = File::options().write(true).open(self.file(id)).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    }

    fn close(&mut self, id: &str) {
        fs::set_permissions(self.file(id), Permissions::from_mode(0o000)).unwrap();
    }

    fn delete(&mut self, id: &str) {
        remove_file(self.file(id)).unwrap();
        self.forget(id);
    }

    fn forget(&mut self, id: &str) {
        self.records.remove(id);
    }

    fn put(&self, id: &str, make: fn(&Path)) {
        remove_file(self.file(id)).unwrap();
        make(&self.file(id));
    }

    fn promise(&mut self, id: &str, digest: &str, size: usize) {
        self.records.insert(id.to_owned(), (digest.to_owned(), size));
    }

    fn break_disk(&mut self, id: &str) {
        // Its reading fails from now on; that it is read soon takes a change.
        self.broken.push(id.to_owned());
        self.set_time(id, SystemTime::now());
    }
}

/// Does all of it to a world whose shards are all intact, and waits until each has its verdict.
fn check(mut world: World, kind: SourceKind, faults: &[Fault]) {
    for place in 0..faults.len() + INTACT {
        let content: Vec<u8> = (0..SIZE).map(|at| (at * 7 + place) as u8).collect();
        write(world.file(&id_of(place)), &content).unwrap();
        if kind == SourceKind::BackupNode {
            let digest =
                Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
            world.records.insert(id_of(place), (digest, SIZE));
        }
    }
    if kind == SourceKind::BackupNode {
        world.record();
    }
    // A plain tree calls a shard what its file is called.
    let shown = |id: &str| match kind {
        SourceKind::Plain => format!("shard_{id}"),
        _ => id.to_owned(),
    };
    let scrub = world.start_with(kind);
    until("all read", || scrub.progress().read_in_time == faults.len() + INTACT);
    until_wrong(&scrub, &[]);
    for (place, (_, harm, _)) in faults.iter().enumerate() {
        harm(&mut world, &id_of(place));
    }
    let broken: Vec<String> = world.broken.iter().map(|id| shown(id)).collect();
    scrub.break_disk_of(&broken);
    if kind == SourceKind::BackupNode {
        world.record();
    }
    let expected: Vec<(String, Verdict)> = faults
        .iter()
        .enumerate()
        .filter(|(_, (_, _, verdict))| *verdict != Verdict::Ok)
        .map(|(place, (_, _, verdict))| (shown(&id_of(place)), *verdict))
        .collect();
    let expected: Vec<(&str, Verdict)> =
        expected.iter().map(|(id, verdict)| (id.as_str(), *verdict)).collect();
    // What has another time, owner or record is read by itself; rot is found by the next reading.
    scrub.read_now(&|_, _| true);
    until_wrong(&scrub, &expected);
    // And it stays so, whatever is read again.
    let looks = scrub.progress().looks;
    scrub.read_now(&|_, _| true);
    until("everything read again", || {
        let progress = scrub.progress();
        progress.looks > looks && progress.backlog == Backlog::default()
    });
    until_wrong(&scrub, &expected);
    scrub.stop();
}

fn id_of(place: usize) -> String {
    format!("s{place:03}")
}

#[test]
fn every_fault_of_a_recorded_shard_has_its_verdict() {
    check(World::new(0), SourceKind::BackupNode, &RECORDED);
}

#[test]
fn every_fault_of_a_shard_without_a_record_has_its_verdict() {
    check(World::new(0), SourceKind::Plain, &UNRECORDED);
}

#[test]
fn two_shards_that_changed_places_are_both_corrupt() {
    let mut world = World::new(0);
    for (id, byte) in [("one", 1), ("two", 2), ("three", 3)] {
        world.store(id, &[byte; 100]);
    }
    let scrub = world.start();
    until("all read", || scrub.progress().read_in_time == 3);
    rename(world.file("one"), world.file("aside")).unwrap();
    rename(world.file("two"), world.file("one")).unwrap();
    rename(world.file("aside"), world.file("two")).unwrap();
    until_wrong(&scrub, &[("one", Verdict::Corrupt), ("two", Verdict::Corrupt)]);
    scrub.stop();
}

#[test]
fn odd_records_harm_no_other_shard() {
    let mut world = World::new(5);
    let scrub = world.start();
    until("all read", || scrub.progress().read_in_time == 5);
    world.promise("../../etc/passwd", &"ab".repeat(32), 3);
    world.promise(&"x".repeat(4_096), &"ab".repeat(32), 3);
    world.promise("a\0b", &"ab".repeat(32), 3);
    world.record();
    // The same id twice: the later record counts.
    let manifest = world.root.path().join("shards_database.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let twice = text.replacen('{', r#"{"s00": {"original_hash": "00", "size_bytes": 1},"#, 1);
    write(&manifest, twice).unwrap();
    until("what was left alone", || scrub.progress().sources.iter().any(|it| it.refused == 3));
    until_wrong(&scrub, &[]);
    scrub.stop();
}

#[test]
fn a_manifest_that_is_torn_for_a_while_accuses_nobody() {
    let world = World::new(12);
    let scrub = world.start();
    until("all read", || scrub.progress().read_in_time == 12);
    write(world.root.path().join("shards_database.json"), "{\"s00\": {").unwrap();
    until("a torn manifest", || scrub.progress().sources.iter().any(|it| it.stale_manifest));
    assert_eq!(wrong(&scrub), BTreeMap::new());
    world.record();
    until("a whole one", || scrub.progress().sources.iter().all(|it| !it.stale_manifest));
    assert_eq!(wrong(&scrub), BTreeMap::new());
    scrub.stop();
}

#[test]
fn a_shard_that_is_stored_anew_while_it_is_read_is_not_accused() {
    let mut world = World::new(0);
    world.store("long", &vec![1; 3 << 20]);
    world.store("short", &[1; 10]);
    let config = Config {
        deadline: Duration::from_secs(60),
        max_bytes_per_second: NonZeroU64::new(1 << 20),
        sources: vec![Directory::new(world.root.path().to_owned(), SourceKind::Auto)],
        ..Config::default()
    };
    let scrub = ScrubHandle::start(world.data.path(), [7; 32], config).unwrap();
    until("both known", || scrub.progress().shards == 2);
    world.store("long", &vec![2; 3 << 20]);
    until("both read", || scrub.progress().read_in_time == 2);
    assert_eq!(wrong(&scrub), BTreeMap::new());
    scrub.stop();
}
