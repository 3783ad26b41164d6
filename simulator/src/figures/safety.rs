//! What must not be said of anybody: false `down` at heavy loss, and by observers without CPU.

use std::time::Duration;

use super::bench::{Bench, Look, violations, words_of};
use super::figure::{Bound, Figure, Measured, Unit};
use super::{Load, Row, RowError};
use crate::builder::Start;
use crate::check::Phase;
use crate::history::EDGE_LOST;
use crate::run::Progress;
use crate::scenario::{Problem, builtin};
use crate::world::World;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "false-down",
        what: "nothing happens for a virtual hour, 25 % loss everywhere",
        others: "",
        load: Load::Shared,
        measure: quiet_hour,
    },
    Row {
        name: "starved-observers",
        what: "5 % of peers get no CPU for seconds at a time, some stand still, 5 % are slow",
        others: "Lifeguard: 50 to 100 times fewer false positives than SWIM, not none",
        load: Load::Shared,
        measure: starved,
    },
];

/// Counts what observers lost during the fault phase.
#[derive(Debug, Default)]
struct Losses {
    before: Option<(Duration, u64)>,
    lost: u64,
    lasted: Duration,
}

impl Look for Losses {
    fn look(&mut self, world: &World, progress: &Progress<'_>) {
        let lost = world.history().counts().get(EDGE_LOST).copied().unwrap_or_default();
        match (progress.phase, self.before) {
            (Phase::Settle, _) | (_, None) => self.before = Some((progress.elapsed, lost)),
            (Phase::Faults, Some((since, before))) => {
                self.lost = lost - before;
                self.lasted = progress.elapsed.saturating_sub(since);
            }
            (Phase::Healed, _) => {}
        }
    }
}

fn quiet_hour(bench: &Bench<'_>) -> Result<Measured, RowError> {
    let scenario = bench.quiet(bench.peers(), 0.25, bench.pick(3_600, 120));
    let mut losses = Losses::default();
    let report = bench.run(&scenario, &mut losses)?;
    let rate = losses.lost as f64 / losses.lasted.as_secs_f64().max(1.0);
    let figures = vec![
        Figure::none("false down", violations(&report, "no-false-down")),
        Figure::new(
            "edges lost in the whole mesh",
            rate,
            Unit::PerSecond,
            bench.asked(Bound::AtMost(0.1)),
        ),
        Figure::new("edges lost", losses.lost as f64, Unit::Count, None),
        Figure::new("sent by a peer", report.traffic.sent.mean, Unit::BytesPerSecond, None),
    ];
    let notes = vec![format!(
        "falsely called something else: {}",
        words_of(&report, "no-false-accusation")
    )];
    Ok(Measured {
        peers: scenario.peers,
        virtual_seconds: losses.lasted.as_secs_f64(),
        figures,
        notes,
    })
}

fn starved(bench: &Bench<'_>) -> Result<Measured, RowError> {
    let file = builtin("starved-observers").and_then(|file| file.load().ok());
    // It is part of the program, and a test loads it.
    let missing = || Problem::new("scenario", "no `starved-observers`", "a built-in scenario");
    let mut scenario = file.ok_or_else(missing).map_err(crate::run::RunError::from)?;
    scenario.seed = bench.seed;
    scenario.start = Start::Settled;
    scenario.set_peers(bench.peers());
    let report = bench.run(&scenario, &mut ())?;
    let figures = vec![
        Figure::none("false down", violations(&report, "no-false-down")),
        Figure::new("all agree after the end", report.healed_seconds, Unit::Seconds, None),
    ];
    let notes = vec![format!(
        "falsely called something else: {}",
        words_of(&report, "no-false-accusation")
    )];
    let virtual_seconds = report.virtual_seconds;
    Ok(Measured { peers: scenario.peers, virtual_seconds, figures, notes })
}
