//! Files that are on the disk alone.

use std::fs;
use std::path::Path;

use anyhow::Context;
use rustix::fs::sync;

use crate::cached::{MIB, listed, ours};
use crate::files;
use crate::runs::{Contender, compare};

pub(crate) fn run(dir: &Path, files: usize, rounds: usize, b3sum: &Path) -> anyhow::Result<()> {
    files::make(dir, files, MIB)?;
    let mut contenders = [
        Contender::new("plexmesh's scrub", ours(dir, files)?),
        Contender::new("`b3sum --no-mmap`, one process", listed(dir, b3sum, "\"$2\" --no-mmap")),
        Contender::new(
            "`xargs -P2 -n100 b3sum --no-mmap --num-threads 1`",
            listed(dir, b3sum, "-P2 -n100 \"$2\" --no-mmap --num-threads 1"),
        ),
    ];
    compare(&mut contenders, rounds, (files * MIB) as u64, &forget_files)
}

/// Empties the page cache of this host.
pub(crate) fn forget_files() -> anyhow::Result<()> {
    sync();
    fs::write("/proc/sys/vm/drop_caches", "3").context("only root can empty the page cache")
}
