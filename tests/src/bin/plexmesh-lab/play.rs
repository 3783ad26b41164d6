//! Plays a scenario with real agents: starts them, does what the script says, listens, and reports.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use plexmesh_agent::time::WallTime;
use plexmesh_proto::types::{MILLI, Time};
use plexmesh_simulator::report::{Happened, Outcome, Violation};
use plexmesh_simulator::run::{Agenda, words};
use plexmesh_simulator::scenario::Scenario;
use plexmesh_simulator::script::{Deed, Script};

use crate::agents::{self, Agent};
use crate::ledger::{Ledger, check, seconds};
use crate::net::Net;
use crate::report::{KIND, LabReport, Sample, VERSION};
use crate::watch::{Ears, Word};

/// How long a mesh may take to become one beyond the settle phase of its scenario: many times what it takes on two busy cores.
const PATIENCE: Duration = Duration::from_secs(180);
/// Longest time without a look at what is due and at interrupts.
const TICK: Duration = Duration::from_millis(20);
/// Once all agree, the healed phase goes on for so long: a false step back would show.
const STAYS_HEALED: Duration = Duration::from_secs(5);

/// What the lab plays with.
pub(crate) struct Lab {
    scenario: Scenario,
    name: String,
    agents: Vec<Agent>,
    net: Net,
    ears: Ears,
    ledger: Ledger,
    agenda: Agenda,
    began: Instant,
    began_wall: WallTime,
    /// What the script calls now is so much less than what the clock shows.
    late: Duration,
    series: Vec<Sample>,
    happenings: Vec<Happened>,
    paused: BTreeSet<usize>,
    /// Since when all agree, in the phase that goes on.
    agreed_at: Option<Time>,
    stop: Arc<AtomicBool>,
}

/// How a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Over,
    Stopped,
}

impl Lab {
    /// A lab whose agents lie in `root`; none runs yet.
    pub(crate) fn new(
        scenario: Scenario,
        script: Script,
        (name, program, root): (&str, &Path, &Path),
        net: Net,
        began: Instant,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let agents = agents::mesh_of(program, root, net.places().to_vec())?;
        let began_wall =
            WallTime::from_ms(WallTime::now().ms().saturating_sub(ms(began.elapsed())));
        Ok(Self {
            ledger: Ledger::new(agents.len()),
            agenda: Agenda::new(&scenario, script.steps),
            ears: Ears::new()?,
            name: name.to_owned(),
            scenario,
            agents,
            net,
            began,
            began_wall,
            late: Duration::ZERO,
            series: Vec::new(),
            happenings: Vec::new(),
            paused: BTreeSet::new(),
            agreed_at: None,
            stop,
        })
    }

    /// Plays all phases and reports.
    pub(crate) fn play(mut self) -> anyhow::Result<LabReport> {
        let mut end = self.settle()?;
        let settled = self.now();
        let settled_seconds = self.agreed_at.map_or(0.0, |at| seconds(at.0));
        self.late = self.began.elapsed().saturating_sub(self.scenario.phases.settle.0);
        self.ledger.judge();
        self.net.reset_traffic();
        if end == End::Over {
            end = self.listen_until(self.scenario.phases.fault_phase().1)?;
        }
        self.act()?;
        let (traffic, packets) = self.net.traffic(seconds(self.now().since(settled)))?;
        let mut healed_seconds = None;
        if end == End::Over {
            (end, healed_seconds) = self.heal()?;
        }
        let mut checks = self.ledger.checks(self.scenario.promises.detection.map(|bound| bound.0));
        if end == End::Over {
            checks.push(self.healing(healed_seconds));
        }
        let outcome = match (checks.iter().all(|check| check.held), end) {
            (false, _) => Outcome::Broken,
            (true, End::Over) => Outcome::Held,
            (true, End::Stopped) => Outcome::Interrupted,
        };
        Ok(LabReport {
            api_version: VERSION.to_owned(),
            kind: KIND.to_owned(),
            switched: self.net.is_switched(),
            seconds: seconds(self.now().0),
            settled_seconds,
            checks,
            detections: self.ledger.detections(),
            deliveries: self.ledger.deliveries(),
            healed_seconds,
            event_counts: self.ledger.counts().clone(),
            traffic,
            packets,
            series: self.series,
            happenings: self.happenings,
            name: self.name,
            scenario: self.scenario,
            outcome,
        })
    }

    /// Starts everybody and waits until all agree, and for no less than the scenario says.
    fn settle(&mut self) -> anyhow::Result<End> {
        let step =
            self.scenario.phases.stagger.0 / u32::try_from(self.agents.len()).unwrap_or(1).max(1);
        for host in 0..self.agents.len() {
            let due = step * u32::try_from(host).unwrap_or_default();
            self.run(host)?;
            while self.began.elapsed() < due {
                self.listen(TICK);
            }
        }
        let least = self.scenario.phases.settle.0;
        while self.agreed_at.is_none() || self.began.elapsed() < least {
            if self.began.elapsed() > least + PATIENCE {
                let last = self.series.last().map_or(0, |sample| sample.digests);
                bail!(
                    "no mesh after {} s: {last} digests; the logs lie with --keep",
                    self.began.elapsed().as_secs()
                );
            }
            if self.is_stopped() {
                return Ok(End::Stopped);
            }
            self.listen(TICK);
            self.all_run()?;
        }
        Ok(End::Over)
    }

    /// Does what is due and listens until then, in the script's time.
    fn listen_until(&mut self, end: Duration) -> anyhow::Result<End> {
        while self.script_now() < end {
            if self.is_stopped() {
                return Ok(End::Stopped);
            }
            self.act()?;
            let next = self.agenda.next_before(end).unwrap_or(end);
            self.listen(next.saturating_sub(self.script_now()).min(TICK));
            self.all_run()?;
        }
        Ok(End::Over)
    }

    /// Everything is whole again; waits until all agree.
    fn heal(&mut self) -> anyhow::Result<(End, Option<f64>)> {
        let held = self.net.heal();
        for host in std::mem::take(&mut self.paused) {
            self.pause(host, false)?;
        }
        let now = self.now();
        self.ledger.united(now);
        if held {
            self.happened("everything was healed; who crashed stays away".to_owned());
        }
        self.agreed_at = None;
        let end = now.plus(us(self.scenario.phases.healed.0));
        while self.now() < end {
            let stays = |at: Time| self.now().since(at) > us(STAYS_HEALED);
            if self.agreed_at.is_some_and(stays) {
                break;
            }
            if self.is_stopped() {
                return Ok((End::Stopped, None));
            }
            self.listen(TICK);
        }
        Ok((End::Over, self.agreed_at.map(|at| seconds(at.since(now)))))
    }

    fn healing(&self, healed: Option<f64>) -> plexmesh_simulator::report::Check {
        let bound = self.scenario.promises.healing.map(|bound| bound.0.as_secs_f64());
        let is_late = healed.is_none_or(|healed| bound.is_some_and(|bound| healed > bound));
        let measured = healed.map_or_else(|| "never".to_owned(), |healed| format!("{healed:.2} s"));
        let violation = Violation {
            at_seconds: seconds(self.now().0),
            observer: None,
            subject: None,
            detail: "digests differ, or somebody sees others running than do".to_owned(),
        };
        let violations = if is_late { vec![violation] } else { Vec::new() };
        check("healing", measured, bound.map(|bound| format!("{bound} s")), &violations)
    }

    fn act(&mut self) -> anyhow::Result<()> {
        while let Some((deed, again)) = self.agenda.due(self.script_now()) {
            let turns = again && matches!(deed, Deed::Flip { .. });
            if let Some(what) = words::of(&deed).filter(|_| !turns) {
                self.happened(what);
            }
            self.perform(&deed)?;
        }
        Ok(())
    }

    fn perform(&mut self, deed: &Deed) -> anyhow::Result<()> {
        match deed {
            Deed::Stop { hosts, process_only } => {
                hosts.iter().try_for_each(|&host| self.crash(host, *process_only))
            }
            Deed::Start { hosts, lose_state } => {
                hosts.iter().try_for_each(|&host| self.return_(host, *lose_state))
            }
            Deed::ComeAndGo { host, is_away: true, lose_state } => self.return_(*host, *lose_state),
            Deed::ComeAndGo { host, .. } => self.crash(*host, false),
            Deed::Pause(hosts) => hosts.iter().try_for_each(|&host| {
                self.paused.insert(host);
                self.pause(host, true)
            }),
            Deed::Resume(hosts) => hosts.iter().try_for_each(|&host| {
                self.paused.remove(&host);
                self.pause(host, false)
            }),
            Deed::Corrupt(hosts) => hosts.iter().try_for_each(|&host| self.flip(host, 1)),
            Deed::Repair(hosts) => hosts.iter().try_for_each(|&host| self.flip(host, 0)),
            deed => {
                self.net.act(deed);
                match deed {
                    Deed::Part(sides) => self.ledger.parted(sides, self.now()),
                    Deed::Unite => self.ledger.united(self.now()),
                    _ => {}
                }
                Ok(())
            }
        }
    }

    fn crash(&mut self, host: usize, process_only: bool) -> anyhow::Result<()> {
        self.ears.set_askable(host, None);
        let now = self.now();
        if process_only {
            self.agent(host)?.stop()?;
        } else {
            self.net.set_off(host, true);
            self.agent(host)?.kill()?;
        }
        let net = &self.net;
        self.ledger.crashed(host, now, &|a, b| net.joined_since(a, b));
        Ok(())
    }

    fn return_(&mut self, host: usize, lose_state: bool) -> anyhow::Result<()> {
        if lose_state {
            self.agent(host)?.forget()?;
        }
        self.net.set_off(host, false);
        self.run(host)
    }

    fn run(&mut self, host: usize) -> anyhow::Result<()> {
        let now = self.now();
        self.agent(host)?.start()?;
        self.ledger.runs(host, now);
        let dir = self.agent(host)?.dir.clone();
        self.ears.follow(host, &dir)
    }

    fn pause(&mut self, host: usize, paused: bool) -> anyhow::Result<()> {
        let now = self.now();
        let agent = self.agent(host)?;
        agent.set_paused(paused)?;
        let dir = agent.dir.clone();
        self.ears.set_askable(host, Some(&*dir).filter(|_| !paused));
        if paused {
            self.ledger.pauses(host);
        } else {
            self.ledger.runs(host, now);
        }
        Ok(())
    }

    fn flip(&mut self, host: usize, count: u32) -> anyhow::Result<()> {
        if self.ledger.is_well(host) {
            self.ledger.tells(host, self.now(), count);
            self.agent(host)?
                .flip()
                .with_context(|| format!("peer {host} could not be told to read its shards"))?;
        }
        Ok(())
    }

    /// Takes in what agents tell, for at most so long.
    fn listen(&mut self, wait: Duration) {
        let mut wait = wait;
        while let Some(word) = self.ears.next(wait) {
            wait = Duration::ZERO;
            match word {
                Word::Told { teller, at, what } => {
                    let at = self.time_of(at);
                    let net = &self.net;
                    self.ledger.heard(teller, at, &what, &|a, b| net.joined_since(a, b));
                }
                Word::Round { at, views } => {
                    let digests: BTreeSet<&str> =
                        views.values().map(|view| view.digest.as_str()).collect();
                    let running = self.ledger.well().count();
                    let right = views.values().all(|view| view.up == running as u64);
                    let agree =
                        digests.len() == 1 && views.len() == running && running > 0 && right;
                    let at = self.time_of(at);
                    let sample = Sample {
                        at_seconds: seconds(at.0),
                        running: views.len(),
                        digests: digests.len(),
                    };
                    self.series.push(sample);
                    self.agreed_at = if agree { self.agreed_at.or(Some(at)) } else { None };
                }
            }
        }
    }

    /// An agent that ends by itself makes every figure worthless.
    fn all_run(&mut self) -> anyhow::Result<()> {
        let ended = self.agents.iter_mut().position(Agent::has_ended);
        if let Some(agent) = ended.and_then(|host| self.agents.get(host)) {
            let log = std::fs::read_to_string(agent.dir.join("log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(3).collect();
            bail!("the agent in {} ended by itself: {}", agent.dir.display(), last.join(" / "));
        }
        Ok(())
    }

    fn agent(&mut self, host: usize) -> anyhow::Result<&mut Agent> {
        self.agents.get_mut(host).with_context(|| format!("there is no agent {host}"))
    }

    fn happened(&mut self, what: String) {
        eprintln!("{:>7.1} s  {what}", self.began.elapsed().as_secs_f64());
        self.happenings.push(Happened { at_seconds: seconds(self.now().0), what });
    }

    fn script_now(&self) -> Duration {
        self.began.elapsed().saturating_sub(self.late)
    }

    fn now(&self) -> Time {
        Time(us(self.began.elapsed()))
    }

    fn time_of(&self, at: WallTime) -> Time {
        Time(at.ms().saturating_sub(self.began_wall.ms()) * MILLI)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn us(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
