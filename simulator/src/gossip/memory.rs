//! Which host saw which message. Kept by message, a bit per host: a mesh at rest has no messages,
//! and then nobody needs any memory.

use std::collections::{HashMap, VecDeque};

use plexmesh_proto::types::{SECOND, Time};

/// A message is remembered for at least this long after it was last new to somebody, and at most
/// for twice as long: the agent's setting of gossipsub's duplicate cache.
const REMEMBERED_US: u64 = 300 * SECOND;
/// Most messages of a world that are remembered: at 10,000 hosts their bits take 80 MB. A flood of
/// a hundred a second stays below.
const MAX_MESSAGES: usize = 1 << 16;

/// The first half of a record's hash.
pub(crate) type Name = [u8; 16];

/// What all hosts remember.
#[derive(Debug, Default)]
pub(super) struct Memory {
    messages: HashMap<Name, Seen>,
    /// When each message has to be looked at next, the earliest first.
    ageing: VecDeque<(Time, Name)>,
}

#[derive(Debug, Default)]
struct Seen {
    by: Vec<u64>,
    /// When a host last saw it for the first time.
    last: Time,
}

impl Memory {
    /// Remembers a message; whether it is new to this host.
    pub(super) fn is_new(&mut self, now: Time, host: usize, name: Name) -> bool {
        self.age(now);
        let ageing = &mut self.ageing;
        let seen = self.messages.entry(name).or_insert_with(|| {
            ageing.push_back((now.plus(REMEMBERED_US), name));
            Seen::default()
        });
        let (word, bit) = place(host);
        if seen.by.len() <= word {
            seen.by.resize(word + 1, 0);
        }
        let Some(bits) = seen.by.get_mut(word) else { return false };
        let is_new = *bits & bit == 0;
        *bits |= bit;
        if is_new {
            seen.last = now;
        }
        is_new
    }

    pub(super) fn knows(&self, host: usize, name: &Name) -> bool {
        let (word, bit) = place(host);
        let bits = self.messages.get(name).and_then(|seen| seen.by.get(word));
        bits.is_some_and(|bits| bits & bit != 0)
    }

    pub(super) fn forget(&mut self, host: usize) {
        let (word, bit) = place(host);
        for seen in self.messages.values_mut() {
            seen.by.get_mut(word).into_iter().for_each(|bits| *bits &= !bit);
        }
    }

    fn age(&mut self, now: Time) {
        while let Some(&(due, name)) = self.ageing.front() {
            let full = self.messages.len() >= MAX_MESSAGES;
            if due > now && !full {
                return;
            }
            self.ageing.pop_front();
            let last = self.messages.get(&name).map_or(Time(0), |seen| seen.last);
            if full || last.plus(REMEMBERED_US) <= now {
                self.messages.remove(&name);
            } else {
                self.ageing.push_back((now.plus(REMEMBERED_US), name));
            }
        }
    }
}

const fn place(host: usize) -> (usize, u64) {
    (host / u64::BITS as usize, 1 << (host % u64::BITS as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_new_once_to_each_host() {
        let mut memory = Memory::default();
        assert!(memory.is_new(Time(0), 0, [1; 16]));
        assert!(!memory.is_new(Time(0), 0, [1; 16]));
        assert!(memory.is_new(Time(0), 70, [1; 16]));
        assert!(memory.is_new(Time(0), 0, [2; 16]));
        memory.forget(0);
        assert!(!memory.knows(0, &[1; 16]) && memory.knows(70, &[1; 16]));
    }

    #[test]
    fn what_nobody_saw_newly_for_long_is_forgotten() {
        let mut memory = Memory::default();
        memory.is_new(Time(0), 0, [1; 16]);
        memory.is_new(Time(200 * SECOND), 1, [1; 16]);
        memory.is_new(Time(400 * SECOND), 0, [2; 16]);
        assert!(memory.knows(0, &[1; 16]));
        memory.is_new(Time(701 * SECOND), 0, [3; 16]);
        assert!(!memory.knows(0, &[1; 16]));
        memory.is_new(Time(2_000 * SECOND), 0, [4; 16]);
        assert_eq!(memory.messages.len(), 1);
    }
}
