//! How soon every survivor knows of a crash.

use super::bench::{Bench, crash, fault, violations};
use super::figure::{Bound, Figure, Measured, Unit};
use super::{Load, Row, RowError};
use crate::measure::quantile::{quantile, sorted};
use crate::report::{Detection, RunReport};

/// What the same takes others, as they and the Rapid paper publish it.
const OTHERS: &str =
    "memberlist about 15.5 s at 1000 peers (derived from its defaults), Rapid 10 s more";
/// Seconds between two crashes of one run: most are known before the next one.
const EVERY_S: u64 = 12;
/// The first crash of a run, in seconds: the mesh is quiet before it.
const FIRST_S: u64 = 5;
/// After the last crash a run goes on for so long: whoever does not know by then counts as one that
/// never will.
const TAIL_S: u64 = 40;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "detection-loss-0",
        what: "a crash known to every survivor, PlanetLab latencies, no loss",
        others: OTHERS,
        load: Load::Shared,
        measure: |bench| one_by_one(bench, 0.0, Some(2.5), 4.0),
    },
    Row {
        name: "detection-loss-5",
        what: "the same, 5 % loss everywhere",
        others: "",
        load: Load::Shared,
        measure: |bench| one_by_one(bench, 0.05, None, 6.0),
    },
    Row {
        name: "detection-loss-25",
        what: "the same, 25 % loss everywhere",
        others: "",
        load: Load::Shared,
        measure: |bench| one_by_one(bench, 0.25, None, 12.0),
    },
    Row {
        name: "detection-at-once-10",
        what: "10 crashes at once, no loss",
        others: "Rapid removes all ten in one change of view, about 10 s later than memberlist",
        load: Load::Shared,
        measure: |bench| at_once(bench, bench.pick(10, 3)),
    },
    Row {
        name: "detection-at-once-200",
        what: "200 crashes at once, no loss",
        others: "",
        load: Load::Shared,
        measure: |bench| at_once(bench, bench.pick(200, 8)),
    },
];

/// Crashes one after the other, each known before the next.
fn one_by_one(
    bench: &Bench<'_>,
    loss: f64,
    p50_s: Option<f64>,
    p99_s: f64,
) -> Result<Measured, RowError> {
    let crashes = bench.pick(20, 4);
    let mut scenario = bench.quiet(bench.peers(), loss, FIRST_S + crashes * EVERY_S + TAIL_S);
    scenario.faults.extend((0..crashes).map(|nth| fault(FIRST_S + nth * EVERY_S, crash(1))));
    let report = bench.run(&scenario, &mut ())?;
    Ok(measured(bench, &report, p50_s, p99_s))
}

/// Several crashes at one moment.
fn at_once(bench: &Bench<'_>, crashes: usize) -> Result<Measured, RowError> {
    let mut scenario = bench.quiet(bench.peers(), 0.0, FIRST_S + TAIL_S);
    scenario.faults.push(fault(FIRST_S, crash(crashes)));
    let report = bench.run(&scenario, &mut ())?;
    Ok(measured(bench, &report, None, 10.0))
}

fn measured(bench: &Bench<'_>, report: &RunReport, p50_s: Option<f64>, p99_s: f64) -> Measured {
    let detections = &report.detections;
    let each = detections.iter().flat_map(|one| one.each_seconds.iter().copied());
    let each = sorted(each.collect());
    let unaware: usize = detections.iter().map(|one| one.unaware).sum();
    let at = |q| with_unaware(&each, unaware, q);
    let asked = |bound: f64| bench.asked(Bound::AtMost(bound));
    let (all, never) = until_all(detections);
    let seconds = Unit::Seconds;
    let figures = vec![
        Figure::new("p50", at(0.5), seconds, p50_s.and_then(asked)),
        Figure::new("p99", at(0.99), seconds, asked(p99_s)),
        Figure::new("latest survivor p50", with_unaware(&all, never, 0.5), seconds, None),
        Figure::new("latest survivor at most", with_unaware(&all, never, 1.0), seconds, None),
        Figure::none("survivors that never knew", unaware as u64),
        Figure::none("false down", violations(report, "no-false-down")),
    ];
    let notes = vec![format!("{} crashes, {} pairs", detections.len(), each.len() + unaware)];
    let virtual_seconds = report.virtual_seconds;
    Measured { peers: report.scenario.peers, virtual_seconds, figures, notes }
}

/// From each crash until the last survivor knew, in rising order; and how many crashes not all of
/// them knew of.
fn until_all(detections: &[Detection]) -> (Vec<f64>, usize) {
    let all = sorted(detections.iter().filter_map(|one| one.all_seconds).collect());
    let never = detections.len() - all.len();
    (all, never)
}

/// A quantile over all, of which some never came to know: those took longer than everybody else.
/// `None` if it falls among them, or there is nobody.
fn with_unaware(sorted: &[f64], unaware: usize, q: f64) -> Option<f64> {
    let all = sorted.len() + unaware;
    let place = (q * all.saturating_sub(1) as f64).ceil() as usize;
    let last = sorted.len().checked_sub(1)?;
    let share = q * all.saturating_sub(1) as f64 / last.max(1) as f64;
    (place <= last).then(|| quantile(sorted, share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_never_knew_counts_as_slowest() {
        let values: Vec<f64> = (1..=99).map(f64::from).collect();
        assert_eq!(with_unaware(&values, 0, 0.5), Some(50.0));
        assert_eq!(with_unaware(&values, 0, 1.0), Some(99.0));
        let half = with_unaware(&values, 1, 0.5);
        assert!(half.is_some_and(|half| (half - 50.5).abs() < 1e-9), "{half:?}");
        assert_eq!(with_unaware(&values, 1, 1.0), None);
        assert_eq!(with_unaware(&values, 99, 0.5), None);
        assert_eq!(with_unaware(&[], 3, 0.5), None);
    }
}
