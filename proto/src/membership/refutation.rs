//! The time that a lost peer has to be found again before it is called down.
//!
//! Where two sides of a partition meet again, one's reports of loss arrive before the refutation: whoever lost a peer has to dial it first, and hear it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::state::{Evaluation, Losses};
use crate::roster::{Member, Roster};
use crate::types::{MILLI, PeerId, SECOND, Time, Version};

/// A lost peer may be found again for this long after the first loss: other reports that are on their way come with it, and the others mostly take longer to lose it.
const WINDOW: u64 = 300 * MILLI;
/// And for this long after a report that was [`LATE_MS`] on its way. Its author dials lost subjects every three seconds, tells what it finds within one, and the first dial may fail.
const LATE_WINDOW: u64 = 8 * SECOND;
/// A report that took longer, in milliseconds, comes from beyond what was a partition, or this peer did not run: broadcasts reach everybody in half of that.
const LATE_MS: u64 = 1_000;

/// The peers that somebody lost, and until when each may be found again.
#[derive(Debug, Default)]
pub(crate) struct Refutations {
    lost: BTreeMap<PeerId, Window>,
    deadline: Option<Time>,
}

#[derive(Debug)]
struct Window {
    until: Time,
    /// The losses that were known.
    known: Vec<Version>,
}

impl Refutations {
    /// When the next window of a peer that the records call down closes.
    pub(crate) const fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Takes in an evaluation of the members `judged`, all if there is none, and the `losses` that it rests on, by roster index. Gives back `judged` with those whose window closed.
    ///
    /// `now_ms` is this peer's hybrid time in milliseconds.
    pub(crate) fn update(
        &mut self,
        evaluation: &mut Evaluation,
        roster: &Roster,
        judged: Option<BTreeSet<u32>>,
        losses: &Losses,
        (now, now_ms): (Time, u64),
    ) -> Option<BTreeSet<u32>> {
        let id = |index: &u32| roster.member(*index).map(Member::id);
        match &judged {
            Some(judged) => {
                let found = judged.iter().filter(|index| !losses.contains_key(index));
                for peer in found.filter_map(id) {
                    self.lost.remove(&peer);
                }
            }
            None => self.lost.retain(|peer, _| {
                roster.index_of(peer).is_some_and(|index| losses.contains_key(&index))
            }),
        }
        for (index, losses) in losses {
            let Some(peer) = id(index) else { continue };
            let fresh = || Window { until: now.plus(WINDOW), known: Vec::new() };
            let window = self.lost.entry(peer).or_insert_with(fresh);
            let mut news = losses.iter().filter(|loss| !window.known.contains(loss));
            if news.any(|loss| loss.ms().saturating_add(LATE_MS) < now_ms) {
                window.until = now.plus(LATE_WINDOW);
            }
            window.known.clone_from(losses);
        }
        let open = self.lost.iter().filter(|(_, window)| window.until > now);
        let open = open.filter_map(|(peer, window)| Some((roster.index_of(peer)?, window.until)));
        let open: BTreeMap<u32, Time> =
            open.filter(|(index, _)| evaluation.is_down(*index)).collect();
        self.deadline = open.values().min().copied();
        let before = evaluation.await_refutation(open.keys().copied().collect());
        judged.map(|mut judged| {
            judged.extend(before.into_iter().filter(|index| !open.contains_key(index)));
            judged
        })
    }
}
