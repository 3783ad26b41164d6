//! The agent's list of recent events: what `plexmesh events` shows.

use std::collections::VecDeque;

use plexmesh_proto::event::Event;

/// How many events the agent remembers. A thousand peers that all change state once still leave room for a day of quiet.
const MAX_EVENTS: usize = 4_096;

/// One event with its place and time.
#[derive(Clone, Debug)]
pub struct EventEntry {
    /// Counts up from 1 within one start of the agent.
    pub sequence: u64,
    /// Unix milliseconds.
    pub at_ms: u64,
    /// What happened.
    pub event: Event,
}

/// The latest events, oldest first.
#[derive(Debug, Default)]
pub struct EventLog {
    entries: VecDeque<EventEntry>,
    next: u64,
    forgotten: u64,
}

impl EventLog {
    /// Adds an event; the oldest goes if the list is full. Gives the entry.
    pub fn push(&mut self, at_ms: u64, event: Event) -> EventEntry {
        if self.entries.len() == MAX_EVENTS {
            self.entries.pop_front();
            self.forgotten += 1;
        }
        self.next += 1;
        let entry = EventEntry { sequence: self.next, at_ms, event };
        self.entries.push_back(entry.clone());
        entry
    }

    /// All remembered events.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &EventEntry> {
        self.entries.iter()
    }

    /// How many were dropped to make room.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }
}
