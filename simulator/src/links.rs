//! The paths between hosts: how long a packet takes, whether it is lost, whether the way is cut.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use plexmesh_proto::types::Time;

use crate::dice::{self, Chance, Dice};

/// One-way latencies between hosts. Matrices and geography implement this too.
pub trait LatencyModel: fmt::Debug {
    /// How long a packet takes from one host to another, in microseconds.
    fn one_way_us(&self, from: usize, to: usize) -> u64;
}

/// Every pair has a latency of its own, drawn evenly from a range, the same both ways.
#[derive(Clone, Debug)]
pub struct UniformLatency {
    seed: u64,
    range_us: Range<u64>,
}

impl UniformLatency {
    /// Latencies from `range_us`, in microseconds. They follow from the seed and the pair alone, so
    /// that hosts may be added.
    #[must_use]
    pub const fn new(seed: u64, range_us: Range<u64>) -> Self {
        Self { seed, range_us }
    }
}

impl LatencyModel for UniformLatency {
    fn one_way_us(&self, from: usize, to: usize) -> u64 {
        let (low, high) = (from.min(to) as u64, from.max(to) as u64);
        let bits = mix(mix(self.seed ^ (low << 32)) ^ high);
        self.range_us.start
            + dice::scale(bits, self.range_us.end.saturating_sub(self.range_us.start))
    }
}

/// The finaliser of SplitMix64 (Steele et al., "Fast splittable pseudorandom number generators",
/// OOPSLA 2014): a cheap hash for something that is asked for with every packet.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// All paths of a world and what is wrong with them now.
#[derive(Debug)]
pub(crate) struct Links {
    model: Box<dyn LatencyModel>,
    jitter_us: u64,
    loss: Chance,
    pair_loss: BTreeMap<(usize, usize), Chance>,
    cuts: BTreeMap<(usize, usize), Time>,
    partition: Option<Partitioning>,
    /// When cuts were mended, and the last partition with its end.
    mended: BTreeMap<(usize, usize), Time>,
    healed: Option<(Partitioning, Time)>,
}

#[derive(Debug)]
struct Partitioning {
    /// Listed hosts and their group; the others form one more.
    group_of: BTreeMap<usize, usize>,
    since: Time,
}

impl Links {
    pub(crate) const fn new(model: Box<dyn LatencyModel>, jitter_us: u64, loss: Chance) -> Self {
        Self {
            model,
            jitter_us,
            loss,
            pair_loss: BTreeMap::new(),
            cuts: BTreeMap::new(),
            partition: None,
            mended: BTreeMap::new(),
            healed: None,
        }
    }

    pub(crate) const fn set_loss(&mut self, loss: Chance) {
        self.loss = loss;
    }

    pub(crate) fn set_pair_loss(&mut self, from: usize, to: usize, loss: Option<Chance>) {
        match loss {
            Some(chance) => self.pair_loss.insert((from, to), chance),
            None => self.pair_loss.remove(&(from, to)),
        };
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize, now: Time) {
        self.cuts.entry((from, to)).or_insert(now);
    }

    pub(crate) fn mend(&mut self, from: usize, to: usize, now: Time) {
        if self.cuts.remove(&(from, to)).is_some() {
            self.mended.insert((from, to), now);
        }
    }

    pub(crate) fn partition(&mut self, groups: &[&[usize]], now: Time) {
        let group_of = groups
            .iter()
            .enumerate()
            .flat_map(|(group, members)| members.iter().map(move |&member| (member, group)))
            .collect();
        self.partition = Some(Partitioning { group_of, since: now });
    }

    pub(crate) fn heal(&mut self, now: Time) {
        if let Some(partition) = self.partition.take() {
            self.healed = Some((partition, now));
        }
        let cuts = std::mem::take(&mut self.cuts);
        self.mended.extend(cuts.into_keys().map(|path| (path, now)));
    }

    /// Since when packets pass from one host to the other; `None` while they do not. A partition
    /// before the last one is forgotten.
    pub(crate) fn open_since(&self, from: usize, to: usize) -> Option<Time> {
        if self.is_blocked(from, to) {
            return None;
        }
        let mended = self.mended.get(&(from, to)).copied();
        let healed = self.healed.as_ref().and_then(|(parted, end)| {
            (parted.group_of.get(&from) != parted.group_of.get(&to)).then_some(*end)
        });
        Some(mended.into_iter().chain(healed).max().unwrap_or_default())
    }

    /// Since when no packet passes from one host to the other; `None` while packets pass.
    pub(crate) fn blocked_since(&self, from: usize, to: usize) -> Option<Time> {
        let parted = self.partition.as_ref().and_then(|parted| {
            let (a, b) = (parted.group_of.get(&from), parted.group_of.get(&to));
            (a != b).then_some(parted.since)
        });
        let cut = self.cuts.get(&(from, to)).copied();
        parted.into_iter().chain(cut).min()
    }

    pub(crate) fn is_blocked(&self, from: usize, to: usize) -> bool {
        self.blocked_since(from, to).is_some()
    }

    /// Draws whether one packet on an open path is lost.
    pub(crate) fn loses(&self, from: usize, to: usize, dice: &mut Dice) -> bool {
        dice.happens(*self.pair_loss.get(&(from, to)).unwrap_or(&self.loss))
    }

    /// Draws how long a packet takes, in microseconds.
    pub(crate) fn delay_us(&self, from: usize, to: usize, dice: &mut Dice) -> u64 {
        let jitter = if self.jitter_us == 0 { 0 } else { dice.below(self.jitter_us) };
        self.model.one_way_us(from, to) + jitter
    }

    /// One way without jitter, in microseconds.
    pub(crate) fn one_way_us(&self, from: usize, to: usize) -> u64 {
        self.model.one_way_us(from, to)
    }

    /// A round trip without jitter, in microseconds.
    pub(crate) fn rtt_us(&self, from: usize, to: usize) -> u64 {
        self.model.one_way_us(from, to) + self.model.one_way_us(to, from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Links {
        Links::new(Box::new(UniformLatency::new(9, 1_000..50_000)), 0, Chance::NEVER)
    }

    #[test]
    fn latencies_lie_in_the_range_and_are_the_same_both_ways() {
        let model = UniformLatency::new(9, 1_000..50_000);
        for (a, b) in [(0, 1), (3, 200), (7, 8)] {
            assert!((1_000..50_000).contains(&model.one_way_us(a, b)));
            assert_eq!(model.one_way_us(a, b), model.one_way_us(b, a));
        }
        assert_ne!(model.one_way_us(0, 1), model.one_way_us(0, 2));
    }

    #[test]
    fn a_cut_blocks_one_way() {
        let mut links = links();
        links.cut(1, 2, Time(5));
        assert_eq!(links.blocked_since(1, 2), Some(Time(5)));
        assert!(!links.is_blocked(2, 1));
        links.mend(1, 2, Time(9));
        assert!(!links.is_blocked(1, 2));
    }

    #[test]
    fn a_partition_separates_groups_and_leaves_the_rest_together() {
        let mut links = links();
        links.partition(&[&[0, 1], &[2]], Time(5));
        assert!(!links.is_blocked(0, 1));
        assert!(links.is_blocked(1, 2) && links.is_blocked(2, 0));
        assert!(links.is_blocked(0, 3) && !links.is_blocked(3, 4));
        links.heal(Time(9));
        assert_eq!(links.open_since(0, 3), Some(Time(9)));
        assert!(!links.is_blocked(0, 3));
    }
}
