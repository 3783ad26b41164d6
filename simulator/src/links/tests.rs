use plexmesh_proto::types::{MILLI, SECOND};

use super::*;
use crate::scenario::{Burst, Reorder, Span};

/// One-way latency of every path, in microseconds.
const LATENCY_US: u64 = 20 * MILLI;
const BYTES: usize = 100;

struct Bench {
    links: Links,
    dice: Dice,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let model = UniformLatency::new(1, LATENCY_US..LATENCY_US + 1);
        let rules = Rules::of_jitter_and_loss(0, Chance::NEVER);
        let links = Links::new(seed, Box::new(model), rules);
        Self { links, dice: Dice::new(seed, "test", 0) }
    }

    /// Sends `count` packets, one each `every_us`, and gives what became of them.
    fn send(&mut self, from: usize, to: usize, count: u64, every_us: u64) -> PathStats {
        self.links.watch(from, to);
        for packet in 0..count {
            let load = Load { from, to, bytes: BYTES, packets: 1 };
            self.links.send(Time(packet * every_us), load, &mut self.dice);
        }
        self.links.stats(from, to).unwrap().clone()
    }
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[test]
fn jitter_adds_between_nothing_and_its_bound() {
    let mut bench = Bench::new(1);
    let jitter = Some(Span::millis(10));
    bench.links.set_conditions(&Conditions { jitter, ..Conditions::default() });
    let seen = bench.send(0, 1, 10_000, MILLI);
    let at = |share| seen.delay_quantile_us(share).unwrap() - LATENCY_US;
    assert!(at(0.0) < 100 && at(1.0) > 9_900 && at(1.0) < 10_000);
    assert!((4_700..5_300).contains(&at(0.5)), "{}", at(0.5));
}

#[test]
fn losses_of_a_path_and_of_both_ends_add_up_and_go_one_way() {
    let mut bench = Bench::new(1);
    bench.links.set_loss(Chance::new(0.1));
    bench.links.set_host_loss(0, Chance::NEVER, Chance::new(0.2));
    bench.links.set_host_loss(1, Chance::new(0.5), Chance::NEVER);
    let there = bench.send(0, 1, 20_000, MILLI);
    let lost = share(there.lost, there.sent);
    assert!((0.62..0.66).contains(&lost), "{lost}");
    let back = bench.send(1, 0, 20_000, MILLI);
    let lost = share(back.lost, back.sent);
    assert!((0.09..0.11).contains(&lost), "{lost}");
}

#[test]
fn a_host_with_conditions_of_its_own_has_them_both_ways_and_others_do_not() {
    let mut bench = Bench::new(2);
    let bad = Conditions { loss: Some(0.3), ..Conditions::default() };
    bench.links.set_host(1, Some(&bad));
    for (from, to, expected) in [(0, 1, 0.3), (1, 0, 0.3), (0, 2, 0.0)] {
        let seen = bench.send(from, to, 10_000, MILLI);
        assert!((share(seen.lost, seen.sent) - expected).abs() < 0.02, "{from} -> {to}");
    }
    assert!(bench.links.is_impaired(1) && !bench.links.is_impaired(0));
    bench.links.set_host(1, None);
    assert_eq!(bench.send(0, 1, 1_000, MILLI).lost, 0);
    assert!(!bench.links.is_impaired(1));
}

#[test]
fn bursts_lose_their_share_in_runs_of_their_length() {
    let (mut lost, mut runs, mut sent) = (0, 0, 0);
    for seed in 0..10 {
        let mut bench = Bench::new(seed);
        let burst = Burst { every: Span::millis(950), lasts: Span::millis(50), loss: 1.0 };
        let burst = Some(burst);
        bench.links.set_conditions(&Conditions { burst, ..Conditions::default() });
        let mut before = false;
        for packet in 0..100_000 {
            let load = Load { from: 0, to: 1, bytes: BYTES, packets: 1 };
            let fate = bench.links.send(Time(packet * MILLI), load, &mut bench.dice);
            let is_lost = fate == Fate::Lost;
            sent += 1;
            lost += u64::from(is_lost);
            runs += u64::from(is_lost && !before);
            before = is_lost;
        }
    }
    assert!((0.045..0.055).contains(&share(lost, sent)), "{}", share(lost, sent));
    assert!((45.0..55.0).contains(&share(lost, runs)), "{}", share(lost, runs));
}

#[test]
fn duplicates_and_packets_that_fall_behind_come_as_often_as_said() {
    let mut bench = Bench::new(3);
    let reorder = Reorder { share: 0.2, by: Span::millis(30) };
    bench.links.set_conditions(&Conditions {
        duplicate: Some(0.1),
        reorder: Some(reorder),
        ..Conditions::default()
    });
    let seen = bench.send(0, 1, 20_000, MILLI);
    assert_eq!(seen.arrived, seen.sent);
    assert!((share(seen.duplicated, seen.sent) - 0.1).abs() < 0.01);
    assert!((share(seen.held_up, seen.sent) - 0.2).abs() < 0.01);
    assert_eq!(seen.delay_quantile_us(0.5), Some(LATENCY_US));
    assert_eq!(seen.delay_quantile_us(0.9), Some(LATENCY_US + 30 * MILLI));
}

#[test]
fn a_line_lets_its_rate_through_and_the_rest_waits_and_is_dropped() {
    let mut bench = Bench::new(4);
    // 100 bytes in 10 ms are 80 kbit/s.
    bench.links.set_conditions(&Conditions { up_kbps: Some(80), ..Conditions::default() });
    let fitting = bench.send(0, 1, 1_000, 10 * MILLI);
    assert_eq!((fitting.arrived, fitting.longest_queue_us), (1_000, 0));
    assert_eq!(fitting.delay_quantile_us(1.0), Some(LATENCY_US + 10 * MILLI));
    let mut bench = Bench::new(4);
    bench.links.set_conditions(&Conditions { up_kbps: Some(80), ..Conditions::default() });
    let double = bench.send(0, 1, 10_000, 5 * MILLI);
    assert!((share(double.dropped, double.sent) - 0.5).abs() < 0.01, "{double:?}");
    assert!((MAX_QUEUE_US - 20 * MILLI..=MAX_QUEUE_US).contains(&double.longest_queue_us));
}

#[test]
fn a_narrow_way_in_is_shared_by_all_who_send() {
    let mut bench = Bench::new(5);
    let narrow = Conditions { down_kbps: Some(80), ..Conditions::default() };
    bench.links.set_host(2, Some(&narrow));
    for from in [0, 1] {
        bench.links.watch(from, 2);
    }
    for packet in 0..10_000_u64 {
        let load = Load { from: (packet % 2) as usize, to: 2, bytes: BYTES, packets: 1 };
        bench.links.send(Time(packet * 5 * MILLI), load, &mut bench.dice);
    }
    let arrived: u64 = [0, 1].iter().map(|&from| bench.links.stats(from, 2).unwrap().arrived).sum();
    assert!((share(arrived, 10_000) - 0.5).abs() < 0.02, "{arrived}");
    assert_eq!(bench.send(2, 0, 1_000, MILLI).longest_queue_us, 0);
}

#[test]
fn a_link_that_is_off_and_on_in_turn_passes_what_is_sent_while_it_is_on() {
    let mut bench = Bench::new(6);
    bench.links.watch(0, 1);
    for packet in 0..4_000_u64 {
        let now = Time(packet * 10 * MILLI);
        let off = now.0 % (4 * SECOND) < 3 * SECOND;
        if off {
            bench.links.cut(0, 1, now)
        } else {
            bench.links.mend(0, 1, now)
        }
        for (from, to) in [(0, 1), (1, 0)] {
            let load = Load { from, to, bytes: BYTES, packets: 1 };
            let fate = bench.links.send(now, load, &mut bench.dice);
            assert_eq!(fate == Fate::Blocked, off && from == 0);
        }
    }
    let seen = bench.links.stats(0, 1).unwrap();
    assert_eq!((seen.blocked, seen.arrived), (3_000, 1_000));
}

#[test]
fn everything_goes_back_to_the_base() {
    let mut bench = Bench::new(7);
    let base = Conditions { loss: Some(0.1), ..Conditions::default() };
    let worse = Conditions { loss: Some(0.9), duplicate: Some(0.5), ..Conditions::default() };
    bench.links.set_conditions(&base);
    bench.links.set_host(1, Some(&base));
    bench.links.keep_as_base();
    bench.links.set_conditions(&worse);
    bench.links.set_host(1, Some(&worse));
    bench.links.set_host_loss(0, Chance::new(1.0), Chance::new(1.0));
    bench.links.set_pair_loss(0, 1, Some(Chance::new(1.0)));
    bench.links.cut(0, 1, Time(1));
    bench.links.partition(&[&[0]], Time(1));
    assert!(bench.links.is_impaired(0) && bench.links.is_way_impaired(0, 1));
    bench.links.restore(Time(5));
    assert!(!bench.links.is_impaired(0) && !bench.links.is_way_impaired(0, 1));
    assert_eq!(bench.links.joined_since(0, 1), Some(Time(5)));
    let seen = bench.send(0, 1, 10_000, MILLI);
    assert!((share(seen.lost, seen.sent) - 0.1).abs() < 0.01);
    assert_eq!((seen.blocked, seen.duplicated), (0, 0));
}
