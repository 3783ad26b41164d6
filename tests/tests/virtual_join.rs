//! Virtual time: peers come and come back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::time::Duration;

use plexmesh_proto::exchange::pacing::heartbeat_interval;
use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::record::Kind;
use plexmesh_simulator::{Start, World, check};
use plexmesh_tests::worlds::{all_but, everybody, is_settled, seed, settled};

/// What joining may cost any peer, each way, in bytes per second over five seconds.
const BURST_BUDGET: u64 = 64 * 1024;

#[test]
fn a_peer_that_joins_two_hundred_stays_within_the_burst_budget_of_everybody() {
    let (mut world, joined) = settled(World::builder(seed(6)).nodes(200).loss(0.01));
    assert!(joined.is_some());
    world.reset_traffic();
    let newcomer = world.add_node();
    let hosts = everybody(&world);
    let took = world.run_until(Duration::from_secs(60), |world| is_settled(world, &hosts));
    println!("joined after {took:?}");
    assert!(took.is_some_and(|took| took <= Duration::from_secs(30)), "{took:?}");
    world.run_for(Duration::from_secs(30));
    let peaks = hosts.iter().map(|&host| (world.traffic(host).unwrap().peak_per_second(), host));
    let sent = peaks.clone().max_by_key(|(rate, _)| rate.sent).unwrap();
    let received = peaks.max_by_key(|(rate, _)| rate.received).unwrap();
    println!("newcomer is {newcomer}; most sent {sent:?}, most received {received:?}");
    assert!(sent.0.sent <= BURST_BUDGET && received.0.received <= BURST_BUDGET);
}

/// Whether all hosts hold what the node of `host` last said of itself.
fn is_current_everywhere(world: &World, host: usize) -> bool {
    let Some(peer) = world.peer_id(host) else { return false };
    [Kind::PEER, Kind::LINKS].into_iter().all(|kind| {
        let own = world.node(host).and_then(|node| node.record(peer, kind, world.now_at(host)));
        own.is_some()
            && everybody(world).into_iter().all(|other| {
                let now = world.now_at(other);
                world.node(other).and_then(|node| node.record(peer, kind, now)) == own
            })
    })
}

fn restart(with_state: bool, noticed: bool, clock_offset_ms: i64) {
    const HOST: usize = 3;
    let (mut world, joined) = settled(World::builder(seed(4)).nodes(20).loss(0.01));
    assert!(joined.is_some());
    let hosts = everybody(&world);
    let peer = world.peer_id(HOST).unwrap();
    let version_at = |world: &World, host: usize| {
        world.node(host).and_then(|node| node.record(peer, Kind::PEER, world.now_at(host)))
    };
    let before = version_at(&world, 0).unwrap().version();
    world.crash(HOST);
    if noticed {
        let others = all_but(&world, &[HOST]);
        let known = world.run_until(Duration::from_secs(10), |world| {
            check::all_see(world, &others, HOST, PeerState::Down)
        });
        assert!(known.is_some());
    }
    world.set_clock_offset(HOST, clock_offset_ms);
    world.restart(HOST, with_state);
    let back = world.run_until(Duration::from_secs(60), |world| {
        is_settled(world, &hosts) && is_current_everywhere(world, HOST)
    });
    println!("state {with_state}, noticed {noticed}: back after {back:?}");
    assert!(back.is_some(), "{:?}", check::states_of(&world, &hosts, HOST));
    // Who remembers what it said, and finds it true, does not repeat it.
    let repeated = version_at(&world, 0).unwrap().version() > before;
    assert_eq!(repeated, !with_state);
    world.run_for(Duration::from_secs(120));
    assert!(is_settled(&world, &hosts));
    assert!(is_current_everywhere(&world, HOST));
}

#[test]
fn a_peer_that_lost_its_state_is_heard_at_once_although_its_clock_went_back() {
    restart(false, true, -50_000);
}

#[test]
fn a_peer_that_lost_its_state_is_heard_before_anybody_missed_it() {
    restart(false, false, 0);
}

#[test]
fn a_peer_that_kept_its_state_comes_back() {
    restart(true, true, 0);
}

/// The oldest heartbeat of another peer that anybody holds.
fn oldest_heartbeat_ms(world: &World) -> u64 {
    let hosts = everybody(world);
    let ages = hosts.iter().flat_map(|&viewer| {
        let (node, now) = (world.node(viewer).unwrap(), world.now_at(viewer));
        let others = hosts.iter().filter(move |&&host| host != viewer);
        others.map(move |&host| {
            let heartbeat = node.record(world.peer_id(host).unwrap(), Kind::HEARTBEAT, now);
            now.wall_ms.saturating_sub(heartbeat.unwrap().version().ms())
        })
    });
    ages.max().unwrap_or_default()
}

#[test]
fn a_heartbeat_from_before_the_first_contact_with_anybody_is_heard_of() {
    let builder = World::builder(seed(7)).nodes(200).latency_ms(5..60).start(Start::Settled);
    let mut world = builder.build();
    let interval_ms = heartbeat_interval(world.len()) / 1_000;
    // Those that were due in the first seconds were published while nobody was connected.
    world.run_for(Duration::from_millis(interval_ms * 19 / 20));
    let oldest_ms = oldest_heartbeat_ms(&world);
    println!("oldest heartbeat {oldest_ms} ms, interval {interval_ms} ms");
    assert!(oldest_ms < interval_ms * 7 / 4, "{oldest_ms}");
}
