//! Who knows of which crash, and since when.

use std::collections::BTreeMap;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::types::Time;

use super::outcome::Detection;
use super::tally::Mesh;
use crate::history::Change;
use crate::measure::quantile::{quantile, sorted};

/// All crashes of a run.
#[derive(Debug, Default)]
pub(super) struct Cases {
    cases: Vec<Case>,
    /// Of every peer that is silent now: its place among the cases.
    open: BTreeMap<usize, usize>,
}

/// One crash.
#[derive(Debug)]
struct Case {
    subject: usize,
    at: Time,
    /// Those who are to know it; `None` before anybody looked.
    survivors: Option<BTreeMap<usize, Knowledge>>,
    is_known_to_all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knowledge {
    NotYet,
    Since(Time),
    /// It called the peer down before it was: it learns nothing new.
    Before,
}

impl Cases {
    /// A peer fell silent.
    pub(super) fn fell_silent(&mut self, subject: usize, at: Time) {
        self.open.insert(subject, self.cases.len());
        self.cases.push(Case { subject, at, survivors: None, is_known_to_all: false });
    }

    /// A silent peer starts again: whoever does not know by now does not count as having known.
    pub(super) fn returned(&mut self, subject: usize) {
        self.open.remove(&subject);
    }

    /// Takes in what changed since the last look.
    pub(super) fn look(&mut self, changes: &[Change], mesh: &impl Mesh) {
        for place in self.open.values() {
            let Some(case) = self.cases.get_mut(*place).filter(|case| !case.is_known_to_all) else {
                continue;
            };
            let is_new = case.survivors.is_none();
            if is_new {
                case.begin(mesh);
            }
            let (subject, at) = (case.subject, case.at);
            let about = changes.iter().filter(|change| change.subject == subject);
            about.filter(|change| change.at >= at).for_each(|change| case.learn(change));
            case.settle(mesh, is_new);
        }
    }

    pub(super) fn report(&self) -> Detection {
        let mut took = Vec::new();
        let (mut pairs, mut before) = (0, 0);
        let mut all = Vec::new();
        for case in &self.cases {
            let known: Vec<Knowledge> =
                case.survivors.iter().flat_map(|s| s.values()).copied().collect();
            let learnt: Vec<f64> = known.iter().filter_map(|known| case.seconds(*known)).collect();
            let early = known.iter().filter(|known| **known == Knowledge::Before).count();
            before += early;
            pairs += known.len() - early;
            if case.is_known_to_all {
                all.extend(learnt.iter().copied().reduce(f64::max));
            }
            took.extend(learnt);
        }
        let (took, all) = (sorted(took), sorted(all));
        let at = |values: &[f64], q| (!values.is_empty()).then(|| quantile(values, q));
        Detection {
            crashes: self.cases.len(),
            pairs,
            pairs_known: took.len(),
            pairs_accused_before: before,
            p50_seconds: at(&took, 0.5),
            p99_seconds: at(&took, 0.99),
            latest_seconds: at(&took, 1.0),
            crashes_known_to_all: all.len(),
            all_p50_seconds: at(&all, 0.5),
            all_latest_seconds: at(&all, 1.0),
        }
    }
}

impl Case {
    /// Decides who is to know: all that are well since before and in reach of where the peer was.
    fn begin(&mut self, mesh: &impl Mesh) {
        let hosts = (0..mesh.peers()).filter(|&host| host != self.subject);
        let knows_it = |host: &usize| mesh.word(*host, self.subject).is_some();
        let awaited = hosts.filter(|&host| self.is_awaited(host, mesh)).filter(knows_it);
        self.survivors = Some(awaited.map(|host| (host, Knowledge::NotYet)).collect());
    }

    fn is_awaited(&self, host: usize, mesh: &impl Mesh) -> bool {
        let truth = mesh.truth(host);
        let was_well = truth.well_since.is_some_and(|since| since <= self.at);
        was_well && truth.counts() && mesh.parted_since(host, self.subject).is_none()
    }

    fn learn(&mut self, change: &Change) {
        let survivors = self.survivors.as_mut();
        let Some(known) = survivors.and_then(|known| known.get_mut(&change.observer)) else {
            return;
        };
        *known = match change.to {
            PeerState::Down => Knowledge::Since(change.at),
            _ => Knowledge::NotYet,
        };
    }

    /// Waits no longer for those that stopped, fell ill or were parted meanwhile; at the first look
    /// whoever says `down` and has not changed its mind said so before.
    fn settle(&mut self, mesh: &impl Mesh, is_first_look: bool) {
        let Some(mut survivors) = self.survivors.take() else { return };
        survivors.retain(|&host, known| {
            if is_first_look
                && *known == Knowledge::NotYet
                && mesh.word(host, self.subject) == Some(PeerState::Down)
            {
                *known = Knowledge::Before;
            }
            *known != Knowledge::NotYet || self.is_awaited(host, mesh)
        });
        let mut counted = survivors.values().filter(|known| **known != Knowledge::Before);
        let is_anybody_left = counted.clone().next().is_some();
        self.is_known_to_all =
            is_anybody_left && counted.all(|known| matches!(known, Knowledge::Since(_)));
        self.survivors = Some(survivors);
    }

    fn seconds(&self, known: Knowledge) -> Option<f64> {
        match known {
            Knowledge::Since(at) => Some(at.since(self.at) as f64 / 1e6),
            Knowledge::NotYet | Knowledge::Before => None,
        }
    }
}
