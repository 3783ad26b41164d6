//! One-way latencies.

use std::fmt;
use std::ops::Range;

use crate::dice;

/// One-way latencies between hosts. Matrices and geography implement this too.
pub trait LatencyModel: fmt::Debug + Send {
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
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_lie_in_the_range_and_are_the_same_both_ways() {
        let model = UniformLatency::new(9, 1_000..50_000);
        for (a, b) in [(0, 1), (3, 200), (7, 8)] {
            assert!((1_000..50_000).contains(&model.one_way_us(a, b)));
            assert_eq!(model.one_way_us(a, b), model.one_way_us(b, a));
        }
        assert_ne!(model.one_way_us(0, 1), model.one_way_us(0, 2));
    }
}
