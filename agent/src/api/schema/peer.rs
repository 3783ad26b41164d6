//! Peers, as they go over the socket.

use plexmesh_proto::membership::state::{PeerState, Reason as ProtoReason};
use plexmesh_proto::record::Availability as ProtoAvailability;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::edge::Edge;
use crate::time::WallTime;

/// A peer by id and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PeerRef {
    /// Its id.
    pub id: String,
    /// Its name; `null` if it has none or is not known.
    pub name: Option<String>,
}

/// What the mesh thinks of a peer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Its observers hear it.
    Up,
    /// An observer is checking an unusual silence.
    Suspect,
    /// It comes and goes.
    Flapping,
    /// Expected to sleep, within its grace.
    Asleep,
    /// Nobody here can say.
    Unreachable,
    /// Lost by enough observers.
    Down,
    /// It said good-bye.
    Left,
}

impl State {
    /// All states, the best first.
    pub const ALL: [Self; 7] = [
        Self::Up,
        Self::Suspect,
        Self::Flapping,
        Self::Asleep,
        Self::Unreachable,
        Self::Down,
        Self::Left,
    ];

    /// The state as JSON and tables name it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Flapping => "flapping",
            Self::Asleep => "asleep",
            Self::Unreachable => "unreachable",
            Self::Down => "down",
            Self::Left => "left",
        }
    }
}

impl From<PeerState> for State {
    fn from(state: PeerState) -> Self {
        match state {
            PeerState::Up => Self::Up,
            PeerState::Suspect => Self::Suspect,
            PeerState::Flapping => Self::Flapping,
            PeerState::Asleep => Self::Asleep,
            PeerState::Unreachable => Self::Unreachable,
            PeerState::Down => Self::Down,
            PeerState::Left => Self::Left,
        }
    }
}

/// Which rule gave a peer its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The peer whose view this is.
    Myself,
    /// It said good-bye.
    SaidGoodBye,
    /// Its observers hear it.
    Heard,
    /// Somebody hears it; its assigned observers have not reported yet.
    HeardByOthers,
    /// An observer is checking.
    BeingChecked,
    /// Lost by a quorum of its observers.
    LostByQuorum,
    /// Lost by a quorum, yet it published something later.
    LostButSpeaks,
    /// Lost by a quorum a moment ago: it may still be found again.
    MayBeFound,
    /// Lost repeatedly within the flap window.
    FlapCount,
    /// Lost by most of its observers, or heard by them with many answers missing or a second late for a while.
    PoorPaths,
    /// Lost by a quorum or out of reach, intermittent, within its grace.
    WithinSleepGrace,
    /// Lost, but too few observers are able to see it.
    TooFewObservers,
    /// No observer here has ever heard it.
    NoObserverHere,
    /// No link that somebody reports as heard leads to it.
    NoPathFromHere,
}

impl Reason {
    /// The rule in words.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Myself => "this is the peer that was asked",
            Self::SaidGoodBye => "it said good-bye",
            Self::Heard => "its observers hear it",
            Self::HeardByOthers => {
                "somebody hears it, though its assigned observers have not reported yet"
            }
            Self::BeingChecked => "an observer is checking an unusually long silence",
            Self::LostByQuorum => {
                "at least 3 of its observers, and more than half of those able to see it, lost it"
            }
            Self::LostButSpeaks => {
                "a quorum of its observers lost it, yet it published something later"
            }
            Self::MayBeFound => {
                "a quorum of its observers lost it a moment ago; they may still find it again"
            }
            Self::FlapCount => "most of its observers lost it repeatedly within the flap window",
            Self::PoorPaths => {
                "most of its observers lost it, or many of its answers have been missing or a second late for a while"
            }
            Self::WithinSleepGrace => {
                "its observers lost it, but it may sleep and its grace is not over"
            }
            Self::TooFewObservers => {
                "lost, but fewer than 3 observers on this side are able to see it"
            }
            Self::NoObserverHere => "no observer on this side has ever heard it",
            Self::NoPathFromHere => "no link that somebody on this side hears leads to it",
        }
    }
}

impl From<ProtoReason> for Reason {
    fn from(reason: ProtoReason) -> Self {
        match reason {
            ProtoReason::Myself => Self::Myself,
            ProtoReason::SaidGoodBye => Self::SaidGoodBye,
            ProtoReason::Heard => Self::Heard,
            ProtoReason::HeardByOthers => Self::HeardByOthers,
            ProtoReason::BeingChecked => Self::BeingChecked,
            ProtoReason::LostByQuorum => Self::LostByQuorum,
            ProtoReason::LostButSpeaks => Self::LostButSpeaks,
            ProtoReason::MayBeFound => Self::MayBeFound,
            ProtoReason::FlapCount => Self::FlapCount,
            ProtoReason::PoorPaths => Self::PoorPaths,
            ProtoReason::WithinSleepGrace => Self::WithinSleepGrace,
            ProtoReason::TooFewObservers => Self::TooFewObservers,
            ProtoReason::NoObserverHere => Self::NoObserverHere,
            ProtoReason::NoPathFromHere => Self::NoPathFromHere,
        }
    }
}

/// Whether a peer is expected to be up always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Availability {
    /// A server.
    Always,
    /// A laptop or desktop that sleeps.
    Intermittent,
}

impl From<ProtoAvailability> for Availability {
    fn from(availability: ProtoAvailability) -> Self {
        match availability {
            ProtoAvailability::Always => Self::Always,
            ProtoAvailability::Intermittent => Self::Intermittent,
        }
    }
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its id.
    pub id: String,
    /// Its name; `null` if it has none.
    pub name: Option<String>,
    /// Whether it is the peer whose view this is.
    pub is_self: bool,
    /// What the mesh thinks of it.
    pub state: State,
    /// The rule behind that.
    pub reason: Reason,
    /// When the losses were reported that the state rests on; `null` if it rests on none.
    pub since: Option<WallTime>,
    /// Region label; `null` if none was given.
    pub region: Option<String>,
    /// Zone label; `null` if none was given.
    pub zone: Option<String>,
    /// Storage tier label; `null` if none was given.
    pub tier: Option<String>,
    /// Multiaddrs that it announces, without its id.
    pub addresses: Vec<String>,
    /// Whether it is expected to be up always.
    pub availability: Availability,
    /// For an intermittent peer: silence up to this long is sleep. `null` for others.
    pub sleep_grace_seconds: Option<u32>,
    /// Version of its agent; `null` if it does not say.
    pub agent_version: Option<String>,
    /// When its certificate lapses.
    pub certificate_lapses_at: WallTime,
    /// Whether a chain of heard links leads to it.
    pub reachable: bool,
    /// Whether it is connected to the peer whose view this is.
    pub connected: bool,
    /// Round trip from the peer whose view this is; `null` if unknown or not reachable.
    pub rtt: Option<Rtt>,
    /// How far its clock is ahead of that of the peer whose view this is, negative if behind;
    /// `null` if the two were not compared.
    pub clock_ahead_seconds: Option<f64>,
    /// Its last valid heartbeat; `null` if there is none.
    pub heartbeat: Option<Heartbeat>,
}

/// One peer, with the edges at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerDetail {
    /// The peer.
    #[serde(flatten)]
    pub peer: Peer,
    /// Names of the peers in [`Self::watches`] and [`Self::watched_by`].
    pub neighbours: Vec<PeerRef>,
    /// What it reports of others.
    pub watches: Vec<Edge>,
    /// What others report of it.
    pub watched_by: Vec<Edge>,
}

/// A round-trip time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rtt {
    /// In microseconds.
    pub micros: u32,
    /// From network coordinates, not from probes.
    pub estimated: bool,
}

/// What a peer last said of its host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// When it was published.
    pub published_at: WallTime,
    /// How long ago that was.
    pub age_seconds: f64,
    /// For how long the agent had been running.
    pub uptime_seconds: u32,
    /// Random, of one start of the agent, in hexadecimal.
    pub instance: String,
    /// CPU in use over all cores.
    pub cpu_percent: Option<f64>,
    /// Memory in use.
    pub memory_percent: Option<f64>,
    /// Size of the data file system.
    pub disk_total_bytes: Option<u64>,
    /// Free there.
    pub disk_free_bytes: Option<u64>,
    /// One-minute load average.
    pub load_average: Option<f64>,
}
