//! What is true of a world, whatever its nodes think. All checkers take the truth from here.

use plexmesh_proto::record::Availability;
use plexmesh_proto::types::Time;

pub(crate) use crate::world::Truth;
use crate::world::World;

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
    /// Who has lost `subject`, by the reports that `reader` holds.
    fn reported_lost_by(&self, reader: usize, subject: usize) -> Vec<usize>;
}

impl Outside for World {
    fn truth(&self, host: usize) -> Truth {
        Self::truth(self, host)
    }

    fn parted_since(&self, a: usize, b: usize) -> Option<Time> {
        Self::parted_since(self, a, b)
    }

    fn joined_since(&self, a: usize, b: usize) -> Option<Time> {
        Self::joined_since(self, a, b)
    }

    fn reported_lost_by(&self, reader: usize, subject: usize) -> Vec<usize> {
        Self::reported_lost_by(self, reader, subject)
    }
}

/// Whether a host is expected to sleep at times.
pub(crate) fn is_intermittent(world: &World, host: usize) -> bool {
    let profile = world.hosts.get(host).map(|host| &host.profile);
    profile.is_some_and(|profile| profile.availability == Availability::Intermittent)
}
