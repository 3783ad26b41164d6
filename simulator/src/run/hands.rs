//! Does the deeds of a script to a world.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::Judge;
use crate::scenario::Scenario;
use crate::script::{Deed, Script};
use crate::world::{Crash, World};

use super::paths::Troubles;

/// What has been done to a world.
#[derive(Debug)]
pub(super) struct Hands {
    troubles: Troubles,
    clocks: BTreeMap<usize, i64>,
    paused: BTreeSet<usize>,
    asleep: BTreeSet<usize>,
}

impl Hands {
    pub(super) fn new(scenario: &Scenario, script: &Script, world: &mut World) -> Self {
        Self {
            troubles: Troubles::new(scenario, script, world),
            clocks: BTreeMap::new(),
            paused: BTreeSet::new(),
            asleep: BTreeSet::new(),
        }
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
            Deed::Cut { .. }
            | Deed::Mend { .. }
            | Deed::Part(_)
            | Deed::Unite
            | Deed::Ail { .. }
            | Deed::Cure { .. }
            | Deed::Flip { .. } => self.troubles.act(world, deed),
        }
    }

    /// Everything of the network is whole again, everybody who was stopped without crashing goes
    /// on, and clocks are right. Says what that was, if it was anything.
    pub(super) fn heal(&mut self, world: &mut World) -> Option<String> {
        let held = self.troubles.clear()
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
}

fn stop(world: &mut World, host: usize, process_only: bool) {
    world.crash_as(host, if process_only { Crash::Process } else { Crash::Host });
}
