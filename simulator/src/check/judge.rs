//! The judge: asks all checkers, second by second.

use plexmesh_proto::types::{SECOND, Time};

use super::accusation::Accusations;
use super::agreement::{Agreement, components};
use super::bounds::{Queues, Traffic, Views};
use super::coverage::Coverage;
use super::detection::Detections;
use super::truth::Truth;
use super::versions::Versions;
use crate::report::{Check, Detection};
use crate::scenario::Promises;
use crate::world::World;

/// How often views are counted: they grow by whole peers, not by packets.
const VIEWS_EVERY_US: u64 = 10 * SECOND;

/// A phase of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Peers start and find each other; nothing is judged.
    #[default]
    Settle,
    /// Safety phase: faults happen, and nothing false may be declared.
    Faults,
    /// Liveness phase: every path is whole again, and all must come to agree.
    Healed,
}

/// Watches a world from outside and judges every promise.
#[derive(Debug)]
pub struct Judge {
    phase: Phase,
    /// Number of the first change of state that has not been looked at.
    next_change: u64,
    accusations: Accusations,
    agreement: Agreement,
    detections: Detections,
    versions: Versions,
    coverage: Coverage,
    queues: Queues,
    views: Views,
    views_at: Time,
    traffic: Traffic,
}

/// What a judge found.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Every promise, held or broken.
    pub checks: Vec<Check>,
    /// Each crash, and who knew it when.
    pub detections: Vec<Detection>,
    /// From the beginning of the liveness phase until all running peers agreed, in seconds; `None`
    /// if they did not.
    pub healed_seconds: Option<f64>,
}

impl Judge {
    /// A judge of these bounds, and of what is always promised.
    #[must_use]
    pub fn new(promises: &Promises) -> Self {
        Self {
            phase: Phase::Settle,
            next_change: 0,
            accusations: Accusations::default(),
            agreement: Agreement::new(promises.healing),
            detections: Detections::new(promises.detection),
            versions: Versions::default(),
            coverage: Coverage::default(),
            queues: Queues::default(),
            views: Views::default(),
            views_at: Time(0),
            traffic: Traffic::new(promises),
        }
    }

    /// A phase begins now.
    pub fn begin(&mut self, world: &World, phase: Phase) {
        // What happened until now belongs to the phase that ends.
        self.judge_changes(world, &truths(world));
        if self.phase == Phase::Faults {
            self.traffic.end(world, &truths(world));
        }
        self.phase = phase;
        match phase {
            Phase::Settle => {}
            Phase::Faults => self.traffic.begin(world),
            Phase::Healed => self.agreement.heal(world.time()),
        }
    }

    /// A host fell silent: it crashed, or its operator took it away.
    pub fn fell_silent(&mut self, host: usize, at: Time) {
        self.detections.fell_silent(host, at);
    }

    /// A host that fell silent starts again.
    pub fn returned(&mut self, host: usize, _at: Time) {
        self.detections.returned(host);
    }

    /// Looks at the world; to be called once per second of virtual time, after it has passed.
    pub fn look(&mut self, world: &World) {
        let truths = truths(world);
        self.judge_changes(world, &truths);
        self.agreement.look(world, &truths, self.phase);
        if self.phase == Phase::Settle {
            return;
        }
        self.versions.look(world, &truths);
        self.traffic.look(world, &truths);
        self.queues.look(world.time(), world.overflowed(), is_troubled(world, &truths));
        if world.time() >= self.views_at {
            self.views_at = world.time().plus(VIEWS_EVERY_US);
            self.views.look(world, &truths);
        }
        if self.phase == Phase::Healed {
            if self.agreement.holds() {
                self.coverage.look(world, &truths);
            } else if self.agreement.healed_seconds().is_none() {
                self.coverage.forget();
            }
        }
    }

    /// The run is over.
    #[must_use]
    pub fn finish(mut self, world: &World) -> Judged {
        let truths = truths(world);
        self.judge_changes(world, &truths);
        if self.phase == Phase::Faults {
            self.traffic.end(world, &truths);
        }
        self.agreement.finish(world, &truths);
        let mut checks = Vec::new();
        checks.extend(self.accusations.checks());
        checks.extend(self.agreement.checks());
        checks.push(self.detections.check());
        checks.push(self.versions.check());
        checks.push(self.coverage.check());
        checks.push(self.queues.check());
        checks.push(self.views.check());
        checks.extend(self.traffic.checks());
        Judged {
            checks,
            detections: self.detections.report(),
            healed_seconds: self.agreement.healed_seconds(),
        }
    }

    fn judge_changes(&mut self, world: &World, truths: &[Truth]) {
        let history = world.history();
        let changes = history.changes_from(self.next_change);
        let missed = history.forgotten().saturating_sub(self.next_change);
        self.next_change = history.next_number();
        self.detections.look(changes, world, truths);
        if self.phase != Phase::Settle {
            self.accusations.missed(missed);
            self.accusations.look(changes, world);
        }
    }
}

fn truths(world: &World) -> Vec<Truth> {
    (0..world.len()).map(|host| world.truth(host)).collect()
}

/// Whether something is wrong with a host or between hosts.
fn is_troubled(world: &World, truths: &[Truth]) -> bool {
    let sick = |truth: &Truth| truth.well_since.is_none() || truth.impaired || truth.lies;
    truths.iter().any(sick) || components(world, (0..truths.len()).collect()).len() > 1
}
