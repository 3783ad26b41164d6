//! How surprising a silence is on one edge, from that edge's own history.
//!
//! Probes on one ordered stream are not lost independently: a lost packet delays all that follow. So a run of misses is a two-state chain (Gilbert, "Capacity of a
//! burst-noise channel", 1960): one miss after an answer, then misses after misses, each with the edge's own measured chance. Integers only, in sixteenths of a bit.

/// Surprise at which an observer says that it is checking: likelihood 2^-20, about 1e-6, once a fortnight on an edge that loses nothing.
pub const CHECK_BITS_X16: u32 = 20 * 16;
/// Surprise at which an edge is lost: likelihood 2^-30, about 1e-9.
pub const LOST_BITS_X16: u32 = 30 * 16;

/// -log2 of the likelihood of `missed` probes in a row without an answer, times 16.
///
/// `first_permille` is the chance that a probe after an answered one is missed, `next_permille` that one after a miss is.
#[must_use]
pub fn surprise_x16(missed: u32, first_permille: u32, next_permille: u32) -> u32 {
    let Some(further) = missed.checked_sub(1) else { return 0 };
    let next = neg_log2_x16(next_permille);
    neg_log2_x16(first_permille).saturating_add(further.saturating_mul(next))
}

/// -log2(permille / 1000) in sixteenths, rounded down; at least one sixteenth, so that silence always counts for something.
fn neg_log2_x16(permille: u32) -> u32 {
    /// 16 * log2(1 + i/16), rounded: the mantissa's part of the logarithm.
    const FRACTION: [u32; 17] = [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15, 16];
    let permille = permille.clamp(1, 999);
    // log2(1000/p) from the ratio with 16 fractional bits.
    let ratio = (1000u32 << 16) / permille;
    let exponent = ratio.ilog2();
    let mantissa = (ratio >> (exponent - 4)) & 15;
    let fraction = FRACTION.get(mantissa as usize).copied().unwrap_or(0);
    ((exponent - 16) * 16 + fraction).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_right_to_an_eighth_of_a_bit() {
        for permille in 1..1000u32 {
            let exact = -libm::log2(f64::from(permille) / 1000.0) * 16.0;
            let got = f64::from(neg_log2_x16(permille));
            assert!((got - exact).abs() <= 2.0, "{permille}: {got} instead of {exact}");
        }
    }

    #[test]
    fn more_misses_are_more_surprising_and_loss_makes_them_less_so() {
        assert_eq!(surprise_x16(0, 20, 200), 0);
        assert!(surprise_x16(5, 20, 200) > surprise_x16(4, 20, 200));
        assert!(surprise_x16(5, 20, 500) < surprise_x16(5, 20, 200));
    }
}
