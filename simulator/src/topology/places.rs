//! Latencies between places: peers are dealt to places, and a table says how far these are apart.

use std::sync::Arc;

use crate::links::LatencyModel;

/// One-way latency between two peers of one place, in microseconds. A round trip of 1 ms is what
/// two machines in one city or data centre see, and about what 50 km of fibre cost each way with
/// the switches on it. It is above zero because two hosts are never the same machine.
pub(super) const NEAR_US: u32 = 500;

/// A table of places and who is where.
#[derive(Clone, Debug)]
pub(super) struct Places {
    count: usize,
    /// Row by row, in microseconds; on the diagonal what lies between two peers of one place.
    one_way_us: Arc<[u32]>,
    /// The place of each peer; peer i is at place i mod count if empty.
    dealt: Arc<[u32]>,
}

impl Places {
    /// Peers at the places in turn. `one_way_us` has `count` rows of `count` values.
    pub(super) fn in_turn(count: usize, one_way_us: Arc<[u32]>) -> Self {
        Self { count: count.max(1), one_way_us, dealt: Arc::new([]) }
    }

    /// Peers where `dealt` says; those beyond start over.
    pub(super) fn dealt(count: usize, one_way_us: Arc<[u32]>, dealt: Vec<u32>) -> Self {
        Self { count: count.max(1), one_way_us, dealt: dealt.into() }
    }

    /// The place of a peer.
    pub(super) fn of(&self, peer: usize) -> usize {
        match self.dealt.len() {
            0 => peer % self.count,
            dealt => self.dealt.get(peer % dealt).map_or(0, |place| *place as usize),
        }
    }

    /// One-way latency between two places, in microseconds.
    pub(super) fn between_us(&self, from: usize, to: usize) -> u64 {
        u64::from(self.one_way_us.get(from * self.count + to).copied().unwrap_or(NEAR_US))
    }

    /// A name for each of `peers` peers, from those of the places: the second peer of a place is
    /// `NAME #2`.
    pub(super) fn names(&self, peers: usize, of_places: &[String]) -> Vec<String> {
        let mut there = vec![0_usize; self.count];
        let mut name = |peer| {
            let place = self.of(peer);
            let count = there.get_mut(place)?;
            *count += 1;
            let name = of_places.get(place)?;
            Some(if *count == 1 { name.clone() } else { format!("{name} #{count}") })
        };
        (0..peers).map(|peer| name(peer).unwrap_or_else(|| format!("peer {peer}"))).collect()
    }
}

impl LatencyModel for Places {
    fn one_way_us(&self, from: usize, to: usize) -> u64 {
        self.between_us(self.of(from), self.of(to))
    }
}
