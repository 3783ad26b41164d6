//! Progress on a terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::words;

/// How often the rate of events is counted anew: often enough to follow, seldom enough to read.
const RATE_EVERY: Duration = Duration::from_millis(500);
/// Drawings a second. A run is slower for each.
const DRAWN_PER_SECOND: u8 = 10;

/// A run at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment<'a> {
    /// Virtual time that passed.
    pub elapsed: Duration,
    /// Name of the phase.
    pub phase: &'a str,
    /// Running peers.
    pub running: usize,
    /// Share of them with the most common digest, 0 to 1.
    pub agreeing: f64,
    /// Events since the beginning.
    pub events: u64,
}

/// A line at the foot of the terminal that tells how far a run is. It is drawn on standard error,
/// and not at all if that is no terminal.
#[derive(Debug)]
pub struct Live {
    bar: ProgressBar,
    total: Duration,
    counted: Instant,
    events: u64,
    per_second: Option<f64>,
}

impl Live {
    /// For a run of `total` virtual time; draws nothing unless `enabled`.
    #[must_use]
    pub fn new(enabled: bool, total: Duration) -> Self {
        let target = if enabled {
            ProgressDrawTarget::stderr_with_hz(DRAWN_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(millis(total)), target);
        // A template that cannot be read leaves the usual bar, which is no reason to stop a run.
        if let Ok(style) = ProgressStyle::with_template("{bar:16.cyan} {wide_msg}") {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self { bar, total, counted: Instant::now(), events: 0, per_second: None }
    }

    /// Tells how far the run is.
    pub fn update(&mut self, moment: &Moment<'_>) {
        if self.bar.is_hidden() {
            return;
        }
        let since = self.counted.elapsed();
        if since >= RATE_EVERY {
            let events = moment.events.saturating_sub(self.events);
            self.per_second = Some(events as f64 / since.as_secs_f64());
            self.counted = Instant::now();
            self.events = moment.events;
        }
        self.bar.set_message(words_of(moment, self.total, self.per_second));
        self.bar.set_position(millis(moment.elapsed));
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn words_of(moment: &Moment<'_>, total: Duration, per_second: Option<f64>) -> String {
    let mut text = format!(
        "{} of {} · {} · {} peers · {} agree",
        words::clock(moment.elapsed.as_secs_f64()),
        words::clock(total.as_secs_f64()),
        moment.phase,
        words::count(moment.running as u64),
        words::percent(moment.agreeing),
    );
    if let Some(rate) = per_second {
        text.push_str(" · ");
        text.push_str(&words::events_rate(rate));
    }
    text
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_time_phase_peers_agreement_and_speed() {
        let moment = Moment {
            elapsed: Duration::from_secs(83),
            phase: "faults",
            running: 1_058,
            agreeing: 0.9996,
            events: 9,
        };
        let total = Duration::from_secs(360);
        assert_eq!(
            words_of(&moment, total, Some(1_234_000.0)),
            "1:23 of 6:00 · faults · 1,058 peers · 99 % agree · 1.23M events/s"
        );
    }

    #[test]
    fn a_disabled_line_draws_nothing() {
        assert!(Live::new(false, Duration::from_secs(1)).bar.is_hidden());
    }
}
