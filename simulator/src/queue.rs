//! The queue of everything that is going to happen.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use plexmesh_proto::types::Time;

/// Width of a slot of the wheel, as a power of two of microseconds: 512 us hold a few dozen things of a busy world, which are sorted when their time comes.
const SLOT_BITS: u32 = 9;
/// Slots of the wheel: 4 s, within which nearly everything happens that is put in.
const SLOTS: usize = 8_192;

/// Things ordered by time; those of one instant in the order in which they were put in.
///
/// A wheel of slots for what comes soon, and a heap for what comes later: a heap alone would be most of what a world of thousands of hosts does.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    wheel: Vec<Vec<Entry<T>>>,
    /// The slot that is being emptied, latest first.
    current: Vec<Entry<T>>,
    /// Number of the slot after the current one, since the beginning of time.
    next_slot: u64,
    /// Things in the wheel.
    waiting: usize,
    later: BinaryHeap<Entry<T>>,
    sequence: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Time,
    sequence: u64,
    what: T,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            wheel: std::iter::repeat_with(Vec::new).take(SLOTS).collect(),
            current: Vec::new(),
            next_slot: 0,
            waiting: 0,
            later: BinaryHeap::new(),
            sequence: 0,
        }
    }

    pub(crate) fn push(&mut self, at: Time, what: T) {
        let entry = Entry { at, sequence: self.sequence, what };
        self.sequence += 1;
        let slot = slot_of(at);
        if slot < self.next_slot {
            let place = self.current.partition_point(|other| *other < entry);
            self.current.insert(place, entry);
        } else if slot - self.next_slot < SLOTS as u64 {
            self.put(slot, entry);
        } else {
            self.later.push(entry);
        }
    }

    /// The next thing, unless it comes after `until`.
    pub(crate) fn pop_until(&mut self, until: Time) -> Option<(Time, T)> {
        while self.current.is_empty() {
            if !self.advance(slot_of(until)) {
                return None;
            }
        }
        let next = self.current.pop_if(|entry| entry.at <= until)?;
        Some((next.at, next.what))
    }

    fn put(&mut self, slot: u64, entry: Entry<T>) {
        if let Some(slot) = self.wheel.get_mut(slot as usize % SLOTS) {
            slot.push(entry);
            self.waiting += 1;
        }
    }

    /// Takes up the next slot that has anything in it, up to `last`; whether there is one.
    fn advance(&mut self, last: u64) -> bool {
        while self.next_slot <= last {
            if self.waiting == 0 {
                // Nothing for as long as the wheel goes: go on where the heap does.
                let Some(first) = self.later.peek() else { return false };
                self.next_slot = self.next_slot.max(slot_of(first.at)).min(last + 1);
                if self.next_slot > last {
                    return false;
                }
            }
            let end = self.next_slot + SLOTS as u64;
            while self.later.peek().is_some_and(|entry| slot_of(entry.at) < end) {
                if let Some(entry) = self.later.pop() {
                    self.put(slot_of(entry.at), entry);
                }
            }
            let Some(slot) = self.wheel.get_mut(self.next_slot as usize % SLOTS) else {
                return false;
            };
            std::mem::swap(slot, &mut self.current);
            self.next_slot += 1;
            if !self.current.is_empty() {
                self.waiting -= self.current.len();
                self.current.sort_unstable();
                return true;
            }
        }
        false
    }
}

const fn slot_of(at: Time) -> u64 {
    at.0 >> SLOT_BITS
}

impl<T> Ord for Entry<T> {
    /// The earliest is the greatest: the heap gives it first, and it comes last in a sorted slot.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn things_come_by_time_and_then_in_the_order_in_which_they_were_put_in(
            first in proptest::collection::vec(0..20_000_000u64, 0..60),
            later in proptest::collection::vec((0..9_000_000u64, 0..6_000_000u64), 0..60),
        ) {
            let mut queue = Queue::new();
            let mut expected: Vec<(u64, u64)> = Vec::new();
            let mut number = 0;
            let mut put = |queue: &mut Queue<u64>, expected: &mut Vec<(u64, u64)>, at: u64| {
                queue.push(Time(at), number);
                expected.push((at, number));
                number += 1;
            };
            first.iter().for_each(|at| put(&mut queue, &mut expected, *at));
            let (mut now, mut seen) = (0, Vec::new());
            for (step, ahead) in later {
                now += step;
                while let Some((at, what)) = queue.pop_until(Time(now)) {
                    seen.push((at.0, what));
                }
                put(&mut queue, &mut expected, now + ahead);
            }
            while let Some((at, what)) = queue.pop_until(Time(u64::MAX >> 1)) {
                seen.push((at.0, what));
            }
            expected.sort_unstable();
            prop_assert_eq!(seen, expected);
        }
    }
}
