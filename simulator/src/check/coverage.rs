//! Monitoring coverage: every running peer is watched, by as many observers as there can be.

use std::collections::BTreeMap;

use plexmesh_proto::record::EdgeStatus;
use plexmesh_proto::ring::RINGS;
use plexmesh_proto::types::{SECOND, Time};

use super::ledger::{Ledger, Place};
use super::truth::Truth;
use crate::report::Check;
use crate::world::World;

/// A gap that lasts this long is no observer that takes over, and no edge that was just lost: to
/// dial takes five seconds, and to measure a new edge a few probes.
const GAP_US: u64 = 20 * SECOND;
/// Most gaps that are remembered; a mesh without any coverage has one per edge.
const MAX_GAPS: usize = 50_000;

/// A subject, and the observer that does not watch it; no observer where a seat is empty.
type Gap = (usize, Option<usize>);

/// Watches who is watched.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    broken: Ledger,
    /// Gaps of the last look, and since when each is there.
    gaps: BTreeMap<Gap, Time>,
    seats: usize,
    next_viewer: usize,
    looked: u64,
}

impl Coverage {
    /// Reads seats and reports as one peer holds them, another one each time. All hold the same,
    /// and paths are whole.
    pub(crate) fn look(&mut self, world: &World, truths: &[Truth]) {
        let counting = |host: &usize| truths.get(*host).is_some_and(Truth::counts);
        let viewers: Vec<usize> = (0..truths.len()).filter(counting).collect();
        let Some(&viewer) = viewers.get(self.next_viewer % viewers.len().max(1)) else { return };
        self.next_viewer += 1;
        self.looked += 1;
        let (seats, gaps) = gaps(world, viewer, truths);
        self.seats = seats;
        self.take_in(world.time(), viewer, &gaps);
    }

    /// Whether there is nothing to see yet, or coverage makes no sense now.
    pub(crate) fn forget(&mut self) {
        self.gaps.clear();
    }

    /// Notes the gaps that have been there for too long.
    pub(crate) fn take_in(&mut self, now: Time, viewer: usize, gaps: &[Gap]) {
        let before = std::mem::take(&mut self.gaps);
        for gap in gaps.iter().take(MAX_GAPS) {
            // A gap that was written down starts anew, lest it is written down every second.
            let mut since = before.get(gap).copied().unwrap_or(now);
            if now.since(since) >= GAP_US {
                since = now;
                let (subject, observer) = *gap;
                let place = observer.map_or(Place::of(subject), |o| Place::between(o, subject));
                self.broken.note(now, place, || {
                    let who = observer
                        .map_or("nobody has a seat to watch".to_owned(), |observer| {
                            format!("peer {observer} has a seat and does not hear")
                        });
                    format!("{who} peer {subject}, as peer {viewer} knows")
                });
            }
            self.gaps.insert(*gap, since);
        }
    }

    pub(crate) fn check(&self) -> Check {
        let measured = match self.looked {
            0 => "never all agreed after healing".to_owned(),
            looked => format!(
                "{} of {} seats hear their peer; looked {looked} times",
                self.seats.saturating_sub(self.gaps.len()),
                self.seats,
            ),
        };
        self.broken.check("monitoring-coverage", measured, None)
    }
}

/// The number of seats that running peers should have, and the gaps among them.
fn gaps(world: &World, viewer: usize, truths: &[Truth]) -> (usize, Vec<Gap>) {
    let Some(node) = world.node(viewer) else { return (0, Vec::new()) };
    let roster = node.roster();
    let hosts: Vec<Option<usize>> =
        roster.members().iter().map(|member| world.host_of(&member.id())).collect();
    let truth = |host: usize| truths.get(host).copied().unwrap_or_default();
    let runs = |host: usize| truth(host).running_since.is_some() && !truth(host).left;
    let running = hosts.iter().flatten().filter(|&&host| runs(host)).count();
    let wanted = RINGS.min(running.saturating_sub(1));
    let (mut seats, mut gaps) = (0, Vec::new());
    let judgements = node.evaluation().judgements(roster);
    for (index, (host, judgement)) in (0u32..).zip(hosts.iter().zip(&judgements)) {
        let Some(subject) = host.filter(|&host| runs(host)) else { continue };
        seats += wanted;
        if judgement.seats.len() < wanted {
            gaps.push((subject, None));
        }
        for seat in &judgement.seats {
            let observer = hosts.get(seat.observer as usize).copied().flatten();
            // A liar's seat is filled, whatever it reports.
            if observer.is_some_and(|observer| truth(observer).lies) || truth(subject).lies {
                continue;
            }
            let edge = roster.edge_to(seat.observer, index);
            let hears = edge.is_some_and(|edge| edge.status == EdgeStatus::Heard);
            if !hears || !observer.is_some_and(runs) {
                gaps.push((subject, observer));
            }
        }
    }
    (seats, gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_lasts_is_a_violation_and_one_that_closes_is_not() {
        let mut coverage = Coverage::default();
        for second in 0..19 {
            coverage.take_in(Time(second * SECOND), 0, &[(3, Some(4))]);
        }
        coverage.take_in(Time(19 * SECOND), 0, &[]);
        assert!(coverage.check().held);
        for second in 20..41 {
            coverage.take_in(Time(second * SECOND), 0, &[(3, Some(4))]);
        }
        let check = coverage.check();
        assert_eq!(check.violation_count, 1);
        assert_eq!((check.violations[0].observer, check.violations[0].subject), (Some(4), Some(3)));
    }
}
