//! Versions never go back: neither at whoever holds a record, nor at whoever writes it.

use std::collections::BTreeMap;

use plexmesh_proto::record::Kind;
use plexmesh_proto::types::{SECOND, Time, Version};

use super::ledger::{Ledger, Place};
use super::truth::Truth;
use crate::report::Check;
use crate::world::World;

/// Up to so many peers, every observer is looked at every time: ten thousand pairs of an observer
/// and an origin, about ten milliseconds' worth.
const SMALL_MESH: usize = 100;
/// Pairs that are looked at in one look at a larger mesh: one or two milliseconds' worth.
const PAIRS_PER_LOOK: usize = 1_500;
/// Pairs whose versions are remembered, by twelve words each: in a mesh of a thousand those of a
/// hundred observers.
const MAX_PAIRS: usize = 100_000;
/// A process that has been running, and connected, for this long has been told by its neighbours
/// which of its versions they know, and has overtaken them.
const TOLD_US: u64 = 30 * SECOND;
/// The kinds that are looked at: all that this version of the protocol knows.
const KINDS: [Kind; 4] = [Kind::PEER, Kind::LINKS, Kind::HEARTBEAT, Kind::LEAVE];

/// The versions of the records of one origin at one host, by kind as in [`KINDS`]; `None` where
/// there is no valid one.
pub(crate) type Held = [Option<Version>; KINDS.len()];

/// Remembers the versions that were held.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    broken: Ledger,
    looked_at: u64,
    observers: BTreeMap<usize, Observer>,
    own: Vec<Own>,
    next_observer: usize,
}

/// What one observer held when it was last looked at.
#[derive(Debug, Default)]
struct Observer {
    running_since: Option<Time>,
    held: Vec<Held>,
}

/// What an origin published.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    /// By kind: what is left of a kind says nothing about one that expired.
    highest: Held,
    /// Since when it runs and is connected.
    in_touch_since: Option<Time>,
    noted: bool,
}

impl Versions {
    pub(crate) fn look(&mut self, world: &World, truths: &[Truth]) {
        self.look_at_origins(world, truths);
        let hosts = truths.len().max(1);
        // The same observers every time, evenly spread, so that there is something to compare with.
        let watched = (MAX_PAIRS / hosts).clamp(1, hosts);
        let turns = match hosts {
            0..=SMALL_MESH => watched,
            _ => (PAIRS_PER_LOOK / hosts).clamp(1, watched),
        };
        for _ in 0..turns {
            let observer = self.next_observer % watched * hosts / watched;
            self.next_observer = (self.next_observer + 1) % watched;
            let Some(truth) = truths.get(observer).filter(|truth| truth.counts()) else { continue };
            let held: Vec<Held> = (0..hosts).map(|origin| held(world, observer, origin)).collect();
            self.compare(world.time(), observer, truth.running_since, held);
        }
    }

    /// Compares what an observer holds of each origin with what it held before, unless its process
    /// is another one.
    pub(crate) fn compare(
        &mut self,
        now: Time,
        observer: usize,
        running_since: Option<Time>,
        held: Vec<Held>,
    ) {
        let known = self.observers.entry(observer).or_default();
        if known.running_since != running_since {
            *known = Observer { running_since, held: Vec::new() };
        }
        known.held.resize(held.len(), Held::default());
        self.looked_at += held.len() as u64;
        for (origin, (before, after)) in known.held.iter_mut().zip(held).enumerate() {
            for ((kind, before), after) in KINDS.iter().zip(before).zip(after) {
                // A record that expired is no older one.
                let Some(after) = after else { continue };
                if let Some(before) = before.filter(|before| *before > after) {
                    self.broken.note(now, Place::between(observer, origin), || {
                        format!("kind {} went back from {} to {}", kind.0, before.0, after.0)
                    });
                }
                *before = Some(after);
            }
        }
    }

    pub(crate) fn check(&self) -> Check {
        let measured = format!("{} views of an origin compared", self.looked_at);
        self.broken.check("monotonic-versions", measured, None)
    }

    fn look_at_origins(&mut self, world: &World, truths: &[Truth]) {
        self.own.resize(truths.len(), Own::default());
        let now = world.time();
        for (host, truth) in truths.iter().enumerate() {
            let node = world.node(host).filter(|_| truth.counts());
            let connected = node.is_some_and(|node| node.connected().next().is_some());
            let versions = held(world, host, host);
            self.compare_own(now, host, connected.then_some(versions));
        }
    }

    /// Compares what an origin holds of itself with what it published before, over all its starts.
    /// `None`: it does not run, or is on its own.
    pub(crate) fn compare_own(&mut self, now: Time, host: usize, held: Option<Held>) {
        if self.own.len() <= host {
            self.own.resize(host + 1, Own::default());
        }
        let Some(own) = self.own.get_mut(host) else { return };
        let Some(held) = held else {
            own.in_touch_since = None;
            return;
        };
        let since = *own.in_touch_since.get_or_insert(now);
        let mut behind = None;
        for (highest, published) in own.highest.iter_mut().zip(held) {
            let Some(published) = published else { continue };
            match *highest {
                Some(highest) if published < highest => behind = Some((highest, published)),
                _ => *highest = Some(published),
            }
        }
        let Some((highest, published)) = behind else {
            own.noted = false;
            return;
        };
        if now.since(since) >= TOLD_US && !own.noted {
            own.noted = true;
            self.broken.note(now, Place::of(host), || {
                format!("it published {} before, and now {}", highest.0, published.0)
            });
        }
    }
}

fn held(world: &World, observer: usize, origin: usize) -> Held {
    let mut held = Held::default();
    if let (Some(node), Some(id)) = (world.node(observer), world.peer_id(origin)) {
        let now = world.now_at(observer);
        for (place, kind) in held.iter_mut().zip(KINDS) {
            *place = node.record(id, kind, now).map(|record| record.version());
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: u64) -> Held {
        [Some(Version(version)), None, None, None]
    }

    #[test]
    fn a_version_that_goes_back_at_an_observer_is_a_violation() {
        let mut versions = Versions::default();
        let start = Some(Time(1));
        for (second, version) in [(1, 5), (2, 6), (3, 6)] {
            versions.compare(Time(second * SECOND), 2, start, vec![of(version)]);
        }
        assert!(versions.check().held);
        versions.compare(Time(4 * SECOND), 2, start, vec![of(4)]);
        let check = versions.check();
        assert_eq!((check.violation_count, check.violations[0].observer), (1, Some(2)));
    }

    #[test]
    fn a_new_process_may_hold_less() {
        let mut versions = Versions::default();
        versions.compare(Time(SECOND), 2, Some(Time(1)), vec![of(5)]);
        versions.compare(Time(2 * SECOND), 2, Some(Time(2 * SECOND)), vec![of(4)]);
        assert!(versions.check().held);
    }

    #[test]
    fn an_origin_that_stays_behind_itself_after_a_restart_is_a_violation() {
        let mut versions = Versions::default();
        versions.compare_own(Time(SECOND), 7, Some(of(50)));
        versions.compare_own(Time(2 * SECOND), 7, None);
        versions.compare_own(Time(3 * SECOND), 7, Some(of(40)));
        assert!(versions.check().held, "its neighbours have not told it yet");
        versions.compare_own(Time(40 * SECOND), 7, Some(of(41)));
        assert_eq!(versions.check().violations[0].subject, Some(7));
    }

    #[test]
    fn an_origin_that_overtakes_itself_after_a_restart_is_fine() {
        let mut versions = Versions::default();
        versions.compare_own(Time(SECOND), 0, Some(of(50)));
        versions.compare_own(Time(2 * SECOND), 0, None);
        versions.compare_own(Time(3 * SECOND), 0, Some(of(40)));
        versions.compare_own(Time(5 * SECOND), 0, Some(of(51)));
        versions.compare_own(Time(60 * SECOND), 0, Some(of(51)));
        assert!(versions.check().held);
    }
}
