//! What a scenario has done to paths and to what reaches hosts, and what of it holds now: several
//! faults may hold one host at once, and when one ends, the others stay.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::scenario::{Conditions, Direction, Scenario};
use crate::script::{Ailment, Deed, Script};

/// What weather happens to: a world, or paths alone.
pub(crate) trait Ground {
    /// What all paths do.
    fn set_conditions(&mut self, conditions: &Conditions);
    /// What the access of a host does; `None` for what all do.
    fn set_host_conditions(&mut self, host: usize, conditions: Option<&Conditions>);
    /// Losses of a host, in and out.
    fn set_host_loss(&mut self, host: usize, ingress: f64, egress: f64);
    /// How late everything reaches a process.
    fn set_slow(&mut self, host: usize, by: Option<Duration>);
    /// For how long a process runs, and then does not, in turn.
    fn set_starved(&mut self, host: usize, turn: Option<(Duration, Duration)>);
    /// Cuts one way.
    fn cut(&mut self, from: usize, to: usize);
    /// Mends one way.
    fn mend(&mut self, from: usize, to: usize);
    /// Separates groups.
    fn partition(&mut self, groups: &[&[usize]]);
    /// Ends the partition and mends all cuts.
    fn heal(&mut self);
}

/// What holds now.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    /// Conditions of the groups that hosts belong to.
    usual: BTreeMap<usize, Conditions>,
    /// What hosts have, by the fault that gave it to them.
    ails: BTreeMap<usize, BTreeMap<usize, Ailment>>,
    /// Cuts of one-way paths, and how many faults hold each.
    cuts: BTreeMap<(usize, usize), u32>,
    parted: bool,
}

impl Weather {
    /// The weather of a scenario at its beginning.
    pub(crate) fn new(scenario: &Scenario, script: &Script, ground: &mut impl Ground) -> Self {
        let mut weather = Self::default();
        ground.set_conditions(&scenario.network.conditions);
        for group in &scenario.groups {
            let members = script.groups.get(&group.name).map_or(&[][..], Vec::as_slice);
            if group.conditions == Conditions::default() {
                continue;
            }
            for &host in members {
                weather.usual.insert(host, group.conditions);
                weather.apply(ground, host);
            }
        }
        weather
    }

    /// Does a deed, if it is about paths or about what reaches hosts.
    pub(crate) fn act(&mut self, ground: &mut impl Ground, deed: &Deed) {
        match deed {
            Deed::Cut { .. } | Deed::Mend { .. } | Deed::Part(_) | Deed::Unite => {
                self.path(ground, deed);
            }
            Deed::Ail { id, hosts, ailment } => self.ail(ground, *id, hosts, *ailment),
            Deed::Cure { id } | Deed::Flip { id, is_off: true, .. } => self.cure(ground, *id),
            Deed::Flip { id, hosts, direction, .. } => {
                self.ail(ground, *id, hosts, silence(*direction));
            }
            _ => {}
        }
    }

    /// Nothing holds any more; the ground is told by its owner. Says whether anything held.
    pub(crate) fn clear(&mut self) -> bool {
        let held = !self.ails.is_empty() || !self.cuts.is_empty() || self.parted;
        self.ails.clear();
        self.cuts.clear();
        self.parted = false;
        held
    }

    fn path(&mut self, ground: &mut impl Ground, deed: &Deed) {
        match deed {
            Deed::Cut { from, to, both_ways } => {
                for pair in pairs(from, to, *both_ways) {
                    let held = self.cuts.entry(pair).or_default();
                    *held += 1;
                    if *held == 1 {
                        ground.cut(pair.0, pair.1);
                    }
                }
            }
            Deed::Mend { from, to, both_ways } => {
                for pair in pairs(from, to, *both_ways) {
                    let Some(held) = self.cuts.get_mut(&pair) else { continue };
                    *held -= 1;
                    if *held == 0 {
                        self.cuts.remove(&pair);
                        ground.mend(pair.0, pair.1);
                    }
                }
            }
            Deed::Part(sides) => {
                let sides: Vec<&[usize]> = sides.iter().map(Vec::as_slice).collect();
                ground.partition(&sides);
                self.parted = true;
            }
            Deed::Unite => {
                // The ground only knows to heal all at once; cuts that others hold are made again.
                ground.heal();
                self.parted = false;
                for &(from, to) in self.cuts.keys() {
                    ground.cut(from, to);
                }
            }
            _ => {}
        }
    }

    fn ail(&mut self, ground: &mut impl Ground, id: usize, hosts: &[usize], ailment: Ailment) {
        for &host in hosts {
            self.ails.entry(host).or_default().insert(id, ailment);
            self.apply(ground, host);
        }
    }

    fn cure(&mut self, ground: &mut impl Ground, id: usize) {
        let ailing =
            self.ails.iter_mut().filter_map(|(host, ails)| ails.remove(&id).map(|_| *host));
        let cured: Vec<usize> = ailing.collect();
        self.ails.retain(|_, ails| !ails.is_empty());
        for host in cured {
            self.apply(ground, host);
        }
    }

    /// Tells the ground all that a host has now.
    fn apply(&self, ground: &mut impl Ground, host: usize) {
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
        ground.set_host_conditions(host, conditions.as_ref());
        ground.set_host_loss(host, lost_in, lost_out);
        ground.set_slow(host, slow);
        ground.set_starved(host, starved);
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
