//! CPU, memory, disk and load of the host, as heartbeats carry them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use plexmesh_proto::record::Resources;
use sysinfo::System;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// Between two samples. Heartbeats are rarer; what crosses a threshold is known soon enough.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);
/// Bytes in a MiB.
const MIB: u64 = 1024 * 1024;

/// Reads the host's figures; each is `None` where the host does not tell it.
#[derive(Debug)]
pub struct Sampler {
    system: Option<System>,
    data_dir: PathBuf,
    has_baseline: bool,
}

impl Sampler {
    /// A sampler whose disk figures are those of the file system that holds `data_dir`.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        let system = System::new()
            .inspect_err(|error| {
                tracing::warn!(%error, "CPU and memory of this host cannot be read");
            })
            .ok();
        Self { system, data_dir: data_dir.to_owned(), has_baseline: false }
    }

    /// The figures now. CPU is the mean since the last call, so the first call has none. Blocks for
    /// some file reads.
    pub fn sample(&mut self) -> Resources {
        let cpu_permille = self.cpu_permille();
        let (disk_total_mib, disk_free_mib) = self.disk_mib().unzip();
        Resources {
            cpu_permille,
            memory_permille: self.memory_permille(),
            disk_total_mib,
            disk_free_mib,
            load_centi: load_centi(),
        }
    }

    fn cpu_permille(&mut self) -> Option<u32> {
        let system = self.system.as_mut()?;
        system.refresh_cpu_usage();
        let percent = system.global_cpu_usage();
        std::mem::replace(&mut self.has_baseline, true).then(|| tenths(percent))
    }

    fn memory_permille(&mut self) -> Option<u32> {
        let system = self.system.as_mut()?;
        system.refresh_memory();
        let total = system.total_memory();
        let used = total.checked_sub(system.available_memory())?;
        // A host that does not know its memory says 0.
        u32::try_from(used.saturating_mul(1_000).checked_div(total)?).ok()
    }

    /// Size and free space of the data directory's file system. Free is what an ordinary user may
    /// still write.
    fn disk_mib(&self) -> Option<(u64, u64)> {
        let stat = rustix::fs::statvfs(&self.data_dir).ok()?;
        let mib = |blocks: u64| blocks.saturating_mul(stat.f_frsize) / MIB;
        Some((mib(stat.f_blocks), mib(stat.f_bavail)))
    }
}

/// Samples until the receiver of `samples` is gone. A sample that nobody has taken yet makes the
/// next one wait.
pub async fn run(mut sampler: Sampler, samples: mpsc::Sender<Resources>) {
    let mut ticks = interval(SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let sampled = tokio::task::spawn_blocking(move || {
            let resources = sampler.sample();
            (sampler, resources)
        });
        let Ok((back, resources)) = sampled.await else { return };
        sampler = back;
        if samples.send(resources).await.is_err() {
            return;
        }
    }
}

/// A percentage in per mille.
fn tenths(percent: f32) -> u32 {
    // Float to integer casts saturate, and NaN gives 0; the clamp keeps rounding above 100 % out.
    (percent.clamp(0.0, 100.0) * 10.0).round() as u32
}

fn load_centi() -> Option<u32> {
    let load = System::load_average().ok()?.one;
    (load.is_finite() && load >= 0.0).then(|| (load * 100.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_sample_has_no_cpu_figure_and_plausible_others() {
        let dir = tempfile::tempdir().unwrap();
        let first = Sampler::new(dir.path()).sample();
        assert_eq!(first.cpu_permille, None);
        assert!(first.memory_permille.is_none_or(|permille| permille <= 1_000));
        let (total, free) = (first.disk_total_mib.unwrap(), first.disk_free_mib.unwrap());
        assert!(free <= total);
    }

    #[test]
    fn a_second_sample_has_a_cpu_figure() {
        let dir = tempfile::tempdir().unwrap();
        let mut sampler = Sampler::new(dir.path());
        sampler.sample();
        assert!(sampler.sample().cpu_permille.is_some_and(|permille| permille <= 1_000));
    }

    #[test]
    fn a_data_directory_that_is_gone_makes_disk_unknown() {
        let sample = Sampler::new(Path::new("/nonexistent/plexmesh")).sample();
        assert_eq!((sample.disk_total_mib, sample.disk_free_mib), (None, None));
    }

    #[tokio::test]
    async fn sampling_ends_with_its_receiver() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, mut receiver) = mpsc::channel(1);
        let task = tokio::spawn(run(Sampler::new(dir.path()), sender));
        assert!(receiver.recv().await.is_some());
        drop(receiver);
        task.abort();
        assert!(task.await.is_err_and(|error| error.is_cancelled()));
    }
}
