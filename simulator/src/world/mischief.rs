//! Peers that do harm by themselves: their deeds, at times of their own.

use plexmesh_proto::types::RequestId;

use super::{Happening, World};
use crate::byzantine::{Lie, Mask, Rogue, Scene};
use crate::transport::{Message, Power};

/// Requests of rogues are numbered from here, past all that a node counts up to: nobody waits for
/// their answers.
const FIRST_ROGUE_REQUEST: u64 = 1 << 63;

impl World {
    /// Makes a host lie from now on, also after it starts again.
    pub fn corrupt(&mut self, host: usize, lie: Lie) {
        let mesh = self.keys.mesh;
        let rogue = Rogue::new(lie, self.seed, host, &self.verified);
        let Some(place) = self.hosts.get_mut(host) else { return };
        match rogue {
            Some(rogue) => place.rogue = Some(rogue),
            None => place.mask = Some(Mask::new(lie, mesh)),
        }
        self.plan_mischief(host);
    }

    /// Puts the next deed of a rogue that runs into the queue.
    pub(super) fn plan_mischief(&mut self, index: usize) {
        let Some(host) = self.hosts.get_mut(index).filter(|host| host.node.is_some()) else {
            return;
        };
        let start = host.starts;
        let Some(rogue) = &mut host.rogue else { return };
        if let Some(pause_us) = rogue.begins(start) {
            self.queue.push(self.now.plus(pause_us), Happening::Mischief { host: index, start });
        }
    }

    pub(super) fn on_mischief(&mut self, index: usize, start: u64) {
        let (now, mesh) = (self.now_at(index), self.keys.mesh);
        let Some(host) = self.hosts.get_mut(index).filter(|host| host.starts == start) else {
            return;
        };
        let (Some(node), Some(rogue)) = (host.node.as_mut(), host.rogue.as_mut()) else { return };
        let again = self.now.plus(rogue.pause_us());
        self.queue.push(again, Happening::Mischief { host: index, start });
        if self.transport.power(index) != Power::On {
            return;
        }
        let deed = rogue.act(node, &Scene { mesh, now });
        let peers: Vec<usize> = self.transport.connected(index).collect();
        for record in &deed.records {
            for &peer in &peers {
                self.send(index, peer, Message::Broadcast(record.clone()));
            }
        }
        for request in &deed.requests {
            for &peer in &peers {
                self.last_token += 1;
                let id = RequestId(FIRST_ROGUE_REQUEST | self.last_token);
                let request = Box::new(request.clone());
                self.send(index, peer, Message::Request { id, request });
            }
        }
    }

    pub(super) fn rogue(&mut self, index: usize) -> Option<&mut Rogue> {
        self.hosts.get_mut(index)?.rogue.as_mut()
    }
}
