//! Does the deeds of a script to a world, and knows what was done to hosts; what holds of paths is
//! the weather's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plexmesh_proto::integrity::{FindingKind, Inventory, ShardReport, Verdict};

use crate::check::Judge;
use crate::measure::Tidings;
use crate::scenario::{Conditions, Scenario};
use crate::script::{Deed, Script};
use crate::weather::{Ground, Weather};
use crate::world::{Crash, World};

/// What has been done to a world.
#[derive(Debug, Default)]
pub(super) struct Hands {
    weather: Weather,
    clocks: BTreeMap<usize, i64>,
    paused: BTreeSet<usize>,
    asleep: BTreeSet<usize>,
    /// Shards that went bad, and were whole again: whom to tell everybody of, and who was there to
    /// hear it.
    tidings: Vec<Tidings>,
}

impl Hands {
    pub(super) fn new(scenario: &Scenario, script: &Script, world: &mut World) -> Self {
        Self { weather: Weather::new(scenario, script, world), ..Self::default() }
    }

    /// What there was to tell so far.
    pub(super) fn tidings(&self) -> &[Tidings] {
        &self.tidings
    }

    /// Does a deed.
    pub(super) fn act(&mut self, world: &mut World, deed: &Deed, judge: &mut Judge) {
        match deed {
            Deed::Stop { hosts, process_only } => {
                for &host in hosts {
                    stop(world, host, *process_only);
                    judge.fell_silent(host, world.time());
                }
            }
            Deed::Start { hosts, lose_state } => {
                for &host in hosts {
                    world.restart(host, !lose_state);
                    judge.returned(host, world.time());
                }
            }
            Deed::ComeAndGo { host, is_away, lose_state } => {
                if *is_away {
                    world.restart(*host, !lose_state);
                    judge.returned(*host, world.time());
                } else {
                    stop(world, *host, false);
                    judge.fell_silent(*host, world.time());
                }
            }
            Deed::Leave(hosts) => {
                for &host in hosts {
                    world.leave(host, "the scenario says so");
                    judge.fell_silent(host, world.time());
                }
            }
            Deed::Depart(hosts) => hosts.iter().for_each(|&host| stop(world, host, true)),
            Deed::Join(hosts) => {
                for _ in hosts {
                    world.add_node();
                }
            }
            Deed::Lie { hosts, lie } => hosts.iter().for_each(|&host| world.corrupt(host, *lie)),
            Deed::Jump { hosts, by_ms } => self.jump(world, hosts, *by_ms),
            Deed::Pause(_) | Deed::Resume(_) | Deed::Sleep(_) | Deed::Wake(_) => {
                self.rest(world, deed);
            }
            Deed::Corrupt(hosts) => self.tell(world, hosts, 1),
            Deed::Repair(hosts) => self.tell(world, hosts, 0),
            _ => self.weather.act(world, deed),
        }
    }

    /// Everything of the network is whole again, everybody who was stopped without crashing goes
    /// on, and clocks are right. Says what that was, if it was anything.
    pub(super) fn heal(&mut self, world: &mut World) -> Option<String> {
        let held = self.weather.clear()
            || !self.paused.is_empty()
            || !self.asleep.is_empty()
            || self.clocks.values().any(|by| *by != 0);
        self.paused.clear();
        self.asleep.clear();
        world.heal_all();
        for host in std::mem::take(&mut self.clocks).into_keys() {
            world.set_clock_offset(host, 0);
        }
        held.then(|| "everything was healed; who crashed stays away".to_owned())
    }

    fn rest(&mut self, world: &mut World, deed: &Deed) {
        match deed {
            Deed::Pause(hosts) => {
                for &host in hosts {
                    world.pause(host);
                    self.paused.insert(host);
                }
            }
            Deed::Resume(hosts) => {
                for &host in hosts {
                    world.resume(host);
                    self.paused.remove(&host);
                }
            }
            Deed::Sleep(hosts) => {
                for &host in hosts {
                    world.sleep(host);
                    self.asleep.insert(host);
                }
            }
            Deed::Wake(hosts) => {
                for &host in hosts {
                    world.wake(host);
                    self.asleep.remove(&host);
                }
            }
            _ => {}
        }
    }

    fn jump(&mut self, world: &mut World, hosts: &[usize], by_ms: i64) {
        for &host in hosts {
            let offset = self.clocks.entry(host).or_default();
            *offset = offset.saturating_add(by_ms);
            world.set_clock_offset(host, *offset);
        }
    }

    /// The scrubs of hosts tell that so many shards are corrupt, and none of the others.
    fn tell(&mut self, world: &mut World, hosts: &[usize], count: u32) {
        for &host in hosts {
            if world.node(host).is_none() {
                continue;
            }
            let mut inventory = Inventory { sources: 1, ..Inventory::default() };
            inventory.counts[Verdict::Corrupt.number()] = count;
            let findings = BTreeMap::from([(FindingKind::Shards(Verdict::Corrupt), count)]);
            let listeners = world.running().filter(|&other| other != host).collect();
            self.tidings.push(Tidings { origin: host, at: world.time(), count, listeners });
            world.tell_shards(host, ShardReport { inventory: Some(inventory), findings });
        }
    }
}

impl Ground for World {
    fn set_conditions(&mut self, conditions: &Conditions) {
        Self::set_conditions(self, conditions);
    }

    fn set_host_conditions(&mut self, host: usize, conditions: Option<&Conditions>) {
        Self::set_host_conditions(self, host, conditions);
    }

    fn set_host_loss(&mut self, host: usize, ingress: f64, egress: f64) {
        Self::set_host_loss(self, host, ingress, egress);
    }

    fn set_slow(&mut self, host: usize, by: Option<Duration>) {
        Self::set_slow(self, host, by);
    }

    fn set_starved(&mut self, host: usize, turn: Option<(Duration, Duration)>) {
        Self::set_starved(self, host, turn);
    }

    fn cut(&mut self, from: usize, to: usize) {
        Self::cut(self, from, to);
    }

    fn mend(&mut self, from: usize, to: usize) {
        Self::mend(self, from, to);
    }

    fn partition(&mut self, groups: &[&[usize]]) {
        Self::partition(self, groups);
    }

    fn heal(&mut self) {
        Self::heal(self);
    }
}

fn stop(world: &mut World, host: usize, process_only: bool) {
    world.crash_as(host, if process_only { Crash::Process } else { Crash::Host });
}
