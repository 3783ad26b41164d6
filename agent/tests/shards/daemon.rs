//! A directory of shards as a Backup Node's daemon writes it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The manifest beside the shards.
pub(crate) const MANIFEST: &str = "shards_database.json";
/// What the name of a shard's file begins with; the id follows.
const PREFIX: &str = "shard_";

/// The directory, and what its manifest says.
pub(crate) struct Daemon {
    root: PathBuf,
    records: Map<String, Value>,
}

/// A shard with its record, as it was before something was done to it.
pub(crate) struct Before {
    id: String,
    content: Vec<u8>,
    record: Value,
}

impl Daemon {
    /// Makes the directory, with everything in it but shards.
    pub(crate) fn settle(root: &Path) -> Self {
        for directory in ["cluster", "metrics", "logs"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        let node = json!({
            "node-1": {
                "node_id": "node-1",
                "address": "192.0.2.7:8443",
                "last_seen": "2026-11-20T17:04:31.004211+00:00",
                "trust_score": 0.97
            }
        });
        let write = |name: &str, text: &[u8]| fs::write(root.join(name), text).unwrap();
        write("nodes_database.json", pretty(&node).as_bytes());
        write("cluster/cluster_database.json", b"{}");
        let mut database = b"SQLite format 3\0".to_vec();
        database.resize(4_096, 0);
        write("backup_node.db", &database);
        write("encryption.key", &[0x5a; 44]);
        let private = Permissions::from_mode(0o600);
        fs::set_permissions(root.join("encryption.key"), private).unwrap();
        let daemon = Self { root: root.to_owned(), records: Map::new() };
        daemon.record();
        daemon
    }

    /// A directory that is there already.
    pub(crate) fn at(root: &Path) -> Self {
        let text = fs::read(root.join(MANIFEST)).unwrap();
        Self { root: root.to_owned(), records: serde_json::from_slice(&text).unwrap() }
    }

    /// The directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Ids of all recorded shards, sorted.
    pub(crate) fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.records.keys().cloned().collect();
        ids.sort();
        ids
    }

    /// The file of a shard.
    pub(crate) fn file(&self, id: &str) -> PathBuf {
        self.root.join(format!("{PREFIX}{id}"))
    }

    /// Stores a shard whose client said nothing about it.
    pub(crate) fn store(&mut self, id: &str, content: &[u8]) {
        self.store_with(id, content, Value::Null);
    }

    /// Stores a shard: file first, record after.
    pub(crate) fn store_with(&mut self, id: &str, content: &[u8], metadata: Value) {
        let digest: String =
            Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let verified = self.records.len() % 2 == 1;
        let record = json!({
            "shard_id": id,
            "original_hash": digest,
            "size_bytes": content.len(),
            "created_at": "2026-11-19T08:15:30.123456+00:00",
            "last_verified": verified.then_some("2026-11-21T03:00:00.654321+02:00"),
            "verification_count": u32::from(verified),
            "source_node": "origin-node",
            "redundancy_level": 1,
            "metadata": metadata,
        });
        self.put(id, content, record);
    }

    /// Replaces one field of a record.
    pub(crate) fn amend(&mut self, id: &str, field: &str, value: Value) {
        self.records[id][field] = value;
        self.record();
    }

    /// Puts another content in place of a shard's, with its record.
    pub(crate) fn replace(&mut self, id: &str, content: &[u8]) -> Before {
        let before = self.look(id);
        self.store(id, content);
        before
    }

    /// Deletes a shard with its record.
    pub(crate) fn delete(&mut self, id: &str) -> Before {
        let before = self.look(id);
        self.records.remove(id);
        let text = pretty(&Value::Object(self.records.clone()));
        fs::remove_file(self.file(id)).unwrap();
        fs::write(self.root.join(MANIFEST), text).unwrap();
        before
    }

    /// Puts a shard back as it was.
    pub(crate) fn put_back(&mut self, before: Before) {
        self.put(&before.id, &before.content, before.record);
    }

    /// Flips a bit of a shard so that its file looks untouched; a second time repairs it.
    pub(crate) fn flip(&self, id: &str) {
        use std::os::unix::fs::FileExt;
        let file = fs::File::options().read(true).write(true).open(self.file(id)).unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, 0).unwrap();
        file.write_all_at(&[byte[0] ^ 1], 0).unwrap();
        file.set_times(fs::FileTimes::new().set_modified(before)).unwrap();
    }

    /// Lets nobody, or everybody, read a shard.
    pub(crate) fn set_mode(&self, id: &str, mode: u32) {
        fs::set_permissions(self.file(id), Permissions::from_mode(mode)).unwrap();
    }

    fn look(&self, id: &str) -> Before {
        let content = fs::read(self.file(id)).unwrap();
        Before { id: id.to_owned(), content, record: self.records[id].clone() }
    }

    fn put(&mut self, id: &str, content: &[u8], record: Value) {
        self.records.insert(id.to_owned(), record);
        let text = pretty(&Value::Object(self.records.clone()));
        fs::write(self.file(id), content).unwrap();
        fs::write(self.root.join(MANIFEST), text).unwrap();
    }

    fn record(&self) {
        let text = pretty(&Value::Object(self.records.clone()));
        fs::write(self.root.join(MANIFEST), text).unwrap();
    }
}

/// JSON as Python writes it with an indent of 2.
fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}
