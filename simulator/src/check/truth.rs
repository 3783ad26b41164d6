//! What is true of a world, whatever its nodes think. All checkers take the truth from here.

use plexmesh_proto::record::{Availability, Kind, SlotKey};
use plexmesh_proto::types::{PeerId, Time};
use plexmesh_proto::view::{MemoryStore, RecordStore};

use crate::host::Host;
use crate::world::World;

/// What is true of one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Truth {
    /// Since when its process runs, unpaused and awake; `None` if it does not.
    pub(crate) running_since: Option<Time>,
    /// Whether something is wrong with it or its access.
    pub(crate) impaired: bool,
    /// Since when it runs unimpaired.
    pub(crate) well_since: Option<Time>,
    /// Whether it lies.
    pub(crate) lies: bool,
    /// Whether it said good-bye.
    pub(crate) left: bool,
}

impl Truth {
    /// Whether its word counts: it runs, is a member and does not lie.
    pub(crate) const fn counts(&self) -> bool {
        self.running_since.is_some() && !self.lies && !self.left
    }
}

/// Somebody outside, who knows.
pub(crate) trait Outside {
    /// What is true of a host.
    fn truth(&self, host: usize) -> Truth;
    /// Since when nothing passes from one host to the other, or back; `None` while both ways are
    /// open.
    fn parted_since(&self, a: usize, b: usize) -> Option<Time>;
    /// Since when both ways are open; the beginning of time if they always were.
    fn joined_since(&self, a: usize, b: usize) -> Option<Time>;
}

impl Outside for World {
    fn truth(&self, host: usize) -> Truth {
        let Some(host) = self.hosts.get(host) else { return Truth::default() };
        Truth {
            running_since: host.well_since,
            impaired: false,
            well_since: host.well_since,
            lies: host.mask.is_some(),
            left: has_left(host),
        }
    }

    fn parted_since(&self, a: usize, b: usize) -> Option<Time> {
        let ways = [self.links.blocked_since(a, b), self.links.blocked_since(b, a)];
        ways.into_iter().flatten().min()
    }

    fn joined_since(&self, a: usize, b: usize) -> Option<Time> {
        Some(self.links.open_since(a, b)?.max(self.links.open_since(b, a)?))
    }
}

/// Whether a host is expected to sleep at times.
pub(crate) fn is_intermittent(world: &World, host: usize) -> bool {
    let profile = world.hosts.get(host).map(|host| &host.profile);
    profile.is_some_and(|profile| profile.availability == Availability::Intermittent)
}

fn has_left(host: &Host) -> bool {
    match &host.node {
        Some(node) => node.roster().find(&host.id).is_some_and(|member| member.left),
        None => said_good_bye(&host.disk.store, host.id),
    }
}

fn said_good_bye(store: &MemoryStore, origin: PeerId) -> bool {
    let version = |kind| {
        let slot = store.slot(&SlotKey { origin, scope: 0, kind, key: [].into() });
        slot.map(|slot| slot.top.version())
    };
    version(Kind::LEAVE) > version(Kind::PEER)
}
