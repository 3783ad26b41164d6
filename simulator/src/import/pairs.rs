//! Round trips of all pairs, the best knowledge of each.

use std::collections::BTreeMap;

use super::Member;
use super::document::Document;

/// Longest round trip that is believed, in microseconds: two minutes, as long as a matrix may have.
const MAX_US: u32 = 120_000_000;

/// Where a round trip is from, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// One of both ends probes the other.
    Measured,
    /// From network coordinates.
    Estimated,
    /// Nobody knows it; the median of the others.
    Median,
}

/// Round trips of all pairs.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    known: BTreeMap<(usize, usize), (Source, u32)>,
    members: usize,
    median_us: Option<u32>,
}

impl Pairs {
    pub(super) fn new(members: &[Member], documents: &[Document]) -> Self {
        let places: BTreeMap<&str, usize> =
            members.iter().enumerate().map(|(place, member)| (member.id.as_str(), place)).collect();
        let mut pairs = Self { members: members.len(), ..Self::default() };
        for item in documents.iter().flat_map(|document| &document.items) {
            for edge in &item.edges {
                let ends = places.get(&*edge.observer).zip(places.get(&*edge.subject));
                if let (Some((&from, &to)), Some(figures)) = (ends, edge.figures) {
                    pairs.learn(from, to, Source::Measured, figures.rtt_p50_micros);
                }
            }
            let me = item.peers.iter().find(|peer| peer.is_self).and_then(|me| places.get(&*me.id));
            for peer in &item.peers {
                let ends = me.zip(places.get(&*peer.id));
                if let (Some((&from, &to)), Some(rtt)) = (ends, peer.rtt) {
                    let source = if rtt.estimated { Source::Estimated } else { Source::Measured };
                    pairs.learn(from, to, source, rtt.micros);
                }
            }
            for (from, row) in item.peers.iter().zip(&item.estimated_micros) {
                for (to, cell) in item.peers.iter().zip(row) {
                    let ends = places.get(&*from.id).zip(places.get(&*to.id));
                    if let (Some((&from, &to)), Some(us)) = (ends, *cell) {
                        pairs.learn(from, to, Source::Estimated, us);
                    }
                }
            }
        }
        let mut all: Vec<u32> = pairs.known.values().map(|(_, us)| *us).collect();
        all.sort_unstable();
        pairs.median_us = all.get(all.len() / 2).copied();
        pairs
    }

    /// Round trip of a pair and its source: what its own direction says, unless the other one is
    /// better known. `None` on the diagonal, and if nothing is known of any pair.
    pub(super) fn get(&self, from: usize, to: usize) -> Option<(u32, Source)> {
        if from == to || from.max(to) >= self.members {
            return None;
        }
        let ways = [self.known.get(&(from, to)), self.known.get(&(to, from))];
        let best = ways.into_iter().flatten().min_by_key(|(source, _)| *source);
        let known = best.map(|(source, us)| (*us, *source));
        known.or_else(|| self.median_us.map(|us| (us, Source::Median)))
    }

    pub(super) fn count(&self, source: Source) -> usize {
        let all = 0..self.members;
        let pairs = all.clone().flat_map(|from| all.clone().map(move |to| (from, to)));
        pairs.filter(|(from, to)| self.get(*from, *to).is_some_and(|pair| pair.1 == source)).count()
    }

    pub(super) const fn median_us(&self) -> Option<u32> {
        self.median_us
    }

    fn learn(&mut self, from: usize, to: usize, source: Source, us: u32) {
        if from == to || !(1..=MAX_US).contains(&us) {
            return;
        }
        let known = self.known.entry((from, to)).or_insert((source, us));
        if source < known.0 {
            *known = (source, us);
        }
    }
}
