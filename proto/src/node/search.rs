//! Looking for the others of a small side of a partition.
//!
//! Whom a peer dials by duty are its subjects and those that are next to it on the rings. Where one in a hundred is on its side, hardly any of them is; so it dials everybody else, too,
//! once and in an order of its own.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::types::{MILLI, PeerId, SECOND, Time};

/// A side of at most so many members looks for others.
///
/// Larger ones find each other by their duties: where one in a hundred is near, each dials thirteen.
pub(super) const SMALL_SIDE: usize = 32;
/// A side is small for this long before it looks for others: a peer that begins is alone for a moment, and so is one that woke.
const BEGIN_AFTER: u64 = 3 * SECOND;
/// A dial that nobody answers takes five seconds and 6 KB: with this much time between two, ten are under way, which with those of the duties is what a transport does at a time.
const DIAL_INTERVAL: u64 = 500 * MILLI;
/// Dials of one search: a mesh of a thousand once. In a larger one a side of ten has found each other by then as well, as each of them looks.
const MAX_DIALS: usize = 1_024;
/// Dials remembered, to know the connection that one of them brings: those under way, and as many again.
const MAX_REMEMBERED: usize = 32;

/// The search of one peer.
#[derive(Debug, Default)]
pub(super) struct Search {
    stage: Stage,
    dialled: VecDeque<PeerId>,
}

#[derive(Debug, Default)]
enum Stage {
    /// The side is not small.
    #[default]
    Idle,
    /// It is, since not long ago.
    Waiting(Time),
    /// Who is to be dialled, the next one last.
    Looking { left: Vec<PeerId>, next: Time },
    /// Everybody was dialled.
    Over,
}

impl Search {
    /// Takes in that this peer's side is small, or not.
    pub(super) fn set_small(&mut self, small: bool, now: Time) {
        match self.stage {
            Stage::Idle if small => self.stage = Stage::Waiting(now.plus(BEGIN_AFTER)),
            _ if !small => *self = Self::default(),
            _ => {}
        }
    }

    /// When [`Self::next`] is to be called.
    pub(super) const fn deadline(&self) -> Option<Time> {
        match self.stage {
            Stage::Waiting(until) => Some(until),
            Stage::Looking { next, .. } => Some(next),
            Stage::Idle | Stage::Over => None,
        }
    }

    /// Until when others may be found; `None` if nobody is looked for.
    pub(super) fn ends(&self) -> Option<Time> {
        match &self.stage {
            Stage::Looking { left, next } => {
                Some(next.plus(DIAL_INTERVAL * left.len() as u64 + BEGIN_AFTER))
            }
            _ => None,
        }
    }

    /// Whether the time to begin has come: whom to look for is asked then.
    pub(super) fn begins(&self, now: Time) -> bool {
        matches!(self.stage, Stage::Waiting(until) if until <= now)
    }

    /// Begins with those out of reach, in random order.
    pub(super) fn begin(
        &mut self,
        mut outside: Vec<PeerId>,
        now: Time,
        mut random: impl FnMut() -> u64,
    ) {
        for last in (1..outside.len()).rev() {
            #[allow(clippy::cast_possible_truncation)]
            let other = random() as usize % (last + 1);
            outside.swap(last, other);
        }
        outside.truncate(MAX_DIALS);
        outside.shrink_to_fit();
        self.stage = Stage::Looking { left: outside, next: now };
    }

    /// Whom to dial now, past those that are found already.
    pub(super) fn next(&mut self, now: Time, is_found: impl Fn(&PeerId) -> bool) -> Option<PeerId> {
        let Stage::Looking { left, next } = &mut self.stage else { return None };
        if now < *next {
            return None;
        }
        *next = now.plus(DIAL_INTERVAL);
        while left.pop_if(|peer| is_found(peer)).is_some() {}
        let Some(peer) = left.pop() else {
            self.stage = Stage::Over;
            return None;
        };
        if self.dialled.len() == MAX_REMEMBERED {
            self.dialled.pop_front();
        }
        self.dialled.push_back(peer);
        Some(peer)
    }

    /// Whether a connection is what this search was after.
    pub(super) fn has_found(&mut self, peer: &PeerId) -> bool {
        let before = self.dialled.len();
        self.dialled.retain(|dialled| dialled != peer);
        self.dialled.len() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(count: u16) -> Vec<PeerId> {
        let id = |number: u16| {
            let mut id = [0; 32];
            id[..2].copy_from_slice(&number.to_be_bytes());
            PeerId(id)
        };
        (0..count).map(id).collect()
    }

    fn looking(count: u16) -> Search {
        let mut search = Search::default();
        search.set_small(true, Time(0));
        let now = Time(BEGIN_AFTER);
        assert!(!search.begins(Time(BEGIN_AFTER - 1)) && search.begins(now));
        search.begin(peers(count), now, || 7);
        search
    }

    /// Whom a search dials until it is over, and how long that takes.
    fn dialled(search: &mut Search, is_found: impl Fn(&PeerId) -> bool) -> (Vec<PeerId>, u64) {
        let mut dialled = Vec::new();
        let (mut last, expected) = (Time(0), search.ends());
        while let Some(at) = search.deadline() {
            assert!(Some(at) <= expected);
            dialled.extend(search.next(at, &is_found));
            last = at;
        }
        dialled.sort_unstable();
        (dialled, last.since(Time(BEGIN_AFTER)))
    }

    #[test]
    fn everybody_is_dialled_once_and_one_in_half_a_second() {
        let (dialled, took) = dialled(&mut looking(40), |_| false);
        assert_eq!(dialled, peers(40));
        assert_eq!(took, 40 * DIAL_INTERVAL);
    }

    #[test]
    fn whoever_is_found_meanwhile_is_not_dialled_and_takes_no_time() {
        let found = &peers(40)[..30];
        let (dialled, took) = dialled(&mut looking(40), |peer| found.contains(peer));
        assert_eq!(dialled, peers(40)[30..]);
        assert_eq!(took, 10 * DIAL_INTERVAL);
    }

    #[test]
    fn of_many_so_many_are_dialled_and_no_more() {
        assert_eq!(dialled(&mut looking(2_000), |_| false).0.len(), MAX_DIALS);
    }

    #[test]
    fn a_search_that_is_over_begins_again_when_the_side_was_larger() {
        let mut search = looking(1);
        dialled(&mut search, |_| false);
        search.set_small(true, Time(0));
        assert_eq!(search.deadline(), None);
        search.set_small(false, Time(0));
        search.set_small(true, Time(0));
        assert_eq!(search.deadline(), Some(Time(BEGIN_AFTER)));
    }

    #[test]
    fn a_connection_is_what_was_looked_for_once() {
        let mut search = looking(2);
        let dialled = search.next(Time(BEGIN_AFTER), |_| false);
        assert!(dialled.is_some());
        for peer in peers(2) {
            assert_eq!(search.has_found(&peer), dialled == Some(peer));
            assert!(!search.has_found(&peer));
        }
    }
}
