//! What a mesh costs while nothing happens, and how old its heartbeats are.

use std::time::Duration;

use plexmesh_proto::integrity::{Inventory, ShardReport, Verdict};
use plexmesh_proto::record::{Kind, Resources};

use super::bench::{Bench, REDUCED_PEERS, SETTLE_S};
use super::figure::{Bound, Figure, Measured, Unit};
use super::{Load, Row, RowError, seconds};
use crate::measure::{self, quantile::quantile, quantile::sorted};
use crate::world::World;

/// Bytes a second are a mean over so long.
const MEAN_S: u64 = 300;
/// Processes of all peers run by then, and are told what an agent tells its node.
const TOLD_S: u64 = 10;
/// Largest heartbeat that is promised, in bytes.
const HEARTBEAT_BYTES: f64 = 300.0;
/// Peers whose heartbeats are looked at: each holds one of every peer.
const VIEWERS: usize = 20;

/// What is asked of a mesh of a size.
struct Asked {
    peers: usize,
    /// Bytes a second of a peer, each way.
    rate: Option<f64>,
    /// Age of the oldest heartbeat, in seconds.
    age_s: Option<f64>,
}

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "traffic-50",
        what: "steady traffic of a peer, 50 peers",
        others: "at 50 peers memberlist 0.14 KB/s, foca 0.13, chitchat 2.5 to 4.2 (membership alone, not encrypted)",
        load: Load::Shared,
        measure: |bench| steady(bench, &Asked { peers: 50, rate: Some(2_000.0), age_s: None }),
    },
    Row {
        name: "traffic-100",
        what: "steady traffic of a peer, 100 peers",
        others: "",
        load: Load::Shared,
        measure: |bench| steady(bench, &Asked { peers: 100, rate: None, age_s: Some(60.0) }),
    },
    Row {
        name: "traffic-1000",
        what: "steady traffic of a peer, 1000 peers",
        others: "memberlist 0.54 to 0.64 KB/s, Rapid 0.71 (Rapid paper, membership alone)",
        load: Load::Shared,
        measure: |bench| {
            let (rate, age_s) = (Some(4_000.0), Some(300.0));
            steady(bench, &Asked { peers: 1_000, rate, age_s })
        },
    },
    Row {
        name: "traffic-5000",
        what: "steady traffic of a peer, 5000 peers",
        others: "",
        load: Load::Alone,
        measure: |bench| {
            let (rate, age_s) = (Some(4_000.0), Some(1_200.0));
            steady(bench, &Asked { peers: 5_000, rate, age_s })
        },
    },
];

fn steady(bench: &Bench<'_>, asked: &Asked) -> Result<Measured, RowError> {
    let peers = bench.pick(asked.peers, REDUCED_PEERS);
    let scenario = bench.quiet(peers, 0.0, bench.pick(MEAN_S, 60));
    let total = scenario.phases.total();
    let mut world = bench.world(&scenario)?;
    bench.pass(&mut world, seconds(TOLD_S), total)?;
    for host in 0..peers {
        world.tell_resources(host, resources(host));
        world.tell_shards(
            host,
            ShardReport { inventory: Some(inventory()), ..ShardReport::default() },
        );
    }
    bench.pass(&mut world, seconds(SETTLE_S), total)?;
    world.reset_traffic();
    bench.pass(&mut world, total, total)?;
    let hosts: Vec<usize> = (0..peers).collect();
    let traffic = measure::traffic(&world, &hosts);
    let most = traffic.sent.max.max(traffic.received.max);
    let rate = |name: &str, value: f64| {
        let asked = asked.rate.map(Bound::AtMost).and_then(|bound| bench.asked(bound));
        Figure::new(name, value, Unit::BytesPerSecond, asked)
    };
    let mut figures = vec![
        rate("sent", traffic.sent.mean),
        rate("received", traffic.received.mean),
        rate("most of any peer", most),
    ];
    figures.extend(heartbeats(bench, &world, asked));
    let channel = |(name, rate): (&String, &f64)| format!("{name} {rate:.0} B/s");
    let channels: Vec<String> = traffic.sent_by_channel.iter().map(channel).collect();
    let notes = vec![
        format!("mean of {} s", total.saturating_sub(seconds(SETTLE_S)).as_secs()),
        format!("sent as {}", channels.join(", ")),
    ];
    let virtual_seconds = world.elapsed().as_secs_f64();
    Ok(Measured { peers, virtual_seconds, figures, notes })
}

/// Size and age of the heartbeats that some peers hold.
fn heartbeats(bench: &Bench<'_>, world: &World, asked: &Asked) -> Vec<Figure> {
    let viewers =
        (0..VIEWERS.min(world.len())).map(|nth| nth * world.len() / VIEWERS.min(world.len()));
    let (mut ages, mut missing, mut largest) = (Vec::new(), 0u64, 0);
    for viewer in viewers {
        let (Some(node), now) = (world.node(viewer), world.now_at(viewer)) else { continue };
        for origin in (0..world.len()).filter(|&origin| origin != viewer) {
            let Some(id) = world.peer_id(origin) else { continue };
            let Some(heartbeat) = node.record(id, Kind::HEARTBEAT, now) else {
                missing += 1;
                continue;
            };
            largest = largest.max(heartbeat.wire_bytes());
            let age = Duration::from_millis(now.wall_ms.saturating_sub(heartbeat.version().ms()));
            ages.push(age.as_secs_f64());
        }
    }
    let ages = sorted(ages);
    let age = asked.age_s.map(Bound::AtMost).and_then(|bound| bench.asked(bound));
    vec![
        Figure::new("oldest heartbeat", quantile(&ages, 1.0), Unit::Seconds, age),
        Figure::new("heartbeat age p50", quantile(&ages, 0.5), Unit::Seconds, None),
        Figure::none("heartbeats missing", missing),
        Figure::new(
            "largest heartbeat",
            largest as f64,
            Unit::Bytes,
            Bound::AtMost(HEARTBEAT_BYTES),
        ),
    ]
}

/// What a storage peer measures of itself: all that an agent does.
fn resources(host: usize) -> Resources {
    // Below all levels, so that nothing is told at once.
    let varied = host as u64 % 100;
    Resources {
        cpu_permille: Some(100 + varied as u32),
        memory_permille: Some(500 + varied as u32),
        disk_total_mib: Some(8_000_000),
        disk_free_mib: Some(4_000_000 + varied),
        load_centi: Some(50 + varied as u32),
    }
}

/// The shards of a storage peer that has many, of which a few are bad.
fn inventory() -> Inventory {
    let mut inventory = Inventory { sources: 4, oldest_s: Some(80_000), ..Inventory::default() };
    for (verdict, count) in [(Verdict::Ok, 100_000), (Verdict::Corrupt, 3), (Verdict::Orphan, 200)]
    {
        if let Some(place) = inventory.counts.get_mut(verdict.number()) {
            *place = count;
        }
    }
    inventory.digest = [0xa5; 8];
    inventory.pending = 1_000;
    inventory
}
