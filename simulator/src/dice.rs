//! Randomness of the virtual world: one seed, and a stream of its own for everything that draws.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Keeps the streams of one seed apart from those of every other program.
const CONTEXT: &str = "plexmesh simulator 2026 random stream";

/// A seeded stream of random numbers that is the same on every machine.
#[derive(Clone, Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of `seed` for one purpose. Streams of different purposes or indices are
    /// independent, so that one more draw in one place changes nothing elsewhere.
    #[must_use]
    pub fn new(seed: u64, purpose: &str, index: u64) -> Self {
        Self(ChaCha8Rng::from_seed(derive(seed, purpose, index)))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound`; 0 if `bound` is 0. The bias of the fixed-point multiplication is
    /// below 2^-32 for the bounds used here, which are times and counts.
    pub fn below(&mut self, bound: u64) -> u64 {
        scale(self.bits(), bound)
    }

    /// Whether something of this chance happens.
    pub fn happens(&mut self, chance: Chance) -> bool {
        match chance {
            Chance(0) => false,
            Chance(threshold) => self.bits() < threshold,
        }
    }

    /// One draw for two questions: `None` if something of this chance happens, else a number in
    /// `0..bound`. The chance lies in the high half of the bits and the number in the low one, so
    /// the bound is cut to 32 bits.
    pub(crate) fn escapes(&mut self, chance: Chance, bound: u64) -> Option<u64> {
        const LOW: u64 = 0xffff_ffff;
        if chance == Chance::NEVER && bound == 0 {
            return Some(0);
        }
        let bits = self.bits();
        (!chance.is_met_by(bits)).then(|| ((bits & LOW) * bound.min(LOW)) >> 32)
    }

    /// Up to `count` different numbers of `0..bound`, in drawn order.
    pub fn sample(&mut self, count: usize, bound: usize) -> Vec<usize> {
        let mut pool: Vec<usize> = (0..bound).collect();
        let mut drawn = Vec::with_capacity(count.min(bound));
        while drawn.len() < count && !pool.is_empty() {
            let place = self.below(pool.len() as u64) as usize;
            drawn.push(pool.swap_remove(place));
        }
        drawn
    }
}

/// A probability, as a threshold over 64 random bits: integers compare alike on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u64);

impl Chance {
    /// It never happens.
    pub const NEVER: Self = Self(0);

    /// A probability from 0 to 1; what lies outside is moved to the nearer end.
    #[must_use]
    pub fn new(probability: f64) -> Self {
        // Scaling by a power of two is exact, and the cast saturates.
        Self((probability.clamp(0.0, 1.0) * 18_446_744_073_709_551_616.0) as u64)
    }

    /// The chance that at least one of two independent things happens.
    #[must_use]
    pub(crate) const fn or(self, other: Self) -> Self {
        match (self.0, other.0) {
            (0, chance) | (chance, 0) => Self(chance),
            (a, b) => {
                let both = ((a as u128 * b as u128) >> 64) as u64;
                Self(a.saturating_add(b - both))
            }
        }
    }

    /// Whether it happens with these 64 random bits.
    pub(crate) const fn is_met_by(self, bits: u64) -> bool {
        bits < self.0
    }
}

/// 32 bytes of `seed` for one purpose and index, for keys and streams.
pub(crate) fn derive(seed: u64, purpose: &str, index: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&seed.to_le_bytes()).update(&index.to_le_bytes()).update(purpose.as_bytes());
    *hasher.finalize().as_bytes()
}

/// Maps 64 random bits onto `0..bound`.
pub(crate) fn scale(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_differ_by_purpose_and_index() {
        let first = |purpose, index| Dice::new(7, purpose, index).bits();
        assert_eq!(first("a", 0), first("a", 0));
        assert_ne!(first("a", 0), first("b", 0));
        assert_ne!(first("a", 0), first("a", 1));
    }

    #[test]
    fn a_chance_happens_about_as_often_as_it_says() {
        let mut dice = Dice::new(1, "test", 0);
        let hits = (0..10_000).filter(|_| dice.happens(Chance::new(0.25))).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert!((0..100).all(|_| !dice.happens(Chance::NEVER)));
        assert!((0..100).all(|_| dice.happens(Chance::new(1.0))));
    }

    #[test]
    fn a_sample_has_no_number_twice() {
        let mut drawn = Dice::new(3, "test", 0).sample(50, 50);
        drawn.sort_unstable();
        assert_eq!(drawn, (0..50).collect::<Vec<_>>());
    }
}
