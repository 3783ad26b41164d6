//! Files of a MiB that are in memory, read by two threads.

use std::env::current_exe;
use std::path::Path;
use std::process::Command;

use crate::files;
use crate::runs::{Contender, compare};

const MIB: usize = 1024 * 1024;

pub(crate) fn run(dir: &Path, files: usize, rounds: usize, b3sum: &Path) -> anyhow::Result<()> {
    files::make(dir, files, MIB)?;
    let mut ours = Command::new(current_exe()?);
    ours.arg("work").arg(dir).args(["--files", &files.to_string()]);
    let list = "find \"$1\" -name '*.bin' -print0 | xargs -0";
    let shell = |command: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{list} {command}"), "sh"]).arg(dir).arg(b3sum);
        shell
    };
    let mut contenders = [
        Contender::new("plexmesh's scrub", ours),
        Contender::new("`b3sum`, one process", shell("\"$2\" --num-threads 2")),
        Contender::new(
            "`xargs -P2 -n100 b3sum --num-threads 1`",
            shell("-P2 -n100 \"$2\" --num-threads 1"),
        ),
    ];
    compare(&mut contenders, rounds, (files * MIB) as u64)
}
