//! The files that are read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// Files of one directory: as many as a program lists at one time without slowing down.
const FILES_A_DIRECTORY: usize = 400;
/// Whatever it is, the files are the same in every run.
const SEED: u64 = 1;

/// Makes files of `size` random bytes in directories below `dir`, unless they are there.
pub(crate) fn make(dir: &Path, files: usize, size: usize) -> anyhow::Result<()> {
    let mut random = SmallRng::seed_from_u64(SEED);
    let mut content = vec![0; size];
    for number in 0..files {
        let file = path(dir, number);
        if file.exists() {
            continue;
        }
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        random.fill_bytes(&mut content);
        fs::write(&file, &content).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Where one of them lies.
pub(crate) fn path(dir: &Path, number: usize) -> PathBuf {
    let directory = dir.join(format!("{:03}", number / FILES_A_DIRECTORY));
    directory.join(format!("shard-{number:06}.bin"))
}
