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
/// A report that had taken longer, in milliseconds, when it came here is from beyond what was a partition, or this peer did not run: broadcasts reach everybody in half of that.
const LATE_MS: u64 = 1_000;
/// The same where most edges lose packets: at a loss of a quarter a broadcast takes four seconds to reach everybody.
const LATE_IF_LOSSY_MS: u64 = 5_000;
/// Observers lose a peer that crashed within a few seconds of each other. Losses further apart, in milliseconds, while others hear the peer, are bad paths of some observers and a lossy moment of another.
const APART_MS: u64 = 5_000;
/// Such a peer may be found again for this long after the report that makes the quorum, while the losses are contested: a lossy moment hardly lasts longer.
const APART_WINDOW: u64 = 2 * SECOND;
/// Whoever had a sign of life from a lost subject within this, or came into reach of more members, may have been cut off from the author of a report: as long as such a report counts.
pub(crate) const CUT_OFF_FOR: u64 = LONG_WINDOW;
/// A peer out of reach has this much time to be found by stand-ins: one that has no path gives its seat up after eleven seconds, and the next dials and tells.
const OUT_OF_REACH_WINDOW: u64 = 15 * SECOND;

/// Reports of losses before this, in Unix milliseconds, that come at `now_ms` were late. Where packets are lost on most edges, `lossy`, a report may take seconds.
pub(crate) const fn late_before_ms(now_ms: u64, lossy: bool) -> u64 {
    now_ms.saturating_sub(if lossy { LATE_IF_LOSSY_MS } else { LATE_MS })
}

/// What this peer knows when it evaluates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) now: Time,
    /// Of how many subjects that it had lost there were signs of life within [`CUT_OFF_FOR`].
    pub(crate) signs: usize,
    /// Whether most of its edges lose packets all the time.
    pub(crate) lossy: bool,
    /// Until when this peer looks for others on its side of a partition.
    pub(crate) search_ends: Option<Time>,
}

/// The peers that somebody lost or nobody reaches, and until when each may be found again.
#[derive(Debug, Default)]
pub(crate) struct Refutations {
    lost: BTreeMap<PeerId, Window>,
    /// `None` for those of whom nobody expects it.
    unreachable: BTreeMap<PeerId, Option<Time>>,
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
    pub(crate) fn update(
        &mut self,
        evaluation: &mut Evaluation,
        roster: &Roster,
        judged: Option<BTreeSet<u32>>,
        losses: &Losses,
        around: Circumstances,
    ) -> Option<BTreeSet<u32>> {
        let Circumstances { now, signs, lossy, .. } = around;
        self.forget_found(roster, judged.as_ref(), losses);
        if judged.is_none() {
            self.count_reachable(evaluation, now);
        }
        let grew = self.grew.is_some_and(|grew| now.since(grew) <= CUT_OFF_FOR);
        let returned = match lossy {
            false => signs.max(usize::from(grew)),
            // Edges that are lost and found say nothing there, unless many are at one time.
            true if signs < DOWN_QUORUM => 0,
            true => signs,
        };
        for (index, loss) in losses {
            let Some(peer) = roster.member(*index).map(Member::id) else { continue };
            let window = self.lost.entry(peer).or_insert_with(|| Window::new(now));
            window.update(loss, around);
        }
        self.lost.values_mut().for_each(|window| window.move_end(returned));
        self.note_unreachable(evaluation, roster, judged.as_ref(), now);
        self.close_windows(evaluation, roster, now);
        let open = self.open_windows(evaluation, roster, around);
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
        // Of a large mesh hardly anybody may be in reach for a moment, while its rings close.
        let present = roster.members().iter().filter(|member| !member.left);
        let too_few = present.take(DOWN_QUORUM + 1).count() <= DOWN_QUORUM;
        let mut note = |index: u32| {
            let Some(peer) = roster.member(index).map(Member::id) else { return };
            if !evaluation.is_unreachable(index) {
                self.unreachable.remove(&peer);
                return;
            }
            let known_lost = self.lost.get(&peer).is_some_and(|window| window.until <= now);
            let hopeless = known_lost || too_few;
            let until = (!hopeless).then(|| now.plus(OUT_OF_REACH_WINDOW));
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
        Circumstances { now, search_ends, .. }: Circumstances,
    ) -> BTreeMap<u32, Time> {
        let lost = self.lost.iter().map(|(peer, window)| (peer, window.until));
        let lost = lost.filter(|(_, until)| *until > now);
        let lost = lost.filter_map(|(peer, until)| Some((roster.index_of(peer)?, until)));
        let lost = lost.filter(|(index, _)| evaluation.is_lost(*index));
        // Who is looked for may be found until the search is over.
        let searched = search_ends.unwrap_or_default();
        let unreachable = self.unreachable.iter().filter_map(|(peer, until)| {
            Some((roster.index_of(peer)?, until.as_ref()?.max(&searched)))
        });
        let unreachable = unreachable.filter(|(_, until)| **until > now);
        let unreachable = unreachable.map(|(index, until)| (index, *until));
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

    fn update(&mut self, loss: &Loss, Circumstances { now, lossy, .. }: Circumstances) {
        let nearly = lossy && loss.reports.len() > DOWN_QUORUM;
        self.unanimous = loss.unanimous || nearly;
        let mut news =
            loss.reports.iter().filter(|report| !self.known.contains(&report.since)).peekable();
        if news.peek().is_some() {
            self.if_cut_off = now.plus(LONG_WINDOW);
            self.closed = false;
        }
        let undecided = self.known.len() < DOWN_QUORUM;
        let since = || loss.reports.iter().map(|report| report.since);
        let apart = |(first, last): (Version, Version)| last.ms() - first.ms() > APART_MS;
        if undecided && news.peek().is_some() && since().min().zip(since().max()).is_some_and(apart)
        {
            self.if_contested = self.if_contested.max(now.plus(APART_WINDOW));
        }
        if undecided && lossy && news.peek().is_some() {
            self.if_contested = self.if_contested.max(now.plus(LONG_WINDOW));
        }
        if undecided && news.any(|report| report.late) {
            self.at_least = now.plus(LATE_WINDOW);
            self.if_contested = self.if_contested.max(now.plus(LONG_WINDOW));
            self.if_one_returned = now.plus(LONG_WINDOW);
        }
        self.known = since().collect();
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

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::membership::state::LossReport;

    /// This peer's time when the report comes.
    const NOW: Time = Time(100 * SECOND);

    fn around(lossy: bool) -> Circumstances {
        Circumstances { now: NOW, signs: 0, lossy, search_ends: None }
    }

    fn loss(reports: &[(u64, bool)], unanimous: bool) -> Loss {
        let reports =
            reports.iter().map(|&(ms, late)| LossReport { since: Version::at_ms(ms), late });
        Loss { reports: reports.collect(), unanimous }
    }

    /// How long the window of a peer stays open after a report.
    fn open_for(late: bool, unanimous: bool, returned: usize) -> u64 {
        let mut window = Window::new(NOW);
        window.update(&loss(&[(1, late)], unanimous), around(false));
        window.move_end(returned);
        window.until.since(NOW)
    }

    #[test]
    fn a_report_that_came_at_once_keeps_the_window_short() {
        assert_eq!(open_for(false, false, 0), WINDOW);
    }

    #[test]
    fn a_late_report_keeps_it_open_for_longer_the_more_so_if_an_observer_contests_it() {
        assert_eq!(open_for(true, true, 0), LATE_WINDOW);
        assert_eq!(open_for(true, false, 0), LONG_WINDOW);
    }

    #[test]
    fn where_packets_are_lost_a_report_may_take_seconds_and_is_not_late() {
        assert_eq!(late_before_ms(1_000_000, false), 999_000);
        assert_eq!(late_before_ms(1_000_000, true), 995_000);
    }

    #[test]
    fn where_packets_are_lost_three_losses_are_waited_for_and_four_are_not() {
        let open_for = |losses: usize| {
            let mut window = Window::new(NOW);
            window.update(&loss(&vec![(1, false); losses], false), around(true));
            window.move_end(0);
            window.until.since(NOW)
        };
        assert_eq!((open_for(3), open_for(4)), (LONG_WINDOW, WINDOW));
    }

    #[test]
    fn who_was_cut_off_waits_after_any_report_and_who_saw_one_return_after_late_ones() {
        assert_eq!(open_for(false, true, 1), WINDOW);
        assert_eq!(open_for(true, true, 1), LONG_WINDOW);
        assert_eq!(open_for(false, true, 2), LONG_WINDOW);
    }

    #[test]
    fn a_loss_long_after_others_is_waited_for_while_it_is_contested() {
        let open_for = |since_ms: [u64; 3], unanimous| {
            let mut window = Window::new(NOW);
            let reports = since_ms.map(|ms| (ms, false));
            window.known = reports[..2].iter().map(|(ms, _)| Version::at_ms(*ms)).collect();
            window.update(&loss(&reports, unanimous), around(false));
            window.move_end(0);
            window.until.since(NOW)
        };
        assert_eq!(open_for([1_000, 6_000, 31_000], false), APART_WINDOW);
        assert_eq!(open_for([1_000, 6_000, 31_000], true), WINDOW);
        assert_eq!(open_for([1_000, 1_400, 1_900], false), WINDOW);
    }

    #[test]
    fn a_window_that_closed_opens_for_a_new_report_alone() {
        let mut window = Window::new(NOW);
        window.update(&loss(&[(1_000, false)], true), around(false));
        window.closed = true;
        window.move_end(2);
        assert_eq!(window.until, NOW.plus(WINDOW));
        window.update(&loss(&[(1_000, false), (999, false)], true), around(false));
        window.move_end(2);
        assert_eq!(window.until, NOW.plus(LONG_WINDOW));
    }
}
