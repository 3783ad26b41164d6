//! A peer leaves one directory and arrives in another, or nothing happens at all.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::mesh::{Labels, init, load};

const NOW_S: u64 = 1_800_000_000;

fn now() -> WallTime {
    WallTime::from_s(NOW_S)
}

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".to_owned())
}

/// A directory with a mesh of one and an old clock, and the place of the file.
struct Ground {
    root: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let ground = Self { root: tempfile::tempdir().unwrap() };
        init(&ground.path("old"), Labels::default(), NOW_S).unwrap();
        fs::create_dir(ground.path("new")).unwrap();
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn export(&self, copy: bool) -> Result<Transferred, TransferError> {
        export(&self.path("old"), &self.path("file"), &passphrase(), copy, now())
    }

    fn import(&self) -> Result<Transferred, TransferError> {
        Arriving::read(&self.path("file"), &passphrase(), now())?.settle(&self.path("new"))
    }
}

/// Names and contents of a directory.
fn content(dir: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).ok()))
        .collect()
}

#[test]
fn a_peer_arrives_as_it_left_and_speaks_above_what_it_said() {
    let ground = Ground::new();
    let (old, new) = (ground.path("old"), ground.path("new"));
    fs::write(old.join("mesh.toml"), {
        let text = fs::read_to_string(old.join("mesh.toml")).unwrap();
        format!("# by hand\n{text}")
    })
    .unwrap();
    store::raise_last_version(&old, Version(77)).unwrap();
    let exported = ground.export(false).unwrap();
    assert_eq!(exported.authority_files.len(), 2);
    let imported = ground.import().unwrap();
    assert_eq!(imported, Transferred { authority_files: Vec::new(), ..exported });
    assert!(imported.has_clock && imported.has_secret);
    for name in ["identity.key", "certificate", "mesh.toml", "mesh.secret"] {
        assert_eq!(fs::read(new.join(name)).unwrap(), fs::read(old.join(name)).unwrap(), "{name}");
    }
    assert_eq!(store::last_version(&new), Some(Version(77)));
    assert!(!new.join("authority.key").exists());
    assert!(moved::refuse(&old).is_err() && moved::refuse(&new).is_ok());
}

#[test]
fn the_file_is_for_its_owner_alone_shows_no_key_and_replaces_none() {
    let ground = Ground::new();
    ground.export(true).unwrap();
    let text = fs::read_to_string(ground.path("file")).unwrap();
    let key = fs::read_to_string(ground.path("old").join("identity.key")).unwrap();
    assert!(!text.contains(key.lines().last().unwrap()));
    assert_eq!(fs::metadata(ground.path("file")).unwrap().mode() & 0o777, 0o600);
    assert!(matches!(ground.export(false), Err(TransferError::Exists(_))));
    assert_eq!(fs::read_to_string(ground.path("file")).unwrap(), text);
    assert!(moved::refuse(&ground.path("old")).is_ok(), "a copy or a failure marked the directory");
}

#[test]
fn an_export_that_cannot_mark_the_directory_leaves_no_file() {
    let ground = Ground::new();
    // What is in the way of the mark's temporary file.
    fs::create_dir_all(ground.path("old").join("moved.new/x")).unwrap();
    assert!(ground.export(false).is_err());
    assert!(!ground.path("file").exists());
}

#[test]
fn a_directory_from_before_secret_and_clock_is_exported_without_them() {
    let ground = Ground::new();
    fs::remove_file(ground.path("old").join("mesh.secret")).unwrap();
    ground.export(false).unwrap();
    assert!(!ground.path("old").join("store").exists(), "the export made a store");
    let imported = ground.import().unwrap();
    assert!(!imported.has_clock && !imported.has_secret);
    let new = ground.path("new");
    assert!(load(&new, NOW_S).unwrap().unwrap().secrets.is_none());
    assert!(!new.join("store").exists());
}

#[test]
fn a_wrong_passphrase_damage_and_a_lapsed_certificate_are_told_and_nothing_is_written() {
    let ground = Ground::new();
    ground.export(true).unwrap();
    let file = ground.path("file");
    let read = |phrase: &str, now: WallTime| {
        Arriving::read(&file, &Passphrase::new(phrase.to_owned()), now).unwrap_err().to_string()
    };
    let wrong = read("another one", now());
    assert!(wrong.contains("not the one") && wrong.contains("nothing was written"), "{wrong}");
    let lapsed = read("correct horse battery", WallTime::from_s(NOW_S * 2));
    assert!(lapsed.contains("lapsed"), "{lapsed}");
    let mut text = fs::read(&file).unwrap();
    text.truncate(200);
    fs::write(&file, text).unwrap();
    let damaged = read("correct horse battery", now());
    assert!(damaged.contains("damaged"), "{damaged}");
}

#[test]
fn a_directory_with_a_mesh_or_another_peers_key_is_left_as_it_is() {
    let ground = Ground::new();
    ground.export(true).unwrap();
    init(&ground.path("new"), Labels::default(), NOW_S).unwrap();
    for refusal in ["already holds a mesh", "another peer"] {
        let before = content(&ground.path("new"));
        let refused = ground.import().unwrap_err().to_string();
        assert!(refused.contains(refusal), "{refused}");
        assert_eq!(content(&ground.path("new")), before);
        let _ = fs::remove_file(ground.path("new").join("mesh.toml"));
    }
}

#[test]
fn an_import_that_fails_half_way_leaves_nothing_and_can_be_repeated() {
    let ground = Ground::new();
    store::raise_last_version(&ground.path("old"), Version(5)).unwrap();
    ground.export(true).unwrap();
    let new = ground.path("new");
    format::claim(&new).unwrap();
    let before = content(&new);
    // The last file that is written, and what is in its way.
    fs::create_dir_all(new.join("mesh.new/x")).unwrap();
    assert!(ground.import().is_err());
    fs::remove_dir_all(new.join("mesh.new")).unwrap();
    assert_eq!(content(&new), before);
    ground.import().unwrap();
    assert!(load(&new, NOW_S).unwrap().is_some());
}
