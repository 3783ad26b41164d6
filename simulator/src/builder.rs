//! How a world is described and made.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use plexmesh_proto::exchange::pacing::heartbeat_interval;
use plexmesh_proto::record::{
    Availability, EdgeStatus, Heartbeat, LinkEdge, Links as Report, Payload, Profile, Record,
};
use plexmesh_proto::ring::{RINGS, Rings, Standing};
use plexmesh_proto::types::{MILLI, PeerId, SECOND, Time, Version};
use plexmesh_proto::view::{RecordStore, Slot};

use serde::{Deserialize, Serialize};

use crate::dice::{Chance, Dice};
use crate::links::{LatencyModel, Links, Rules, UniformLatency};
use crate::store::SharedStore;
use crate::world::{Happening, WALL_START_MS, World, micros};

/// How long certificates of virtual peers last, in seconds: 90 days, as those of real ones.
pub(crate) const CERTIFICATE_S: u64 = 90 * 24 * 3_600;
/// How long ago preloaded records were signed, in milliseconds.
const PRELOADED_AGE_MS: u64 = 60_000;
/// Most that a packet takes longer than the latency of its path where nothing else is said, in
/// microseconds: what a quiet path through some routers adds.
pub(crate) const USUAL_JITTER_US: u64 = 2 * MILLI;
/// Most seeds that a peer of a cold start knows.
const MAX_SEEDS: u64 = 3;

/// What peers know when they start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// One to three peers that start earlier, by address; the first knows nobody. They join.
    #[default]
    Cold,
    /// The `Peer` record of every other peer, as after a stop of the whole mesh. They connect.
    Warm,
    /// All records of a mesh in which everybody has heard everybody for a while, as after a short
    /// stop. They connect, and have nothing to tell.
    Settled,
}

/// The description of a world.
#[derive(Debug)]
pub struct WorldBuilder {
    seed: u64,
    nodes: usize,
    latency: Box<dyn LatencyModel>,
    jitter_us: u64,
    loss: f64,
    start: Start,
    stagger: Duration,
    profiles: Vec<ProfileChange>,
    trace: bool,
}

/// What a peer says of itself in another way than usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// Its region.
    pub region: Option<String>,
    /// It sleeps at times, and for so long without being called down.
    pub sleep_grace: Option<Duration>,
}

impl WorldBuilder {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            nodes: 1,
            latency: Box::new(UniformLatency::new(seed, 5 * MILLI..60 * MILLI)),
            jitter_us: USUAL_JITTER_US,
            loss: 0.0,
            start: Start::default(),
            stagger: Duration::from_secs(5),
            profiles: Vec::new(),
            trace: false,
        }
    }

    /// How many peers there are at first. One, unless said otherwise.
    #[must_use]
    pub const fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// One-way latencies, drawn per pair from a range of milliseconds. 5 to 60, unless said
    /// otherwise.
    #[must_use]
    pub fn latency_ms(mut self, range: Range<u64>) -> Self {
        let range_us = range.start * MILLI..range.end * MILLI;
        self.latency = Box::new(UniformLatency::new(self.seed, range_us));
        self
    }

    /// One-way latencies from a model.
    #[must_use]
    pub fn latency(mut self, model: Box<dyn LatencyModel>) -> Self {
        self.latency = model;
        self
    }

    /// Most that a packet takes longer than its path's latency, in milliseconds. 2, unless said
    /// otherwise.
    #[must_use]
    pub const fn jitter_ms(mut self, jitter_ms: u64) -> Self {
        self.jitter_us = jitter_ms * MILLI;
        self
    }

    /// Probability from 0 to 1 that a packet is lost. 0, unless said otherwise.
    #[must_use]
    pub const fn loss(mut self, probability: f64) -> Self {
        self.loss = probability;
        self
    }

    /// What peers know when they start. [`Start::Cold`], unless said otherwise.
    #[must_use]
    pub const fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Peers start evenly spread over this time, in the order of their index. 5 s, unless said
    /// otherwise.
    #[must_use]
    pub const fn stagger(mut self, over: Duration) -> Self {
        self.stagger = over;
        self
    }

    /// What the first peers, by their index, say of themselves in another way than usual.
    #[must_use]
    pub fn profiles(mut self, changes: Vec<ProfileChange>) -> Self {
        self.profiles = changes;
        self
    }

    /// Prints every event that a node tells on standard error.
    #[must_use]
    pub const fn trace(mut self, trace: bool) -> Self {
        self.trace = trace;
        self
    }

    /// Makes the world; time stands at its beginning.
    #[must_use]
    pub fn build(self) -> World {
        let rules = Rules::of_jitter_and_loss(self.jitter_us, Chance::new(self.loss));
        let links = Links::new(self.seed, self.latency, rules);
        let mut world = World::empty(self.seed, links);
        world.trace = self.trace;
        let mut dice = Dice::new(self.seed, "seeds", 0);
        for index in 0..self.nodes {
            let count = 1 + dice.below(MAX_SEEDS) as usize;
            let seeds = dice.sample(count, index);
            let host = world.add_host(seeds);
            if let (Some(host), Some(change)) =
                (world.hosts.get_mut(host), self.profiles.get(index))
            {
                change.apply(&mut host.profile);
            }
            let nodes = self.nodes.max(1) as u64;
            let at = Time(micros(self.stagger) * index as u64 / nodes);
            world.queue.push(at, Happening::Start { host: index });
        }
        if self.start != Start::Cold {
            preload(&mut world, self.start == Start::Settled);
        }
        world
    }
}

impl ProfileChange {
    fn apply(&self, profile: &mut Profile) {
        if let Some(region) = &self.region {
            profile.region.clone_from(region);
        }
        if let Some(grace) = self.sleep_grace {
            profile.availability = Availability::Intermittent;
            profile.sleep_grace_s = u32::try_from(grace.as_secs()).unwrap_or(u32::MAX);
        }
    }
}

/// Puts every peer's `Peer` record on every disk, and with `settled` what they would have reported
/// since. The bodies are shared.
fn preload(world: &mut World, settled: bool) {
    let wall_s = WALL_START_MS / 1_000;
    let version = Version::at_ms(WALL_START_MS - PRELOADED_AGE_MS);
    let mut store = SharedStore::new(&world.shelf);
    let mut put = |world: &World, index: usize, version, expires_s, payload| {
        let mut crypto = world.crypto_of(index);
        let Some(origin) = world.peer_id(index) else { return };
        let mesh = &world.keys.mesh;
        let record = Record::sign(&mut crypto, mesh, origin, version, expires_s, payload);
        let slot = record.slot().clone();
        store.put(&slot, Slot { top: Arc::new(record), rival: None });
    };
    for (index, host) in world.hosts.iter().enumerate() {
        let certificate = Box::new(host.certificate.clone());
        let payload = Payload::Peer(host.profile.clone().clipped(), certificate);
        put(world, index, version, host.certificate.not_after_s, payload);
    }
    if settled {
        let mut dice = Dice::new(world.seed, "heartbeats", 0);
        let interval_us = heartbeat_interval(world.len());
        for (index, links) in reports(world, version) {
            let until_s = world.certificate(index).map_or(0, |own| own.not_after_s);
            put(world, index, version, until_s, Payload::Links(links));
            let age_ms = dice.below(interval_us) / MILLI;
            let version = Version::at_ms(WALL_START_MS - age_ms);
            let heartbeat = Heartbeat { instance: dice.bits(), ..Heartbeat::default() };
            let expires_s = wall_s + 3 * interval_us / SECOND;
            put(world, index, version, expires_s, Payload::Heartbeat(heartbeat));
        }
    }
    for host in &mut world.hosts {
        host.disk.store = Some(store.clone());
        host.disk.last_version = Version::at_ms(WALL_START_MS);
    }
}

/// What every peer reports in a mesh in which all hear each other: who observes whom follows from
/// the rings.
fn reports(world: &World, since: Version) -> Vec<(usize, Report)> {
    let standings = world.index.iter().filter_map(|(peer, index)| {
        let nonce = &world.certificate(*index)?.ring_nonce[..];
        Some(Standing { peer: *peer, nonce, left: false })
    });
    let rings = Rings::build(0, standings);
    let mut subjects: BTreeMap<PeerId, BTreeSet<PeerId>> = BTreeMap::new();
    for (subject, id) in (0u32..).zip(rings.ids()) {
        let mut observers: BTreeSet<u32> = BTreeSet::new();
        for ring in 0..RINGS {
            let order = rings.order(ring);
            let own = rings.position(ring, subject).unwrap_or_default();
            let before = (1..order.len()).map(|step| (own + order.len() - step) % order.len());
            let mut observer = before.filter_map(|place| order.get(place));
            let found = observer.find(|observer| !observers.contains(*observer)).copied();
            observers.extend(found);
        }
        for observer in observers.into_iter().filter_map(|index| rings.ids().get(index as usize)) {
            subjects.entry(*observer).or_default().insert(*id);
        }
    }
    let edge = |subject| LinkEdge {
        subject,
        status: EdgeStatus::Heard,
        since,
        flaps: 0,
        sleep_grace_over: false,
        poor: false,
        evidence: None,
    };
    world
        .index
        .iter()
        .map(|(peer, index)| {
            let edges = subjects.remove(peer).unwrap_or_default().into_iter().map(edge).collect();
            (*index, Report { edges, ..Report::default() })
        })
        .collect()
}
