//! Bounds: queues, views and bytes.

use plexmesh_proto::types::{SECOND, Time};
use plexmesh_proto::view::MAX_UNKNOWN_SLOTS;

use super::ledger::{Ledger, Place, seconds_of};
use super::truth::Truth;
use crate::measure::traffic::{Rates, sent_and_received};
use crate::report::Check;
use crate::scenario::Promises;
use crate::traffic::Bytes;
use crate::world::World;

/// Kinds of record that an honest peer publishes; one of each stands in a view.
const KINDS: usize = 4;
/// Views that are counted in one look: to count one walks over the heartbeats of all peers.
const VIEWS_PER_LOOK: usize = 2;
/// After something went wrong with a host, what had piled up for it comes and goes for this long:
/// an idle timeout of a connection.
const AFTERMATH_US: u64 = 15 * SECOND;

/// Drops of full queues.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    broken: Ledger,
    seen: Option<u64>,
    dropped: u64,
    excused_until: Time,
}

impl Queues {
    /// `overflowed`: drops since the world began. `excused`: whether something is wrong now that
    /// fills queues: then they may overflow, as long as that is counted.
    pub(crate) fn look(&mut self, now: Time, overflowed: u64, excused: bool) {
        let before = self.seen.replace(overflowed).unwrap_or(overflowed);
        let dropped = overflowed.saturating_sub(before);
        if excused {
            self.excused_until = now.plus(AFTERMATH_US);
        }
        if dropped > 0 && now > self.excused_until {
            self.broken.note(now, Place::MESH, || {
                format!("{dropped} messages found a queue full, and nothing is wrong with anybody")
            });
        }
        self.dropped += dropped;
    }

    pub(crate) fn check(&self) -> Check {
        let measured = format!("{} messages found a queue full", self.dropped);
        self.broken.check("bounded-queues", measured, None)
    }
}

/// The size of views.
#[derive(Debug, Default)]
pub(crate) struct Views {
    broken: Ledger,
    largest: usize,
    bound: usize,
    next_viewer: usize,
}

impl Views {
    pub(crate) fn look(&mut self, world: &World, truths: &[Truth]) {
        let hosts = truths.len();
        let liars = truths.iter().filter(|truth| truth.lies).count();
        for _ in 0..VIEWS_PER_LOOK.min(hosts) {
            let host = self.next_viewer % hosts;
            self.next_viewer = host + 1;
            let honest = truths.get(host).is_some_and(|truth| !truth.lies);
            if let Some(node) = world.node(host).filter(|_| honest) {
                let records = node.overview(world.now_at(host)).records;
                self.compare(world.time(), host, records, bound(hosts, liars));
            }
        }
    }

    pub(crate) fn compare(&mut self, now: Time, host: usize, records: usize, bound: usize) {
        self.largest = self.largest.max(records);
        self.bound = self.bound.max(bound);
        if records > bound {
            self.broken.note(now, Place::at(host), || {
                format!("its view holds {records} records; all members together have {bound}")
            });
        }
    }

    pub(crate) fn check(&self) -> Check {
        let measured = format!("largest view: {} records", self.largest);
        let bound = Some(format!("{} records", self.bound));
        self.broken.check("bounded-view", measured, bound)
    }
}

/// Most records that a view may hold: one of each kind of every peer, and of liars as many unknown
/// ones as the protocol lets through.
const fn bound(hosts: usize, liars: usize) -> usize {
    hosts * KINDS + liars * MAX_UNKNOWN_SLOTS
}

/// Bytes that peers send and receive.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    mean_bound: Option<u64>,
    peak_bound: Option<u64>,
    mean: Ledger,
    peak: Ledger,
    rates: Rates,
    highest: u64,
    /// What each host had sent when the fault phase began, and when that was.
    began: Option<(Time, Vec<Bytes>)>,
    worst: Option<(usize, u64)>,
}

impl Traffic {
    pub(crate) fn new(promises: &Promises) -> Self {
        Self {
            mean_bound: promises.mean_bytes_per_second,
            peak_bound: promises.peak_bytes_per_second,
            ..Self::default()
        }
    }

    /// The fault phase begins.
    pub(crate) fn begin(&mut self, world: &World) {
        self.began = Some((world.time(), sent_and_received(world)));
        self.rates = Rates::default();
    }

    /// Looks at the last five seconds.
    pub(crate) fn look(&mut self, world: &World, truths: &[Truth]) {
        self.rates.take(sent_and_received(world));
        for (host, rate) in self.rates.per_second() {
            // What a liar sends is its own affair.
            let lies = truths.get(host).is_some_and(|truth| truth.lies);
            let most = rate.received.max(if lies { 0 } else { rate.sent });
            self.highest = self.highest.max(most);
            if let Some(bound) = self.peak_bound.filter(|bound| most > *bound) {
                self.peak.note(world.time(), Place::at(host), || {
                    format!("{most} bytes a second over five seconds; promised were {bound}")
                });
            }
        }
    }

    /// The fault phase is over.
    pub(crate) fn end(&mut self, world: &World, truths: &[Truth]) {
        let Some((since, before)) = self.began.take() else { return };
        let micros = world.time().since(since).max(1);
        let none = Bytes::default();
        for (host, after) in sent_and_received(world).into_iter().enumerate() {
            if truths.get(host).is_some_and(|truth| truth.lies) {
                continue;
            }
            let sent = after.sent.saturating_sub(before.get(host).unwrap_or(&none).sent);
            let rate = (sent as f64 / seconds_of(micros)) as u64;
            if self.worst.is_none_or(|(_, worst)| rate > worst) {
                self.worst = Some((host, rate));
            }
            if let Some(bound) = self.mean_bound.filter(|bound| rate > *bound) {
                self.mean.note(world.time(), Place::at(host), || {
                    format!("it sent {rate} bytes a second; promised were {bound}")
                });
            }
        }
    }

    pub(crate) fn checks(&self) -> [Check; 2] {
        let unit = |bound: Option<u64>| bound.map(|bound| format!("{bound} B/s"));
        let mean = self.worst.map_or("no fault phase".to_owned(), |(host, rate)| {
            format!("peer {host} sent most: {rate} B/s")
        });
        let peak = format!("highest rate over five seconds: {} B/s", self.highest);
        [
            self.mean.check("mean-bytes", mean, unit(self.mean_bound)),
            self.peak.check("peak-bytes", peak, unit(self.peak_bound)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_without_an_excuse_is_a_violation() {
        let mut queues = Queues::default();
        queues.look(Time(SECOND), 7, false);
        queues.look(Time(2 * SECOND), 7, false);
        assert!(queues.check().held, "what was before the first look is nobody's fault");
        queues.look(Time(3 * SECOND), 9, false);
        assert_eq!(queues.check().violation_count, 1);
    }

    #[test]
    fn an_overflow_at_a_sick_host_is_counted_and_excused() {
        let mut queues = Queues::default();
        queues.look(Time(SECOND), 0, false);
        queues.look(Time(2 * SECOND), 5, true);
        queues.look(Time(10 * SECOND), 6, false);
        assert!(queues.check().held);
        assert!(queues.check().measured.starts_with("6 messages"));
        queues.look(Time(30 * SECOND), 7, false);
        assert!(!queues.check().held);
    }

    #[test]
    fn a_view_with_more_records_than_members_have_is_a_violation() {
        let mut views = Views::default();
        views.compare(Time(0), 1, 40, bound(10, 0));
        assert!(views.check().held);
        views.compare(Time(0), 1, 41, bound(10, 0));
        assert!(!views.check().held);
        assert_eq!(bound(10, 1), 40 + MAX_UNKNOWN_SLOTS);
    }
}
