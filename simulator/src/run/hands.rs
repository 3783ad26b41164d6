//! Does the deeds of a script to a world, and knows what is wrong with every host now: several
//! faults may hold one host at once, and when one ends, the others stay.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::check::Judge;
use crate::scenario::{Conditions, Direction, Scenario};
use crate::script::{Ailment, Deed, Script};
use crate::world::{Crash, World};

/// What has been done to a world.
#[derive(Debug, Default)]
pub(super) struct Hands {
    /// Conditions of the groups that hosts belong to.
    usual: BTreeMap<usize, Conditions>,
    /// What hosts have, by the fault that gave it to them.
    ails: BTreeMap<usize, BTreeMap<usize, Ailment>>,
    /// Cuts of one-way paths, and how many faults hold each.
    cuts: BTreeMap<(usize, usize), u32>,
    clocks: BTreeMap<usize, i64>,
    paused: BTreeSet<usize>,
    asleep: BTreeSet<usize>,
    parted: bool,
}

impl Hands {
    pub(super) fn new(scenario: &Scenario, script: &Script, world: &mut World) -> Self {
        let mut hands = Self::default();
        world.set_conditions(&scenario.network.conditions);
        for group in &scenario.groups {
            let members = script.groups.get(&group.name).map_or(&[][..], Vec::as_slice);
            if group.conditions == Conditions::default() {
                continue;
            }
            for &host in members {
                hands.usual.insert(host, group.conditions);
                hands.apply(world, host);
            }
        }
        hands
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
            Deed::Cut { .. } | Deed::Mend { .. } | Deed::Part(_) | Deed::Unite => {
                self.path(world, deed);
            }
            Deed::Ail { id, hosts, ailment } => self.ail(world, *id, hosts, *ailment),
            Deed::Cure { id } => self.cure(world, *id),
            Deed::Flip { id, is_off: true, .. } => self.cure(world, *id),
            Deed::Flip { id, hosts, direction, .. } => {
                self.ail(world, *id, hosts, silence(*direction));
            }
        }
    }

    /// Everything of the network is whole again, everybody who was stopped without crashing goes
    /// on, and clocks are right. Says what that was, if it was anything.
    pub(super) fn heal(&mut self, world: &mut World) -> Option<String> {
        let held = !self.ails.is_empty()
            || !self.cuts.is_empty()
            || self.parted
            || !self.paused.is_empty()
            || !self.asleep.is_empty()
            || self.clocks.values().any(|by| *by != 0);
        self.ails.clear();
        self.cuts.clear();
        self.paused.clear();
        self.asleep.clear();
        self.parted = false;
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

    fn path(&mut self, world: &mut World, deed: &Deed) {
        match deed {
            Deed::Cut { from, to, both_ways } => {
                for pair in pairs(from, to, *both_ways) {
                    let held = self.cuts.entry(pair).or_default();
                    *held += 1;
                    if *held == 1 {
                        world.cut(pair.0, pair.1);
                    }
                }
            }
            Deed::Mend { from, to, both_ways } => {
                for pair in pairs(from, to, *both_ways) {
                    let Some(held) = self.cuts.get_mut(&pair) else { continue };
                    *held -= 1;
                    if *held == 0 {
                        self.cuts.remove(&pair);
                        world.mend(pair.0, pair.1);
                    }
                }
            }
            Deed::Part(sides) => {
                let sides: Vec<&[usize]> = sides.iter().map(Vec::as_slice).collect();
                world.partition(&sides);
                self.parted = true;
            }
            Deed::Unite => {
                // The world only knows to heal all at once; cuts that others hold are made again.
                world.heal();
                self.parted = false;
                for &(from, to) in self.cuts.keys() {
                    world.cut(from, to);
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

    fn ail(&mut self, world: &mut World, id: usize, hosts: &[usize], ailment: Ailment) {
        for &host in hosts {
            self.ails.entry(host).or_default().insert(id, ailment);
            self.apply(world, host);
        }
    }

    fn cure(&mut self, world: &mut World, id: usize) {
        let ailing =
            self.ails.iter_mut().filter_map(|(host, ails)| ails.remove(&id).map(|_| *host));
        let cured: Vec<usize> = ailing.collect();
        self.ails.retain(|_, ails| !ails.is_empty());
        for host in cured {
            self.apply(world, host);
        }
    }

    /// Tells the world all that a host has now.
    fn apply(&self, world: &mut World, host: usize) {
        let mut conditions = self.usual.get(&host).copied();
        let (mut lost_in, mut lost_out) = (0.0_f64, 0.0_f64);
        let mut slow: Option<Duration> = None;
        let mut starved = None;
        for ailment in self.ails.get(&host).into_iter().flat_map(BTreeMap::values) {
            match ailment {
                Ailment::Slow(delay) => slow = slow.max(Some(*delay)),
                Ailment::Starved { run, stall } => starved = Some((*run, *stall)),
                Ailment::Loss { ingress, egress } => {
                    lost_in = lost_in.max(*ingress);
                    lost_out = lost_out.max(*egress);
                }
                Ailment::Degraded(worse) => {
                    conditions = Some(worse.over(&conditions.unwrap_or_default()));
                }
            }
        }
        world.set_host_conditions(host, conditions.as_ref());
        world.set_host_loss(host, lost_in, lost_out);
        world.set_slow(host, slow);
        world.set_starved(host, starved);
    }
}

const fn silence(direction: Direction) -> Ailment {
    let (ingress, egress) = match direction {
        Direction::In => (1.0, 0.0),
        Direction::Out => (0.0, 1.0),
        Direction::Both => (1.0, 1.0),
    };
    Ailment::Loss { ingress, egress }
}

fn stop(world: &mut World, host: usize, process_only: bool) {
    world.crash_as(host, if process_only { Crash::Process } else { Crash::Host });
}

fn pairs(from: &[usize], to: &[usize], both_ways: bool) -> impl Iterator<Item = (usize, usize)> {
    let there = from.iter().flat_map(move |&a| to.iter().map(move |&b| (a, b)));
    let each = there.flat_map(move |(a, b)| [Some((a, b)), both_ways.then_some((b, a))]);
    each.flatten().filter(|(a, b)| a != b)
}
