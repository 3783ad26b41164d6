//! The time that a peer has to be found again before it is called lost or out of reach.
//!
//! Where two sides of a partition meet again, one's reports of loss arrive before the refutation: whoever lost a peer has to dial it first, and hear it. And where a mesh falls
//! apart, most of its peers lose all their observers at one moment, and those that take their seats need another to say whom they hear.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::state::{DOWN_QUORUM, Evaluation, Loss, Losses};
use crate::roster::{Member, Roster};
use crate::types::{MILLI, PeerId, SECOND, Time, Version};

/// A lost peer may be found again for this long after the first loss: other reports that are on their way come with it, and the others mostly take longer to lose it.
const WINDOW: u64 = 300 * MILLI;
/// And for this long after a report that was [`LATE_MS`] on its way: if it comes from beyond what was a partition, this peer has a sign of life from a subject that it lost itself by then.
const LATE_WINDOW: u64 = 2_500 * MILLI;
/// And for this long after a report that was late and is contested, or came while this peer may have been cut off. Its author dials lost subjects every three seconds, and the first dial may fail.
const LONG_WINDOW: u64 = 8 * SECOND;
/// A report that took longer, in milliseconds, comes from beyond what was a partition, or this peer did not run: broadcasts reach everybody in half of that. Or packets are lost, which
/// nobody can tell from one report.
const LATE_MS: u64 = 1_000;
/// Whoever had a sign of life from a lost subject within this, or came into reach of more members, may have been cut off from the author of a report: as long as such a report counts.
pub(crate) const CUT_OFF_FOR: u64 = LONG_WINDOW;
/// A peer out of reach has this much time to be found by stand-ins: one that has no path gives its seat up after eleven seconds, and the next dials and tells.
const OUT_OF_REACH_WINDOW: u64 = 15 * SECOND;

/// The peers that somebody lost or nobody reaches, and until when each may be found again.
#[derive(Debug, Default)]
pub(crate) struct Refutations {
    lost: BTreeMap<PeerId, Window>,
    unreachable: BTreeMap<PeerId, Time>,
    in_reach: usize,
    /// When more members than before came into reach: beyond a cut, or because this peer began.
    grew: Option<Time>,
    deadline: Option<Time>,
}

#[derive(Debug)]
struct Window {
    until: Time,
    /// The same where nobody contests the losses and this peer was not cut off.
    at_least: Time,
    /// Until when it is open while an observer contests the losses.
    if_contested: Time,
    /// Until when it is open if this peer turns out to have been cut off from several subjects.
    if_cut_off: Time,
    /// The same if one alone returned, which may just as well have restarted: late reports count.
    if_one_returned: Time,
    unanimous: bool,
    /// The losses that were known.
    known: Vec<Version>,
    /// The peer was called lost after it, and no later sign opens it again.
    closed: bool,
}

impl Refutations {
    /// When the next window of a peer that the records call lost or out of reach closes.
    pub(crate) const fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Takes in an evaluation of the members `judged`, all if there is none, and the `losses` that it rests on. Gives back `judged` with those whose window closed.
    ///
    /// `now_ms` is this peer's hybrid time in milliseconds, `signs` says of how many subjects that this peer had lost there were signs of life within [`CUT_OFF_FOR`].
    pub(crate) fn update(
        &mut self,
        evaluation: &mut Evaluation,
        roster: &Roster,
        judged: Option<BTreeSet<u32>>,
        losses: &Losses,
        (now, now_ms): (Time, u64),
        signs: usize,
    ) -> Option<BTreeSet<u32>> {
        self.forget_found(roster, judged.as_ref(), losses);
        if judged.is_none() {
            self.count_reachable(evaluation, now);
        }
        let grew = self.grew.is_some_and(|grew| now.since(grew) <= CUT_OFF_FOR);
        let returned = signs.max(usize::from(grew));
        for (index, loss) in losses {
            let Some(peer) = roster.member(*index).map(Member::id) else { continue };
            let window = self.lost.entry(peer).or_insert_with(|| Window::new(now));
            window.update(loss, (now, now_ms));
        }
        self.lost.values_mut().for_each(|window| window.move_end(returned));
        self.note_unreachable(evaluation, roster, judged.as_ref(), now);
        self.close_windows(evaluation, roster, now);
        let open = self.open_windows(evaluation, roster, now);
        self.deadline = open.values().min().copied();
        let before = evaluation.await_refutation(open.keys().copied().collect());
        judged.map(|mut judged| {
            judged.extend(before.into_iter().filter(|index| !open.contains_key(index)));
            judged
        })
    }

    /// Forgets those that nobody lost any more.
    fn forget_found(&mut self, roster: &Roster, judged: Option<&BTreeSet<u32>>, losses: &Losses) {
        let Some(judged) = judged else {
            self.lost.retain(|peer, _| {
                roster.index_of(peer).is_some_and(|index| losses.contains_key(&index))
            });
            return;
        };
        let found = judged.iter().filter(|index| !losses.contains_key(index));
        for member in found.filter_map(|index| roster.member(*index)) {
            self.lost.remove(&member.id());
        }
    }

    fn count_reachable(&mut self, evaluation: &Evaluation, now: Time) {
        let in_reach = evaluation.reachable.iter().filter(|reachable| **reachable).count();
        if in_reach > self.in_reach {
            self.grew = Some(now);
        }
        self.in_reach = in_reach;
    }

    /// A peer that had been called lost does not become more likely to be found when its last observers go; nor does any where there is nobody to stand in for them.
    fn note_unreachable(
        &mut self,
        evaluation: &Evaluation,
        roster: &Roster,
        judged: Option<&BTreeSet<u32>>,
        now: Time,
    ) {
        let too_few = self.in_reach < DOWN_QUORUM;
        let mut note = |index: u32| {
            let Some(peer) = roster.member(index).map(Member::id) else { return };
            if !evaluation.is_unreachable(index) {
                self.unreachable.remove(&peer);
                return;
            }
            let known_lost = self.lost.get(&peer).is_some_and(|window| window.until <= now);
            let hopeless = known_lost || too_few;
            let until = if hopeless { now } else { now.plus(OUT_OF_REACH_WINDOW) };
            self.unreachable.entry(peer).or_insert(until);
        };
        match judged {
            Some(judged) => judged.iter().copied().for_each(note),
            None => {
                (0u32..).zip(roster.members()).for_each(|(index, _)| note(index));
                self.unreachable.retain(|peer, _| roster.index_of(peer).is_some());
            }
        }
    }

    fn close_windows(&mut self, evaluation: &Evaluation, roster: &Roster, now: Time) {
        for (peer, window) in &mut self.lost {
            let is_lost = || roster.index_of(peer).is_some_and(|index| evaluation.is_lost(index));
            window.closed = window.closed || (window.until <= now && is_lost());
        }
    }

    /// Members that the records call lost or out of reach and that may still be found again, and until when.
    fn open_windows(
        &self,
        evaluation: &Evaluation,
        roster: &Roster,
        now: Time,
    ) -> BTreeMap<u32, Time> {
        let lost = self.lost.iter().map(|(peer, window)| (peer, window.until));
        let lost = lost.filter(|(_, until)| *until > now);
        let lost = lost.filter_map(|(peer, until)| Some((roster.index_of(peer)?, until)));
        let lost = lost.filter(|(index, _)| evaluation.is_lost(*index));
        let unreachable = self.unreachable.iter().filter(|(_, until)| **until > now);
        let unreachable =
            unreachable.filter_map(|(peer, until)| Some((roster.index_of(peer)?, *until)));
        lost.chain(unreachable).collect()
    }
}

impl Window {
    fn new(now: Time) -> Self {
        Self {
            until: now,
            at_least: now.plus(WINDOW),
            if_contested: now,
            if_cut_off: now,
            if_one_returned: now,
            unanimous: false,
            known: Vec::new(),
            closed: false,
        }
    }

    fn update(&mut self, loss: &Loss, (now, now_ms): (Time, u64)) {
        self.unanimous = loss.unanimous;
        let mut news = loss.since.iter().filter(|since| !self.known.contains(since)).peekable();
        if news.peek().is_some() {
            self.if_cut_off = now.plus(LONG_WINDOW);
            self.closed = false;
        }
        let undecided = self.known.len() < DOWN_QUORUM;
        if undecided && news.any(|since| since.ms().saturating_add(LATE_MS) < now_ms) {
            self.at_least = now.plus(LATE_WINDOW);
            self.if_contested = self.if_contested.max(now.plus(LONG_WINDOW));
            self.if_one_returned = now.plus(LONG_WINDOW);
        }
        self.known.clone_from(&loss.since);
    }

    fn move_end(&mut self, returned: usize) {
        let contested = if self.unanimous { self.at_least } else { self.if_contested };
        let cut_off = match returned {
            1 if !self.closed => self.if_one_returned,
            2.. if !self.closed => self.if_cut_off,
            _ => self.at_least,
        };
        self.until = self.at_least.max(contested).max(cut_off);
    }
}
