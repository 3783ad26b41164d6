//! A mask: what an honest node says, rewritten.
//!
//! The node behind the mask is honest and sees itself as honest: everything that leaves it is
//! rewritten into the lie, and whatever comes back of the lie is rewritten into what it said. Coded
//! symbols are not rewritten.

use std::sync::Arc;

use plexmesh_proto::exchange::message::{ExchangeAnswer, ExchangeRequest};
use plexmesh_proto::record::{EdgeStatus, Evidence, Kind, Links, MeshId, Payload, Record, SlotKey};
use plexmesh_proto::types::{RecordId, StateDigest};
use plexmesh_proto::view::{RecordStore, Slot, View};

use super::Lie;
use crate::store::SharedStore;
use crate::world::VirtualNode;

/// What stands between a lying peer's node and the network.
#[derive(Debug)]
pub(crate) struct Mask {
    lie: Lie,
    mesh: MeshId,
    /// The node's own report, and what is shown in its place.
    shown: Option<(Arc<Record>, Arc<Record>)>,
    /// The node's digest, and that of its view with the lie in it.
    digests: Option<(StateDigest, StateDigest)>,
}

impl Mask {
    pub(crate) const fn new(lie: Lie, mesh: MeshId) -> Self {
        Self { lie, mesh, shown: None, digests: None }
    }

    /// Takes over what the node says now. To be called before anything is rewritten.
    pub(crate) fn look(&mut self, node: &mut VirtualNode) {
        let key = links_of(node);
        let own = node.store_mut().slot(&key).map(|slot| slot.top);
        let unchanged = match (&own, &self.shown) {
            (Some(own), Some((before, _))) => own == before,
            (None, None) => true,
            _ => false,
        };
        if !unchanged {
            self.shown = own.and_then(|own| {
                let lie = self.forge(node, &own)?;
                Some((own, lie))
            });
            self.digests = None;
        }
        let digest = node.digest();
        if self.digests.is_none_or(|(own, _)| own != digest) {
            self.digests = Some((digest, self.digest_with_lie(node.store_mut().clone(), &key)));
        }
    }

    /// The record as `peer` gets to see it.
    pub(crate) fn show(&self, record: &Arc<Record>, peer: usize) -> Arc<Record> {
        match &self.shown {
            Some((own, lie)) if own == record && self.lies_to(peer) => lie.clone(),
            _ => record.clone(),
        }
    }

    pub(crate) fn show_request(&self, request: &mut ExchangeRequest, peer: usize) {
        request.digest = self.show_digest(request.digest);
        for record in &mut request.push {
            *record = self.show(record, peer);
        }
    }

    pub(crate) fn show_answer(&self, answer: &mut ExchangeAnswer, peer: usize) {
        answer.digest = self.show_digest(answer.digest);
        for record in &mut answer.records {
            *record = self.show(record, peer);
        }
        if let Some((own, lie)) = self.shown.as_ref().filter(|_| self.lies_to(peer)) {
            replace(&mut answer.ids, own.id(), lie.id());
        }
    }

    /// The record as the node behind the mask gets to see it.
    pub(crate) fn hide(&self, record: &Arc<Record>) -> Arc<Record> {
        match &self.shown {
            Some((own, lie)) if lie == record => own.clone(),
            _ => record.clone(),
        }
    }

    pub(crate) fn hide_request(&self, request: &mut ExchangeRequest) {
        request.digest = self.hide_digest(request.digest);
        for record in &mut request.push {
            *record = self.hide(record);
        }
        if let Some((own, lie)) = &self.shown {
            replace(&mut request.wants, lie.id(), own.id());
        }
    }

    pub(crate) fn hide_answer(&self, answer: &mut ExchangeAnswer) {
        answer.digest = self.hide_digest(answer.digest);
        for record in &mut answer.records {
            *record = self.hide(record);
        }
        if let Some((own, lie)) = &self.shown {
            replace(&mut answer.ids, lie.id(), own.id());
        }
    }

    fn lies_to(&self, peer: usize) -> bool {
        self.lie != Lie::Equivocator || !peer.is_multiple_of(2)
    }

    fn show_digest(&self, digest: StateDigest) -> StateDigest {
        self.digests.filter(|(own, _)| *own == digest).map_or(digest, |(_, shown)| shown)
    }

    fn hide_digest(&self, digest: StateDigest) -> StateDigest {
        self.digests.filter(|(_, shown)| *shown == digest).map_or(digest, |(own, _)| own)
    }

    fn forge(&self, node: &mut VirtualNode, own: &Record) -> Option<Arc<Record>> {
        let Payload::Links(links) = own.payload() else { return None };
        let mut links: Links = links.clone();
        let lies = match self.lie {
            Lie::FalseObserver => links.edges.len(),
            // Edges are in the order of ids, so that liars choose the same victims.
            Lie::SelectiveObserver => links.edges.len() / 2,
            _ => 1,
        };
        for edge in links.edges.iter_mut().take(lies) {
            edge.status = EdgeStatus::Lost;
            edge.since = own.version();
            edge.evidence = Some(Evidence {
                missed: 9,
                silence_ms: 9_000,
                surprise: 640,
                ..Evidence::default()
            });
        }
        // Another expiry makes another body even where there is no edge to lie about.
        let expires_s = own.expires_s() - 1;
        let (origin, version, payload) = (own.origin(), own.version(), Payload::Links(links));
        let crypto = node.crypto_mut();
        let forged = Record::sign(crypto, &self.mesh, origin, version, expires_s, payload);
        Some(Arc::new(forged))
    }

    /// The digest that a peer has that believes this one.
    fn digest_with_lie(&self, mut store: SharedStore, key: &SlotKey) -> StateDigest {
        if let Some((own, lie)) = &self.shown {
            let slot = match self.lie {
                Lie::FalseObserver | Lie::SelectiveObserver => {
                    Slot { top: lie.clone(), rival: None }
                }
                _ if own.order() > lie.order() => {
                    Slot { top: own.clone(), rival: Some(lie.clone()) }
                }
                _ => Slot { top: lie.clone(), rival: Some(own.clone()) },
            };
            store.put(key, slot);
        }
        View::open(store, 1).digest()
    }
}

fn links_of(node: &VirtualNode) -> SlotKey {
    SlotKey { origin: node.me(), scope: 0, kind: Kind::LINKS, key: [].into() }
}

fn replace(ids: &mut [RecordId], from: RecordId, to: RecordId) {
    ids.iter_mut().filter(|id| **id == from).for_each(|id| *id = to);
}
