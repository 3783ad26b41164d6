//! What happened: a hash over every delivered event, and what the nodes told about it.

use std::collections::BTreeMap;

use plexmesh_proto::Event;
use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::types::Time;

/// Most remembered state changes: every node of a mesh of a thousand changes its mind about every
/// other one once.
const MAX_CHANGES: usize = 1 << 20;

/// A node's judgement of another one changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Time,
    /// Whose judgement.
    pub observer: usize,
    /// About whom.
    pub subject: usize,
    /// What it was; `None` if there was none.
    pub from: Option<PeerState>,
    /// What it is.
    pub to: PeerState,
    /// Since when the subject's process runs without a pause; `None` if it does not.
    pub well_since: Option<Time>,
}

/// The record of a run.
#[derive(Debug, Default)]
pub struct History {
    changes: Vec<Change>,
    counts: BTreeMap<&'static str, u64>,
    forgotten: u64,
}

impl History {
    /// All changes of state, in the order in which they happened.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// How often each kind of event came.
    #[must_use]
    pub const fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// Changes that found no room.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(crate) fn count(&mut self, event: &Event) {
        *self.counts.entry(name(event)).or_default() += 1;
    }

    pub(crate) fn change(&mut self, change: Change) {
        if self.changes.len() < MAX_CHANGES {
            self.changes.push(change);
        } else {
            self.forgotten += 1;
        }
    }
}

const fn name(event: &Event) -> &'static str {
    match event {
        Event::PeerJoined { .. } => "peer joined",
        Event::PeerStateChanged { .. } => "peer state changed",
        Event::EdgeChanged { .. } => "edge changed",
        Event::Equivocation { .. } => "equivocation",
        Event::ClockSkew { .. } => "clock skew",
        Event::IdentityCloned => "identity cloned",
        Event::PartitionChanged { .. } => "partition changed",
        Event::ConvergenceChanged { .. } => "convergence changed",
        Event::LocalHealthChanged { .. } => "local health changed",
        _ => "other",
    }
}

/// A running hash over everything that was delivered: two runs with the same hash were the same
/// run.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    hasher: blake3::Hasher,
    events: u64,
}

impl EventLog {
    pub(crate) fn note(&mut self, at: Time, host: usize, kind: u8, bytes: usize) {
        let mut line = [0; 25];
        let parts = [at.0, host as u64, bytes as u64];
        for (place, part) in line.chunks_mut(8).zip(parts) {
            place.copy_from_slice(&part.to_le_bytes());
        }
        if let Some(last) = line.last_mut() {
            *last = kind;
        }
        self.hasher.update(&line);
        self.events += 1;
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }

    pub(crate) const fn events(&self) -> u64 {
        self.events
    }
}
