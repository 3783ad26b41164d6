//! The paths between peers, as a scenario describes them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Span, one};

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

impl Conditions {
    /// These conditions, and where they say nothing, others.
    #[must_use]
    pub fn over(&self, others: &Self) -> Self {
        Self {
            jitter: self.jitter.or(others.jitter),
            loss: self.loss.or(others.loss),
            burst: self.burst.or(others.burst),
            duplicate: self.duplicate.or(others.duplicate),
            reorder: self.reorder.or(others.reorder),
            up_kbps: self.up_kbps.or(others.up_kbps),
            down_kbps: self.down_kbps.or(others.down_kbps),
        }
    }
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
