//! What a scenario says: a mesh, its paths, what goes wrong when, and what must hold nevertheless.
//!
//! The types here are the format of scenario files (TOML, documented in `docs/simulator.md`), of
//! the scripts that `swarm` draws and shrinks, and of the options that a report repeats.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::builder::Start;

pub mod builtin;
mod faults;
mod network;
mod parse;
mod schema;
mod span;
mod validate;
mod who;

pub use builtin::{Builtin, builtin, builtins, nearest_builtin};
pub use faults::{Churn, Direction, Entry, Fault};
pub use network::{
    Burst, Conditions, Latency, LinkChange, MatrixValues, Network, Region, Reorder, Shape, Unit,
};
pub use parse::{ScenarioError, load, nearest};
pub use span::Span;
pub(crate) use validate::unreadable;
pub use validate::{MAX_PEERS, MAX_TOTAL, Problem};
pub use who::{Choice, Who};

/// The version of the format that this program reads and writes.
pub const FORMAT: u32 = 1;

/// A scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// Version of this format: [`FORMAT`].
    pub format: u32,
    /// One line.
    pub title: String,
    /// What it shows, and how to read what comes out.
    #[serde(default)]
    pub description: String,
    /// Peers at the start.
    pub peers: usize,
    /// All randomness follows from this.
    #[serde(default = "one")]
    pub seed: u64,
    /// What peers know when they start.
    #[serde(default)]
    pub start: Start,
    /// The three phases of a run.
    #[serde(default)]
    pub phases: Phases,
    /// The paths between peers.
    #[serde(default)]
    pub network: Network,
    /// Named sets of peers with something in common.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Entry>,
    /// Peers that come and go all the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub churn: Option<Churn>,
    /// Bounds that must hold, beside what must always hold.
    #[serde(default)]
    pub promises: Promises,
}

const fn one() -> u64 {
    1
}

impl Scenario {
    /// The file that [`load`] reads back as this scenario.
    ///
    /// # Errors
    /// None for a valid scenario; what the TOML writer says otherwise.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// Changes the number of peers. Whether the peers that faults name still exist, [`validate`]
    /// says.
    ///
    /// [`validate`]: Self::validate
    pub const fn set_peers(&mut self, peers: usize) {
        self.peers = peers;
    }

    /// Changes the length of the whole run: the fault phase is stretched or shrunk, and with it
    /// when each fault comes and how long it lasts.
    ///
    /// # Errors
    /// If nothing is left for the fault phase.
    pub fn set_total(&mut self, total: Duration) -> Result<(), Problem> {
        let fixed = self.phases.settle.0.saturating_add(self.phases.healed.0);
        let faults = total.checked_sub(fixed).filter(|faults| !faults.is_zero());
        let Some(faults) = faults else {
            return Err(Problem::new(
                "phases",
                format!(
                    "{} is too short: settle and healed alone take {}",
                    Span(total),
                    Span(fixed)
                ),
                "more minutes, or a scenario with shorter phases",
            ));
        };
        let before = self.phases.faults;
        self.phases.faults = Span(faults);
        for entry in &mut self.faults {
            entry.at = entry.at.scaled(faults, before.0);
            entry.lasts = entry.lasts.map(|lasts| lasts.scaled(faults, before.0));
        }
        Ok(())
    }
}

/// The phases of a run, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Phases {
    /// Peers start evenly spread over this time.
    pub stagger: Span,
    /// Peers start and find each other; nothing is judged.
    pub settle: Span,
    /// Safety phase: faults happen, and nothing false may be declared.
    pub faults: Span,
    /// Liveness phase: every path is whole again, and all must come to agree.
    pub healed: Span,
}

impl Default for Phases {
    fn default() -> Self {
        Self {
            stagger: Span::seconds(5),
            settle: Span::seconds(60),
            faults: Span::seconds(240),
            healed: Span::seconds(60),
        }
    }
}

impl Phases {
    /// Length of the whole run.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.settle.0.saturating_add(self.faults.0).saturating_add(self.healed.0)
    }

    /// When the fault phase begins and when it ends, since the beginning of the run.
    #[must_use]
    pub const fn fault_phase(&self) -> (Duration, Duration) {
        (self.settle.0, self.settle.0.saturating_add(self.faults.0))
    }
}

/// Peers with something in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Group {
    /// Its name, for `peers = "NAME"` in faults.
    pub name: String,
    /// Who belongs to it.
    pub peers: Who,
    /// What their access does to packets, both ways: replaces what `network.conditions` says.
    #[serde(default)]
    pub conditions: Conditions,
    /// For how long its peers may sleep without being called down; they are `intermittent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep_grace: Option<Span>,
}

/// Bounds that a scenario promises. What is left out is measured and not judged. Always judged: no
/// false `down`, agreement after healing, monotonic versions, bounded queues, monitoring coverage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Promises {
    /// From a crash until every peer in reach knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection: Option<Span>,
    /// From the beginning of the liveness phase until all digests are equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healing: Option<Span>,
    /// Bytes per second that any peer sends in the mean of the fault phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_bytes_per_second: Option<u64>,
    /// Bytes per second that any peer sends or receives over any five seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_bytes_per_second: Option<u64>,
}
