//! Files that people and other programs write.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use plexmesh_agent::cli::args::RunArgs;
use plexmesh_agent::config::{self, Files, Inputs, Origin};
use plexmesh_agent::mesh::{self, Labels};
use plexmesh_agent::sources::{Algorithm, Expected, SourceKind, parse_records};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// Files of a data directory that a target may change; the first byte of its input chooses.
const DATA_FILES: [&str; 3] = ["certificate", "identity.key", "mesh.toml"];
/// When the mesh of the tests was made, in Unix seconds.
const MADE_S: u64 = 1_790_000_000;

/// The manifest of a Backup Node: what was taken from it says as much when it is written again.
pub(super) fn manifest(bytes: &[u8]) -> bool {
    for kind in [SourceKind::Manifest, SourceKind::BackupManifest, SourceKind::Sidecar] {
        // Whether it is one is not the question; that it ends is.
        let _ = parse_records(kind, bytes);
    }
    let parse = |bytes: &[u8]| parse_records(SourceKind::BackupNode, bytes);
    let Ok((records, refused)) = parse(bytes) else { return false };
    let record = |expected: &Expected| {
        let sha256 = expected.digest.and_then(|it| it.single(Algorithm::Sha256));
        let digits = sha256.map(|it| plexmesh_agent::text::hex(&it));
        json!({ "original_hash": digits, "size_bytes": expected.size_bytes })
    };
    let written: Map<String, Value> =
        records.iter().map(|(id, expected)| (id.to_string(), record(expected))).collect();
    let again = parse(Value::from(written).to_string().as_bytes());
    assert_eq!(again.ok(), Some((records, 0)), "{refused} records were refused before");
    true
}

/// A configuration file: whatever is wrong is in one of its lines, and said again when asked again.
pub(super) fn config(bytes: &[u8]) -> bool {
    static DIR: LazyLock<Mutex<TempDir>> = LazyLock::new(|| Mutex::new(scratch()));
    let dir = DIR.lock().unwrap_or_else(PoisonError::into_inner);
    let path = dir.path().join("plexmesh.toml");
    write(&path, bytes);
    let files = Files::Only(path);
    let inputs = Inputs { files, environment: Vec::new(), flags: RunArgs::default() };
    let loaded = config::load(&inputs);
    let lines = bytes.split(|byte| *byte == b'\n').count();
    for flaw in &loaded.flaws {
        if let Origin::File { line: Some(line), .. } = &flaw.origin {
            assert!((1..=lines).contains(line), "line {line} of {lines}: {}", flaw.message);
        }
    }
    let again = config::load(&inputs);
    assert_eq!(again.flaws, loaded.flaws);
    assert_eq!(again.config.settings(), loaded.config.settings());
    loaded.flaws.is_empty()
}

/// A file of a data directory: it is taken, or refused and left as it is.
pub(super) fn data_dir(bytes: &[u8]) -> bool {
    static DIR: LazyLock<Mutex<TempDir>> = LazyLock::new(|| {
        let dir = scratch();
        let made = mesh::init(dir.path(), Labels::default(), MADE_S);
        assert!(made.is_ok(), "{made:?}");
        Mutex::new(dir)
    });
    let Some((choice, content)) = bytes.split_first() else { return false };
    let Some(name) = DATA_FILES.get(usize::from(*choice)) else { return false };
    let dir = DIR.lock().unwrap_or_else(PoisonError::into_inner);
    let path = dir.path().join(name);
    let sound = read(&path);
    write(&path, content);
    let loaded = mesh::load(dir.path(), MADE_S);
    assert_eq!(read(&path), content, "reading changed a file");
    let accepted = match loaded {
        Ok(Some(membership)) => {
            assert_eq!(membership.certificate.peer, membership.keys.peer());
            assert!(!membership.authorities.in_force().is_empty());
            true
        }
        Ok(None) | Err(_) => false,
    };
    write(&path, &sound);
    accepted
}

fn scratch() -> TempDir {
    let dir = tempfile::tempdir();
    assert!(dir.is_ok(), "no scratch directory: {dir:?}");
    dir.unwrap_or_else(|_| std::process::abort())
}

fn write(path: &Path, bytes: &[u8]) {
    let written = fs::write(path, bytes)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o600)));
    assert!(written.is_ok(), "{written:?}");
}

fn read(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path);
    assert!(bytes.is_ok(), "{bytes:?}");
    bytes.unwrap_or_default()
}
