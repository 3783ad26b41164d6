//! Lengths of time, as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// No span of a scenario is longer: sums of a few never overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3_600);

/// A length of time. In a file: `"250ms"`, `"90s"`, `"2m 30s"`, `"1h"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// In microseconds.
    #[must_use]
    pub fn micros(self) -> u64 {
        u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX)
    }

    /// As much of this as `part` is of `whole`, to the microsecond below.
    pub(crate) fn scaled(self, part: Duration, whole: Duration) -> Self {
        let scaled = self.0.as_micros().saturating_mul(part.as_micros()) / whole.as_micros().max(1);
        Self(Duration::from_micros(u64::try_from(scaled).unwrap_or(u64::MAX)))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || {
            format!(
                "`{text}` is no length of time; say for example \"250ms\", \"90s\" or \"2m 30s\""
            )
        };
        let parsed: jiff::SignedDuration = text.parse().map_err(|_| expected())?;
        let span = Duration::try_from(parsed).map_err(|_| expected())?;
        if span > LONGEST {
            return Err(format!("`{text}` is longer than a year"));
        }
        Ok(Self(span))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duration = jiff::SignedDuration::try_from(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{duration:#}")
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
