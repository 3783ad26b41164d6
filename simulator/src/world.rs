//! The virtual world: hosts with real nodes, paths between them, and one clock.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use plexmesh_proto::exchange::message::ExchangeAnswer;
use plexmesh_proto::port::{Input, Output, Verdict};
use plexmesh_proto::record::{MeshId, Record};
use plexmesh_proto::types::{MILLI, Now, PeerId, RequestId, SECOND, Time, Token};
use plexmesh_proto::view::MemoryStore;
use plexmesh_proto::{Config, Event, Node};

use crate::builder::WorldBuilder;
use crate::dice::Dice;
use crate::gossip::Gossip;
use crate::history::{Change, EventLog, History};
use crate::host::Host;
use crate::keys::{Verified, VirtualCrypto};
use crate::links::Links;
use crate::queue::Queue;
use crate::traffic::Meter;
use crate::transport::{Arrival, Arrived, Message, Power, Sky, Transport, WireEvent};

mod control;

pub use control::Crash;

/// The node that virtual hosts run: the shipped one.
pub type VirtualNode = Node<VirtualCrypto, MemoryStore>;

/// Unix time at which every world begins, in milliseconds: 2026-01-01T00:00:00Z.
pub const WALL_START_MS: u64 = 1_767_225_600_000;

/// A request without an answer fails after this long; the agent's setting.
const REQUEST_TIMEOUT_US: u64 = 5 * SECOND;
/// Timers fire at the next full step, as those of the agent's runtime do.
const TIMER_STEP_US: u64 = MILLI;

/// What is in the world's queue.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A host is switched on for the first time.
    Start { host: usize },
    /// A node's deadline.
    Tick { host: usize, start: u64 },
    /// A request has waited too long.
    RequestOver { host: usize, start: u64, id: RequestId },
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
    pub(crate) dice: Dice,
    pub(crate) gossip_dice: Dice,
    pub(crate) trace: bool,
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
            keys: MeshKeys { mesh, authority },
            verified,
            dice: Dice::new(seed, "packets", 0),
            gossip_dice: Dice::new(seed, "gossip", 0),
            trace: false,
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

    /// Lets time pass until `done`, which is asked every 50 ms of virtual time, or for `limit`. Gives how long it took; `None` if
    /// the limit came first.
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

    /// Starts a host's process from what lies on its disk.
    pub(crate) fn boot(&mut self, index: usize) {
        let now = self.now_at(index);
        let peers = |seeds: &[usize]| seeds.iter().filter_map(|&seed| self.peer_id(seed)).collect();
        let Some(seeds) = self.hosts.get(index).map(|host| peers(&host.seeds)) else { return };
        let Some(host) = self.hosts.get_mut(index).filter(|host| host.node.is_none()) else {
            return;
        };
        let disk = std::mem::take(&mut host.disk);
        let config = Config {
            mesh: self.keys.mesh,
            authorities: vec![self.keys.authority.peer_id()],
            certificate: host.certificate.clone(),
            profile: host.profile.clone(),
            seeds,
            last_version: disk.last_version,
        };
        host.starts += 1;
        let (start, verified) = (host.starts, self.verified.clone());
        let crypto = VirtualCrypto::new(self.seed, "peer", index as u64, start, verified);
        host.node = Some(Node::new(config, crypto, disk.store, now));
        host.well_since = Some(self.now);
        self.gossip.forget(index);
        self.transport.switch_on(index);
        self.feed(index, Input::Start, 0, 0);
    }

    fn on_tick(&mut self, index: usize, start: u64) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(index) else { return };
        if host.starts != start || host.armed != Some(now) {
            return;
        }
        host.armed = None;
        if self.transport.power(index) != Power::On {
            return;
        }
        let due = host.node.as_ref().and_then(|node| node.poll_timeout());
        if due.is_some_and(|(due, _)| due <= now) {
            self.feed(index, Input::Tick, 1, 0);
        } else {
            self.arm(index);
        }
    }

    fn on_request_over(&mut self, index: usize, start: u64, id: RequestId) {
        let Some(host) = self.hosts.get(index).filter(|host| host.starts == start) else { return };
        if let Some(&peer) = host.asked.get(&id) {
            let what = Arrived::RequestFailed(id);
            self.transport.arrivals.push_back(Arrival { at: index, peer, what });
        }
    }

    /// Something reached a host.
    pub(crate) fn arrive(&mut self, arrival: Arrival) {
        let Some(host) = self.hosts.get_mut(arrival.at).filter(|host| host.node.is_some()) else {
            return;
        };
        if self.transport.power(arrival.at) != Power::On {
            host.put_aside(arrival);
            return;
        }
        let Arrival { at, peer, what } = arrival;
        let Some(id) = self.peer_id(peer) else { return };
        match what {
            Arrived::Connected => self.feed(at, Input::Connected { peer: id }, 2, 0),
            Arrived::Disconnected => {
                self.feed(at, Input::Disconnected { peer: id }, 3, 0);
                self.fail_requests(at, peer);
            }
            Arrived::DialFailed => self.feed(at, Input::DialFailed { peer: id }, 4, 0),
            Arrived::RequestFailed(request) => {
                if self.hosts.get_mut(at).is_some_and(|host| host.asked.remove(&request).is_some()) {
                    self.feed(at, Input::RequestFailed { id: request }, 5, 0);
                }
            }
            Arrived::Message { message, epoch, bytes } => {
                self.on_message(at, (peer, id), message, epoch, bytes);
            }
        }
    }

    fn on_message(
        &mut self,
        at: usize,
        (peer, from): (usize, PeerId),
        message: Message,
        epoch: u64,
        bytes: usize,
    ) {
        match message {
            Message::Frame(frame) => self.feed(at, Input::Frame { from, frame }, 6, bytes),
            Message::Request { id, request } => {
                let token = self.wait(Waiting::Request { host: at, asker: peer, id, epoch });
                let mut request = *request;
                if let Some(mask) = self.mask(at) {
                    mask.hide_request(&mut request);
                }
                self.feed(at, Input::Request { from, token, request }, 7, bytes);
            }
            Message::Answer { id, answer } => {
                let Some(host) = self.hosts.get_mut(at) else { return };
                if host.asked.remove(&id).is_none() {
                    return;
                }
                let mut answer = *answer;
                if let Some(mask) = self.mask(at) {
                    mask.hide_answer(&mut answer);
                }
                self.feed(at, Input::Answer { id, answer }, 8, bytes);
            }
            Message::Broadcast(record) => {
                if self.gossip.is_new(at, record.item()) {
                    let record = match self.mask(at) {
                        Some(mask) => mask.hide(&record),
                        None => record,
                    };
                    self.pass_broadcast(at, peer, from, record, bytes);
                }
            }
        }
    }

    pub(crate) fn pass_broadcast(
        &mut self,
        at: usize,
        peer: usize,
        from: PeerId,
        record: Arc<Record>,
        bytes: usize,
    ) {
        let waiting = Waiting::Broadcast { host: at, from: peer, record: record.clone() };
        let token = self.wait(waiting);
        self.feed(at, Input::Broadcast { from, token, record }, 9, bytes);
    }

    fn fail_requests(&mut self, at: usize, peer: usize) {
        let Some(host) = self.hosts.get_mut(at) else { return };
        let failed: Vec<RequestId> =
            host.asked.iter().filter(|(_, asked)| **asked == peer).map(|(id, _)| *id).collect();
        for id in failed {
            if self.hosts.get_mut(at).is_some_and(|host| host.asked.remove(&id).is_some()) {
                self.feed(at, Input::RequestFailed { id }, 5, 0);
            }
        }
    }

    fn wait(&mut self, waiting: Waiting) -> Token {
        self.last_token += 1;
        let token = Token(self.last_token);
        self.waiting.insert(token, waiting);
        token
    }

    /// Gives one input to a node, carries out what it wants, and sets its timer.
    pub(crate) fn feed(&mut self, index: usize, input: Input, kind: u8, bytes: usize) {
        self.log.note(self.now, index, kind, bytes);
        let now = self.now_at(index);
        let Some(node) = self.hosts.get_mut(index).and_then(|host| host.node.as_mut()) else {
            return;
        };
        if self.trace && matches!(input, Input::Connected{..}|Input::Disconnected{..}|Input::DialFailed{..}|Input::Answer{..}|Input::RequestFailed{..}) { eprintln!("{:>12.6} {index:>5} IN {:?}", now.time.0 as f64/1e6, input_name(&input, &self.index)); }
        node.handle(input, now);
        while let Some(output) = self
            .hosts
            .get_mut(index)
            .and_then(|host| host.node.as_mut())
            .and_then(Node::poll_output)
        {
            self.carry_out(index, output);
        }
        self.arm(index);
    }

    /// Makes sure that a tick is in the queue by the node's deadline.
    pub(crate) fn arm(&mut self, index: usize) {
        let Some(host) = self.hosts.get_mut(index) else { return };
        let Some((due, _)) = host.node.as_ref().and_then(|node| node.poll_timeout()) else { return };
        let due = Time(due.0.max(self.now.0 + 1).next_multiple_of(TIMER_STEP_US));
        // An earlier tick looks again when it comes.
        if host.armed.is_none_or(|armed| armed > due) {
            host.armed = Some(due);
            self.queue.push(due, Happening::Tick { host: index, start: host.starts });
        }
    }

    fn carry_out(&mut self, index: usize, output: Output) {
        match output {
            Output::Connect { peer, .. } => {
                if self.trace { eprintln!("{:>12.6} {index:>5} DIAL {:?}", self.elapsed().as_secs_f64(), self.host_of(&peer)); }
                if let Some(to) = self.host_of(&peer).filter(|&to| to != index) {
                    let (transport, mut sky) = self.wire();
                    transport.dial(&mut sky, index, to);
                }
            }
            Output::Keep(peers) => {
                let wanted = peers.iter().filter_map(|peer| self.host_of(peer)).collect();
                let (transport, mut sky) = self.wire();
                transport.keep(&mut sky, index, wanted);
            }
            Output::Frame { to, frame } => {
                if let Some(to) = self.host_of(&to) {
                    self.send(index, to, Message::Frame(frame));
                }
            }
            Output::Request { to, id, mut request } => {
                let Some(to) = self.host_of(&to) else { return };
                if let Some(mask) = self.mask(index) {
                    mask.show_request(&mut request, to);
                }
                self.ask(index, to, id, Message::Request { id, request: Box::new(request) });
            }
            Output::Answer { token, answer } => self.answer(index, token, answer),
            Output::Broadcast(record) => self.publish(index, &record),
            Output::Verdict { token, verdict } => self.judge(index, token, verdict),
            Output::Event(event) => self.told(index, &event),
        }
    }

    fn send(&mut self, from: usize, to: usize, message: Message) -> Option<u64> {
        let (transport, mut sky) = self.wire();
        transport.send(&mut sky, from, to, message)
    }

    fn ask(&mut self, index: usize, to: usize, id: RequestId, message: Message) {
        let sent = self.send(index, to, message).is_some();
        let over = self.now.plus(REQUEST_TIMEOUT_US);
        let Some(host) = self.hosts.get_mut(index) else { return };
        host.asked.insert(id, to);
        if sent {
            self.queue.push(over, Happening::RequestOver { host: index, start: host.starts, id });
        } else {
            let what = Arrived::RequestFailed(id);
            self.transport.arrivals.push_back(Arrival { at: index, peer: to, what });
        }
    }

    fn answer(&mut self, index: usize, token: Token, mut answer: ExchangeAnswer) {
        let Some(Waiting::Request { asker, id, epoch, .. }) = self.waiting.remove(&token) else {
            return;
        };
        // An answer belongs to the stream of its request.
        if self.transport.epoch(index, asker) == Some(epoch) {
            if let Some(mask) = self.mask(index) {
                mask.show_answer(&mut answer, asker);
            }
            self.send(index, asker, Message::Answer { id, answer: Box::new(answer) });
        }
    }

    fn publish(&mut self, index: usize, record: &Arc<Record>) {
        let fresh = self.gossip.is_new(index, record.item());
        if !fresh {
            return;
        }
        let peers: Vec<usize> = self.transport.connected(index).collect();
        for peer in peers {
            let shown = match self.mask(index) {
                Some(mask) => mask.show(record, peer),
                None => record.clone(),
            };
            self.gossip.is_new(index, shown.item());
            self.send(index, peer, Message::Broadcast(shown));
        }
    }

    fn judge(&mut self, index: usize, token: Token, verdict: Verdict) {
        let Some(Waiting::Broadcast { from, record, .. }) = self.waiting.remove(&token) else {
            return;
        };
        if verdict != Verdict::Accept {
            return;
        }
        let connected: BTreeSet<usize> = self.transport.connected(index).collect();
        let mesh = self.gossip.mesh(self.now, &mut self.gossip_dice, index, &connected);
        for peer in mesh.into_iter().filter(|&peer| peer != from) {
            self.send(index, peer, Message::Broadcast(record.clone()));
        }
    }

    fn told(&mut self, index: usize, event: &Event) {
        self.history.count(event);
        if let Event::PeerStateChanged { peer, from, to } = event
            && let Some(subject) = self.host_of(peer)
        {
            let well_since = self.hosts.get(subject).and_then(|host| host.well_since);
            let (at, observer, from, to) = (self.now, index, *from, *to);
            self.history.change(Change { at, observer, subject, from, to, well_since });
        }
        if self.trace {
            eprintln!("{:>12.6} {index:>5} {event:?}", self.elapsed().as_secs_f64());
        }
    }

    /// The mask of a lying host, up to date with its node.
    fn mask(&mut self, index: usize) -> Option<&crate::byzantine::Mask> {
        let Host { node, mask, .. } = self.hosts.get_mut(index)?;
        let (node, mask) = (node.as_mut()?, mask.as_mut()?);
        mask.look(node);
        Some(mask)
    }

    /// Drops what the process of a host has not answered.
    pub(crate) fn forget_waiting(&mut self, host: usize) {
        self.waiting.retain(|_, waiting| waiting.host() != host);
    }
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
fn input_name(i: &Input, ix: &BTreeMap<PeerId, usize>) -> String { match i { Input::Connected{peer} => format!("Connected {:?}", ix.get(peer)), Input::Disconnected{peer} => format!("Disconnected {:?}", ix.get(peer)), Input::DialFailed{peer} => format!("DialFailed {:?}", ix.get(peer)), Input::Answer{id,..} => format!("Answer {id:?}"), Input::RequestFailed{id} => format!("RequestFailed {id:?}"), _ => String::new() } }
