//! What rows measure with: worlds of the wanted size, looks at them once a second, and the way out
//! when somebody interrupts.

use std::path::Path;
use std::time::Duration;

use super::figure::{Bound, Figure, Unit};
use super::{RowError, Size, seconds};
use crate::builder::Start;
use crate::measure::traffic::{Rates, sent_and_received};
use crate::report::{Outcome, RunReport, Sample};
use crate::run::{self, Progress, Watch};
use crate::scenario::{
    Conditions, Entry, FORMAT, Fault, Latency, MatrixValues, Network, Phases, Promises, Scenario,
    Span, Who,
};
use crate::world::World;

/// Peers of most rows in full size, as the figures are promised.
pub(super) const FULL_PEERS: usize = 1_000;
/// Peers of most rows in reduced size: more than have seats at any one peer, and a run in a second.
pub(super) const REDUCED_PEERS: usize = 40;
/// A settled mesh has connected and measured its edges after this long.
pub(super) const SETTLE_S: u64 = 60;
/// Peers of a settled mesh start over this time: long enough that their timers are not in step.
const STAGGER_S: u64 = 8;
/// What joining and healing may take, in bytes a second over five seconds.
pub(super) const BURST_BYTES: f64 = 64_000.0;

/// How and how large a row is measured.
pub(super) struct Bench<'a> {
    pub(super) size: Size,
    pub(super) seed: u64,
    /// `plexmesh-sim`.
    pub(super) program: &'a Path,
    /// Told which share is done; gives whether to go on.
    pub(super) goes_on: &'a dyn Fn(f64) -> bool,
}

/// Looks at a world once a second of a run.
pub(super) trait Look {
    /// Called after each second, before what the script does then.
    fn look(&mut self, world: &World, progress: &Progress<'_>);
}

impl Look for () {
    fn look(&mut self, _: &World, _: &Progress<'_>) {}
}

impl Bench<'_> {
    /// One of two, by the size.
    pub(super) fn pick<T>(&self, full: T, reduced: T) -> T {
        match self.size {
            Size::Full => full,
            Size::Reduced => reduced,
        }
    }

    /// Peers of most rows.
    pub(super) fn peers(&self) -> usize {
        self.pick(FULL_PEERS, REDUCED_PEERS)
    }

    /// A bound on how fast or small something is: a reduced world says nothing about that.
    pub(super) fn asked(&self, bound: Bound) -> Option<Bound> {
        self.pick(Some(bound), None)
    }

    /// A settled mesh on measured latencies, to which nothing happens but losses.
    pub(super) fn quiet(&self, peers: usize, loss: f64, faults_s: u64) -> Scenario {
        let latency = Latency::Matrix {
            source: "planetlab".to_owned(),
            unit: None,
            values: MatrixValues::default(),
            symmetric: false,
        };
        let conditions = Conditions { loss: (loss > 0.0).then_some(loss), ..Conditions::default() };
        Scenario {
            format: FORMAT,
            title: "A figure".to_owned(),
            description: String::new(),
            peers,
            seed: self.seed,
            start: Start::Settled,
            phases: Phases {
                stagger: Span::seconds(STAGGER_S),
                settle: Span::seconds(SETTLE_S),
                faults: Span::seconds(faults_s),
                healed: Span::seconds(0),
            },
            network: Network { latency, conditions, links: Vec::new() },
            groups: Vec::new(),
            faults: Vec::new(),
            churn: None,
            promises: Promises::default(),
        }
    }

    /// Plays a scenario to its end.
    pub(super) fn run(
        &self,
        scenario: &Scenario,
        look: &mut dyn Look,
    ) -> Result<RunReport, RowError> {
        let mut watch = Looking { goes_on: self.goes_on, look, interrupted: false };
        let report = run::run("figures", scenario, Path::new(""), &mut watch)?;
        if watch.interrupted || report.outcome == Outcome::Interrupted {
            return Err(RowError::Interrupted);
        }
        Ok(report)
    }

    /// The world of a scenario, to be driven by the row itself.
    pub(super) fn world(&self, scenario: &Scenario) -> Result<World, RowError> {
        Ok(run::world(scenario, Path::new(""))?)
    }

    /// Lets time pass up to `until`, second by second; `total` is when the row will be done.
    pub(super) fn pass(
        &self,
        world: &mut World,
        until: Duration,
        total: Duration,
    ) -> Result<(), RowError> {
        while world.elapsed() < until {
            let left = until.saturating_sub(world.elapsed());
            world.run_for(left.min(seconds(1)));
            if !(self.goes_on)(share(world.elapsed(), total)) {
                return Err(RowError::Interrupted);
            }
        }
        Ok(())
    }
}

struct Looking<'a> {
    goes_on: &'a dyn Fn(f64) -> bool,
    look: &'a mut dyn Look,
    interrupted: bool,
}

impl Watch for Looking<'_> {
    fn tick(&mut self, world: &World, progress: &Progress<'_>) -> bool {
        self.look.look(world, progress);
        let goes_on = (self.goes_on)(share(progress.elapsed, progress.total));
        self.interrupted |= !goes_on;
        goes_on
    }
}

fn share(elapsed: Duration, total: Duration) -> f64 {
    elapsed.as_secs_f64() / total.as_secs_f64().max(1e-9)
}

/// Something that goes wrong, so long after the fault phase began, until it ends.
pub(super) const fn fault(at_s: u64, fault: Fault) -> Entry {
    Entry { at: Span::seconds(at_s), lasts: None, fault }
}

/// So many peers that crash for good.
pub(super) const fn crash(count: usize) -> Fault {
    Fault::Crash { peers: Who::Count(count), process_only: false, lose_state: false }
}

/// The highest rate over five seconds of any peer, sent or received.
#[derive(Debug, Default)]
pub(super) struct Peak {
    rates: Rates,
    highest: u64,
}

impl Peak {
    /// To be called once a second.
    pub(super) fn look(&mut self, world: &World) {
        self.rates.take(sent_and_received(world));
        let highest = self.rates.per_second().map(|(_, rate)| rate.sent.max(rate.received)).max();
        self.highest = self.highest.max(highest.unwrap_or_default());
    }

    /// As a figure with the bound on bursts.
    pub(super) fn figure(&self, name: &str) -> Figure {
        let bound = Bound::AtMost(BURST_BYTES);
        Figure::new(name, self.highest as f64, Unit::BytesPerSecond, bound)
    }
}

/// Since when all digests are equal, in a phase.
#[derive(Debug, Default)]
pub(super) struct Agreed {
    began: Option<Duration>,
    /// From the beginning of the phase until they first were, to the second.
    pub(super) after: Option<Duration>,
}

impl Agreed {
    /// To be called once a second of the phase.
    pub(super) fn look(&mut self, elapsed: Duration, sample: &Sample) {
        let began = *self.began.get_or_insert(elapsed.saturating_sub(seconds(1)));
        if sample.digests == 1 && self.after.is_none() {
            self.after = Some(elapsed.saturating_sub(began));
        }
    }

    /// As a figure.
    pub(super) fn figure(&self, name: &str, asked: Option<Bound>) -> Figure {
        let after = self.after.map(|after| after.as_secs_f64());
        Figure::new(name, after, Unit::Seconds, asked)
    }
}

/// Whether a check of a report was broken, and how often.
pub(super) fn violations(report: &RunReport, promise: &str) -> u64 {
    let check = report.checks.iter().find(|check| check.promise == promise);
    check.map_or(0, |check| check.violation_count)
}

/// What a check of a report measured, in words.
pub(super) fn words_of(report: &RunReport, promise: &str) -> String {
    let check = report.checks.iter().find(|check| check.promise == promise);
    check.map(|check| check.measured.clone()).unwrap_or_default()
}
