//! Handshakes.

use plexmesh_proto::types::{SECOND, Time};

use super::connection::Side;
use super::{Arrival, Arrived, IDLE_TIMEOUT_US, Power, Sky, Transport, WireEvent};
use crate::traffic::Channel;

/// A dial gives up after this long: libp2p's QUIC handshake timeout.
const DIAL_TIMEOUT_US: u64 = 5 * SECOND;
/// First repetition of a handshake packet: twice the round trip of 333 ms that QUIC assumes before
/// it knows (RFC 9002, 6.2.2), with half of it as variance, thrice; each further one takes twice as
/// long.
const FIRST_REPEAT_US: u64 = 999_000;
/// What a handshake costs each end, in bytes: hello, certificates, padding, identify and stream
/// negotiation.
const HANDSHAKE_BYTES: usize = 4_500;
/// One padded first packet, in bytes.
const HELLO_BYTES: usize = 1_260;

impl Transport {
    /// Dials, unless there is a connection or a dial already.
    pub(crate) fn dial(&mut self, sky: &mut Sky<'_>, from: usize, to: usize) {
        if self.epoch(from, to).is_some() || self.dials.contains_key(&(from, to)) {
            return;
        }
        self.last_epoch += 1;
        let dial = self.last_epoch;
        self.dials.insert((from, to), dial);
        sky.push(sky.now.plus(DIAL_TIMEOUT_US), WireEvent::DialOver { from, to, dial });
        self.on_dial_attempt(sky, from, to, dial, 0);
    }

    fn is_running(&self, from: usize, to: usize, dial: u64) -> bool {
        self.dials.get(&(from, to)) == Some(&dial)
    }

    pub(super) fn on_dial_attempt(
        &mut self,
        sky: &mut Sky<'_>,
        from: usize,
        to: usize,
        dial: u64,
        attempt: u32,
    ) {
        if !self.is_running(from, to, dial) {
            return;
        }
        sky.sent(from, Channel::Connection, HELLO_BYTES);
        let there = sky.one_packet(from, to);
        let back = sky.one_packet(to, from);
        if let (Some(there), Some(back)) = (there, back) {
            let answered = Time(there.0 + back.since(sky.now));
            match self.power(to) {
                Power::On => {
                    let start = self.starts.get(to).copied().unwrap_or_default();
                    sky.push(answered, WireEvent::DialAnswered { from, to, dial, start });
                    return;
                }
                Power::Off { refuses: true, .. } => {
                    sky.push(answered, WireEvent::DialOver { from, to, dial });
                    return;
                }
                Power::Off { .. } | Power::Paused(_) => {}
            }
        }
        let repeat = sky.now.plus(FIRST_REPEAT_US << attempt.min(3));
        sky.push(repeat, WireEvent::DialAttempt { from, to, dial, attempt: attempt + 1 });
    }

    pub(super) fn on_dial_answered(
        &mut self,
        sky: &mut Sky<'_>,
        from: usize,
        to: usize,
        dial: u64,
        start: u64,
    ) {
        let same_process = self.starts.get(to) == Some(&start) && !self.is_off(to);
        if !same_process || !self.is_running(from, to, dial) {
            return;
        }
        self.dials.remove(&(from, to));
        sky.sent(from, Channel::Connection, HANDSHAKE_BYTES - HELLO_BYTES);
        sky.received(from, Channel::Connection, HANDSHAKE_BYTES);
        sky.sent(to, Channel::Connection, HANDSHAKE_BYTES);
        sky.received(to, Channel::Connection, HANDSHAKE_BYTES);
        if self.epoch(from, to).is_some() {
            return;
        }
        let (pair, side) = Side::of(from, to);
        let connection = self.connections.entry(pair).or_default();
        let (_, other) = Side::of(to, from);
        // Both may have dialled at once; then the handshake that ended first serves both.
        let first =
            connection.accepting.filter(|epoch| connection.end(other).epoch == Some(*epoch));
        let epoch = first.unwrap_or(dial);
        connection.end_mut(side).begin(epoch, sky.now);
        connection.unwanted_since = None;
        if first.is_none() {
            connection.accepting = Some(epoch);
            let arrival = sky.now.plus(sky.links.delay_us(from, to, sky.dice));
            sky.push(arrival, WireEvent::Accepted { from, to, epoch });
        }
        self.begin(sky, from, to, epoch, true);
    }

    pub(super) fn on_accepted(&mut self, sky: &mut Sky<'_>, from: usize, to: usize, epoch: u64) {
        let (pair, side) = Side::of(to, from);
        if self.is_off(to) {
            return;
        }
        let Some(connection) = self.connections.get_mut(&pair) else { return };
        if connection.accepting != Some(epoch) {
            return;
        }
        connection.accepting = None;
        let end = connection.end_mut(side);
        if end.epoch == Some(epoch) {
            return;
        }
        // An end that still believes in an earlier connection goes over to this one without
        // noticing more than that.
        let news = end.epoch.is_none();
        end.begin(epoch, sky.now);
        self.begin(sky, to, from, epoch, news);
    }

    /// An end has begun a new epoch.
    fn begin(&mut self, sky: &mut Sky<'_>, at: usize, peer: usize, epoch: u64, news: bool) {
        sky.push(sky.now.plus(IDLE_TIMEOUT_US), WireEvent::Idle { at, peer, epoch });
        if let Some(connected) = self.connected.get_mut(at) {
            connected.insert(peer);
        }
        if news {
            self.arrivals.push_back(Arrival { at, peer, what: Arrived::Connected });
        }
        self.review(sky, at, peer);
    }

    pub(super) fn on_dial_over(&mut self, from: usize, to: usize, dial: u64) {
        if !self.is_running(from, to, dial) {
            return;
        }
        self.dials.remove(&(from, to));
        if self.epoch(from, to).is_none() {
            self.arrivals.push_back(Arrival { at: from, peer: to, what: Arrived::DialFailed });
        }
    }
}
