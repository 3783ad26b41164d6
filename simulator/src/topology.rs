//! Where latencies come from: measured matrices, regions of the globe, networks as GraphML and made
//! shapes, each turned into a model of one-way latencies and a picture.
//!
//! [`build`] reads what a scenario says; [`builtin`] lists what comes with the program. Everything
//! follows from the scenario and its seed, and is the same on every machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::links::{LatencyModel, UniformLatency};
use crate::report::Picture;
use crate::scenario::{Latency, LinkChange, Network, Span};

mod data;
mod generate;
mod geo;
mod graphml;
mod matrix;
mod picture;
mod places;
mod preview;
mod read;

pub use data::{Builtin, BuiltinKind, builtin, builtins};
pub use preview::svg;

/// Longest one-way latency that a scenario may ask for: a minute. No path on Earth is that long;
/// whoever writes more has mixed up the units.
pub const MAX_ONE_WAY_US: u64 = 60_000_000;

/// Most peers of one topology: what a drawn shape needs memory and time for grows with the square.
pub const MAX_PEERS: usize = 10_000;

/// The paths between peers, and how they are drawn.
#[derive(Debug)]
pub struct Topology {
    /// One-way latencies. It answers for hosts beyond the first peers too: they share the places of
    /// those, in turn.
    pub model: Box<dyn LatencyModel>,
    /// Peers on a plane; of a made topology, with its edges.
    pub picture: Picture,
    /// The region of each peer; empty if the source knows none.
    pub regions: Vec<String>,
    /// Cables of a network read from GraphML, between the first peers at their ends, with the
    /// one-way latency in milliseconds.
    pub cables: Vec<(usize, usize, f64)>,
}

/// Why there is no topology.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// A value of the scenario is out of bounds.
    #[error("{key}: {message}")]
    Value {
        /// Where in the scenario: `network.latency.hop`.
        key: String,
        /// What is wrong and what was expected.
        message: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {message}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why, and what helps.
        message: String,
    },
    /// A file does not say what it should.
    #[error("{}:{line}:{column}: {message}", file.display())]
    Content {
        /// The file, or `built-in NAME`.
        file: PathBuf,
        /// Line, from 1; of the unpacked text.
        line: usize,
        /// Column in characters, from 1; of a matrix: of the beginning of the value.
        column: usize,
        /// What is wrong and what was expected.
        message: String,
    },
}

impl TopologyError {
    fn value(key: &str, message: impl Into<String>) -> Self {
        Self::Value { key: format!("network.{key}"), message: message.into() }
    }
}

/// Makes the topology of a scenario for `peers` peers. Names of files are relative to `base`.
pub fn build(
    network: &Network,
    peers: usize,
    seed: u64,
    base: &Path,
) -> Result<Topology, TopologyError> {
    if !(1..=MAX_PEERS).contains(&peers) {
        let message = format!("{peers} peers; a topology is for 1 to {MAX_PEERS}");
        return Err(TopologyError::Value { key: "peers".into(), message });
    }
    let mut topology = match &network.latency {
        Latency::Uniform { min, max } => uniform(*min, *max, peers, seed)?,
        Latency::Matrix { source, unit, values, symmetric } => {
            let how = matrix::Reading { unit: *unit, values: *values, symmetric: *symmetric };
            matrix::build(source, how, peers, base)?
        }
        Latency::Regions { regions, detour } => geo::build(regions, *detour, peers)?,
        Latency::Graphml { source, access } => graphml::build(source, *access, peers, base)?,
        Latency::Generated { shape, hop } => generate::build(shape, *hop, peers, seed)?,
    };
    if !network.links.is_empty() {
        topology.model = Box::new(Changed::new(topology.model, &network.links, peers)?);
    }
    Ok(topology)
}

fn uniform(min: Span, max: Span, peers: usize, seed: u64) -> Result<Topology, TopologyError> {
    let max_us = positive(max, "latency.max")?;
    if min > max {
        let message = format!("{min} is above `max` = {max}; the shortest latency comes first");
        return Err(TopologyError::value("latency.min", message));
    }
    // A packet that takes no time would arrive in the instant in which it is sent.
    let model = UniformLatency::new(seed, min.micros().max(1)..max_us);
    let picture = Picture {
        places: picture::circle(peers),
        names: numbered(peers, "peer"),
        edges: Vec::new(),
    };
    Ok(Topology { model: Box::new(model), picture, regions: Vec::new(), cables: Vec::new() })
}

/// A latency in microseconds that is neither zero nor absurd.
fn positive(span: Span, key: &str) -> Result<u64, TopologyError> {
    match span.micros() {
        0 => Err(TopologyError::value(key, "no time at all; a packet takes at least 1us")),
        _ => bounded(span, key),
    }
}

/// A latency in microseconds that is not absurd.
fn bounded(span: Span, key: &str) -> Result<u64, TopologyError> {
    match span.micros() {
        us @ 0..=MAX_ONE_WAY_US => Ok(us),
        _ => Err(TopologyError::value(key, format!("{span} one way; at most 60s is possible"))),
    }
}

fn numbered(peers: usize, what: &str) -> Vec<String> {
    (0..peers).map(|peer| format!("{what} {peer}")).collect()
}

/// A model in which single paths have another latency.
#[derive(Debug)]
struct Changed {
    model: Box<dyn LatencyModel>,
    changes: BTreeMap<(usize, usize), u64>,
}

impl Changed {
    fn new(
        model: Box<dyn LatencyModel>,
        links: &[LinkChange],
        peers: usize,
    ) -> Result<Self, TopologyError> {
        let mut changes = BTreeMap::new();
        for (place, change) in links.iter().enumerate() {
            let LinkChange { from, to, latency } = *change;
            let key = format!("links[{place}]");
            let us = positive(latency, &format!("{key}.latency"))?;
            let wrong = |message| Err(TopologyError::value(&key, message));
            if from >= peers || to >= peers {
                let last = peers - 1;
                return wrong(format!("from {from} to {to}; the peers are 0 to {last}"));
            }
            if from == to {
                return wrong(format!("from {from} to itself; a path joins two peers"));
            }
            if changes.insert((from, to), us).is_some() {
                return wrong(format!("from {from} to {to} a second time; once is enough"));
            }
        }
        Ok(Self { model, changes })
    }
}

impl LatencyModel for Changed {
    fn one_way_us(&self, from: usize, to: usize) -> u64 {
        match self.changes.get(&(from, to)) {
            Some(us) => *us,
            None => self.model.one_way_us(from, to),
        }
    }
}

#[cfg(test)]
mod tests;
