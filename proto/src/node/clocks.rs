//! Whose clock is wrong: every exchange compares two clocks, and who stands against most of the others is the one.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::clock::MAX_SKEW_MS;
use crate::report::OwnClock;
use crate::types::{MILLI, Now, PeerId, SECOND, Time};

/// Comparisons that the median is taken of. One may have waited in a queue for seconds, or stand on both sides of a step of a clock.
const SAMPLES: usize = 3;
/// Neighbours remembered: those of all rings in both directions, and some that are gone.
const MAX_NEIGHBOURS: usize = 64;
/// What was measured longer ago counts no more: a neighbour's turn comes a dozen times meanwhile, and who is no neighbour any more may have set its clock.
const FRESH: u64 = 120 * SECOND;
/// The own wall clock was set if it went so much further than time did, in milliseconds. No correction by bits does that between two exchanges.
const STEP_MS: u64 = 5_000;
/// Neighbours that have to agree against this peer; a single one may be wrong itself.
const WITNESSES: usize = 2;

/// What was measured with one neighbour.
#[derive(Debug, Default)]
struct Comparison {
    /// How far its clock is ahead of the own one, in milliseconds; the youngest last.
    ahead_ms: VecDeque<i64>,
    measured: Time,
}

/// The clocks of the neighbours against the own one.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    neighbours: BTreeMap<PeerId, Comparison>,
    /// What the own wall clock showed when the clock of this start stood at zero, in milliseconds.
    zero_ms: Option<u64>,
    told: BTreeSet<PeerId>,
}

/// What the comparisons say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The own clock, if most neighbours agree that it is wrong.
    pub(super) own: Option<OwnClock>,
    /// Neighbours whose clock is wrong, or whose or the own is, with how far they are ahead of the own clock in milliseconds.
    pub(super) others: Vec<(PeerId, i64)>,
}

impl Clocks {
    /// Takes in what a neighbour's clock showed at some time of a round trip that ends now.
    pub(super) fn compare(&mut self, peer: PeerId, their_ms: u64, round_trip_us: u64, now: Now) {
        // An agent of an earlier version says nothing of its clock.
        if their_ms == 0 {
            return;
        }
        // Nothing that was measured with another clock says anything of this one.
        let zero_ms = now.wall_ms.saturating_sub(now.time.0 / MILLI);
        if self.zero_ms.replace(zero_ms).is_some_and(|it| it.abs_diff(zero_ms) > STEP_MS) {
            self.neighbours.clear();
        }
        if !self.neighbours.contains_key(&peer) && self.neighbours.len() >= MAX_NEIGHBOURS {
            let oldest = self.neighbours.iter().min_by_key(|(_, it)| it.measured);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.neighbours.remove(&oldest);
            }
        }
        let comparison = self.neighbours.entry(peer).or_default();
        if comparison.ahead_ms.len() == SAMPLES {
            comparison.ahead_ms.pop_front();
        }
        // Half way there and back; the error is half a round trip at the most.
        let own_ms = now.wall_ms.saturating_sub(round_trip_us / 2_000);
        comparison.ahead_ms.push_back(difference(their_ms, own_ms));
        comparison.measured = now.time;
    }

    /// How far a neighbour's clock is ahead of the own one, in milliseconds; `None` if it was not compared often enough.
    pub(super) fn ahead_ms(&self, peer: &PeerId, now: Time) -> Option<i64> {
        let comparison = self.neighbours.get(peer)?;
        let known = comparison.ahead_ms.len() == SAMPLES && now.since(comparison.measured) < FRESH;
        known.then(|| median(comparison.ahead_ms.iter().copied()))?
    }

    /// How far the own clock is ahead of the median neighbour's; `None` if none was compared.
    pub(super) fn own(&self, now: Time) -> Option<OwnClock> {
        let all = self.all(now);
        let middle = median(all.iter().map(|(_, ahead_ms)| *ahead_ms))?;
        Some(OwnClock { ahead_ms: middle.saturating_neg(), neighbours: all.len() })
    }

    /// Whose clock is wrong.
    pub(super) fn verdict(&self, now: Time) -> Verdict {
        let all = self.all(now);
        let middle = median(all.iter().map(|(_, ahead_ms)| *ahead_ms)).unwrap_or_default();
        let agree = all.iter().filter(|(_, it)| it.abs_diff(middle) <= MAX_SKEW_MS).count();
        let alone =
            middle.unsigned_abs() > MAX_SKEW_MS && agree >= WITNESSES && 2 * agree > all.len();
        let right = if alone { middle } else { 0 };
        Verdict {
            own: alone.then(|| OwnClock { ahead_ms: middle.saturating_neg(), neighbours: agree }),
            others: all.into_iter().filter(|(_, it)| it.abs_diff(right) > MAX_SKEW_MS).collect(),
        }
    }

    /// Who is found wrong now and was not when this was last asked, with how far ahead in milliseconds.
    pub(super) fn news(&mut self, me: PeerId, now: Time) -> Vec<(PeerId, i64)> {
        let Verdict { own, mut others } = self.verdict(now);
        others.extend(own.map(|own| (me, own.ahead_ms)));
        let wrong = others.iter().map(|(peer, _)| *peer).collect();
        let before = core::mem::replace(&mut self.told, wrong);
        others.retain(|(peer, _)| !before.contains(peer));
        others
    }

    fn all(&self, now: Time) -> Vec<(PeerId, i64)> {
        let peers = self.neighbours.keys();
        peers.filter_map(|peer| Some((*peer, self.ahead_ms(peer, now)?))).collect()
    }
}

/// `one - other`, as far as it fits.
pub(super) fn difference(one: u64, other: u64) -> i64 {
    let size = i64::try_from(one.abs_diff(other)).unwrap_or(i64::MAX);
    if one >= other { size } else { -size }
}

/// The lower one of two in the middle; `None` of nothing.
fn median(values: impl Iterator<Item = i64>) -> Option<i64> {
    let mut values: Vec<i64> = values.collect();
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: PeerId = PeerId([0; 32]);
    const NOW: Now = Now { time: Time(1_000 * SECOND), wall_ms: 1_000_000_000 };

    /// Neighbours that are ahead by so many seconds, each measured often enough.
    fn clocks(ahead_s: &[i64]) -> Clocks {
        let mut clocks = Clocks::default();
        for (number, ahead_s) in (1..).zip(ahead_s) {
            let their_ms = NOW.wall_ms.saturating_add_signed(ahead_s * 1_000) - 100;
            for _ in 0..SAMPLES {
                clocks.compare(PeerId([number; 32]), their_ms, 200_000, NOW);
            }
        }
        clocks
    }

    #[test]
    fn a_neighbour_ahead_or_behind_is_named_and_one_within_the_bound_is_not() {
        let verdict = clocks(&[312, -90, 59, 0, 0]).verdict(NOW.time);
        let named = [(PeerId([1; 32]), 312_000), (PeerId([2; 32]), -90_000)];
        assert_eq!(verdict, Verdict { own: None, others: named.to_vec() });
    }

    #[test]
    fn who_stands_against_most_of_the_others_is_wrong_itself() {
        let verdict = clocks(&[300, 301, 299, 0]).verdict(NOW.time);
        assert_eq!(verdict.own, Some(OwnClock { ahead_ms: -299_000, neighbours: 3 }));
        // The fourth is as wrong as this peer is.
        assert_eq!(verdict.others, [(PeerId([4; 32]), 0)]);
    }

    #[test]
    fn two_against_each_other_leave_open_whose_clock_it_is() {
        let verdict = clocks(&[-300]).verdict(NOW.time);
        assert_eq!(verdict, Verdict { own: None, others: [(PeerId([1; 32]), -300_000)].to_vec() });
        let verdict = clocks(&[300, -300]).verdict(NOW.time);
        assert_eq!(verdict.own, None);
    }

    #[test]
    fn a_single_late_answer_says_nothing() {
        let mut clocks = clocks(&[0]);
        clocks.compare(PeerId([1; 32]), NOW.wall_ms - 200_000, 0, NOW);
        assert_eq!(clocks.verdict(NOW.time), Verdict::default());
    }

    #[test]
    fn news_are_told_once_and_old_measurements_do_not_count() {
        let mut clocks = clocks(&[312, 0, 0]);
        assert_eq!(clocks.news(ME, NOW.time), [(PeerId([1; 32]), 312_000)]);
        assert_eq!(clocks.news(ME, NOW.time), []);
        assert_eq!(clocks.verdict(NOW.time.plus(FRESH)), Verdict::default());
    }

    #[test]
    fn after_a_step_of_the_own_clock_nobody_is_blamed_for_what_was_before() {
        let mut clocks = clocks(&[0, 0, 0]);
        let late = Now { wall_ms: NOW.wall_ms - 300_000, ..NOW };
        for _ in 0..SAMPLES {
            clocks.compare(PeerId([1; 32]), NOW.wall_ms, 0, late);
        }
        let named = [(PeerId([1; 32]), 300_000)];
        assert_eq!(clocks.verdict(NOW.time), Verdict { own: None, others: named.to_vec() });
    }

    #[test]
    fn any_number_of_neighbours_takes_bounded_room() {
        let mut clocks = Clocks::default();
        for number in 0..=u8::MAX {
            clocks.compare(PeerId([number; 32]), NOW.wall_ms, 0, NOW);
        }
        assert_eq!(clocks.neighbours.len(), MAX_NEIGHBOURS);
    }
}
