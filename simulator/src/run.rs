//! Runs a scenario: makes the world, does what the script says, looks once a second, and reports.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::check::{Judge, Phase};
use crate::measure::{self, Sampler};
use crate::report::{self, Happened, Outcome, RunReport, Sample, Wall};
use crate::scenario::{Problem, Scenario};
use crate::script::{Deed, Script, compile};
use crate::topology::TopologyError;
use crate::weather::Weather;
use crate::world::World;
use crate::world::tap::TapFilter;

pub(crate) mod agenda;
mod hands;
mod stage;
pub mod words;

pub use agenda::Agenda;
use hands::Hands;

/// How often the world is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a scenario could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It contradicts itself.
    #[error(transparent)]
    Scenario(#[from] Problem),
    /// The paths between peers could not be made.
    #[error(transparent)]
    Topology(#[from] TopologyError),
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress<'a> {
    /// Virtual time that passed.
    pub elapsed: Duration,
    /// Virtual time that the run will take.
    pub total: Duration,
    /// What is going on.
    pub phase: Phase,
    /// What was measured in this second.
    pub sample: &'a Sample,
}

impl Progress<'_> {
    /// Name of the phase, as scenario files call it.
    #[must_use]
    pub const fn phase_name(&self) -> &'static str {
        match self.phase {
            Phase::Settle => "settle",
            Phase::Faults => "faults",
            Phase::Healed => "healed",
        }
    }
}

/// Looks on while a scenario runs.
pub trait Watch {
    /// Called once per virtual second; `false` stops the run.
    fn tick(&mut self, world: &World, progress: &Progress<'_>) -> bool;

    /// Whether every event that a node tells is printed on standard error.
    fn traces(&self) -> bool {
        false
    }

    /// What a tap is to listen for from the beginning; `None` for no tap.
    fn tap(&self, _world: &World) -> Option<TapFilter> {
        None
    }

    /// When it wants to look next, beside every full second. It comes before what the script does
    /// at that time.
    fn next_moment(&self) -> Option<Duration> {
        None
    }

    /// Called at [`Self::next_moment`], which must give a later one then, or none.
    fn moment(&mut self, _world: &World) {}
}

/// Looks on without interest.
impl Watch for () {
    fn tick(&mut self, _: &World, _: &Progress<'_>) -> bool {
        true
    }
}

/// Runs a scenario. `name` is what the report calls it; files that it names are sought in `base`.
///
/// Same scenario, same report, but for [`RunReport::wall`].
///
/// # Errors
/// If the scenario contradicts itself, or its paths cannot be made.
pub fn run(
    name: &str,
    scenario: &Scenario,
    base: &Path,
    watch: &mut dyn Watch,
) -> Result<RunReport, RunError> {
    let began = Instant::now();
    scenario.validate()?;
    let script = compile(scenario)?;
    let (mut world, mut picture) = stage::world(scenario, &script, base, watch.traces())?;
    if let Some(filter) = watch.tap(&world) {
        world.set_tap(filter);
    }
    let mut runner = Runner::new(scenario, script, &mut world);
    let finished = runner.play(&mut world, watch);
    let judged = runner.judge.finish(&world);
    let broken = judged.checks.iter().any(|check| !check.held && (finished || !is_late(check)));
    let outcome = match (broken, finished) {
        (true, _) => Outcome::Broken,
        (false, true) => Outcome::Held,
        (false, false) => Outcome::Interrupted,
    };
    let traffic = runner.traffic.unwrap_or_else(|| traffic(&world));
    if picture.edges.is_empty() {
        picture.edges = measure::edges(&world);
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(RunReport {
        api_version: report::API_VERSION.to_owned(),
        kind: report::KIND.to_owned(),
        name: name.to_owned(),
        scenario: scenario.clone(),
        outcome,
        virtual_seconds: world.elapsed().as_secs_f64(),
        events: world.events(),
        event_hash: hex(&world.hash()),
        checks: judged.checks,
        detections: judged.detections,
        deliveries: measure::deliveries(runner.hands.tidings(), world.history().news()),
        healed_seconds: judged.healed_seconds,
        event_counts: counts(&world),
        traffic,
        latency_error: measure::latency_error(&world),
        series: runner.series,
        topology: picture,
        happenings: runner.happenings,
        wall: Wall { seconds, events_per_second: world.events() as f64 / seconds.max(1e-9) },
    })
}

/// The world of a scenario at its beginning, for whoever drives it himself: its peers and paths, and
/// nothing of what goes wrong. Files that it names are sought in `base`.
///
/// # Errors
/// As [`run`].
pub(crate) fn world(scenario: &Scenario, base: &Path) -> Result<World, RunError> {
    scenario.validate()?;
    let script = compile(scenario)?;
    let (mut world, _) = stage::world(scenario, &script, base, false)?;
    // It sets up the paths; what it would remember of faults nobody needs.
    Weather::new(scenario, &script, &mut world);
    Ok(world)
}

struct Runner<'a> {
    scenario: &'a Scenario,
    agenda: Agenda,
    hands: Hands,
    judge: Judge,
    sampler: Sampler,
    series: Vec<Sample>,
    happenings: Vec<Happened>,
    traffic: Option<report::Traffic>,
}

impl<'a> Runner<'a> {
    fn new(scenario: &'a Scenario, script: Script, world: &mut World) -> Self {
        let hands = Hands::new(scenario, &script, world);
        Self {
            scenario,
            agenda: Agenda::new(scenario, script.steps),
            hands,
            judge: Judge::new(&scenario.promises),
            sampler: Sampler::new(),
            series: Vec::new(),
            happenings: Vec::new(),
            traffic: None,
        }
    }

    /// Plays all phases; `false` if it was stopped before the end.
    fn play(&mut self, world: &mut World, watch: &mut dyn Watch) -> bool {
        let (begin, end) = self.scenario.phases.fault_phase();
        let total = self.scenario.phases.total();
        if !self.phase(world, watch, Phase::Settle, begin) {
            return false;
        }
        world.reset_traffic();
        if !self.phase(world, watch, Phase::Faults, end) {
            return false;
        }
        self.traffic = Some(traffic(world));
        // What the script ends together with the phase comes before all that is left.
        self.act(world);
        if let Some(what) = self.hands.heal(world) {
            self.happened(world, what);
        }
        self.phase(world, watch, Phase::Healed, total)
    }

    fn phase(
        &mut self,
        world: &mut World,
        watch: &mut dyn Watch,
        phase: Phase,
        end: Duration,
    ) -> bool {
        self.judge.begin(world, phase);
        let end = agenda::whole(end);
        while world.elapsed() < end {
            let next_look = LOOK_EVERY * (1 + second_of(world.elapsed()));
            let until = next_look.min(end);
            while let Some(at) = self.agenda.next_before(until) {
                pass(world, watch, at);
                self.act(world);
            }
            pass(world, watch, until);
            if until == next_look && !self.look(world, watch, phase) {
                return false;
            }
        }
        true
    }

    /// Does what is due.
    fn act(&mut self, world: &mut World) {
        while let Some((deed, again)) = self.agenda.due(world.elapsed()) {
            let turns = again && matches!(deed, Deed::Flip { .. });
            let what = words::of(&deed).filter(|_| !turns);
            self.hands.act(world, &deed, &mut self.judge);
            if let Some(what) = what {
                self.happened(world, what);
            }
        }
    }

    fn look(&mut self, world: &World, watch: &mut dyn Watch, phase: Phase) -> bool {
        self.judge.look(world);
        let sample = self.sampler.sample(world);
        let total = self.scenario.phases.total();
        let elapsed = world.elapsed();
        let goes_on = watch.tick(world, &Progress { elapsed, total, phase, sample: &sample });
        self.series.push(sample);
        goes_on || elapsed >= total
    }

    fn happened(&mut self, world: &World, what: String) {
        self.happenings.push(Happened { at_seconds: world.elapsed().as_secs_f64(), what });
    }
}

/// Lets time pass until `end`, and the watch look where it wants to.
fn pass(world: &mut World, watch: &mut dyn Watch, end: Duration) {
    while let Some(at) = watch.next_moment().filter(|at| *at <= end) {
        world.run_for(at.saturating_sub(world.elapsed()));
        watch.moment(world);
        if watch.next_moment().is_some_and(|next| next <= at) {
            break;
        }
    }
    world.run_for(end.saturating_sub(world.elapsed()));
}

/// Whether a check can only be held at the end of a run.
fn is_late(check: &report::Check) -> bool {
    check.promise == "agreement" || check.promise == "healing"
}

fn traffic(world: &World) -> report::Traffic {
    let hosts: Vec<usize> = (0..world.len()).filter(|&host| !world.truth(host).lies).collect();
    measure::traffic(world, &hosts)
}

fn second_of(elapsed: Duration) -> u32 {
    u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX - 1)
}

fn counts(world: &World) -> std::collections::BTreeMap<String, u64> {
    world.history().counts().iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
