//! Which shard is read next.

use std::collections::BTreeSet;
use std::sync::Arc;

/// When it is due in milliseconds since boot, the place of its source, its id.
pub(super) type Entry = (u64, usize, Arc<str>);

/// Entries of a lane that are kept of very many: enough that all shards are seldom gone through for
/// the next ones, in less than a megabyte.
const KEPT: usize = 4_096;

/// Shards that are to be read, the first one first. Urgent ones go before all others, and are read
/// while the others have to wait for their hours.
#[derive(Debug, Default)]
pub(super) struct Queue {
    urgent: Lane,
    usual: Lane,
}

/// The first of those that wait: most of a million shards wait for days.
#[derive(Debug, Default)]
struct Lane {
    first: BTreeSet<Entry>,
    /// The last one of those of which none was left out; `None` if none was at all.
    whole_to: Option<Entry>,
}

impl Queue {
    pub(super) fn insert(&mut self, due_ms: u64, source: usize, id: &str, is_urgent: bool) {
        let lane = if is_urgent { &mut self.urgent } else { &mut self.usual };
        lane.insert(due_ms, source, id);
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        if !self.urgent.first.remove(entry) {
            self.usual.first.remove(entry);
        }
    }

    /// Takes out all of a source.
    pub(super) fn remove_source(&mut self, source: usize) {
        for lane in [&mut self.urgent, &mut self.usual] {
            lane.first.retain(|(_, of, _)| *of != source);
        }
    }

    /// Forgets all, so that it has to be filled again.
    pub(super) fn forget(&mut self) {
        for lane in [&mut self.urgent, &mut self.usual] {
            *lane = Lane { first: BTreeSet::new(), whole_to: Some((0, 0, "".into())) };
        }
    }

    /// Whether it ran out of what it kept while more waits. Then it says nothing of what is next until
    /// all that wait were inserted again.
    pub(super) fn begin_refill(&mut self) -> bool {
        let mut is_short = false;
        for lane in [&mut self.urgent, &mut self.usual] {
            if lane.first.is_empty() {
                is_short |= lane.whole_to.take().is_some();
            }
        }
        is_short
    }

    /// The one that is to be read now.
    pub(super) fn first_due(&self, now_ms: u64, all: bool) -> Option<&Entry> {
        self.firsts(all).find(|entry| entry.0 <= now_ms)
    }

    /// When the next one is due; of urgent ones alone unless `all` may be read.
    pub(super) fn next_due_ms(&self, all: bool) -> Option<u64> {
        self.firsts(all).map(|entry| entry.0).min()
    }

    fn firsts(&self, all: bool) -> impl Iterator<Item = &Entry> {
        let lanes = [Some(&self.urgent), Some(&self.usual).filter(|_| all)];
        lanes.into_iter().flatten().filter_map(|lane| lane.first.first())
    }
}

impl Lane {
    fn insert(&mut self, due_ms: u64, source: usize, id: &str) {
        let order = (due_ms, source, id);
        if self.whole_to.as_ref().is_some_and(|(due_ms, source, id)| order > (*due_ms, *source, id))
        {
            return;
        }
        self.first.insert((due_ms, source, id.into()));
        if self.first.len() > 2 * KEPT
            && let Some(after) = self.first.iter().nth(KEPT).cloned()
        {
            self.first.split_off(&after);
            self.whole_to = self.first.last().cloned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all out, the first one first, filling up from `all` where that is asked for.
    fn drained(queue: &mut Queue, all: &mut BTreeSet<Entry>) -> (Vec<u64>, usize) {
        let (mut order, mut refills) = (Vec::new(), 0);
        loop {
            if queue.begin_refill() {
                refills += 1;
                all.iter().for_each(|(due_ms, source, id)| {
                    queue.insert(*due_ms, *source, id, false);
                });
            }
            let Some(entry) = queue.first_due(u64::MAX, true).cloned() else {
                return (order, refills);
            };
            queue.remove(&entry);
            all.remove(&entry);
            order.push(entry.0);
        }
    }

    #[test]
    fn very_many_come_in_order_and_few_are_kept() {
        let mut queue = Queue::default();
        let total = 5 * KEPT as u64;
        // In an order that is neither theirs nor the other way round.
        let mut all: BTreeSet<Entry> =
            (0..total).map(|it| (it * 7_919 % total, 0, it.to_string().into())).collect();
        for (due_ms, source, id) in &all {
            queue.insert(*due_ms, *source, id, false);
            assert!(queue.usual.first.len() <= 2 * KEPT);
        }
        let (order, refills) = drained(&mut queue, &mut all);
        assert_eq!(order, (0..total).collect::<Vec<_>>());
        assert!((1..=5).contains(&refills), "{refills}");
    }

    #[test]
    fn what_becomes_due_before_those_that_were_left_out_is_not_passed_over() {
        let mut queue = Queue::default();
        let mut all: BTreeSet<Entry> =
            (0..3 * KEPT as u64).map(|it| (1_000 + it, 0, it.to_string().into())).collect();
        for (due_ms, source, id) in &all {
            queue.insert(*due_ms, *source, id, false);
        }
        let soon: Entry = (5, 0, "soon".into());
        queue.insert(soon.0, soon.1, &soon.2, false);
        all.insert(soon);
        assert_eq!(queue.next_due_ms(true), Some(5));
        assert_eq!(drained(&mut queue, &mut all).0.len(), 3 * KEPT + 1);
    }

    #[test]
    fn urgent_ones_go_first_and_alone_outside_of_the_hours() {
        let mut queue = Queue::default();
        queue.insert(1, 0, "usual", false);
        queue.insert(2, 0, "urgent", true);
        let first = |all: bool| queue.first_due(9, all).map(|entry| entry.2.to_string());
        assert_eq!((first(true), first(false)), (Some("urgent".into()), Some("urgent".into())));
        assert_eq!((queue.next_due_ms(true), queue.next_due_ms(false)), (Some(1), Some(2)));
    }
}
