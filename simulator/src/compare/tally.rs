//! What is measured, by one definition for all protocols: the worlds differ, the questions do not.

use std::collections::BTreeMap;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::types::{SECOND, Time};

use super::detection::Cases;
use super::outcome::{Agreement, Detection, FalsePositives, Faulty};
use crate::check::{Outside, Phase, is_false};
use crate::history::{Change, History};
use crate::links::mix;
use crate::scenario::Phases;
use crate::script::Deed;
use crate::world::{Truth, micros};

/// A world as somebody outside sees it, and what its peers say.
pub(super) trait Mesh: Outside {
    /// Virtual time.
    fn now(&self) -> Time;
    /// How many peers there are.
    fn peers(&self) -> usize;
    /// Every change of a peer's mind.
    fn history(&self) -> &History;
    /// What one peer says of another one now; `None` if it does not run or does not know it.
    fn word(&self, observer: usize, subject: usize) -> Option<PeerState>;
    /// Shows everybody whom a peer holds to be gone.
    fn each_gone(&self, observer: usize, note: &mut dyn FnMut(usize));
    /// Of each peer, how many of these observers say that something is wrong with it.
    fn flagged(&self, observers: &[usize]) -> Vec<usize>;
}

/// Whether a state means that a peer is gone, as far as its observer can tell.
pub(super) const fn is_gone(state: PeerState) -> bool {
    matches!(state, PeerState::Down | PeerState::Unreachable)
}

/// A peer that has been well for less than this may still be flagged for what it was.
const NEWLY_WELL_US: u64 = 30 * SECOND;
/// How often it is asked who is flagged: the findings of a thousand peers cost up to a second of
/// work, and the ill are ill for minutes.
const BLAME_EVERY_US: u64 = 5 * SECOND;

/// Looks at a run once a second of virtual time.
#[derive(Debug)]
pub(super) struct Tally {
    phase: Phase,
    /// When the fault phase begins, and when it ends.
    fault_phase: (Time, Time),
    next_change: u64,
    cases: Cases,
    downs: Pairs,
    lesser: Pairs,
    first: Option<(Time, usize, usize)>,
    /// Who was flagged in the fault phase.
    blames: Vec<Blame>,
    blamed_at: Time,
    agreed_at: Option<Time>,
}

/// Who accused whom falsely.
#[derive(Debug)]
struct Pairs {
    accusations: u64,
    /// Row of an accuser, place of the accused.
    rows: Vec<Vec<bool>>,
}

impl Pairs {
    fn new(peers: usize) -> Self {
        Self { accusations: 0, rows: vec![vec![false; peers]; peers] }
    }

    fn add(&mut self, observer: usize, subject: usize) {
        self.accusations += 1;
        if let Some(place) = self.rows.get_mut(observer).and_then(|row| row.get_mut(subject)) {
            *place = true;
        }
    }

    fn has(&self, observer: usize, subject: usize) -> bool {
        let row = self.rows.get(observer);
        row.and_then(|row| row.get(subject)).copied().unwrap_or_default()
    }

    fn count(&self) -> usize {
        self.rows.iter().flatten().filter(|accused| **accused).count()
    }

    fn victims(&self) -> usize {
        let peers = 0..self.rows.len();
        peers.filter(|&peer| (0..self.rows.len()).any(|observer| self.has(observer, peer))).count()
    }
}

/// What was said of one peer in the fault phase, while it ran.
#[derive(Clone, Copy, Debug, Default)]
struct Blame {
    was_ill: bool,
    by_most: bool,
    by_any: bool,
}

/// How well the well peers agree now.
struct Consent {
    well: usize,
    agreeing: usize,
    is_truth: bool,
}

impl Tally {
    pub(super) fn new(peers: usize, phases: &Phases) -> Self {
        let (begin, end) = phases.fault_phase();
        Self {
            phase: Phase::Settle,
            fault_phase: (Time(micros(begin)), Time(micros(end))),
            next_change: 0,
            cases: Cases::default(),
            downs: Pairs::new(peers),
            lesser: Pairs::new(peers),
            first: None,
            blames: vec![Blame::default(); peers],
            blamed_at: Time(0),
            agreed_at: None,
        }
    }

    /// Something is done to the world at this time.
    pub(super) fn done(&mut self, deed: &Deed, at: Time) {
        match deed {
            Deed::Stop { hosts, .. } => {
                hosts.iter().for_each(|&host| self.cases.fell_silent(host, at));
            }
            Deed::Start { hosts, .. } => hosts.iter().for_each(|&host| self.cases.returned(host)),
            Deed::ComeAndGo { host, is_away: false, .. } => self.cases.fell_silent(*host, at),
            Deed::ComeAndGo { host, .. } => self.cases.returned(*host),
            _ => {}
        }
    }

    /// Looks; to be called once per second of virtual time, after it has passed.
    pub(super) fn look(&mut self, mesh: &impl Mesh) {
        let now = mesh.now();
        self.take_changes(mesh);
        match self.phase {
            Phase::Settle => {}
            Phase::Faults if now.since(self.blamed_at) >= BLAME_EVERY_US => {
                self.blamed_at = now;
                self.look_for_blame(mesh);
            }
            Phase::Faults => {}
            Phase::Healed => self.look_for_consent(mesh),
        }
        if self.phase == Phase::Settle && now >= self.fault_phase.0 {
            self.phase = Phase::Faults;
            // What was said falsely while nothing was judged, and still stands, is false too.
            self.judge_what_stands(mesh);
        }
        if self.phase == Phase::Faults && now >= self.fault_phase.1 {
            self.phase = Phase::Healed;
            self.look_for_consent(mesh);
        }
    }

    /// The run is over.
    pub(super) fn finish(
        mut self,
        mesh: &impl Mesh,
    ) -> (Detection, FalsePositives, Option<Faulty>, Agreement) {
        self.take_changes(mesh);
        self.judge_what_stands(mesh);
        let consent = consent(mesh);
        let agreement = Agreement {
            well: consent.well,
            agreeing: consent.agreeing as f64 / consent.well.max(1) as f64,
            is_truth: consent.is_truth,
            seconds_after_healing: self
                .agreed_at
                .map(|agreed| agreed.since(self.fault_phase.1) as f64 / 1e6),
        };
        (self.cases.report(), self.false_positives(), self.blamed(), agreement)
    }

    fn look_for_consent(&mut self, mesh: &impl Mesh) {
        let consent = consent(mesh);
        if consent.agreeing < consent.well {
            self.agreed_at = None;
        } else {
            self.agreed_at.get_or_insert(mesh.now());
        }
    }

    fn take_changes(&mut self, mesh: &impl Mesh) {
        let history = mesh.history();
        let changes = history.changes_from(self.next_change);
        self.next_change = history.next_number();
        self.cases.look(changes, mesh);
        if self.phase != Phase::Settle {
            changes.iter().for_each(|change| self.judge(change, mesh));
        }
    }

    fn judge(&mut self, change: &Change, mesh: &impl Mesh) {
        if !is_false(change, mesh) {
            return;
        }
        if change.to != PeerState::Down {
            self.lesser.add(change.observer, change.subject);
            return;
        }
        self.first.get_or_insert((change.at, change.observer, change.subject));
        self.downs.add(change.observer, change.subject);
    }

    fn judge_what_stands(&mut self, mesh: &impl Mesh) {
        for observer in 0..mesh.peers() {
            let mut standing = Vec::new();
            mesh.each_gone(observer, &mut |subject| standing.push(subject));
            for subject in standing {
                let Some(to) = mesh.word(observer, subject) else { continue };
                let noted = if to == PeerState::Down { &self.downs } else { &self.lesser };
                if noted.has(observer, subject) {
                    continue;
                }
                let (at, well_since) = (mesh.now(), mesh.truth(subject).running_since);
                self.judge(&Change { at, observer, subject, from: None, to, well_since }, mesh);
            }
        }
    }

    /// Who is flagged, and by how many of those that are well.
    fn look_for_blame(&mut self, mesh: &impl Mesh) {
        let truths: Vec<Truth> = (0..mesh.peers()).map(|host| mesh.truth(host)).collect();
        let is_well = |truth: &Truth| {
            truth.well_since.is_some_and(|since| mesh.now().since(since) > NEWLY_WELL_US)
        };
        let well: Vec<usize> =
            truths.iter().enumerate().filter(|(_, truth)| is_well(truth)).map(|(h, _)| h).collect();
        let flagged = mesh.flagged(&well);
        for ((truth, count), blame) in truths.iter().zip(flagged).zip(&mut self.blames) {
            let is_ill = truth.running_since.is_some() && truth.impaired;
            blame.was_ill |= is_ill;
            if is_ill || is_well(truth) {
                blame.by_any |= count > 0;
                blame.by_most |= 2 * count > well.len();
            }
        }
    }

    fn false_positives(&self) -> FalsePositives {
        FalsePositives {
            accusations: self.downs.accusations,
            pairs: self.downs.count(),
            victims: self.downs.victims(),
            lesser_pairs: self.lesser.count(),
            lesser_victims: self.lesser.victims(),
            first: self.first.map(|(at, observer, subject)| {
                format!("peer {observer} of peer {subject} at {:.1} s", at.0 as f64 / 1e6)
            }),
        }
    }

    fn blamed(&self) -> Option<Faulty> {
        let count = |is: fn(&Blame) -> bool| self.blames.iter().filter(|blame| is(blame)).count();
        let peers = count(|blame| blame.was_ill);
        (peers > 0).then(|| Faulty {
            peers,
            flagged_by_most: count(|blame| blame.was_ill && blame.by_most),
            flagged_by_any: count(|blame| blame.was_ill && blame.by_any),
            well_flagged_by_most: count(|blame| !blame.was_ill && blame.by_most),
            well_flagged_by_any: count(|blame| !blame.was_ill && blame.by_any),
        })
    }
}

/// Which set of gone peers is the most common one, and how many hold it. A set is told by the sum
/// of a hash of each member.
fn consent(mesh: &impl Mesh) -> Consent {
    let key = |host: usize| mix(host as u64 + 1);
    let truths: Vec<_> = (0..mesh.peers()).map(|host| mesh.truth(host)).collect();
    let truth = truths.iter().enumerate().filter(|(_, truth)| truth.running_since.is_none());
    let truth = truth.fold(0_u64, |sum, (host, _)| sum.wrapping_add(key(host)));
    let mut sets: BTreeMap<u64, usize> = BTreeMap::new();
    let well = truths.iter().enumerate().filter(|(_, truth)| truth.well_since.is_some());
    for (observer, _) in well {
        let mut sum = 0_u64;
        mesh.each_gone(observer, &mut |subject| sum = sum.wrapping_add(key(subject)));
        *sets.entry(sum).or_default() += 1;
    }
    let most = sets.iter().max_by_key(|(_, count)| **count);
    let (set, agreeing) = most.map_or((0, 0), |(set, count)| (*set, *count));
    Consent { well: sets.values().sum(), agreeing, is_truth: set == truth }
}

#[cfg(test)]
mod tests;
