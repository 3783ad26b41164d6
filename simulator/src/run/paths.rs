//! What is wrong with paths and hosts now: several faults may hold one host at once, and when one
//! ends, the others stay.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::scenario::{Conditions, Direction, Scenario};
use crate::script::{Ailment, Deed, Script};
use crate::world::World;

/// A world whose paths and hosts can be troubled.
pub(crate) trait Paths {
    /// Sets what all paths do to packets.
    fn set_conditions(&mut self, conditions: &Conditions);
    /// Sets what the access of a host does to packets; `None` goes back to the base.
    fn set_host_conditions(&mut self, host: usize, conditions: Option<&Conditions>);
    /// Sets the probabilities that a host loses what comes in and what goes out.
    fn set_host_loss(&mut self, host: usize, ingress: f64, egress: f64);
    /// Makes everything reach a process this much late.
    fn set_slow(&mut self, host: usize, by: Option<Duration>);
    /// Lets a process run and stand still in turn.
    fn set_starved(&mut self, host: usize, turn: Option<(Duration, Duration)>);
    /// Cuts a one-way path.
    fn cut(&mut self, from: usize, to: usize);
    /// Mends a cut.
    fn mend(&mut self, from: usize, to: usize);
    /// Separates groups; who is in none forms one more.
    fn partition(&mut self, groups: &[&[usize]]);
    /// Ends the partition and mends all cuts.
    fn heal(&mut self);
}

impl Paths for World {
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

/// What faults have done to paths and hosts.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    /// Conditions of the groups that hosts belong to.
    usual: BTreeMap<usize, Conditions>,
    /// What hosts have, by the fault that gave it to them.
    ails: BTreeMap<usize, BTreeMap<usize, Ailment>>,
    /// Cuts of one-way paths, and how many faults hold each.
    cuts: BTreeMap<(usize, usize), u32>,
    parted: bool,
}

impl Troubles {
    /// Sets up the network of a scenario; no time has passed yet.
    pub(crate) fn new(scenario: &Scenario, script: &Script, net: &mut impl Paths) -> Self {
        let mut troubles = Self::default();
        net.set_conditions(&scenario.network.conditions);
        for group in &scenario.groups {
            let members = script.groups.get(&group.name).map_or(&[][..], Vec::as_slice);
            if group.conditions == Conditions::default() {
                continue;
            }
            for &host in members {
                troubles.usual.insert(host, group.conditions);
                troubles.apply(net, host);
            }
        }
        troubles
    }

    /// Does a deed, if it is one to paths or to what hosts have for a while.
    pub(crate) fn act(&mut self, net: &mut impl Paths, deed: &Deed) {
        match deed {
            Deed::Ail { id, hosts, ailment } => self.ail(net, *id, hosts, *ailment),
            Deed::Cure { id } | Deed::Flip { id, is_off: true, .. } => self.cure(net, *id),
            Deed::Flip { id, hosts, direction, .. } => {
                self.ail(net, *id, hosts, silence(*direction));
            }
            _ => self.path(net, deed),
        }
    }

    /// Forgets everything, as the network is whole again; whether there was anything.
    pub(crate) fn clear(&mut self) -> bool {
        let held = !self.ails.is_empty() || !self.cuts.is_empty() || self.parted;
        self.ails.clear();
        self.cuts.clear();
        self.parted = false;
        held
    }

    fn path(&mut self, net: &mut impl Paths, deed: &Deed) {
        match deed {
            Deed::Cut { from, to, both_ways } => {
                for pair in pairs(from, to, *both_ways) {
                    let held = self.cuts.entry(pair).or_default();
                    *held += 1;
                    if *held == 1 {
                        net.cut(pair.0, pair.1);
                    }
                }
            }
            Deed::Mend { from, to, both_ways } => {
                for pair in pairs(from, to, *both_ways) {
                    let Some(held) = self.cuts.get_mut(&pair) else { continue };
                    *held -= 1;
                    if *held == 0 {
                        self.cuts.remove(&pair);
                        net.mend(pair.0, pair.1);
                    }
                }
            }
            Deed::Part(sides) => {
                let sides: Vec<&[usize]> = sides.iter().map(Vec::as_slice).collect();
                net.partition(&sides);
                self.parted = true;
            }
            Deed::Unite => {
                // The network only knows to heal all at once; cuts that others hold are made again.
                net.heal();
                self.parted = false;
                for &(from, to) in self.cuts.keys() {
                    net.cut(from, to);
                }
            }
            _ => {}
        }
    }

    fn ail(&mut self, net: &mut impl Paths, id: usize, hosts: &[usize], ailment: Ailment) {
        for &host in hosts {
            self.ails.entry(host).or_default().insert(id, ailment);
            self.apply(net, host);
        }
    }

    fn cure(&mut self, net: &mut impl Paths, id: usize) {
        let ailing =
            self.ails.iter_mut().filter_map(|(host, ails)| ails.remove(&id).map(|_| *host));
        let cured: Vec<usize> = ailing.collect();
        self.ails.retain(|_, ails| !ails.is_empty());
        for host in cured {
            self.apply(net, host);
        }
    }

    /// Tells the network all that a host has now.
    fn apply(&self, net: &mut impl Paths, host: usize) {
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
        net.set_host_conditions(host, conditions.as_ref());
        net.set_host_loss(host, lost_in, lost_out);
        net.set_slow(host, slow);
        net.set_starved(host, starved);
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

fn pairs(from: &[usize], to: &[usize], both_ways: bool) -> impl Iterator<Item = (usize, usize)> {
    let there = from.iter().flat_map(move |&a| to.iter().map(move |&b| (a, b)));
    let each = there.flat_map(move |(a, b)| [Some((a, b)), both_ways.then_some((b, a))]);
    each.flatten().filter(|(a, b)| a != b)
}
