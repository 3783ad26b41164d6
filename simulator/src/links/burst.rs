//! Losses that come in bursts: the two-state chain of Gilbert (1960) and Elliott (1963), in time.

use std::collections::BTreeMap;

use plexmesh_proto::types::Time;

use crate::dice::Chance;
use crate::scenario::Burst;

use super::latency::mix;

/// Most chains that are remembered: one per direction of every pair of a thousand hosts. Past it
/// those go that have long forgotten their past.
const MAX_CHAINS: usize = 1 << 20;
/// After this many mean cycles a chain has forgotten its past (e^-8 of it is left).
const FORGETTING_CYCLES: f64 = 8.0;

/// Gaps and bursts, both of exponential length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BurstModel {
    gap_us: f64,
    burst_us: f64,
    loss: Chance,
}

impl BurstModel {
    pub(super) fn new(burst: &Burst) -> Self {
        // Shorter than a microsecond is nothing that the world could show.
        Self {
            gap_us: burst.every.micros().max(1) as f64,
            burst_us: burst.lasts.micros().max(1) as f64,
            loss: Chance::new(burst.loss),
        }
    }

    /// Share of the time that lies in bursts.
    fn share(&self) -> f64 {
        self.burst_us / (self.gap_us + self.burst_us)
    }

    /// Relaxation time of the chain: how fast its state is forgotten.
    fn memory_us(&self) -> f64 {
        self.gap_us * self.burst_us / (self.gap_us + self.burst_us)
    }

    /// Probability of a burst `passed_us` after a time at which there was one, or none.
    fn in_burst_after(&self, in_burst: bool, passed_us: u64) -> f64 {
        let share = self.share();
        let from = if in_burst { 1.0 } else { 0.0 };
        share + (from - share) * libm::exp(-(passed_us as f64) / self.memory_us())
    }

    /// Chance that a burst that is on has lasted, or will last, for `length_us`.
    pub(super) fn outlasts(&self, length_us: u64) -> Chance {
        Chance::new(libm::exp(-(length_us as f64) / self.burst_us))
    }
}

/// One direction of one pair, and one of its two ends.
type ChainKey = (u32, u32, bool);

/// The chains of all paths that were used. A chain is looked at when a packet passes: the
/// distribution of its state given the last one is known in closed form, so that nothing happens in
/// between.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    seed: u64,
    chains: BTreeMap<ChainKey, Chain>,
}

#[derive(Clone, Copy, Debug)]
struct Chain {
    in_burst: bool,
    at: Time,
    stream: u64,
}

impl Bursts {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, chains: BTreeMap::new() }
    }

    /// The chance of loss on a path now. Every chain draws from a stream of its own.
    pub(super) fn loss(&mut self, key: ChainKey, model: &BurstModel, now: Time) -> Chance {
        if self.chains.len() >= MAX_CHAINS {
            self.make_room(model, now);
        }
        let (from, to, far_end) = key;
        let seed = self.seed;
        let chain = self.chains.entry(key).or_insert_with(|| {
            let name = (u64::from(from) << 32) | u64::from(to);
            let mut stream = mix(mix(seed ^ u64::from(far_end)) ^ name);
            let in_burst = happens(&mut stream, model.share());
            Chain { in_burst, at: now, stream }
        });
        let passed_us = now.since(chain.at);
        if passed_us > 0 {
            let probability = model.in_burst_after(chain.in_burst, passed_us);
            chain.in_burst = happens(&mut chain.stream, probability);
            chain.at = now;
        }
        if chain.in_burst { model.loss } else { Chance::NEVER }
    }

    fn make_room(&mut self, model: &BurstModel, now: Time) {
        let keep_us = (FORGETTING_CYCLES * (model.gap_us + model.burst_us)) as u64;
        self.chains.retain(|_, chain| now.since(chain.at) < keep_us);
        if self.chains.len() >= MAX_CHAINS {
            self.chains.clear();
        }
    }
}

/// Steps a SplitMix64 stream.
fn happens(stream: &mut u64, probability: f64) -> bool {
    let bits = mix(*stream);
    *stream = stream.wrapping_add(0x9e37_79b9_7f4a_7c15);
    Chance::new(probability).is_met_by(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Span;

    fn model() -> BurstModel {
        BurstModel::new(&Burst { every: Span::millis(900), lasts: Span::millis(100), loss: 1.0 })
    }

    /// States of one path each millisecond for 200 s.
    fn states(seed: u64) -> Vec<bool> {
        let mut bursts = Bursts::new(seed);
        let look = |ms: u64| bursts.loss((1, 2, false), &model(), Time(ms * 1_000));
        (0..200_000).map(look).map(|chance| chance != Chance::NEVER).collect()
    }

    #[test]
    fn share_and_mean_length_of_bursts_are_those_of_the_model_over_seeds() {
        let (mut lost, mut bursts) = (0_usize, 0_usize);
        for seed in 0..20 {
            let states = states(seed);
            lost += states.iter().filter(|lost| **lost).count();
            bursts += states.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        }
        let share = lost as f64 / (20.0 * 200_000.0);
        let length_ms = lost as f64 / bursts as f64;
        assert!((0.09..0.11).contains(&share), "{share}");
        assert!((93.0..107.0).contains(&length_ms), "{length_ms}");
    }

    #[test]
    fn a_path_that_is_looked_at_seldom_has_the_same_share() {
        let mut bursts = Bursts::new(5);
        let lost = (0..20_000_u64)
            .filter(|look| {
                bursts.loss((1, 2, false), &model(), Time(look * 7_000_000)) != Chance::NEVER
            })
            .count();
        assert!((1_850..2_150).contains(&lost), "{lost}");
    }

    #[test]
    fn paths_and_directions_have_bursts_of_their_own() {
        let mut bursts = Bursts::new(5);
        let mut of = |key| -> Vec<bool> {
            (0..5_000_u64)
                .map(|ms| bursts.loss(key, &model(), Time(ms * 1_000)) != Chance::NEVER)
                .collect()
        };
        let (there, back, other) = (of((1, 2, false)), of((2, 1, false)), of((1, 3, false)));
        assert!(there != back && there != other);
        assert_eq!(states(3), states(3));
    }
}
