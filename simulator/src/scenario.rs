//! What a scenario says: a mesh, its paths, what goes wrong when, and what must hold nevertheless.
//!
//! The types here are the format of scenario files (TOML, documented in `docs/simulator.md`), of
//! the scripts that `swarm` draws and shrinks, and of the options that a report repeats.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::builder::Start;

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
        self.settle.0 + self.faults.0 + self.healed.0
    }
}

/// The paths between peers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Network {
    /// Where latencies come from.
    pub latency: Latency,
    /// What every path does to packets.
    pub conditions: Conditions,
    /// Single paths whose latency is another one: how a link of a matrix or graph is changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkChange>,
}

/// Another one-way latency for one path.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LinkChange {
    /// Index of the sending peer.
    pub from: usize,
    /// Index of the receiving peer.
    pub to: usize,
    /// One-way latency.
    pub latency: Span,
}

/// Where latencies come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[serde(deny_unknown_fields)]
pub enum Latency {
    /// Every pair has a one-way latency of its own, drawn evenly between two bounds.
    Uniform {
        /// Shortest.
        min: Span,
        /// Longest.
        max: Span,
    },
    /// A matrix: row = from, column = to.
    Matrix {
        /// A file (white space or commas between values; `.gz` is unpacked), or the name of a
        /// built-in matrix: `planetlab`, `cloud`.
        source: String,
        /// Unit of the values. A built-in matrix knows its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<Unit>,
        /// Whether the values are round trips (the usual measurement) or one-way latencies.
        #[serde(default)]
        values: MatrixValues,
        /// Whether the value of one direction stands for both where the other is missing.
        #[serde(default)]
        symmetric: bool,
    },
    /// Regions on the globe: great circle at the speed of light in fibre, with a detour, and access
    /// delay at both ends. Peers are dealt out in proportion to the weights.
    Regions {
        /// The regions.
        regions: Vec<Region>,
        /// How much longer than the great circle cables are.
        #[serde(default = "usual_detour")]
        detour: f64,
    },
    /// A network as GraphML: coordinates, shortest paths.
    Graphml {
        /// The file.
        source: PathBuf,
        /// One-way access delay at each end.
        #[serde(default)]
        access: Span,
    },
    /// A made topology: peers are its nodes; a path is as long as the shortest way over its edges.
    Generated {
        /// Its shape.
        shape: Shape,
        /// One-way latency of an edge.
        hop: Span,
    },
}

impl Default for Latency {
    fn default() -> Self {
        Self::Uniform { min: Span::millis(5), max: Span::millis(60) }
    }
}

const fn usual_detour() -> f64 {
    // Cables are about half as long again as the great circle in measured networks.
    1.5
}

/// A unit of time in a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
}

/// What the values of a matrix are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatrixValues {
    /// Round-trip times; each way takes half.
    #[default]
    RoundTrip,
    /// One-way latencies.
    OneWay,
}

/// A region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Region {
    /// Its name; also what its peers say their region is.
    pub name: String,
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// Its share of the peers, in relation to the others'.
    #[serde(default = "one")]
    pub weight: u64,
    /// One-way access delay of its peers.
    #[serde(default)]
    pub access: Span,
}

/// The shape of a made topology.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[serde(deny_unknown_fields)]
pub enum Shape {
    /// Everybody next to everybody.
    Full,
    /// A circle.
    Ring,
    /// A chain.
    Line,
    /// Everybody around the first.
    Star,
    /// A tree.
    Tree {
        /// Children of a node.
        branching: usize,
    },
    /// A rectangle as square as it can be.
    Grid,
    /// Watts and Strogatz: a ring with chords, some rewired.
    SmallWorld {
        /// Neighbours of a node.
        degree: usize,
        /// Probability from 0 to 1 that an edge is rewired.
        rewire: f64,
    },
    /// Barabasi and Albert: whoever has many links gets more.
    ScaleFree {
        /// Links of a newcomer.
        links: usize,
    },
    /// Everybody has the same number of neighbours, drawn.
    RandomRegular {
        /// Neighbours of a node.
        degree: usize,
    },
    /// Full clusters, each joined to the next by one bridge.
    Clusters {
        /// How many.
        clusters: usize,
        /// One-way latency of a bridge.
        bridge: Span,
    },
}

/// What a path does to packets. What is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Conditions {
    /// Most that a packet takes longer than the latency of its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// Probability that a packet is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Losses that come in bursts, beside `loss`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
    /// Probability that a packet comes twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<f64>,
    /// Packets that fall behind later ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reorder: Option<Reorder>,
    /// What a peer can send, in kbit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_kbps: Option<u64>,
    /// What a peer can receive, in kbit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_kbps: Option<u64>,
}

/// The two-state loss of Gilbert (1960) and Elliott (1963).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Burst {
    /// Mean time between two bursts of one path.
    pub every: Span,
    /// Mean length of a burst.
    pub lasts: Span,
    /// Probability that a packet is lost during a burst.
    pub loss: f64,
}

/// Packets that fall behind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Reorder {
    /// Probability that a packet is held up.
    pub share: f64,
    /// How long.
    pub by: Span,
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

/// A set of peers. In a file: a count (drawn), a share like `"5%"` (drawn, at least one), a list of
/// indices, a range like `"10..20"`, `"all"`, or the name of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Who {
    /// So many, drawn.
    Count(usize),
    /// These.
    Listed(Vec<usize>),
    /// A share, a range, `all` or a group's name, as written.
    Named(String),
}

/// One fault of a script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// When, counted from the beginning of the fault phase.
    pub at: Span,
    /// For how long; what has no length of its own lasts to the end of the fault phase, and what
    /// cannot be undone (a lie, a leave) for good.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// What.
    #[serde(flatten)]
    pub fault: Fault,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Fault {
    /// Hosts fall silent; after `for` they start again, else they stay away.
    Crash {
        /// Who.
        peers: Who,
        /// Their process alone: the kernel resets connections.
        #[serde(default)]
        process_only: bool,
        /// They come back with an empty disk.
        #[serde(default)]
        lose_state: bool,
    },
    /// One after the other is stopped and started again.
    RollingRestart {
        /// Who.
        peers: Who,
        /// From one to the next.
        every: Span,
        /// How long each is away.
        down: Span,
        /// They come back with an empty disk.
        #[serde(default)]
        lose_state: bool,
    },
    /// The process stops as by SIGSTOP; its kernel takes packets in, and it resumes late.
    Pause {
        /// Who.
        peers: Who,
    },
    /// The whole host sleeps, as a laptop does; its clocks go on.
    Sleep {
        /// Who.
        peers: Who,
    },
    /// Everything that reaches the process does so late.
    Slow {
        /// Who.
        peers: Who,
        /// How late.
        delay: Span,
    },
    /// The process gets the CPU for a while, then does not: its timers fire late.
    Starve {
        /// Who.
        peers: Who,
        /// How long it runs at a time.
        run: Span,
        /// How long it stands still in between.
        stall: Span,
    },
    /// Packets from one set to another do not pass; those back do.
    Cut {
        /// From whom.
        from: Who,
        /// To whom.
        to: Who,
    },
    /// There is no path between two sets, both ways.
    NoPath {
        /// One set.
        between: Who,
        /// The other.
        and: Who,
    },
    /// All that comes in to (or goes out of) these peers is off and on in turn.
    FlipFlop {
        /// Who.
        peers: Who,
        /// Which way.
        #[serde(default)]
        direction: Direction,
        /// How long it is off at a time.
        off: Span,
        /// How long it is on at a time.
        on: Span,
    },
    /// These peers lose packets, whoever sends them or whoever they send to.
    Loss {
        /// Who.
        peers: Who,
        /// Probability for packets that come in.
        #[serde(default)]
        ingress: f64,
        /// Probability for packets that go out.
        #[serde(default)]
        egress: f64,
    },
    /// Other conditions for what goes into and out of these peers.
    Degrade {
        /// Who.
        peers: Who,
        /// The conditions.
        conditions: Conditions,
    },
    /// The mesh falls apart; who is in none of the sides is in one more.
    Partition {
        /// The sides.
        sides: Vec<Who>,
    },
    /// The wall clock jumps, and back after `for`.
    Clock {
        /// Who.
        peers: Who,
        /// How far, in milliseconds; negative is back.
        jump_ms: i64,
    },
    /// Peers that lie from now on.
    Lie {
        /// Who.
        peers: Who,
        /// How.
        lie: crate::byzantine::Lie,
    },
    /// New peers join.
    Join {
        /// How many.
        count: usize,
    },
    /// Peers say good-bye and stop.
    Leave {
        /// Who.
        peers: Who,
    },
}

/// A direction, as seen from a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// What comes in.
    #[default]
    In,
    /// What goes out.
    Out,
    /// Both.
    Both,
}

/// Peers that come and go during the fault phase: sessions and absences drawn from exponential
/// distributions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Churn {
    /// Who.
    pub peers: Who,
    /// Mean time for which a peer is there.
    pub session: Span,
    /// Mean time for which it is away.
    pub absence: Span,
    /// Share from 0 to 1 of returns with an empty disk.
    #[serde(default)]
    pub lose_state: f64,
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

/// A length of time. In a file: `"250ms"`, `"90s"`, `"2m 30s"`, `"1h"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// In microseconds.
    #[must_use]
    pub fn micros(self) -> u64 {
        u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || {
            format!(
                "`{text}` is no length of time; say for example \"250ms\", \"90s\" or \"2m 30s\""
            )
        };
        let parsed: jiff::SignedDuration = text.parse().map_err(|_| expected())?;
        Duration::try_from(parsed).map(Self).map_err(|_| expected())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duration = jiff::SignedDuration::try_from(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{duration:#}")
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
