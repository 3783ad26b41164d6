//! The hours of the day in which shards are read.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

/// Minutes of an hour, and of a day.
const HOUR: u16 = 60;
const DAY: u16 = 24 * HOUR;

/// A part of each day in the host's local time, such as `22:00-06:00`. It begins and ends with a
/// minute, may go over midnight, and is neither empty nor the whole day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from_minute: u16,
    to_minute: u16,
}

impl Hours {
    /// Whether shards are read at a time in Unix milliseconds.
    #[must_use]
    pub fn are_now(self, wall_ms: u64) -> bool {
        local(wall_ms).is_none_or(|now| self.have(minute_of(now.time())))
    }

    /// How long it is until they begin; `None` if they are now.
    #[must_use]
    pub fn begin_in(self, wall_ms: u64) -> Option<Duration> {
        let now = local(wall_ms)?;
        if self.have(minute_of(now.time())) {
            return None;
        }
        let hour = i8::try_from(self.from_minute / HOUR).ok()?;
        let minute = i8::try_from(self.from_minute % HOUR).ok()?;
        let today = now.date();
        // A day on which a clock is set may not have that time; then it is the one that comes next.
        let begins = [today, today.tomorrow().ok()?]
            .into_iter()
            .filter_map(|day| {
                day.at(hour, minute, 0, 0).to_zoned_datetime(now.time_zone().clone()).ok()
            })
            .find(|at| *at > now)?;
        Duration::try_from(begins.duration_since(&now)).ok()
    }

    const fn have(self, minute: u16) -> bool {
        let (from, to) = (self.from_minute, self.to_minute);
        if from < to { from <= minute && minute < to } else { from <= minute || minute < to }
    }
}

impl FromStr for Hours {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (from, to) = text.split_once('-').ok_or(())?;
        let (from, to) = (minute_in(from).ok_or(())?, minute_in(to).ok_or(())?);
        let hours = Self { from_minute: from % DAY, to_minute: to % DAY };
        if from < DAY && hours.from_minute != hours.to_minute { Ok(hours) } else { Err(()) }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from_minute, self.to_minute);
        let to = if to == 0 { DAY } else { to };
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / HOUR, from % HOUR, to / HOUR, to % HOUR)
    }
}

/// A time in the host's zone; UTC where that is not known. `None` past the year 9999.
fn local(wall_ms: u64) -> Option<ZonedDateTime> {
    let at = Timestamp::from_millisecond(i64::try_from(wall_ms).ok()?).ok()?;
    Some(at.to_zoned_datetime(TimeZone::system()))
}

fn minute_of(time: Time) -> u16 {
    // From 0 to 23, and to 59.
    u16::try_from(time.hour()).unwrap_or(0) * HOUR + u16::try_from(time.minute()).unwrap_or(0)
}

/// Reads `22:00`; `24:00` is the end of a day.
fn minute_in(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| digits(text).then(|| text.parse::<u16>().ok()).flatten();
    let (hour, minute) = (number(hour)?, number(minute)?);
    let whole = hour * HOUR + minute;
    (minute < HOUR && whole <= DAY).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(text: &str) -> Hours {
        text.parse().unwrap()
    }

    #[test]
    fn hours_are_written_as_they_are_read() {
        for text in ["22:00-06:00", "00:00-07:30", "13:15-24:00"] {
            assert_eq!(hours(text).to_string(), text);
        }
        for text in [
            "",
            "22-6",
            "22:00",
            "22:00-22:00",
            "00:00-24:00",
            "24:00-06:00",
            "7:00-9:00",
            "22:60-23:00",
            "-1:00-02:00",
            "22:00-25:00",
            "+2:00-03:00",
        ] {
            assert_eq!(text.parse::<Hours>(), Err(()), "{text}");
        }
    }

    #[test]
    fn hours_over_midnight_are_late_and_early() {
        let night = hours("22:00-06:00");
        for (minute, open) in [(0, true), (359, true), (360, false), (1319, false), (1320, true)] {
            assert_eq!(night.have(minute), open, "{minute}");
        }
        let evening = hours("13:15-24:00");
        for (minute, open) in [(0, false), (794, false), (795, true), (1439, true)] {
            assert_eq!(evening.have(minute), open, "{minute}");
        }
    }

    #[test]
    fn they_begin_within_a_day_or_are_now() {
        // An hour each for two days, whatever the zone of this host is.
        for hour in 0..48 {
            let wall_ms = 1_700_000_000_000 + hour * 3_600_000;
            for text in ["22:00-06:00", "09:00-17:00"] {
                let waits = hours(text).begin_in(wall_ms);
                assert_eq!(waits.is_none(), hours(text).are_now(wall_ms), "{text} {hour}");
                let Some(waits) = waits else { continue };
                // A day on which the clock is set has an hour more.
                assert!(waits <= Duration::from_secs(25 * 3_600), "{text} {hour}");
                let begins_ms = wall_ms + u64::try_from(waits.as_millis()).unwrap();
                assert!(hours(text).are_now(begins_ms), "{text} {hour}");
                assert!(!hours(text).are_now(begins_ms - 60_000), "{text} {hour}");
            }
        }
    }
}
