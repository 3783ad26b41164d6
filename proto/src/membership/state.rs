//! Peer states: a pure function of the records and of the component of the peer that evaluates.
//!
//! No timer, no arrival order and no measurement of the evaluating peer enters the rules here: two peers of one component with the same records judge alike. The one exception is laid over the
//! result from outside: who was lost a moment ago is shown as suspect until its window to be found again has closed (`refutation`).

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::record::{Availability, EdgeStatus, LinkEdge};
use crate::roster::{Member, Refreshed, Roster, Sighting};
use crate::types::{SECOND, Version};

mod seating;

pub(crate) use seating::Seating;

/// Observers that must have lost a peer before it is down: three, so that two broken or lying ones change nothing.
pub const DOWN_QUORUM: usize = 3;
/// Losses within the flap window from which most observers call a peer flapping.
pub const FLAPS_TO_FLAPPING: u32 = 3;
/// Losses are counted within this window, in microseconds: long enough that an operator who is woken still sees why.
pub const FLAP_WINDOW: u64 = 600 * SECOND;

/// What the mesh thinks of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerState {
    /// Its observers hear it.
    Up,
    /// An observer is checking an unusual silence.
    Suspect,
    /// It is lost and found too often, or claims to live while observers lost it.
    Flapping,
    /// Expected to sleep, and silent for less than its grace.
    Asleep,
    /// Nobody here can say: too few observers on this side.
    Unreachable,
    /// Lost by enough observers.
    Down,
    /// It said good-bye.
    Left,
}

/// Which rule gave a peer its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The evaluating peer itself.
    Myself,
    /// It published a `Leave`.
    SaidGoodBye,
    /// Most of its observers hear it.
    Heard,
    /// Somebody in the component hears it, its assigned observers have not reported yet.
    HeardByOthers,
    /// An observer is checking.
    BeingChecked,
    /// At least three observers, and more than half of those able to see it, lost it.
    LostByQuorum,
    /// Lost by a quorum, yet it published something later.
    LostButSpeaks,
    /// Lost by a quorum, or out of reach, since a moment ago, or looked for on a small side: it may still be found again.
    MayBeFound,
    /// Most observers lost it repeatedly within the flap window.
    FlapCount,
    /// Most observers have heard it for a while with many answers missing or a second late, or lost it.
    PoorPaths,
    /// Lost by a quorum or out of reach, intermittent, within its grace.
    WithinSleepGrace,
    /// Lost, but fewer than three observers are able to see it.
    TooFewObservers,
    /// No observer on this side has ever heard it: the other side of a partition, or a newcomer.
    NoObserverHere,
    /// No link that a reachable member reports as heard leads to it.
    NoPathFromHere,
}

/// An observer's duty to watch a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The observer's roster index.
    pub observer: u32,
    /// The ring that gives it the duty.
    pub ring: u8,
    /// Nearer predecessors that were passed over because they are out of reach or have no path.
    pub passed_over: u16,
}

/// The judgement of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Its state.
    pub state: PeerState,
    /// The rule that gave it.
    pub reason: Reason,
    /// When the youngest of the losses that the state rests on was reported; `None` if it rests on none.
    pub since: Option<Version>,
    /// Who is to watch it.
    pub seats: Vec<Seat>,
    /// Observers in reach that a seat passed over because they have no path; they go on trying.
    pub without_path: Vec<u32>,
    /// Those of [`Self::seats`] whose word against it does not count: they miss more of their subjects than they hear, and another observer hears it.
    pub set_aside: Vec<u32>,
}

/// All peers as seen from one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// Per roster index: whether it is reachable over links that reachable members report as heard.
    pub reachable: Vec<bool>,
    /// Per roster index.
    states: Vec<(PeerState, Reason)>,
    /// Members that are lost by a quorum or out of reach, and may still be found again.
    awaited: BTreeSet<u32>,
}

impl Evaluation {
    /// Whether the member at `index` is in the component.
    #[must_use]
    pub fn is_reachable(&self, index: u32) -> bool {
        self.reachable.get(index as usize).copied().unwrap_or(false)
    }

    /// The state of the member at `index`, and the rule that gave it.
    #[must_use]
    pub fn state(&self, index: u32) -> Option<(PeerState, Reason)> {
        let state = self.states.get(index as usize).copied();
        state.map(|state| self.unless_awaited(index, state))
    }

    /// Whether the records say that a quorum lost the member at `index`.
    pub(super) fn is_lost(&self, index: u32) -> bool {
        self.states.get(index as usize).is_some_and(|(state, reason)| {
            *state == PeerState::Down || *reason == Reason::LostButSpeaks
        })
    }

    /// Whether the records say that the member at `index` is out of reach.
    pub(super) fn is_unreachable(&self, index: u32) -> bool {
        self.states.get(index as usize).is_some_and(|(state, _)| *state == PeerState::Unreachable)
    }

    /// Sets which of the members that are lost or out of reach may still be found again; gives which could so far.
    pub(super) fn await_refutation(&mut self, awaited: BTreeSet<u32>) -> BTreeSet<u32> {
        core::mem::replace(&mut self.awaited, awaited)
    }

    fn unless_awaited(&self, index: u32, state: (PeerState, Reason)) -> (PeerState, Reason) {
        if self.awaited.contains(&index) { (PeerState::Suspect, Reason::MayBeFound) } else { state }
    }

    /// The states of all members, parallel to the roster.
    pub fn states(&self) -> impl Iterator<Item = PeerState> + '_ {
        (0..).zip(&self.states).map(|(index, state)| self.unless_awaited(index, *state).0)
    }

    /// The whole judgement of the member at `index` of the roster that was evaluated.
    #[must_use]
    pub fn judgement(&self, roster: &Roster, index: u32) -> Option<Judgement> {
        let (state, reason) = self.state(index)?;
        let seating = Seating::of(roster, &self.reachable);
        Some(judgement(roster, &seating, index, state, reason))
    }

    /// Members that are not in the component.
    pub(crate) fn unreachable(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.reachable).filter(|(_, reachable)| !**reachable).map(|(index, _)| index)
    }

    /// The whole judgements of all members, parallel to the roster that was evaluated.
    #[must_use]
    pub fn judgements(&self, roster: &Roster) -> Vec<Judgement> {
        let indices: Vec<u32> = (0..).zip(&self.states).map(|(index, _)| index).collect();
        self.judgements_of(roster, &indices).map(|(_, judgement)| judgement).collect()
    }

    /// The whole judgements of some members of the roster that was evaluated.
    pub(crate) fn judgements_of<'a>(
        &'a self,
        roster: &'a Roster,
        indices: &'a [u32],
    ) -> impl Iterator<Item = (u32, Judgement)> + 'a {
        let seating = Seating::of(roster, &self.reachable);
        indices.iter().filter_map(move |&index| {
            let (state, reason) = self.state(index)?;
            Some((index, judgement(roster, &seating, index, state, reason)))
        })
    }
}

/// Members that observers with a seat lost, by roster index.
pub type Losses = BTreeMap<u32, Loss>;

/// What the observers that lost a member say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// One report of each of them.
    pub reports: Vec<LossReport>,
    /// Nobody with a seat and a path still hears it, or is checking.
    pub unanimous: bool,
}

/// What one observer that lost a member says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossReport {
    /// When it lost it.
    pub since: Version,
    /// The report had been on its way for long when it came here.
    pub late: bool,
}

/// Judges every member of a refreshed roster as `me` sees it.
#[must_use]
pub fn evaluate(roster: &Roster, me: u32) -> Evaluation {
    let mut evaluation = Evaluation::default();
    let everything = Refreshed { rebuilt: true, ..Refreshed::default() };
    reevaluate(&mut evaluation, roster, me, &everything, &mut Losses::new());
    evaluation
}

/// Brings an evaluation up to date with a roster that was refreshed once since; gives the members that were judged anew, `None` for all, and adds to `losses` when each of those that somebody lost was lost.
///
/// Equal to [`evaluate`], but cheap where little changed: a judgement rests on the reports of a member's observers, and who they are on who is reachable.
pub fn reevaluate(
    evaluation: &mut Evaluation,
    roster: &Roster,
    me: u32,
    refreshed: &Refreshed,
    losses: &mut Losses,
) -> Option<BTreeSet<u32>> {
    let fresh = evaluation.states.len() != roster.members().len();
    let mut all = refreshed.rebuilt || fresh;
    if all || refreshed.relinked {
        let reachable = component(roster, me);
        all |= reachable != evaluation.reachable;
        evaluation.reachable = reachable;
    }
    let seating = Seating::of(roster, &evaluation.reachable);
    let mut judge = |index: u32| {
        let (seats, _) = seating.seats(index);
        let seen = Sightings::collect(roster, &seats, index);
        if !seen.lost.is_empty() {
            let reports = seen.lost.iter().map(|(edge, late)| {
                let since = edge.since;
                LossReport { since, late: *late }
            });
            let unanimous = seen.able() == seen.lost.len();
            losses.insert(index, Loss { reports: reports.collect(), unanimous });
        }
        let in_reach = evaluation.reachable.get(index as usize).copied().unwrap_or(false);
        judge(roster, index, &seen, index == me, in_reach)
    };
    if all {
        evaluation.states = (0..).zip(roster.members()).map(|(index, _)| judge(index)).collect();
        return None;
    }
    for &index in &refreshed.affected {
        let judged = judge(index);
        if let Some(state) = evaluation.states.get_mut(index as usize) {
            *state = judged;
        }
    }
    Some(refreshed.affected.clone())
}

fn judgement(
    roster: &Roster,
    seating: &Seating<'_>,
    index: u32,
    state: PeerState,
    reason: Reason,
) -> Judgement {
    let (seats, without_path) = seating.seats(index);
    let losses = seats.iter().filter_map(|seat| lost_edge(roster, seat.observer, index));
    let since = losses.map(|edge| edge.since).max();
    let set_aside = set_aside(roster, &seats, index);
    Judgement { state, reason, since, seats, without_path, set_aside }
}

fn lost_edge(roster: &Roster, observer: u32, subject: u32) -> Option<&LinkEdge> {
    roster.edge_to(observer, subject).filter(|edge| edge.status == EdgeStatus::Lost)
}

/// Observers with a seat whose word against a peer does not count: they miss more of their subjects than they hear, and another observer hears this one. Their own connection is the likelier cause.
fn set_aside(roster: &Roster, seats: &[Seat], subject: u32) -> Vec<u32> {
    let status = |seat: &Seat| roster.sighting(seat.observer, subject).map(Sighting::status);
    if !seats.iter().any(|seat| status(seat) == Some(EdgeStatus::Heard)) {
        return Vec::new();
    }
    let misses =
        |seat: &&Seat| matches!(status(seat), Some(EdgeStatus::Checking | EdgeStatus::Lost));
    let against = seats.iter().filter(misses).map(|seat| seat.observer);
    against.filter(|observer| misses_most(roster, *observer)).collect()
}

fn misses_most(roster: &Roster, observer: u32) -> bool {
    let (mut heard, mut missed) = (0, 0);
    for sighting in roster.sightings(observer) {
        match sighting.status() {
            EdgeStatus::Heard => heard += 1,
            EdgeStatus::Checking | EdgeStatus::Lost => missed += 1,
            EdgeStatus::NoPath => {}
        }
    }
    missed > heard
}

/// Who can be reached from `me` over links that reachable members report as heard.
///
/// A link leads from an observer to the subject that it hears; and from a subject back to an observer when both say that they hear each other.
fn component(roster: &Roster, me: u32) -> Vec<bool> {
    let mut reachable = alloc::vec![false; roster.members().len()];
    let mut queue = VecDeque::from([me]);
    if let Some(own) = reachable.get_mut(me as usize) {
        *own = true;
    }
    while let Some(index) = queue.pop_front() {
        let heard = roster.sightings(index).iter().filter(|sighting| sighting.is_heard());
        let subjects = heard.filter_map(|sighting| sighting.subject());
        let watchers = roster
            .watchers(index)
            .filter(|watcher| roster.sighting(*watcher, index).is_some_and(Sighting::is_heard));
        for next in subjects.chain(watchers) {
            if let Some(known) = reachable.get_mut(next as usize)
                && !*known
                && roster.member(next).is_some_and(|member| !member.left)
            {
                *known = true;
                queue.push_back(next);
            }
        }
    }
    reachable
}

/// What the observers in reach report of one peer.
#[derive(Default)]
struct Sightings<'a> {
    heard: usize,
    checking: usize,
    /// With whether the report was late.
    lost: Vec<(&'a LinkEdge, bool)>,
    flapping: usize,
    poor: usize,
}

impl<'a> Sightings<'a> {
    /// Counts the words of all seats but those that are set aside.
    fn collect(roster: &'a Roster, seats: &[Seat], subject: u32) -> Self {
        let mut seen = Self::default();
        let aside = set_aside(roster, seats, subject);
        for seat in seats.iter().filter(|seat| !aside.contains(&seat.observer)) {
            let Some(sighting) = roster.sighting(seat.observer, subject) else { continue };
            match sighting.status() {
                EdgeStatus::Heard => seen.heard += 1,
                EdgeStatus::Checking => seen.checking += 1,
                EdgeStatus::Lost => {
                    let edge = lost_edge(roster, seat.observer, subject);
                    seen.lost.extend(edge.map(|edge| (edge, sighting.is_late())));
                }
                EdgeStatus::NoPath => {}
            }
            seen.flapping += usize::from(sighting.flaps());
            seen.poor += usize::from(sighting.is_poor());
        }
        seen
    }

    /// Observers that have, or had, a path.
    fn able(&self) -> usize {
        self.heard + self.checking + self.lost.len()
    }

    fn is_majority(&self, count: usize) -> bool {
        2 * count > self.able()
    }
}

fn judge(
    roster: &Roster,
    index: u32,
    seen: &Sightings<'_>,
    myself: bool,
    in_reach: bool,
) -> (PeerState, Reason) {
    let Some(member) = roster.member(index) else {
        return (PeerState::Unreachable, Reason::NoObserverHere);
    };
    let lost = seen.lost.len();
    if member.left {
        return (PeerState::Left, Reason::SaidGoodBye);
    }
    if myself {
        return (PeerState::Up, Reason::Myself);
    }
    if lost >= DOWN_QUORUM && seen.is_majority(lost) {
        return judge_lost(member, seen);
    }
    if !in_reach {
        if may_sleep(member, seen) {
            return (PeerState::Asleep, Reason::WithinSleepGrace);
        }
        return match (seen.able(), lost) {
            (0, _) => (PeerState::Unreachable, Reason::NoObserverHere),
            (_, 0) => (PeerState::Unreachable, Reason::NoPathFromHere),
            _ => (PeerState::Unreachable, Reason::TooFewObservers),
        };
    }
    if seen.flapping >= 1 && seen.is_majority(seen.flapping) {
        return (PeerState::Flapping, Reason::FlapCount);
    }
    if seen.poor >= 1 && seen.is_majority(seen.poor + lost) {
        return (PeerState::Flapping, Reason::PoorPaths);
    }
    if seen.checking > 0 {
        return (PeerState::Suspect, Reason::BeingChecked);
    }
    if seen.heard > 0 {
        return (PeerState::Up, Reason::Heard);
    }
    (PeerState::Up, Reason::HeardByOthers)
}

fn judge_lost(member: &Member, seen: &Sightings<'_>) -> (PeerState, Reason) {
    let youngest = seen.lost.iter().map(|(edge, _)| edge.since).max().unwrap_or_default();
    if member.last_word() > youngest {
        (PeerState::Flapping, Reason::LostButSpeaks)
    } else if may_sleep(member, seen) {
        (PeerState::Asleep, Reason::WithinSleepGrace)
    } else {
        (PeerState::Down, Reason::LostByQuorum)
    }
}

/// Whether an intermittent peer that most observers lost is within its grace. One loss is enough where few can see it: laptops of one household sleep together and watch each other.
fn may_sleep(member: &Member, seen: &Sightings<'_>) -> bool {
    let intermittent =
        member.profile().is_some_and(|profile| profile.availability == Availability::Intermittent);
    let overdue = seen.lost.iter().filter(|(edge, _)| edge.sleep_grace_over).count();
    intermittent && seen.is_majority(seen.lost.len()) && !seen.is_majority(overdue)
}
