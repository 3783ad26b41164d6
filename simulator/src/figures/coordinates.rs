//! How well coordinates estimate round trips that nobody measured.
//!
//! Every host of a measured matrix runs the shipped [`Position`]. It measures its five subjects on
//! the rings once in [`SAMPLE_INTERVAL`], and visits one random other host in [`VISIT_INTERVAL`],
//! until it knows as many neighbours as it may. Where others are it knows from their heartbeats
//! alone, which come at the protocol's interval, in the form that travels, and late. Samples have no
//! noise, as those of the literature on these matrices have none; the error is that of the space and
//! of what was not measured.

use std::collections::VecDeque;
use std::path::Path;

use plexmesh_proto::exchange::pacing::heartbeat_interval;
use plexmesh_proto::latency::coordinate::{Coordinate, estimate_us};
use plexmesh_proto::latency::position::Position;
use plexmesh_proto::latency::{SAMPLE_INTERVAL, VISIT_INTERVAL};
use plexmesh_proto::ring::{RINGS, Rings, Standing};
use plexmesh_proto::types::{PeerId, SECOND};

use super::bench::Bench;
use super::figure::{Bound, Figure, Measured, Unit};
use super::{Load, Row, RowError};
use crate::dice::Dice;
use crate::run::RunError;
use crate::scenario::{Latency, MatrixValues, Network};
use crate::topology::{self, Topology, TopologyError};

/// A heartbeat is at most this late in its first thousand peers: a few exchanges, one a second.
const HEARTBEAT_DELAY_S: u64 = 10;
/// A starting peer's first heartbeat comes within this.
const FIRST_HEARTBEAT_S: u64 = 10;
/// The measurement ends after this at the latest: nobody needs four hours for the samples of a
/// figure.
const LIMIT_S: u64 = 4 * 3_600;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "coordinates-planetlab",
        what: "error of estimated round trips, all pairs of PlanetLab, 32 neighbours, 200 samples",
        others: "serf's algorithm there p50 10 %, p90 52 %",
        load: Load::Shared,
        measure: |bench| row(bench, "planetlab", 32, true),
    },
    Row {
        name: "coordinates-seattle",
        what: "the same, 99 personal devices of Seattle",
        others: "",
        load: Load::Shared,
        measure: |bench| row(bench, "seattle", 32, false),
    },
    Row {
        name: "coordinates-cloud",
        what: "the same, 21 cloud regions",
        others: "",
        load: Load::Shared,
        measure: |bench| row(bench, "cloud", 20, false),
    },
];

fn row(
    bench: &Bench<'_>,
    matrix: &str,
    neighbours: usize,
    promised: bool,
) -> Result<Measured, RowError> {
    let samples = bench.pick(200, 20);
    let error = coordinates(matrix, neighbours, samples, bench.seed).map_err(RunError::from)?;
    let asked = |most: f64| promised.then(|| bench.asked(Bound::AtMost(most))).flatten();
    let figures = vec![
        Figure::new("p50", error.p50, Unit::Share, asked(0.07)),
        Figure::new("p90", error.p90, Unit::Share, asked(0.3)),
        Figure::new("p99", error.p99, Unit::Share, None),
    ];
    Ok(Measured {
        peers: topology::builtin(matrix).map_or(0, |builtin| builtin.places),
        virtual_seconds: error.minutes as f64 * 60.0,
        figures,
        notes: vec![format!("{samples} samples a peer")],
    })
}

/// Relative error of the estimates, over all pairs of hosts: the distance of the estimate from the
/// true round trip, as a share of the latter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoordinateError {
    /// Median; 0.05 is 5 %.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Virtual minutes that the measurement took.
    pub minutes: u64,
}

/// Lets all hosts of a built-in matrix (`planetlab`, `cloud`, `seattle`) start at once, measure at
/// most `neighbours` others `samples` times in all, and compares what they then estimate.
///
/// # Errors
/// [`TopologyError`] if there is no such matrix.
pub fn coordinates(
    matrix: &str,
    neighbours: usize,
    samples: usize,
    seed: u64,
) -> Result<CoordinateError, TopologyError> {
    let hosts = topology::builtin(matrix).map_or(0, |builtin| builtin.places);
    let network = Network {
        latency: Latency::Matrix {
            source: matrix.to_owned(),
            unit: None,
            values: MatrixValues::RoundTrip,
            symmetric: true,
        },
        ..Network::default()
    };
    let topology = topology::build(&network, hosts.max(1), seed, Path::new(""))?;
    let mut field = Field::new(topology, hosts, neighbours, samples, seed);
    let minutes = field.run() / 60;
    Ok(field.error(minutes))
}

/// All hosts, and what is under way.
struct Field {
    topology: Topology,
    peers: Vec<Peer>,
    /// Heartbeats: when they are there, whose, and the coordinate inside.
    under_way: VecDeque<(u64, usize, Coordinate)>,
    samples: usize,
    interval_s: u64,
    dice: Dice,
}

/// One host.
struct Peer {
    position: Position<usize>,
    /// Where it says that it is.
    said: Option<Coordinate>,
    subjects: Vec<usize>,
    /// Whom it visits, the last first.
    strangers: Vec<usize>,
    /// Who remembers a round trip to it.
    known_by: Vec<usize>,
    samples: usize,
    /// What of its turns comes when: seconds after those of others.
    phase_s: u64,
}

impl Field {
    fn new(topology: Topology, hosts: usize, neighbours: usize, samples: usize, seed: u64) -> Self {
        let mut dice = Dice::new(seed, "figure of coordinates", 0);
        let mut peers: Vec<Peer> = subjects(hosts, &mut dice)
            .into_iter()
            .map(|subjects| Peer {
                position: Position::new(),
                said: None,
                subjects,
                strangers: Vec::new(),
                known_by: Vec::new(),
                samples: 0,
                phase_s: dice.bits() >> 8,
            })
            .collect();
        let watched: Vec<Vec<usize>> = peers.iter().map(|peer| peer.subjects.clone()).collect();
        for (index, peer) in peers.iter_mut().enumerate() {
            let is_stranger = |other: &usize| {
                let watches = |one: usize, two: &usize| {
                    watched.get(one).is_some_and(|subjects| subjects.contains(two))
                };
                *other != index && !watches(index, other) && !watches(*other, &index)
            };
            let visits = neighbours.saturating_sub(peer.subjects.len());
            let drawn = dice.sample(hosts, hosts);
            peer.strangers = drawn.into_iter().filter(is_stranger).take(visits).collect();
        }
        let interval_s = heartbeat_interval(hosts) / SECOND;
        Self { topology, peers, under_way: VecDeque::new(), samples, interval_s, dice }
    }

    /// Goes on until all have their samples and all heard what came of it. Gives the seconds.
    fn run(&mut self) -> u64 {
        let mut end_s = LIMIT_S;
        let mut now_s = 0;
        while now_s < end_s {
            self.deliver(now_s);
            for index in 0..self.peers.len() {
                self.turn(index, now_s);
            }
            now_s += 1;
            if self.peers.iter().all(|peer| peer.samples >= self.samples) {
                end_s = end_s.min(now_s + self.interval_s + HEARTBEAT_DELAY_S);
            }
        }
        now_s
    }

    fn deliver(&mut self, now_s: u64) {
        while let Some((_, from, said)) = self.under_way.pop_front_if(|(at, ..)| *at <= now_s) {
            let Some(peer) = self.peers.get_mut(from) else { continue };
            peer.said = Some(said);
            let hearers = std::mem::take(&mut peer.known_by);
            for hearer in &hearers {
                if let Some(hearer) = self.peers.get_mut(*hearer) {
                    hearer.position.heard(&from, &said);
                }
            }
            if let Some(peer) = self.peers.get_mut(from) {
                peer.known_by = hearers;
            }
        }
    }

    fn turn(&mut self, index: usize, now_s: u64) {
        let interval_s = self.interval_s;
        let Some(peer) = self.peers.get_mut(index) else { return };
        let is_due = |every_s: u64, phase: u64| now_s % every_s == phase % every_s;
        let is_first = now_s < interval_s && now_s == (peer.phase_s >> 20) % FIRST_HEARTBEAT_S;
        if is_first || is_due(interval_s, peer.phase_s) {
            // What an honest peer says can always be read.
            if let Ok(said) = Coordinate::from_wire(&peer.position.coordinate().to_wire()) {
                self.under_way.push_back((now_s + HEARTBEAT_DELAY_S, index, said));
            }
        }
        let mut asked = Vec::new();
        if is_due(SAMPLE_INTERVAL / SECOND, peer.phase_s >> 30) {
            asked.extend_from_slice(&peer.subjects);
        }
        if is_due(VISIT_INTERVAL / SECOND, peer.phase_s >> 40) {
            asked.extend(peer.strangers.last());
        }
        for subject in asked {
            self.sample(index, subject);
        }
    }

    /// A round trip, unless the peer had all that it may take, or does not know yet where the other
    /// one is.
    fn sample(&mut self, index: usize, subject: usize) {
        let rtt_us = u32::try_from(self.rtt_us(index, subject)).unwrap_or(u32::MAX);
        let Some(said) = self.peers.get(subject).and_then(|peer| peer.said) else { return };
        let Some(peer) = self.peers.get_mut(index) else { return };
        if peer.samples >= self.samples {
            return;
        }
        peer.samples += 1;
        peer.strangers.pop_if(|stranger| *stranger == subject);
        peer.position.observe(subject, &said, rtt_us, self.dice.bits());
        if let Some(there) = self.peers.get_mut(subject)
            && !there.known_by.contains(&index)
        {
            there.known_by.push(index);
        }
    }

    fn rtt_us(&self, one: usize, other: usize) -> u64 {
        let model = &self.topology.model;
        model.one_way_us(one, other) + model.one_way_us(other, one)
    }

    fn error(&self, minutes: u64) -> CoordinateError {
        let mut errors = Vec::with_capacity(self.peers.len() * self.peers.len() / 2);
        for (index, one) in self.peers.iter().enumerate() {
            for (other_index, other) in self.peers.iter().enumerate().take(index) {
                let truth = self.rtt_us(index, other_index).max(1) as f64;
                let estimate = estimate_us(one.position.coordinate(), other.position.coordinate());
                errors.push((f64::from(estimate) - truth).abs() / truth);
            }
        }
        errors.sort_unstable_by(f64::total_cmp);
        let at = |percent: usize| {
            errors.get(errors.len().saturating_sub(1) * percent / 100).copied().unwrap_or(f64::NAN)
        };
        CoordinateError { p50: at(50), p90: at(90), p99: at(99), minutes }
    }
}

/// Whom each host observes on the protocol's rings, where nobody is out of reach.
fn subjects(hosts: usize, dice: &mut Dice) -> Vec<Vec<usize>> {
    let mut ids: Vec<PeerId> = (0..hosts).map(|_| random_id(dice)).collect();
    ids.sort_unstable();
    let standing = ids.iter().map(|peer| Standing { peer: *peer, nonce: &[], left: false });
    let rings = Rings::build(0, standing);
    let mut subjects = vec![Vec::new(); hosts];
    for ring in 0..RINGS {
        let order = rings.order(ring);
        for (seat, subject) in order.iter().enumerate() {
            let before = order.iter().take(seat).rev().chain(order.iter().skip(seat + 1).rev());
            for observer in before {
                if let Some(watched) = subjects.get_mut(*observer as usize)
                    && !watched.contains(&(*subject as usize))
                {
                    watched.push(*subject as usize);
                    break;
                }
            }
        }
    }
    subjects
}

fn random_id(dice: &mut Dice) -> PeerId {
    let mut id = [0; 32];
    for part in id.as_chunks_mut::<8>().0 {
        *part = dice.bits().to_le_bytes();
    }
    PeerId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_on_planetlab_are_as_good_as_promised() {
        let error = coordinates("planetlab", 32, 200, 1).unwrap();
        assert!(error.p50 <= 0.07 && error.p90 <= 0.30, "{error:?}");
    }

    #[test]
    fn one_seed_gives_one_figure() {
        let measure = |seed| coordinates("cloud", 10, 40, seed).unwrap();
        assert_eq!(measure(3), measure(3));
        assert_ne!(measure(3), measure(4));
    }

    #[test]
    fn more_samples_give_better_estimates() {
        let measure = |samples| coordinates("planetlab", 32, samples, 2).unwrap().p90;
        assert!(measure(60) < measure(20));
    }

    #[test]
    fn everybody_has_five_observers_and_about_as_many_subjects() {
        let subjects = subjects(100, &mut Dice::new(1, "test", 0));
        let mut observers = vec![0; 100];
        subjects.iter().flatten().for_each(|subject| observers[*subject] += 1);
        assert_eq!(observers, vec![RINGS; 100]);
    }

    #[test]
    fn a_matrix_that_is_not_there_is_named() {
        assert!(coordinates("nowhere", 32, 200, 1).is_err());
    }
}
