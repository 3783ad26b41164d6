//! Which shard is read next.

use std::collections::BTreeSet;
use std::sync::Arc;

/// When it is due in milliseconds since boot, the place of its source, its id.
pub(super) type Entry = (u64, usize, Arc<str>);

/// When a shard is due that is being read.
pub(super) const READING_MS: u64 = u64::MAX;

/// Shards that are to be read, the first one first. Urgent ones go before all others, and are read
/// while the others have to wait for their hours.
#[derive(Debug, Default)]
pub(super) struct Queue {
    urgent: BTreeSet<Entry>,
    usual: BTreeSet<Entry>,
}

impl Queue {
    pub(super) fn insert(&mut self, entry: Entry, is_urgent: bool) {
        let queue = if is_urgent { &mut self.urgent } else { &mut self.usual };
        queue.insert(entry);
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        if !self.urgent.remove(entry) {
            self.usual.remove(entry);
        }
    }

    /// Takes out all of a source.
    pub(super) fn remove_source(&mut self, source: usize) {
        self.urgent.retain(|(_, of, _)| *of != source);
        self.usual.retain(|(_, of, _)| *of != source);
    }

    /// The one that is to be read now.
    pub(super) fn first_due(&self, now_ms: u64, all: bool) -> Option<&Entry> {
        let due = |entry: &&Entry| entry.0 <= now_ms;
        self.urgent.first().filter(due).or_else(|| self.usual.first().filter(due).filter(|_| all))
    }

    /// When the next one is due; of urgent ones alone unless `all` may be read.
    pub(super) fn next_due_ms(&self, all: bool) -> Option<u64> {
        let firsts = [self.urgent.first(), self.usual.first().filter(|_| all)];
        firsts.into_iter().flatten().map(|entry| entry.0).min().filter(|due| *due != READING_MS)
    }

    /// Those that are due, or are being read.
    pub(super) fn waiting(&self, now_ms: u64) -> impl Iterator<Item = &Entry> {
        [&self.urgent, &self.usual].into_iter().flat_map(move |queue| {
            let due = queue.iter().take_while(move |entry| entry.0 <= now_ms);
            due.chain(queue.iter().rev().take_while(|entry| entry.0 == READING_MS))
        })
    }

    /// All.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.urgent.iter().chain(&self.usual)
    }
}
