//! What came of a run in the lab. Sections have the keys of the simulator's report where they mean the same.

use std::collections::BTreeMap;
use std::io::{self, Write};

use plexmesh_simulator::measure::quantile::{quantile, sorted};
use plexmesh_simulator::report::{
    API_VERSION, Check, Delivery, Detection, Happened, Outcome, Traffic,
};
use plexmesh_simulator::scenario::Scenario;
use serde::Serialize;

use crate::switch::Counts;

/// The kind of the document.
pub(crate) const KIND: &str = "LabRun";
/// The version of the document.
pub(crate) const VERSION: &str = API_VERSION;

/// A run of real agents.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LabReport {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    /// The scenario's file.
    pub(crate) name: String,
    pub(crate) scenario: Scenario,
    /// Whether there was a switch between the agents.
    pub(crate) switched: bool,
    pub(crate) outcome: Outcome,
    /// Length of the run.
    pub(crate) seconds: f64,
    /// From the first start until all agreed.
    pub(crate) settled_seconds: f64,
    pub(crate) checks: Vec<Check>,
    pub(crate) detections: Vec<Detection>,
    pub(crate) deliveries: Vec<Delivery>,
    /// From the beginning of the healed phase until all digests were equal and all states right.
    pub(crate) healed_seconds: Option<f64>,
    pub(crate) event_counts: BTreeMap<String, u64>,
    /// Bytes of IP packets during the fault phase.
    pub(crate) traffic: Traffic,
    /// Packets during the fault phase; `None` without the switch.
    pub(crate) packets: Option<Packets>,
    pub(crate) series: Vec<Sample>,
    pub(crate) happenings: Vec<Happened>,
}

/// Packets during the fault phase.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Packets {
    /// Sent by an agent, a second.
    pub(crate) sent_per_second: f64,
    /// Mean size of a sent one, in bytes.
    pub(crate) mean_bytes: f64,
    pub(crate) counts: Counts,
    /// Sent packets by size in bytes.
    pub(crate) sizes: BTreeMap<usize, u64>,
}

/// The mesh at one moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sample {
    pub(crate) at_seconds: f64,
    /// Agents that answered.
    pub(crate) running: usize,
    /// Different digests among them.
    pub(crate) digests: usize,
}

/// Writes the report for a person.
pub(crate) fn table(report: &LabReport, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "scenario       {}: {}", report.name, report.scenario.title)?;
    let net = if report.switched { "through the switch" } else { "on loopback" };
    let peers = report.scenario.peers;
    writeln!(
        out,
        "agents         {peers}, {net}, {:.0} s, agreed {:.1} s after the start",
        report.seconds, report.settled_seconds
    )?;
    for happened in &report.happenings {
        writeln!(out, "  {:>7.1} s    {}", happened.at_seconds, happened.what)?;
    }
    for check in &report.checks {
        let word = if check.held { "held" } else { "BROKEN" };
        let bound =
            check.bound.as_ref().map_or_else(String::new, |bound| format!(" (bound {bound})"));
        writeln!(out, "{word:<6} {:<20} {}{bound}", check.promise, check.measured)?;
        for violation in &check.violations {
            writeln!(out, "         {:.1} s: {}", violation.at_seconds, violation.detail)?;
        }
    }
    let pairs = |each: Vec<&[f64]>| each.concat();
    let detections =
        pairs(report.detections.iter().map(|one| one.each_seconds.as_slice()).collect());
    let deliveries =
        pairs(report.deliveries.iter().map(|one| one.each_seconds.as_slice()).collect());
    writeln!(out, "detection      {}", spread(detections))?;
    writeln!(out, "delivery       {}", spread(deliveries))?;
    let healed =
        report.healed_seconds.map_or_else(|| "never".to_owned(), |healed| format!("{healed:.2} s"));
    writeln!(out, "healed after   {healed}")?;
    let traffic = &report.traffic;
    writeln!(
        out,
        "traffic        sent {:.0} B/s (p50 {:.0}, most {:.0}), received {:.0} B/s an agent; peak {} B/s",
        traffic.sent.mean,
        traffic.sent.p50,
        traffic.sent.max,
        traffic.received.mean,
        traffic.peak_bytes_per_second
    )?;
    if let Some(packets) = &report.packets {
        let counts = &packets.counts;
        writeln!(
            out,
            "packets        {:.1} a second an agent, {:.0} B each",
            packets.sent_per_second, packets.mean_bytes
        )?;
        writeln!(
            out,
            "  of {} sent: {} delivered, {} lost, {} blocked, {} before a full line, {} host off, {} no room, {} not taken; {} strays",
            counts.sent,
            counts.delivered,
            counts.lost,
            counts.blocked,
            counts.queue_full,
            counts.host_off,
            counts.overflowed,
            counts.not_taken,
            counts.strays
        )?;
    }
    writeln!(out, "outcome        {:?}", report.outcome)
}

fn spread(seconds: Vec<f64>) -> String {
    if seconds.is_empty() {
        return "nothing to know".to_owned();
    }
    let seconds = sorted(seconds);
    let [p10, p50, p90, p99, most] = [0.1, 0.5, 0.9, 0.99, 1.0].map(|q| quantile(&seconds, q));
    format!(
        "p10 {p10:.3} s, p50 {p50:.3} s, p90 {p90:.3} s, p99 {p99:.3} s, latest {most:.3} s, of {} pairs",
        seconds.len()
    )
}
