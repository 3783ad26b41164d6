//! Files of a MiB that are in memory, read by two threads.

use std::env::current_exe;
use std::path::Path;
use std::process::Command;

use crate::files;
use crate::runs::{Contender, compare};

pub(crate) const MIB: usize = 1024 * 1024;

pub(crate) fn run(dir: &Path, files: usize, rounds: usize, b3sum: &Path) -> anyhow::Result<()> {
    files::make(dir, files, MIB)?;
    let mut contenders = [
        Contender::new("plexmesh's scrub", ours(dir, files)?),
        Contender::new("`b3sum`, one process", listed(dir, b3sum, "\"$2\" --num-threads 2")),
        Contender::new(
            "`xargs -P2 -n100 b3sum --num-threads 1`",
            listed(dir, b3sum, "-P2 -n100 \"$2\" --num-threads 1"),
        ),
    ];
    compare(&mut contenders, rounds, (files * MIB) as u64, &|| Ok(()))
}

/// The scrub, once over all files, without rests.
pub(crate) fn ours(dir: &Path, files: usize) -> anyhow::Result<Command> {
    let mut ours = Command::new(current_exe()?);
    ours.arg("work").arg(dir).args(["--files", &files.to_string()]);
    Ok(ours)
}

/// A command that gets all files, and `program` as `$2`.
pub(crate) fn listed(dir: &Path, program: &Path, command: &str) -> Command {
    let mut shell = Command::new("sh");
    let list = "find \"$1\" -name '*.bin' -print0 | xargs -0";
    shell.args(["-c", &format!("{list} {command}"), "sh"]).arg(dir).arg(program);
    shell
}
