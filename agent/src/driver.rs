//! The only caller of the protocol node: turns what happens into inputs, and outputs into deeds.
//!
//! One task. In each turn it does what is due, then takes a bounded number of network events and of
//! questions, and after every single input it carries out all that the node wants. A flood of one
//! sort can thus delay the others by a turn, but cannot starve them.

use std::collections::VecDeque;
use std::time::Duration;

use plexmesh_net::{NetEvent, NetHandle, NetStats};
use plexmesh_proto::integrity::ShardReport;
use plexmesh_proto::port::Input;
use plexmesh_proto::record::Resources;
use plexmesh_proto::types::Version;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::certificate::Denial;
use crate::clock;
use crate::events::EventEntry;
use crate::host::room::Trouble;
use crate::mesh::Gate;
use crate::query::{AgentNode, Query, Snapshot};
use crate::supervisor::Watchdog;

mod addresses;
mod admission;
mod inbound;
mod journal;
mod outbound;
mod strikes;

pub use addresses::{AddressBook, Announcement};
pub use admission::Welcome;
use journal::Journal;
use strikes::Strikes;

/// Network events taken in one turn: a few milliseconds of work.
const NET_EVENTS_A_TURN: usize = 64;
/// Questions answered in one turn. Some walk the whole view.
const QUERIES_A_TURN: usize = 8;
/// Failures of commands that are told to the node in one turn. A node that answers each with the
/// next command must not hold the turn up.
const FAILURES_A_TURN: usize = 64;
/// Between two looks at what is no protocol: transport figures, the clock to persist.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How long a `Leave` has to reach the others before the connections close: one exchange interval,
/// after the broadcast already went to all neighbours.
const LEAVE_SPREAD: Duration = Duration::from_secs(1);

/// What a driver works with.
#[derive(Debug)]
pub struct Parts {
    /// The protocol node, not started yet.
    pub node: AgentNode,
    /// The transport.
    pub net: NetHandle,
    /// What the transport tells.
    pub net_events: mpsc::Receiver<NetEvent>,
    /// What it told before there was a node.
    pub early_events: Vec<NetEvent>,
    /// Questions.
    pub queries: mpsc::Receiver<Query>,
    /// Where events are published.
    pub events: broadcast::Sender<EventEntry>,
    /// What the host measures.
    pub samples: mpsc::Receiver<Resources>,
    /// What is known of this peer's shards; `None` until they were looked at.
    pub shards: watch::Receiver<Option<ShardReport>>,
    /// What an enroller says if nobody lets this peer in.
    pub denial: watch::Receiver<Option<Denial>>,
    /// What is wrong with the data directory.
    pub troubles: watch::Receiver<Vec<Trouble>>,
    /// What this peer says of itself.
    pub announcement: Announcement,
    /// Where others are.
    pub addresses: AddressBook,
    /// What newcomers are given.
    pub welcome: Welcome,
    /// Where it is kept who may connect.
    pub gate: Gate,
    /// Unix milliseconds at which the agent started.
    pub started_ms: u64,
    /// Who is told that the driver still steps.
    pub watchdog: Watchdog,
}

/// Why a driver ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop.
    Stopped,
    /// The operator took this peer out of the mesh.
    Left,
    /// An admin ended this peer's membership.
    PutOut,
    /// The transport is gone, which only a fault in it explains.
    NetworkGone,
}

/// Drives one node.
#[derive(Debug)]
pub struct Driver {
    node: AgentNode,
    net: NetHandle,
    net_events: mpsc::Receiver<NetEvent>,
    queries: mpsc::Receiver<Query>,
    samples: mpsc::Receiver<Resources>,
    shards: watch::Receiver<Option<ShardReport>>,
    denial: watch::Receiver<Option<Denial>>,
    troubles: watch::Receiver<Vec<Trouble>>,
    announcement: Announcement,
    addresses: AddressBook,
    welcome: Welcome,
    gate: Gate,
    /// This peer is no member any more.
    put_out: bool,
    journal: Journal,
    strikes: Strikes,
    /// Commands that failed at once, to be told to the node. No longer than its outputs of one
    /// turn.
    failures: VecDeque<Input>,
    net_stats: NetStats,
    kept_version: Version,
    upkeep_at: Instant,
    leave_at: Option<Instant>,
    started_ms: u64,
    watchdog: Watchdog,
    early_events: Vec<NetEvent>,
}

enum Wake {
    Stop,
    Due,
    Net(Option<NetEvent>),
    Query(Option<Query>),
    Sample(Option<Resources>),
    Shards,
}

impl Driver {
    /// A driver over `parts`.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            net_stats: parts.net.stats(),
            node: parts.node,
            net: parts.net,
            net_events: parts.net_events,
            queries: parts.queries,
            samples: parts.samples,
            shards: parts.shards,
            denial: parts.denial,
            troubles: parts.troubles,
            announcement: parts.announcement,
            addresses: parts.addresses,
            welcome: parts.welcome,
            gate: parts.gate,
            put_out: false,
            journal: Journal::new(parts.events),
            strikes: Strikes::default(),
            failures: VecDeque::new(),
            kept_version: Version::default(),
            upkeep_at: Instant::now(),
            leave_at: None,
            started_ms: parts.started_ms,
            watchdog: parts.watchdog,
            early_events: parts.early_events,
        }
    }

    /// Drives until `stop` becomes true, its sender is gone, or this peer left.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Ended {
        self.open_for_strangers();
        self.feed(Input::Start);
        self.take_shards();
        for event in std::mem::take(&mut self.early_events) {
            self.on_net_event(event);
        }
        loop {
            match self.wait(&mut stop).await {
                Wake::Stop => return Ended::Stopped,
                Wake::Net(None) => return Ended::NetworkGone,
                Wake::Net(Some(event)) => self.on_net_event(event),
                Wake::Query(Some(query)) => self.on_query(query),
                Wake::Sample(Some(resources)) => self.feed(Input::Resources(resources)),
                Wake::Shards => self.take_shards(),
                // The senders of questions and samples may go before the driver does.
                Wake::Due | Wake::Query(None) | Wake::Sample(None) => {}
            }
            self.turn();
            self.watchdog.stepped(Instant::now());
            if self.put_out {
                return Ended::PutOut;
            }
            if self.leave_at.is_some_and(|at| at <= Instant::now()) {
                return Ended::Left;
            }
        }
    }

    async fn wait(&mut self, stop: &mut watch::Receiver<bool>) -> Wake {
        let wake_at = self.wake_at();
        let (queries, samples) = (!self.queries.is_closed(), !self.samples.is_closed());
        let shards = self.shards.has_changed().is_ok();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => Wake::Stop,
            () = sleep_until(wake_at) => Wake::Due,
            event = self.net_events.recv() => Wake::Net(event),
            query = self.queries.recv(), if queries => Wake::Query(query),
            sample = self.samples.recv(), if samples => Wake::Sample(sample),
            _ = self.shards.changed(), if shards => Wake::Shards,
        }
    }

    /// When there is something to do without anything happening. Upkeep bounds it, so a host that
    /// slept is noticed a second after it woke.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        if !self.failures.is_empty() {
            return now;
        }
        let due = self
            .node
            .poll_timeout()
            .map(|(deadline, _)| now + Duration::from_micros(deadline.since(clock::now().time)));
        [due, self.leave_at].into_iter().flatten().fold(self.upkeep_at, Instant::min)
    }

    fn turn(&mut self) {
        self.tick_if_due();
        for _ in 0..FAILURES_A_TURN {
            let Some(failure) = self.failures.pop_front() else { break };
            self.feed(failure);
        }
        for _ in 0..NET_EVENTS_A_TURN {
            let Ok(event) = self.net_events.try_recv() else { break };
            self.on_net_event(event);
            self.tick_if_due();
        }
        for _ in 0..QUERIES_A_TURN {
            let Ok(query) = self.queries.try_recv() else { break };
            self.on_query(query);
            self.tick_if_due();
        }
        if self.upkeep_at <= Instant::now() {
            self.upkeep();
        }
    }

    fn tick_if_due(&mut self) {
        let now = clock::now().time;
        if self.node.poll_timeout().is_some_and(|(deadline, _)| deadline <= now) {
            self.feed(Input::Tick);
        }
    }

    /// Gives the node one input, stamped now, and carries out all that it wants.
    fn feed(&mut self, input: Input) {
        self.node.handle(input, clock::now());
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.node.poll_output() {
            self.carry_out(output);
        }
    }

    fn take_shards(&mut self) {
        let report = self.shards.borrow_and_update().clone();
        if let Some(report) = report {
            self.feed(Input::Shards(report));
        }
    }

    fn on_query(&mut self, query: Query) {
        match query {
            Query::Read(read) => read(&Snapshot {
                node: &self.node,
                now: clock::now(),
                started_ms: self.started_ms,
                net: &self.net_stats,
                malformed: self.strikes.counters(),
                events: self.journal.log(),
                listening: self.announcement.listening(),
                denial: *self.denial.borrow(),
                troubles: &self.troubles.borrow(),
            }),
            Query::Change(change) => {
                change(&mut self.node, clock::now());
                self.drain();
            }
            Query::Leave { reason, done } => {
                tracing::info!(%reason, "this peer leaves the mesh");
                self.feed(Input::Leave { reason });
                self.leave_at.get_or_insert(Instant::now() + LEAVE_SPREAD);
                // Who asked may be gone; the leave stands.
                let _ = done.send(());
            }
        }
    }

    fn upkeep(&mut self) {
        self.upkeep_at = Instant::now() + UPKEEP_INTERVAL;
        self.net_stats = self.net.stats();
        let version = self.node.last_version();
        if version != self.kept_version {
            self.kept_version = version;
            self.node.store_mut().set_last_version(version);
        }
    }
}

#[cfg(test)]
mod tests;
