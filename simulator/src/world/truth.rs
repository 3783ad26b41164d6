//! What is true, as only somebody outside can know.

use plexmesh_proto::record::EdgeStatus;
use plexmesh_proto::types::Time;

use super::World;
use crate::gossip::MAX_WINDOW;
use crate::host::MAX_INBOX;
use crate::links::PathStats;
use crate::transport::{MAX_STUCK, Power};

/// Most requests of one host without an answer: a node has one exchange under way, and each lasts
/// at most five seconds at four a second.
const MAX_REQUESTS: usize = 32;

/// How a host is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Since when its process runs, neither paused nor asleep; `None` if it does not.
    pub running_since: Option<Time>,
    /// It is slow, starved, asleep, paused, loses packets, has conditions worse than the base, or
    /// half of the ways to it or from it are cut. A wrong clock, a partition and one cut are none
    /// of these.
    pub impaired: bool,
    /// It does not run, is impaired, or a way to it or from it is cut or worse than the base.
    pub troubled: bool,
    /// Since when it runs and is not impaired; `None` if it is not so.
    pub well_since: Option<Time>,
    /// It lies.
    pub lies: bool,
    /// Its operator took it out of the mesh.
    pub left: bool,
}

/// How long the queues of a host are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLengths {
    /// Arrivals that wait for a process that stands still.
    pub inbox: usize,
    /// Arrivals on their way to a slow process.
    pub late: usize,
    /// Requests without an answer.
    pub requests: usize,
    /// Messages on the connection that holds back the most.
    pub stuck: usize,
    /// Broadcasts that others may still fetch.
    pub broadcasts: usize,
}

impl QueueLengths {
    /// The bound of each.
    pub const BOUNDS: Self = Self {
        inbox: MAX_INBOX,
        late: MAX_INBOX,
        requests: MAX_REQUESTS,
        stuck: MAX_STUCK,
        broadcasts: MAX_WINDOW,
    };

    /// Name, length and bound of each.
    #[must_use]
    pub const fn each(&self) -> [(&'static str, usize, usize); 5] {
        let bounds = Self::BOUNDS;
        [
            ("inbox", self.inbox, bounds.inbox),
            ("late arrivals", self.late, bounds.late),
            ("requests", self.requests, bounds.requests),
            ("stuck messages", self.stuck, bounds.stuck),
            ("broadcasts", self.broadcasts, bounds.broadcasts),
        ]
    }
}

impl World {
    /// How a host is.
    #[must_use]
    pub fn truth(&self, host: usize) -> Truth {
        let Some(place) = self.hosts.get(host) else { return Truth::default() };
        let running_since = place.well_since;
        let stands_still =
            matches!(self.transport.power(host), Power::Paused(_) | Power::Asleep(_));
        let unimpaired = place.plight.unimpaired_since().filter(|_| !stands_still);
        Truth {
            running_since,
            impaired: unimpaired.is_none(),
            troubled: running_since.is_none()
                || unimpaired.is_none()
                || self.links.has_troubled_way(host),
            well_since: running_since.zip(unimpaired).map(|(running, since)| running.max(since)),
            lies: place.mask.is_some() || place.rogue.is_some(),
            left: place.plight.left,
        }
    }

    /// Since when packets do not pass at least one way between two hosts; `None` while they pass
    /// both ways. Losses are no parting.
    #[must_use]
    pub fn parted_since(&self, a: usize, b: usize) -> Option<Time> {
        let ways = [(a, b), (b, a)].into_iter();
        ways.filter_map(|(from, to)| self.links.blocked_since(from, to)).min()
    }

    /// Since when packets pass both ways between two hosts; `None` while they do not.
    #[must_use]
    pub fn joined_since(&self, a: usize, b: usize) -> Option<Time> {
        self.links.joined_since(a, b)
    }

    /// Hosts that have lost `subject`, by the reports that `reader` holds.
    #[must_use]
    pub fn reported_lost_by(&self, reader: usize, subject: usize) -> Vec<usize> {
        let found = self
            .node(reader)
            .zip(self.peer_id(subject))
            .and_then(|(node, subject)| Some((node.roster(), node.roster().index_of(&subject)?)));
        let Some((roster, subject)) = found else { return Vec::new() };
        let has_lost = |observer: &u32| {
            let edge = roster.edge_to(*observer, subject);
            edge.is_some_and(|edge| edge.status == EdgeStatus::Lost)
        };
        let observers = (0u32..).zip(roster.members()).filter(|(index, _)| has_lost(index));
        observers.filter_map(|(_, member)| self.host_of(&member.id())).collect()
    }

    /// Whether a way between two hosts is cut or worse than the base, in either direction, whatever
    /// the hosts themselves suffer from.
    #[must_use]
    pub fn path_impaired(&self, a: usize, b: usize) -> bool {
        let way = |from, to| self.links.is_way_impaired(from, to);
        self.parted_since(a, b).is_some() || way(a, b) || way(b, a)
    }

    /// How long the queues of a host are.
    #[must_use]
    pub fn queue_lengths(&self, host: usize) -> QueueLengths {
        let Some(place) = self.hosts.get(host) else { return QueueLengths::default() };
        QueueLengths {
            inbox: place.inbox_len(),
            late: place.plight.late(),
            requests: place.asked.len(),
            stuck: self.transport.queued(host).1,
            broadcasts: self.gossip.kept(host),
        }
    }

    /// Connections of a host, those too that only the other end believes in.
    #[must_use]
    pub fn connection_count(&self, host: usize) -> usize {
        self.transport.queued(host).0
    }

    /// Counts from now on what passes from one host to another. A watched world runs slower.
    pub fn watch_path(&mut self, from: usize, to: usize) {
        self.links.watch(from, to);
    }

    /// What passed since [`Self::watch_path`]; `None` if nobody watches.
    #[must_use]
    pub fn path_stats(&self, from: usize, to: usize) -> Option<&PathStats> {
        self.links.stats(from, to)
    }
}
