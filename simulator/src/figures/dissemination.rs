//! How soon a changed record is at every peer.

use super::bench::{Bench, fault};
use super::figure::{Bound, Figure, Measured, Unit};
use super::{Load, Row, RowError};
use crate::dice::Dice;
use crate::measure::quantile::{quantile, sorted};
use crate::scenario::{Fault, Who};

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
    let mut scenario = bench.quiet(bench.peers(), loss, publishers * WATCHED_S);
    let mut dice = Dice::new(bench.seed, "publishers", 0);
    let drawn = dice.sample(usize::try_from(publishers).unwrap_or_default(), scenario.peers);
    let changes = (0..).zip(drawn).map(|(number, publisher)| {
        fault(number * WATCHED_S, Fault::Corrupt { peers: Who::Listed(vec![publisher]) })
    });
    scenario.faults = changes.collect();
    let report = bench.run(&scenario, &mut ())?;
    let deliveries = &report.deliveries;
    let lacking: usize =
        deliveries.iter().map(|news| news.listeners - news.each_seconds.len()).sum();
    let each = deliveries.iter().flat_map(|news| news.each_seconds.iter().copied());
    let took = sorted(each.collect());
    let until_all = sorted(deliveries.iter().filter_map(|news| news.all_seconds).collect());
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
    let virtual_seconds = report.virtual_seconds;
    Ok(Measured { peers: scenario.peers, virtual_seconds, figures, notes })
}
