//! What happened: a hash over every delivered event, and what the nodes told about it.

use std::collections::BTreeMap;

use plexmesh_proto::Event;
use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::record::EdgeStatus;
use plexmesh_proto::types::Time;

/// Among [`History::counts`]: how often an observer lost a subject. Each of these is an "edge changed" too.
pub const EDGE_LOST: &str = "edge lost";

/// Most remembered state changes. When half a mesh of a thousand loses sight of the other half, it
/// changes its mind half a million times within a second or two: who looks at the history every
/// second misses none of them. They take at most 48 MiB.
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

/// Most remembered pieces of news: a thousand peers hear of a hundred findings. They take at most
/// 4 MiB.
const MAX_NEWS: usize = 100_000;

/// A node heard how many shards of a peer something is wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// When.
    pub at: Time,
    /// Who heard it.
    pub observer: usize,
    /// About whom.
    pub subject: usize,
    /// How many.
    pub count: u32,
}

/// The record of a run.
#[derive(Debug, Default)]
pub struct History {
    changes: Vec<Change>,
    news: Vec<News>,
    counts: BTreeMap<&'static str, u64>,
    first_ups: u64,
    forgotten: u64,
}

impl History {
    /// Changes of state in the order in which they happened; of a long run the youngest half
    /// million or more. That a node first hears of a peer and finds it up is no change: see
    /// [`Self::first_ups`].
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Changes from the one with this number on, as far as they are remembered.
    #[must_use]
    pub fn changes_from(&self, number: u64) -> &[Change] {
        let skip = usize::try_from(number.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        self.changes.get(skip..).unwrap_or_default()
    }

    /// The number that the next change gets: all changes so far, those that are forgotten too.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        self.forgotten + self.changes.len() as u64
    }

    /// How often a node heard of a peer for the first time and found it up.
    #[must_use]
    pub const fn first_ups(&self) -> u64 {
        self.first_ups
    }

    /// News of shards in the order in which they came; the first 100,000.
    #[must_use]
    pub fn news(&self) -> &[News] {
        &self.news
    }

    /// How often each kind of event came.
    #[must_use]
    pub const fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// The oldest changes, which had to make room.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(crate) fn count(&mut self, event: &Event) {
        *self.counts.entry(name(event)).or_default() += 1;
        if matches!(event, Event::EdgeChanged { status: EdgeStatus::Lost, .. }) {
            *self.counts.entry(EDGE_LOST).or_default() += 1;
        }
    }

    pub(crate) fn hear(&mut self, news: News) {
        if self.news.len() < MAX_NEWS {
            self.news.push(news);
        }
    }

    pub(crate) fn change(&mut self, change: Change) {
        if change.from.is_none() && change.to == PeerState::Up {
            self.first_ups += 1;
            return;
        }
        if self.changes.len() >= MAX_CHANGES {
            // Half at once, so that a full history costs no more than one that fills.
            self.changes.drain(..MAX_CHANGES / 2);
            self.forgotten += (MAX_CHANGES / 2) as u64;
        }
        self.changes.push(change);
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
        Event::ShardsChanged { .. } => "shards changed",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn change(second: u64, to: PeerState) -> Change {
        let at = Time(second * plexmesh_proto::types::SECOND);
        let well_since = Some(Time(0));
        Change { at, observer: 3, subject: 4, from: Some(PeerState::Up), to, well_since }
    }

    #[test]
    fn a_change_comes_back_as_it_was_told() {
        let told = [
            change(70, PeerState::Down),
            Change { well_since: None, from: None, ..change(71, PeerState::Left) },
        ];
        let mut history = History::default();
        told.into_iter().for_each(|change| history.change(change));
        assert_eq!(history.changes(), told);
    }

    #[test]
    fn a_first_sight_of_a_peer_that_is_up_is_counted_alone() {
        let mut history = History::default();
        history.change(Change { from: None, ..change(1, PeerState::Up) });
        assert_eq!((history.first_ups(), history.next_number()), (1, 0));
    }

    #[test]
    fn a_full_history_forgets_the_oldest_and_keeps_its_numbers() {
        let mut history = History::default();
        let all = MAX_CHANGES as u64 + 1;
        (0..all).for_each(|second| history.change(change(second, PeerState::Down)));
        assert_eq!(history.next_number(), all);
        assert_eq!(history.forgotten(), MAX_CHANGES as u64 / 2);
        assert_eq!(history.changes_from(all - 1), [change(all - 1, PeerState::Down)]);
        assert_eq!(history.changes_from(0).len() as u64, all - history.forgotten());
    }
}
