//! What one peer knows of the path to another that it probes: round trips, jitter and loss.
//!
//! Integers only and of fixed size (about 900 bytes an edge), no allocation. All durations are
//! microseconds; `now_us` is any clock that does not run backwards. The two inputs are separate
//! on purpose: an answer that comes after its probe was given up is a round trip, but the loss
//! stays a loss.

/// Longest round trip that is told apart; longer ones count as this. By then every caller has
/// given up.
pub const RTT_MAX_US: u32 = 60_000_000;

/// Probe outcomes that the loss figure looks back on: about four minutes at one probe a second.
pub const LOSS_WINDOW: u16 = 256;

/// Gilbert prior: a link of which nothing is known loses 2 % after an answered probe...
pub const PRIOR_MISS_AFTER_OK_MISSES: u32 = 1;
/// ...with the weight of 50 observations, so that one early miss does not make a bad link.
pub const PRIOR_MISS_AFTER_OK_TOTAL: u32 = 50;

/// Gilbert prior: after a miss the next probe misses with 25 %, as loss comes in bursts...
pub const PRIOR_MISS_AFTER_MISS_MISSES: u32 = 2;
/// ...with the weight of 8 observations only, since misses are rare and each one tells much.
pub const PRIOR_MISS_AFTER_MISS_TOTAL: u32 = 8;

/// Observations after which one of the same condition has faded to about a third, as power of two:
/// 512 follow an answer (some ten minutes), 64 follow a miss (rarer, so the memory is longer).
const FADE_AFTER_OK_SHIFT: u32 = 9;
const FADE_AFTER_MISS_SHIFT: u32 = 6;

/// An edge is lossy if more than this many in a thousand probes after an answered one are missed. On an edge that loses a quarter of its packets it is 35 to 50; one that loses nothing misses
/// one at most in a short failure.
const LOSSY_PERMILLE: u32 = 12;
/// Probes after an answered one, and misses among them, from which that is told.
const LOSSY_FROM: (u32, u32) = (30, 2);

/// Longest pause between two outcomes that still makes the second a consequence of the first.
const ADJACENT_MAX_US: u64 = 10_000_000;

/// Misses in a row that count as loss; a longer run is an outage of the peer or of the network.
const MISS_RUN_MAX: u16 = 64;

/// Statistics of one observed edge.
#[derive(Debug, Clone)]
pub struct EdgeStats {
    rtts: RttWindow,
    smoothed: Option<Smoothed>,
    /// The last round trip of this connection: jitter must not compare two paths.
    previous_rtt_us: Option<u32>,
    /// RFC 3550 jitter times 16.
    jitter_x16: Option<u32>,
    discard_next: bool,
    losses: LossWindow,
    gilbert: Gilbert,
}

/// What is told of an edge. `None` is unknown: there were no samples yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EdgeSummary {
    /// Round trips that the percentiles rest on.
    pub samples: u32,
    /// Median round trip, within 3.2 % as all percentiles.
    pub rtt_p50_us: Option<u32>,
    /// 90th percentile.
    pub rtt_p90_us: Option<u32>,
    /// 99th percentile; below 100 samples it is the maximum.
    pub rtt_p99_us: Option<u32>,
    /// Smallest round trip.
    pub rtt_min_us: Option<u32>,
    /// Smoothed round trip (RFC 6298).
    pub srtt_us: Option<u32>,
    /// Mean deviation of the round trip (RFC 6298, RTTVAR).
    pub deviation_us: Option<u32>,
    /// Smoothed difference of consecutive round trips (as RFC 3550, section 6.4.1).
    pub jitter_us: Option<u32>,
    /// Probe outcomes that the loss figure rests on.
    pub outcomes: u16,
    /// Share of lost probes.
    pub loss_permille: Option<u16>,
}

impl EdgeStats {
    /// An edge of which nothing is known. The first sample is discarded, as after
    /// [`Self::connection_opened`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            rtts: RttWindow::new(),
            smoothed: None,
            previous_rtt_us: None,
            jitter_x16: None,
            discard_next: true,
            losses: LossWindow::default(),
            gilbert: Gilbert::default(),
        }
    }

    /// A new connection carries the edge from now on: its first round trip is discarded (it times
    /// handshake and cold caches too), and an unanswered run of misses is no longer loss.
    pub fn connection_opened(&mut self) {
        self.discard_next = true;
        self.previous_rtt_us = None;
        self.gilbert.break_run();
    }

    /// Takes a measured round trip; more than [`RTT_MAX_US`] counts as that, 0 as 1.
    ///
    /// False when the sample was discarded as the first of its connection; then it should not be
    /// used elsewhere either.
    pub fn record_rtt(&mut self, rtt_us: u32, now_us: u64) -> bool {
        if core::mem::take(&mut self.discard_next) {
            return false;
        }
        let rtt_us = rtt_us.clamp(1, RTT_MAX_US);
        self.rtts.record(rtt_us, now_us);
        self.smoothed = Some(Smoothed::after(self.smoothed, rtt_us));
        if let Some(previous) = self.previous_rtt_us.replace(rtt_us) {
            let difference = rtt_us.abs_diff(previous);
            let jitter = self.jitter_x16.unwrap_or(0);
            self.jitter_x16 = Some(jitter + difference - ((jitter + 8) >> 4));
        }
        true
    }

    /// A probe was answered in time.
    pub fn record_answered(&mut self, now_us: u64) {
        self.losses.record(false);
        self.gilbert.answered(now_us);
    }

    /// A probe was not answered in time.
    pub fn record_lost(&mut self, now_us: u64) {
        self.losses.record(true);
        self.gilbert.missed(now_us);
    }

    /// Expected probability, in permille, that a probe is lost after one that was answered.
    ///
    /// Never 0 and never 1000, thanks to the prior. A run of misses is learnt when an answer ends
    /// it: if a silence counted while it lasts, a dead peer would teach its observer that long
    /// silence is normal here.
    #[must_use]
    pub fn miss_after_ok_permille(&self) -> u16 {
        self.gilbert.after_ok.permille(PRIOR_MISS_AFTER_OK_MISSES, PRIOR_MISS_AFTER_OK_TOTAL)
    }

    /// Expected probability, in permille, that a probe is lost after one that was lost; see
    /// [`Self::miss_after_ok_permille`].
    #[must_use]
    pub fn miss_after_miss_permille(&self) -> u16 {
        self.gilbert.after_miss.permille(PRIOR_MISS_AFTER_MISS_MISSES, PRIOR_MISS_AFTER_MISS_TOTAL)
    }

    /// Whether the edge loses packets all the time, as far as single misses tell: an outage is none. `None` while too few probes were sent.
    #[must_use]
    pub fn is_lossy(&self) -> Option<bool> {
        let Transition { misses, total } = self.gilbert.after_ok;
        let (from_total, from_misses) = LOSSY_FROM;
        let enough = total >= from_total * OBSERVATION;
        let share = u64::from(misses) * 1_000 > u64::from(total) * u64::from(LOSSY_PERMILLE);
        // What fades leaves a little less than whole observations.
        enough.then_some(share && misses > (from_misses - 1) * OBSERVATION)
    }

    /// How long an answer may take before it counts as late: smoothed round trip and four mean
    /// deviations (RFC 6298, section 2); `None` without samples.
    #[must_use]
    pub fn timeout_us(&self) -> Option<u32> {
        let Smoothed { rtt_x8, deviation_x4 } = self.smoothed?;
        Some((rtt_x8 >> 3).saturating_add(deviation_x4))
    }

    /// The round trip below which `percent` of the recent samples lie (0 gives the minimum, 100
    /// the maximum, more counts as 100), within 3.2 %; `None` without samples.
    #[must_use]
    pub fn rtt_percentile_us(&self, percent: u8) -> Option<u32> {
        self.rtts.percentile(percent)
    }

    /// Everything at once.
    #[must_use]
    pub fn summary(&self) -> EdgeSummary {
        EdgeSummary {
            samples: self.rtts.samples(),
            rtt_p50_us: self.rtts.percentile(50),
            rtt_p90_us: self.rtts.percentile(90),
            rtt_p99_us: self.rtts.percentile(99),
            rtt_min_us: self.rtts.percentile(0),
            srtt_us: self.smoothed.map(|smoothed| smoothed.rtt_x8 >> 3),
            deviation_us: self.smoothed.map(|smoothed| smoothed.deviation_x4 >> 2),
            jitter_us: self.jitter_x16.map(|jitter| jitter >> 4),
            outcomes: self.losses.filled,
            loss_permille: self.losses.permille(),
        }
    }
}

impl Default for EdgeStats {
    fn default() -> Self {
        Self::new()
    }
}

/// Mantissa bits of a duration in heartbeats: 0.025 % of error, far below what is measured.
const DURATION_MANTISSA_BITS: u32 = 11;

/// Mantissa bits of a loss share in heartbeats: exact up to 31 permille, 1.6 % of error above.
const LOSS_MANTISSA_BITS: u32 = 5;

/// Packs microseconds into 5 bits of exponent and 11 of mantissa: exact below 4096, else within
/// 0.025 %.
#[must_use]
pub fn quantise_us(duration_us: u32) -> u16 {
    // Exponents up to 22 cover 32 bits, so the code fits.
    quantise(duration_us, DURATION_MANTISSA_BITS) as u16
}

/// Unpacks [`quantise_us`]. Codes that it never gives are cut to `u32::MAX`.
#[must_use]
pub fn expand_us(code: u16) -> u32 {
    u32::try_from(expand(u32::from(code), DURATION_MANTISSA_BITS)).unwrap_or(u32::MAX)
}

/// Packs a share of lost probes; more than 1000 permille counts as 1000.
#[must_use]
pub fn quantise_loss(permille: u16) -> u8 {
    // 1000 has code 191.
    quantise(u32::from(permille.min(1000)), LOSS_MANTISSA_BITS) as u8
}

/// Unpacks [`quantise_loss`]. Codes that it never gives are cut to 1000.
#[must_use]
pub fn expand_loss(code: u8) -> u16 {
    // Cut to 1000, so it fits.
    expand(u32::from(code), LOSS_MANTISSA_BITS).min(1000) as u16
}

/// Rounds to the next code of a small float without sign: exponent 0 is the value itself, exponent
/// `e` is `(2^bits + mantissa) << (e - 1)`. A carry of the mantissa raises the exponent by itself.
fn quantise(value: u32, bits: u32) -> u32 {
    let shift = (u32::BITS - value.leading_zeros()).saturating_sub(bits + 1);
    let half = (1_u64 << shift) >> 1;
    // At most bits + 2 bits are left.
    let rounded = ((u64::from(value) + half) >> shift) as u32;
    (shift << bits) + rounded
}

fn expand(code: u32, bits: u32) -> u64 {
    let mantissa = u64::from(code & ((1 << bits) - 1));
    match code >> bits {
        0 => mantissa,
        exponent => ((1 << bits) + mantissa) << (exponent - 1),
    }
}

/// Linear steps a power of two, as a power of two: 16, which is half a step or 3.2 % of error.
const STEP_BITS: u32 = 4;

/// Buckets up to [`RTT_MAX_US`], which is below 2^26: 16 exact ones and 16 for each of 22 octaves.
const BUCKETS: usize = 16 + 22 * 16;

/// Samples of a generation: what a counter of 8 bits holds in the worst case.
const GENERATION_SAMPLES: u8 = u8::MAX;

/// Longest age of a generation, for edges that are seldom probed.
const GENERATION_MAX_US: u64 = 600_000_000;

/// Histogram of recent round trips in two generations. When the current one is full or old it
/// becomes the previous one and that is dropped, so figures rest on the last 255 to 510 samples,
/// and a sample counts in full until it is gone: no decay that would starve the tail first.
#[derive(Debug, Clone)]
struct RttWindow {
    current: [u8; BUCKETS],
    previous: [u8; BUCKETS],
    current_samples: u8,
    previous_samples: u8,
    since_us: u64,
}

impl RttWindow {
    const fn new() -> Self {
        Self {
            current: [0; BUCKETS],
            previous: [0; BUCKETS],
            current_samples: 0,
            previous_samples: 0,
            since_us: 0,
        }
    }

    fn record(&mut self, rtt_us: u32, now_us: u64) {
        let age_us = now_us.saturating_sub(self.since_us);
        if age_us >= GENERATION_MAX_US || self.current_samples == GENERATION_SAMPLES {
            self.since_us = now_us;
            self.previous = core::mem::replace(&mut self.current, [0; BUCKETS]);
            self.previous_samples = core::mem::take(&mut self.current_samples);
            if age_us >= 2 * GENERATION_MAX_US {
                self.previous = [0; BUCKETS];
                self.previous_samples = 0;
            }
        }
        if let Some(counter) = self.current.get_mut(bucket(rtt_us)) {
            *counter += 1;
            self.current_samples += 1;
        }
    }

    fn samples(&self) -> u32 {
        u32::from(self.current_samples) + u32::from(self.previous_samples)
    }

    fn percentile(&self, percent: u8) -> Option<u32> {
        let samples = self.samples();
        let rank = (samples * u32::from(percent.min(100))).div_ceil(100).max(1);
        let mut below = 0;
        let counts = self.current.iter().zip(&self.previous);
        let reached = counts.enumerate().find(|(_, (current, previous))| {
            below += u32::from(**current) + u32::from(**previous);
            below >= rank
        });
        reached.map(|(bucket, _)| representative(bucket))
    }
}

/// The bucket of a round trip: its code as a small float with [`STEP_BITS`] of mantissa, which
/// rounds down, unlike the codes of heartbeats.
fn bucket(rtt_us: u32) -> usize {
    let shift = (u32::BITS - rtt_us.leading_zeros()).saturating_sub(STEP_BITS + 1);
    ((shift << STEP_BITS) + (rtt_us >> shift)) as usize
}

/// The middle of a bucket.
fn representative(bucket: usize) -> u32 {
    // There are fewer than 2^9 buckets, and their bounds stay below 2^27.
    let bucket = bucket as u32;
    let (low, next) = (expand(bucket, STEP_BITS), expand(bucket + 1, STEP_BITS));
    ((low + next - 1) / 2).min(u64::from(RTT_MAX_US)) as u32
}

/// Smoothed round trip and its mean deviation by RFC 6298 (gains 1/8 and 1/4), scaled so that
/// integers lose nothing.
#[derive(Debug, Clone, Copy)]
struct Smoothed {
    rtt_x8: u32,
    deviation_x4: u32,
}

impl Smoothed {
    fn after(previous: Option<Self>, rtt_us: u32) -> Self {
        let Some(Self { rtt_x8, deviation_x4 }) = previous else {
            return Self { rtt_x8: rtt_us << 3, deviation_x4: rtt_us << 1 };
        };
        let error = rtt_us.abs_diff(rtt_x8 >> 3);
        Self {
            rtt_x8: rtt_x8 - (rtt_x8 >> 3) + rtt_us,
            deviation_x4: deviation_x4 - (deviation_x4 >> 2) + error,
        }
    }
}

/// The last [`LOSS_WINDOW`] outcomes, a bit each.
#[derive(Debug, Clone, Default)]
struct LossWindow {
    lost_bits: [u64; LOSS_WINDOW as usize / 64],
    next: u16,
    filled: u16,
}

impl LossWindow {
    fn record(&mut self, lost: bool) {
        if let Some(word) = self.lost_bits.get_mut(usize::from(self.next / 64)) {
            let bit = 1 << (self.next % 64);
            *word = if lost { *word | bit } else { *word & !bit };
        }
        self.next = (self.next + 1) % LOSS_WINDOW;
        self.filled = (self.filled + 1).min(LOSS_WINDOW);
    }

    fn permille(&self) -> Option<u16> {
        let lost: u32 = self.lost_bits.iter().map(|word| word.count_ones()).sum();
        let permille = (lost * 1000).checked_div(u32::from(self.filled))?;
        // Not more than were recorded are lost, so it is at most 1000.
        Some(permille as u16)
    }
}

/// Two-state loss model (Gilbert 1960): loss depends on the fate of the probe before.
#[derive(Debug, Clone, Default)]
struct Gilbert {
    after_ok: Transition<FADE_AFTER_OK_SHIFT>,
    after_miss: Transition<FADE_AFTER_MISS_SHIFT>,
    previous: Option<Outcome>,
}

#[derive(Debug, Clone, Copy)]
struct Outcome {
    at_us: u64,
    /// Misses since the last answer, which no answer has confirmed as loss yet.
    miss_run: u16,
    /// Whether an answer came right before the run.
    follows_ok: bool,
}

impl Gilbert {
    fn answered(&mut self, now_us: u64) {
        if let Some(before) = self.adjacent(now_us) {
            self.learn_run(before);
        }
        self.previous = Some(Outcome { at_us: now_us, miss_run: 0, follows_ok: true });
    }

    fn missed(&mut self, now_us: u64) {
        let (miss_run, follows_ok) = match self.adjacent(now_us) {
            Some(before) => (before.miss_run.saturating_add(1), before.follows_ok),
            None => (1, false),
        };
        self.previous = Some(Outcome { at_us: now_us, miss_run, follows_ok });
    }

    fn break_run(&mut self) {
        self.previous = None;
    }

    fn adjacent(&self, now_us: u64) -> Option<Outcome> {
        self.previous.filter(|before| now_us.saturating_sub(before.at_us) <= ADJACENT_MAX_US)
    }

    /// An answer ended a run of misses, maybe an empty one.
    fn learn_run(&mut self, Outcome { miss_run, follows_ok, .. }: Outcome) {
        if miss_run > MISS_RUN_MAX {
            return;
        }
        if follows_ok {
            self.after_ok.record(miss_run > 0);
        }
        for _ in 1..miss_run {
            self.after_miss.record(true);
        }
        if miss_run > 0 {
            self.after_miss.record(false);
        }
    }
}

/// One observation before fading; 16 bits below the point lose nothing that matters.
const OBSERVATION: u32 = 1 << 16;

/// Faded counts of what followed one kind of outcome. Each observation takes `2^-FADE` off all
/// before it, so the total never exceeds `2^FADE` observations.
#[derive(Debug, Clone, Default)]
struct Transition<const FADE: u32> {
    misses: u32,
    total: u32,
}

impl<const FADE: u32> Transition<FADE> {
    fn record(&mut self, missed: bool) {
        self.misses -= self.misses >> FADE;
        self.total -= self.total >> FADE;
        self.misses += if missed { OBSERVATION } else { 0 };
        self.total += OBSERVATION;
    }

    /// Mean of the Beta distribution that the prior and the observations give.
    fn permille(&self, prior_misses: u32, prior_total: u32) -> u16 {
        let scale = u64::from(OBSERVATION);
        let misses = u64::from(self.misses) + u64::from(prior_misses) * scale;
        let total = u64::from(self.total) + u64::from(prior_total) * scale;
        // A share of at most 1000 permille; the clamp keeps certainty out whatever the prior is.
        (misses * 1000 / total).clamp(1, 999) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const SECOND_US: u64 = 1_000_000;

    #[test]
    fn an_edge_that_misses_now_and_then_is_lossy_and_one_with_an_outage_is_not() {
        let mut edge = EdgeStats::new();
        let mut now = 0;
        let mut probe = |edge: &mut EdgeStats, answered: bool| {
            now += SECOND_US;
            if answered { edge.record_answered(now) } else { edge.record_lost(now) }
        };
        assert_eq!(edge.is_lossy(), None);
        (0..40).for_each(|_| probe(&mut edge, true));
        (0..20).for_each(|_| probe(&mut edge, false));
        (0..40).for_each(|_| probe(&mut edge, true));
        assert_eq!(edge.is_lossy(), Some(false));
        (0..100).for_each(|number| probe(&mut edge, number % 20 != 0));
        assert_eq!(edge.is_lossy(), Some(true));
    }

    /// An edge that has its discarded first sample behind it.
    fn warm() -> EdgeStats {
        let mut edge = EdgeStats::new();
        assert!(!edge.record_rtt(999_999, 0));
        edge
    }

    fn assert_near(seen: Option<u32>, expected: u32) {
        let seen = seen.unwrap();
        assert!(seen.abs_diff(expected) * 1000 <= expected * 32, "{seen} instead of {expected}");
    }

    #[test]
    fn an_unknown_edge_claims_nothing() {
        let expected = EdgeSummary::default();
        assert_eq!(EdgeStats::new().summary(), expected);
        assert_eq!(warm().summary(), expected);
        assert_eq!(EdgeStats::new().miss_after_ok_permille(), 20);
        assert_eq!(EdgeStats::new().miss_after_miss_permille(), 250);
    }

    #[test]
    fn the_first_sample_of_every_connection_is_discarded() {
        let mut edge = warm();
        assert!(edge.record_rtt(20_000, 1));
        edge.connection_opened();
        assert!(!edge.record_rtt(900_000, 2));
        assert!(edge.record_rtt(20_000, 3));
        assert_eq!(edge.summary().samples, 2);
        assert_near(edge.rtt_percentile_us(100), 20_000);
    }

    #[test]
    fn percentiles_follow_the_distribution() {
        let mut edge = warm();
        for step in 1..=200 {
            edge.record_rtt(step * 1000, u64::from(step));
        }
        let summary = edge.summary();
        assert_near(summary.rtt_min_us, 1000);
        assert_near(summary.rtt_p50_us, 100_000);
        assert_near(summary.rtt_p90_us, 180_000);
        assert_near(summary.rtt_p99_us, 198_000);
        assert_near(edge.rtt_percentile_us(255), 200_000);
    }

    #[test]
    fn old_round_trips_fade_by_count_and_by_time() {
        let mut edge = warm();
        for _ in 0..300 {
            edge.record_rtt(500_000, 1);
        }
        for _ in 0..600 {
            edge.record_rtt(10_000, 2);
        }
        assert_near(edge.rtt_percentile_us(100), 10_000);
        edge.record_rtt(80_000, 2 + 2 * GENERATION_MAX_US);
        assert_eq!(edge.summary().samples, 1);
        assert_near(edge.rtt_percentile_us(0), 80_000);
    }

    #[test]
    fn smoothing_follows_rfc_6298() {
        let mut edge = warm();
        edge.record_rtt(100_000, 1);
        let first = edge.summary();
        assert_eq!((first.srtt_us, first.deviation_us), (Some(100_000), Some(50_000)));
        assert_eq!(first.jitter_us, None);
        edge.record_rtt(180_000, 2);
        let second = edge.summary();
        assert_eq!((second.srtt_us, second.deviation_us), (Some(110_000), Some(57_500)));
        assert_eq!(second.jitter_us, Some(80_000 / 16));
    }

    #[test]
    fn jitter_settles_at_the_mean_difference() {
        let mut edge = warm();
        for step in 0..400 {
            edge.record_rtt(if step % 2 == 0 { 20_000 } else { 24_000 }, step);
        }
        assert!(edge.summary().jitter_us.unwrap().abs_diff(4000) < 40);
    }

    #[test]
    fn loss_is_the_share_of_the_recent_outcomes() {
        let mut edge = EdgeStats::new();
        edge.record_lost(0);
        assert_eq!(edge.summary().loss_permille, Some(1000));
        for second in 1..1000 {
            match second % 4 {
                0 => edge.record_lost(second * SECOND_US),
                _ => edge.record_answered(second * SECOND_US),
            }
        }
        assert_eq!(edge.summary().outcomes, LOSS_WINDOW);
        assert_eq!(edge.summary().loss_permille, Some(250));
        for second in 1000..1256 {
            edge.record_answered(second * SECOND_US);
        }
        assert_eq!(edge.summary().loss_permille, Some(0));
    }

    /// Records one outcome a second, a miss for every `x`.
    fn play(edge: &mut EdgeStats, pattern: &str, repeats: usize) {
        for (second, outcome) in (1..).zip(pattern.repeat(repeats).bytes()) {
            match outcome {
                b'x' => edge.record_lost(second * SECOND_US),
                _ => edge.record_answered(second * SECOND_US),
            }
        }
    }

    #[test]
    fn single_losses_and_bursts_are_told_apart() {
        let mut single = EdgeStats::new();
        play(&mut single, ".........x", 200);
        assert!((95..=120).contains(&single.miss_after_ok_permille()));
        assert!(single.miss_after_miss_permille() < 50);
        let mut bursts = EdgeStats::new();
        play(&mut bursts, "................xxxx", 200);
        assert!((50..=70).contains(&bursts.miss_after_ok_permille()));
        assert!((650..=750).contains(&bursts.miss_after_miss_permille()));
    }

    #[test]
    fn a_silence_teaches_nothing_before_an_answer_ends_it() {
        let mut edge = EdgeStats::new();
        play(&mut edge, ".", 100);
        let before = (edge.miss_after_ok_permille(), edge.miss_after_miss_permille());
        let after =
            |edge: &EdgeStats| (edge.miss_after_ok_permille(), edge.miss_after_miss_permille());
        for second in 101..131 {
            edge.record_lost(second * SECOND_US);
        }
        assert_eq!(after(&edge), before);
        let mut returned = edge.clone();
        returned.record_answered(131 * SECOND_US);
        assert!(after(&returned).0 > before.0 && after(&returned).1 > before.1);
        edge.connection_opened();
        edge.record_answered(131 * SECOND_US);
        assert_eq!(after(&edge), before);
    }

    #[test]
    fn outcomes_far_apart_or_outages_are_not_chained() {
        let mut edge = EdgeStats::new();
        for minute in 0..50 {
            match minute % 2 {
                0 => edge.record_answered(minute * 60 * SECOND_US),
                _ => edge.record_lost(minute * 60 * SECOND_US),
            }
        }
        assert_eq!((edge.miss_after_ok_permille(), edge.miss_after_miss_permille()), (20, 250));
        let mut outage = EdgeStats::new();
        play(&mut outage, ".", 1);
        play(&mut outage, "x", 65);
        outage.record_answered(66 * SECOND_US);
        assert_eq!((outage.miss_after_ok_permille(), outage.miss_after_miss_permille()), (20, 250));
    }

    #[test]
    fn even_a_terrible_link_leaves_doubt() {
        let mut edge = EdgeStats::new();
        play(&mut edge, ".xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 500);
        assert!((800..=999).contains(&edge.miss_after_miss_permille()));
        assert!((800..=999).contains(&edge.miss_after_ok_permille()));
    }

    #[test]
    fn an_edge_fits_into_a_kilobyte() {
        assert!(size_of::<EdgeStats>() <= 1024, "{}", size_of::<EdgeStats>());
    }

    #[test]
    fn known_values_have_known_codes() {
        assert_eq!([0, 4095, 4096, 1_000_000].map(quantise_us), [0, 4095, 4096, 20_290]);
        assert_eq!(expand_us(quantise_us(u32::MAX)), u32::MAX);
        assert_eq!(expand_us(u16::MAX), u32::MAX);
        assert_eq!([0, 1, 31, 1000, u16::MAX].map(quantise_loss), [0, 1, 31, 191, 191]);
        assert_eq!((expand_loss(191), expand_loss(u8::MAX)), (1000, 1000));
    }

    proptest! {
        #[test]
        fn durations_survive_within_the_promised_error(exponent in 0_u32..32, bits: u32) {
            let duration = bits >> exponent;
            let back = expand_us(quantise_us(duration));
            prop_assert!(u64::from(back.abs_diff(duration)) * 4000 <= u64::from(duration));
            prop_assert_eq!(expand_us(quantise_us(back)), back);
        }

        #[test]
        fn codes_keep_the_order(one: u32, other: u32) {
            prop_assert_eq!(quantise_us(one.min(other)), quantise_us(one).min(quantise_us(other)));
        }

        #[test]
        fn loss_shares_survive_within_two_percent(permille in 0_u16..=1000) {
            let back = expand_loss(quantise_loss(permille));
            prop_assert!(u32::from(back.abs_diff(permille)) * 62 <= u32::from(permille));
        }

        #[test]
        fn a_single_round_trip_is_known_within_the_bucket_error(rtt in 1_u32..=RTT_MAX_US) {
            let mut edge = warm();
            edge.record_rtt(rtt, 1);
            let seen = edge.rtt_percentile_us(50).unwrap();
            prop_assert!(u64::from(seen.abs_diff(rtt)) * 1000 <= u64::from(rtt) * 32);
        }

        #[test]
        fn any_history_keeps_the_summary_in_order(
            history in proptest::collection::vec((0_u8..4, any::<u32>(), any::<u64>()), 0..600),
        ) {
            let mut edge = EdgeStats::new();
            for (kind, rtt_us, now_us) in history {
                match kind {
                    0 => drop(edge.record_rtt(rtt_us, now_us)),
                    1 => edge.record_answered(now_us),
                    2 => edge.record_lost(now_us),
                    _ => edge.connection_opened(),
                }
            }
            let summary = edge.summary();
            let order: Vec<_> = [0, 50, 90, 99, 100].map(|p| edge.rtt_percentile_us(p)).into();
            prop_assert!(order.is_sorted());
            prop_assert!(summary.loss_permille.unwrap_or(0) <= 1000);
            prop_assert!((1..=999).contains(&edge.miss_after_ok_permille()));
            prop_assert!((1..=999).contains(&edge.miss_after_miss_permille()));
        }
    }
}
