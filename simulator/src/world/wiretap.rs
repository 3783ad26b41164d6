//! A wiretap on the world: every message as its sender encodes it, before it is encrypted. Off
//! unless asked for; it only listens.

use std::sync::Arc;

use plexmesh_proto::record::Record;
use plexmesh_proto::types::Time;
use plexmesh_proto::view::RecordStore;

use super::World;
use crate::traffic::Channel;
use crate::transport::Message;

/// Most bytes that one wiretap keeps: 64 MiB, an hour of a small mesh. Further messages are counted.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A message that a host gave to its transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Time,
    /// The host that sent it.
    pub from: usize,
    /// The host that it is for.
    pub to: usize,
    /// How it went.
    pub channel: Channel,
    /// What [`plexmesh_proto::wire`] makes of it; of a list of names of broadcasts, the names.
    pub bytes: Box<[u8]>,
}

/// What a wiretap heard.
#[derive(Clone, Debug, Default)]
pub struct Wiretap {
    sent: Vec<Sent>,
    bytes: usize,
    omitted: u64,
}

impl Wiretap {
    /// All messages in the order in which they were sent.
    #[must_use]
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// Messages that were not kept because there were too many.
    #[must_use]
    pub const fn omitted(&self) -> u64 {
        self.omitted
    }
}

impl World {
    /// Keeps all that is sent from now on; what an earlier wiretap heard is dropped.
    pub fn set_wiretap(&mut self) {
        self.wiretap = Some(Box::default());
    }

    /// What the wiretap heard; `None` without one.
    #[must_use]
    pub fn wiretap(&self) -> Option<&Wiretap> {
        self.wiretap.as_deref()
    }

    /// All records that the running node of a host stores, rivals too; none while it is off.
    pub fn stored(&mut self, host: usize) -> Vec<Arc<Record>> {
        let mut records = Vec::new();
        if let Some(node) = self.hosts.get_mut(host).and_then(|host| host.node.as_mut()) {
            node.store_mut().for_each(&mut |record| records.push(record.clone()));
        }
        records
    }

    pub(super) fn overhear(&mut self, from: usize, to: usize, message: &Message) {
        let at = self.now;
        let Some(wiretap) = &mut self.wiretap else { return };
        let bytes = message.encode().into_boxed_slice();
        if wiretap.bytes + bytes.len() > MAX_BYTES {
            wiretap.omitted += 1;
            return;
        }
        wiretap.bytes += bytes.len();
        wiretap.sent.push(Sent { at, from, to, channel: message.channel(), bytes });
    }
}
