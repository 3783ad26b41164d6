//! Where a checker writes down what it found.

use plexmesh_proto::types::Time;

use crate::report::{Check, MAX_VIOLATIONS, Violation};

/// The violations of one promise: the first few in words, all of them counted.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    listed: Vec<Violation>,
    count: u64,
}

/// Where a violation was seen, and about whom.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) observer: Option<usize>,
    pub(crate) subject: Option<usize>,
}

impl Place {
    /// Of the mesh as a whole.
    pub(crate) const MESH: Self = Self { observer: None, subject: None };

    pub(crate) const fn at(observer: usize) -> Self {
        Self { observer: Some(observer), subject: None }
    }

    pub(crate) const fn of(subject: usize) -> Self {
        Self { observer: None, subject: Some(subject) }
    }

    pub(crate) const fn between(observer: usize, subject: usize) -> Self {
        Self { observer: Some(observer), subject: Some(subject) }
    }
}

impl Ledger {
    /// Writes a violation down. Its words are made only if there is room for them.
    pub(crate) fn note(&mut self, at: Time, place: Place, detail: impl FnOnce() -> String) {
        self.count += 1;
        if self.listed.len() < MAX_VIOLATIONS {
            let Place { observer, subject } = place;
            let violation =
                Violation { at_seconds: seconds(at), observer, subject, detail: detail() };
            self.listed.push(violation);
        }
    }

    /// Whether nothing was written down.
    pub(crate) const fn is_clean(&self) -> bool {
        self.count == 0
    }

    /// What was written down, as the check of a promise.
    pub(crate) fn check(&self, promise: &str, measured: String, bound: Option<String>) -> Check {
        Check {
            promise: promise.to_owned(),
            held: self.is_clean(),
            measured,
            bound,
            violations: self.listed.clone(),
            violation_count: self.count,
        }
    }
}

/// A point in time, in seconds since the beginning.
pub(crate) fn seconds(at: Time) -> f64 {
    seconds_of(at.0)
}

/// A length of time in microseconds, in seconds.
pub(crate) fn seconds_of(micros: u64) -> f64 {
    micros as f64 / 1e6
}
