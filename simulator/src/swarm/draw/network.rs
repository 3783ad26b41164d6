//! Draws networks: from one office to the whole world.

use super::{between, share};
use crate::dice::Dice;
use crate::scenario::{
    Burst, Conditions, Latency, MatrixValues, Network, Region, Reorder, Shape, Span,
};

/// Longest way through a made topology: once around the world.
const LONGEST_WAY_MS: u64 = 150;
/// Neighbours of a made topology: an even number that the smallest mesh has room for.
const DEGREE: usize = 4;

/// Where people have computers: a name, degrees north and east.
const CITIES: [(&str, f64, f64); 8] = [
    ("frankfurt", 50.1, 8.7),
    ("virginia", 39.0, -77.5),
    ("oregon", 45.8, -119.7),
    ("singapore", 1.3, 103.8),
    ("tokyo", 35.7, 139.7),
    ("sydney", -33.9, 151.2),
    ("sao-paulo", -23.5, -46.6),
    ("johannesburg", -26.2, 28.0),
];

/// A network with what its paths do to packets.
pub(super) fn network(dice: &mut Dice, peers: usize) -> Network {
    Network { latency: latency(dice, peers), conditions: conditions(dice), links: Vec::new() }
}

/// What paths do to packets; in one of three, they lose none.
pub(super) fn conditions(dice: &mut Dice) -> Conditions {
    let one_of_five = |dice: &mut Dice| dice.below(5) == 0;
    Conditions {
        jitter: (dice.below(3) > 0).then(|| Span::millis(between(dice, 1, 21))),
        loss: (dice.below(3) > 0).then(|| share(dice, 1, 51)),
        burst: one_of_five(dice).then(|| Burst {
            every: Span::seconds(between(dice, 10, 61)),
            lasts: Span::millis(between(dice, 200, 2_000)),
            loss: share(dice, 300, 800),
        }),
        duplicate: one_of_five(dice).then(|| share(dice, 1, 21)),
        reorder: one_of_five(dice)
            .then(|| Reorder { share: share(dice, 1, 21), by: Span::millis(between(dice, 5, 51)) }),
        up_kbps: None,
        down_kbps: None,
    }
}

fn latency(dice: &mut Dice, peers: usize) -> Latency {
    match dice.below(8) {
        0..=2 => {
            let min = between(dice, 1, 41);
            Latency::Uniform {
                min: Span::millis(min),
                max: Span::millis(min + between(dice, 5, 121)),
            }
        }
        3 => matrix("planetlab"),
        4 => matrix("cloud"),
        5 => {
            let count = 2 + dice.below(3) as usize;
            let cities = dice.sample(count, CITIES.len());
            Latency::Regions {
                regions: cities.into_iter().filter_map(|city| region(dice, city)).collect(),
                detour: 1.5,
            }
        }
        _ => generated(dice, peers),
    }
}

fn matrix(name: &str) -> Latency {
    Latency::Matrix {
        source: name.to_owned(),
        unit: None,
        values: MatrixValues::RoundTrip,
        symmetric: false,
    }
}

fn region(dice: &mut Dice, city: usize) -> Option<Region> {
    let (name, latitude, longitude) = *CITIES.get(city)?;
    Some(Region {
        name: name.to_owned(),
        latitude,
        longitude,
        weight: between(dice, 1, 5),
        access: Span::millis(between(dice, 0, 6)),
    })
}

fn generated(dice: &mut Dice, peers: usize) -> Latency {
    // In a chain or circle a packet may pass everybody.
    let long = (LONGEST_WAY_MS / peers as u64).clamp(1, 20);
    let (shape, most_hop) = match dice.below(10) {
        0 => (Shape::Full, 80),
        1 => (Shape::Ring, long),
        2 => (Shape::Line, long),
        3 => (Shape::Star, 60),
        4 => (Shape::Tree { branching: 2 + dice.below(3) as usize }, 15),
        5 => (Shape::Grid, 10),
        6 => (Shape::SmallWorld { degree: DEGREE, rewire: share(dice, 50, 300) }, 15),
        7 => (Shape::ScaleFree { links: 2 }, 20),
        8 => (Shape::RandomRegular { degree: DEGREE }, 20),
        _ => {
            let bridge = Span::millis(between(dice, 10, 81));
            (Shape::Clusters { clusters: 2 + dice.below(2) as usize, bridge }, 5)
        }
    };
    Latency::Generated { shape, hop: Span::millis(between(dice, 1, most_hop + 1)) }
}
