//! Peer states: a pure function of the records and of the component of the peer that evaluates.
//!
//! No timer, no arrival order and no measurement of the evaluating peer enters here. Two peers of one component with the same records see the same states.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::record::{Availability, EdgeStatus, LinkEdge};
use crate::ring::RINGS;
use crate::roster::{Member, Roster};
use crate::types::Version;

/// Observers that must have lost a peer before it is down: three, so that two broken or lying ones change nothing.
pub const DOWN_QUORUM: usize = 3;
/// Observers without a path that a seat passes over on one ring before it stays empty: a peer that three could not reach has a problem of its own.
const MAX_WITHOUT_PATH: usize = 3;
/// Losses within the flap window from which most observers call a peer flapping.
pub const FLAPS_TO_FLAPPING: u32 = 3;

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
    /// Most observers lost it repeatedly within the flap window.
    FlapCount,
    /// Lost by a quorum, intermittent, within its grace.
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
}

/// All peers as seen from one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// Per roster index: whether it is reachable over links that reachable members report as heard.
    pub reachable: Vec<bool>,
    /// Per roster index.
    pub judgements: Vec<Judgement>,
}

impl Evaluation {
    /// Whether the member at `index` is in the component.
    #[must_use]
    pub fn is_reachable(&self, index: u32) -> bool {
        self.reachable.get(index as usize).copied().unwrap_or(false)
    }

    /// The judgement of the member at `index`.
    #[must_use]
    pub fn judgement(&self, index: u32) -> Option<&Judgement> {
        self.judgements.get(index as usize)
    }
}

/// Judges every member of a refreshed roster as `me` sees it.
#[must_use]
pub fn evaluate(roster: &Roster, me: u32) -> Evaluation {
    let reachable = component(roster, me);
    let judgements = (0..)
        .zip(roster.members())
        .map(|(index, member)| {
            let (seats, without_path) = seats(roster, &reachable, index);
            let seen = Sightings::collect(roster, &seats, index);
            let here = index == me;
            let in_reach = reachable.get(index as usize).copied().unwrap_or(false);
            let (state, reason) = judge(member, &seen, here, in_reach);
            let since = seen.lost.iter().map(|edge| edge.since).max();
            Judgement { state, reason, since, seats, without_path }
        })
        .collect();
    Evaluation { reachable, judgements }
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
        let Some(member) = roster.member(index) else { continue };
        let heard = member.edges().filter(|(_, edge)| is_heard(edge)).map(|(subject, _)| subject);
        let watchers = member.watchers().filter(|watcher| {
            let edge = roster.member(*watcher).and_then(|watcher| watcher.edge_to(index));
            edge.is_some_and(is_heard)
        });
        for next in heard.chain(watchers) {
            let gone = roster.member(next).is_none_or(|member| member.left);
            if let Some(known) = reachable.get_mut(next as usize)
                && !gone
                && !*known
            {
                *known = true;
                queue.push_back(next);
            }
        }
    }
    reachable
}

const fn is_heard(edge: &LinkEdge) -> bool {
    matches!(edge.status, EdgeStatus::Heard | EdgeStatus::Checking)
}

/// On each ring the nearest reachable predecessor that has a path and no seat on a lower ring; and those passed over for want of a path.
fn seats(roster: &Roster, reachable: &[bool], subject: u32) -> (Vec<Seat>, Vec<u32>) {
    let mut seats: Vec<Seat> = Vec::with_capacity(RINGS);
    let mut without_path: Vec<u32> = Vec::new();
    if roster.member(subject).is_none_or(|member| member.left) {
        return (seats, without_path);
    }
    let is_reachable = |index: u32| reachable.get(index as usize).copied().unwrap_or(false);
    let has_no_path = |observer: u32| {
        let edge = roster.member(observer).and_then(|member| member.edge_to(subject));
        edge.is_some_and(|edge| edge.status == EdgeStatus::NoPath)
    };
    for (ring, ring_number) in (0..RINGS).zip(0u8..) {
        let (mut passed_over, mut no_path) = (0u16, 0);
        for observer in roster.rings().predecessors(ring, subject) {
            if seats.iter().any(|seat| seat.observer == observer) {
                continue;
            }
            if is_reachable(observer) && !has_no_path(observer) {
                seats.push(Seat { observer, ring: ring_number, passed_over });
                break;
            }
            passed_over = passed_over.saturating_add(1);
            if is_reachable(observer) {
                without_path.push(observer);
                no_path += 1;
            }
            if no_path == MAX_WITHOUT_PATH {
                break;
            }
        }
    }
    without_path.sort_unstable();
    without_path.dedup();
    (seats, without_path)
}

/// What the observers in reach report of one peer.
#[derive(Default)]
struct Sightings<'a> {
    heard: usize,
    checking: usize,
    lost: Vec<&'a LinkEdge>,
    flapping: usize,
}

impl<'a> Sightings<'a> {
    fn collect(roster: &'a Roster, seats: &[Seat], subject: u32) -> Self {
        let mut seen = Self::default();
        let edges = seats.iter().filter_map(|seat| roster.member(seat.observer)?.edge_to(subject));
        for edge in edges {
            match edge.status {
                EdgeStatus::Heard => seen.heard += 1,
                EdgeStatus::Checking => seen.checking += 1,
                EdgeStatus::Lost => seen.lost.push(edge),
                EdgeStatus::NoPath => {}
            }
            seen.flapping += usize::from(edge.flaps >= FLAPS_TO_FLAPPING);
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
    member: &Member,
    seen: &Sightings<'_>,
    myself: bool,
    in_reach: bool,
) -> (PeerState, Reason) {
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
        return match (seen.able(), lost) {
            (0, _) => (PeerState::Unreachable, Reason::NoObserverHere),
            (_, 0) => (PeerState::Unreachable, Reason::NoPathFromHere),
            _ => (PeerState::Unreachable, Reason::TooFewObservers),
        };
    }
    if seen.flapping >= 1 && seen.is_majority(seen.flapping) {
        return (PeerState::Flapping, Reason::FlapCount);
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
    let youngest = seen.lost.iter().map(|edge| edge.since).max().unwrap_or_default();
    let overdue = seen.lost.iter().filter(|edge| edge.sleep_grace_over).count();
    let intermittent =
        member.profile().is_some_and(|profile| profile.availability == Availability::Intermittent);
    if member.last_word > youngest {
        (PeerState::Flapping, Reason::LostButSpeaks)
    } else if intermittent && !seen.is_majority(overdue) {
        (PeerState::Asleep, Reason::WithinSleepGrace)
    } else {
        (PeerState::Down, Reason::LostByQuorum)
    }
}
