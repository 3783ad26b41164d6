use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::sources::{Algorithm, Found, NothingKnown, Remembered, Source};

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const ABC_512: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                       2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

/// A root with files of the content `abc`, or of their own.
fn root(files: &[(&str, Option<&str>)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content.unwrap_or("abc")).unwrap();
    }
    dir
}

fn source(dir: &TempDir, kind: SourceKind) -> Source {
    Source::new(dir.path().to_owned(), kind, Remembered::default())
}

/// Everything that is there, also what was there at the last look.
fn look(source: &mut Source) -> Listing {
    source.seen = None;
    source.look(&NothingKnown).unwrap().unwrap()
}

/// Looks at a source whose layout has to be found out, and reads every file that was found.
fn look_as(dir: &TempDir, kind: SourceKind) -> Listing {
    let mut source = source(dir, SourceKind::Auto);
    let listing = look(&mut source);
    assert_eq!(source.kind(), kind);
    for (id, found) in listing.shards.iter() {
        assert_eq!(source.open(id).ok().map(|(_, facts)| facts), found.file, "{id}");
    }
    listing
}

fn ids(listing: &Listing) -> Vec<&str> {
    listing.shards.iter().map(|(id, _)| id).collect()
}

fn promises(found: &Found) -> Vec<Algorithm> {
    let digest = found.record.and_then(|record| record.digest);
    digest.iter().flat_map(|digest| digest.algorithms()).collect()
}

fn database(path: &Path, rows: &[(&str, Option<&str>, i64)]) -> Connection {
    let database = Connection::open(path).unwrap();
    let table = "CREATE TABLE shards (shard_id TEXT PRIMARY KEY, original_hash TEXT, \
                 size_bytes INTEGER, created_at TEXT, last_verified TEXT, \
                 verification_count INTEGER, source_node TEXT, redundancy_level INTEGER, \
                 metadata TEXT)";
    database.execute(table, []).unwrap();
    for row in rows {
        insert(&database, *row);
    }
    database
}

fn insert(database: &Connection, (id, hash, size): (&str, Option<&str>, i64)) {
    let insert = "INSERT INTO shards (shard_id, original_hash, size_bytes) VALUES (?1, ?2, ?3)";
    database.execute(insert, (id, hash, size)).unwrap();
}

#[test]
fn a_manifest_in_sqlite_is_read() {
    let dir = root(&[("shard_a", None), ("shard_b", None)]);
    let rows = [("a", Some(ABC), 3), ("gone", None, -1), ("../up", Some(ABC), 3)];
    drop(database(&dir.path().join("shards_database.db"), &rows));
    let listing = look_as(&dir, SourceKind::BackupNodeSqlite);
    assert_eq!(ids(&listing), ["a", "b", "gone"]);
    assert_eq!(listing.shards["a"].record.unwrap().size_bytes, Some(3));
    assert_eq!(promises(&listing.shards["a"]), [Algorithm::Sha256]);
    assert_eq!(listing.shards["gone"].record, Some(crate::sources::Expected::default()));
    assert_eq!(listing.shards["b"].record, None);
    assert_eq!(listing.refused, 1);
}

#[test]
fn what_a_database_has_beside_it_counts_and_nothing_is_written_there() {
    let dir = root(&[("shard_a", None), ("shard_late", None)]);
    let path = dir.path().join("shards_database.db");
    let writer = database(&path, &[("a", Some(ABC), 3)]);
    writer.pragma_update(None, "journal_mode", "wal").unwrap();
    insert(&writer, ("late", Some(ABC), 3));
    let names = || {
        let entries = fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    assert!(before.iter().any(|name| name == "shards_database.db-wal"));
    let mut source = source(&dir, SourceKind::Auto);
    assert!(look(&mut source).shards["late"].record.is_some());
    assert_eq!(names(), before);
    // What is not committed is not there.
    writer.execute_batch("BEGIN; DELETE FROM shards").unwrap();
    assert!(look(&mut source).shards["a"].record.is_some());
    writer.execute_batch("COMMIT").unwrap();
    assert!(look(&mut source).shards["a"].record.is_none());
}

#[test]
fn a_database_of_something_else_is_a_fault_of_the_source() {
    for content in ["no database", ""] {
        let dir = root(&[("shards_database.db", Some(content)), ("shard_a", None)]);
        let fault = source(&dir, SourceKind::Auto).look(&NothingKnown).unwrap_err();
        assert!(matches!(fault, SourceFault::NotReadable { .. }), "{fault}");
    }
}

#[test]
fn the_engines_backups_are_found_at_the_root_and_below_it() {
    for base in ["", "shards/"] {
        let file = |name: &str| format!("{base}{name}");
        let first = file("backup_1_ab/backup_1_ab_shard_0000.shard");
        let late = file("backup_1_ab/backup_1_ab_shard_10239.shard");
        let other = file("backup_1_ab/backup_2_cd_shard_0000.shard");
        let short = file("backup_1_ab/backup_1_ab_shard_1.shard");
        let hidden = file(".gitkeep");
        let dir = root(&[first, late, other, short, hidden].each_ref().map(|it| (&**it, None)));
        let listing = look_as(&dir, SourceKind::Engine);
        assert_eq!(ids(&listing), ["backup_1_ab_shard_0000", "backup_1_ab_shard_10239"]);
        assert!(!listing.has_records);
    }
}

#[test]
fn sidecars_promise_for_their_shards() {
    let sidecar = format!(
        r#"{{"shard_id":"b1_shard_0","backup_id":"b1","shard_index":0,"size":3,
            "checksum":"{ABC}","stored_at":"now","storage_path":"/elsewhere"}}"#
    );
    let gone = sidecar.replace("b1_shard_0", "b1_shard_7");
    let dir = root(&[
        ("shards/b1_shard_0.dat", None),
        ("shards/b1_shard_1.dat", None),
        ("shards/b1_shard_2.dat", None),
        ("metadata/b1_shard_0_metadata.json", Some(&sidecar)),
        ("metadata/b1_shard_7_metadata.json", Some(&gone)),
        ("metadata/b1_shard_2_metadata.json", Some("{\"shard_id\":")),
    ]);
    let listing = look_as(&dir, SourceKind::Sidecar);
    assert_eq!(ids(&listing), ["b1_shard_0", "b1_shard_1", "b1_shard_2", "b1_shard_7"]);
    assert_eq!(promises(&listing.shards["b1_shard_0"]), [Algorithm::Sha256]);
    assert_eq!(listing.shards["b1_shard_0"].record.unwrap().size_bytes, Some(3));
    assert_eq!(listing.shards["b1_shard_1"].record, None);
    // A sidecar is there that cannot be read: the shard is recorded, and nothing promised.
    assert_eq!(listing.shards["b1_shard_2"].record, Some(crate::sources::Expected::default()));
    assert_eq!(listing.refused, 1);
    assert_eq!(listing.shards["b1_shard_7"].file, None);
}

#[test]
fn the_manifest_of_a_backup_promises_several_digests() {
    let place = |n: u32, path: &str| {
        format!(
            r#"{{"shard_id":"id{n}","shard_index":{n},"chunk_index":0,"storage_path":"{path}",
                "size_bytes":3,"checksums":{{"sha256":"{ABC}","sha512":"{ABC_512}","md5":"x"}}}}"#
        )
    };
    let manifest = format!(
        r#"{{"backup_id":"b1","shard_count":2,"storage_version":"1.0","shard_locations":[{},{},{}]}}"#,
        place(0, "/old/place/shards/b1_shard_0_0.shard"),
        place(3, "shards/b1_shard_3_0.shard"),
        place(4, "shards/.."),
    );
    let dir = root(&[
        ("shards/b1_shard_0_0.shard", None),
        ("shards/b2_shard_0_0.shard", None),
        ("metadata/b1.json", Some(&manifest)),
        ("metadata/b2.json", Some("torn")),
    ]);
    let listing = look_as(&dir, SourceKind::BackupManifest);
    assert_eq!(ids(&listing), ["b1_shard_0_0", "b1_shard_3_0", "b2_shard_0_0"]);
    let both = [Algorithm::Sha256, Algorithm::Sha512];
    assert_eq!(promises(&listing.shards["b1_shard_0_0"]), both);
    assert_eq!(listing.shards["b1_shard_3_0"].file, None);
    assert!(listing.shards["b2_shard_0_0"].record.is_some());
    assert_eq!(listing.refused, 2);
}

#[test]
fn a_torn_manifest_of_a_backup_leaves_what_it_said_before() {
    let manifest = r#"{"shard_locations":[{"shard_id":"b1_shard_0_0","size_bytes":3},
        {"shard_id":"b1_shard_1_0","size_bytes":3}]}"#;
    let dir = root(&[("shards/b1_shard_0_0.shard", None), ("metadata/b1.json", Some(manifest))]);
    let mut source = source(&dir, SourceKind::Auto);
    assert_eq!(look(&mut source).shards.len(), 2);
    fs::write(dir.path().join("metadata/b1.json"), "{").unwrap();
    let listing = look(&mut source);
    assert!(listing.stale_manifest);
    assert!(listing.shards["b1_shard_0_0"].record.is_some());
    // Its file may be gone together with its record.
    assert!(listing.hides("b1_shard_1_0") && listing.shards.get("b1_shard_1_0").is_none());
    fs::remove_file(dir.path().join("metadata/b1.json")).unwrap();
    let listing = look(&mut source);
    assert!(!listing.stale_manifest);
    assert_eq!(listing.shards["b1_shard_0_0"].record, None);
}

#[test]
fn metadata_that_is_gone_is_a_fault_of_the_source() {
    let manifest = r#"{"shard_locations":[{"shard_id":"b1_shard_0_0","size_bytes":3}]}"#;
    let dir = root(&[("shards/b1_shard_0_0.shard", None), ("metadata/b1.json", Some(manifest))]);
    let mut source = source(&dir, SourceKind::Auto);
    look(&mut source);
    for directory in ["metadata", "shards"] {
        let (path, away) = (dir.path().join(directory), dir.path().join("away"));
        fs::rename(&path, &away).unwrap();
        let fault = source.look(&NothingKnown).unwrap_err();
        assert!(fault.to_string().contains(directory), "{fault}");
        fs::rename(&away, &path).unwrap();
        source.look(&NothingKnown).unwrap();
    }
}

#[test]
fn our_own_manifest_promises_for_a_tree() {
    let blake3 = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    let manifest = format!(
        r#"{{"version":1,"made":"by hand","shards":{{
            "a/one":{{"sizeBytes":3,"blake3":"{blake3}"}},
            "two":{{"sha512":"{ABC_512}"}}, "../up":{{}}, "a//b":{{}}, ".hidden":{{}},
            "plexmesh-manifest.json":{{}} }}}}"#
    );
    let dir = root(&[
        ("a/one", None),
        ("two", None),
        ("three", None),
        ("plexmesh-manifest.json", Some(&manifest)),
    ]);
    let listing = look_as(&dir, SourceKind::Manifest);
    assert_eq!(ids(&listing), ["a/one", "three", "two"]);
    assert_eq!(promises(&listing.shards["a/one"]), [Algorithm::Blake3]);
    assert_eq!(promises(&listing.shards["two"]), [Algorithm::Sha512]);
    assert_eq!(listing.shards["three"].record, None);
    assert_eq!(listing.refused, 4);
}

#[test]
fn a_manifest_of_another_version_is_not_guessed_at() {
    for manifest in [r#"{"version":2,"shards":{}}"#, r#"{"shards":{}}"#, r#"{"version":1}"#] {
        let dir = root(&[("plexmesh-manifest.json", Some(manifest)), ("a", None)]);
        let fault = source(&dir, SourceKind::Auto).look(&NothingKnown).unwrap_err();
        assert!(fault.to_string().contains("holds no records"), "{fault}");
    }
}

#[test]
fn a_tree_of_no_other_layout_is_plain() {
    let dir = root(&[("metadata/readme.json", Some("{}")), ("shards/x", None)]);
    let listing = look_as(&dir, SourceKind::Plain);
    assert_eq!(ids(&listing), ["metadata/readme.json", "shards/x"]);
}
