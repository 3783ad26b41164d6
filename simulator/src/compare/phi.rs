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

/// How often rows that nobody needs any more are thrown away, in digests.
const TRIM_EVERY: u32 = 256;

/// What one peer knows of the heartbeats of all others. They come together, in digests: one row of
/// bits a digest says who was heard, since a million windows of a thousand lengths each would take
/// gigabytes.
#[derive(Debug, Default)]
pub(super) struct Detector {
    windows: Vec<Window>,
    rows: VecDeque<Row>,
    /// Number of the first row.
    base: u32,
}

/// A digest.
#[derive(Debug)]
struct Row {
    at: Time,
    /// Bit i of word j: it brought a heartbeat of peer 64 j + i.
    heard: Box<[u64]>,
}

/// The last intervals between heartbeats of one peer.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    /// The digest at the left end of the oldest interval, if there is one.
    first: u32,
    /// The digest with the last heartbeat, if `is_heard`.
    last: u32,
    last_at: Time,
    is_heard: bool,
    count: u32,
    sum_us: u64,
}

impl Detector {
    /// Makes room for so many peers.
    pub(super) fn make_room(&mut self, peers: usize) {
        if self.windows.len() < peers {
            self.windows.resize(peers, Window::default());
        }
    }

    /// A digest arrives; the heartbeats that follow are its.
    pub(super) fn begin(&mut self, now: Time) {
        let words = self.windows.len().div_ceil(64);
        self.rows.push_back(Row { at: now, heard: vec![0; words].into() });
        if self.latest().is_multiple_of(TRIM_EVERY) {
            self.trim(now);
        }
    }

    /// The digest brought a heartbeat of a peer.
    pub(super) fn heartbeat(&mut self, peer: usize) {
        let number = self.latest();
        let Some(row) = self.rows.back_mut() else { return };
        if let Some(word) = row.heard.get_mut(peer / 64) {
            *word |= 1 << (peer % 64);
        }
        let Some(window) = self.windows.get_mut(peer) else { return };
        let interval_us = row.at.since(window.last_at);
        if window.is_heard && interval_us <= MAX_INTERVAL_US {
            if window.count == 0 {
                window.first = window.last;
            }
            window.sum_us += interval_us;
            window.count += 1;
        }
        (window.last, window.last_at, window.is_heard) = (number, row.at, true);
        if window.count > WINDOW {
            self.forget_oldest(peer);
        }
    }

    /// Forgets all intervals of a peer.
    pub(super) fn reset(&mut self, peer: usize) {
        if let Some(window) = self.windows.get_mut(peer) {
            (window.count, window.sum_us) = (0, 0);
        }
    }

    /// Whether a peer counts as alive.
    pub(super) fn is_alive(&self, peer: usize, now: Time) -> bool {
        self.windows
            .get(peer)
            .and_then(|window| window.phi(now))
            .is_some_and(|phi| phi <= THRESHOLD)
    }

    /// Takes out the oldest interval that was counted, and those before it that were not.
    fn forget_oldest(&mut self, peer: usize) {
        let Some(mut window) = self.windows.get(peer).copied() else { return };
        while let Some(next) = self.next_heard(peer, window.first) {
            let interval_us = self.at(next).since(self.at(window.first));
            window.first = next;
            if interval_us <= MAX_INTERVAL_US {
                window.sum_us -= interval_us;
                window.count -= 1;
                break;
            }
        }
        if let Some(place) = self.windows.get_mut(peer) {
            *place = window;
        }
    }

    /// The first digest after `number` that brought a heartbeat of a peer.
    fn next_heard(&self, peer: usize, number: u32) -> Option<u32> {
        let skip = (number + 1).checked_sub(self.base)?;
        let rows = (number + 1..).zip(self.rows.range(skip as usize..));
        let mut heard = rows.filter(|(_, row)| {
            row.heard.get(peer / 64).is_some_and(|word| word >> (peer % 64) & 1 == 1)
        });
        heard.next().map(|(number, _)| number)
    }

    /// Throws away rows that no window begins in and no interval can begin in any more.
    fn trim(&mut self, now: Time) {
        let begun = self.windows.iter().filter(|window| window.count > 0);
        let needed = begun.map(|window| window.first).min().unwrap_or(u32::MAX);
        while self.base < needed
            && self.rows.front().is_some_and(|row| now.since(row.at) > MAX_INTERVAL_US)
        {
            self.rows.pop_front();
            self.base += 1;
        }
    }

    fn latest(&self) -> u32 {
        (self.base + self.rows.len() as u32).saturating_sub(1)
    }

    fn at(&self, number: u32) -> Time {
        let place = number.checked_sub(self.base).map(|place| place as usize);
        place.and_then(|place| self.rows.get(place)).map(|row| row.at).unwrap_or_default()
    }
}

impl Window {
    /// `None` before the first interval.
    fn phi(&self, now: Time) -> Option<f64> {
        let smoothed_us = self.sum_us + PRIOR_WEIGHT * PRIOR_US;
        let mean_us = smoothed_us as f64 / (u64::from(self.count) + PRIOR_WEIGHT) as f64;
        (self.count > 0).then(|| now.since(self.last_at) as f64 / mean_us)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whom all heartbeats are of: not the first one, so that its place counts.
    const PEER: usize = 70;

    struct Watched(Detector);

    impl Default for Watched {
        fn default() -> Self {
            let mut detector = Detector::default();
            detector.make_room(PEER + 1);
            Self(detector)
        }
    }

    impl Watched {
        fn beat(&mut self, at_us: u64) {
            self.0.begin(Time(at_us));
            self.0.heartbeat(PEER);
        }

        fn is_alive(&self, at_us: u64) -> bool {
            self.0.is_alive(PEER, Time(at_us))
        }

        fn window(&self) -> Window {
            self.0.windows[PEER]
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
        let before = watched.window().sum_us;
        watched.beat(2 * SECOND + MAX_INTERVAL_US + 1);
        assert_eq!((watched.window().sum_us, watched.window().count), (before, 2));
        watched.beat(3 * SECOND + MAX_INTERVAL_US + 1);
        assert_eq!(watched.window().count, 3);
    }

    #[test]
    fn whoever_was_dead_needs_an_interval_to_be_alive_again() {
        let mut watched = Watched::default();
        (0..20).for_each(|second| watched.beat(second * SECOND));
        watched.0.reset(PEER);
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
                watched.0.begin(Time(now));
                if brings {
                    watched.0.heartbeat(PEER);
                    beats.push(now);
                }
            }
            let intervals: Vec<u64> = beats
                .windows(2)
                .map(|pair| pair[1] - pair[0])
                .filter(|interval| *interval <= MAX_INTERVAL_US)
                .collect();
            let kept = &intervals[intervals.len().saturating_sub(WINDOW as usize)..];
            prop_assert_eq!(watched.window().count as usize, kept.len());
            prop_assert_eq!(watched.window().sum_us, kept.iter().sum::<u64>());
        }
    }
}
