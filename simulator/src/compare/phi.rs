//! The accrual failure detector of chitchat 0.13, in the units of the virtual world.
//!
//! `phi` is the time since the last heartbeat over the mean interval between heartbeats (not the
//! tail of a normal distribution, as in the paper of Hayashibara et al., 2004). The mean is over
//! the last thousand intervals, smoothed by five imaginary ones of five seconds; an interval longer
//! than ten seconds is left out. A peer is alive while phi is 8 or less. Whoever is dead has its
//! intervals forgotten, but not the time of its last heartbeat.

use std::collections::VecDeque;

use plexmesh_proto::types::{SECOND, Time};

/// chitchat's `phi_threshold`.
const THRESHOLD: f64 = 8.0;
/// chitchat's `sampling_window_size`.
const WINDOW: u32 = 1_000;
/// chitchat's `max_interval`, in microseconds.
const MAX_INTERVAL_US: u64 = 10 * SECOND;
/// chitchat's `initial_interval`, in microseconds.
const PRIOR_US: u64 = 5 * SECOND;
/// Weight of the prior, in intervals.
const PRIOR_WEIGHT: u64 = 5;

/// When heartbeats were taken in, shared by the windows of all peers that one peer watches: they
/// come together, in digests. Eight bytes a digest, for as long as the peer runs.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Vec<Time>);

impl Arrivals {
    /// Another digest arrives; gives its number.
    pub(super) fn push(&mut self, now: Time) -> u32 {
        self.0.push(now);
        self.0.len() as u32 - 1
    }

    fn between(&self, from: u32, to: u32) -> u64 {
        self.at(to).since(self.at(from))
    }

    fn at(&self, number: u32) -> Time {
        self.0.get(number as usize).copied().unwrap_or_default()
    }
}

/// The last intervals between heartbeats of one peer. One bit a digest says whether it brought a
/// heartbeat: a million windows of a thousand times each would take gigabytes.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Bit i of word j: the digest with the number 64 (j + base) + i brought one.
    words: VecDeque<u64>,
    base: u32,
    /// The digests at the left end of the oldest interval and at the right end of the youngest.
    ends: Option<(u32, u32)>,
    count: u32,
    sum_us: u64,
}

impl Window {
    /// A digest brought a heartbeat.
    pub(super) fn heartbeat(&mut self, number: u32, arrivals: &Arrivals) {
        let Some((first, last)) = self.ends else {
            self.ends = Some((number, number));
            self.base = number / 64;
            self.mark(number);
            return;
        };
        self.mark(number);
        self.ends = Some((first, number));
        let interval_us = arrivals.between(last, number);
        if interval_us <= MAX_INTERVAL_US {
            self.sum_us += interval_us;
            self.count += 1;
        }
        if self.count > WINDOW {
            self.forget_oldest(arrivals);
        }
    }

    /// Forgets all intervals.
    pub(super) fn reset(&mut self) {
        let Some((_, last)) = self.ends else { return };
        (self.ends, self.count, self.sum_us) = (Some((last, last)), 0, 0);
        self.drop_before(last);
    }

    /// Whether the peer counts as alive.
    pub(super) fn is_alive(&self, now: Time, arrivals: &Arrivals) -> bool {
        self.phi(now, arrivals).is_some_and(|phi| phi <= THRESHOLD)
    }

    /// `None` before the first interval.
    fn phi(&self, now: Time, arrivals: &Arrivals) -> Option<f64> {
        let (_, last) = self.ends.filter(|_| self.count > 0)?;
        let smoothed_us = self.sum_us + PRIOR_WEIGHT * PRIOR_US;
        let mean_us = smoothed_us as f64 / (u64::from(self.count) + PRIOR_WEIGHT) as f64;
        Some(now.since(arrivals.at(last)) as f64 / mean_us)
    }

    /// Takes out the oldest interval that was counted, and those before it that were not.
    fn forget_oldest(&mut self, arrivals: &Arrivals) {
        while let Some((first, last)) = self.ends
            && let Some(next) = self.next_after(first)
        {
            self.ends = Some((next, last));
            let interval_us = arrivals.between(first, next);
            if interval_us <= MAX_INTERVAL_US {
                self.sum_us -= interval_us;
                self.count -= 1;
                break;
            }
        }
        if let Some((first, _)) = self.ends {
            self.drop_before(first);
        }
    }

    fn mark(&mut self, number: u32) {
        let place = (number / 64 - self.base) as usize;
        if self.words.len() <= place {
            self.words.resize(place + 1, 0);
        }
        if let Some(word) = self.words.get_mut(place) {
            *word |= 1 << (number % 64);
        }
    }

    fn next_after(&self, number: u32) -> Option<u32> {
        let from = number + 1;
        let first = (from / 64).checked_sub(self.base)? as usize;
        let words = self.words.iter().enumerate().skip(first);
        words.into_iter().find_map(|(place, word)| {
            let ahead = if place == first { u64::MAX << (from % 64) } else { u64::MAX };
            let left = word & ahead;
            (left != 0).then(|| (self.base + place as u32) * 64 + left.trailing_zeros())
        })
    }

    fn drop_before(&mut self, number: u32) {
        while self.base < number / 64 && self.words.pop_front().is_some() {
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A detector with one peer.
    #[derive(Default)]
    struct Watched {
        arrivals: Arrivals,
        window: Window,
    }

    impl Watched {
        fn beat(&mut self, at_us: u64) {
            let number = self.arrivals.push(Time(at_us));
            self.window.heartbeat(number, &self.arrivals);
        }

        fn is_alive(&self, at_us: u64) -> bool {
            self.window.is_alive(Time(at_us), &self.arrivals)
        }
    }

    #[test]
    fn one_heartbeat_is_not_enough_to_be_alive() {
        let mut watched = Watched::default();
        assert!(!watched.is_alive(0));
        watched.beat(SECOND);
        assert!(!watched.is_alive(SECOND));
        watched.beat(2 * SECOND);
        assert!(watched.is_alive(2 * SECOND));
    }

    #[test]
    fn the_prior_weighs_five_intervals_of_five_seconds() {
        let mut watched = Watched::default();
        watched.beat(0);
        watched.beat(SECOND);
        // (1 s + 25 s) / 6 = 4.333 s; eight of these after the last heartbeat.
        let last = SECOND + 34_666_666;
        assert!(watched.is_alive(last) && !watched.is_alive(last + 1));
    }

    #[test]
    fn a_full_window_forgets_the_prior_nearly_and_its_oldest_interval() {
        let mut watched = Watched::default();
        watched.beat(0);
        // A thousand intervals of 3 s, then a thousand of 1 s push them out.
        let mut now = 0;
        for length in [3, 1] {
            for _ in 0..1_000 {
                now += length * SECOND;
                watched.beat(now);
            }
        }
        // (1000 s + 25 s) / 1005 x 8 = 8.159 s.
        assert!(watched.is_alive(now + 8_159_000) && !watched.is_alive(now + 8_160_000));
    }

    #[test]
    fn a_long_silence_is_no_interval() {
        let mut watched = Watched::default();
        [0, SECOND, 2 * SECOND].into_iter().for_each(|at| watched.beat(at));
        let before = watched.window.sum_us;
        watched.beat(2 * SECOND + MAX_INTERVAL_US + 1);
        assert_eq!((watched.window.sum_us, watched.window.count), (before, 2));
        watched.beat(3 * SECOND + MAX_INTERVAL_US + 1);
        assert_eq!(watched.window.count, 3);
    }

    #[test]
    fn whoever_was_dead_needs_an_interval_to_be_alive_again() {
        let mut watched = Watched::default();
        (0..20).for_each(|second| watched.beat(second * SECOND));
        watched.window.reset();
        assert!(!watched.is_alive(19 * SECOND));
        // Its last heartbeat is remembered, but so long ago that it makes no interval.
        watched.beat(60 * SECOND);
        assert!(!watched.is_alive(60 * SECOND));
        watched.beat(61 * SECOND);
        assert!(watched.is_alive(61 * SECOND));
    }

    proptest! {
        /// Against the rule spelt out: the sum over the last thousand intervals that are not too long.
        #[test]
        fn the_sum_is_that_of_the_last_intervals(
            steps in proptest::collection::vec((0..12_000_000u64, any::<bool>()), 1..2_500),
        ) {
            let mut watched = Watched::default();
            let (mut now, mut beats) = (0, Vec::new());
            for (step, brings) in steps {
                now += step / 8;
                if step > 11_900_000 {
                    now += MAX_INTERVAL_US;
                }
                let number = watched.arrivals.push(Time(now));
                if brings {
                    watched.window.heartbeat(number, &watched.arrivals);
                    beats.push(now);
                }
            }
            let intervals: Vec<u64> = beats
                .windows(2)
                .map(|pair| pair[1] - pair[0])
                .filter(|interval| *interval <= MAX_INTERVAL_US)
                .collect();
            let kept = &intervals[intervals.len().saturating_sub(WINDOW as usize)..];
            prop_assert_eq!(watched.window.count as usize, kept.len());
            prop_assert_eq!(watched.window.sum_us, kept.iter().sum::<u64>());
        }
    }
}
