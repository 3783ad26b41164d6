//! One measured figure, and what is asked of it.

use serde::{Deserialize, Serialize};

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Bytes a second.
    BytesPerSecond,
    /// So many a second.
    PerSecond,
    /// A share, 0 to 1.
    Share,
}

/// What is asked of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// It is this or less.
    AtMost(f64),
    /// It is this or more.
    AtLeast(f64),
    /// It is this.
    Exactly(f64),
}

impl Bound {
    /// Whether a value is within.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
            Self::Exactly(bound) => value == bound,
        }
    }
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// What it is, within its row: `p99`.
    pub name: String,
    /// What it came to; `None` if that did not happen as long as somebody looked.
    pub value: Option<f64>,
    /// What it counts.
    pub unit: Unit,
    /// What is asked; `None` if it is only measured.
    pub asked: Option<Bound>,
}

impl Figure {
    /// A figure; see its fields.
    pub fn new(
        name: impl Into<String>,
        value: impl Into<Option<f64>>,
        unit: Unit,
        asked: impl Into<Option<Bound>>,
    ) -> Self {
        Self { name: name.into(), value: value.into(), unit, asked: asked.into() }
    }

    /// A count of what must not be.
    pub fn none(name: impl Into<String>, count: u64) -> Self {
        Self::new(name, count as f64, Unit::Count, Bound::Exactly(0.0))
    }

    /// Whether it is as asked; one of which nothing is asked is.
    #[must_use]
    pub fn held(&self) -> bool {
        self.asked.is_none_or(|bound| self.value.is_some_and(|value| bound.holds(value)))
    }

    /// What is asked, in words.
    #[must_use]
    pub fn asked_in_words(&self) -> Option<String> {
        let (relation, bound) = match self.asked? {
            Bound::AtMost(bound) => ("at most ", bound),
            Bound::AtLeast(bound) => ("at least ", bound),
            Bound::Exactly(bound) => ("", bound),
        };
        Some(format!("{} {relation}{}", self.name, in_unit(bound, self.unit)))
    }

    /// What it came to, in words.
    #[must_use]
    pub fn measured_in_words(&self) -> String {
        match self.value {
            Some(value) => format!("{} {}", self.name, in_unit(value, self.unit)),
            None => format!("{} not reached", self.name),
        }
    }
}

/// What a row measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// Peers of the mesh at its start.
    pub peers: usize,
    /// Virtual time that passed, in seconds.
    pub virtual_seconds: f64,
    /// The figures.
    pub figures: Vec<Figure>,
    /// What else there is to say, for a person.
    pub notes: Vec<String>,
}

impl Measured {
    /// Whether all figures are as asked.
    #[must_use]
    pub fn held(&self) -> bool {
        self.figures.iter().all(Figure::held)
    }
}

/// A value with its unit, with as many digits as say something.
fn in_unit(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Count => thousands(value),
        Unit::Seconds if value >= 100.0 => format!("{value:.0} s"),
        // A whole bound reads as it was written.
        Unit::Seconds if value.fract() == 0.0 => format!("{value:.0} s"),
        Unit::Seconds => format!("{value:.2} s"),
        Unit::Bytes if value >= 10_000_000.0 => format!("{} MB", thousands(value / 1e6)),
        Unit::Bytes => format!("{} B", thousands(value)),
        Unit::BytesPerSecond => format!("{} B/s", thousands(value)),
        Unit::PerSecond if value >= 100.0 => format!("{} a second", thousands(value)),
        Unit::PerSecond => format!("{} a second", short(value)),
        Unit::Share => format!("{} %", short(value * 100.0)),
    }
}

/// Up to three digits behind the point, none that say nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn thousands(value: f64) -> String {
    crate::output::count(value.max(0.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_held_within_its_bound_and_never_without_a_value() {
        let figure = |value, asked| Figure::new("p99", value, Unit::Seconds, asked);
        assert!(figure(Some(4.0), Bound::AtMost(4.0)).held());
        assert!(!figure(Some(4.01), Bound::AtMost(4.0)).held());
        assert!(!figure(Some(3.9), Bound::AtLeast(4.0)).held());
        assert!(!figure(None, Bound::AtMost(4.0)).held());
        assert!(!figure(Some(f64::NAN), Bound::AtMost(4.0)).held());
        assert!(Figure::new("p99", None, Unit::Seconds, None).held());
    }

    #[test]
    fn figures_read_well() {
        let asked = |unit, bound| Figure::new("p99", 1.0, unit, bound).asked_in_words().unwrap();
        assert_eq!(asked(Unit::Seconds, Bound::AtMost(2.5)), "p99 at most 2.50 s");
        assert_eq!(asked(Unit::Seconds, Bound::AtMost(4.0)), "p99 at most 4 s");
        assert_eq!(asked(Unit::BytesPerSecond, Bound::AtMost(64_000.0)), "p99 at most 64,000 B/s");
        assert_eq!(asked(Unit::PerSecond, Bound::AtMost(0.1)), "p99 at most 0.1 a second");
        assert_eq!(asked(Unit::Bytes, Bound::AtMost(8e9)), "p99 at most 8,000 MB");
        assert_eq!(Figure::none("false down", 0).measured_in_words(), "false down 0");
        let never = Figure::new("all equal", None, Unit::Seconds, None);
        assert_eq!(never.measured_in_words(), "all equal not reached");
    }
}
