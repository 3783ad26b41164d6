//! What `plexmesh doctor` found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::Health;

/// What is right and wrong with this host and its agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Doctor {
    /// The worst of all checks: `CRIT`, then `WARN`, then `UNKNOWN`.
    pub status: Health,
    /// How many checks came out how, in one sentence.
    pub summary: String,
    /// Whether an agent answers; `null` if this user may not ask.
    pub agent_answers: Option<bool>,
    /// All checks, in a fixed order of areas.
    pub checks: Vec<DoctorCheck>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DoctorCheck {
    /// What it is about.
    pub area: DoctorArea,
    /// What was looked at: a path, an address, a limit.
    pub what: String,
    /// How it came out; `UNKNOWN` if it could not be made.
    pub status: Health,
    /// What was found, or why that cannot be known.
    pub found: String,
    /// What to type; `null` if nothing is wrong, or no command helps.
    pub fix: Option<String>,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DoctorArea {
    /// The configuration.
    Configuration,
    /// The data directory and its disk.
    DataDirectory,
    /// Key, certificate and mesh.
    Identity,
    /// The agent and its local socket.
    Agent,
    /// Addresses and ports.
    Network,
    /// The host's clock.
    Clock,
    /// Directories of shards.
    Sources,
    /// What the system allows and has.
    Limits,
}

impl DoctorArea {
    /// The area as people read it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::DataDirectory => "data directory",
            Self::Identity => "identity",
            Self::Agent => "agent",
            Self::Network => "network",
            Self::Clock => "clock",
            Self::Sources => "sources",
            Self::Limits => "limits",
        }
    }
}
