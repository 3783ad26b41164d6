use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;

use super::*;

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn directory(manifest: &str, files: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("shards_database.json"), manifest).unwrap();
    for file in files {
        fs::write(dir.path().join(file), "abc").unwrap();
    }
    dir
}

fn source(dir: &TempDir) -> Source {
    Source::new(dir.path().to_owned(), SourceKind::Auto, Remembered::default())
}

/// What was found at some earlier look.
struct Earlier(Listing);

impl Known for Earlier {
    fn any(&self) -> bool {
        !self.0.shards.is_empty()
    }

    fn has(&self, id: &str) -> bool {
        self.0.shards.get(id).is_some()
    }

    fn records(&self) -> Vec<Recorded> {
        let shards = self.0.shards.iter();
        shards.filter_map(|(id, found)| Some((id.into(), found.record?))).collect()
    }
}

fn look(source: &mut Source) -> Result<Listing, SourceFault> {
    source.look(&NothingKnown).map(Option::unwrap)
}

#[test]
fn a_backup_nodes_directory_is_recognised_and_its_records_meet_their_files() {
    let manifest = format!(
        r#"{{"a": {{"shard_id":"a","original_hash":"{ABC}","size_bytes":3,"created_at":"x",
            "metadata":{{"user_id":"u","deep":[1,{{"a":null}}]}},"new_field":[]}},
            "gone": {{"original_hash":"{ABC}","size_bytes":3}},
            "odd": {{"original_hash":17,"size_bytes":"three"}}}}"#
    );
    let dir = directory(&manifest, &["shard_a", "shard_unrecorded", "encryption.key", "x.db"]);
    let mut source = source(&dir);
    let listing = look(&mut source).unwrap();
    assert_eq!(source.kind(), SourceKind::BackupNode);
    let ids: Vec<&str> = listing.shards.iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["a", "gone", "odd", "unrecorded"]);
    let expected = listing.shards["a"].record.unwrap();
    let sha256 = expected.digest.unwrap().single(Algorithm::Sha256).unwrap();
    assert_eq!((sha256[0], expected.size_bytes), (0xba, Some(3)));
    assert_eq!(listing.shards["a"].file.unwrap().size_bytes, 3);
    assert!(listing.shards["gone"].file.is_none());
    assert!(listing.shards["unrecorded"].record.is_none());
    // A record that is odd promises nothing, and is still a record.
    assert_eq!(listing.shards["odd"].record, Some(Expected::default()));
}

#[test]
fn a_field_that_is_a_list_or_a_map_promises_nothing() {
    for odd in ["[1,[2],{}]", r#"{"a":[null]}"#, "null", "true", "-1", "1.5"] {
        let record = format!(r#"{{"a": {{"original_hash": {odd}, "size_bytes": {odd}}}}}"#);
        let dir = directory(&record, &["shard_a"]);
        let listing = look(&mut source(&dir)).unwrap();
        assert_eq!(listing.shards["a"].record, Some(Expected::default()), "{odd}");
    }
}

#[test]
fn ids_that_leave_the_root_are_refused_and_counted() {
    let manifest = r#"{"../../etc/passwd": {}, "a/b": {}, "": {}, "fine": {}}"#;
    let dir = directory(manifest, &[]);
    let listing = look(&mut source(&dir)).unwrap();
    assert_eq!(listing.shards.iter().map(|(id, _)| id).collect::<Vec<_>>(), ["fine"]);
    assert_eq!(listing.refused, 3);
}

#[test]
fn links_pipes_and_directories_are_no_shards() {
    let dir = directory("{}", &["shard_file", "shard_"]);
    symlink("/etc/hostname", dir.path().join("shard_link")).unwrap();
    fs::create_dir(dir.path().join("shard_dir")).unwrap();
    mkfifoat(CWD, dir.path().join("shard_pipe"), Mode::from_raw_mode(0o600)).unwrap();
    let mut source = source(&dir);
    let listing = look(&mut source).unwrap();
    assert_eq!(listing.shards.iter().map(|(id, _)| id).collect::<Vec<_>>(), ["file"]);
    // A name without an id is none either.
    assert_eq!(listing.refused, 4);
    for id in ["link", "dir", "pipe"] {
        assert!(source.open(id).is_err(), "{id}");
    }
    assert!(source.open("file").is_ok());
}

#[test]
fn the_last_good_manifest_stands_in_for_a_torn_one() {
    let dir = directory(r#"{"a": {"size_bytes": 3}}"#, &["shard_a"]);
    let mut source = source(&dir);
    assert!(!look(&mut source).unwrap().stale_manifest);
    fs::write(dir.path().join("shards_database.json"), r#"{"a": {"size_by"#).unwrap();
    let listing = look(&mut source).unwrap();
    assert!(listing.stale_manifest);
    assert_eq!(listing.shards["a"].record.unwrap().size_bytes, Some(3));
    fs::write(dir.path().join("shards_database.json"), r#"{"b": {}}"#).unwrap();
    let listing = look(&mut source).unwrap();
    assert!(!listing.stale_manifest);
    assert!(listing.shards["a"].record.is_none() && listing.shards["b"].record.is_some());
}

#[test]
fn an_earlier_manifest_makes_no_shard_missing() {
    let dir = directory(r#"{"a": {"size_bytes": 3}, "b": {}}"#, &["shard_a", "shard_b"]);
    let mut source = source(&dir);
    look(&mut source).unwrap();
    fs::write(dir.path().join("shards_database.json"), "{").unwrap();
    fs::remove_file(dir.path().join("shard_a")).unwrap();
    let listing = look(&mut source).unwrap();
    assert!(listing.stale_manifest && listing.hides("a") && !listing.hides("b"));
    assert!(listing.shards.get("a").is_none() && listing.shards.get("b").is_some());
}

#[test]
fn a_manifest_that_is_gone_is_a_fault_of_the_whole_source() {
    let dir = directory("{}", &["shard_a"]);
    let remembered = Remembered { kind: SourceKind::BackupNode, ..Remembered::default() };
    fs::remove_file(dir.path().join("shards_database.json")).unwrap();
    let mut source = Source::new(dir.path().to_owned(), SourceKind::Auto, remembered);
    let fault = look(&mut source).unwrap_err();
    assert!(matches!(fault, SourceFault::NotReadable { .. }), "{fault}");
}

#[test]
fn a_root_that_is_gone_is_absent() {
    let dir = directory("{}", &[]);
    let mut source = source(&dir);
    dir.close().unwrap();
    assert!(matches!(look(&mut source), Err(SourceFault::Absent { .. })));
}

#[test]
fn an_empty_directory_on_another_device_is_an_absent_source() {
    let dir = directory("{}", &["shard_b"]);
    let elsewhere = Remembered { kind: SourceKind::BackupNode, device: Some(u64::MAX), shards: 1 };
    let mut source = Source::new(dir.path().to_owned(), SourceKind::Auto, elsewhere);
    let known = |id: &str| {
        let shards = [(id.into(), Found::default())].into_iter().collect();
        Earlier(Listing { shards, ..Listing::default() })
    };
    assert!(matches!(source.look(&known("a")), Err(SourceFault::Absent { .. })));
    // With a shard that is known it is the same directory under a new device number.
    let listing = source.look(&known("b")).unwrap().unwrap();
    assert!(listing.shards.get("b").is_some());
}

#[test]
fn a_plain_tree_gives_every_file_but_keys_databases_and_hidden_ones() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("x/y")).unwrap();
    for file in ["top.bin", "x/y/deep.bin", "x/encryption.key", "store.db", "store.db-wal", ".hid"]
    {
        fs::write(dir.path().join(file), "abc").unwrap();
    }
    symlink(dir.path(), dir.path().join("x/loop")).unwrap();
    let mut source = source(&dir);
    let listing = look(&mut source).unwrap();
    assert_eq!(
        listing.shards.iter().map(|(id, _)| id).collect::<Vec<_>>(),
        ["top.bin", "x/y/deep.bin"]
    );
    assert_eq!(
        (source.kind(), listing.has_records, listing.refused),
        (SourceKind::Plain, false, 1)
    );
    assert!(source.open("x/y/deep.bin").is_ok());
    for path in ["../x", "x/../top.bin", "x/loop/top.bin", "/etc/hostname"] {
        assert!(source.open(path).is_err(), "{path}");
    }
}

#[test]
fn a_file_that_nobody_may_read_is_known_as_such() {
    let dir = directory("{}", &["shard_a"]);
    let file = dir.path().join("shard_a");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let listing = look(&mut source(&dir)).unwrap();
    assert!(!listing.shards["a"].file.unwrap().readable);
}

#[test]
fn a_look_that_finds_all_as_it_was_says_so() {
    let dir = directory(&format!("{{\"a\": {{\"original_hash\": \"{ABC}\"}}}}"), &["shard_a"]);
    let mut source = source(&dir);
    let mut known = Earlier(Listing::default());
    let mut is_new = || match source.look(&known).unwrap() {
        Some(listing) => {
            known = Earlier(listing);
            true
        }
        None => false,
    };
    assert!(is_new() && !is_new());
    fs::write(dir.path().join("shard_a"), "abd").unwrap();
    assert!(is_new() && !is_new());
    fs::write(dir.path().join("shard_b"), "abc").unwrap();
    assert!(is_new() && !is_new());
    fs::write(dir.path().join("shards_database.json"), "{}").unwrap();
    assert!(is_new() && !is_new());
    fs::rename(dir.path().join("shard_b"), dir.path().join("shard_c")).unwrap();
    assert!(is_new() && !is_new());
    fs::remove_file(dir.path().join("shard_c")).unwrap();
    assert!(is_new() && !is_new());
}

#[test]
fn records_that_did_not_change_are_as_they_were_after_quiet_looks() {
    let dir = directory(&format!("{{\"a\": {{\"original_hash\": \"{ABC}\"}}}}"), &["shard_a"]);
    let mut source = source(&dir);
    let first = look(&mut source).unwrap();
    let known = Earlier(first.clone());
    assert_eq!(source.look(&known).unwrap(), None);
    fs::write(dir.path().join("shard_b"), "abc").unwrap();
    let listing = source.look(&known).unwrap().unwrap();
    assert_eq!(listing.shards["a"], first.shards["a"]);
    assert_eq!(listing.shards["b"].record, None);
}

#[test]
fn what_a_manifest_said_stands_in_for_a_torn_one_after_quiet_looks() {
    let dir = directory(&format!("{{\"a\": {{\"original_hash\": \"{ABC}\"}}}}"), &["shard_a"]);
    let mut source = source(&dir);
    let first = look(&mut source).unwrap();
    let known = Earlier(first.clone());
    assert_eq!(source.look(&known).unwrap(), None);
    fs::write(dir.path().join("shards_database.json"), "{\"a\": {").unwrap();
    let listing = source.look(&known).unwrap().unwrap();
    assert!(listing.stale_manifest);
    assert_eq!(listing.shards, first.shards);
}

#[test]
fn a_look_after_one_that_failed_is_a_new_one() {
    let dir = directory("{}", &["shard_a"]);
    let mut source = source(&dir);
    assert!(look(&mut source).is_ok());
    let away = dir.path().with_extension("away");
    fs::rename(dir.path(), &away).unwrap();
    assert!(source.look(&NothingKnown).is_err());
    fs::rename(&away, dir.path()).unwrap();
    assert!(source.look(&NothingKnown).unwrap().is_some());
}

#[test]
fn where_more_lies_than_is_looked_at_nothing_is_missed() {
    let cut = Listing { is_cut: true, ..Listing::default() };
    assert!(cut.hides("a") && cut.hides("b/c"));
    assert!(!Listing::default().hides("a"));
}
