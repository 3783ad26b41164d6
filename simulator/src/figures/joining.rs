//! What it costs a mesh when newcomers join.

use super::bench::{Agreed, Bench, Look, Peak, fault};
use super::figure::{Figure, Measured, Unit};
use super::{Load, Row, RowError};
use crate::check::Phase;
use crate::run::Progress;
use crate::scenario::Fault;
use crate::world::World;

/// They join so long after the fault phase began, in seconds.
const JOIN_S: u64 = 10;

pub(super) const ROWS: &[Row] = &[Row {
    name: "joining",
    what: "10 newcomers join at once, knowing three peers each",
    others: "",
    load: Load::Shared,
    measure: join,
}];

fn join(bench: &Bench<'_>) -> Result<Measured, RowError> {
    let newcomers = bench.pick(10, 3);
    let mut scenario = bench.quiet(bench.peers(), 0.0, JOIN_S + bench.pick(120, 60));
    scenario.faults.push(fault(JOIN_S, Fault::Join { count: newcomers }));
    let mut watch = Joined { before: scenario.peers, ..Joined::default() };
    let report = bench.run(&scenario, &mut watch)?;
    let figures = vec![
        watch.peak.figure("peak of a peer"),
        watch.agreed.figure("all digests equal", None),
        Figure::new("sent by a peer", report.traffic.sent.mean, Unit::BytesPerSecond, None),
    ];
    let notes = vec![format!("{newcomers} newcomers")];
    let virtual_seconds = report.virtual_seconds;
    Ok(Measured { peers: scenario.peers, virtual_seconds, figures, notes })
}

#[derive(Debug, Default)]
struct Joined {
    before: usize,
    peak: Peak,
    agreed: Agreed,
}

impl Look for Joined {
    fn look(&mut self, world: &World, progress: &Progress<'_>) {
        if progress.phase == Phase::Faults {
            self.peak.look(world);
            if world.len() > self.before {
                self.agreed.look(progress.elapsed, progress.sample);
            }
        }
    }
}
