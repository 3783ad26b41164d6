use alloc::collections::VecDeque;

use super::*;
use crate::types::MILLI;

const SUBJECTS: u8 = 5;

/// An observer in a world without a network: it is answered, or not.
struct Observer {
    membership: Membership,
    now: Time,
    /// Answers that are still to come: when, of whom, to which probe.
    under_way: VecDeque<(Time, PeerId, u32)>,
}

impl Observer {
    /// One whose subjects are connected and answer at once.
    fn settled() -> Self {
        let mut observer = Self::connected();
        observer.run(20, SUBJECTS);
        observer
    }

    /// One whose subjects are connected.
    fn connected() -> Self {
        let membership = Membership::default();
        let mut observer = Self { membership, now: Time(SECOND), under_way: VecDeque::new() };
        let duty = |subject| Duty {
            subject,
            sleep_grace: 0,
            last_word: Version::default(),
            patience: 60 * SECOND,
        };
        let duties = (1..=SUBJECTS).map(|number| duty(PeerId([number; 32]))).collect();
        observer.step(|membership, context| {
            membership.set_duties(&duties, core::iter::empty(), context);
        });
        for duty in &duties {
            observer.membership.on_connected(duty.subject, observer.now);
        }
        observer
    }

    fn step(&mut self, act: impl FnOnce(&mut Membership, &mut Context<'_>)) {
        let now = self.now;
        let mut context =
            Context { now, random: &mut || 7, clock: &mut || Version::at_ms(now.0 / MILLI) };
        act(&mut self.membership, &mut context);
    }

    /// Lets so many seconds pass in which all subjects answer after so many milliseconds. Gives how
    /// many probes were sent.
    fn run_far(&mut self, seconds: u64, rtt_ms: u64) -> usize {
        let until = self.now.plus(seconds * SECOND);
        let mut probes = 0;
        while self.now < until {
            self.now = self.now.plus(10 * MILLI);
            while self.under_way.front().is_some_and(|(at, _, _)| *at <= self.now) {
                let Some((_, to, seq)) = self.under_way.pop_front() else { break };
                self.step(|membership, context| {
                    membership.on_frame(
                        to,
                        Frame::Pong { seq, own_stream: false },
                        |_| true,
                        context,
                    );
                });
            }
            self.step(|membership, context| {
                if membership.deadline().is_some_and(|at| at <= context.now) {
                    membership.tick(0, context);
                }
            });
            for action in self.membership.take_actions() {
                if let Action::Frame(to, Frame::Probe { seq, .. }) = action {
                    probes += 1;
                    self.under_way.push_back((self.now.plus(rtt_ms * MILLI), to, seq));
                }
            }
        }
        probes
    }

    /// Lets so many seconds pass in which the first `answering` subjects answer at once. Gives the
    /// statuses that changed.
    fn run(&mut self, seconds: u64, answering: u8) -> Vec<EdgeStatus> {
        let until = self.now.plus(seconds * SECOND);
        let mut changed = Vec::new();
        while self.now < until {
            self.now = self.now.plus(10 * MILLI);
            self.step(|membership, context| {
                if membership.deadline().is_some_and(|at| at <= context.now) {
                    membership.tick(0, context);
                }
            });
            for action in self.membership.take_actions() {
                match action {
                    Action::Frame(to, Frame::Probe { seq, .. }) if to.0[0] <= answering => {
                        self.step(|membership, context| {
                            membership.on_frame(
                                to,
                                Frame::Pong { seq, own_stream: false },
                                |_| true,
                                context,
                            );
                        });
                    }
                    Action::EdgeChanged(_, status) => changed.push(status),
                    _ => {}
                }
            }
        }
        changed
    }

    /// How many edges it reports as poor.
    fn poor(&self) -> usize {
        self.membership.links(self.now).edges.iter().filter(|edge| edge.poor).count()
    }

    /// The machine sleeps and wakes: the timer is late by as much.
    fn sleep(&mut self, seconds: u64) {
        self.now = self.now.plus(seconds * SECOND);
        self.step(|membership, context| membership.tick(seconds * SECOND, context));
    }
}

#[test]
fn probes_travel_on_streams_of_their_own_while_answers_are_missing_and_not_before() {
    let mut observer = Observer::settled();
    let probes = |observer: &mut Observer, seconds: u64, answered: bool| {
        let mut alone = Vec::new();
        for _ in 0..100 * seconds {
            observer.now = observer.now.plus(10 * MILLI);
            observer.step(|membership, context| membership.tick(0, context));
            for action in observer.membership.take_actions() {
                let Action::Frame(to, Frame::Probe { seq, own_stream, .. }) = action else {
                    continue;
                };
                alone.push(own_stream);
                if answered {
                    let pong = Frame::Pong { seq, own_stream };
                    observer.step(|membership, context| {
                        membership.on_frame(to, pong, |_| true, context);
                    });
                }
            }
        }
        alone
    };
    assert!(probes(&mut observer, 10, true).iter().all(|alone| !alone));
    // One probe to each subject is on its way before any is missed.
    let silent = probes(&mut observer, 2, false);
    let ordered = silent.iter().filter(|alone| !**alone).count();
    assert_eq!(ordered, usize::from(SUBJECTS));
    assert!(silent.len() > 2 * ordered);
    probes(&mut observer, 5, true);
    assert!(probes(&mut observer, 10, true).iter().all(|alone| !alone));
}

#[test]
fn a_probe_is_answered_the_way_it_came() {
    let mut observer = Observer::settled();
    for own_stream in [false, true] {
        let probe = Frame::Probe { seq: 7, unheard: false, own_stream };
        observer.step(|membership, context| {
            membership.on_frame(PeerId([1; 32]), probe, |_| true, context);
        });
        let answers = observer.membership.take_actions();
        let pong = Action::Frame(PeerId([1; 32]), Frame::Pong { seq: 7, own_stream });
        assert!(answers.contains(&pong), "{answers:?}");
    }
}

#[test]
fn subjects_that_are_far_away_are_probed_no_more_often_than_others() {
    for rtt_ms in [30, 900, 2_500, 6_000] {
        let mut observer = Observer::settled();
        observer.run_far(120, rtt_ms);
        let probes = observer.run_far(60, rtt_ms);
        let usual = usize::from(SUBJECTS) * 60 * 10 / 16;
        assert!(probes <= usual + usual / 4, "{rtt_ms} ms: {probes} probes a minute");
    }
}

#[test]
fn an_edge_whose_answers_come_seconds_late_is_poor_until_they_are_fast_again() {
    let mut observer = Observer::settled();
    observer.run_far(60, 30);
    assert_eq!(observer.poor(), 0);
    observer.run_far(120, 4_000);
    assert_eq!(observer.poor(), usize::from(SUBJECTS));
    observer.run_far(120, 30);
    assert_eq!(observer.poor(), 0);
}

#[test]
fn an_edge_to_a_far_peer_is_not_poor() {
    let mut observer = Observer::connected();
    observer.run_far(300, 4_000);
    assert_eq!(observer.poor(), 0);
}

#[test]
fn who_lost_everybody_dials_them_in_turn_and_all_at_once_when_one_is_back() {
    let mut observer = Observer::settled();
    for number in 1..=SUBJECTS {
        observer.membership.on_disconnected(PeerId([number; 32]), observer.now);
    }
    observer.run(20, 0);
    let dials = |observer: &mut Observer, seconds: u64| {
        let mut dialled = Vec::new();
        for _ in 0..100 * seconds {
            observer.now = observer.now.plus(10 * MILLI);
            observer.step(|membership, context| membership.tick(0, context));
            let actions = observer.membership.take_actions();
            dialled.extend(actions.into_iter().filter_map(|action| match action {
                Action::Dial(peer) => Some(peer),
                _ => None,
            }));
        }
        dialled
    };
    let alone = dials(&mut observer, 60).len();
    assert!((30..=45).contains(&alone), "{alone} dials a minute");
    observer.membership.on_connected(PeerId([1; 32]), observer.now);
    let others: BTreeSet<PeerId> = dials(&mut observer, 1).into_iter().collect();
    assert_eq!(others, (2..=SUBJECTS).map(|number| PeerId([number; 32])).collect());
}

#[test]
fn an_observer_that_woke_accuses_nobody_before_its_own_links_are_back() {
    let mut observer = Observer::settled();
    observer.sleep(3_600);
    assert_eq!(observer.run(40, 0), []);
    // Most are back; the others get time for a dial or two.
    assert_eq!(observer.run(10, 3), []);
    let lost = observer.run(30, 3);
    assert_eq!(lost.iter().filter(|status| **status == EdgeStatus::Lost).count(), 2, "{lost:?}");
}

#[test]
fn an_observer_whose_links_do_not_come_back_says_so_after_a_minute() {
    let mut observer = Observer::settled();
    observer.sleep(3_600);
    assert_eq!(observer.run(59, 0), []);
    let lost = observer.run(60, 0);
    let lost = lost.iter().filter(|status| **status == EdgeStatus::Lost).count();
    assert_eq!(lost, usize::from(SUBJECTS));
}

#[test]
fn an_observer_that_was_awake_does_not_wait() {
    let mut observer = Observer::settled();
    assert!(observer.run(20, 0).contains(&EdgeStatus::Lost));
}

#[test]
fn a_connection_on_which_nothing_comes_after_a_sleep_is_replaced() {
    let mut observer = Observer::settled();
    observer.sleep(60);
    observer.membership.take_actions();
    let mut replaced = 0;
    for _ in 0..600 {
        observer.now = observer.now.plus(10 * MILLI);
        observer.step(|membership, context| membership.tick(0, context));
        let actions = observer.membership.take_actions();
        replaced += actions.iter().filter(|it| matches!(it, Action::Disconnect(_))).count();
    }
    assert_eq!(replaced, usize::from(SUBJECTS));
}
