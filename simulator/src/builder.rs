//! How a world is described and made.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use plexmesh_proto::record::{Payload, Record};
use plexmesh_proto::types::{MILLI, Time, Version};
use plexmesh_proto::view::{RecordStore, Slot};

use serde::{Deserialize, Serialize};

use crate::dice::{Chance, Dice};
use crate::links::{LatencyModel, Links, UniformLatency};
use crate::store::SharedStore;
use crate::world::{Happening, WALL_START_MS, World, micros};

/// How long certificates of virtual peers last, in seconds: 90 days, as those of real ones.
pub(crate) const CERTIFICATE_S: u64 = 90 * 24 * 3_600;
/// How long a preloaded `Peer` record lasts, in seconds: a day, as if its origin had renewed it
/// just now.
const PRELOADED_S: u64 = 24 * 3_600;
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
    trace: bool,
}

impl WorldBuilder {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            nodes: 1,
            latency: Box::new(UniformLatency::new(seed, 5 * MILLI..60 * MILLI)),
            jitter_us: 2 * MILLI,
            loss: 0.0,
            start: Start::default(),
            stagger: Duration::from_secs(5),
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

    /// Prints every event that a node tells on standard error.
    #[must_use]
    pub const fn trace(mut self, trace: bool) -> Self {
        self.trace = trace;
        self
    }

    /// Makes the world; time stands at its beginning.
    #[must_use]
    pub fn build(self) -> World {
        let links = Links::new(self.latency, self.jitter_us, Chance::new(self.loss));
        let mut world = World::empty(self.seed, links);
        world.trace = self.trace;
        let mut dice = Dice::new(self.seed, "seeds", 0);
        for index in 0..self.nodes {
            let count = 1 + dice.below(MAX_SEEDS) as usize;
            let seeds = dice.sample(count, index);
            world.add_host(seeds);
            let nodes = self.nodes.max(1) as u64;
            let at = Time(micros(self.stagger) * index as u64 / nodes);
            world.queue.push(at, Happening::Start { host: index });
        }
        if self.start == Start::Warm {
            preload(&mut world);
        }
        world
    }
}

/// Puts every peer's `Peer` record on every disk. The bodies are shared.
fn preload(world: &mut World) {
    let version = Version::at_ms(WALL_START_MS - 60_000);
    let expires_s = WALL_START_MS / 1_000 + PRELOADED_S;
    let mut store = SharedStore::new(&world.shelf);
    for (index, host) in world.hosts.iter().enumerate() {
        let mut crypto = world.crypto_of(index);
        let certificate = Box::new(host.certificate.clone());
        let payload = Payload::Peer(host.profile.clone(), certificate);
        let mesh = &world.keys.mesh;
        let record = Record::sign(&mut crypto, mesh, host.id, version, expires_s, payload);
        let slot = record.slot().clone();
        store.put(&slot, Slot { top: Arc::new(record), rival: None });
    }
    for host in &mut world.hosts {
        host.disk.store = Some(store.clone());
        host.disk.last_version = version;
    }
}
