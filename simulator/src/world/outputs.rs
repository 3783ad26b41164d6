//! The driver's half that carries outputs out.

use plexmesh_proto::Event;
use plexmesh_proto::exchange::message::ExchangeAnswer;
use plexmesh_proto::port::Output;
use plexmesh_proto::types::{RequestId, SECOND, Token};

use super::{Happening, Waiting, World};
use crate::byzantine::Mask;
use crate::history::{Change, News};
use crate::host::Host;
use crate::transport::{Arrival, Arrived, Message};

/// A request without an answer fails after this long; the agent's setting.
const REQUEST_TIMEOUT_US: u64 = 5 * SECOND;

impl World {
    pub(super) fn carry_out(&mut self, index: usize, output: Output) {
        match output {
            Output::Connect { peer, .. } => {
                if let Some(to) = self.host_of(&peer).filter(|&to| to != index) {
                    let (transport, mut sky) = self.wire();
                    transport.dial(&mut sky, index, to);
                }
            }
            Output::Disconnect { peer } => {
                if let Some(peer) = self.host_of(&peer) {
                    let (transport, mut sky) = self.wire();
                    transport.close(&mut sky, index, peer);
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
                if let Some(rogue) = self.rogue(index) {
                    rogue.show_request(&mut request);
                }
                self.ask(index, to, id, Message::Request { id, request: Box::new(request) });
            }
            Output::Answer { token, answer } => self.answer(index, token, answer),
            Output::Broadcast(record) => {
                self.tap_published(index, &record);
                self.publish(index, &record);
            }
            Output::Verdict { token, verdict } => self.judge(index, token, verdict),
            // A node closes connections with whom it bars by itself.
            // The agent closes the connection after several; a liar in a virtual world goes on.
            Output::Forged { .. } => {}
            Output::Admissions(_) => {}
            // The host keeps what it was made with, as one whose disk was restored; the records tell it again.
            Output::Authorities(_) => {}
            // Nothing in a virtual world is encrypted; the heartbeat tells what a node holds.
            Output::KeyEpoch { .. } => {}
            Output::Event(event) => self.told(index, &event),
        }
    }

    pub(super) fn send(&mut self, from: usize, to: usize, message: Message) -> Option<u64> {
        self.overhear(from, to, &message);
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
            if let Some(rogue) = self.rogue(index) {
                rogue.show_answer(&mut answer);
            }
            self.send(index, asker, Message::Answer { id, answer: Box::new(answer) });
        }
    }

    fn told(&mut self, index: usize, event: &Event) {
        self.tap_told(index, event);
        self.history.count(event);
        if let Event::PeerStateChanged { peer, from, to } = event
            && let Some(subject) = self.host_of(peer)
        {
            let well_since = self.hosts.get(subject).and_then(|host| host.well_since);
            let (at, observer, from, to) = (self.now, index, *from, *to);
            self.history.change(Change { at, observer, subject, from, to, well_since });
        }
        if let Event::ShardsChanged { peer, count, .. } = event
            && let Some(subject) = self.host_of(peer)
        {
            let (at, observer, count) = (self.now, index, *count);
            self.history.hear(News { at, observer, subject, count });
        }
        if self.trace {
            eprintln!("{:>12.6} {index:>5} {event:?}", self.elapsed().as_secs_f64());
        }
    }

    /// The mask of a lying host, up to date with its node.
    pub(super) fn mask(&mut self, index: usize) -> Option<&Mask> {
        let Host { node, mask, .. } = self.hosts.get_mut(index)?;
        let (node, mask) = (node.as_mut()?, mask.as_mut()?);
        mask.look(node);
        Some(mask)
    }

    /// Drops what the process of a host has not answered.
    pub(super) fn forget_waiting(&mut self, host: usize) {
        self.waiting.retain(|_, waiting| waiting.host() != host);
    }
}
