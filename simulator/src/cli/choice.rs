//! Which scenario is played: the options that `run`, `replay` and `explain` share, so that what is
//! asked about is the run that was seen.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use plexmesh_simulator::scenario::{self, MAX_PEERS, MAX_TOTAL, Scenario};

use super::{Failure, scenarios};

/// Longest run that can be asked for, in minutes.
const MAX_MINUTES: u64 = MAX_TOTAL.as_secs() / 60;

/// Which scenario is played.
#[derive(Debug, Args)]
pub(crate) struct Choice {
    /// Name of a built-in scenario, or a file
    #[arg(value_name = "SCENARIO|FILE")]
    pub(super) scenario: String,
    /// All randomness follows from this, in place of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// Peers at the start, in place of the scenario's
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=MAX_PEERS as u64))]
    peers: Option<u64>,
    /// Virtual minutes in all; the fault phase is stretched or shrunk, and the faults in it
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=MAX_MINUTES))]
    minutes: Option<u64>,
}

impl Choice {
    /// The scenario with the options in it, and the directory that its files are relative to.
    pub(super) fn read(&self) -> Result<(Scenario, PathBuf), Failure> {
        let path = Path::new(&self.scenario);
        let (mut scenario, base) = if path.is_file() {
            let text = fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))
                .map_err(Failure::Input)?;
            let scenario = scenario::load(&text, &self.scenario);
            let base = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
            (scenario.map_err(|error| Failure::Input(anyhow!(error)))?, base)
        } else {
            let scenario = scenarios::named(&self.scenario)?.load();
            (scenario.map_err(|error| Failure::Input(anyhow!(error)))?, PathBuf::new())
        };
        if let Some(seed) = self.seed {
            scenario.seed = seed;
        }
        if let Some(peers) = self.peers {
            scenario.set_peers(usize::try_from(peers).unwrap_or(MAX_PEERS));
        }
        let changed = self.minutes.map_or(Ok(()), |minutes| {
            scenario
                .set_total(Duration::from_secs(minutes * 60))
                .map_err(|error| ("--minutes", error))
        });
        changed
            .and_then(|()| scenario.validate().map_err(|error| (self.blamed(), error)))
            .map_err(|(option, error)| {
                Failure::Input(
                    anyhow!(error).context(format!("{} does not fit {option}", self.scenario)),
                )
            })?;
        Ok((scenario, base))
    }

    /// The file itself was fine, so an option is to blame.
    const fn blamed(&self) -> &'static str {
        match (self.peers, self.minutes) {
            (Some(_), None) => "--peers",
            (None, Some(_)) => "--minutes",
            (Some(_), Some(_)) => "--peers or --minutes",
            (None, None) => "--seed",
        }
    }
}
