//! Wall-clock times as programs exchange them, and spans of time as people read them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::clock;

/// A point in Unix time, in milliseconds. Its text and JSON form is RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(u64);

impl WallTime {
    /// From Unix milliseconds.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// From Unix seconds; saturates.
    #[must_use]
    pub const fn from_s(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// What the host's clock shows; 1970 if it is set to before that.
    #[must_use]
    pub fn now() -> Self {
        Self(clock::wall_ms())
    }

    /// Unix milliseconds.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero if `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Peers may claim any time; past the year 9999 there is no RFC 3339 text.
        let timestamp = i64::try_from(self.0)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .unwrap_or(Timestamp::MAX);
        write!(f, "{timestamp:.3}")
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for WallTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "WallTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl<'de> Deserialize<'de> for WallTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let timestamp: Timestamp = text.parse().map_err(de::Error::custom)?;
        let ms = u64::try_from(timestamp.as_millisecond()).map_err(de::Error::custom)?;
        Ok(Self(ms))
    }
}

/// A span of time for people: two units at most, no more digits than matter.
#[must_use]
pub fn span(duration: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = duration.as_secs();
    let (large, small, unit, remainder) = match seconds {
        0 => return format!("{} ms", duration.as_millis()),
        1..10 => return format!("{:.1} s", duration.as_secs_f64()),
        10..MINUTE => return format!("{seconds} s"),
        MINUTE..HOUR => (seconds / MINUTE, seconds % MINUTE, "min", "s"),
        HOUR..DAY => (seconds / HOUR, seconds % HOUR / MINUTE, "h", "min"),
        _ => (seconds / DAY, seconds % DAY / HOUR, "d", "h"),
    };
    if small == 0 {
        format!("{large} {unit}")
    } else {
        format!("{large} {unit} {small} {remainder}")
    }
}

/// A span given in seconds, as JSON has it; negative and absurd values count as zero.
#[must_use]
pub fn span_of_seconds(seconds: f64) -> String {
    span(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// A round-trip time in milliseconds with three significant digits: `0.412`, `12.3`, `245`.
#[must_use]
pub fn millis(micros: u32) -> String {
    let ms = f64::from(micros) / 1_000.0;
    match micros {
        0..10_000 => format!("{ms:.2}"),
        10_000..100_000 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

/// Seconds of a day.
const DAY_SECONDS: u64 = 24 * 3_600;

/// Reads `30s`, `2m`, `500ms`, `1h 30m`, `7d`, `1d 12h`, or a plain number of seconds.
///
/// # Errors
/// A sentence for the person who typed it.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds)
            .map_err(|_| format!("`{text}` is not a span of time"));
    }
    let refused = || format!("`{text}` is not a span of time such as 30s, 2m or 500ms");
    // Days are as long as 24 hours here, which calendars deny.
    let days = text.split_once('d').and_then(|(days, rest)| Some((days.parse().ok()?, rest)));
    let (days, rest): (u64, &str) = days.unwrap_or((0, text));
    let days = Duration::from_secs(days.checked_mul(DAY_SECONDS).ok_or_else(refused)?);
    if rest.trim().is_empty() && !days.is_zero() {
        return Ok(days);
    }
    rest.trim()
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|span| Duration::try_from(span).ok()?.checked_add(days))
        .ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc_with_milliseconds() {
        assert_eq!(WallTime::from_ms(1_700_000_000_250).to_string(), "2023-11-14T22:13:20.250Z");
        assert_eq!(WallTime::from_ms(u64::MAX).to_string(), "9999-12-30T22:00:00.999Z");
    }

    #[test]
    fn a_time_survives_json() {
        let time = WallTime::from_ms(1_700_000_000_250);
        let text = serde_json::to_string(&time).unwrap();
        assert_eq!(serde_json::from_str::<WallTime>(&text).unwrap(), time);
    }

    #[test]
    fn spans_show_no_more_than_matters() {
        let texts: Vec<_> =
            [0.34, 4.12, 12.0, 60.0, 125.0, 11_040.0, 180_000.0].map(span_of_seconds).into();
        let expected = ["340 ms", "4.1 s", "12 s", "1 min", "2 min 5 s", "3 h 4 min", "2 d 2 h"];
        assert_eq!(texts, expected);
    }

    #[test]
    fn spans_are_read_with_and_without_units() {
        for (text, ms) in [("30s", 30_000), ("2m", 120_000), ("500ms", 500), ("1.5", 1_500)] {
            assert_eq!(parse_span(text).unwrap(), Duration::from_millis(ms), "{text}");
        }
        for (text, hours) in [("7d", 168), ("1d 12h", 36), ("1d12h", 36)] {
            assert_eq!(parse_span(text).unwrap(), Duration::from_secs(hours * 3_600), "{text}");
        }
        for text in ["soon", "-1s", "d", "1d -2h", "99999999999999999999d", "0d"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }
}
