//! Virtual time: what one peer finds wrong with its shards is known to all, and so is its end.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use plexmesh_proto::integrity::{FindingKind, Inventory, ShardReport, Verdict};
use plexmesh_proto::report::HealthCode;
use plexmesh_simulator::{World, check};
use plexmesh_tests::worlds::{everybody, seed, settled};

const HOLDER: usize = 3;
const SOON: Duration = Duration::from_secs(2);

fn report(corrupt: u32) -> ShardReport {
    let mut inventory = Inventory { sources: 1, ..Inventory::default() };
    inventory.counts[Verdict::Ok.number()] = 100 - corrupt;
    inventory.counts[Verdict::Corrupt.number()] = corrupt;
    let findings = BTreeMap::from([(FindingKind::Shards(Verdict::Corrupt), corrupt)]);
    ShardReport { inventory: Some(inventory), findings }
}

/// Whether a host knows that the holder has so many corrupt shards, and nothing else of anybody's.
fn knows(world: &World, host: usize, corrupt: u32) -> bool {
    let node = world.node(host).unwrap();
    let now = world.now_at(host);
    let holder = world.peer_id(HOLDER).unwrap();
    let told = node.shard_findings(&holder, now).into_iter().map(|(_, finding)| finding.count);
    let told: Vec<u32> = told.filter(|count| *count > 0).collect();
    let findings = node.findings(now);
    let code = HealthCode::Shards(FindingKind::Shards(Verdict::Corrupt));
    let named = |peer| findings.iter().any(|found| found.code == code && found.peer == peer);
    told == Vec::from_iter((corrupt > 0).then_some(corrupt))
        && findings.len() == usize::from(corrupt > 0)
        && named(Some(holder)) == (corrupt > 0)
}

fn all_know(corrupt: u32) -> impl Fn(&World) -> bool {
    move |world| everybody(world).iter().all(|&host| knows(world, host, corrupt))
}

fn mesh() -> World {
    let (world, joined) = settled(World::builder(seed(8)).nodes(40).latency_ms(5..60).loss(0.05));
    assert!(joined.is_some());
    world
}

#[test]
fn a_finding_is_known_to_all_in_two_seconds_and_so_is_its_end() {
    let mut world = mesh();
    world.tell_shards(HOLDER, report(1));
    let known = world.run_until(SOON, all_know(1));
    println!("known to all after {known:?}");
    assert!(known.is_some());
    world.tell_shards(HOLDER, report(0));
    let over = world.run_until(SOON, all_know(0));
    println!("over for all after {over:?}");
    assert!(over.is_some());
    assert!(check::digests_equal(&world, &everybody(&world)));
}

#[test]
fn a_finding_outlives_a_restart_until_the_peer_has_looked_again() {
    let mut world = mesh();
    world.tell_shards(HOLDER, report(2));
    assert!(world.run_until(SOON, all_know(2)).is_some());
    world.crash(HOLDER);
    world.run_for(Duration::from_secs(5));
    world.restart(HOLDER, true);
    let back = world.run_until(Duration::from_secs(60), all_know(2));
    assert!(back.is_some());
    world.tell_shards(HOLDER, report(0));
    assert!(world.run_until(SOON, all_know(0)).is_some());
}

#[test]
fn a_count_that_goes_on_changing_is_broadcast_seldom_and_ends_right() {
    let mut world = mesh();
    let published = |world: &World| {
        let counts = world.history().counts();
        counts.get("shards changed").copied().unwrap_or(0)
    };
    for corrupt in 1..=90 {
        world.tell_shards(HOLDER, report(corrupt));
        world.run_for(Duration::from_millis(200));
    }
    // Every node tells of each change once: of the beginning, and of a new count every ten seconds.
    assert!(published(&world) <= 40 * 3, "{}", published(&world));
    assert!(world.run_until(Duration::from_secs(12), all_know(90)).is_some());
}

#[test]
fn heartbeats_carry_the_inventory() {
    let mut world = mesh();
    world.tell_shards(HOLDER, report(1));
    let holder = world.peer_id(HOLDER).unwrap();
    let wanted = report(1).inventory;
    let arrived = world.run_until(Duration::from_secs(120), |world| {
        everybody(world).iter().all(|&host| {
            let peers = world.node(host).unwrap().peers(world.now_at(host));
            let of_holder = peers.into_iter().find(|peer| peer.id == holder);
            of_holder.and_then(|peer| Some(peer.heartbeat?.1.inventory)) == Some(wanted.clone())
        })
    });
    assert!(arrived.is_some());
}
