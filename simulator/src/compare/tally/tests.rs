//! What counts, with a mesh whose truth and words are made up.

use super::*;
use crate::scenario::Span;

/// A mesh of four, told what is true and what is said.
#[derive(Debug, Default)]
struct Told {
    now: Time,
    truths: [Truth; 4],
    gone: [[bool; 4]; 4],
    history: History,
}

impl Told {
    fn well() -> Self {
        let start = Some(Time(0));
        let truth = Truth { running_since: start, well_since: start, ..Truth::default() };
        Self { truths: [truth; 4], ..Self::default() }
    }

    fn crash(&mut self, host: usize) {
        self.truths[host] = Truth::default();
    }

    fn say(&mut self, observer: usize, subject: usize, is_gone: bool) {
        self.gone[observer][subject] = is_gone;
        let to = if is_gone { PeerState::Down } else { PeerState::Up };
        let well_since = self.truths[subject].running_since;
        let (at, from) = (self.now, Some(PeerState::Up));
        self.history.change(Change { at, observer, subject, from, to, well_since });
    }

    /// Lets time pass to a second, with a look at each.
    fn run_to(&mut self, second: u64, tally: &mut Tally) {
        while self.now < Time(second * SECOND) {
            self.now = self.now.plus(SECOND);
            tally.look(self);
        }
    }
}

impl Outside for Told {
    fn truth(&self, host: usize) -> Truth {
        self.truths[host]
    }

    fn parted_since(&self, _: usize, _: usize) -> Option<Time> {
        None
    }

    fn joined_since(&self, _: usize, _: usize) -> Option<Time> {
        Some(Time(0))
    }

    fn reported_lost_by(&self, _: usize, _: usize) -> Vec<usize> {
        Vec::new()
    }
}

impl Mesh for Told {
    fn now(&self) -> Time {
        self.now
    }

    fn peers(&self) -> usize {
        4
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn word(&self, observer: usize, subject: usize) -> Option<PeerState> {
        let is_gone = self.gone[observer][subject];
        Some(if is_gone { PeerState::Down } else { PeerState::Up })
    }

    fn each_gone(&self, observer: usize, note: &mut dyn FnMut(usize)) {
        (0..4).filter(|&subject| self.gone[observer][subject]).for_each(note);
    }

    fn flagged(&self, observers: &[usize]) -> Vec<usize> {
        let count = |subject| observers.iter().filter(|&&o| self.gone[o][subject]).count();
        (0..4).map(count).collect()
    }
}

/// A minute to settle, one of faults, half a one healed.
fn tally() -> Tally {
    let [stagger, settle, faults, healed] = [0, 60, 60, 30].map(Span::seconds);
    Tally::new(4, &Phases { stagger, settle, faults, healed })
}

fn crashed(host: usize) -> Deed {
    Deed::Stop { hosts: vec![host], process_only: false }
}

#[test]
fn a_crash_takes_as_long_as_the_last_survivor_needs() {
    let (mut told, mut tally) = (Told::well(), tally());
    told.run_to(70, &mut tally);
    tally.done(&crashed(3), told.now);
    told.crash(3);
    for (second, observer) in [(72, 0), (74, 1), (79, 2)] {
        told.run_to(second, &mut tally);
        told.say(observer, 3, true);
    }
    told.run_to(150, &mut tally);
    let (detection, falsely, faulty, agreement) = tally.finish(&told);
    assert_eq!((detection.pairs, detection.pairs_known), (3, 3));
    assert_eq!((detection.p50_seconds, detection.latest_seconds), (Some(4.0), Some(9.0)));
    assert_eq!((detection.crashes_known_to_all, detection.all_latest_seconds), (1, Some(9.0)));
    assert_eq!((falsely, faulty), (FalsePositives::default(), None));
    assert_eq!((agreement.well, agreement.agreeing, agreement.is_truth), (3, 1.0, true));
    assert_eq!(agreement.seconds_after_healing, Some(0.0));
}

#[test]
fn whoever_accused_a_peer_before_it_crashed_has_learnt_nothing() {
    let (mut told, mut tally) = (Told::well(), tally());
    told.run_to(50, &mut tally);
    told.say(0, 3, true);
    told.run_to(70, &mut tally);
    tally.done(&crashed(3), told.now);
    told.crash(3);
    told.run_to(71, &mut tally);
    told.say(1, 3, true);
    told.run_to(150, &mut tally);
    let (detection, falsely, _, agreement) = tally.finish(&told);
    let counts = (detection.pairs_accused_before, detection.pairs, detection.pairs_known);
    assert_eq!((counts, detection.crashes_known_to_all), ((1, 2, 1), 0));
    // It was false while the mesh settled, and still stood when the faults began.
    assert_eq!((falsely.victims, falsely.pairs), (1, 1));
    assert_eq!((agreement.seconds_after_healing, agreement.is_truth), (None, true));
}

#[test]
fn a_word_that_is_taken_back_is_false_and_no_agreement_is_lost() {
    let (mut told, mut tally) = (Told::well(), tally());
    told.run_to(130, &mut tally);
    told.say(0, 1, true);
    told.run_to(140, &mut tally);
    told.say(0, 1, false);
    told.run_to(150, &mut tally);
    let (_, falsely, _, agreement) = tally.finish(&told);
    assert_eq!((falsely.accusations, falsely.pairs, falsely.victims), (1, 1, 1));
    // Healed at 120 s; agreed again in the look after 140 s.
    assert_eq!(agreement.seconds_after_healing, Some(21.0));
}

#[test]
fn the_ill_are_told_from_the_well() {
    let (mut told, mut tally) = (Told::well(), tally());
    told.run_to(61, &mut tally);
    told.truths[3] = Truth { impaired: true, well_since: None, ..told.truths[3] };
    told.say(0, 3, true);
    told.say(1, 3, true);
    told.say(0, 2, true);
    told.run_to(150, &mut tally);
    let (_, falsely, faulty, _) = tally.finish(&told);
    let faulty = faulty.expect("one was ill");
    assert_eq!((faulty.peers, faulty.flagged_by_most, faulty.flagged_by_any), (1, 1, 1));
    assert_eq!((faulty.well_flagged_by_most, faulty.well_flagged_by_any), (0, 1));
    // To accuse the ill is no false accusation.
    assert_eq!((falsely.pairs, falsely.victims), (1, 1));
}
