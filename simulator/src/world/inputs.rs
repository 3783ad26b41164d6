//! The driver's half that gives inputs: what reaches a host becomes an input of its node, and its
//! timer is kept.

use std::sync::Arc;

use plexmesh_proto::port::Input;
use plexmesh_proto::record::Record;
use plexmesh_proto::types::{MILLI, PeerId, RequestId, Time, Token};
use plexmesh_proto::{Config, Node};

use super::{Happening, Waiting, World};
use crate::keys::VirtualCrypto;
use crate::store::SharedStore;
use crate::transport::{Arrival, Arrived, Message, Power};

/// Timers fire at the next full step, as those of the agent's runtime do.
const TIMER_STEP_US: u64 = MILLI;

impl World {
    /// Starts a host's process from what lies on its disk.
    pub(super) fn boot(&mut self, index: usize) {
        let now = self.now_at(index);
        let peers = |seeds: &[usize]| seeds.iter().filter_map(|&seed| self.peer_id(seed)).collect();
        let Some(seeds) = self.hosts.get(index).map(|host| peers(&host.seeds)) else { return };
        let Some(host) = self.hosts.get_mut(index).filter(|host| host.node.is_none()) else {
            return;
        };
        let disk = std::mem::take(&mut host.disk);
        let config = Config {
            mesh: self.keys.mesh,
            authorities: Arc::new(
                vec![self.keys.authority.peer_id(), self.keys.spare.peer_id()].into(),
            ),
            certificate: host.certificate.clone(),
            profile: host.profile.clone(),
            seeds,
            last_version: disk.last_version,
            key_epoch: disk.key_epoch,
        };
        host.starts += 1;
        let (start, verified) = (host.starts, self.verified.clone());
        let crypto = VirtualCrypto::new(self.seed, "peer", index as u64, start, verified);
        let store = disk.store.unwrap_or_else(|| SharedStore::new(&self.shelf));
        host.node = Some(Node::new(config, crypto, store, now));
        host.well_since = Some(self.now);
        host.plight.left = false;
        self.gossip.forget(index);
        self.transport.switch_on(index);
        self.feed(index, Input::Start, 0);
        self.plan_mischief(index);
    }

    pub(super) fn on_tick(&mut self, index: usize, start: u64) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(index) else { return };
        if host.starts != start || host.armed != Some(now) {
            return;
        }
        host.armed = None;
        if self.transport.power(index) != Power::On {
            return;
        }
        if let Some(until) = host.plight.stalls_until(now) {
            host.armed = Some(until);
            self.queue.push(until, Happening::Tick { host: index, start });
            return;
        }
        let due = host.node.as_ref().and_then(|node| node.poll_timeout());
        if due.is_some_and(|(due, _)| due <= now) {
            self.feed(index, Input::Tick, 0);
        } else {
            self.arm(index);
        }
    }

    pub(super) fn on_request_over(&mut self, index: usize, start: u64, id: RequestId) {
        let Some(host) = self.hosts.get(index).filter(|host| host.starts == start) else { return };
        if let Some(&peer) = host.asked.get(&id) {
            let what = Arrived::RequestFailed(id);
            self.transport.arrivals.push_back(Arrival { at: index, peer, what });
        }
    }

    /// Something reached a process, if it does not stand still.
    pub(super) fn reach(&mut self, arrival: Arrival) {
        let Some(arrival) = self.hold_back(arrival) else { return };
        let Arrival { at, peer, what } = arrival;
        let Some(id) = self.peer_id(peer) else { return };
        match what {
            Arrived::Connected => self.feed(at, Input::Connected { peer: id }, 0),
            Arrived::Disconnected => {
                self.feed(at, Input::Disconnected { peer: id }, 0);
                self.fail_requests(at, peer);
            }
            Arrived::DialFailed => self.feed(at, Input::DialFailed { peer: id }, 0),
            Arrived::RequestFailed(request) => {
                if self.hosts.get_mut(at).is_some_and(|host| host.asked.remove(&request).is_some())
                {
                    self.feed(at, Input::RequestFailed { id: request }, 0);
                }
            }
            Arrived::Message { message, epoch, bytes } => {
                let noted = self.tap_incoming(at, peer, &message);
                self.on_message(at, (peer, id), message, epoch, bytes);
                self.tap_taken(noted);
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
            Message::Frame(frame) => self.feed(at, Input::Frame { from, frame }, bytes),
            Message::Request { id, request } => {
                let token = self.wait(Waiting::Request { host: at, asker: peer, id, epoch });
                let mut request = *request;
                if let Some(mask) = self.mask(at) {
                    mask.hide_request(&mut request);
                }
                self.feed(at, Input::Request { from, token, request }, bytes);
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
                if let Some(rogue) = self.rogue(at) {
                    answer.records.iter().for_each(|record| rogue.hear(record));
                }
                self.feed(at, Input::Answer { id, answer }, bytes);
            }
            Message::Broadcast(record) => {
                if self.gossip.is_new(self.now, at, record.item()) {
                    if let Some(rogue) = self.rogue(at) {
                        rogue.hear(&record);
                    }
                    let record = match self.mask(at) {
                        Some(mask) => mask.hide(&record),
                        None => record,
                    };
                    self.pass_broadcast(at, peer, from, record, bytes);
                }
            }
            Message::Have(names) => self.on_have(at, peer, &names),
            Message::Want(names) => self.on_want(at, peer, &names),
        }
    }

    pub(super) fn pass_broadcast(
        &mut self,
        at: usize,
        peer: usize,
        from: PeerId,
        record: Arc<Record>,
        bytes: usize,
    ) {
        let waiting = Waiting::Broadcast { host: at, from: peer, record: record.clone() };
        let token = self.wait(waiting);
        self.feed(at, Input::Broadcast { from, token, record }, bytes);
    }

    fn fail_requests(&mut self, at: usize, peer: usize) {
        let Some(host) = self.hosts.get_mut(at) else { return };
        let failed: Vec<RequestId> =
            host.asked.iter().filter(|(_, asked)| **asked == peer).map(|(id, _)| *id).collect();
        for id in failed {
            if self.hosts.get_mut(at).is_some_and(|host| host.asked.remove(&id).is_some()) {
                self.feed(at, Input::RequestFailed { id }, 0);
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
    pub(super) fn feed(&mut self, index: usize, input: Input, bytes: usize) {
        self.log.note(self.now, index, kind_of(&input), bytes);
        let now = self.now_at(index);
        let Some(node) = self.hosts.get_mut(index).and_then(|host| host.node.as_mut()) else {
            return;
        };
        node.handle(input, now);
        self.drain(index);
    }

    /// Carries out all that a node wants, and makes sure that it wakes in time.
    pub(super) fn drain(&mut self, index: usize) {
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
    pub(super) fn arm(&mut self, index: usize) {
        let Some(host) = self.hosts.get_mut(index) else { return };
        let Some((due, _)) = host.node.as_ref().and_then(|node| node.poll_timeout()) else {
            return;
        };
        let due = Time(due.0.max(self.now.0 + 1).next_multiple_of(TIMER_STEP_US));
        // An earlier tick looks again when it comes.
        if host.armed.is_none_or(|armed| armed > due) {
            host.armed = Some(due);
            self.queue.push(due, Happening::Tick { host: index, start: host.starts });
        }
    }
}

/// What an input is, for the event log.
const fn kind_of(input: &Input) -> u8 {
    match input {
        Input::Start => 0,
        Input::Tick => 1,
        Input::Connected { .. } => 2,
        Input::Disconnected { .. } => 3,
        Input::DialFailed { .. } => 4,
        Input::Frame { .. } => 5,
        Input::Request { .. } => 6,
        Input::Answer { .. } => 7,
        Input::RequestFailed { .. } => 8,
        Input::Broadcast { .. } => 9,
        Input::Resources(_) => 10,
        Input::Profile(_) => 11,
        Input::Leave { .. } => 12,
        Input::Shards(_) => 13,
    }
}
