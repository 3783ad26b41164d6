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

    /// Whom to dial now, of those that are not `found`.
    pub(super) fn next(&mut self, now: Time, found: impl Fn(&PeerId) -> bool) -> Option<PeerId> {
        let Stage::Looking { left, next } = &mut self.stage else { return None };
        if now < *next {
            return None;
        }
        *next = now.plus(DIAL_INTERVAL);
        let found: Option<PeerId> = loop {
            match left.pop() {
                Some(peer) if found(&peer) => {}
                peer => break peer,
            }
        };
        match found {
            Some(peer) => {
                if self.dialled.len() == MAX_REMEMBERED {
                    self.dialled.pop_front();
                }
                self.dialled.push_back(peer);
            }
            None => self.stage = Stage::Over,
        }
        found
    }

    /// Whether a connection is what this search was after.
    pub(super) fn has_found(&mut self, peer: &PeerId) -> bool {
        let before = self.dialled.len();
        self.dialled.retain(|dialled| dialled != peer);
        self.dialled.len() != before
    }
}
