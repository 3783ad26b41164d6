//! What came of a comparison.

use serde::{Deserialize, Serialize};

use crate::report::{Spread, Wall};
use crate::scenario::Scenario;

/// The kind of the document.
pub const KIND: &str = "SimulationComparison";

/// Several protocols in the same world. Same scenario and seed give the same document but for the
/// wall times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Version of the document: [`crate::report::API_VERSION`].
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// Name of a scenario of the comparison, or file.
    pub name: String,
    /// What was run, with every option as it was used.
    pub scenario: Scenario,
    /// In the order in which they were asked for.
    pub protocols: Vec<Outcome>,
}

/// One protocol in the world of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Its name on the command line.
    pub protocol: String,
    /// What it is called in a table: says so if it is no original.
    pub label: String,
    /// How it was configured, in one line.
    pub configuration: String,
    /// Who knew of which crash when.
    pub detection: Detection,
    /// Who was accused and was well.
    pub false_positives: FalsePositives,
    /// What became of those that were ill; `None` if nobody was.
    pub faulty: Option<Faulty>,
    /// Whether the well peers agree on who is gone.
    pub agreement: Agreement,
    /// Bytes per second that a peer sent, in the mean of the fault phase, headers included.
    pub sent: Spread,
    /// The same, received.
    pub received: Spread,
    /// Delivered events.
    pub events: u64,
    /// BLAKE3 over all delivered events, in hex.
    pub event_hash: String,
    /// What depends on the machine.
    pub wall: Wall,
}

/// Crashes, and the peers that were to learn of them: those that ran unharmed and in touch from
/// before the crash until they knew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detection {
    /// Crashes.
    pub crashes: usize,
    /// Pairs of a crash and a survivor that was to learn of it.
    pub pairs: usize,
    /// Of these, those that called the peer down, and still did when it came back or the run ended.
    pub pairs_known: usize,
    /// Survivors that called the peer down already when it crashed; they are no pairs.
    pub pairs_accused_before: usize,
    /// From the crash until a survivor knew: median over the pairs that did, in seconds.
    pub p50_seconds: Option<f64>,
    /// 99th percentile.
    pub p99_seconds: Option<f64>,
    /// Latest.
    pub latest_seconds: Option<f64>,
    /// Crashes that every survivor knew of at some time.
    pub crashes_known_to_all: usize,
    /// From the crash until the last survivor knew: median over these crashes, in seconds.
    pub all_p50_seconds: Option<f64>,
    /// Longest.
    pub all_latest_seconds: Option<f64>,
}

/// Well peers that others called down, by the rule of the promise `no-false-down`. An accusation from
/// before the faults counts if it stands when they begin, and one that was excused when it was made
/// if it stands at the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FalsePositives {
    /// How often.
    pub accusations: u64,
    /// Different pairs of accuser and accused.
    pub pairs: usize,
    /// Different peers that were accused.
    pub victims: usize,
    /// The first one, for a person.
    pub first: Option<String>,
    /// Pairs in which the accused was called unreachable or flapping, which only plexmesh can say.
    pub lesser_pairs: usize,
    /// Different peers that were accused so.
    pub lesser_victims: usize,
}

/// Peers that ran but were ill in the fault phase: they lost packets, or had worse conditions than
/// others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Faulty {
    /// How many.
    pub peers: usize,
    /// Of these, those that more than half of the well peers flagged at the same time.
    pub flagged_by_most: usize,
    /// Those that any well peer flagged at some time.
    pub flagged_by_any: usize,
    /// Peers that were never ill, and that more than half of the well peers flagged all the same.
    pub well_flagged_by_most: usize,
    /// Peers that were never ill, and that any well peer flagged at some time.
    pub well_flagged_by_any: usize,
}

/// The sets of peers that the well peers hold to be gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agreement {
    /// Well peers at the end.
    pub well: usize,
    /// Share of them that hold the most common set, 0 to 1.
    pub agreeing: f64,
    /// Whether that set is the truth: exactly the peers that do not run.
    pub is_truth: bool,
    /// From the beginning of the healed phase until all held the same set, and did so to the end of
    /// the run, to the second; `None` if they did not.
    pub seconds_after_healing: Option<f64>,
}
