//! Metrics in OpenMetrics text, and the page that describes them.
//!
//! What is not known is left out: a 0 that is none would look well. There are no more than a few
//! hundred series and one for each of the first thousand peers; nothing grows with pairs of peers.

use std::borrow::Cow;
use std::fmt::{self, Write};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::answer::Gathered;

mod families;

/// Media type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of a moment.
///
/// # Errors
/// Writing to memory does not fail, and nothing else can.
pub fn encode(at: &Gathered) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families::all(at))));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

/// The page that describes all metrics.
#[must_use]
pub fn page() -> String {
    const HEAD: &str = "\
# Metrics

`GET /v1/metrics` and `plexmesh metrics` give these in OpenMetrics text; docs/operations.md says how \
to hand them to Prometheus.
What is not known is left out, never 0. Metrics of the mesh are what this peer knows of it: compare \
them on several peers.
This page is made from the code.

| metric | type | labels | what |
|---|---|---|---|
";
    let mut page = HEAD.to_owned();
    for family in families::all(&Gathered::default()) {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a String does not fail.
        let _ = writeln!(
            page,
            "| `{}{}` | {} | {} | {} |",
            family.name,
            if family.counts { "_total" } else { "" },
            family.kind().as_str(),
            labels.join(", "),
            family.help.replace('|', "\\|"),
        );
    }
    page
}

/// Series of one name.
#[derive(Debug)]
struct Family {
    /// A counter's is without `_total`.
    name: Cow<'static, str>,
    /// One or two sentences on one line, without backslashes: they are not escaped.
    help: Cow<'static, str>,
    /// Whether it only rises while the agent runs.
    counts: bool,
    labels: Vec<&'static str>,
    samples: Vec<(Vec<String>, Value)>,
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(u64::try_from(value).unwrap_or(u64::MAX))
    }
}

impl From<u8> for Value {
    fn from(value: u8) -> Self {
        Self::Whole(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl Family {
    /// Something that rises and falls.
    fn gauge(name: impl Into<Cow<'static, str>>, help: impl Into<Cow<'static, str>>) -> Self {
        let (name, help) = (name.into(), help.into());
        Self { name, help, counts: false, labels: Vec::new(), samples: Vec::new() }
    }

    /// Something that only rises while the agent runs.
    fn counter(name: impl Into<Cow<'static, str>>, help: impl Into<Cow<'static, str>>) -> Self {
        Self { counts: true, ..Self::gauge(name, help) }
    }

    /// With one value, if it is known.
    fn of(mut self, value: Option<impl Into<Value>>) -> Self {
        self.samples.extend(value.map(|value| (Vec::new(), value.into())));
        self
    }

    /// With a value for each set of labels.
    fn by<const N: usize, V: Into<Value>>(
        mut self,
        labels: [&'static str; N],
        samples: impl IntoIterator<Item = ([String; N], V)>,
    ) -> Self {
        self.labels = labels.into();
        let samples = samples.into_iter().map(|(labels, value)| (labels.into(), value.into()));
        self.samples.extend(samples);
        self
    }

    const fn kind(&self) -> MetricType {
        if self.counts { MetricType::Counter } else { MetricType::Gauge }
    }

    fn write_value(&self, value: Value, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match (self.counts, value) {
            (true, Value::Whole(value)) => {
                encoder.encode_counter::<NoLabelSet, u64, u64>(&value, None)
            }
            (true, Value::Real(value)) => {
                encoder.encode_counter::<NoLabelSet, f64, u64>(&value, None)
            }
            (false, Value::Whole(value)) => encoder.encode_gauge(&value),
            (false, Value::Real(value)) => encoder.encode_gauge(&value),
        }
    }
}

/// All of them, as the encoder takes them.
#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in self.0.iter().filter(|family| !family.samples.is_empty()) {
            let mut head =
                encoder.encode_descriptor(&family.name, &family.help, None, family.kind())?;
            for (values, value) in &family.samples {
                if values.is_empty() {
                    family.write_value(*value, &mut head)?;
                    continue;
                }
                let labels: Vec<(&str, &str)> =
                    family.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
                family.write_value(*value, &mut head.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
