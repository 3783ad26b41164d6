//! The state of one connection: two ends that may disagree about whether it lives.

use plexmesh_proto::types::Time;

use super::Pair;
use super::stream::Direction;

/// Which end of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Low,
    High,
}

impl Side {
    /// The pair of two hosts, and on which side of it `at` is.
    pub(super) const fn of(at: usize, peer: usize) -> (Pair, Self) {
        if at < peer { ((at, peer), Self::Low) } else { ((peer, at), Self::High) }
    }
}

/// Both ends.
#[derive(Debug, Default)]
pub(super) struct Connection {
    ends: (End, End),
    /// The epoch whose last handshake flight is still on its way to the answering end.
    pub(super) accepting: Option<u64>,
    pub(super) unwanted_since: Option<Time>,
}

/// One end.
#[derive(Debug, Default)]
pub(super) struct End {
    /// The connection that this end believes in; every handshake makes a new one.
    pub(super) epoch: Option<u64>,
    /// When a packet last came.
    pub(super) heard: Time,
    /// When this end closed.
    pub(super) gone_since: Time,
    /// What it sends.
    pub(super) out: Direction,
}

impl End {
    /// Starts over in a new epoch.
    pub(super) fn begin(&mut self, epoch: u64, now: Time) {
        *self = Self { epoch: Some(epoch), heard: now, ..Self::default() };
    }

    /// Forgets everything but when; gives the epoch that it had.
    pub(super) fn reset(&mut self) -> Option<u64> {
        let epoch = self.epoch.take();
        self.out = Direction::default();
        epoch
    }
}

impl Connection {
    pub(super) const fn end(&self, side: Side) -> &End {
        match side {
            Side::Low => &self.ends.0,
            Side::High => &self.ends.1,
        }
    }

    pub(super) const fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Low => &mut self.ends.0,
            Side::High => &mut self.ends.1,
        }
    }

    /// Whether neither end is left.
    pub(super) const fn is_gone(&self) -> bool {
        self.ends.0.epoch.is_none() && self.ends.1.epoch.is_none()
    }
}
