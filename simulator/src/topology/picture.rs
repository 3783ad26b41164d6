//! Places on a plane, from 0 to 1, y downwards. All arithmetic is the same on every machine.

use super::geo::Coordinates;

/// Room at the border, so that marks and names are not cut off.
const MARGIN: f64 = 0.06;

/// The golden angle in radians: points that turn by it fill a disc evenly.
const GOLDEN_ANGLE: f64 = 2.399_963_229_728_653;

/// Most points that are placed by their distances, which takes time with the square.
const MAX_SCALED: usize = 1_024;

/// Rounds of power iteration: enough for a picture, in which nobody sees the third digit.
const ROUNDS: usize = 60;

/// Points on a circle, the first at the top.
pub(super) fn circle(count: usize) -> Vec<(f64, f64)> {
    if count == 1 {
        return vec![(0.5, 0.5)];
    }
    let angle = |point: usize| point as f64 / count.max(1) as f64 * std::f64::consts::TAU;
    (0..count).map(|point| polar(angle(point), 0.5 - MARGIN)).collect()
}

/// Points that fill a disc, the first in the middle.
pub(super) fn disc(count: usize) -> Vec<(f64, f64)> {
    let radius = |point: usize| libm::sqrt(point as f64 / count.max(1) as f64) * (0.5 - MARGIN);
    (0..count).map(|point| polar(point as f64 * GOLDEN_ANGLE, radius(point))).collect()
}

/// Peers around the places where they are, so that none hides another.
pub(super) fn around(
    peers: usize,
    plane: &[(f64, f64)],
    place_of: impl Fn(usize) -> usize,
) -> Vec<(f64, f64)> {
    let mut there = vec![0_u32; plane.len()];
    let mut orders = Vec::with_capacity(peers);
    for peer in 0..peers {
        let place = place_of(peer);
        let order = there.get_mut(place).map_or(0, |count| {
            *count += 1;
            *count - 1
        });
        orders.push((place, order));
    }
    let most = there.iter().copied().max().unwrap_or(1).max(1);
    // Near each other, and never further than a tenth of the picture from where they belong.
    let step = (0.1 / libm::sqrt(f64::from(most))).min(0.012);
    let put = |(place, order): (usize, u32)| {
        let (x, y) = plane.get(place).copied().unwrap_or((0.5, 0.5));
        let (away, turn) = (step * libm::sqrt(f64::from(order)), f64::from(order) * GOLDEN_ANGLE);
        let put = |middle: f64, by: f64| (middle + away * by).clamp(0.0, 1.0);
        (put(x, libm::sin(turn)), put(y, -libm::cos(turn)))
    };
    orders.into_iter().map(put).collect()
}

/// A map: plate carree, true to scale in the middle, cut where there is most empty sea.
pub(super) fn projected(globe: &[Coordinates]) -> Vec<(f64, f64)> {
    let mut longitudes: Vec<f64> = globe.iter().map(|place| place.longitude).collect();
    longitudes.sort_by(f64::total_cmp);
    let nexts = longitudes.iter().skip(1).copied().chain(longitudes.first().map(|w| w + 360.0));
    let gaps = longitudes.iter().zip(nexts).map(|(west, east)| (east - west, east));
    let cut = gaps.max_by(|a, b| a.0.total_cmp(&b.0)).map_or(-180.0, |(_, east)| east);
    let east_of_cut = |longitude: f64| {
        let east = longitude - cut;
        if east < 0.0 {
            east + 360.0
        } else if east >= 360.0 {
            east - 360.0
        } else {
            east
        }
    };
    let (south, north) = range(globe.iter().map(|place| place.latitude));
    let narrower = libm::cos(((south + north) / 2.0).to_radians());
    let flat = globe.iter().map(|at| (east_of_cut(at.longitude) * narrower, -at.latitude));
    fit(flat.collect())
}

/// Points that are about as far apart as `distance` says (classical multidimensional scaling).
pub(super) fn scaled(count: usize, distance: impl Fn(usize, usize) -> u64) -> Vec<(f64, f64)> {
    if !(2..=MAX_SCALED).contains(&count) {
        return circle(count);
    }
    let squares = squares(count, distance);
    let (east, stretch) = longest_axis(&squares, count, None);
    let (south, squeeze) = longest_axis(&squares, count, Some(&east));
    let point = |(x, y): (&f64, &f64)| (x * stretch, y * squeeze);
    fit(east.iter().zip(&south).map(point).collect())
}

/// Moves and scales points into the picture, with the same scale both ways.
pub(super) fn fit(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let (left, right) = range(points.iter().map(|point| point.0));
    let (top, bottom) = range(points.iter().map(|point| point.1));
    let size = (right - left).max(bottom - top);
    let scale = if size > 0.0 { (1.0 - 2.0 * MARGIN) / size } else { 0.0 };
    let put = |at: f64, low: f64, high: f64| 0.5 + (at - (low + high) / 2.0) * scale;
    points.into_iter().map(|(x, y)| (put(x, left, right), put(y, top, bottom))).collect()
}

fn polar(angle: f64, radius: f64) -> (f64, f64) {
    (0.5 + radius * libm::sin(angle), 0.5 - radius * libm::cos(angle))
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let wider = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
    values
        .map(|value| (value, value))
        .reduce(|range, (value, _)| wider(range, value))
        .unwrap_or_default()
}

/// Squared distances, row by row. The longest fiftieth is cut down: one host behind a dead slow
/// link would otherwise push all others together.
fn squares(count: usize, distance: impl Fn(usize, usize) -> u64) -> Vec<f64> {
    let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    let all: Vec<u64> =
        pairs.map(|(from, to)| if from == to { 0 } else { distance(from, to) }).collect();
    let mut sorted = all.clone();
    sorted.sort_unstable();
    let longest = sorted.get(sorted.len() * 49 / 50).copied().unwrap_or(u64::MAX).max(1);
    let square = |far: u64| (far.min(longest) as f64) * (far.min(longest) as f64);
    all.into_iter().map(square).collect()
}

/// The main axis of the doubly centred matrix of squared distances, by power iteration, and the
/// square root of its eigenvalue. `other` is an axis that it must be square to.
fn longest_axis(squares: &[f64], count: usize, other: Option<&[f64]>) -> (Vec<f64>, f64) {
    // Any start will do that no symmetry of the input makes square to the answer.
    let mut axis: Vec<f64> = (0..count).map(|at| ((at * 7_919 + 13) % 101) as f64 - 50.0).collect();
    let mut length = 0.0;
    for _ in 0..ROUNDS {
        centre(&mut axis);
        if let Some(other) = other {
            let along = dot(&axis, other);
            axis.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
        }
        let norm = libm::sqrt(dot(&axis, &axis));
        if norm <= 0.0 {
            return (vec![0.0; count], 0.0);
        }
        axis.iter_mut().for_each(|value| *value /= norm);
        let mut next: Vec<f64> = squares.chunks(count).map(|row| -0.5 * dot(row, &axis)).collect();
        centre(&mut next);
        length = dot(&next, &axis);
        axis = next;
    }
    let norm = libm::sqrt(dot(&axis, &axis)).max(f64::MIN_POSITIVE);
    axis.iter_mut().for_each(|value| *value /= norm);
    (axis, libm::sqrt(length.abs()))
}

fn centre(values: &mut [f64]) {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    values.iter_mut().for_each(|value| *value -= mean);
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(a: (f64, f64), b: (f64, f64)) -> f64 {
        libm::hypot(a.0 - b.0, a.1 - b.1)
    }

    #[test]
    fn distances_on_the_plane_are_those_that_were_given() {
        // A rectangle of 3 by 4: its corners have distances 3, 4 and 5.
        let corners = [(0_u64, 0_u64), (3, 0), (3, 4), (0, 4)];
        let far = |a: usize, b: usize| {
            let (a, b) = (corners[a], corners[b]);
            let square = a.0.abs_diff(b.0).pow(2) + a.1.abs_diff(b.1).pow(2);
            (libm::sqrt(square as f64) * 1_000.0) as u64
        };
        let plane = scaled(4, far);
        let side = apart(plane[0], plane[1]);
        assert!((apart(plane[1], plane[2]) / side - 4.0 / 3.0).abs() < 0.02);
        assert!((apart(plane[0], plane[2]) / side - 5.0 / 3.0).abs() < 0.02);
    }

    #[test]
    fn a_map_has_north_above_and_is_not_torn_at_the_date_line() {
        let at = |latitude, longitude| Coordinates { latitude, longitude };
        let map = projected(&[at(-36.8, 174.8), at(21.3, -157.9), at(37.8, -122.4)]);
        let (auckland, honolulu, oakland) = (map[0], map[1], map[2]);
        assert!(auckland.0 < honolulu.0 && honolulu.0 < oakland.0, "{map:?}");
        assert!(oakland.1 < honolulu.1 && honolulu.1 < auckland.1, "{map:?}");
    }

    #[test]
    fn everything_lies_in_the_picture() {
        let at = |latitude, longitude| Coordinates { latitude, longitude };
        let plane = projected(&[at(1.0, 2.0)]);
        let all =
            [circle(7), circle(1), disc(90), around(5_000, &plane, |_| 0), scaled(1, |_, _| 9)];
        for (x, y) in all.into_iter().flatten() {
            assert!((0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y), "{x} {y}");
        }
        assert_eq!(scaled(3, |_, _| 0).len(), 3);
    }
}
