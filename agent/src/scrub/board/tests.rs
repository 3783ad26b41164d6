use std::path::Path;

use super::*;
use crate::scrub::inventory::source_key;
use crate::sources::{Expected, ExpectedDigest, FileFacts, SourceKind};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const START: Moment = Moment { at_ms: 1_000_000, wall_ms: 1_800_000_000_000, awake_ms: 500_000 };
const GOOD: Digests =
    Digests { blake3: [1; 32], expected: Some(ExpectedDigest::of_sha256([2; 32])) };

fn after(ms: u64) -> Moment {
    Moment { at_ms: START.at_ms + ms, wall_ms: START.wall_ms + ms, awake_ms: START.awake_ms + ms }
}

fn board(sources: usize) -> Board {
    let mut board = Board::new(DAY, None, START);
    for number in 0..sources {
        let root = Path::new("/source").join(number.to_string());
        let source =
            SourceBoard::new(source_key(&root), Directory::new(root, SourceKind::BackupNode));
        board.sources.push(source);
    }
    board
}

fn shard(inode: u64) -> Found {
    let record = Some(Expected { digest: GOOD.expected, size_bytes: Some(3) });
    let file = FileFacts { size_bytes: 3, mtime_ns: 1, ctime_ns: 1, inode, readable: true };
    Found { record, file: Some(file) }
}

fn listing(shards: &[(&str, Found)]) -> Listing {
    let shards = shards.iter().map(|(id, found)| ((*id).into(), *found)).collect();
    Listing { shards, has_records: true, ..Listing::default() }
}

fn fault() -> Fault {
    let kind = FindingKind::SourceAbsent;
    Fault { kind, reason: String::new(), since_ms: 0, confirmed: true }
}

#[test]
fn a_doubt_in_a_source_that_is_gone_asks_for_no_look_of_another() {
    let mut board = board(2);
    let missing = Found { file: None, ..shard(1) };
    assert!(board.merge(0, listing(&[("a", missing)]), START).is_some());
    board.stand_still(0, fault());
    assert_eq!(board.merge(1, listing(&[]), after(CONFIRM_MS + 1)), None);
}

#[test]
fn a_doubt_that_waits_for_its_second_reading_asks_for_no_look_at_once() {
    let mut board = board(1);
    board.merge(0, listing(&[("a", shard(1))]), START);
    let job = board.next_job(START).unwrap();
    assert!(board.read(&job, Verdict::Corrupt, Some(&GOOD), START).is_some());
    let later = after(CONFIRM_MS);
    assert_eq!(board.merge(0, listing(&[("a", shard(1))]), later), None);
    assert!(board.next_job(later).is_some());
}

#[test]
fn a_second_reading_waits_for_a_look_at_its_record() {
    let mut board = board(1);
    board.merge(0, listing(&[("a", shard(1))]), START);
    let job = board.next_job(START).unwrap();
    assert_eq!(job.look_first_ms, None);
    board.read(&job, Verdict::Corrupt, Some(&GOOD), START);
    let later = after(CONFIRM_MS);
    assert_eq!(board.next_job(later).unwrap().look_first_ms, Some(later.at_ms));
    board.merge(0, listing(&[("a", shard(1))]), later);
    assert_eq!(board.next_job(later).unwrap().look_first_ms, None);
}

#[test]
fn nothing_of_a_source_that_is_gone_is_due_until_it_is_back() {
    let mut board = board(1);
    board.merge(0, listing(&[("a", shard(1))]), START);
    board.stand_still(0, fault());
    assert_eq!((board.next_due_ms(START), board.backlog(START).shards), (None, 0));
    board.merge(0, listing(&[("a", shard(1))]), START);
    assert_eq!(board.backlog(START).shards, 1);
}

#[test]
fn a_shard_in_a_directory_that_cannot_be_looked_at_is_not_accused() {
    let mut board = board(1);
    board.merge(0, listing(&[("x/a", shard(1)), ("xy", shard(2))]), START);
    let closed = ["x".into()].into();
    let hiding = Listing { closed, ..listing(&[]) };
    board.merge(0, hiding.clone(), after(1_000));
    board.merge(0, hiding, after(1_000 + CONFIRM_MS));
    let verdict = |id: &str| board.sources[0].shards.get(id).map(|shard| shard.memory.verdict);
    // The other one was never read, and is no loss.
    assert_eq!((verdict("x/a"), verdict("xy")), (Some(None), None));
}

#[test]
fn neither_a_clock_that_is_set_nor_a_sleep_makes_a_reading_late() {
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    let mut board = board(1);
    board.merge(0, listing(&[("a", shard(1))]), START);
    let read_at = after(2 * DAY_MS);
    let job = board.next_job(read_at).unwrap();
    board.read(&job, Verdict::Ok, Some(&GOOD), read_at);
    let told = |now: Moment| board.sources[0].shards.get("a").unwrap().shown(board.patience(), now);
    let soon = after(2 * DAY_MS + 1_000);
    let set = Moment { wall_ms: soon.wall_ms + 9 * DAY_MS, ..soon };
    assert_eq!(told(set), Some(Verdict::Ok));
    let slept = Moment { at_ms: soon.at_ms + 9 * DAY_MS, ..set };
    assert_eq!(told(slept), Some(Verdict::Ok));
    assert_eq!(told(after(4 * DAY_MS)), Some(Verdict::Unverified));
}

#[test]
fn what_is_not_on_disk_yet_survives_another_configuration() {
    let (mut earlier, mut board) = (board(1), board(2));
    earlier.merge(0, listing(&[("a", shard(1))]), START);
    let job = earlier.next_job(START).unwrap();
    earlier.read(&job, Verdict::Ok, Some(&GOOD), START);
    board.take_over(&mut earlier, START);
    let memory = &board.sources[0].shards.get("a").unwrap().memory;
    assert_eq!((memory.verdict, memory.blake3), (Some(Verdict::Ok), Some(GOOD.blake3)));
    assert_eq!(board.take_unsaved(10).len(), 1);
}

#[test]
fn what_could_not_be_written_is_to_be_written_again() {
    let mut board = board(1);
    let shards: Vec<String> = (0..5).map(|number| number.to_string()).collect();
    let found: Vec<(&str, Found)> = shards.iter().map(|id| (id.as_str(), shard(1))).collect();
    board.merge(0, listing(&found), START);
    while let Some(job) = board.next_job(START) {
        board.read(&job, Verdict::Ok, Some(&GOOD), START);
    }
    let first = board.take_unsaved(3);
    assert_eq!(first.len(), 3);
    board.not_saved(first);
    assert_eq!((board.take_unsaved(10).len(), board.unsaved()), (5, 5));
    board.saved();
    assert_eq!(board.unsaved(), 0);
}

#[test]
fn a_reading_that_was_given_up_is_due_again_even_where_its_source_was_gone_meanwhile() {
    let mut board = board(2);
    for source in 0..2 {
        board.merge(source, listing(&[("a", shard(1))]), START);
        let job = board.next_job(START).unwrap();
        board.begin(&job, START);
    }
    board.stand_still(1, fault());
    assert!(board.next_job(START).is_none());
    board.give_up_readings(START);
    board.merge(1, listing(&[("a", shard(1))]), START);
    assert_eq!(board.next_job(START).map(|job| job.source), Some(0));
    assert_eq!(board.backlog(START).shards, 2);
    let due: Vec<Option<u64>> =
        board.sources.iter().map(|it| it.shards.get("a").unwrap().due_ms).collect();
    assert_eq!(due, [Some(START.at_ms); 2]);
}

#[test]
fn a_pause_longer_than_any_may_be_is_none() {
    let mut board = board(0);
    let longest_ms = START.wall_ms + millis(MAX_PAUSE);
    for (until_ms, paused) in [(START.wall_ms, false), (longest_ms, true), (u64::MAX, false)] {
        board.set_pause(Some(until_ms));
        assert_eq!(board.paused_until_ms(START).is_some(), paused, "{until_ms}");
    }
}

#[test]
fn a_deletion_is_certain_when_a_later_look_finds_nothing_new() {
    let mut board = board(1);
    board.merge(0, listing(&[("a", shard(1)), ("b", shard(2))]), START);
    while let Some(job) = board.next_job(START) {
        board.read(&job, Verdict::Ok, Some(&GOOD), START);
    }
    let again = board.merge(0, listing(&[("a", shard(1))]), after(1_000));
    assert_eq!(again, Some(START.at_ms + 1_000 + CONFIRM_MS));
    assert_eq!(board.sources[0].shards.get("b").unwrap().memory.verdict, Some(Verdict::Ok));
    assert_eq!(board.merge_same(0, after(1_000 + CONFIRM_MS)), None);
    assert_eq!(board.sources[0].shards.get("b").unwrap().memory.verdict, Some(Verdict::Vanished));
    assert_eq!(board.sources[0].shards.get("a").unwrap().memory.verdict, Some(Verdict::Ok));
}

#[test]
fn everything_is_written_again_where_nothing_is_left_on_disk() {
    let mut board = board(1);
    board.merge(0, listing(&[("a", shard(1)), ("b", shard(2))]), START);
    for _ in 0..2 {
        let job = board.next_job(START).unwrap();
        board.read(&job, Verdict::Ok, Some(&GOOD), START);
    }
    assert_eq!(board.take_unsaved(10).len(), 2);
    board.saved();
    board.save_all();
    assert_eq!(board.take_unsaved(10).len(), 2);
    assert!(board.pause.unsaved);
}
