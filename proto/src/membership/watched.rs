//! The subject's side: which of its observers this peer hears, and which of them hear nothing of it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::frame::Frame;
use crate::types::{MILLI, PeerId, SECOND, Time};

/// An observer silent for this long is told so: more than two probe intervals.
const TELL_AFTER: u64 = 3_600 * MILLI;
/// It is told once in this time.
const TELL_EVERY: u64 = SECOND;
/// And for no longer than this: by then the connection has closed or the observer knows.
const TELL_FOR: u64 = 30 * SECOND;
/// An observer that says for this long that it hears nothing, while its probes come in, is deaf on this edge.
const DEAF_AFTER: u64 = 1_500 * MILLI;

/// A prober that is silent for longer than this, two probe intervals and a little, is not heard any more.
const HEARD_WITHIN: u64 = 3_600 * MILLI;
/// Who probed this peer within this is an acquaintance: the path worked in both directions. It is longer than a crash takes to be noticed by everybody.
const ACQUAINTED_FOR: u64 = 60 * SECOND;
/// Probers remembered, the latest: observers of all rings with their stand-ins, and visitors.
const MAX_PROBERS: usize = 32;

#[derive(Debug, Default)]
struct Observer {
    last_probe: Option<Time>,
    unheard_since: Option<Time>,
    deaf: bool,
    next_tell: Time,
}

/// The observers of this peer.
#[derive(Debug, Default)]
pub(super) struct Watched {
    observers: BTreeMap<PeerId, Observer>,
    probers: BTreeMap<PeerId, Time>,
}

impl Watched {
    /// Sets who observes this peer; whether the deaf among them changed.
    pub(super) fn set_observers(&mut self, observers: impl Iterator<Item = PeerId>) -> bool {
        let mut old = core::mem::take(&mut self.observers);
        for peer in observers {
            let known = old.remove(&peer).unwrap_or_default();
            self.observers.insert(peer, known);
        }
        old.values().any(|observer| observer.deaf)
    }

    /// A probe of `peer` came; whether the deaf changed.
    pub(super) fn on_probe(&mut self, peer: PeerId, unheard: bool, now: Time) -> bool {
        self.remember_prober(peer, now);
        let Some(observer) = self.observers.get_mut(&peer) else { return false };
        observer.last_probe = Some(now);
        if !unheard {
            observer.unheard_since = None;
            return core::mem::take(&mut observer.deaf);
        }
        let since = *observer.unheard_since.get_or_insert(now);
        let deaf = now.since(since) >= DEAF_AFTER;
        let changed = deaf && !observer.deaf;
        observer.deaf |= deaf;
        changed
    }

    fn remember_prober(&mut self, peer: PeerId, now: Time) {
        self.probers.insert(peer, now);
        self.probers.retain(|_, last| now.since(*last) <= ACQUAINTED_FOR);
        if self.probers.len() > MAX_PROBERS {
            let oldest = self.probers.iter().min_by_key(|(_, last)| **last);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.probers.remove(&oldest);
            }
        }
    }

    /// This peer slept: whom it could reach before it may be out of reach now.
    pub(super) fn forget_probers(&mut self) {
        self.probers.clear();
    }

    /// When an observer is to be told next that it is not heard.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.observers.values().filter_map(Observer::tell_at).min()
    }

    /// What to tell whom now.
    pub(super) fn tick(&mut self, now: Time) -> Vec<(PeerId, Frame)> {
        let mut frames = Vec::new();
        for (peer, observer) in &mut self.observers {
            if observer.tell_at().is_none_or(|at| now < at) {
                continue;
            }
            let silence = observer.last_probe.map_or(0, |last| now.since(last));
            if silence > TELL_FOR {
                observer.last_probe = None;
                continue;
            }
            observer.next_tell = now.plus(TELL_EVERY);
            let silence_ms = u32::try_from(silence / MILLI).unwrap_or(u32::MAX);
            frames.push((*peer, Frame::Silent { silence_ms }));
        }
        frames
    }

    /// This process did not run: silence meanwhile was its own.
    pub(super) fn void_silence(&mut self, now: Time) {
        for observer in self.observers.values_mut() {
            observer.last_probe = observer.last_probe.map(|_| now);
        }
    }

    /// Whose probes came lately, rising.
    pub(super) fn probers(&self, now: Time) -> impl Iterator<Item = PeerId> + '_ {
        let heard = move |last: &Time| now.since(*last) <= HEARD_WITHIN;
        self.probers.iter().filter(move |(_, last)| heard(last)).map(|(peer, _)| *peer)
    }

    /// Whether a peer probed this one lately.
    pub(super) fn is_acquainted(&self, peer: &PeerId, now: Time) -> bool {
        self.probers.get(peer).is_some_and(|last| now.since(*last) <= ACQUAINTED_FOR)
    }

    /// Observers that this peer hears though they hear nothing of it, rising.
    pub(super) fn deaf(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.observers.iter().filter(|(_, observer)| observer.deaf).map(|(peer, _)| *peer)
    }
}

impl Observer {
    fn tell_at(&self) -> Option<Time> {
        Some(self.last_probe?.plus(TELL_AFTER).max(self.next_tell))
    }
}
