//! The paths between hosts: how long a packet takes, whether it is lost, whether the way is cut.

use std::collections::{BTreeMap, BTreeSet};

use plexmesh_proto::types::Time;

use crate::dice::{Chance, Dice};
use crate::scenario::Conditions;

mod access;
mod burst;
mod conditions;
mod cuts;
mod latency;
mod watch;

pub use access::MAX_QUEUE_US;
pub use latency::{LatencyModel, UniformLatency};
pub use watch::PathStats;

use access::Access;
use burst::Bursts;
use conditions::Path;
pub(crate) use conditions::Rules;
use cuts::Cuts;
pub(crate) use latency::mix;

/// What became of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrives {
        /// After this long, in microseconds.
        after_us: u64,
        /// Of that, how long it waited for a full line, in microseconds.
        queued_us: u64,
        /// How often it comes once more.
        copies: u32,
        /// Whether it falls behind later packets.
        held_up: bool,
    },
    /// The way is cut.
    Blocked,
    /// Lost on the way.
    Lost,
    /// A line was too busy to take it.
    Dropped,
}

impl Fate {
    /// How long it takes, in microseconds, if it arrives.
    #[must_use]
    pub const fn after_us(self) -> Option<u64> {
        match self {
            Self::Arrives { after_us, .. } => Some(after_us),
            _ => None,
        }
    }
}

/// Packets that are sent together from one host to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) bytes: usize,
    pub(crate) packets: usize,
}

/// All paths of a world and what is wrong with them now.
#[derive(Debug)]
pub(crate) struct Links {
    model: Box<dyn LatencyModel>,
    /// What the scenario says of all paths, and what holds now.
    base: Rules,
    all: Rules,
    /// Rules of single ways: those of the scenario, and those that hold now.
    base_pairs: BTreeMap<(usize, usize), Rules>,
    pairs: BTreeMap<(usize, usize), Rules>,
    /// Those of `pairs` that are worse than the base: a measured mesh has rules for all.
    worse_pairs: BTreeSet<(usize, usize)>,
    access: Vec<Option<Box<Access>>>,
    cuts: Cuts,
    bursts: Bursts,
    watched: BTreeMap<(usize, usize), PathStats>,
    /// Nothing but one jitter and one loss for everybody: most worlds, most of the time.
    plain: bool,
}

impl Links {
    pub(crate) fn new(seed: u64, model: Box<dyn LatencyModel>, base: Rules) -> Self {
        let mut links = Self {
            model,
            base,
            all: base,
            base_pairs: BTreeMap::new(),
            pairs: BTreeMap::new(),
            worse_pairs: BTreeSet::new(),
            access: Vec::new(),
            cuts: Cuts::default(),
            bursts: Bursts::new(seed),
            watched: BTreeMap::new(),
            plain: false,
        };
        links.changed();
        links
    }

    pub(crate) fn set_loss(&mut self, loss: Chance) {
        self.all.loss = Some(loss);
    }

    /// What is left out goes back to the base.
    pub(crate) fn set_conditions(&mut self, conditions: &Conditions) {
        self.all = Rules::from(conditions).over(self.base);
        self.changed();
    }

    pub(crate) fn set_pair(&mut self, from: usize, to: usize, rules: Option<Rules>) {
        match rules.or(self.base_pairs.get(&(from, to)).copied()) {
            Some(rules) => self.pairs.insert((from, to), rules),
            None => self.pairs.remove(&(from, to)),
        };
        if self.is_way_impaired(from, to) {
            self.worse_pairs.insert((from, to));
        } else {
            self.worse_pairs.remove(&(from, to));
        }
        self.changed();
    }

    pub(crate) fn set_pair_loss(&mut self, from: usize, to: usize, loss: Option<Chance>) {
        self.set_pair(from, to, loss.map(|loss| Rules { loss: Some(loss), ..Rules::default() }));
    }

    pub(crate) fn set_host(&mut self, host: usize, conditions: Option<&Conditions>) {
        let rules = conditions.map(Rules::from);
        if let Some(access) = self.access_mut(host) {
            access.now = rules;
        }
        self.changed();
    }

    pub(crate) fn set_host_loss(&mut self, host: usize, ingress: Chance, egress: Chance) {
        if let Some(access) = self.access_mut(host) {
            (access.ingress, access.egress) = (ingress, egress);
        }
        self.changed();
    }

    /// Makes what holds now the base; losses of hosts and cuts are no part of it.
    pub(crate) fn keep_as_base(&mut self) {
        self.base = self.all;
        self.base_pairs = self.pairs.clone();
        self.worse_pairs.clear();
        for access in self.access.iter_mut().flatten() {
            access.base = access.rules();
            access.now = None;
        }
    }

    /// Everything as the base says.
    pub(crate) fn restore(&mut self, now: Time) {
        self.all = self.base;
        self.pairs = self.base_pairs.clone();
        self.worse_pairs.clear();
        for access in self.access.iter_mut().flatten() {
            (access.ingress, access.egress, access.now) = (Chance::NEVER, Chance::NEVER, None);
        }
        self.heal(now);
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize, now: Time) {
        self.cuts.cut(from, to, now);
        self.changed();
    }

    pub(crate) fn mend(&mut self, from: usize, to: usize, now: Time) {
        self.cuts.mend(from, to, now);
        self.changed();
    }

    pub(crate) fn partition(&mut self, groups: &[&[usize]], now: Time) {
        self.cuts.partition(groups, now);
        self.changed();
    }

    pub(crate) fn heal(&mut self, now: Time) {
        self.cuts.heal(now);
        self.changed();
    }

    /// Counts from now on what passes from one host to another.
    pub(crate) fn watch(&mut self, from: usize, to: usize) {
        self.watched.insert((from, to), PathStats::default());
        self.changed();
    }

    pub(crate) fn stats(&self, from: usize, to: usize) -> Option<&PathStats> {
        self.watched.get(&(from, to))
    }

    /// Since when no packet passes from one host to the other; `None` while packets pass.
    pub(crate) fn blocked_since(&self, from: usize, to: usize) -> Option<Time> {
        if self.plain { None } else { self.cuts.blocked_since(from, to) }
    }

    pub(crate) fn is_blocked(&self, from: usize, to: usize) -> bool {
        self.blocked_since(from, to).is_some()
    }

    /// Since when packets pass both ways; `None` while they do not.
    pub(crate) fn joined_since(&self, a: usize, b: usize) -> Option<Time> {
        self.cuts.joined_since(a, b)
    }

    /// Cut ways towards a host, and away from it.
    pub(crate) fn cut_ways(&self, host: usize) -> (usize, usize) {
        self.cuts.count(host)
    }

    /// Whether a host has losses of its own, or it or everybody has worse conditions than the base.
    pub(crate) fn is_impaired(&self, host: usize) -> bool {
        let Some(access) = self.access_of(host) else { return self.all.is_worse_than(&self.base) };
        let base = access.base.unwrap_or_default().over(self.base);
        let now = access.rules().unwrap_or_default().over(self.all);
        access.ingress > Chance::NEVER || access.egress > Chance::NEVER || now.is_worse_than(&base)
    }

    /// Whether a single way has rules of its own that are worse than the base.
    pub(crate) fn is_way_impaired(&self, from: usize, to: usize) -> bool {
        let Some(rules) = self.pairs.get(&(from, to)) else { return false };
        let base = self.base_pairs.get(&(from, to)).copied().unwrap_or_default().over(self.base);
        rules.over(self.base).is_worse_than(&base)
    }

    /// Whether a way to or from a host is cut or has rules of its own that are worse than the base.
    pub(crate) fn has_troubled_way(&self, host: usize) -> bool {
        let is_its_own = |(from, to): &(usize, usize)| *from == host || *to == host;
        self.cuts.touches(host) || self.worse_pairs.iter().any(is_its_own)
    }

    /// Draws what becomes of a load that is sent now: it arrives as a whole or not.
    pub(crate) fn send(&mut self, now: Time, load: Load, dice: &mut Dice) -> Fate {
        if self.plain {
            let jitter_us = self.all.jitter_us.unwrap_or(0);
            let loss = self.all.loss.unwrap_or_default();
            return match escape(load.packets, loss, jitter_us, dice) {
                Some(jitter_us) => arrives(self.one_way_us(load) + jitter_us),
                None => Fate::Lost,
            };
        }
        let fate = self.send_with_care(now, load, dice);
        if let Some(stats) = self.watched.get_mut(&(load.from, load.to)) {
            stats.note(load, fate);
        }
        fate
    }

    /// Whether one of `tries` packets, spread over the last `window_us`, came through.
    pub(crate) fn any_passes(
        &mut self,
        now: Time,
        (from, to): (usize, usize),
        (tries, window_us): (usize, u64),
        dice: &mut Dice,
    ) -> bool {
        let path = self.path(from, to);
        let mut loss = path.loss.or(self.host_loss(from, to));
        for (far_end, burst) in [false, true].into_iter().zip(path.bursts) {
            let Some(burst) = burst else { continue };
            let now_lost = self.bursts.loss((from as u32, to as u32, far_end), &burst, now);
            if now_lost > Chance::NEVER && dice.happens(burst.outlasts(window_us)) {
                loss = loss.or(now_lost);
            }
        }
        (0..tries).any(|_| !dice.happens(loss))
    }

    /// How many of some packets come once more.
    pub(crate) fn copies(
        &self,
        (from, to): (usize, usize),
        packets: usize,
        dice: &mut Dice,
    ) -> usize {
        let duplicate = if self.plain { Chance::NEVER } else { self.path(from, to).duplicate };
        if duplicate == Chance::NEVER { 0 } else { copies(packets, duplicate, dice) }
    }

    /// One way without jitter, in microseconds.
    pub(crate) fn latency_us(&self, from: usize, to: usize) -> u64 {
        self.model.one_way_us(from, to)
    }

    /// A round trip without jitter, in microseconds.
    pub(crate) fn rtt_us(&self, from: usize, to: usize) -> u64 {
        self.model.one_way_us(from, to) + self.model.one_way_us(to, from)
    }

    fn send_with_care(&mut self, now: Time, load: Load, dice: &mut Dice) -> Fate {
        let Load { from, to, bytes, packets } = load;
        // What is sent takes its share of the sender's line even if it gets lost later.
        let Some(up) = self.through(now, from, bytes, true) else { return Fate::Dropped };
        if self.cuts.blocked_since(from, to).is_some() {
            return Fate::Blocked;
        }
        let path = self.path(from, to);
        let mut loss = path.loss.or(self.host_loss(from, to));
        for (far_end, burst) in [false, true].into_iter().zip(path.bursts) {
            if let Some(burst) = burst {
                let key = (from as u32, to as u32, far_end);
                loss = loss.or(self.bursts.loss(key, &burst, now));
            }
        }
        let Some(jitter_us) = escape(packets, loss, path.jitter_us, dice) else {
            return Fate::Lost;
        };
        let copies = copies(packets, path.duplicate, dice);
        let with_copies = bytes + copies * (bytes / packets.max(1));
        let Some(down) = self.through(now, to, with_copies, false) else { return Fate::Dropped };
        let held = path
            .reorder
            .filter(|reorder| (0..packets).any(|_| dice.happens(reorder.share)))
            .map_or(0, |reorder| reorder.by_us);
        Fate::Arrives {
            after_us: self.one_way_us(load) + jitter_us + up.1 + down.1 + held,
            queued_us: up.0 + down.0,
            copies: copies as u32,
            held_up: held > 0,
        }
    }

    /// How long bytes wait for the line of a host and how long until they are through it.
    fn through(&mut self, now: Time, host: usize, bytes: usize, up: bool) -> Option<(u64, u64)> {
        let limit = |rules: &Rules| if up { rules.up_kbps } else { rules.down_kbps };
        let own = self.access_of(host).and_then(Access::rules);
        let Some(kbps) = own.as_ref().and_then(limit).or(limit(&self.all)) else {
            return Some((0, 0));
        };
        let access = self.access_mut(host)?;
        let pipe = if up { &mut access.up } else { &mut access.down };
        pipe.take(now, bytes, kbps)
    }

    fn path(&self, from: usize, to: usize) -> Path {
        let rules = |host: usize| self.access_of(host).and_then(Access::rules);
        Path::resolve(&self.all, rules(from), rules(to), self.pairs.get(&(from, to)).copied())
    }

    /// Losses at the sender's way out and the receiver's way in.
    fn host_loss(&self, from: usize, to: usize) -> Chance {
        let egress = self.access_of(from).map_or(Chance::NEVER, |access| access.egress);
        let ingress = self.access_of(to).map_or(Chance::NEVER, |access| access.ingress);
        egress.or(ingress)
    }

    fn one_way_us(&self, load: Load) -> u64 {
        self.model.one_way_us(load.from, load.to)
    }

    fn access_of(&self, host: usize) -> Option<&Access> {
        self.access.get(host)?.as_deref()
    }

    fn access_mut(&mut self, host: usize) -> Option<&mut Access> {
        if self.access.len() <= host {
            self.access.resize_with(host + 1, || None);
        }
        self.access.get_mut(host).map(|place| &mut **place.get_or_insert_default())
    }

    fn changed(&mut self) {
        self.plain = self.all.is_plain()
            && self.cuts.is_empty()
            && self.pairs.is_empty()
            && self.watched.is_empty()
            && self.access.iter().flatten().all(|access| access.is_plain());
    }
}

const fn arrives(after_us: u64) -> Fate {
    Fate::Arrives { after_us, queued_us: 0, copies: 0, held_up: false }
}

fn copies(packets: usize, duplicate: Chance, dice: &mut Dice) -> usize {
    (0..packets).filter(|_| dice.happens(duplicate)).count()
}

/// The longest jitter of some packets; `None` if one is lost.
fn escape(packets: usize, loss: Chance, jitter_us: u64, dice: &mut Dice) -> Option<u64> {
    let mut longest = 0;
    for _ in 0..packets.max(1) {
        longest = longest.max(dice.escapes(loss, jitter_us)?);
    }
    Some(longest)
}

#[cfg(test)]
mod tests;
