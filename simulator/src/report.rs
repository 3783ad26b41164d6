//! What came of a run: everything that is drawn, printed or compared afterwards.

use serde::{Deserialize, Serialize};

use crate::scenario::Scenario;

/// The version and kind of the document.
pub const API_VERSION: &str = "plexmesh/v1";
/// The kind of the document.
pub const KIND: &str = "SimulationRun";

/// A run. Same scenario and seed give the same report but for `wall`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// Name of a built-in scenario, or file.
    pub name: String,
    /// What was run, with every option as it was used.
    pub scenario: Scenario,
    /// How it ended.
    pub outcome: Outcome,
    /// Virtual time that passed, in seconds.
    pub virtual_seconds: f64,
    /// Delivered events.
    pub events: u64,
    /// BLAKE3 over all delivered events, in hex.
    pub event_hash: String,
    /// Every promise, held or broken.
    pub checks: Vec<Check>,
    /// Each crash, and who knew it when.
    pub detections: Vec<Detection>,
    /// Each shard that went bad or was whole again, and who heard of it when.
    #[serde(default)]
    pub deliveries: Vec<Delivery>,
    /// From the beginning of the liveness phase until all running peers agreed; `None` if they did
    /// not.
    pub healed_seconds: Option<f64>,
    /// How often nodes told what.
    pub event_counts: std::collections::BTreeMap<String, u64>,
    /// Bytes on the wire during the fault phase.
    pub traffic: Traffic,
    /// Relative error of latency estimates between peers without an edge: quantiles 0 to 100 in
    /// per cent; empty if nobody estimated.
    pub latency_error: Vec<f64>,
    /// Once a second of virtual time. `null` in a document that was written without them.
    #[serde(deserialize_with = "null_is_empty")]
    pub series: Vec<Sample>,
    /// The peers and their paths as a picture.
    pub topology: Picture,
    /// What happened to whom, in words, in order.
    pub happenings: Vec<Happened>,
    /// What depends on the machine.
    pub wall: Wall,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Every promise held.
    Held,
    /// At least one promise was broken.
    Broken,
    /// It was stopped; what was seen until then held.
    Interrupted,
}

/// One promise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Its stable name, in kebab-case: `no-false-down`.
    pub promise: String,
    /// Whether it held.
    pub held: bool,
    /// What was measured, for a person.
    pub measured: String,
    /// The bound; `None` if it is a plain yes or no, or was only measured.
    pub bound: Option<String>,
    /// Where it was broken: at most [`MAX_VIOLATIONS`].
    pub violations: Vec<Violation>,
    /// All violations.
    pub violation_count: u64,
}

/// Most violations that a check lists; the rest is counted.
pub const MAX_VIOLATIONS: usize = 20;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// Virtual time since the beginning, in seconds.
    pub at_seconds: f64,
    /// The peer at which it was seen.
    pub observer: Option<usize>,
    /// The peer that it is about.
    pub subject: Option<usize>,
    /// What, for a person.
    pub detail: String,
}

/// One crash (or leave) and its discovery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detection {
    /// Who.
    pub subject: usize,
    /// When it fell silent, in seconds since the beginning.
    pub at_seconds: f64,
    /// From then until the first peer called it down.
    pub first_seconds: Option<f64>,
    /// From then until every running peer did; `None` if it came back before, or not all knew.
    pub all_seconds: Option<f64>,
    /// Per running peer, how long it took, in rising order.
    pub each_seconds: Vec<f64>,
    /// Peers that were to know it and did not when the run ended.
    #[serde(default)]
    pub unaware: usize,
}

/// One piece of news: a changed record that everybody is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Whose record.
    pub origin: usize,
    /// When its origin told it, in seconds since the beginning.
    pub at_seconds: f64,
    /// Peers that ran then, without the origin.
    pub listeners: usize,
    /// From then until every one of them knew; `None` if not all did.
    pub all_seconds: Option<f64>,
    /// Per peer that knew, how long it took, in rising order.
    pub each_seconds: Vec<f64>,
}

/// Bytes per second of peers in the mean of the fault phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Sent by a peer: mean, and quantiles over peers.
    pub sent: Spread,
    /// Received by a peer.
    pub received: Spread,
    /// Mean bytes per second that a peer sent, by channel.
    pub sent_by_channel: std::collections::BTreeMap<String, f64>,
    /// Highest rate of any peer over five seconds, sent or received.
    pub peak_bytes_per_second: u64,
}

/// A distribution over peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Highest.
    pub max: f64,
}

/// The mesh at one second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// Seconds since the beginning.
    pub at_seconds: f64,
    /// Running peers.
    pub running: usize,
    /// Different state digests among them.
    pub digests: usize,
    /// Share of running peers with the most common digest, 0 to 1.
    pub agreeing: f64,
    /// Judgements by state over all pairs of a running observer and a subject; only of observers
    /// that were looked at.
    pub judgements: std::collections::BTreeMap<String, u64>,
    /// Bytes per second that a peer sent in this second: mean and highest.
    pub sent_mean: f64,
    /// Highest.
    pub sent_max: f64,
    /// Age of the heartbeats of others at the peers that were looked at, median, in seconds.
    pub heartbeat_age_seconds: Option<f64>,
}

/// Peers on a plane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Picture {
    /// Place of each peer, both from 0 to 1, y downwards.
    pub places: Vec<(f64, f64)>,
    /// Name of each peer.
    pub names: Vec<String>,
    /// Who observes whom (or, of a made topology, who is next to whom), with the one-way latency
    /// in milliseconds.
    pub edges: Vec<(usize, usize, f64)>,
}

/// Something that the scenario did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Happened {
    /// Seconds since the beginning.
    pub at_seconds: f64,
    /// What, for a person.
    pub what: String,
}

/// What depends on the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wall {
    /// Wall time of the run, in seconds.
    pub seconds: f64,
    /// Events per second of wall time.
    pub events_per_second: f64,
}

fn null_is_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
