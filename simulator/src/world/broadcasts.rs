//! The driver's half that carries broadcasts: publishing, passing on, telling names, fetching.

use std::sync::Arc;

use plexmesh_proto::port::Verdict;
use plexmesh_proto::record::Record;
use plexmesh_proto::types::Token;

use super::{Happening, Waiting, World};
use crate::gossip::Name;
use crate::transport::{Message, Power};

impl World {
    pub(super) fn publish(&mut self, index: usize, record: &Arc<Record>) {
        if !self.gossip.is_new(self.now, index, record.item()) {
            return;
        }
        if let Some(rogue) = self.rogue(index) {
            rogue.hear(record);
        }
        self.keep_broadcast(index, record.clone());
        let peers: Vec<usize> = self.transport.connected(index).collect();
        for peer in peers {
            let shown = match self.mask(index) {
                Some(mask) => mask.show(record, peer),
                None => record.clone(),
            };
            self.gossip.is_new(self.now, index, shown.item());
            self.send(index, peer, Message::Broadcast(shown));
        }
    }

    pub(super) fn judge(&mut self, index: usize, token: Token, verdict: Verdict) {
        let Some(Waiting::Broadcast { from, record, .. }) = self.waiting.remove(&token) else {
            return;
        };
        if verdict != Verdict::Accept {
            return;
        }
        let connected: Vec<usize> = self.transport.connected(index).collect();
        let mesh = self.gossip.mesh(self.now, &mut self.gossip_dice, index, &connected);
        for peer in mesh.into_iter().filter(|&peer| peer != from) {
            self.send(index, peer, Message::Broadcast(record.clone()));
        }
        self.keep_broadcast(index, record);
    }

    /// A heartbeat of gossipsub: tells some peers outside of the mesh what there is.
    pub(super) fn on_gossip(&mut self, index: usize, start: u64) {
        let Some(host) = self.hosts.get(index).filter(|host| host.starts == start) else { return };
        if host.node.is_none() {
            return;
        }
        let (names, next) = self.gossip.beat(self.now, index);
        if let Some(next) = next {
            self.queue.push(next, Happening::Gossip { host: index, start });
        }
        if names.is_empty() || self.transport.power(index) != Power::On {
            return;
        }
        let names: Arc<[Name]> = names.into();
        let connected: Vec<usize> = self.transport.connected(index).collect();
        for peer in self.gossip.listeners(&mut self.gossip_dice, index, &connected) {
            self.send(index, peer, Message::Have(names.clone()));
        }
    }

    /// `peer` told what it has: asks for what this host never saw.
    pub(super) fn on_have(&mut self, index: usize, peer: usize, names: &[Name]) {
        let lacking = self.gossip.lacking(index, names);
        if !lacking.is_empty() {
            self.send(index, peer, Message::Want(lacking.into()));
        }
    }

    /// `peer` asks for messages by name.
    pub(super) fn on_want(&mut self, index: usize, peer: usize, names: &[Name]) {
        for name in names {
            let Some(record) = self.gossip.fetch(index, name) else { continue };
            let shown = match self.mask(index) {
                Some(mask) => mask.show(&record, peer),
                None => record,
            };
            self.send(index, peer, Message::Broadcast(shown));
        }
    }

    fn keep_broadcast(&mut self, index: usize, record: Arc<Record>) {
        let Some(next) = self.gossip.keep(self.now, index, record) else { return };
        if let Some(host) = self.hosts.get(index) {
            self.queue.push(next, Happening::Gossip { host: index, start: host.starts });
        }
    }
}
