//! How a peer finds its place in the latency space from its own round trips.
//!
//! The last round trip and coordinate of every recent neighbour are remembered. Each sample, and
//! each coordinate that comes by gossip, lets the own place take a step of Gauss and Newton (after
//! Levenberg and Marquardt) towards the best fit to all of them. Three things make it hold on real
//! paths, where no space fits:
//!
//! - What is fitted is the *relative* error under Cauchy's loss. A neighbour whose round trip fits
//!   nowhere, for it violates the triangle inequality or lies, stops pulling, where a spring would
//!   be dragged along. The loss is wide while the peer is lost and narrows as it finds its place.
//! - The step is damped, the height's most: all peers move at once, and each knows the others'
//!   places as of their last heartbeat, so a full step overshoots and the whole space rocks.
//! - Neighbours that know their own place badly count little.
//!
//! From Ledlie, Gardner and Seltzer, "Network Coordinates in the Wild" (NSDI 2007): a median filter
//! for each neighbour, gravity towards the origin, decay of old neighbours, memory of the own
//! coordinate. What was tried and what each gave is in ADR 20.

use alloc::collections::BTreeMap;

use super::coordinate::{
    Coordinate, DIMENSIONS, ERROR_MAX, ERROR_MIN, HEIGHT_MIN_US, RTT_MAX_US, difference, length,
};

/// Most neighbours that are remembered: a step costs about 3 us with 64, and error falls little
/// beyond (on 490 PlanetLab hosts the 90th percentile is 26 % with 32).
pub const NEIGHBOURS_MAX: usize = 64;

/// Samples a neighbour's median is taken of: it swallows two outliers, and follows a new route
/// after three samples.
const FILTER_SAMPLES: usize = 5;

/// Steps after a sample. One settles later; eight gain nothing on PlanetLab.
const STEPS_PER_SAMPLE: usize = 2;

/// Relative error at which a neighbour's pull stops to grow, once the own place is found. Smaller
/// values lower the median error and raise the tail: 0.15 has a 90th percentile of 26 %, and half
/// and twice of it are no better there.
const RESIDUAL_SCALE: f64 = 0.15;

/// Widest scale of the loss, for a peer that is lost: all neighbours pull nearly in full.
const RESIDUAL_SCALE_MAX: f64 = 1.0;

/// Damping of a step, as a share of the mean curvature, of a peer whose error is 0.
///
/// Without it the places rock and the median error stays above 10 %; four times as much settles
/// too late.
const DAMPING: f64 = 0.5;

/// What each unit of own error adds to the damping: where a lost peer goes, others follow.
const DAMPING_PER_ERROR: f64 = 1.0;

/// How much more the height is damped. It is one number for all neighbours, and as all heights
/// move together they overshoot first.
const HEIGHT_DAMPING: f64 = 5.0;

/// Error of a neighbour that halves its weight.
const DOUBTFUL_ERROR: f64 = 0.3;

/// Part of the own error for having few neighbours: with as many as the place has numbers every
/// round trip can be fitted, right or wrong, and the fit says nothing.
const FEW_NEIGHBOURS_ERROR: f64 = 0.5;

/// Numbers of a place: the vector and the height.
const UNKNOWNS: usize = DIMENSIONS + 1;

/// Added to a round trip before an error is set against it.
///
/// Peers of one site hold each other by their short round trips, so strongly that the site as a
/// whole would never reach its place: two sites 100 ms apart still stood at 85 ms after 300 samples
/// a peer. With this they are right, and PlanetLab's 90th percentile is a point lower.
const STIFF_RTT_US: f64 = 20_000.0;

/// Round trips below this are taken as this long: within one site the noise of hosts is larger.
const RTT_FLOOR_US: f64 = 100.0;

/// Distance from the origin at which gravity pulls by one microsecond a sample. It keeps the whole
/// space from drifting off, and is too weak to be seen inside it.
const GRAVITY_US: f64 = 500_000.0;

/// Samples (of any neighbour) after which a neighbour's remembered round trip counts half.
const NEIGHBOUR_HALF_WEIGHT_SAMPLES: f64 = 256.0;

/// Samples after which a silent neighbour is forgotten: a fifth of the weight is left by then.
const NEIGHBOUR_AGE_MAX_SAMPLES: u64 = 1024;

/// Points closer than this have no direction from one to the other.
const COINCIDENT_US: f64 = 0.001;

/// How far from the origin a peer begins: in the same spot nobody would know where to move. Below
/// any round trip between two sites.
const SCATTER_US: f64 = 500.0;

/// The own coordinate and the memory of neighbours that holds it in place.
///
/// `K` names a peer. Memory is bounded by [`NEIGHBOURS_MAX`].
#[derive(Debug, Clone)]
pub struct Position<K> {
    own: Coordinate,
    neighbours: BTreeMap<K, Neighbour>,
    samples: u64,
}

#[derive(Debug, Clone)]
struct Neighbour {
    coordinate: Coordinate,
    rtts: RttFilter,
    /// The median of `rtts`, in microseconds.
    rtt: f64,
    /// Number of the sample that was the last of this neighbour; unique, so it orders by age.
    last_sample: u64,
}

impl<K: Ord + Clone> Position<K> {
    /// Begins at [`Coordinate::UNKNOWN`].
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(Coordinate::UNKNOWN)
    }

    /// Begins where the peer was before it restarted.
    #[must_use]
    pub fn starting_at(own: Coordinate) -> Self {
        Self { own, neighbours: BTreeMap::new(), samples: 0 }
    }

    /// The own place.
    #[must_use]
    pub fn coordinate(&self) -> &Coordinate {
        &self.own
    }

    /// How many neighbours are remembered.
    #[must_use]
    pub fn neighbours(&self) -> usize {
        self.neighbours.len()
    }

    /// Learns from one measured round trip to `peer`, which claims to be at `remote`.
    ///
    /// `entropy` gives a direction to a peer that begins. False if the round trip is 0 or beyond
    /// [`RTT_MAX_US`]: nothing is learnt from it.
    pub fn observe(&mut self, peer: K, remote: &Coordinate, rtt_us: u32, entropy: u64) -> bool {
        if rtt_us == 0 || rtt_us > RTT_MAX_US {
            return false;
        }
        if self.samples == 0 && length(&self.own.vector) < COINCIDENT_US {
            self.own.vector = random_direction(entropy).map(|part| part * SCATTER_US);
        }
        self.samples += 1;
        let neighbour = self.neighbours.entry(peer).or_insert_with(|| Neighbour {
            coordinate: *remote,
            rtts: RttFilter::default(),
            rtt: 0.0,
            last_sample: 0,
        });
        neighbour.coordinate = *remote;
        neighbour.rtts.push(rtt_us);
        neighbour.rtt = neighbour.rtts.median();
        neighbour.last_sample = self.samples;
        self.forget_old_neighbours();
        for _ in 0..STEPS_PER_SAMPLE {
            self.step();
        }
        self.sink();
        true
    }

    /// Takes over where `peer` says it is now, and follows it. Only peers that were measured are
    /// remembered, for all others this does nothing.
    pub fn heard(&mut self, peer: &K, remote: &Coordinate) {
        if let Some(neighbour) = self.neighbours.get_mut(peer) {
            neighbour.coordinate = *remote;
            self.step();
        }
    }

    fn forget_old_neighbours(&mut self) {
        let samples = self.samples;
        self.neighbours.retain(|_, n| samples - n.last_sample <= NEIGHBOUR_AGE_MAX_SAMPLES);
        if self.neighbours.len() > NEIGHBOURS_MAX {
            let oldest = self.neighbours.iter().min_by_key(|(_, n)| n.last_sample);
            if let Some(oldest) = oldest.map(|(peer, _)| peer.clone()) {
                self.neighbours.remove(&oldest);
            }
        }
    }

    /// One step towards the place that fits all remembered neighbours best, and the error there.
    fn step(&mut self) {
        let own_error = self.own.error;
        let scale = own_error.clamp(RESIDUAL_SCALE, RESIDUAL_SCALE_MAX);
        let mut fit = Fit::default();
        for neighbour in self.neighbours.values() {
            let age = (self.samples - neighbour.last_sample) as f64;
            let fresh = NEIGHBOUR_HALF_WEIGHT_SAMPLES / (NEIGHBOUR_HALF_WEIGHT_SAMPLES + age);
            fit.add(&self.own, neighbour, fresh, scale);
        }
        let moved = fit.solve(DAMPING + DAMPING_PER_ERROR * own_error);
        let bound = f64::from(RTT_MAX_US);
        let (height, vector) = moved.split_last().map_or((0.0, &[][..]), |(h, v)| (*h, v));
        for (component, change) in self.own.vector.iter_mut().zip(vector) {
            *component = (*component + change).clamp(-bound, bound);
        }
        self.own.height = (self.own.height + height).clamp(HEIGHT_MIN_US, bound);
        self.own.error = self.error();
    }

    /// The mean relative error to the neighbours, and what is to be expected beyond it.
    fn error(&self) -> f64 {
        let count = self.neighbours.len().max(1) as f64;
        let errors = self.neighbours.values().map(|neighbour| {
            let residual = residual(&self.own, neighbour).1;
            (libm::fabs(residual) / neighbour.rtt).min(1.0)
        });
        let few = (UNKNOWNS + 1) as f64 / (count + 1.0);
        let error = errors.sum::<f64>() / count + FEW_NEIGHBOURS_ERROR * few * few.min(1.0);
        error.clamp(ERROR_MIN, ERROR_MAX)
    }

    /// Lets gravity pull.
    fn sink(&mut self) {
        let distance = length(&self.own.vector);
        let keep = 1.0 - (distance / (GRAVITY_US * GRAVITY_US)).min(1.0);
        self.own.vector = self.own.vector.map(|component| component * keep);
    }
}

impl<K: Ord + Clone> Default for Position<K> {
    fn default() -> Self {
        Self::new()
    }
}

/// The vector from a neighbour to the own place, and by how much the measured round trip is longer
/// than the estimate.
fn residual(own: &Coordinate, neighbour: &Neighbour) -> ([f64; DIMENSIONS], f64) {
    let remote = &neighbour.coordinate;
    let way = difference(own, remote);
    let estimate = length(&way) + own.height + remote.height;
    (way, neighbour.rtt - estimate)
}

/// The normal equations of one step: weighted least squares in the vector and the height.
#[derive(Debug, Default)]
struct Fit {
    /// Symmetric, and positive definite once it is damped.
    curvature: [[f64; UNKNOWNS]; UNKNOWNS],
    pull: [f64; UNKNOWNS],
    weight: f64,
}

impl Fit {
    fn add(&mut self, own: &Coordinate, neighbour: &Neighbour, fresh: f64, scale: f64) {
        let (way, residual) = residual(own, neighbour);
        let distance = length(&way);
        // One step to here makes the estimate longer by `slope`; the height's part is 1.
        let mut slope = [1.0; UNKNOWNS];
        let stretch = if distance < COINCIDENT_US { 0.0 } else { 1.0 / distance };
        slope.iter_mut().zip(way).for_each(|(slope, part)| *slope = part * stretch);

        let length = neighbour.rtt + STIFF_RTT_US;
        let relative = residual / length / scale;
        let doubt = neighbour.coordinate.error / DOUBTFUL_ERROR;
        let trust = fresh / ((1.0 + doubt * doubt) * (1.0 + relative * relative));
        let weight = trust / (length * length);
        self.weight += weight;
        for ((row, pull), one) in self.curvature.iter_mut().zip(&mut self.pull).zip(slope) {
            *pull += weight * one * residual;
            row.iter_mut().zip(slope).for_each(|(entry, other)| *entry += weight * one * other);
        }
    }

    /// The step, by conjugate gradients: as many turns as unknowns give it exactly.
    fn solve(mut self, damping: f64) -> [f64; UNKNOWNS] {
        // The weights' share in the curvature of each dimension, if neighbours lie all around.
        let mean = self.weight / DIMENSIONS as f64;
        for (index, row) in self.curvature.iter_mut().enumerate() {
            let more = if index == DIMENSIONS { HEIGHT_DAMPING } else { 1.0 };
            row.iter_mut().skip(index).take(1).for_each(|entry| *entry += damping * mean * more);
        }
        let mut step = [0.0; UNKNOWNS];
        let mut rest = self.pull;
        let mut direction = rest;
        let mut rest_squared = dot(&rest, &rest);
        for _ in 0..UNKNOWNS {
            let bent = self.curvature.map(|row| dot(&row, &direction));
            let bend = dot(&direction, &bent);
            // Also ends where nothing pulls, and where the rest is below what a float can hold.
            if bend <= 0.0 || rest_squared <= 0.0 {
                break;
            }
            let length = rest_squared / bend;
            step.iter_mut().zip(direction).for_each(|(step, part)| *step += length * part);
            rest.iter_mut().zip(bent).for_each(|(rest, part)| *rest -= length * part);
            let squared = dot(&rest, &rest);
            let turn = squared / rest_squared;
            rest_squared = squared;
            direction.iter_mut().zip(rest).for_each(|(part, rest)| *part = rest + turn * *part);
        }
        step
    }
}

fn dot(one: &[f64; UNKNOWNS], other: &[f64; UNKNOWNS]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// A vector of length 1, or of length 0 in the unlikely case of all-zero draws.
fn random_direction(mut entropy: u64) -> [f64; DIMENSIONS] {
    let draw = [(); DIMENSIONS]
        .map(|()| (next_random(&mut entropy) >> 32) as f64 - f64::from(1_u32 << 31));
    let length = length(&draw).max(1.0);
    draw.map(|component| component / length)
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): stretches the caller's entropy over one call.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The last round trips of one neighbour.
#[derive(Debug, Clone, Default)]
struct RttFilter {
    rtts_us: [u32; FILTER_SAMPLES],
    pushed: usize,
}

impl RttFilter {
    fn push(&mut self, rtt_us: u32) {
        if let Some(slot) = self.rtts_us.get_mut(self.pushed % FILTER_SAMPLES) {
            *slot = rtt_us;
        }
        // Counts on from one full round, so that it never overflows.
        self.pushed =
            if self.pushed + 1 == 2 * FILTER_SAMPLES { FILTER_SAMPLES } else { self.pushed + 1 };
    }

    /// The lower median in microseconds, at least [`RTT_FLOOR_US`]: queues only ever add.
    fn median(&self) -> f64 {
        let mut sorted = self.rtts_us;
        let filled = self.pushed.min(FILTER_SAMPLES);
        let (known, _) = sorted.split_at_mut(filled);
        known.sort_unstable();
        let median = known.get(filled.saturating_sub(1) / 2).copied().unwrap_or_default();
        f64::from(median).max(RTT_FLOOR_US)
    }
}

#[cfg(test)]
mod tests {
    use super::super::coordinate::tests::any_coordinate;
    use super::super::coordinate::{WireCoordinate, estimate_us};
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Lets every peer measure others by turns and gives the sorted relative errors of all pairs.
    fn converge(peers: usize, rounds: usize, rtt_us: impl Fn(usize, usize) -> u32) -> Vec<f64> {
        let mut entropy = 1;
        let mut nodes: Vec<Position<usize>> = (0..peers).map(|_| Position::new()).collect();
        for _ in 0..rounds {
            for observer in 0..peers {
                let step = 1 + next_random(&mut entropy) as usize % (peers - 1);
                let subject = (observer + step) % peers;
                let remote = *nodes[subject].coordinate();
                let rtt = rtt_us(observer, subject);
                nodes[observer].observe(subject, &remote, rtt, next_random(&mut entropy));
            }
        }
        relative_errors(&nodes, rtt_us)
    }

    fn relative_errors(
        nodes: &[Position<usize>],
        rtt_us: impl Fn(usize, usize) -> u32,
    ) -> Vec<f64> {
        let mut errors = Vec::new();
        for one in 0..nodes.len() {
            for other in 0..one {
                let estimate = estimate_us(nodes[one].coordinate(), nodes[other].coordinate());
                let rtt = f64::from(rtt_us(one, other));
                errors.push((f64::from(estimate) - rtt).abs() / rtt);
            }
        }
        errors.sort_unstable_by(f64::total_cmp);
        errors
    }

    fn at(errors: &[f64], percent: usize) -> f64 {
        errors[(errors.len() - 1) * percent / 100]
    }

    #[test]
    fn peers_on_a_line_are_placed_exactly() {
        let errors = converge(10, 300, |a, b| 10_000 * a.abs_diff(b) as u32 + 500);
        assert!(at(&errors, 50) < 0.02 && at(&errors, 100) < 0.15, "{errors:?}");
    }

    #[test]
    fn peers_on_a_grid_are_placed_exactly() {
        let errors = converge(25, 300, |a, b| {
            let (x, y) = ((a % 5).abs_diff(b % 5) as f64, (a / 5).abs_diff(b / 5) as f64);
            (20_000.0 * x.hypot(y)) as u32 + 1000
        });
        assert!(at(&errors, 50) < 0.02 && at(&errors, 100) < 0.15, "{errors:?}");
    }

    #[test]
    fn two_sites_with_a_long_line_between_them_keep_their_short_paths() {
        let errors = converge(20, 300, |a, b| if (a < 10) == (b < 10) { 1000 } else { 100_000 });
        assert!(at(&errors, 50) < 0.05 && at(&errors, 90) < 0.3, "{errors:?}");
    }

    #[test]
    fn random_round_trips_within_a_band_are_estimated_within_the_band() {
        let errors = converge(30, 300, |a, b| {
            let mut pair = (a.min(b) * 1000 + a.max(b)) as u64;
            90_000 + (next_random(&mut pair) % 20_000) as u32
        });
        assert!(at(&errors, 50) < 0.06 && at(&errors, 100) < 0.25, "{errors:?}");
    }

    #[test]
    fn an_edge_that_violates_the_triangle_inequality_is_outvoted() {
        let line = |a: usize, b: usize| 10_000 * a.abs_diff(b) as u32 + 500;
        let detour = |a: usize, b: usize| match (a.min(b), a.max(b)) {
            (2, 3) => 3_000_000,
            _ => line(a, b),
        };
        let errors = converge(12, 300, detour);
        assert!(at(&errors, 50) < 0.05 && at(&errors, 95) < 0.25, "{errors:?}");
    }

    #[test]
    fn one_lying_neighbour_does_not_move_a_placed_peer() {
        let mut node = Position::new();
        let lie = WireCoordinate {
            vector_us: [9_000_000, -9_000_000, 9_000_000, 0],
            height_us: 9_000_000,
            error_permille: 1,
        };
        let lie = Coordinate::from_wire(&lie).unwrap();
        let honest: Vec<_> = (0..9)
            .map(|place| WireCoordinate {
                vector_us: [place * 10_000, (place % 3) * 20_000, 0, 0],
                height_us: 500,
                error_permille: 100,
            })
            .map(|wire| Coordinate::from_wire(&wire).unwrap())
            .collect();
        for round in 0..200 {
            for (peer, remote) in honest.iter().enumerate() {
                node.observe(peer, remote, estimate_us(&honest[4], remote).max(1000), round);
            }
            node.observe(99, &lie, 20_000, round);
        }
        let moved_us = estimate_us(node.coordinate(), &honest[4]);
        assert!(moved_us < 15_000, "{moved_us}");
    }

    #[test]
    fn a_burst_of_delay_is_filtered_out() {
        let remote = *Position::<u8>::new().coordinate();
        let mut node = Position::new();
        for entropy in 0..100 {
            node.observe(1, &remote, 20_000, entropy);
        }
        let before = *node.coordinate();
        node.observe(1, &remote, 5_000_000, 7);
        node.observe(1, &remote, 5_000_000, 8);
        let shift = estimate_us(node.coordinate(), &remote).abs_diff(estimate_us(&before, &remote));
        assert!(shift < 200, "{shift}");
    }

    #[test]
    fn coordinates_heard_by_gossip_count_without_a_probe() {
        let place = |x| {
            let vector_us = [x, 0, 0, 0];
            Coordinate::from_wire(&WireCoordinate { vector_us, height_us: 10, error_permille: 50 })
        };
        let (near, far) = (place(0).unwrap(), place(300_000).unwrap());
        let mut node = Position::new();
        node.observe(1, &near, 5000, 1);
        node.heard(&1, &far);
        node.heard(&2, &far);
        assert_eq!(node.neighbours(), 1);
        for entropy in 0..50 {
            node.observe(3, &far, 5000, entropy);
        }
        let estimate = estimate_us(node.coordinate(), &far);
        assert!((4000..6000).contains(&estimate), "{estimate}");
    }

    #[test]
    fn the_neighbour_memory_is_bounded_and_drops_the_oldest() {
        let mut node = Position::new();
        for peer in 0..200_u32 {
            node.observe(peer, &Coordinate::UNKNOWN, 10_000, u64::from(peer));
        }
        assert_eq!(node.neighbours(), NEIGHBOURS_MAX);
        for sample in 0..=NEIGHBOUR_AGE_MAX_SAMPLES {
            node.observe(7, &Coordinate::UNKNOWN, 10_000, sample);
        }
        assert_eq!(node.neighbours(), 1);
    }

    #[test]
    fn impossible_round_trips_teach_nothing() {
        let mut node = Position::new();
        assert!(!node.observe(1, &Coordinate::UNKNOWN, 0, 1));
        assert!(!node.observe(1, &Coordinate::UNKNOWN, RTT_MAX_US + 1, 1));
        assert_eq!((node.coordinate(), node.neighbours()), (&Coordinate::UNKNOWN, 0));
    }

    fn place(vector_us: [i32; DIMENSIONS], height_us: u32) -> Coordinate {
        let wire = WireCoordinate { vector_us, height_us, error_permille: 50 };
        Coordinate::from_wire(&wire).unwrap()
    }

    fn any_place() -> impl Strategy<Value = Coordinate> {
        let part = || -150_000..150_000_i32;
        ([part(), part(), part(), part()], 100..10_000_u32)
            .prop_map(|(vector_us, height_us)| place(vector_us, height_us))
    }

    proptest! {
        #[test]
        fn any_samples_leave_a_coordinate_that_others_accept(
            samples in proptest::collection::vec(
                (0_u8..5, any_coordinate(), any::<u32>(), any::<u64>()), 0..60),
        ) {
            let mut node = Position::new();
            for (peer, remote, rtt_us, entropy) in samples {
                node.observe(peer, &remote, rtt_us % (RTT_MAX_US + 2), entropy);
                prop_assert!(Coordinate::from_wire(&node.coordinate().to_wire()).is_ok());
            }
        }

        #[test]
        fn a_newcomer_finds_its_true_place(
            truth in any_place(),
            neighbours in proptest::collection::vec(any_place(), 16..32),
            entropy in any::<u64>(),
        ) {
            let mut node = Position::new();
            let off = |node: &Position<usize>| {
                let errors = neighbours.iter().map(|there| {
                    let rtt = f64::from(estimate_us(&truth, there));
                    (f64::from(estimate_us(node.coordinate(), there)) - rtt).abs() / rtt
                });
                errors.sum::<f64>() / neighbours.len() as f64
            };
            let before = off(&node);
            for round in 0..6 {
                for (peer, there) in neighbours.iter().enumerate() {
                    node.observe(peer, there, estimate_us(&truth, there), entropy ^ round);
                }
            }
            let after = off(&node);
            prop_assert!(after < 0.1 && after < before, "from {before} to {after}");
        }

        #[test]
        fn coordinates_that_are_heard_leave_one_that_others_accept(
            words in proptest::collection::vec((0_u8..5, any_coordinate()), 0..60),
            rtt_us in 1..=RTT_MAX_US,
        ) {
            let mut node = Position::new();
            for peer in 0..5 {
                node.observe(peer, &Coordinate::UNKNOWN, rtt_us, 1);
            }
            for (peer, remote) in words {
                node.heard(&peer, &remote);
                prop_assert!(Coordinate::from_wire(&node.coordinate().to_wire()).is_ok());
            }
        }
    }
}
