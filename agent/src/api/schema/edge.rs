//! Who watches whom, as it goes over the socket.

use plexmesh_proto::record::EdgeStatus as ProtoStatus;
use plexmesh_proto::report::OneWay;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::peer::Peer;
use super::status::Partition;
use crate::time::WallTime;

/// What an observer sees of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EdgeStatus {
    /// It answers.
    Heard,
    /// It has been silent unusually long.
    Checking,
    /// Such a silence is practically impossible while the edge works.
    Lost,
    /// The observer never had a path to it.
    NoPath,
}

impl EdgeStatus {
    /// Whether the observer cannot reach the subject.
    #[must_use]
    pub const fn has_failed(self) -> bool {
        matches!(self, Self::Lost | Self::NoPath)
    }

    /// The status as tables name it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Checking => "checking",
            Self::Lost => "lost",
            Self::NoPath => "no path",
        }
    }
}

impl From<ProtoStatus> for EdgeStatus {
    fn from(status: ProtoStatus) -> Self {
        match status {
            ProtoStatus::Heard => Self::Heard,
            ProtoStatus::Checking => Self::Checking,
            ProtoStatus::Lost => Self::Lost,
            ProtoStatus::NoPath => Self::NoPath,
        }
    }
}

/// The direction of an asymmetric edge that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CutDirection {
    /// Observer to subject.
    OutboundCut,
    /// Subject to observer.
    InboundCut,
}

impl From<OneWay> for CutDirection {
    fn from(cut: OneWay) -> Self {
        match cut {
            OneWay::OutboundCut => Self::OutboundCut,
            OneWay::InboundCut => Self::InboundCut,
        }
    }
}

/// A directed edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    /// Id of who watches.
    pub observer: String,
    /// Id of who is watched.
    pub subject: String,
    /// What the observer published.
    pub status: EdgeStatus,
    /// When that began.
    pub since: WallTime,
    /// Whether the rings give the observer this duty: only then does its word count.
    pub assigned: bool,
    /// Which direction is cut, if exactly one works; else `null`.
    pub one_way: Option<CutDirection>,
    /// Losses within the flap window.
    pub flaps: u32,
    /// The subject is heard, but many answers have been missing or a second late for a while.
    pub poor: bool,
    /// What the status rests on; `null` while heard.
    pub evidence: Option<Evidence>,
    /// Measured figures; `null` if none were published.
    pub figures: Option<EdgeFigures>,
}

/// Why an observer says what it says of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Probes unanswered in a row.
    pub missed_probes: u32,
    /// Since the last frame of the subject.
    pub silence_seconds: f64,
    /// The likelihood of this silence on a working edge is 2 to the power of minus this.
    pub surprise_bits: f64,
    /// Observers asked for an indirect probe.
    pub indirect_asked: u32,
    /// Of these, how many reached the subject.
    pub indirect_heard: u32,
    /// The subject says that it hears nothing of the observer: only the way there is cut.
    pub outbound_only: bool,
    /// The observer's doubt in itself; 0 is none.
    pub observer_local_health: u32,
}

/// Measured figures of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EdgeFigures {
    /// Median round trip.
    pub rtt_p50_micros: u32,
    /// 99th percentile of the round trip; `null` if the observer's heartbeat does not carry it.
    pub rtt_p99_micros: Option<u32>,
    /// Variation between successive round trips.
    pub jitter_micros: u32,
    /// Probes that went unanswered or were answered late.
    pub loss_percent: f64,
}

/// Who watches whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Topology {
    /// All peers.
    pub peers: Vec<Peer>,
    /// All published edges.
    pub edges: Vec<Edge>,
    /// The cut that the peer sees, if there is one; else `null`.
    pub partition: Option<Partition>,
}
