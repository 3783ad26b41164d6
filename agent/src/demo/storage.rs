//! Directories of shards for the agents of a demo, as the Backup Node of a storage peer leaves them.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rand::Rng;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::text::hex;
use crate::time::WallTime;

/// Shards that a demo's network keeps: with three replicas each of five agents holds two dozen.
const SHARDS: usize = 40;
/// Replicas of each shard, or one on every agent if there are fewer.
const REPLICAS: usize = 3;
/// Largest shard, in bytes: read in no time, and larger than one buffer of most readers.
const MAX_SHARD_BYTES: usize = 96 * 1024;
/// The manifest beside the shards.
const MANIFEST: &str = "shards_database.json";

/// One replica of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    /// The shard's id.
    pub(super) shard: String,
    /// Its file.
    pub(super) file: PathBuf,
}

/// A record of the manifest.
#[derive(Serialize)]
struct Entry {
    shard_id: String,
    original_hash: String,
    size_bytes: usize,
    created_at: String,
    last_verified: Option<String>,
    verification_count: u32,
    source_node: &'static str,
    redundancy_level: u32,
    metadata: Metadata,
}

/// What a client adds: it never leaves the peer.
#[derive(Serialize)]
struct Metadata {
    message_id: String,
    user_id: &'static str,
}

/// Fills a directory for each agent.
pub(super) fn fill(directories: &[PathBuf]) -> anyhow::Result<()> {
    let mut manifests: Vec<BTreeMap<String, Entry>> = Vec::new();
    for directory in directories {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        manifests.push(BTreeMap::new());
    }
    for number in 0..SHARDS {
        let (id, content) = (format!("msg_{number:04}_0"), content(number));
        // Neighbouring agents in turn, so that each shard has its replicas on different ones.
        for replica in 0..REPLICAS.min(directories.len()) {
            let holder = (number + replica) % directories.len().max(1);
            let place = directories.get(holder).zip(manifests.get_mut(holder));
            let Some((directory, manifest)) = place else { continue };
            let file = directory.join(format!("shard_{id}"));
            fs::write(&file, &content)
                .with_context(|| format!("cannot write {}", file.display()))?;
            manifest.insert(id.clone(), entry(&id, &content));
        }
    }
    for (directory, manifest) in directories.iter().zip(&manifests) {
        finish(directory, manifest)
            .with_context(|| format!("cannot fill {}", directory.display()))?;
    }
    Ok(())
}

/// The replica in a directory that comes first.
pub(super) fn first_replica(directory: &Path) -> anyhow::Result<Replica> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let shards = names.filter_map(|name| name.strip_prefix("shard_").map(str::to_owned));
    let shard = shards.min().with_context(|| format!("no shards in {}", directory.display()))?;
    Ok(Replica { file: directory.join(format!("shard_{shard}")), shard })
}

/// Flips a bit in the middle of a replica's file and sets its times back: the file looks
/// untouched. Doing it again repairs it.
pub(super) fn flip(replica: &Replica) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(&replica.file)?;
    let before = file.metadata()?;
    let (middle, mut byte) = (before.len() / 2, [0; 1]);
    file.read_exact_at(&mut byte, middle)?;
    file.write_all_at(&byte.map(|byte| byte ^ 1), middle)?;
    file.set_times(
        FileTimes::new().set_accessed(before.accessed()?).set_modified(before.modified()?),
    )
}

fn content(number: usize) -> Vec<u8> {
    // From 1 byte on; the sizes differ so that none is taken for another.
    let mut content = vec![0; 1 + (number * 7_919) % MAX_SHARD_BYTES];
    rand::rng().fill_bytes(&mut content);
    content
}

fn entry(id: &str, content: &[u8]) -> Entry {
    Entry {
        shard_id: id.to_owned(),
        original_hash: hex(&Sha256::digest(content)),
        size_bytes: content.len(),
        created_at: WallTime::now().to_string(),
        last_verified: None,
        verification_count: 0,
        source_node: "demo-client",
        redundancy_level: 1,
        metadata: Metadata { message_id: format!("message of {id}"), user_id: "demo-user" },
    }
}

/// Writes what else lies there.
fn finish(directory: &Path, manifest: &BTreeMap<String, Entry>) -> io::Result<()> {
    let text = serde_json::to_string_pretty(manifest)?;
    fs::write(directory.join(MANIFEST), text)?;
    fs::write(directory.join("nodes_database.json"), "{}")?;
    fs::write(directory.join("encryption.key"), "a key that no agent reads")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directories(root: &Path, count: usize) -> Vec<PathBuf> {
        (0..count).map(|number| root.join(number.to_string())).collect()
    }

    #[test]
    fn every_shard_has_three_replicas_on_different_agents() {
        let root = tempfile::tempdir().unwrap();
        let directories = directories(root.path(), 5);
        fill(&directories).unwrap();
        let mut holders = BTreeMap::<String, usize>::new();
        for directory in &directories {
            for entry in fs::read_dir(directory).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.starts_with("shard_") {
                    *holders.entry(name).or_default() += 1;
                }
            }
        }
        assert_eq!(holders.len(), SHARDS);
        assert!(holders.values().all(|count| *count == REPLICAS), "{holders:?}");
    }

    #[test]
    fn a_flip_changes_one_bit_and_no_time_and_a_second_one_repairs_it() {
        let root = tempfile::tempdir().unwrap();
        let directories = directories(root.path(), 1);
        fill(&directories).unwrap();
        let replica = first_replica(&directories[0]).unwrap();
        let look = || {
            let metadata = fs::metadata(&replica.file).unwrap();
            (fs::read(&replica.file).unwrap(), metadata.modified().unwrap())
        };
        let (before, at) = look();
        flip(&replica).unwrap();
        let (flipped, then) = look();
        let different = before.iter().zip(&flipped).filter(|(a, b)| a != b).count();
        assert_eq!((different, before.len(), then), (1, flipped.len(), at));
        flip(&replica).unwrap();
        assert_eq!(look(), (before, at));
    }
}
