//! Deals out hosts: most are left alone at any time, or nothing could be promised.

use std::collections::BTreeSet;
use std::time::Duration;

use super::listed;
use crate::byzantine::Lie;
use crate::dice::Dice;
use crate::scenario::{Direction, Who};

/// Most hosts that are stopped or impaired at one time, in per cent.
const AFFECTED_PERCENT: usize = 33;
/// Most hosts that ever lie, in per cent: what the protocol is made to stand.
const LIARS_PERCENT: usize = 10;

/// From when until when, since the beginning of the fault phase.
type During = (Duration, Duration);

/// What has been dealt out.
#[derive(Debug)]
pub(super) struct Deal {
    peers: usize,
    phase: Duration,
    dealt: Vec<Dealt>,
    parted: Vec<During>,
    liars: BTreeSet<usize>,
}

#[derive(Debug)]
struct Dealt {
    during: During,
    hosts: BTreeSet<usize>,
    /// Nothing else can stop them at the same time.
    stops: bool,
}

impl Deal {
    pub(super) const fn new(peers: usize, phase: Duration) -> Self {
        Self { peers, phase, dealt: Vec::new(), parted: Vec::new(), liars: BTreeSet::new() }
    }

    pub(super) const fn peers(&self) -> usize {
        self.peers
    }

    /// The fault phase.
    pub(super) const fn whole(&self) -> During {
        (Duration::ZERO, self.phase)
    }

    /// Hosts that can be stopped then.
    pub(super) fn stopped(
        &mut self,
        dice: &mut Dice,
        during: During,
        percent: usize,
    ) -> Option<Vec<usize>> {
        self.affected(dice, during, percent, true)
    }

    /// Hosts that something else is wrong with then.
    pub(super) fn impaired(
        &mut self,
        dice: &mut Dice,
        during: During,
        percent: usize,
    ) -> Option<Vec<usize>> {
        self.affected(dice, during, percent, false)
    }

    /// Hosts that are there.
    pub(super) fn some(&self, dice: &mut Dice, at: Duration, percent: usize) -> Option<Vec<usize>> {
        let count = self.count(dice, percent);
        some(listed(sample(dice, count, self.there(at))))
    }

    /// Two sets that have nobody in common.
    pub(super) fn two_sets(
        &self,
        dice: &mut Dice,
        at: Duration,
    ) -> Option<(Vec<usize>, Vec<usize>)> {
        let (one, other) = (self.count(dice, 15), self.count(dice, 30));
        let first = sample(dice, one, self.there(at));
        let left = self.there(at).into_iter().filter(|host| !first.contains(host)).collect();
        Some((some(listed(first))?, some(listed(sample(dice, other, left)))?))
    }

    /// One or two sides; everybody else is on one more.
    pub(super) fn sides(&mut self, dice: &mut Dice, during: During) -> Option<Vec<Who>> {
        if self.parted.iter().any(|other| overlap(*other, during)) {
            return None;
        }
        let mut there = self.there(during.0);
        let mut sides = Vec::new();
        for _ in 0..=dice.below(2) {
            let count = self.count(dice, 50).min(there.len().saturating_sub(1));
            let side = sample(dice, count, there.clone());
            there.retain(|host| !side.contains(host));
            sides.extend(some(listed(side)).map(Who::Listed));
        }
        self.parted.push(during);
        (!sides.is_empty()).then_some(sides)
    }

    /// Hosts that lie from now on; none if there are as many already as can be stood.
    pub(super) fn liars(&mut self, dice: &mut Dice, at: Duration) -> Option<(Who, Lie)> {
        const LIES: [Lie; 5] =
            [Lie::FalseObserver, Lie::Equivocator, Lie::Replayer, Lie::Forger, Lie::Flooder];
        let room = (self.peers * LIARS_PERCENT / 100).checked_sub(self.liars.len())?;
        let count = self.count(dice, LIARS_PERCENT).min(room);
        let honest = self.there(at).into_iter().filter(|host| !self.liars.contains(host)).collect();
        let liars = sample(dice, count, honest);
        self.liars.extend(&liars);
        let lie = LIES.get(dice.below(LIES.len() as u64) as usize)?;
        Some((Who::Listed(some(listed(liars))?), *lie))
    }

    fn affected(
        &mut self,
        dice: &mut Dice,
        during: During,
        percent: usize,
        stops: bool,
    ) -> Option<Vec<usize>> {
        let dealt = || self.dealt.iter().filter(|dealt| overlap(dealt.during, during));
        let affected: BTreeSet<usize> =
            dealt().flat_map(|dealt| dealt.hosts.iter().copied()).collect();
        let taken: BTreeSet<usize> = dealt()
            .filter(|dealt| dealt.stops && (stops || dealt.during.1 == Duration::MAX))
            .flat_map(|dealt| dealt.hosts.iter().copied())
            .collect();
        let mut room = (self.peers * AFFECTED_PERCENT / 100).saturating_sub(affected.len());
        let count = self.count(dice, percent);
        let there = self.there(during.0).into_iter().filter(|host| !taken.contains(host)).collect();
        let mut hosts = sample(dice, count, there);
        hosts.retain(|host| {
            // Who is affected already takes no more room.
            let fits = affected.contains(host) || room > 0;
            room -= usize::from(fits && !affected.contains(host));
            fits
        });
        if hosts.is_empty() {
            return None;
        }
        self.dealt.push(Dealt { during, hosts: hosts.clone(), stops });
        Some(listed(hosts))
    }

    /// Who is not gone for good.
    fn there(&self, at: Duration) -> Vec<usize> {
        let gone = |host: &usize| {
            let mut dealt = self.dealt.iter();
            dealt.any(|dealt| {
                dealt.during.0 <= at
                    && dealt.during.1 == Duration::MAX
                    && dealt.hosts.contains(host)
            })
        };
        (0..self.peers).filter(|host| !gone(host)).collect()
    }

    /// At least one; small numbers are as likely as large ones.
    fn count(&self, dice: &mut Dice, percent: usize) -> usize {
        let most = (self.peers * percent / 100).max(1) as u64;
        if dice.below(2) == 0 {
            1 + dice.below(most.min(3)) as usize
        } else {
            1 + dice.below(most) as usize
        }
    }
}

/// One of the three.
pub(super) fn direction(dice: &mut Dice) -> Direction {
    match dice.below(3) {
        0 => Direction::In,
        1 => Direction::Out,
        _ => Direction::Both,
    }
}

fn sample(dice: &mut Dice, count: usize, hosts: Vec<usize>) -> BTreeSet<usize> {
    let places = dice.sample(count, hosts.len());
    places.into_iter().filter_map(|place| hosts.get(place).copied()).collect()
}

fn some(hosts: Vec<usize>) -> Option<Vec<usize>> {
    (!hosts.is_empty()).then_some(hosts)
}

fn overlap(a: During, b: During) -> bool {
    a.0 < b.1 && b.0 < a.1
}
