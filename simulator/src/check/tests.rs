//! The judge over whole worlds: it holds on healthy ones, and every planted violation fires the
//! check that it is planted for.

use std::collections::BTreeSet;
use std::time::Duration;

use plexmesh_proto::record::{Payload, Profile};

use super::*;
use crate::report::Check;
use crate::scenario::{Promises, Span};
use crate::{Lie, Start, WorldBuilder};

/// A run that is judged every second.
struct Run {
    world: World,
    judge: Judge,
}

impl Run {
    /// A small mesh that has found itself, at the beginning of its fault phase.
    fn settled(nodes: usize, promises: &Promises) -> Self {
        Self::of(World::builder(5).nodes(nodes).latency_ms(5..40).start(Start::Warm), promises)
    }

    fn of(builder: WorldBuilder, promises: &Promises) -> Self {
        let mut run = Self { world: builder.build(), judge: Judge::new(promises) };
        run.judge.begin(&run.world, Phase::Settle);
        run.pass(60);
        run.begin(Phase::Faults);
        run
    }

    fn begin(&mut self, phase: Phase) {
        self.judge.begin(&self.world, phase);
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.world.run_for(Duration::from_secs(1));
            self.judge.look(&self.world);
        }
    }

    fn crash(&mut self, host: usize) {
        self.judge.fell_silent(host, self.world.time());
        self.world.crash(host);
    }

    fn finish(self) -> Judged {
        self.judge.finish(&self.world)
    }
}

fn check<'a>(judged: &'a Judged, promise: &str) -> &'a Check {
    judged.checks.iter().find(|check| check.promise == promise).expect("a promise of this name")
}

/// Names of broken promises.
fn broken(judged: &Judged) -> Vec<&str> {
    let broken = judged.checks.iter().filter(|check| !check.held);
    broken.map(|check| check.promise.as_str()).collect()
}

/// Bounds that a small mesh keeps easily.
fn promises() -> Promises {
    Promises {
        detection: Some(Span::seconds(10)),
        healing: Some(Span::seconds(30)),
        mean_bytes_per_second: Some(10_000),
        peak_bytes_per_second: Some(64 * 1024),
    }
}

/// The hosts with a seat to watch a host, as its first peer knows.
fn observers_of(world: &World, subject: usize) -> Vec<usize> {
    let node = world.node(if subject == 0 { 1 } else { 0 }).unwrap();
    let index = node.roster().index_of(&world.peer_id(subject).unwrap()).unwrap();
    let seats = &node.evaluation().judgement(node.roster(), index).unwrap().seats;
    let member = |seat: u32| node.roster().member(seat).unwrap().id();
    seats.iter().map(|seat| world.host_of(&member(seat.observer)).unwrap()).collect()
}

#[test]
fn every_promise_holds_in_a_mesh_with_a_crash_a_restart_and_a_leave() {
    let mut run = Run::settled(20, &promises());
    run.crash(3);
    run.pass(30);
    run.judge.returned(3, run.world.time());
    run.world.restart(3, true);
    run.crash(4);
    run.judge.fell_silent(5, run.world.time());
    run.world.leave(5, "moved");
    run.pass(3);
    run.world.crash(5);
    run.pass(40);
    run.begin(Phase::Healed);
    run.pass(45);
    let judged = run.finish();
    assert!(broken(&judged).is_empty(), "{:#?}", judged.checks);
    let names: BTreeSet<&str> = judged.checks.iter().map(|check| check.promise.as_str()).collect();
    assert_eq!(names.len(), judged.checks.len());
    assert!(judged.healed_seconds.is_some_and(|took| took <= 5.0), "{:?}", judged.healed_seconds);
    let crashes: Vec<(usize, usize)> =
        judged.detections.iter().map(|found| (found.subject, found.each_seconds.len())).collect();
    assert_eq!(crashes, [(3, 19), (4, 18), (5, 18)]);
    for found in &judged.detections {
        let all = found.all_seconds.unwrap();
        assert_eq!(found.each_seconds.last(), Some(&all));
        assert!(found.first_seconds.unwrap() <= all && all < 10.0, "{found:?}");
    }
    assert!(check(&judged, "monitoring-coverage").measured.starts_with("90 of 90 seats"));
}

#[test]
fn every_promise_holds_over_a_partition() {
    let mut run = Run::settled(20, &promises());
    let side: Vec<usize> = (0..6).collect();
    run.world.partition(&[&side]);
    run.pass(90);
    run.world.heal();
    run.begin(Phase::Healed);
    run.pass(60);
    let judged = run.finish();
    assert!(broken(&judged).is_empty(), "{:#?}", judged.checks);
    assert!(judged.healed_seconds.is_some_and(|took| took > 0.0));
}

#[test]
fn observers_that_lie_in_majority_break_no_false_down() {
    let mut run = Run::settled(12, &promises());
    let victim = (0..12).min_by_key(|&host| run.world.peer_id(host)).unwrap();
    let liars = observers_of(&run.world, victim);
    for host in liars.iter().take(4) {
        run.world.corrupt(*host, Lie::SelectiveObserver);
        // A start without a memory makes them publish.
        run.world.crash(*host);
        run.world.restart(*host, false);
    }
    run.pass(60);
    let judged = run.finish();
    let found = check(&judged, "no-false-down");
    assert!(!found.held, "{:#?}", judged.checks);
    assert!(found.violations.iter().all(|found| !liars[..4].contains(&found.observer.unwrap())));
}

#[test]
fn a_record_that_one_peer_alone_knows_breaks_agreement_and_healing() {
    let mut run = Run::settled(8, &promises());
    run.begin(Phase::Healed);
    run.world.partition(&[&[7]]);
    let certificate = Box::new(run.world.certificate(7).unwrap().clone());
    let profile = Profile { name: "another name".to_owned(), ..Profile::default() };
    let record = run.world.sign_as(7, Payload::Peer(profile, certificate)).unwrap();
    let from = run.world.peer_id(7).unwrap();
    run.world.inject(0, from, record);
    run.world.partition(&[&[0]]);
    run.pass(40);
    let judged = run.finish();
    let broken = broken(&judged);
    assert!(broken.contains(&"agreement"), "{:#?}", judged.checks);
    assert!(broken.contains(&"healing"), "{:#?}", judged.checks);
    assert_eq!(judged.healed_seconds, None);
}

#[test]
fn a_mesh_that_falls_apart_after_it_agreed_breaks_agreement() {
    let mut run = Run::settled(8, &promises());
    run.begin(Phase::Healed);
    run.pass(10);
    run.world.partition(&[&[7]]);
    run.pass(40);
    let judged = run.finish();
    assert!(judged.healed_seconds.is_some());
    let found = check(&judged, "agreement");
    assert!(!found.held && found.violations[0].detail.starts_with("agreed, and no longer does"));
    assert!(check(&judged, "healing").held);
}

#[test]
fn a_crash_that_is_noticed_later_than_promised_breaks_detection() {
    let bound = Promises { detection: Some(Span::millis(1)), ..Promises::default() };
    let mut run = Run::settled(8, &bound);
    run.crash(2);
    run.pass(20);
    let judged = run.finish();
    let found = check(&judged, "detection");
    assert_eq!((found.held, found.violation_count), (false, 1));
    assert_eq!(found.violations[0].subject, Some(2));
    assert!(judged.detections[0].all_seconds.is_some(), "it is measured nevertheless");
}

#[test]
fn a_crash_that_ends_before_it_is_noticed_is_not_judged() {
    let bound = Promises { detection: Some(Span::seconds(10)), ..Promises::default() };
    let mut run = Run::settled(8, &bound);
    run.crash(2);
    run.pass(1);
    run.judge.returned(2, run.world.time());
    run.world.restart(2, true);
    run.pass(30);
    let judged = run.finish();
    assert!(check(&judged, "detection").measured.contains("1 came back before"));
    assert_eq!((broken(&judged), judged.detections[0].all_seconds), (vec![], None));
}

#[test]
fn more_bytes_than_promised_break_the_bounds() {
    let bound = Promises {
        mean_bytes_per_second: Some(1),
        peak_bytes_per_second: Some(1),
        ..Promises::default()
    };
    let mut run = Run::settled(5, &bound);
    run.pass(10);
    assert_eq!(broken(&run.finish()), ["mean-bytes", "peak-bytes"]);
}

#[test]
fn a_store_that_falls_back_under_a_running_node_breaks_monotonic_versions() {
    let mut run = Run::settled(6, &Promises::default());
    let store = |world: &mut World| {
        let node = world.hosts.get_mut(1).and_then(|host| host.node.as_mut());
        node.map(|node| node.store_mut().take()).unwrap()
    };
    let old = store(&mut run.world);
    *run.world.hosts[1].node.as_mut().unwrap().store_mut() = old.clone();
    run.pass(30);
    *run.world.hosts[1].node.as_mut().unwrap().store_mut() = old;
    run.judge.look(&run.world);
    let judged = run.finish();
    let found = check(&judged, "monotonic-versions");
    assert!(!found.held);
    assert_eq!(found.violations[0].observer, Some(1));
}

#[test]
fn an_observer_that_is_cut_from_its_subject_breaks_coverage() {
    let mut run = Run::settled(12, &promises());
    run.begin(Phase::Healed);
    run.pass(5);
    let observer = observers_of(&run.world, 0)[0];
    run.world.cut(observer, 0);
    run.world.cut(0, observer);
    run.pass(45);
    let judged = run.finish();
    let found = check(&judged, "monitoring-coverage");
    assert!(!found.held, "{:#?}", judged.checks);
    assert_eq!(
        (found.violations[0].observer, found.violations[0].subject),
        (Some(observer), Some(0))
    );
}

#[test]
fn nothing_is_judged_while_peers_find_each_other() {
    let bound = Promises {
        detection: None,
        healing: Some(Span::millis(1)),
        mean_bytes_per_second: Some(1),
        peak_bytes_per_second: Some(1),
    };
    let mut run = Run { world: World::builder(5).nodes(6).build(), judge: Judge::new(&bound) };
    run.pass(40);
    let judged = run.finish();
    assert!(broken(&judged).is_empty(), "{:#?}", judged.checks);
    assert_eq!(judged.healed_seconds, None);
}
