//! An observer's doubt in itself (Dadgar et al., "Lifeguard", 2018): late timers and many losing subjects at once point at the observer.

use crate::types::{MILLI, SECOND, Time};

/// A timer this late counts against the observer. A healthy agent is late by well under 20 ms; a starved one by hundreds.
const LATE: u64 = 150 * MILLI;
/// A timer this late means that the process was stopped or the machine slept: all silence seen meanwhile was its own.
const PAUSED: u64 = 900 * MILLI;
/// A timer this late means that connections may be gone too: it is as much as they survive at either end, and more than a stopped process or a busy disk takes.
const SLEPT: u64 = 5 * SECOND;
/// Doubt shrinks by one step per this much punctuality.
const RECOVERY: u64 = 5 * SECOND;
/// Most doubt: beyond nine times the evidence an observer is of no use anyway.
const MAX_SCORE: u8 = 8;
/// Subjects that lose answers at once before the observer suspects its own connection; with two, chance is the likelier cause.
const MANY: usize = 3;

/// What a late timer meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Punctuality {
    /// Nothing.
    Fine,
    /// The observer is starved: it asks for more evidence.
    Late,
    /// The observer did not run: evidence since then is void.
    Paused,
    /// Nor did it for so long that its own links come first.
    Slept,
}

#[derive(Debug, Default)]
pub(super) struct LocalHealth {
    score: u8,
    changed: Time,
    alone: bool,
}

impl LocalHealth {
    /// Doubt, 0 is none.
    pub(super) const fn score(&self) -> u8 {
        self.score
    }

    /// How much evidence is asked for, in halves: 2 is the normal amount.
    pub(super) fn evidence_halves(&self) -> u32 {
        2 + u32::from(self.score) + u32::from(self.alone)
    }

    /// Takes in how late a timer fired.
    pub(super) fn timer_fired(&mut self, late_us: u64, now: Time) -> Punctuality {
        if late_us >= LATE {
            self.score = (self.score + 1).min(MAX_SCORE);
            self.changed = now;
            match late_us {
                SLEPT.. => Punctuality::Slept,
                PAUSED.. => Punctuality::Paused,
                _ => Punctuality::Late,
            }
        } else {
            if self.score > 0 && now.since(self.changed) >= RECOVERY {
                self.score -= 1;
                self.changed = now;
            }
            Punctuality::Fine
        }
    }

    /// Takes in how many of the heard subjects miss answers now.
    pub(super) fn losing(&mut self, losing: usize, watched: usize) {
        self.alone = losing >= MANY && 2 * losing > watched;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_raises_doubt_and_punctuality_lowers_it() {
        let mut health = LocalHealth::default();
        assert_eq!(health.timer_fired(LATE, Time(0)), Punctuality::Late);
        assert_eq!(health.timer_fired(PAUSED, Time(1)), Punctuality::Paused);
        assert_eq!(health.timer_fired(SLEPT, Time(1)), Punctuality::Slept);
        assert_eq!(health.score(), 3);
        health.timer_fired(0, Time(1 + RECOVERY));
        health.timer_fired(0, Time(2 + RECOVERY));
        assert_eq!(health.score(), 2);
    }

    #[test]
    fn most_subjects_losing_at_once_asks_for_more_evidence() {
        let mut health = LocalHealth::default();
        let normal = health.evidence_halves();
        health.losing(3, 5);
        assert!(health.evidence_halves() > normal);
        health.losing(2, 5);
        assert_eq!(health.evidence_halves(), normal);
    }
}
