//! The virtual world: hosts with real nodes, paths between them, and one clock.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use plexmesh_proto::Node;
use plexmesh_proto::record::{MeshId, Record};
use plexmesh_proto::types::{MILLI, Now, PeerId, RequestId, Time, Token};

use crate::builder::WorldBuilder;
use crate::dice::Dice;
use crate::gossip::Gossip;
use crate::history::{EventLog, History};
use crate::host::Host;
use crate::keys::{Verified, VirtualCrypto};
use crate::links::Links;
use crate::queue::Queue;
use crate::store::{SharedStore, Shelf};
use crate::traffic::Meter;
use crate::transport::{Sky, Transport, WireEvent};

mod broadcasts;
mod control;
mod inputs;
mod mischief;
mod outputs;
mod plight;
pub mod tap;
mod trouble;
mod truth;
pub mod wiretap;

pub use control::Crash;
pub(crate) use plight::Plight;
pub use truth::{QueueLengths, Truth};

/// The node that virtual hosts run: the shipped one.
pub type VirtualNode = Node<VirtualCrypto, SharedStore>;

/// Unix time at which every world begins, in milliseconds: 2026-01-01T00:00:00Z.
pub const WALL_START_MS: u64 = 1_767_225_600_000;

/// What is in the world's queue.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A host is switched on for the first time.
    Start { host: usize },
    /// A node's deadline.
    Tick { host: usize, start: u64 },
    /// A request has waited too long.
    RequestOver { host: usize, start: u64, id: RequestId },
    /// What a slow host took in reaches its process.
    Late { host: usize, start: u64 },
    /// The stall of a starved process is over.
    Drain { host: usize, start: u64 },
    /// A heartbeat of gossipsub.
    Gossip { host: usize, start: u64 },
    /// A rogue's next deed.
    Mischief { host: usize, start: u64 },
    /// The transport's own.
    Wire(WireEvent),
}

/// What a node has been asked and not yet answered.
#[derive(Debug)]
enum Waiting {
    Request { host: usize, asker: usize, id: RequestId, epoch: u64 },
    Broadcast { host: usize, from: usize, record: Arc<Record> },
}

impl Waiting {
    const fn host(&self) -> usize {
        match self {
            Self::Request { host, .. } | Self::Broadcast { host, .. } => *host,
        }
    }
}

/// Keys of the mesh that the world's hosts belong to.
#[derive(Debug)]
pub(crate) struct MeshKeys {
    pub(crate) mesh: MeshId,
    pub(crate) authority: VirtualCrypto,
    /// The other authority; nobody's certificate hangs on it until it replaces the first.
    pub(crate) spare: VirtualCrypto,
}

/// A virtual world. Everything in it follows from the seed and from what the caller does to it.
#[derive(Debug)]
pub struct World {
    pub(crate) seed: u64,
    pub(crate) now: Time,
    pub(crate) queue: Queue<Happening>,
    pub(crate) links: Links,
    pub(crate) transport: Transport,
    pub(crate) gossip: Gossip,
    pub(crate) hosts: Vec<Host>,
    pub(crate) meters: Vec<Meter>,
    pub(crate) index: BTreeMap<PeerId, usize>,
    pub(crate) keys: MeshKeys,
    pub(crate) verified: Rc<Verified>,
    pub(crate) shelf: Rc<RefCell<Shelf>>,
    pub(crate) dice: Dice,
    pub(crate) gossip_dice: Dice,
    /// For packets that somebody outside sends to measure a path.
    trial_dice: Dice,
    pub(crate) trace: bool,
    tap: Option<Box<tap::Tap>>,
    wiretap: Option<Box<wiretap::Wiretap>>,
    waiting: BTreeMap<Token, Waiting>,
    last_token: u64,
    log: EventLog,
    history: History,
}

impl World {
    /// Begins the description of a world.
    #[must_use]
    pub fn builder(seed: u64) -> WorldBuilder {
        WorldBuilder::new(seed)
    }

    /// A world without hosts.
    pub(crate) fn empty(seed: u64, links: Links) -> Self {
        let verified = Rc::new(Verified::default());
        let authority = VirtualCrypto::new(seed, "authority", 0, 0, verified.clone());
        let spare = VirtualCrypto::new(seed, "authority", 1, 0, verified.clone());
        let mesh = MeshId(crate::dice::derive(seed, "mesh", 0));
        Self {
            seed,
            now: Time(0),
            queue: Queue::new(),
            links,
            transport: Transport::default(),
            gossip: Gossip::default(),
            hosts: Vec::new(),
            meters: Vec::new(),
            index: BTreeMap::new(),
            keys: MeshKeys { mesh, authority, spare },
            verified,
            shelf: Rc::default(),
            dice: Dice::new(seed, "packets", 0),
            gossip_dice: Dice::new(seed, "gossip", 0),
            trial_dice: Dice::new(seed, "trial", 0),
            trace: false,
            tap: None,
            wiretap: None,
            waiting: BTreeMap::new(),
            last_token: 0,
            log: EventLog::default(),
            history: History::default(),
        }
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_to(self.now.plus(micros(duration)));
    }

    /// Lets time pass until `done`, which is asked every 50 ms of virtual time, or for `limit`.
    /// Gives how long it took; `None` if the limit came first.
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Option<Duration> {
        const STEP_US: u64 = 50 * MILLI;
        let start = self.now;
        let end = start.plus(micros(limit));
        while !done(self) {
            if self.now >= end {
                return None;
            }
            self.run_to(self.now.plus(STEP_US).min(end));
        }
        Some(Duration::from_micros(self.now.since(start)))
    }

    /// Time since the world began.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        Duration::from_micros(self.now.0)
    }

    /// Virtual time.
    #[must_use]
    pub const fn time(&self) -> Time {
        self.now
    }

    /// Number of hosts, those that are off too.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there are no hosts.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The node of a host; `None` while its process is off.
    #[must_use]
    pub fn node(&self, host: usize) -> Option<&VirtualNode> {
        self.hosts.get(host)?.node.as_ref()
    }

    /// Hosts whose process is there, paused ones too.
    pub fn running(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(|&host| self.node(host).is_some())
    }

    /// The peer id of a host; `None` if there is no such host.
    #[must_use]
    pub fn peer_id(&self, host: usize) -> Option<PeerId> {
        self.hosts.get(host).map(|host| host.id)
    }

    /// The host of a peer id.
    #[must_use]
    pub fn host_of(&self, peer: &PeerId) -> Option<usize> {
        self.index.get(peer).copied()
    }

    /// What both clocks of a host show.
    #[must_use]
    pub fn now_at(&self, host: usize) -> Now {
        let offset = self.hosts.get(host).map_or(0, |host| host.clock_offset_ms);
        let wall_ms = (WALL_START_MS + self.now.0 / MILLI).saturating_add_signed(offset);
        Now { time: self.now, wall_ms }
    }

    /// What a host sent and received.
    #[must_use]
    pub fn traffic(&self, host: usize) -> Option<&Meter> {
        self.meters.get(host)
    }

    /// What nodes told about the run.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// BLAKE3 over (time, host, kind, size) of every delivered event.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.log.hash()
    }

    /// Delivered events.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.log.events()
    }

    /// Messages and arrivals that found a queue full.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.transport.overflowed + self.hosts.iter().map(|host| host.inbox_dropped).sum::<u64>()
    }

    fn run_to(&mut self, end: Time) {
        while let Some((at, happening)) = self.queue.pop_until(end) {
            self.now = at;
            match happening {
                Happening::Start { host } => self.boot(host),
                Happening::Tick { host, start } => self.on_tick(host, start),
                Happening::RequestOver { host, start, id } => self.on_request_over(host, start, id),
                Happening::Late { host, start } => self.on_late(host, start),
                Happening::Drain { host, start } => self.on_drain(host, start),
                Happening::Gossip { host, start } => self.on_gossip(host, start),
                Happening::Mischief { host, start } => self.on_mischief(host, start),
                Happening::Wire(event) => {
                    let (transport, mut sky) = self.wire();
                    transport.handle(&mut sky, event);
                }
            }
            self.settle();
        }
        self.now = end;
    }

    /// Hands over what the transport has for the nodes.
    pub(crate) fn settle(&mut self) {
        while let Some(arrival) = self.transport.arrivals.pop_front() {
            self.arrive(arrival);
        }
    }

    /// The transport, and what it uses of the world.
    pub(crate) fn wire(&mut self) -> (&mut Transport, Sky<'_>) {
        let Self { now, links, dice, queue, meters, transport, .. } = self;
        (transport, Sky { now: *now, links, dice, queue, meters })
    }
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_queue_is_small() {
        assert!(size_of::<Happening>() <= 32, "{}", size_of::<Happening>());
    }
}
