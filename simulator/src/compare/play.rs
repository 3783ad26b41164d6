//! Plays a scenario in a world of datagrams, phase by phase as [`crate::run`] does for plexmesh.

use std::path::Path;
use std::time::{Duration, Instant};

use plexmesh_proto::types::Time;

use super::machine::Machine;
use super::outcome::Outcome;
use super::tally::Tally;
use super::world::DatagramWorld;
use super::{Beat, CompareError, Protocol, Watcher};
use crate::measure::quantile::spread;
use crate::report::{Spread, Wall};
use crate::run::agenda::{Agenda, whole};
use crate::scenario::Scenario;
use crate::script::{Deed, compile};
use crate::topology;
use crate::traffic::Bytes;
use crate::weather::Weather;
use crate::world::micros;

/// How often the world is looked at: as often as that of plexmesh.
const LOOK_EVERY: Duration = Duration::from_secs(1);

struct Player<'a, M: Machine> {
    protocol: Protocol,
    scenario: &'a Scenario,
    world: DatagramWorld<M>,
    agenda: Agenda,
    weather: Weather,
    tally: Tally,
    watcher: &'a mut dyn Watcher,
}

/// Runs a protocol in the world of a scenario.
pub(super) fn play<M: Machine>(
    protocol: Protocol,
    (rules, configuration): (M::Rules, String),
    scenario: &Scenario,
    base: &Path,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, CompareError> {
    let began = Instant::now();
    let script = compile(scenario)?;
    let made = topology::build(&scenario.network, scenario.peers, scenario.seed, base)?;
    let size = (scenario.seed, scenario.peers);
    let total = scenario.phases.total();
    let mut world = DatagramWorld::<M>::new(rules, size, made.model, total);
    let weather = Weather::new(scenario, &script, &mut world);
    let mut player = Player {
        protocol,
        scenario,
        world,
        agenda: Agenda::new(scenario, script.steps),
        weather,
        tally: Tally::new(scenario.peers, &scenario.phases),
        watcher,
    };
    let (sent, received) = player.play()?;
    let (detection, false_positives, faulty, agreement) = player.tally.finish(&player.world);
    let (seconds, events) = (began.elapsed().as_secs_f64(), player.world.events());
    Ok(Outcome {
        protocol: protocol.name().to_owned(),
        label: protocol.label().to_owned(),
        configuration,
        detection,
        false_positives,
        faulty,
        agreement,
        sent,
        received,
        events,
        event_hash: crate::run::hex(&player.world.hash()),
        wall: Wall { seconds, events_per_second: events as f64 / seconds.max(1e-9) },
    })
}

impl<M: Machine> Player<'_, M> {
    /// Plays all phases; gives what a peer sent and received in the fault phase.
    fn play(&mut self) -> Result<(Spread, Spread), CompareError> {
        let (begin, end) = self.scenario.phases.fault_phase();
        self.phase("settle", begin)?;
        let before = self.world.meters().to_vec();
        self.phase("faults", end)?;
        let length_s = end.saturating_sub(begin).as_secs_f64();
        let rates = rates(&before, self.world.meters(), length_s);
        // What the script ends together with the phase comes before all that is left.
        self.act(whole(end));
        self.weather.clear();
        self.world.heal_all();
        self.phase("healed", self.scenario.phases.total())?;
        Ok(rates)
    }

    fn phase(&mut self, name: &'static str, end: Duration) -> Result<(), CompareError> {
        let (end, total) = (whole(end), self.scenario.phases.total());
        let mut now = self.elapsed();
        while now < end {
            let next_look = Duration::from_secs(now.as_secs() + LOOK_EVERY.as_secs());
            let until = next_look.min(end);
            while let Some(at) = self.agenda.next_before(until) {
                self.world.run_to(at);
                self.act(at);
            }
            self.world.run_to(until);
            now = until;
            if until == next_look && !self.look(name, until, total) {
                return Err(CompareError::Interrupted);
            }
        }
        Ok(())
    }

    fn elapsed(&self) -> Duration {
        use super::tally::Mesh;
        Duration::from_micros(self.world.now().0)
    }

    /// Does what is due.
    fn act(&mut self, now: Duration) {
        while let Some((deed, _)) = self.agenda.due(now) {
            self.tally.done(&deed, Time(micros(now)));
            match &deed {
                Deed::Stop { hosts, .. } => hosts.iter().for_each(|&host| self.world.stop(host)),
                Deed::Start { hosts, .. } => hosts.iter().for_each(|&host| self.world.start(host)),
                Deed::ComeAndGo { host, is_away: false, .. } => self.world.stop(*host),
                Deed::ComeAndGo { host, .. } => self.world.start(*host),
                deed => self.weather.act(&mut self.world, deed),
            }
        }
    }

    fn look(&mut self, phase: &'static str, elapsed: Duration, total: Duration) -> bool {
        self.tally.look(&self.world);
        let (protocol, events) = (self.protocol, self.world.events());
        self.watcher.second(&Beat { protocol, elapsed, total, phase, events }) || elapsed >= total
    }
}

/// Bytes per second that peers sent and received between two looks at their meters.
fn rates(before: &[Bytes], after: &[Bytes], length_s: f64) -> (Spread, Spread) {
    let rate = |pick: fn(&Bytes) -> u64| {
        let pairs = before.iter().zip(after);
        let each = pairs.map(|(before, after)| (pick(after) - pick(before)) as f64 / length_s);
        spread(each.collect())
    };
    (rate(|bytes| bytes.sent), rate(|bytes| bytes.received))
}
