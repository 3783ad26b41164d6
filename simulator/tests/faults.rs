//! Each fault does what it says, measured on the link or at the host.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a check fails by panicking"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_simulator::links::{Fate, LatencyModel};
use plexmesh_simulator::scenario::{Burst, Conditions, Span};
use plexmesh_simulator::{QueueLengths, World, check};

const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(10);
/// One-way latency of every path in the small worlds, in milliseconds.
const LATENCY_MS: u64 = 20;

#[derive(Debug)]
struct Even;

impl LatencyModel for Even {
    fn one_way_us(&self, _: usize, _: usize) -> u64 {
        LATENCY_MS * 1_000
    }
}

/// A few peers that found each other, on paths of one latency without jitter.
fn world(seed: u64, nodes: usize) -> World {
    let builder = World::builder(seed).nodes(nodes).jitter_ms(0);
    let mut world = builder.latency(Box::new(Even)).build();
    let hosts: Vec<usize> = (0..nodes).collect();
    let up = world.run_until(120 * SECOND, |world| check::all_up(world, &hosts));
    assert!(up.is_some());
    world.run_for(30 * SECOND);
    world
}

/// The moments, to the step, at which packets left on a path.
fn sending_moments(world: &mut World, from: usize, to: usize, length: Duration) -> Vec<u128> {
    world.watch_path(from, to);
    let (end, mut sent, mut moments) = (world.elapsed() + length, 0, Vec::new());
    while world.elapsed() < end {
        world.run_for(STEP);
        let now = world.path_stats(from, to).unwrap().sent;
        if now > sent {
            moments.push(world.elapsed().as_millis());
        }
        sent = now;
    }
    moments
}

fn share_that_arrives(world: &mut World, from: usize, to: usize, packets: u32) -> f64 {
    let mut arrived = 0;
    for _ in 0..packets {
        world.run_for(Duration::from_millis(1));
        arrived += u32::from(world.try_path(from, to, 100).after_us().is_some());
    }
    f64::from(arrived) / f64::from(packets)
}

#[test]
fn a_one_way_cut_lets_the_way_back_pass() {
    let mut world = world(1, 4);
    world.cut(0, 1);
    assert_eq!(world.try_path(0, 1, 100), Fate::Blocked);
    assert_eq!(world.try_path(1, 0, 100).after_us(), Some(LATENCY_MS * 1_000));
    assert_eq!(world.parted_since(1, 0), Some(world.time()));
    assert!(world.path_impaired(0, 1) && !world.path_impaired(0, 2));
    world.run_for(SECOND);
    world.mend(0, 1);
    assert_eq!(world.joined_since(0, 1), Some(world.time()));
    assert!(world.try_path(0, 1, 100).after_us().is_some());
}

#[test]
fn eighty_per_cent_ingress_loss_takes_what_comes_in_and_nothing_else() {
    let mut world = world(2, 4);
    world.set_host_loss(1, 0.8, 0.0);
    let into = share_that_arrives(&mut world, 0, 1, 4_000);
    assert!((0.18..0.22).contains(&into), "{into}");
    let out = share_that_arrives(&mut world, 1, 0, 1_000);
    assert!(out > 0.999, "{out}");
    assert!(world.truth(1).impaired && !world.truth(0).impaired);
}

#[test]
fn burst_loss_passes_its_share_between_running_peers() {
    let mut world = World::builder(3).nodes(3).build();
    let burst = Burst { every: Span::millis(400), lasts: Span::millis(100), loss: 1.0 };
    world.set_conditions(&Conditions { burst: Some(burst), ..Conditions::default() });
    let passed = share_that_arrives(&mut world, 0, 1, 60_000);
    assert!((0.77..0.83).contains(&passed), "{passed}");
    // Said before time passed, it is the base.
    assert!(!world.truth(0).impaired);
}

#[test]
fn duplicates_never_reach_a_node_twice() {
    let mut plain = world(4, 3);
    let mut doubled = world(4, 3);
    let twice = Conditions { duplicate: Some(1.0), ..Conditions::default() };
    doubled.set_conditions(&twice);
    for world in [&mut plain, &mut doubled] {
        world.reset_traffic();
        world.watch_path(0, 1);
        world.run_for(30 * SECOND);
    }
    let stats = doubled.path_stats(0, 1).unwrap();
    assert!(stats.duplicated >= stats.arrived && stats.arrived > 0);
    let received = |world: &World| world.traffic(1).unwrap().total().received as f64;
    let ratio = received(&doubled) / received(&plain);
    assert!((1.8..2.1).contains(&ratio), "{ratio}");
    let events = doubled.events() as f64 / plain.events() as f64;
    assert!((0.95..1.05).contains(&events), "{events}");
}

#[test]
fn a_narrow_line_delays_by_its_queue() {
    let mut world = world(5, 3);
    let narrow = Conditions { up_kbps: Some(80), ..Conditions::default() };
    world.set_host_conditions(0, Some(&narrow));
    world.run_for(2 * SECOND);
    // 1000 bytes at 80 kbit/s are 100 ms each.
    let delays: Vec<u64> = (0..3).filter_map(|_| world.try_path(0, 1, 1_000).after_us()).collect();
    let steps: Vec<u64> = delays.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(steps, [100_000, 100_000]);
    assert_eq!(world.try_path(1, 0, 1_000).after_us(), Some(LATENCY_MS * 1_000));
}

#[test]
fn what_reaches_a_slow_peer_is_late_by_as_much_as_said() {
    // Short, so that some arrivals have nothing else on its way beside them.
    const BY_MS: u64 = 20;
    let mut world = world(6, 3);
    world.set_slow(1, Some(Duration::from_millis(BY_MS)));
    assert!(world.truth(1).impaired);
    // How long, in milliseconds, something was on its way into the process without a break.
    let (mut busy_ms, mut spells) = (0, Vec::new());
    for _ in 0..60_000 {
        world.run_for(Duration::from_millis(1));
        if world.queue_lengths(1).late > 0 {
            busy_ms += 1;
        } else if busy_ms > 0 {
            spells.push(std::mem::take(&mut busy_ms));
        }
    }
    let shortest = *spells.iter().min().unwrap();
    assert!((BY_MS - 1..=BY_MS + 1).contains(&shortest), "{shortest}");
    assert_eq!(check::false_downs(&world).count(), 0);
    world.set_slow(1, None);
    assert_eq!(world.truth(1).well_since, Some(world.time()));
}

#[test]
fn a_starved_peer_speaks_only_while_it_runs_and_its_timers_are_late_by_at_most_a_stall() {
    let mut world = world(7, 3);
    let calm = sending_moments(&mut world, 1, 0, 60 * SECOND);
    let (run, stall) = (Duration::from_millis(500), Duration::from_millis(1_500));
    world.set_starved(1, Some((run, stall)));
    let starved = sending_moments(&mut world, 1, 0, 60 * SECOND);
    let longest = |moments: &[u128]| moments.windows(2).map(|m| m[1] - m[0]).max().unwrap();
    let bound = longest(&calm) + stall.as_millis() + 2 * STEP.as_millis();
    assert!(longest(&starved) <= bound, "{} > {bound}", longest(&starved));
    // Modulo a turn all moments lie in one window as long as a run: the rest is one gap.
    let turn = (run + stall).as_millis();
    let places: BTreeSet<u128> = starved.iter().map(|moment| moment % turn).collect();
    let mut places: Vec<u128> = places.into_iter().collect();
    places.push(places[0] + turn);
    let gap = longest(&places);
    assert!(gap + 2 * STEP.as_millis() >= stall.as_millis(), "{places:?}");
    assert_eq!(check::false_downs(&world).count(), 0);
}

#[test]
fn a_sleeping_peer_is_silent_and_its_clocks_go_on() {
    let mut world = world(8, 6);
    let before = world.now_at(2);
    world.watch_path(2, 0);
    world.sleep(2);
    let truth = world.truth(2);
    assert!(truth.impaired && truth.running_since.is_none() && truth.well_since.is_none());
    let others = [0, 1, 3, 4, 5];
    let missed =
        world.run_until(60 * SECOND, |world| check::all_see(world, &others, 2, PeerState::Down));
    assert!(missed.is_some());
    assert_eq!(world.path_stats(2, 0).unwrap().sent, 0);
    world.run_for(30 * SECOND);
    assert_eq!(world.path_stats(2, 0).unwrap().sent, 0);
    world.wake(2);
    let slept_ms = world.now_at(2).wall_ms - before.wall_ms;
    assert!(slept_ms >= 30_000 && world.now_at(2).time == world.time());
    assert_eq!(world.truth(2).well_since, Some(world.time()));
    let hosts: Vec<usize> = (0..6).collect();
    let back = world.run_until(120 * SECOND, |world| {
        check::all_up(world, &hosts) && check::digests_equal(world, &hosts)
    });
    assert!(back.is_some());
    assert_eq!(check::false_downs(&world).count(), 0);
}

#[test]
fn a_short_sleep_loses_nothing_and_no_connection() {
    let mut world = world(9, 4);
    let connections = world.connection_count(2);
    world.sleep(2);
    world.run_for(Duration::from_millis(1_500));
    world.wake(2);
    world.run_for(60 * SECOND);
    assert_eq!(world.connection_count(2), connections);
    assert!(check::all_up(&world, &[0, 1, 2, 3]));
}

#[test]
fn a_clock_that_jumps_back_and_forth_is_no_impairment_and_harms_nobody() {
    let mut world = world(10, 6);
    for offset_ms in [-40_000, 40_000, -3_600_000, 0] {
        world.set_clock_offset(1, offset_ms);
        world.run_for(30 * SECOND);
        assert!(!world.truth(1).impaired);
    }
    let hosts: Vec<usize> = (0..6).collect();
    let agree = world.run_until(60 * SECOND, |world| {
        check::all_up(world, &hosts) && check::digests_equal(world, &hosts)
    });
    assert!(agree.is_some());
    assert_eq!(check::false_downs(&world).count(), 0);
}

#[test]
fn healing_all_makes_everything_good_and_peers_agree() {
    let mut world = world(11, 8);
    world.cut(0, 1);
    world.partition(&[&[0, 1, 2]]);
    world.set_loss(0.5);
    world.set_host_loss(3, 0.8, 0.1);
    world.pause(4);
    world.sleep(5);
    world.set_slow(6, Some(SECOND));
    world.set_starved(7, Some((SECOND, SECOND)));
    let hosts: Vec<usize> = (0..8).collect();
    world.run_for(20 * SECOND);
    assert!(hosts.iter().all(|&host| world.truth(host).impaired));
    world.heal_all();
    for &host in &hosts {
        assert_eq!(world.truth(host).well_since, Some(world.time()), "{host}");
    }
    assert_eq!(world.parted_since(0, 5), None);
    assert_eq!(world.joined_since(0, 5), Some(world.time()));
    assert!(share_that_arrives(&mut world, 0, 3, 1_000) > 0.999);
    let agree = world.run_until(120 * SECOND, |world| {
        check::all_up(world, &hosts) && check::digests_equal(world, &hosts)
    });
    assert!(agree.is_some());
}

#[test]
fn nobody_is_called_down_when_the_sides_of_a_short_partition_meet_again() {
    for (seed, lasts) in (20..).zip([3, 4, 5, 6, 8, 12]) {
        let mut world = world(seed, 30);
        let side: Vec<usize> = (0..12).collect();
        world.partition(&[&side]);
        world.run_for(lasts * SECOND);
        world.heal();
        world.run_for(20 * SECOND);
        let downs = check::false_downs(&world);
        // Of the other side that was right.
        let of_own_side =
            downs.filter(|down| side.contains(&down.observer) == side.contains(&down.subject));
        let downs: Vec<String> = of_own_side.map(|down| format!("{down:?}")).take(3).collect();
        assert!(downs.is_empty(), "after {lasts} s: {downs:?}");
    }
}

#[test]
fn a_dead_peer_stays_down_when_its_observers_restart_and_others_join() {
    for seed in 30..34 {
        let mut world = world(seed, 16);
        world.crash(15);
        let hosts: Vec<usize> = (0..15).collect();
        let all_know = |world: &World| check::all_see(world, &hosts, 15, PeerState::Down);
        world.run_for(10 * SECOND);
        assert!(all_know(&world));
        for host in 1..15 {
            world.crash(host);
            world.run_for(4 * SECOND);
            world.restart(host, true);
        }
        for _ in 0..3 {
            let host = world.add_host(vec![0, 1]);
            world.start(host);
        }
        world.run_for(60 * SECOND);
        assert!(all_know(&world), "seed {seed}");
    }
}

#[test]
fn what_a_peer_says_stays_valid_though_its_clock_falls_behind() {
    let mut world = world(40, 12);
    let one = world.peer_id(1).unwrap();
    let uptime = |world: &World| {
        let peers = world.node(0).unwrap().peers(world.now_at(0));
        let report = peers.into_iter().find(|report| report.id == one).unwrap();
        report.heartbeat.map(|(_, heartbeat)| heartbeat.uptime_s)
    };
    let before = uptime(&world).expect("all hold the heartbeats of all");
    world.set_clock_offset(1, -36_000_000);
    world.run_for(40 * SECOND);
    assert!(uptime(&world).expect("and still do") > before + 10);
}

#[test]
fn newcomers_that_meet_each_other_before_their_seed_join_its_mesh() {
    let mut world = world(50, 6);
    let first = world.add_host(vec![0]);
    let second = world.add_host(vec![first]);
    world.partition(&[&[first, second]]);
    [first, second].into_iter().for_each(|host| world.start(host));
    world.run_for(20 * SECOND);
    world.heal();
    let hosts: Vec<usize> = (0..8).collect();
    let joined = world.run_until(60 * SECOND, |world| check::all_up(world, &hosts));
    assert!(joined.is_some());
}

#[test]
fn queues_stay_within_their_bounds_under_faults() {
    let mut world = world(12, 8);
    world.pause(1);
    world.set_slow(2, Some(SECOND));
    world.set_starved(3, Some((SECOND, 2 * SECOND)));
    world.set_loss(0.3);
    let mut waited = 0;
    for _ in 0..60 {
        world.run_for(SECOND);
        for host in 0..world.len() {
            let lengths = world.queue_lengths(host);
            for (queue, length, bound) in lengths.each() {
                assert!(length <= bound, "{host}: {queue} {length}");
            }
            waited = waited.max(lengths.inbox);
        }
    }
    assert!(waited > 0 && QueueLengths::BOUNDS.inbox > waited);
    assert_eq!(world.overflowed(), 0);
}
