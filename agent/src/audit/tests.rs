//! The audit log as its readers meet it: over files that were written, damaged and moved.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn log(&self) -> AuditLog {
        AuditLog::open(self.dir.path())
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join(file::FILE)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }
}

fn attempt(body: &str) -> Attempt {
    Attempt {
        uid: Some(0),
        pid: Some(7),
        method: "POST",
        path: "/v1/scrub".to_owned(),
        body: Some(body.as_bytes().to_vec()),
    }
}

fn change(log: &AuditLog, body: &str) -> u64 {
    let attempt = attempt(body);
    let begun = log.begin(&attempt).unwrap();
    log.end(begun, &attempt, Changed::default(), None).unwrap()
}

fn changes(log: &AuditLog, count: usize) {
    for _ in 0..count {
        change(log, "{}");
    }
}

fn all(log: &AuditLog) -> AuditItems {
    log.read(Since::Sequence(0), MAX_LISTED).unwrap()
}

fn sequences(items: &AuditItems) -> Vec<u64> {
    items.items.iter().map(|it| it.sequence).collect()
}

#[test]
fn a_change_is_kept_with_caller_request_and_outcome_for_the_owner_alone() {
    let bench = Bench::new();
    let log = bench.log();
    let attempt = attempt("{\"action\":\"accept\"}");
    let begun = log.begin(&attempt).unwrap();
    let changed = Changed { before: json!({ "vanished": 2 }), after: json!({ "accepted": 2 }) };
    log.end(begun, &attempt, changed, None).unwrap();
    let read = all(&log);
    let [entry] = read.items.as_slice() else { panic!("{read:?}") };
    assert_eq!((entry.uid, entry.pid, entry.user.as_deref()), (Some(0), Some(7), Some("root")));
    assert_eq!((entry.outcome, entry.begun), (AuditOutcome::Done, Some(begun)));
    assert_eq!(entry.asked, json!({ "action": "accept" }));
    assert_eq!((&entry.before["vanished"], &entry.after["accepted"]), (&json!(2), &json!(2)));
    assert!(read.chain.holds);
    let mode = fs::metadata(bench.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_change_whose_end_is_not_known_is_told_as_begun() {
    let bench = Bench::new();
    bench.log().begin(&attempt("{}")).unwrap();
    let read = all(&bench.log());
    assert_eq!(read.items.iter().map(|it| it.outcome).collect::<Vec<_>>(), [AuditOutcome::Begun]);
}

#[test]
fn the_chain_goes_on_after_a_restart() {
    let bench = Bench::new();
    change(&bench.log(), "{}");
    let log = bench.log();
    change(&log, "{}");
    let read = all(&log);
    assert!(read.chain.holds, "{:?}", read.chain);
    assert_eq!(sequences(&read), [2, 4]);
}

#[test]
fn a_line_that_was_changed_is_named() {
    let bench = Bench::new();
    let log = bench.log();
    change(&log, "{\"reason\":\"old\"}");
    change(&log, "{}");
    fs::write(bench.file(), bench.text().replacen("old", "new", 1)).unwrap();
    let chain = all(&log).chain;
    assert!(!chain.holds);
    let [broken] = chain.breaks.as_slice() else { panic!("{chain:?}") };
    assert_eq!(broken.line, 1);
    assert!(broken.file.ends_with("audit.log") && broken.reason.contains("changed"), "{broken:?}");
}

#[test]
fn a_line_that_was_taken_out_is_noticed_at_the_next_one() {
    let bench = Bench::new();
    let log = bench.log();
    changes(&log, 2);
    let text = bench.text();
    let kept: Vec<&str> = text.lines().collect();
    fs::write(bench.file(), [kept[0], kept[2], kept[3], ""].join("\n")).unwrap();
    let chain = all(&log).chain;
    assert_eq!(chain.breaks.first().map(|it| it.line), Some(2), "{chain:?}");
}

#[test]
fn a_log_that_was_cut_behind_a_running_agent_is_noticed() {
    let bench = Bench::new();
    let log = bench.log();
    changes(&log, 2);
    let text = bench.text();
    let two: Vec<&str> = text.split_inclusive('\n').take(2).collect();
    fs::write(bench.file(), two.concat()).unwrap();
    let chain = all(&log).chain;
    assert!(!chain.holds && chain.breaks[0].reason.contains("number 4"), "{chain:?}");
}

#[test]
fn a_line_that_a_crash_cut_short_is_tolerated_and_noted() {
    let bench = Bench::new();
    change(&bench.log(), "{}");
    let torn = "{\"sequence\":3,\"at\"";
    fs::write(bench.file(), bench.text() + torn).unwrap();
    let log = bench.log();
    let before = all(&log).chain;
    assert!(before.holds && before.torn_lines == 1, "{before:?}");
    change(&log, "{}");
    let read = all(&log);
    assert!(read.chain.holds && read.chain.torn_lines == 1, "{:?}", read.chain);
    assert_eq!(sequences(&read), [2, 4]);
    assert!(bench.text().contains(&format!("\"tornBytes\":{}", torn.len())));
}

#[test]
fn a_line_of_something_else_is_no_torn_one() {
    let bench = Bench::new();
    let log = bench.log();
    change(&log, "{}");
    let text = bench.text().replacen('\n', "\nhello\n", 1);
    fs::write(bench.file(), text).unwrap();
    let chain = all(&log).chain;
    assert_eq!(chain.breaks.first().map(|it| it.line), Some(2), "{chain:?}");
}

#[test]
fn full_files_are_moved_aside_and_the_chain_goes_on_across_them() {
    let bench = Bench::new();
    let log = AuditLog::with_files_of(bench.dir.path(), 2_000);
    changes(&log, 40);
    let mut names: Vec<String> = fs::read_dir(bench.dir.path())
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), file::MAX_FILES, "{names:?}");
    assert_eq!((names[0].as_str(), names[7].as_str()), ("audit.log", "audit.log.7"));
    let chain = all(&log).chain;
    assert!(chain.holds, "{chain:?}");
    assert!(chain.first_sequence > Some(1) && chain.last_sequence == Some(80), "{chain:?}");
    let reopened = AuditLog::with_files_of(bench.dir.path(), 2_000);
    change(&reopened, "{}");
    assert!(all(&reopened).chain.holds);
}

#[test]
fn a_crash_between_two_renames_loses_nothing() {
    let bench = Bench::new();
    let log = bench.log();
    change(&log, "{}");
    fs::rename(bench.file(), bench.dir.path().join("audit.log.2")).unwrap();
    let log = bench.log();
    assert_eq!(change(&log, "{}"), 4);
    assert!(all(&log).chain.holds);
}

#[test]
fn a_file_that_somebody_moved_away_is_not_written_to() {
    let bench = Bench::new();
    let log = bench.log();
    change(&log, "{}");
    fs::rename(bench.file(), bench.dir.path().join("audit.log.1")).unwrap();
    change(&log, "{}");
    assert_eq!(bench.text().lines().count(), 2);
    assert!(all(&log).chain.holds);
}

#[test]
fn what_cannot_be_written_is_an_error_until_it_can() {
    let bench = Bench::new();
    fs::create_dir(bench.file()).unwrap();
    let log = bench.log();
    let error = log.begin(&attempt("{}")).unwrap_err().to_string();
    assert!(error.contains("audit.log"), "{error}");
    fs::remove_dir(bench.file()).unwrap();
    assert_eq!(log.begin(&attempt("{}")).unwrap(), 1);
    assert_eq!(all(&log).chain.fault, None);
}

#[test]
fn many_refused_attempts_do_not_push_the_rest_out() {
    let bench = Bench::new();
    let log = bench.log();
    for _ in 0..1_000 {
        log.refuse(&attempt("{}"), Code::NotPermitted).unwrap();
    }
    change(&log, "{}");
    let read = all(&log);
    assert_eq!(read.items.len(), 61);
    let text = bench.text();
    assert!(text.contains("\"unwritten\":940"), "the next entry says how many were not written");
}

#[test]
fn what_is_long_or_no_json_is_cut() {
    let bench = Bench::new();
    let log = bench.log();
    let long = format!("{{\"shards\":[\"{}\"]}}", "\u{1}é".repeat(20_000));
    for body in [long.as_str(), "no json", ""] {
        change(&log, body);
    }
    let asked: Vec<Value> = all(&log).items.into_iter().map(|it| it.asked).collect();
    assert_eq!(asked[0]["bytes"], json!(long.len()));
    assert!(size(&asked[0]) <= MAX_VALUE_BYTES);
    assert_eq!(asked[1], json!({ "cutText": "no json", "bytes": 7 }));
    assert_eq!(asked[2], Value::Null);
}

#[test]
fn entries_are_found_by_number_and_by_time() {
    let bench = Bench::new();
    let log = bench.log();
    changes(&log, 3);
    assert_eq!(sequences(&log.read(Since::Sequence(2), 9).unwrap()), [4, 6]);
    let latest = log.read(Since::Time(WallTime::from_ms(0)), 1).unwrap();
    assert_eq!((sequences(&latest), latest.omitted), (vec![6], 2));
    let later = WallTime::from_ms(WallTime::now().ms() + 60_000);
    assert!(log.read(Since::Time(later), 9).unwrap().items.is_empty());
}
