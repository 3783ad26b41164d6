//! Regions on the globe.

use std::collections::BTreeSet;

use super::places::{NEAR_US, Places};
use super::{Topology, TopologyError, bounded, picture};
use crate::report::Picture;
use crate::scenario::Region;

/// Mean radius of the Earth in kilometres (IUGG).
const EARTH_KM: f64 = 6_371.009;

/// What light takes for a kilometre of fibre, in microseconds: 200 km in a millisecond, its speed
/// in vacuum over the refractive index of glass, 1.47.
const FIBRE_US_PER_KM: f64 = 5.0;

/// Most regions: a table of all pairs is kept, and nobody writes a thousand by hand.
const MAX_REGIONS: usize = 1_000;

/// Longest name, in bytes: what a peer may say its region is.
pub(super) const MAX_NAME_BYTES: usize = 64;

/// Longest detour: more than ten times the great circle is a mistake, not a cable.
const MAX_DETOUR: f64 = 10.0;

/// A place on the globe, in degrees north and east.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Coordinates {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
}

impl Coordinates {
    /// What is wrong with them.
    pub(super) fn wrong(self) -> Option<String> {
        let Self { latitude, longitude } = self;
        // NaN lies in no range.
        if !(-90.0..=90.0).contains(&latitude) {
            return Some(format!("latitude {latitude}; it is -90 to 90 degrees north"));
        }
        let far = !(-180.0..=180.0).contains(&longitude);
        far.then(|| format!("longitude {longitude}; it is -180 to 180 degrees east"))
    }
}

/// Peers in regions, in proportion to the weights.
pub(super) fn build(
    regions: &[Region],
    detour: f64,
    peers: usize,
) -> Result<Topology, TopologyError> {
    check(regions, detour)?;
    let mut table = Vec::with_capacity(regions.len() * regions.len());
    for from in regions {
        for to in regions {
            let way = cable_us(coordinates(from), coordinates(to), detour).max(NEAR_US);
            let access = from.access.micros() + to.access.micros();
            table.push(u32::try_from(access).unwrap_or(u32::MAX).saturating_add(way));
        }
    }
    let dealt = deal(regions, peers);
    let places = Places::dealt(regions.len(), table.into(), dealt);
    let plane = picture::projected(&regions.iter().map(coordinates).collect::<Vec<_>>());
    let names: Vec<String> = regions.iter().map(|region| region.name.clone()).collect();
    let picture = Picture {
        places: picture::around(peers, &plane, |peer| places.of(peer)),
        names: places.names(peers, &names),
        edges: Vec::new(),
    };
    let regions = (0..peers).map_while(|peer| names.get(places.of(peer)).cloned()).collect();
    Ok(Topology { model: Box::new(places), picture, regions, cables: Vec::new() })
}

/// How long light takes through a cable between two places, in microseconds.
pub(super) fn cable_us(from: Coordinates, to: Coordinates, detour: f64) -> u32 {
    // Rounded; the cast saturates.
    (great_circle_km(from, to) * detour * FIBRE_US_PER_KM + 0.5) as u32
}

/// The way over the globe in kilometres, by the haversine formula.
pub(super) fn great_circle_km(from: Coordinates, to: Coordinates) -> f64 {
    let (a, b) = (from.latitude.to_radians(), to.latitude.to_radians());
    let half_north = libm::sin((b - a) / 2.0);
    let half_east = libm::sin((to.longitude - from.longitude).to_radians() / 2.0);
    let haversine = half_north * half_north + libm::cos(a) * libm::cos(b) * half_east * half_east;
    2.0 * EARTH_KM * libm::asin(libm::sqrt(haversine.clamp(0.0, 1.0)))
}

const fn coordinates(region: &Region) -> Coordinates {
    Coordinates { latitude: region.latitude, longitude: region.longitude }
}

/// The region of each peer. Whoever has waited longest in proportion to its weight is next (smooth
/// weighted round robin), so that any first few peers are already a fair sample.
fn deal(regions: &[Region], peers: usize) -> Vec<u32> {
    let total: i128 = regions.iter().map(|region| i128::from(region.weight)).sum();
    let mut credit = vec![0_i128; regions.len()];
    let mut next = || {
        for (credit, region) in credit.iter_mut().zip(regions) {
            *credit += i128::from(region.weight);
        }
        let best = (0..credit.len()).rev().max_by_key(|region| credit.get(*region).copied());
        let best = best.unwrap_or(0);
        if let Some(credit) = credit.get_mut(best) {
            *credit -= total;
        }
        best as u32
    };
    (0..peers).map(|_| next()).collect()
}

fn check(regions: &[Region], detour: f64) -> Result<(), TopologyError> {
    let fail = |key: &str, message: String| Err(TopologyError::value(key, message));
    if !(1..=MAX_REGIONS).contains(&regions.len()) {
        let message = format!("{} regions; 1 to {MAX_REGIONS} are possible", regions.len());
        return fail("latency.regions", message);
    }
    if !(1.0..=MAX_DETOUR).contains(&detour) {
        let message =
            format!("{detour}; cables are 1 to {MAX_DETOUR} times as long as the great circle");
        return fail("latency.detour", message);
    }
    if regions.iter().all(|region| region.weight == 0) {
        let message = "every weight is 0; at least one region must have peers";
        return fail("latency.regions", message.into());
    }
    let mut names = BTreeSet::new();
    for (place, region) in regions.iter().enumerate() {
        let key = format!("latency.regions[{place}]");
        let name = region.name.as_str();
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            let message = format!("`{name}`; a name has 1 to {MAX_NAME_BYTES} bytes");
            return fail(&format!("{key}.name"), message);
        }
        if !names.insert(name) {
            return fail(&format!("{key}.name"), format!("there is another region `{name}`"));
        }
        if let Some(message) = coordinates(region).wrong() {
            return fail(&key, format!("{name}: {message}"));
        }
        bounded(region.access, &format!("{key}.access"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Span;

    fn region(name: &str, latitude: f64, longitude: f64, weight: u64) -> Region {
        Region { name: name.into(), latitude, longitude, weight, access: Span::millis(2) }
    }

    fn three() -> Vec<Region> {
        vec![
            region("berlin", 52.52, 13.405, 3),
            region("virginia", 38.9, -77.45, 2),
            region("tokyo", 35.68, 139.69, 1),
        ]
    }

    #[test]
    fn great_circles_are_as_long_as_an_atlas_says() {
        let at = |latitude, longitude| Coordinates { latitude, longitude };
        let km = great_circle_km(at(52.52, 13.405), at(40.7128, -74.006));
        assert!((6_380.0..6_392.0).contains(&km), "Berlin to New York: {km} km");
        let half = great_circle_km(at(0.0, 0.0), at(0.0, 180.0));
        assert!((20_014.0..20_016.0).contains(&half), "half round: {half} km");
        let date_line = great_circle_km(at(0.0, 179.5), at(0.0, -179.5));
        assert!((111.0..111.4).contains(&date_line), "over the date line: {date_line} km");
        let poles = great_circle_km(at(90.0, 17.0), at(90.0, -120.0));
        assert!(poles < 1e-6, "the pole is one point: {poles} km");
    }

    #[test]
    fn a_path_is_the_cable_and_the_access_of_both_ends() {
        let topology = build(&three(), 1.5, 6).unwrap();
        let berlin_virginia = topology.model.one_way_us(0, 1);
        // 6,700 km and a half more at 5 us a km, and 2 ms at each end.
        assert!((53_500..55_500).contains(&berlin_virginia), "{berlin_virginia}");
        assert_eq!(berlin_virginia, topology.model.one_way_us(1, 0));
    }

    #[test]
    fn peers_of_one_region_are_near_but_not_at_one_spot() {
        let topology = build(&three(), 1.5, 12).unwrap();
        let same: Vec<usize> =
            (0..12).filter(|peer| topology.regions[*peer] == "berlin").take(2).collect();
        assert_eq!(topology.model.one_way_us(same[0], same[1]), 4_000 + u64::from(NEAR_US));
    }

    #[test]
    fn peers_are_dealt_by_weight_and_the_first_ones_too() {
        let topology = build(&three(), 1.5, 600).unwrap();
        let count = |name: &str, among: usize| {
            topology.regions.iter().take(among).filter(|region| *region == name).count()
        };
        assert_eq!(
            [count("berlin", 600), count("virginia", 600), count("tokyo", 600)],
            [300, 200, 100]
        );
        assert_eq!([count("berlin", 6), count("virginia", 6), count("tokyo", 6)], [3, 2, 1]);
    }

    #[test]
    fn a_region_of_weight_zero_has_no_peers() {
        let regions = [region("a", 0.0, 0.0, 1), region("b", 1.0, 1.0, 0)];
        let topology = build(&regions, 1.0, 5).unwrap();
        assert!(topology.regions.iter().all(|region| region == "a"));
    }

    #[test]
    fn impossible_regions_are_refused_with_what_is_possible() {
        let refused = |regions: &[Region], detour, what: &str| {
            let error = build(regions, detour, 3).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        };
        refused(&[], 1.5, "0 regions; 1 to");
        refused(&three(), 0.9, "network.latency.detour: 0.9");
        refused(&three(), f64::NAN, "detour");
        refused(&[region("a", 91.0, 0.0, 1)], 1.5, "regions[0]: a: latitude 91; it is -90 to 90");
        refused(&[region("a", 0.0, -181.0, 1)], 1.5, "longitude -181");
        refused(&[region("a", f64::NAN, 0.0, 1)], 1.5, "latitude NaN");
        refused(&[region("a", 0.0, 0.0, 0)], 1.5, "every weight is 0");
        refused(&[region("", 0.0, 0.0, 1)], 1.5, "regions[0].name");
        refused(&[three(), three()].concat(), 1.5, "another region `berlin`");
        let slow = Region { access: Span::seconds(61), ..region("a", 0.0, 0.0, 1) };
        refused(&[slow], 1.5, "at most 60s");
    }
}
