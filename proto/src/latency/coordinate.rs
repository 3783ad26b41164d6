//! Network coordinates: estimates the round trip between peers that never measured each other.
//!
//! Vivaldi (Dabek, Cox, Kaashoek, Morris, SIGCOMM 2004) with height, and the remedies that Ledlie,
//! Gardner and Seltzer (NSDI 2007) found necessary in the wild: a median filter for each neighbour,
//! gravity towards the origin, decay of old neighbours, memory of the own coordinate.
//!
//! What differs from the textbook: one sample does not give one spring step. The last filtered
//! round trip and coordinate of every recent neighbour are remembered, and each sample relaxes the
//! own coordinate against all of them. A step weighs *relative* error and is capped, so it moves
//! towards the median of what the neighbours ask for: an edge that violates the triangle
//! inequality, or a neighbour that lies, is outvoted where a least-squares spring would be dragged
//! along. Coordinates that come by gossip refresh the memory without any probe.
//!
//! Coordinates are estimates of one peer and nothing that peers must agree on. They use floats, but
//! only operations that IEEE 754 rounds correctly, so one seed gives one result on every machine.

use alloc::collections::BTreeMap;

/// Dimensions of the space next to the height.
///
/// On 490 PlanetLab hosts 2 to 8 dimensions have the same median error; the 90th percentile falls
/// from 29 % with 2 to 26 % with 4 and no further. 4 is the cheapest of the best.
pub const DIMENSIONS: usize = 4;

/// Longest round trip that is believed, in microseconds; also the bound of every component.
///
/// No path on Earth takes 10 s; what does is a stalled host, whose sample would only do harm.
pub const RTT_MAX_US: u32 = 10_000_000;

/// Most neighbours that are remembered. On 490 PlanetLab hosts the 90th percentile of the error is
/// 26 % with 32 neighbours, 21 % with 64 and 20 % with 128, at a cost that doubles each time.
pub const NEIGHBOURS_MAX: usize = 64;

/// Samples a neighbour's median is taken of: it swallows two outliers, and follows a new route
/// after three samples.
const FILTER_SAMPLES: usize = 5;

/// Relaxation passes over the neighbours a sample. Fewer settle later; each costs about 1 us.
const PASSES: usize = 3;

/// Share of a residual that a first step corrects, before weights. High, as the cap bounds it.
const STEP_GAIN: f64 = 0.8;

/// Number of samples after which the gain is halved: the more is known, the finer the steps.
const STEP_COOLING_SAMPLES: f64 = 30.0;

/// Least share of the first gain that remains, so that a peer that moves finds its new place.
const STEP_FLOOR: f64 = 0.1;

/// Most of a residual that one step may correct after all weights; more would overshoot.
const STEP_SHARE_MAX: f64 = 0.5;

/// Residuals count in full up to this share of the round trip and are cut beyond it. Smaller
/// values come closer to the median of the wishes and slow the first approach down.
const RESIDUAL_SHARE_MAX: f64 = 0.2;

/// Own error from which on a peer counts as lost: its residuals are then cut less, or a peer far
/// from its place but near its neighbours would crawl. One liar among ten cannot push it there.
const LOST_ERROR: f64 = 1.0;

/// A round trip of this length has weight 1, shorter ones more: what counts is relative error.
const REFERENCE_RTT_US: f64 = 50_000.0;

/// Weight of the shortest round trips.
const RTT_WEIGHT_MAX: f64 = 10.0;

/// Round trips below this are taken as this long: within one site the noise of hosts is larger.
const RTT_FLOOR_US: f64 = 100.0;

/// Share of a step that goes to the height. The height is one number for all neighbours, so it
/// needs smaller steps than the position.
const HEIGHT_SHARE: f64 = 0.3;

/// Least height in microseconds: nobody is nearer to the core than his own network stack.
const HEIGHT_MIN_US: f64 = 10.0;

/// Distance from the origin at which gravity pulls by as much per sample. It keeps the whole
/// space from drifting off, and is too weak to be seen inside it.
const GRAVITY_US: f64 = 500_000.0;

/// Error of a peer that knows nothing, and the highest there is; customary since the first Vivaldi.
const ERROR_MAX: f64 = 1.5;

/// Least error: the resolution of the wire form, and it keeps every weight a number.
const ERROR_MIN: f64 = 0.001;

/// Weight of a new sample in the own error, the customary `c_e`.
const ERROR_GAIN: f64 = 0.25;

/// Samples (of any neighbour) after which a neighbour's remembered round trip counts half.
const NEIGHBOUR_HALF_WEIGHT_SAMPLES: f64 = 256.0;

/// Samples after which a silent neighbour is forgotten: a fifth of the weight is left by then.
const NEIGHBOUR_AGE_MAX_SAMPLES: u64 = 1024;

/// Points closer than this have no direction from one to the other.
const COINCIDENT_US: f64 = 0.001;

/// A place in the latency space. Always finite and within bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coordinate {
    vector: [f64; DIMENSIONS],
    height: f64,
    error: f64,
}

/// The form of a [`Coordinate`] that travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireCoordinate {
    /// Components in microseconds, within plus and minus [`RTT_MAX_US`].
    pub vector_us: [i32; DIMENSIONS],
    /// Height in microseconds, at most [`RTT_MAX_US`].
    pub height_us: u32,
    /// Expected relative error of the peer's estimates in permille, 1..=1500.
    pub error_permille: u16,
}

/// Why a coordinate from the wire is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoordinateError {
    /// A component or the height is further away than any path on Earth.
    #[error("the coordinate lies beyond {RTT_MAX_US} us: a damaged record or a hostile peer")]
    TooFar,
    /// The error is 0 or more than 1500 permille, which no honest peer computes.
    #[error("the coordinate claims an error of {permille} permille, allowed are 1 to 1500")]
    ErrorOutOfRange {
        /// What was claimed.
        permille: u16,
    },
}

impl Coordinate {
    /// The place of a peer that knows nothing: the origin, with the highest error.
    pub const UNKNOWN: Self =
        Self { vector: [0.0; DIMENSIONS], height: HEIGHT_MIN_US, error: ERROR_MAX };

    /// Rounds to whole microseconds and permille. Reading it back and rounding again changes
    /// nothing more.
    #[must_use]
    pub fn to_wire(&self) -> WireCoordinate {
        // Every part is within bounds that fit, so the casts only cut the fraction.
        WireCoordinate {
            vector_us: self.vector.map(|component| libm::round(component) as i32),
            height_us: libm::round(self.height) as u32,
            error_permille: libm::round(self.error * 1000.0) as u16,
        }
    }

    /// Reads what a peer sent.
    ///
    /// # Errors
    /// [`CoordinateError`] when the place or the error are outside of what an honest peer can
    /// compute.
    pub fn from_wire(wire: &WireCoordinate) -> Result<Self, CoordinateError> {
        let mut furthest = wire.vector_us.iter().map(|component| component.unsigned_abs());
        if furthest.any(|component| component > RTT_MAX_US) || wire.height_us > RTT_MAX_US {
            return Err(CoordinateError::TooFar);
        }
        let error = f64::from(wire.error_permille) / 1000.0;
        if !(ERROR_MIN..=ERROR_MAX).contains(&error) {
            return Err(CoordinateError::ErrorOutOfRange { permille: wire.error_permille });
        }
        Ok(Self {
            vector: wire.vector_us.map(f64::from),
            height: f64::from(wire.height_us).max(HEIGHT_MIN_US),
            error,
        })
    }

    /// Expected relative error of estimates with this coordinate, 0.001 to 1.5.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.error
    }
}

/// Estimated round trip between two peers in microseconds, at most [`RTT_MAX_US`].
#[must_use]
pub fn estimate_us(one: &Coordinate, other: &Coordinate) -> u32 {
    let estimate = length(&difference(one, other)) + one.height + other.height;
    // Not negative, and below 2^32 once it is cut.
    libm::round(estimate.min(f64::from(RTT_MAX_US))) as u32
}

/// The own coordinate and the memory of neighbours that holds it in place.
///
/// `K` names a peer. A sample costs three passes over at most [`NEIGHBOURS_MAX`] neighbours, a few
/// microseconds; one sample every few seconds and edge is plenty.
#[derive(Debug, Clone)]
pub struct Vivaldi<K> {
    own: Coordinate,
    neighbours: BTreeMap<K, Neighbour>,
    samples: u64,
}

#[derive(Debug, Clone)]
struct Neighbour {
    coordinate: Coordinate,
    rtts: RttFilter,
    /// Number of the sample that was the last of this neighbour; unique, so it orders by age.
    last_sample: u64,
}

impl<K: Ord + Clone> Vivaldi<K> {
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
    /// False when the round trip is 0 or longer than [`RTT_MAX_US`] and nothing was learnt. The
    /// first sample of a connection should not be passed in: it times the handshake as well.
    /// `entropy` is any random number, fresh for each call; it parts peers that stand on one point
    /// and picks whose wish comes first.
    pub fn observe(&mut self, peer: K, remote: &Coordinate, rtt_us: u32, entropy: u64) -> bool {
        if rtt_us == 0 || rtt_us > RTT_MAX_US {
            return false;
        }
        self.samples += 1;
        let neighbour = self.neighbours.entry(peer).or_insert_with(|| Neighbour {
            coordinate: *remote,
            rtts: RttFilter::default(),
            last_sample: 0,
        });
        neighbour.coordinate = *remote;
        neighbour.rtts.push(rtt_us);
        neighbour.last_sample = self.samples;
        let rtt = neighbour.rtts.median();
        self.learn_error(remote, rtt);
        self.forget_old_neighbours();
        self.relax(entropy);
        true
    }

    /// Takes over where `peer` says it is now. Only peers that were measured are remembered, for
    /// all others this does nothing.
    pub fn heard(&mut self, peer: &K, remote: &Coordinate) {
        if let Some(neighbour) = self.neighbours.get_mut(peer) {
            neighbour.coordinate = *remote;
        }
    }

    fn learn_error(&mut self, remote: &Coordinate, rtt: f64) {
        let estimate = length(&difference(&self.own, remote)) + self.own.height + remote.height;
        let sample = (libm::fabs(estimate - rtt) / rtt).min(ERROR_MAX);
        let share = ERROR_GAIN * confidence(&self.own, remote);
        let error = sample * share + self.own.error * (1.0 - share);
        self.own.error = error.clamp(ERROR_MIN, ERROR_MAX);
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

    fn relax(&mut self, mut entropy: u64) {
        let cooling = STEP_COOLING_SAMPLES / (STEP_COOLING_SAMPLES + self.samples as f64);
        let gain = STEP_GAIN * cooling.max(STEP_FLOOR);
        let count = self.neighbours.len() as u64;
        for _ in 0..PASSES {
            // Below the number of neighbours, so it fits.
            let first = (next_random(&mut entropy) % count.max(1)) as usize;
            let turned = self.neighbours.values().skip(first);
            for neighbour in turned.chain(self.neighbours.values().take(first)) {
                let age = (self.samples - neighbour.last_sample) as f64;
                let freshness =
                    NEIGHBOUR_HALF_WEIGHT_SAMPLES / (NEIGHBOUR_HALF_WEIGHT_SAMPLES + age);
                pull(&mut self.own, neighbour, gain * freshness, &mut entropy);
            }
        }
        let distance = length(&self.own.vector);
        let keep = 1.0 - (distance / (GRAVITY_US * GRAVITY_US)).min(1.0);
        for component in &mut self.own.vector {
            *component = (*component * keep).clamp(-f64::from(RTT_MAX_US), f64::from(RTT_MAX_US));
        }
    }
}

impl<K: Ord + Clone> Default for Vivaldi<K> {
    fn default() -> Self {
        Self::new()
    }
}

/// One step of `own` along the line to a neighbour, towards the distance that was measured.
fn pull(own: &mut Coordinate, neighbour: &Neighbour, gain: f64, entropy: &mut u64) {
    let remote = &neighbour.coordinate;
    let rtt = neighbour.rtts.median();
    let mut direction = difference(own, remote);
    let distance = length(&direction);
    let residual = rtt - (distance + own.height + remote.height);
    let lost = ((own.error - LOST_ERROR) / (ERROR_MAX - LOST_ERROR)).max(0.0);
    let limit = RESIDUAL_SHARE_MAX * (rtt + lost * libm::fabs(residual));
    let weight = confidence(own, remote) * (REFERENCE_RTT_US / rtt).min(RTT_WEIGHT_MAX);
    let step = (gain * weight).min(STEP_SHARE_MAX) * residual.clamp(-limit, limit);

    let mut scale = 1.0 / distance;
    if distance < COINCIDENT_US {
        direction = random_direction(entropy);
        scale = 1.0;
    }
    for (component, towards) in own.vector.iter_mut().zip(direction) {
        *component += towards * scale * step;
    }
    let height = own.height + HEIGHT_SHARE * step;
    own.height = height.clamp(HEIGHT_MIN_US, f64::from(RTT_MAX_US));
}

/// How much `own` should believe `remote` rather than itself, between 0 and 1.
fn confidence(own: &Coordinate, remote: &Coordinate) -> f64 {
    own.error / (own.error + remote.error)
}

fn difference(one: &Coordinate, other: &Coordinate) -> [f64; DIMENSIONS] {
    let mut difference = one.vector;
    difference.iter_mut().zip(other.vector).for_each(|(a, b)| *a -= b);
    difference
}

fn length(vector: &[f64; DIMENSIONS]) -> f64 {
    libm::sqrt(vector.iter().map(|component| component * component).sum())
}

/// A vector of length 1, or of length 0 in the unlikely case of all-zero draws.
fn random_direction(entropy: &mut u64) -> [f64; DIMENSIONS] {
    let draw = [(); DIMENSIONS].map(|()| (next_random(entropy) >> 32) as f64 - f64::from(1 << 31));
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
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Lets every peer measure others by turns and gives the sorted relative errors of all pairs.
    fn converge(peers: usize, rounds: usize, rtt_us: impl Fn(usize, usize) -> u32) -> Vec<f64> {
        let mut entropy = 1;
        let mut nodes: Vec<Vivaldi<usize>> = (0..peers).map(|_| Vivaldi::new()).collect();
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

    fn relative_errors(nodes: &[Vivaldi<usize>], rtt_us: impl Fn(usize, usize) -> u32) -> Vec<f64> {
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
        let mut node = Vivaldi::new();
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
        let remote = *Vivaldi::<u8>::new().coordinate();
        let mut node = Vivaldi::new();
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
        let mut node = Vivaldi::new();
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
        let mut node = Vivaldi::new();
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
        let mut node = Vivaldi::new();
        assert!(!node.observe(1, &Coordinate::UNKNOWN, 0, 1));
        assert!(!node.observe(1, &Coordinate::UNKNOWN, RTT_MAX_US + 1, 1));
        assert_eq!((node.coordinate(), node.neighbours()), (&Coordinate::UNKNOWN, 0));
    }

    #[test]
    fn absurd_coordinates_are_refused() {
        let good = Coordinate::UNKNOWN.to_wire();
        let refused = |wire| Coordinate::from_wire(&wire).unwrap_err();
        let mut far = good;
        far.vector_us[3] = i32::MIN;
        assert_eq!(refused(far), CoordinateError::TooFar);
        let high = WireCoordinate { height_us: u32::MAX, ..good };
        assert_eq!(refused(high), CoordinateError::TooFar);
        for permille in [0, 1501, u16::MAX] {
            let wire = WireCoordinate { error_permille: permille, ..good };
            assert_eq!(refused(wire), CoordinateError::ErrorOutOfRange { permille });
        }
    }

    fn any_coordinate() -> impl Strategy<Value = Coordinate> {
        let component = -(RTT_MAX_US as i32)..=RTT_MAX_US as i32;
        ([component.clone(), component.clone(), component.clone(), component], 0..=RTT_MAX_US)
            .prop_flat_map(|(vector_us, height_us)| {
                (1_u16..=1500).prop_map(move |error_permille| {
                    let wire = WireCoordinate { vector_us, height_us, error_permille };
                    Coordinate::from_wire(&wire).unwrap()
                })
            })
    }

    proptest! {
        #[test]
        fn the_wire_form_is_stable(coordinate in any_coordinate()) {
            let wire = coordinate.to_wire();
            prop_assert_eq!(Coordinate::from_wire(&wire).unwrap().to_wire(), wire);
        }

        #[test]
        fn any_samples_leave_a_coordinate_that_others_accept(
            samples in proptest::collection::vec(
                (0_u8..5, any_coordinate(), any::<u32>(), any::<u64>()), 0..60),
        ) {
            let mut node = Vivaldi::new();
            for (peer, remote, rtt_us, entropy) in samples {
                node.observe(peer, &remote, rtt_us % (RTT_MAX_US + 2), entropy);
                prop_assert!(Coordinate::from_wire(&node.coordinate().to_wire()).is_ok());
            }
        }

        #[test]
        fn estimates_are_symmetric(one in any_coordinate(), other in any_coordinate()) {
            prop_assert_eq!(estimate_us(&one, &other), estimate_us(&other, &one));
        }
    }
}
