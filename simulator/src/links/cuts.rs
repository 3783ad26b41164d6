//! Ways that are cut, and since when.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use plexmesh_proto::types::Time;

/// Most mended ways and ended partitions whose end is remembered one by one; past it everything
/// counts as mended at the latest of them.
const MAX_MENDED: usize = 1 << 16;
const MAX_PAST: usize = 256;

/// A directed way.
type Way = (usize, usize);

/// Cuts and partitions.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    cuts: BTreeMap<Way, Time>,
    partition: Option<Partitioning>,
    /// Cut ways towards each host, and away from it.
    counts: BTreeMap<usize, (usize, usize)>,
    mended: BTreeMap<Way, Time>,
    past: Vec<(Partitioning, Time)>,
    /// No path counts as open since before this.
    floor: Time,
}

#[derive(Debug)]
struct Partitioning {
    /// Group of each host, from 1; 0 and beyond the end are those that are in none: one more group.
    group_of: Vec<u32>,
    since: Time,
}

impl Partitioning {
    fn separates(&self, a: usize, b: usize) -> bool {
        let group = |host: usize| self.group_of.get(host).copied().unwrap_or(0);
        group(a) != group(b)
    }
}

impl Cuts {
    pub(super) fn cut(&mut self, from: usize, to: usize, now: Time) {
        if let Entry::Vacant(place) = self.cuts.entry((from, to)) {
            place.insert(now);
            self.counts.entry(to).or_default().0 += 1;
            self.counts.entry(from).or_default().1 += 1;
        }
    }

    pub(super) fn mend(&mut self, from: usize, to: usize, now: Time) {
        if self.cuts.remove(&(from, to)).is_some() {
            self.counts.entry(to).or_default().0 -= 1;
            self.counts.entry(from).or_default().1 -= 1;
            self.remember((from, to), now);
        }
    }

    pub(super) fn partition(&mut self, groups: &[&[usize]], now: Time) {
        self.end_partition(now);
        let members = groups.iter().flat_map(|members| members.iter());
        let mut group_of = vec![0; members.copied().max().map_or(0, |last| last + 1)];
        for (group, members) in (1..).zip(groups) {
            for &member in *members {
                group_of.get_mut(member).into_iter().for_each(|place| *place = group);
            }
        }
        self.partition = Some(Partitioning { group_of, since: now });
    }

    pub(super) fn heal(&mut self, now: Time) {
        self.end_partition(now);
        self.counts.clear();
        for way in std::mem::take(&mut self.cuts).into_keys() {
            self.remember(way, now);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cuts.is_empty() && self.partition.is_none()
    }

    /// Since when no packet passes from one host to the other; `None` while packets pass.
    pub(super) fn blocked_since(&self, from: usize, to: usize) -> Option<Time> {
        let parted = self.partition.as_ref().filter(|parted| parted.separates(from, to));
        let cut = self.cuts.get(&(from, to)).copied();
        parted.map(|parted| parted.since).into_iter().chain(cut).min()
    }

    /// Since when packets pass both ways; `None` while they do not.
    pub(super) fn joined_since(&self, a: usize, b: usize) -> Option<Time> {
        if self.blocked_since(a, b).is_some() || self.blocked_since(b, a).is_some() {
            return None;
        }
        let mended = [(a, b), (b, a)].into_iter().filter_map(|way| self.mended.get(&way).copied());
        let past = self.past.iter().filter(|(past, _)| past.separates(a, b)).map(|(_, end)| *end);
        mended.chain(past).chain([self.floor]).max()
    }

    /// Cut ways towards a host, and away from it.
    pub(super) fn count(&self, host: usize) -> (usize, usize) {
        self.counts.get(&host).copied().unwrap_or_default()
    }

    /// Whether a way towards a host or away from it is cut.
    pub(super) fn touches(&self, host: usize) -> bool {
        self.partition.is_some() || self.count(host) != (0, 0)
    }

    fn remember(&mut self, way: Way, now: Time) {
        if self.mended.len() >= MAX_MENDED {
            self.mended.clear();
            self.floor = now;
        }
        self.mended.insert(way, now);
    }

    fn end_partition(&mut self, now: Time) {
        let Some(ended) = self.partition.take() else { return };
        if self.past.len() >= MAX_PAST {
            self.past.clear();
            self.floor = now;
        }
        self.past.push((ended, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_blocks_one_way() {
        let mut cuts = Cuts::default();
        cuts.cut(1, 2, Time(5));
        assert_eq!(cuts.blocked_since(1, 2), Some(Time(5)));
        assert_eq!((cuts.blocked_since(2, 1), cuts.joined_since(2, 1)), (None, None));
        assert_eq!((cuts.count(2), cuts.count(1)), ((1, 0), (0, 1)));
        cuts.mend(1, 2, Time(8));
        assert_eq!(cuts.joined_since(2, 1), Some(Time(8)));
        assert_eq!(cuts.joined_since(2, 3), Some(Time(0)));
    }

    #[test]
    fn a_partition_separates_groups_and_leaves_the_rest_together() {
        let mut cuts = Cuts::default();
        cuts.partition(&[&[0, 1], &[2]], Time(5));
        let parted = |cuts: &Cuts, a, b| cuts.blocked_since(a, b).is_some();
        assert!(!parted(&cuts, 0, 1) && parted(&cuts, 1, 2) && parted(&cuts, 2, 0));
        assert!(parted(&cuts, 0, 3) && !parted(&cuts, 3, 4));
        cuts.heal(Time(9));
        assert!(cuts.is_empty());
        assert_eq!(cuts.joined_since(0, 3), Some(Time(9)));
        assert_eq!(cuts.joined_since(0, 1), Some(Time(0)));
    }
}
