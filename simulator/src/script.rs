//! The script of a run: what a scenario asks for, as concrete deeds on concrete hosts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::byzantine::Lie;
use crate::dice::Dice;
use crate::scenario::{Conditions, Direction, Entry, Fault, Problem, Scenario, Span, Who};

mod cast;

use cast::{Cast, cast};

/// Most pairs of hosts of one cut or missing path. Whole sides are separated by a partition, which
/// costs nothing per pair.
const MAX_PAIRS: usize = 1_000_000;

/// A process that has said good-bye runs on for so long, as an agent does for its last records to
/// get out.
const FAREWELL: Duration = Duration::from_secs(2);

/// What is done in a run, and to whom.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// Members of each group.
    pub groups: BTreeMap<String, Vec<usize>>,
    /// In the order in which they are done.
    pub steps: Vec<Step>,
}

/// Something that is done at some time.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Since the beginning of the run.
    pub at: Duration,
    /// What.
    pub deed: Deed,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Processes end without a word.
    Stop {
        /// Whose.
        hosts: Vec<usize>,
        /// They end in order and close their connections.
        process_only: bool,
    },
    /// Stopped processes start again.
    Start {
        /// Whose.
        hosts: Vec<usize>,
        /// With an empty disk.
        lose_state: bool,
    },
    /// Processes stop as by SIGSTOP.
    Pause(Vec<usize>),
    /// Paused processes go on.
    Resume(Vec<usize>),
    /// Hosts sleep.
    Sleep(Vec<usize>),
    /// Sleeping hosts wake up.
    Wake(Vec<usize>),
    /// Hosts get something; [`Deed::Cure`] takes it away.
    Ail {
        /// Tells it from others of the same kind.
        id: usize,
        /// Who.
        hosts: Vec<usize>,
        /// What.
        ailment: Ailment,
    },
    /// What has this id ends.
    Cure {
        /// As given when it began.
        id: usize,
    },
    /// Packets of hosts are lost and pass in turn; repeats itself until its end.
    Flip {
        /// Tells it from others.
        id: usize,
        /// Who.
        hosts: Vec<usize>,
        /// Which way.
        direction: Direction,
        /// How long it is off at a time.
        off: Duration,
        /// How long it is on at a time.
        on: Duration,
        /// When it ends, since the beginning of the run.
        until: Duration,
        /// Whether the next thing is to go on instead of off.
        is_off: bool,
    },
    /// The paths from hosts to hosts are cut.
    Cut {
        /// From whom.
        from: Vec<usize>,
        /// To whom.
        to: Vec<usize>,
        /// And back.
        both_ways: bool,
    },
    /// A cut ends.
    Mend {
        /// From whom.
        from: Vec<usize>,
        /// To whom.
        to: Vec<usize>,
        /// And back.
        both_ways: bool,
    },
    /// The mesh falls into sides; who is on none forms one more.
    Part(Vec<Vec<usize>>),
    /// The sides come together.
    Unite,
    /// Wall clocks jump.
    Jump {
        /// Whose.
        hosts: Vec<usize>,
        /// How far, in milliseconds.
        by_ms: i64,
    },
    /// Hosts lie from now on.
    Lie {
        /// Who.
        hosts: Vec<usize>,
        /// How.
        lie: Lie,
    },
    /// New hosts start; they get these indices.
    Join(Vec<usize>),
    /// Hosts say good-bye.
    Leave(Vec<usize>),
    /// The processes of hosts that have said good-bye end.
    Depart(Vec<usize>),
    /// A shard of each of these hosts goes bad.
    Corrupt(Vec<usize>),
    /// It is whole again.
    Repair(Vec<usize>),
    /// A host goes if it is there and comes if it is away, and so on until the end of the fault
    /// phase; how long it stays is drawn.
    ComeAndGo {
        /// Who.
        host: usize,
        /// Whether it is away.
        is_away: bool,
        /// Whether it comes back with an empty disk.
        lose_state: bool,
    },
}

/// What a host can have for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ailment {
    /// Everything reaches its process late.
    Slow(Duration),
    /// Its process runs for a while and stands still for a while.
    Starved {
        /// How long it runs at a time.
        run: Duration,
        /// How long it stands still.
        stall: Duration,
    },
    /// Packets are lost.
    Loss {
        /// Probability for those that come in.
        ingress: f64,
        /// Probability for those that go out.
        egress: f64,
    },
    /// Other conditions on all of its paths.
    Degraded(Conditions),
}

/// Finds the hosts of every fault and puts what happens to them in order.
///
/// # Errors
/// If faults contradict each other, or name peers that do not exist.
pub fn compile(scenario: &Scenario) -> Result<Script, Problem> {
    let cast = cast(scenario)?;
    let mut plan = Plan::new(scenario);
    for (index, (entry, sets)) in scenario.faults.iter().zip(&cast.faults).enumerate() {
        plan.entry(index, entry, sets)?;
    }
    if let Some(churn) = &scenario.churn {
        for &host in &cast.churn {
            let mut dice = Dice::new(scenario.seed, "first session", host as u64);
            let at = plan.begin.saturating_add(exponential(&mut dice, churn.session));
            if at >= plan.end {
                continue;
            }
            plan.push(at, false, Deed::ComeAndGo { host, is_away: false, lose_state: false });
        }
    }
    // What ends makes room for what begins at the same time.
    plan.steps.sort_by_key(|planned| (planned.step.at, !planned.ends));
    let steps = plan.steps.into_iter().map(|planned| planned.step).collect();
    Ok(Script { groups: cast.groups, steps })
}

/// The same scenario with every drawn set replaced by the peers that were drawn: what happens to
/// whom no longer depends on the seed or on other faults.
///
/// # Errors
/// As [`compile`].
pub fn pin(scenario: &Scenario) -> Result<Scenario, Problem> {
    let Cast { groups, faults, churn } = cast(scenario)?;
    let mut pinned = scenario.clone();
    let pin = |who: &mut Who, hosts: &[usize]| {
        if who.is_drawn() {
            *who = Who::Listed(hosts.to_vec());
        }
    };
    for group in &mut pinned.groups {
        pin(&mut group.peers, groups.get(&group.name).map_or(&[], Vec::as_slice));
    }
    for (entry, sets) in pinned.faults.iter_mut().zip(&faults) {
        for (who, hosts) in entry.fault.sets_mut().into_iter().zip(sets) {
            pin(who, hosts);
        }
    }
    if let Some(plan) = &mut pinned.churn {
        pin(&mut plan.peers, &churn);
    }
    Ok(pinned)
}

/// Draws a length of time from the exponential distribution of a mean.
pub(crate) fn exponential(dice: &mut Dice, mean: Span) -> Duration {
    // 53 bits above nothing and up to one: the logarithm is finite.
    let share = ((dice.bits() >> 11) + 1) as f64 / 9_007_199_254_740_992.0;
    Duration::from_micros((-libm::log(share) * mean.micros() as f64) as u64)
}

#[derive(Debug)]
struct Planned {
    ends: bool,
    step: Step,
}

struct Plan {
    begin: Duration,
    end: Duration,
    /// When the mesh is parted, since the beginning of the run.
    parted: Vec<(Duration, Duration)>,
    steps: Vec<Planned>,
}

impl Plan {
    const fn new(scenario: &Scenario) -> Self {
        let (begin, end) = scenario.phases.fault_phase();
        Self { begin, end, parted: Vec::new(), steps: Vec::new() }
    }

    fn entry(&mut self, index: usize, entry: &Entry, sets: &[Vec<usize>]) -> Result<(), Problem> {
        let hosts = sets.first().cloned().unwrap_or_default();
        let others = sets.get(1).cloned().unwrap_or_default();
        let path = |key: &str| format!("faults[{index}].{key}");
        let ail = |ailment| {
            (Deed::Ail { id: index, hosts: hosts.clone(), ailment }, Some(Deed::Cure { id: index }))
        };
        let (begins, ends) = match &entry.fault {
            Fault::Crash { process_only, lose_state, .. } => (
                Deed::Stop { hosts: hosts.clone(), process_only: *process_only },
                Some(Deed::Start { hosts, lose_state: *lose_state }),
            ),
            Fault::RollingRestart { every, down, lose_state, .. } => {
                return self.rolling(index, entry, &hosts, (*every, *down), *lose_state);
            }
            Fault::Pause { .. } => (Deed::Pause(hosts.clone()), Some(Deed::Resume(hosts))),
            Fault::Sleep { .. } => (Deed::Sleep(hosts.clone()), Some(Deed::Wake(hosts))),
            Fault::Slow { delay, .. } => ail(Ailment::Slow(delay.0)),
            Fault::Starve { run, stall, .. } => {
                ail(Ailment::Starved { run: run.0, stall: stall.0 })
            }
            Fault::Loss { ingress, egress, .. } => {
                ail(Ailment::Loss { ingress: *ingress, egress: *egress })
            }
            Fault::Degrade { conditions, .. } => ail(Ailment::Degraded(*conditions)),
            Fault::FlipFlop { direction, off, on, .. } => {
                let until = self.end_of(entry);
                let (off, on) = (off.0, on.0);
                let direction = *direction;
                (Deed::Flip { id: index, hosts, direction, off, on, until, is_off: false }, None)
            }
            Fault::Cut { .. } => cut(hosts, others, false, path("to"))?,
            Fault::NoPath { .. } => cut(hosts, others, true, path("and"))?,
            Fault::Partition { .. } => {
                self.part(entry, path("at"))?;
                (Deed::Part(sets.to_vec()), Some(Deed::Unite))
            }
            Fault::Clock { jump_ms, .. } => (
                Deed::Jump { hosts: hosts.clone(), by_ms: *jump_ms },
                Some(Deed::Jump { hosts, by_ms: -jump_ms }),
            ),
            Fault::Lie { lie, .. } => (Deed::Lie { hosts, lie: *lie }, None),
            Fault::Join { .. } => (Deed::Join(hosts), None),
            Fault::Leave { .. } => {
                let gone = self.begin + entry.at.0 + FAREWELL;
                self.push(gone, false, Deed::Depart(hosts.clone()));
                (Deed::Leave(hosts), None)
            }
            Fault::Corrupt { .. } => (Deed::Corrupt(hosts.clone()), Some(Deed::Repair(hosts))),
        };
        self.push(self.begin + entry.at.0, false, begins);
        if let (Some(deed), Some(_)) = (ends, entry.lasts) {
            self.push(self.end_of(entry), true, deed);
        }
        Ok(())
    }

    fn rolling(
        &mut self,
        index: usize,
        entry: &Entry,
        hosts: &[usize],
        (every, down): (Span, Span),
        lose_state: bool,
    ) -> Result<(), Problem> {
        let first = self.begin + entry.at.0;
        for (turn, &host) in hosts.iter().enumerate() {
            let turns = u32::try_from(turn).unwrap_or(u32::MAX);
            let at = first.saturating_add(every.0.saturating_mul(turns));
            let back = at.saturating_add(down.0);
            if back > self.end {
                let what = format!(
                    "peer {host}, number {} of {}, would be back only {} after the fault phase",
                    turn + 1,
                    hosts.len(),
                    Span(back.saturating_sub(self.end))
                );
                let expected = "fewer peers, shorter steps or a longer fault phase";
                return Err(Problem::new(format!("faults[{index}].every"), what, expected));
            }
            self.push(at, false, Deed::Stop { hosts: vec![host], process_only: true });
            self.push(back, true, Deed::Start { hosts: vec![host], lose_state });
        }
        Ok(())
    }

    /// A mesh that is parted cannot be parted otherwise.
    fn part(&mut self, entry: &Entry, path: String) -> Result<(), Problem> {
        let (from, until) = (self.begin + entry.at.0, self.end_of(entry));
        let overlaps = self.parted.iter().find(|(start, end)| *start < until && from < *end);
        if let Some((start, end)) = overlaps {
            let what = format!(
                "another partition lasts from {} to {}",
                Span(start.saturating_sub(self.begin)),
                Span(end.saturating_sub(self.begin))
            );
            return Err(Problem::new(path, what, "one partition at a time"));
        }
        self.parted.push((from, until));
        Ok(())
    }

    fn end_of(&self, entry: &Entry) -> Duration {
        entry.lasts.map_or(self.end, |lasts| self.begin + entry.at.0 + lasts.0)
    }

    fn push(&mut self, at: Duration, ends: bool, deed: Deed) {
        self.steps.push(Planned { ends, step: Step { at, deed } });
    }
}

fn cut(
    from: Vec<usize>,
    to: Vec<usize>,
    both_ways: bool,
    path: String,
) -> Result<(Deed, Option<Deed>), Problem> {
    let pairs = from.len().saturating_mul(to.len());
    if pairs > MAX_PAIRS {
        let what = format!("{pairs} pairs of peers");
        return Err(Problem::new(path, what, format!("at most {MAX_PAIRS} pairs, or a partition")));
    }
    let cut = Deed::Cut { from: from.clone(), to: to.clone(), both_ways };
    Ok((cut, Some(Deed::Mend { from, to, both_ways })))
}

#[cfg(test)]
mod tests;
