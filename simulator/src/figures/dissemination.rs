//! How soon a changed record is at every peer.

use std::collections::BTreeMap;
use std::time::Duration;

use plexmesh_proto::Event;
use plexmesh_proto::integrity::{FindingKind, ShardReport, Verdict};

use super::bench::{Bench, SETTLE_S};
use super::figure::{Bound, Figure, Measured, Unit};
use super::{Load, Row, RowError, seconds};
use crate::dice::Dice;
use crate::measure::quantile::{quantile, sorted};
use crate::world::World;
use crate::world::tap::{Noted, TapFilter};

/// After a record was published, seconds until the next one is: longer than any may take.
const WATCHED_S: u64 = 15;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "dissemination-loss-0",
        what: "a changed record at every peer, PlanetLab latencies, no loss",
        others: "memberlist's gossip 1.4 s to 99 %, 1.6 s to all (computed from its defaults, no latency)",
        load: Load::Shared,
        measure: |bench| changed(bench, 0.0),
    },
    Row {
        name: "dissemination-loss-25",
        what: "the same, 25 % loss everywhere",
        others: "memberlist's gossip 1.8 s to 99 %, 2 s to all (computed from its defaults, no latency)",
        load: Load::Shared,
        measure: |bench| changed(bench, 0.25),
    },
];

fn changed(bench: &Bench<'_>, loss: f64) -> Result<Measured, RowError> {
    let publishers = bench.pick(20, 4);
    let scenario = bench.quiet(bench.peers(), loss, publishers * WATCHED_S);
    let mut world = bench.world(&scenario)?;
    let total = scenario.phases.total();
    bench.pass(&mut world, seconds(SETTLE_S), total, |_| ())?;
    let mut dice = Dice::new(bench.seed, "publishers", 0);
    let (mut took, mut lacking, mut until_all) = (Vec::new(), 0, Vec::new());
    for publisher in dice.sample(usize::try_from(publishers).unwrap_or_default(), world.len()) {
        let each = publish(bench, &mut world, publisher, total)?;
        let others = world.len() - 1;
        lacking += others - each.len();
        until_all.extend(each.iter().copied().max().filter(|_| each.len() == others));
        took.extend(each);
    }
    let in_seconds =
        |times: Vec<Duration>| sorted(times.iter().map(Duration::as_secs_f64).collect());
    let (took, until_all) = (in_seconds(took), in_seconds(until_all));
    let lost = loss > 0.0;
    let asked = |seconds: f64, of_lossy: bool| {
        (of_lossy == lost).then_some(Bound::AtMost(seconds)).and_then(|bound| bench.asked(bound))
    };
    let at = |q| (lacking == 0).then(|| quantile(&took, q));
    let figures = vec![
        Figure::new("p50", at(0.5), Unit::Seconds, None),
        Figure::new("p99", at(0.99), Unit::Seconds, asked(0.7, false)),
        Figure::new("at all", at(1.0), Unit::Seconds, asked(10.0, true)),
        Figure::new(
            "p50 of the time until all have it",
            (lacking == 0).then(|| quantile(&until_all, 0.5)),
            Unit::Seconds,
            None,
        ),
        Figure::none("peers that did not get it", lacking as u64),
    ];
    let notes = vec![format!("{publishers} publishers, one after the other")];
    let virtual_seconds = world.elapsed().as_secs_f64();
    Ok(Measured { peers: scenario.peers, virtual_seconds, figures, notes })
}

/// Has a peer publish that a shard of it is corrupt; gives how long it took to each other peer that
/// came to know.
fn publish(
    bench: &Bench<'_>,
    world: &mut World,
    publisher: usize,
    total: Duration,
) -> Result<Vec<Duration>, RowError> {
    let at = world.time();
    let until = world.elapsed() + seconds(WATCHED_S);
    let about = world.peer_id(publisher);
    world.set_tap(TapFilter {
        from: at,
        until: at.plus(crate::world::micros(seconds(WATCHED_S))),
        about,
        events: true,
    });
    let findings = BTreeMap::from([(FindingKind::Shards(Verdict::Corrupt), 1)]);
    world.tell_shards(publisher, ShardReport { inventory: None, findings });
    bench.pass(world, until, total, |_| ())?;
    let mut first: BTreeMap<usize, Duration> = BTreeMap::new();
    let notes = world.tap().map_or(&[][..], |tap| tap.notes());
    for note in notes.iter().filter(|note| note.host != publisher) {
        if let Noted::Told(Event::ShardsChanged { peer, .. }) = &note.what
            && Some(*peer) == about
        {
            first.entry(note.host).or_insert(Duration::from_micros(note.at.since(at)));
        }
    }
    Ok(first.into_values().collect())
}
