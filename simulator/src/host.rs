//! One virtual host: a node, or what a stopped one left behind.

use std::collections::{BTreeMap, VecDeque};

use plexmesh_proto::record::{Certificate, Profile};
use plexmesh_proto::types::{PeerId, RequestId, Time, Version};

use crate::byzantine::{Mask, Rogue};
use crate::store::SharedStore;
use crate::transport::Arrival;
use crate::world::{Plight, VirtualNode};

/// Most arrivals that wait for a paused process; a kernel's socket buffer holds fewer.
pub(crate) const MAX_INBOX: usize = 16 * 1024;

/// A host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) id: PeerId,
    pub(crate) certificate: Certificate,
    pub(crate) profile: Profile,
    /// Hosts that its configuration names.
    pub(crate) seeds: Vec<usize>,
    /// Starts of its process so far.
    pub(crate) starts: u64,
    pub(crate) node: Option<VirtualNode>,
    /// What lies on its disk for the next start.
    pub(crate) disk: Disk,
    /// Its wall clock minus the world's, in milliseconds.
    pub(crate) clock_offset_ms: i64,
    /// When the tick that is in the queue comes.
    pub(crate) armed: Option<Time>,
    /// Since when the process runs without a pause.
    pub(crate) well_since: Option<Time>,
    /// Requests without an answer, and whom they asked.
    pub(crate) asked: BTreeMap<RequestId, usize>,
    pub(crate) mask: Option<Mask>,
    pub(crate) rogue: Option<Rogue>,
    pub(crate) plight: Plight,
    inbox: VecDeque<Arrival>,
    /// Arrivals that found the inbox full.
    pub(crate) inbox_dropped: u64,
}

/// What survives a process.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Records; `None` is an empty disk.
    pub(crate) store: Option<SharedStore>,
    pub(crate) last_version: Version,
    /// Newest epoch of the mesh's secret.
    pub(crate) key_epoch: u32,
}

impl Host {
    pub(crate) fn new(
        id: PeerId,
        certificate: Certificate,
        profile: Profile,
        seeds: Vec<usize>,
    ) -> Self {
        Self {
            id,
            certificate,
            profile,
            seeds,
            starts: 0,
            node: None,
            disk: Disk::default(),
            clock_offset_ms: 0,
            armed: None,
            well_since: None,
            asked: BTreeMap::new(),
            mask: None,
            rogue: None,
            plight: Plight::default(),
            inbox: VecDeque::new(),
            inbox_dropped: 0,
        }
    }

    /// Ends the process; its disk keeps what it had.
    pub(crate) fn stop(&mut self) {
        if let Some(mut node) = self.node.take() {
            self.disk.last_version = node.last_version();
            self.disk.key_epoch = node.key_epoch();
            self.disk.store = Some(node.store_mut().take());
        }
        self.armed = None;
        self.well_since = None;
        self.asked.clear();
        self.inbox.clear();
        self.plight.stop();
    }

    /// Puts something aside until the process goes on.
    pub(crate) fn put_aside(&mut self, arrival: Arrival) {
        if self.inbox.len() < MAX_INBOX {
            self.inbox.push_back(arrival);
        } else {
            self.inbox_dropped += 1;
        }
    }

    pub(crate) fn inbox_len(&self) -> usize {
        self.inbox.len()
    }

    pub(crate) fn take_inbox(&mut self) -> VecDeque<Arrival> {
        std::mem::take(&mut self.inbox)
    }
}
