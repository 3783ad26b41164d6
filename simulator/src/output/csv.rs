//! The series as rows.

use std::collections::BTreeSet;

use super::OutputError;
use crate::report::RunReport;

/// One row for each second of virtual time under a head; columns are named as in the JSON, those of
/// judgements `judgements.STATE`. What was not measured is empty.
///
/// # Errors
///
/// If a row cannot be written.
pub fn csv(report: &RunReport) -> Result<String, OutputError> {
    let states: BTreeSet<&str> = report
        .series
        .iter()
        .flat_map(|sample| sample.judgements.keys().map(String::as_str))
        .collect();
    let mut rows = ::csv::Writer::from_writer(Vec::new());
    let head = ["atSeconds", "running", "digests", "agreeing", "sentMean", "sentMax"];
    let judged = states.iter().map(|state| format!("judgements.{state}"));
    rows.write_record(
        head.into_iter().map(str::to_owned).chain(["heartbeatAgeSeconds".to_owned()]).chain(judged),
    )?;
    for sample in &report.series {
        let measured = [
            sample.at_seconds.to_string(),
            sample.running.to_string(),
            sample.digests.to_string(),
            sample.agreeing.to_string(),
            sample.sent_mean.to_string(),
            sample.sent_max.to_string(),
            sample.heartbeat_age_seconds.map(|age| age.to_string()).unwrap_or_default(),
        ];
        let judged = states.iter().map(|&state| {
            sample.judgements.get(state).map(|count| count.to_string()).unwrap_or_default()
        });
        rows.write_record(measured.into_iter().chain(judged))?;
    }
    let bytes = rows.into_inner().map_err(|error| ::csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
