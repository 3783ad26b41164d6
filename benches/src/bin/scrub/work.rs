//! The scrub as an agent has it, on a directory of its own, without an agent around it.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use plexmesh_agent::scrub::{Config, Directory, ScrubHandle};
use plexmesh_agent::sources::SourceKind;
use plexmesh_benches::process::kib;
use plexmesh_proto::integrity::Verdict;

/// Between two questions how far it is. Each goes through all shards while nothing else can.
const POLL: Duration = Duration::from_millis(5);
/// The same while a look is waited for, which takes less.
const POLL_LOOK: Duration = Duration::from_secs(1);

/// After the start without anything to read, before its memory is looked at.
const REST: Duration = Duration::from_secs(2);

/// One scrub.
#[derive(Debug, Args)]
pub(crate) struct Work {
    /// What is read
    root: PathBuf,
    /// How many files there are to read
    #[arg(long)]
    files: usize,
    /// How much of their time the reading threads work
    #[arg(long, default_value_t = 100)]
    duty_percent: u8,
    /// Print how much more memory it took while it read than with nothing to read, in KiB
    #[arg(long)]
    memory: bool,
    /// Looks to make once all is read; prints how long each took, in microseconds
    #[arg(long, default_value_t = 0)]
    looks: u64,
}

impl Work {
    /// Reads all files once; none of them may be accused.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let data = tempfile::tempdir()?;
        let config = Config {
            deadline: Duration::from_secs(24 * 60 * 60),
            duty_percent: self.duty_percent,
            max_bytes_per_second: None,
            hours: None,
            sources: vec![Directory::new(self.root, SourceKind::Auto)],
        };
        let first = if self.memory { Config::default() } else { config.clone() };
        let scrub = ScrubHandle::start(data.path(), [0; 32], first)?;
        if self.memory {
            sleep(REST);
            println!("{}", most_kib(&scrub, config, self.files)?);
        }
        while scrub.progress().read_in_time < self.files {
            sleep(POLL);
        }
        let (_, accused) = scrub.shards(&|_, verdict| verdict != Some(Verdict::Ok), 1);
        ensure!(accused == 0, "{accused} of {} intact files were accused", self.files);
        for _ in 0..self.looks {
            let before = scrub.progress().looks;
            scrub.read_now(&|_, _| false);
            while scrub.progress().looks == before {
                sleep(POLL_LOOK);
            }
            println!("{}", scrub.progress().look_took.as_micros());
        }
        scrub.stop();
        Ok(())
    }
}

/// Has a scrub that has nothing to read read all; how much more memory it takes meanwhile, in KiB.
fn most_kib(scrub: &ScrubHandle, config: Config, files: usize) -> anyhow::Result<u64> {
    let (idle_kib, mut most_kib) = (resident_kib()?, 0);
    scrub.configure(config);
    while scrub.progress().read_in_time < files {
        most_kib = resident_kib()?.max(most_kib);
        sleep(POLL);
    }
    Ok(most_kib.saturating_sub(idle_kib))
}

fn resident_kib() -> anyhow::Result<u64> {
    kib(&fs::read_to_string("/proc/self/status")?, "VmRSS").context("no memory")
}
