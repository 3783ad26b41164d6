//! How long it takes until all know that a peer fell silent.

use std::collections::{BTreeMap, BTreeSet};

use plexmesh_proto::membership::state::{DOWN_QUORUM, PeerState};
use plexmesh_proto::types::Time;

use super::ledger::{Ledger, Place, seconds, seconds_of};
use super::truth::{self, Truth};
use crate::history::Change;
use crate::measure::quantile;
use crate::report::{Check, Detection};
use crate::scenario::Span;
use crate::world::World;

/// Watches who knows of which crash.
#[derive(Debug, Default)]
pub(crate) struct Detections {
    bound: Option<Span>,
    /// Of every subject that is silent now: its place among the cases.
    open: BTreeMap<usize, usize>,
    cases: Vec<Case>,
    late: Ledger,
}

/// One crash.
#[derive(Debug)]
struct Case {
    subject: usize,
    at: Time,
    /// Who knows it, since when.
    knows: BTreeMap<usize, Time>,
    /// Who is to know it and does not yet. `None` before anybody looked.
    waits: Option<BTreeSet<usize>>,
    /// States that mean that it is known.
    known_as: Vec<PeerState>,
    fate: Fate,
    is_late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    KnownToAll,
    /// The subject came back before all knew.
    CameBack,
    /// Nobody who knew it was left to notice.
    NobodyAround,
}

impl Detections {
    pub(crate) fn new(bound: Option<Span>) -> Self {
        Self { bound, ..Self::default() }
    }

    /// A peer fell silent.
    pub(crate) fn fell_silent(&mut self, subject: usize, at: Time) {
        self.returned(subject);
        self.open.insert(subject, self.cases.len());
        self.cases.push(Case {
            subject,
            at,
            knows: BTreeMap::new(),
            waits: None,
            known_as: vec![PeerState::Down, PeerState::Left],
            fate: Fate::Open,
            is_late: false,
        });
    }

    /// A silent peer is back.
    pub(crate) fn returned(&mut self, subject: usize) {
        if let Some(case) = self.open.remove(&subject).and_then(|place| self.cases.get_mut(place))
            && case.fate == Fate::Open
        {
            case.fate = Fate::CameBack;
        }
    }

    /// Takes in what changed since the last look, and who may be waited for.
    pub(crate) fn look(&mut self, changes: &[Change], world: &World, truths: &[Truth]) {
        if self.open.is_empty() {
            return;
        }
        let open: Vec<usize> = self.open.values().copied().collect();
        for place in &open {
            if let Some(case) = self.cases.get_mut(*place).filter(|case| case.waits.is_none()) {
                case.begin(world, truths);
            }
        }
        for change in changes {
            let place = self.open.get(&change.subject);
            if let Some(case) = place.and_then(|place| self.cases.get_mut(*place)) {
                case.learn(change);
            }
        }
        for place in open {
            let Some(case) = self.cases.get_mut(place) else { continue };
            if case.fate == Fate::Open {
                case.settle(world, truths);
                case.judge(self.bound, world.time(), &mut self.late);
            }
        }
    }

    /// Every crash that was looked at.
    pub(crate) fn report(&self) -> Vec<Detection> {
        self.cases.iter().map(Case::report).collect()
    }

    pub(crate) fn check(&self) -> Check {
        let known = self.cases.iter().filter(|case| case.fate == Fate::KnownToAll);
        let took: Vec<f64> = known.filter_map(|case| case.report().all_seconds).collect();
        let back = self.cases.iter().filter(|case| case.fate == Fate::CameBack).count();
        let not_known = self.cases.iter().filter(|case| case.fate == Fate::Open).count();
        let mut measured = match quantile::sorted(took) {
            took if self.cases.is_empty() || took.is_empty() => {
                format!("{} of {} known to all", took.len(), self.cases.len())
            }
            took => format!(
                "{} of {} known to all: p50 {:.2} s, p99 {:.2} s, latest {:.2} s",
                took.len(),
                self.cases.len(),
                quantile::quantile(&took, 0.5),
                quantile::quantile(&took, 0.99),
                quantile::quantile(&took, 1.0),
            ),
        };
        if back > 0 {
            measured += &format!("; {back} came back before");
        }
        if not_known > 0 {
            measured += &format!("; {not_known} not known to all when the run ended");
        }
        let bound = self.bound.map(|bound| bound.to_string());
        self.late.check("detection", measured, bound)
    }
}

impl Case {
    /// Decides who is to know: all that run unimpaired since before the crash, in reach of where
    /// the subject was. Some may think it down already.
    fn begin(&mut self, world: &World, truths: &[Truth]) {
        let mut waits: BTreeSet<usize> = (0..truths.len()).collect();
        waits.retain(|&host| host != self.subject && self.is_awaited(host, world, truths));
        if waits.len() < DOWN_QUORUM {
            // Fewer cannot declare a peer down, by the rules of the mesh.
            self.known_as.push(PeerState::Unreachable);
        }
        if truth::is_intermittent(world, self.subject) {
            self.known_as.push(PeerState::Asleep);
        }
        let Some(subject) = world.peer_id(self.subject) else { return };
        let state = |host: usize| world.node(host).and_then(|node| node.state_of(&subject));
        // A newcomer is missed by those that have heard of it.
        waits.retain(|&host| state(host).is_some());
        let known_as = &self.known_as;
        let knew = |host: &usize| state(*host).is_some_and(|state| known_as.contains(&state));
        self.knows = waits.iter().filter(|host| knew(host)).map(|host| (*host, self.at)).collect();
        waits.retain(|host| !self.knows.contains_key(host));
        self.waits = Some(waits);
    }

    fn is_awaited(&self, host: usize, world: &World, truths: &[Truth]) -> bool {
        let truth = truths.get(host).copied().unwrap_or_default();
        let unimpaired = truth.well_since.is_some_and(|since| since <= self.at);
        truth.counts() && unimpaired && world.parted_since(host, self.subject).is_none()
    }

    fn learn(&mut self, change: &Change) {
        let Some(waits) = &mut self.waits else { return };
        let of_itself = change.observer == self.subject;
        if change.at < self.at || self.fate != Fate::Open || of_itself {
            return;
        }
        if self.known_as.contains(&change.to) {
            // The first look comes after changes that it finds already made.
            let known = self.knows.entry(change.observer).or_insert(change.at);
            *known = (*known).max(change.at);
            waits.remove(&change.observer);
        } else if self.knows.remove(&change.observer).is_some() {
            waits.insert(change.observer);
        }
    }

    /// Waits no longer for those that stopped, fell ill or were parted meanwhile.
    fn settle(&mut self, world: &World, truths: &[Truth]) {
        let Some(mut waits) = self.waits.take() else { return };
        waits.retain(|&host| self.is_awaited(host, world, truths));
        if waits.is_empty() {
            let nobody = self.knows.is_empty();
            self.fate = if nobody { Fate::NobodyAround } else { Fate::KnownToAll };
        }
        self.waits = Some(waits);
    }

    fn judge(&mut self, bound: Option<Span>, now: Time, late: &mut Ledger) {
        let Some(bound) = bound.map(Span::micros) else { return };
        let last = self.knows.values().max().copied();
        let took = match (self.fate, last) {
            (Fate::KnownToAll, Some(last)) => last.since(self.at),
            _ => now.since(self.at),
        };
        let waits = self.waits.as_ref().map_or(0, BTreeSet::len);
        if took <= bound || self.is_late || self.fate == Fate::NobodyAround {
            return;
        }
        self.is_late = true;
        let example = self.waits.as_ref().and_then(|waits| waits.first().copied());
        let place = Place { observer: example, subject: Some(self.subject) };
        late.note(now, place, || match self.fate {
            Fate::Open => format!("{waits} peers have not noticed it {:.1} s on", seconds_of(took)),
            _ => format!("the last peer noticed it {:.2} s on", seconds_of(took)),
        });
    }

    fn report(&self) -> Detection {
        let after = |at: &Time| seconds_of(at.since(self.at));
        let each = quantile::sorted(self.knows.values().map(after).collect());
        Detection {
            subject: self.subject,
            at_seconds: seconds(self.at),
            first_seconds: each.first().copied(),
            all_seconds: each.last().copied().filter(|_| self.fate == Fate::KnownToAll),
            each_seconds: each,
            unaware: self.waits.as_ref().map_or(0, BTreeSet::len),
        }
    }
}
