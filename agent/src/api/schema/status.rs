//! The mesh in a few figures, as it goes over the socket.

use std::collections::BTreeMap;

use plexmesh_proto::report::Severity as ProtoSeverity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::peer::{PeerRef, State};
use crate::api::json_schema::MapBy;
use crate::time::WallTime;

/// The one word on the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Health {
    /// Nothing is wrong, and the view is good.
    Ok,
    /// Something is to be looked at.
    Warn,
    /// Something is to be looked at within the hour.
    Crit,
    /// The view is not good enough to say.
    Unknown,
}

impl Health {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Crit => "CRIT",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// How bad a finding is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Look at it today.
    Low,
    /// Look at it within four hours.
    Medium,
    /// Look at it within one hour.
    High,
    /// Now.
    Critical,
}

impl Severity {
    /// The severity as JSON and tables name it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl From<ProtoSeverity> for Severity {
    fn from(severity: ProtoSeverity) -> Self {
        match severity {
            ProtoSeverity::Low => Self::Low,
            ProtoSeverity::Medium => Self::Medium,
            ProtoSeverity::High => Self::High,
            ProtoSeverity::Critical => Self::Critical,
        }
    }
}

/// Peers by state.
pub type States = BTreeMap<State, usize>;

/// The mesh in a few figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The one word.
    pub status: Health,
    /// Why, in one sentence.
    pub summary: String,
    /// Peers by state; those that left are counted too. Every state has a key.
    #[schemars(with = "MapBy<State, usize>")]
    pub states: States,
    /// Members: all peers but those that left.
    pub members: usize,
    /// Members that a chain of heard links leads to, this peer included.
    pub reachable: usize,
    /// The cut that this peer sees, if there is one; else `null`.
    pub partition: Option<Partition>,
    /// What is wrong, root causes and the worst first.
    pub findings: Vec<Finding>,
    /// Findings that were left out because there are too many.
    pub omitted_findings: usize,
    /// This peer's doubt in itself; 0 is healthy.
    pub local_health: u8,
    /// This peer's clock against those of its neighbours; `null` until one was compared.
    pub own_clock: Option<OwnClock>,
    /// Connected peers.
    pub connections: usize,
    /// Records in the view.
    pub records: usize,
    /// Version of this agent.
    pub agent_version: String,
    /// When this agent was started.
    pub started_at: WallTime,
    /// How long ago that was.
    pub uptime_seconds: f64,
    /// Multiaddrs that this agent listens on.
    pub listening: Vec<String>,
}

/// This peer's clock against those of its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnClock {
    /// How far it is ahead of the median one; negative if behind.
    pub ahead_seconds: f64,
    /// How many neighbours that rests on.
    pub neighbours: usize,
}

/// Two sides of a cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Partition {
    /// Members on this side, this peer included.
    pub inside: usize,
    /// Members on the other side, or that failed together.
    pub outside: Vec<PeerRef>,
    /// When the first of them was lost; `null` if nobody here ever heard one of them.
    pub since: Option<WallTime>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Its stable name.
    pub code: String,
    /// The same in words.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// Whom it is about; `null` for the mesh as a whole.
    pub peer: Option<PeerRef>,
    /// The other end of an edge; else `null`.
    pub other: Option<PeerRef>,
    /// What it rests on.
    pub evidence: String,
    /// The code of the finding that explains this one; else `null`.
    pub because_of: Option<String>,
    /// Commands to run now, at most three.
    pub advice: Vec<String>,
    /// Where the code is described.
    pub docs: String,
}

/// What the agent did and dropped since it was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// When the agent was started.
    pub started_at: WallTime,
    /// How long ago that was.
    pub uptime_seconds: f64,
    /// Multiaddrs that it listens on.
    pub listening: Vec<String>,
    /// Connected peers.
    pub connections: usize,
    /// Records in the view.
    pub records: usize,
    /// Counters of the protocol: traffic, refusals and drops by reason.
    pub protocol: BTreeMap<String, u64>,
    /// Counters and gauges of the transport.
    pub transport: BTreeMap<String, u64>,
    /// The local socket.
    pub socket: SocketFigures,
    /// Events that were forgotten to make room for later ones.
    pub events_forgotten: u64,
}

/// The local socket in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SocketFigures {
    /// Open connections, the asking one included.
    pub connections: usize,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections refused because there were too many.
    pub refused: u64,
}
