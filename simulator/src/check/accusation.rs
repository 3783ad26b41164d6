//! False accusations: a peer that is well is called something else.

use std::collections::BTreeMap;
use std::time::Duration;

use plexmesh_proto::membership::state::{DOWN_QUORUM, PeerState};
use plexmesh_proto::types::SECOND;

use super::ledger::{Ledger, Place, seconds, seconds_of};
use super::truth::Outside;
use crate::history::Change;
use crate::report::Check;
use crate::world::{World, micros};

/// A process that runs, or a path that is open, for less than this is still being heard of: a
/// `down` that was true a moment ago is not yet false.
const NEWLY_WELL_US: u64 = 30 * SECOND;

/// Every time that a node called a peer `down` that had been running for a while.
pub fn false_downs(world: &World) -> impl Iterator<Item = &Change> {
    accusations(world, &[PeerState::Down])
}

/// Every time that a node gave a peer that had been running for a while one of `states`.
pub fn accusations<'a>(
    world: &'a World,
    states: &'a [PeerState],
) -> impl Iterator<Item = &'a Change> {
    world.history().changes().iter().filter(move |change| {
        let well = change.well_since.is_some_and(|since| change.at.since(since) > NEWLY_WELL_US);
        well && states.contains(&change.to)
    })
}

/// Changes from a time on.
pub fn since<'a>(
    changes: impl Iterator<Item = &'a Change>,
    from: Duration,
) -> impl Iterator<Item = &'a Change> {
    changes.filter(move |change| change.at.0 >= micros(from))
}

/// Looks for false accusations among the changes that it is shown.
#[derive(Debug, Default)]
pub(crate) struct Accusations {
    downs: Ledger,
    /// Other false states: how often, and the first of them in words.
    others: BTreeMap<PeerState, u64>,
    first_other: Option<String>,
    unseen: u64,
}

impl Accusations {
    /// Judges what changed within the last second or so: `outside` says what is true now, and since
    /// when.
    pub(crate) fn look(&mut self, changes: &[Change], outside: &impl Outside) {
        for change in changes.iter().filter(|change| is_false(change, outside)) {
            if change.to == PeerState::Down {
                let place = Place::between(change.observer, change.subject);
                self.downs.note(change.at, place, || in_words(change));
            } else {
                *self.others.entry(change.to).or_default() += 1;
                self.first_other.get_or_insert_with(|| in_words(change));
            }
        }
    }

    /// Takes note of changes that were forgotten before anybody looked.
    pub(crate) const fn missed(&mut self, changes: u64) {
        self.unseen += changes;
    }

    pub(crate) fn checks(&self) -> [Check; 2] {
        let unseen = match self.unseen {
            0 => String::new(),
            unseen => format!("; {unseen} changes came too fast to be looked at"),
        };
        let downs = match self.downs.is_clean() {
            true => format!("none{unseen}"),
            false => format!("some{unseen}"),
        };
        let others = match &self.first_other {
            None => format!("none{unseen}"),
            Some(first) => {
                let counts = self.others.iter().map(|(state, count)| format!("{state:?} {count}"));
                let counts = counts.collect::<Vec<_>>().join(", ").to_lowercase();
                format!("{counts}; first {first}{unseen}")
            }
        };
        [
            self.downs.check("no-false-down", downs, None),
            Ledger::default().check("no-false-accusation", others, None),
        ]
    }
}

/// Whether a change accuses a peer of something that is not so.
pub(crate) fn is_false(change: &Change, outside: &impl Outside) -> bool {
    const ACCUSING: [PeerState; 3] = [PeerState::Down, PeerState::Flapping, PeerState::Unreachable];
    let long_since = |since| change.at.since(since) > NEWLY_WELL_US;
    if !ACCUSING.contains(&change.to) || !change.well_since.is_some_and(long_since) {
        return false;
    }
    let (observer, subject) = (outside.truth(change.observer), outside.truth(change.subject));
    // Whoever just started repeats what its disk remembers.
    let may_speak = !observer.lies && observer.running_since.is_some_and(long_since);
    // A subject that stopped since then was well when the change says so.
    let was_well = !subject.impaired && subject.well_since.is_none_or(long_since);
    let joined = outside.joined_since(change.observer, change.subject);
    // A path that was cut after the accusation excuses nothing.
    let parted = outside.parted_since(change.observer, change.subject);
    let in_touch = joined.is_some_and(long_since) || parted.is_some_and(|cut| cut > change.at);
    let is_false = may_speak && was_well && !subject.left && !subject.lies && in_touch;
    is_false && !is_rightly_lost(change, outside)
}

/// Whether a quorum of the witnesses against a peer have no path to it, or had none a moment ago.
fn is_rightly_lost(change: &Change, outside: &impl Outside) -> bool {
    let is_right = |witness: &usize| {
        let parted = outside.parted_since(*witness, change.subject);
        let joined = outside.joined_since(*witness, change.subject);
        parted.is_some_and(|cut| cut <= change.at)
            || joined.is_some_and(|since| change.at.since(since) <= NEWLY_WELL_US)
    };
    let witnesses = outside.reported_lost_by(change.observer, change.subject);
    witnesses.iter().filter(|witness| is_right(witness)).count() >= DOWN_QUORUM
}

fn in_words(change: &Change) -> String {
    let well = change.well_since.map_or(0, |since| change.at.since(since));
    format!(
        "peer {} called peer {} {} at {:.1} s, which had been well for {:.0} s",
        change.observer,
        change.subject,
        format!("{:?}", change.to).to_lowercase(),
        seconds(change.at),
        seconds_of(well),
    )
}

#[cfg(test)]
mod tests {
    use plexmesh_proto::types::Time;

    use super::super::truth::Truth;
    use super::*;

    /// Two hosts, one of which judges the other, and witnesses.
    struct Told {
        truths: [Truth; 2],
        witnesses: Vec<usize>,
        /// Witnesses without a path to the other.
        parted: Vec<usize>,
        parted_since: Option<Time>,
        joined_since: Option<Time>,
    }

    impl Outside for Told {
        fn truth(&self, host: usize) -> Truth {
            self.truths[host]
        }

        fn parted_since(&self, a: usize, _: usize) -> Option<Time> {
            if self.parted.contains(&a) { Some(Time(0)) } else { self.parted_since }
        }

        fn joined_since(&self, a: usize, _: usize) -> Option<Time> {
            self.joined_since.filter(|_| !self.parted.contains(&a))
        }

        fn reported_lost_by(&self, _: usize, _: usize) -> Vec<usize> {
            self.witnesses.clone()
        }
    }

    fn well() -> Told {
        let start = Some(Time(0));
        let truth = Truth { running_since: start, well_since: start, ..Truth::default() };
        Told {
            truths: [truth; 2],
            witnesses: vec![2, 3, 4],
            parted: Vec::new(),
            parted_since: None,
            joined_since: start,
        }
    }

    fn change(to: PeerState) -> Change {
        let from = Some(PeerState::Up);
        let at = Time(100 * SECOND);
        Change { at, observer: 0, subject: 1, from, to, well_since: Some(Time(0)) }
    }

    fn held(change: &Change, told: &Told) -> bool {
        let mut checker = Accusations::default();
        checker.look(std::slice::from_ref(change), told);
        checker.checks()[0].held
    }

    #[test]
    fn a_down_of_a_peer_that_is_well_is_false() {
        assert!(!held(&change(PeerState::Down), &well()));
        assert!(held(&change(PeerState::Up), &well()));
    }

    #[test]
    fn a_down_is_excused_by_what_is_true() {
        let down = change(PeerState::Down);
        let newly = Some(Time(90 * SECOND));
        assert!(held(&Change { well_since: None, ..down }, &well()));
        assert!(held(&Change { well_since: newly, ..down }, &well()));
        assert!(held(&down, &Told { joined_since: newly, ..well() }));
        assert!(held(&down, &Told { joined_since: None, parted_since: newly, ..well() }));
        let excuses: [fn(&mut Told); 5] = [
            |told| told.truths[0].lies = true,
            |told| told.truths[0].running_since = Some(Time(90 * SECOND)),
            |told| told.truths[1].impaired = true,
            |told| told.truths[1].well_since = Some(Time(90 * SECOND)),
            |told| told.truths[1].left = true,
        ];
        for excuse in excuses {
            let mut told = well();
            excuse(&mut told);
            assert!(held(&down, &told), "{:?}", told.truths);
        }
    }

    #[test]
    fn a_quorum_of_witnesses_without_a_path_is_right() {
        let down = change(PeerState::Down);
        assert!(held(&down, &Told { parted: vec![2, 3, 4], ..well() }));
        assert!(!held(&down, &Told { parted: vec![2, 3], ..well() }));
    }

    #[test]
    fn what_comes_after_a_false_down_does_not_excuse_it() {
        let cut = Some(Time(100 * SECOND + 1));
        let down = change(PeerState::Down);
        assert!(!held(&down, &Told { joined_since: None, parted_since: cut, ..well() }));
        let mut crashed = well();
        crashed.truths[1] = Truth::default();
        assert!(!held(&down, &crashed));
    }

    #[test]
    fn other_accusations_are_measured() {
        let mut checker = Accusations::default();
        checker.look(&[change(PeerState::Flapping), change(PeerState::Unreachable)], &well());
        let [downs, others] = checker.checks();
        assert!(downs.held && others.held);
        assert!(others.measured.starts_with("flapping 1, unreachable 1"), "{}", others.measured);
    }
}
