//! Quantiles.

use crate::report::Spread;

/// The values in rising order.
#[must_use]
pub fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The quantile `q`, from 0 to 1, of values in rising order, between two of them in proportion; 0
/// if there are none.
#[must_use]
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = place as usize;
    let at = |index: usize| sorted.get(index.min(last)).copied().unwrap_or_default();
    let share = place - below as f64;
    at(below) + (at(below + 1) - at(below)) * share
}

/// The quantiles 0, 1, ... 100 per cent; empty if there are no values.
#[must_use]
pub fn percentiles(values: Vec<f64>) -> Vec<f64> {
    if values.is_empty() {
        return Vec::new();
    }
    let values = sorted(values);
    (0..=100).map(|percent| quantile(&values, f64::from(percent) / 100.0)).collect()
}

/// Mean and quantiles; all 0 if there are no values.
#[must_use]
pub fn spread(values: Vec<f64>) -> Spread {
    let values = sorted(values);
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|q| quantile(&values, q));
    Spread { mean, p50, p99, max }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_between_its_neighbours_in_proportion() {
        let values = [1.0, 2.0, 4.0];
        let found = [0.0, 0.25, 0.5, 0.75, 1.0].map(|q| quantile(&values, q));
        assert_eq!(found, [1.0, 1.5, 2.0, 3.0, 4.0]);
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn percentiles_are_a_hundred_and_one() {
        let values = (0..=200).rev().map(f64::from).collect();
        let found = percentiles(values);
        assert_eq!(found.len(), 101);
        assert_eq!((found[0], found[50], found[100]), (0.0, 100.0, 200.0));
        assert!(percentiles(Vec::new()).is_empty());
    }

    #[test]
    fn a_spread_has_mean_and_highest() {
        let found = spread(vec![3.0, 1.0, 2.0, 6.0]);
        assert_eq!((found.mean, found.p50, found.max), (3.0, 2.5, 6.0));
        assert_eq!(spread(Vec::new()), Spread::default());
    }
}
