//! The report for programs.

use serde_json::Value;

use super::OutputError;
use crate::report::RunReport;

/// The whole report as JSON, indented, nothing cut.
///
/// The key `series` is always there: `null` unless `with_series`, since one sample for each second
/// outweighs all the rest.
///
/// # Errors
///
/// If the report cannot be expressed as JSON.
pub fn json(report: &RunReport, with_series: bool) -> Result<String, OutputError> {
    if with_series {
        return Ok(serde_json::to_string_pretty(report)?);
    }
    let mut document = serde_json::to_value(report)?;
    if let Some(series) = document.get_mut("series") {
        *series = Value::Null;
    }
    Ok(serde_json::to_string_pretty(&document)?)
}
