//! Short visits to peers that are not ring neighbours: to probe them for another observer, or to measure latency for the coordinates.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::frame::Frame;
use crate::types::{MILLI, PeerId, SECOND, Time};

/// Sequence numbers of watches; errands set the bit above, so that an answer finds its asker.
pub(super) const WATCH_SEQ_MASK: u32 = !ERRAND_SEQ_BIT;
const ERRAND_SEQ_BIT: u32 = 1 << 31;
/// Visits at the same time: each may cost a dial.
const MAX_ERRANDS: usize = 8;
/// Askers of one indirect probe; a subject has five observers.
const MAX_ASKERS: usize = 8;
/// A visit for somebody else ends after this: by then the asker has decided.
const INDIRECT_FOR: u64 = 2 * SECOND;
/// A visit for latency ends after this: a dial across the world and a few probes.
const SCOUT_FOR: u64 = 8 * SECOND;
/// Probes of a visit are this far apart.
const PROBE_EVERY: u64 = 250 * MILLI;
/// Answers of one visit for latency: the first sample of a connection is worthless, and the median of four holds against one late one.
const SCOUT_ANSWERS: u32 = 5;

#[derive(Debug)]
struct Errand {
    askers: Vec<(PeerId, u32)>,
    ends: Time,
    next_probe: Time,
    connected: bool,
    answers: u32,
    sent: Option<(u32, Time)>,
}

/// What came of a visit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Send this.
    Frame(PeerId, Frame),
    /// A round trip was measured, in microseconds.
    Rtt(PeerId, u32),
}

/// All visits under way.
#[derive(Debug, Default)]
pub(super) struct Errands {
    visits: BTreeMap<PeerId, Errand>,
    seq: u32,
    changed: bool,
}

impl Errands {
    /// Begins a visit for `asker`; false if there are too many.
    pub(super) fn indirect(
        &mut self,
        target: PeerId,
        asker: (PeerId, u32),
        connected: bool,
        now: Time,
    ) -> bool {
        if !self.begin(target, connected, now, INDIRECT_FOR) {
            return false;
        }
        let Some(errand) = self.visits.get_mut(&target) else { return false };
        if errand.askers.len() < MAX_ASKERS {
            errand.askers.push(asker);
        }
        true
    }

    /// Begins a visit for latency; false if there are too many.
    pub(super) fn scout(&mut self, target: PeerId, connected: bool, now: Time) -> bool {
        self.begin(target, connected, now, SCOUT_FOR)
    }

    /// Whom to stay connected to.
    pub(super) fn targets(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.visits.keys().copied()
    }

    /// Whether [`Self::targets`] changed since this was last asked.
    pub(super) const fn take_changed(&mut self) -> bool {
        core::mem::replace(&mut self.changed, false)
    }

    pub(super) fn on_connected(&mut self, peer: PeerId, now: Time) {
        if let Some(errand) = self.visits.get_mut(&peer) {
            errand.connected = true;
            errand.next_probe = now;
        }
    }

    pub(super) fn on_disconnected(&mut self, peer: PeerId) {
        if let Some(errand) = self.visits.get_mut(&peer) {
            errand.connected = false;
        }
    }

    /// Whether an answer belongs to a visit.
    pub(super) const fn owns(seq: u32) -> bool {
        seq & ERRAND_SEQ_BIT != 0
    }

    pub(super) fn on_pong(&mut self, peer: PeerId, seq: u32, now: Time) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let Some(errand) = self.visits.get_mut(&peer) else { return outcomes };
        if let Some((_, sent)) = errand.sent.take_if(|(sent_seq, _)| *sent_seq == seq) {
            errand.answers += 1;
            if errand.answers > 1 {
                let rtt_us = u32::try_from(now.since(sent)).unwrap_or(u32::MAX);
                outcomes.push(Outcome::Rtt(peer, rtt_us));
            }
        }
        outcomes.extend(errand.report(true));
        outcomes
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.visits.values().map(|errand| errand.ends.min(errand.next_probe_at())).min()
    }

    pub(super) fn tick(&mut self, now: Time) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let (seq, before) = (&mut self.seq, self.visits.len());
        self.visits.retain(|peer, errand| {
            let done = errand.askers.is_empty() && errand.answers >= SCOUT_ANSWERS;
            if now >= errand.ends || done {
                outcomes.extend(errand.report(false));
                return false;
            }
            if now >= errand.next_probe_at() {
                *seq = seq.wrapping_add(1);
                let seq = *seq | ERRAND_SEQ_BIT;
                errand.sent = Some((seq, now));
                errand.next_probe = now.plus(PROBE_EVERY);
                outcomes.push(Outcome::Frame(
                    *peer,
                    Frame::Probe { seq, unheard: false, own_stream: false },
                ));
            }
            true
        });
        self.changed |= self.visits.len() != before;
        outcomes
    }

    fn begin(&mut self, target: PeerId, connected: bool, now: Time, lasts: u64) -> bool {
        if self.visits.len() >= MAX_ERRANDS && !self.visits.contains_key(&target) {
            return false;
        }
        let ends = now.plus(lasts);
        self.changed = true;
        let errand = self.visits.entry(target).or_insert_with(|| Errand {
            askers: Vec::new(),
            ends,
            next_probe: now,
            connected,
            answers: 0,
            sent: None,
        });
        errand.ends = errand.ends.max(ends);
        true
    }
}

impl Errand {
    fn next_probe_at(&self) -> Time {
        if self.connected { self.next_probe } else { self.ends }
    }

    fn report(&mut self, heard: bool) -> Vec<Outcome> {
        self.askers
            .drain(..)
            .map(|(asker, nonce)| Outcome::Frame(asker, Frame::IndirectReport { nonce, heard }))
            .collect()
    }
}
