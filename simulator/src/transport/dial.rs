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
/// negotiation. The agent does not look for a larger packet size than every path takes.
const HANDSHAKE_BYTES: usize = 4_500;
/// The last flight of a handshake, in bytes.
const LAST_FLIGHT_BYTES: usize = 1_000;
/// One padded first packet, in bytes: 1200 of UDP's content, UDP, IP.
const HELLO_BYTES: usize = 1_228;
/// A probe timeout sends two of them (RFC 9002, 6.2.4).
const REPEATED_PACKETS: usize = 2;

impl Transport {
    /// Dials, unless there is a connection or a dial already.
    pub(crate) fn dial(&mut self, sky: &mut Sky<'_>, from: usize, to: usize) {
        if self.epoch(from, to).is_some() || self.dials.contains_key(&(from, to)) {
            return;
        }
        self.last_epoch += 1;
        let dial = self.last_epoch;
        self.dials.insert((from, to), dial);
        let over = WireEvent::DialOver { from: from as u32, to: to as u32, dial };
        sky.push(sky.now.plus(DIAL_TIMEOUT_US), over);
        self.on_dial_attempt(sky, (from, to), dial, 0);
    }

    fn is_running(&self, from: usize, to: usize, dial: u64) -> bool {
        self.dials.get(&(from, to)) == Some(&dial)
    }

    pub(super) fn on_dial_attempt(
        &mut self,
        sky: &mut Sky<'_>,
        (from, to): (usize, usize),
        dial: u64,
        attempt: u32,
    ) {
        if !self.is_running(from, to, dial) {
            return;
        }
        let asleep = self.is_asleep(from);
        if !asleep {
            let packets = if attempt == 0 { 1 } else { REPEATED_PACKETS };
            sky.sent(from, Channel::Connection, packets * HELLO_BYTES);
        }
        let there = if asleep { None } else { sky.one_packet(from, to, HELLO_BYTES) };
        let answers = matches!(self.power(to), Power::On | Power::Off { refuses: true, .. });
        let back = there.filter(|_| answers).and_then(|_| sky.one_packet(to, from, HELLO_BYTES));
        let ends = (from as u32, to as u32);
        if let (Some(there), Some(back)) = (there, back) {
            let answered = Time(there.0 + back.since(sky.now));
            match self.power(to) {
                Power::On => {
                    let start = self.starts.get(to).copied().unwrap_or_default();
                    let event = WireEvent::DialAnswered { from: ends.0, to: ends.1, dial, start };
                    sky.push(answered, event);
                    return;
                }
                Power::Off { refuses: true, .. } => {
                    let event = WireEvent::DialOver { from: ends.0, to: ends.1, dial };
                    sky.push(answered, event);
                    return;
                }
                Power::Off { .. } | Power::Paused(_) | Power::Asleep(_) => {}
            }
        }
        let repeat = sky.now.plus(FIRST_REPEAT_US << attempt.min(3));
        let event = WireEvent::DialAttempt { from: ends.0, to: ends.1, dial, attempt: attempt + 1 };
        sky.push(repeat, event);
    }

    pub(super) fn on_dial_answered(
        &mut self,
        sky: &mut Sky<'_>,
        (from, to): (usize, usize),
        dial: u64,
        start: u32,
    ) {
        let same_process = self.starts.get(to) == Some(&start) && !self.is_off(to);
        if !same_process || !self.is_running(from, to, dial) || self.is_asleep(from) {
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
        let Some(connection) = self.connections.entry(pair) else { return };
        let (_, other) = Side::of(to, from);
        // Both may have dialled at once; then the handshake that ended first serves both.
        let first =
            connection.accepting.filter(|epoch| connection.end(other).epoch == Some(*epoch));
        let epoch = first.unwrap_or(dial);
        connection.end_mut(side).begin(epoch, sky.now);
        connection.unwanted_since = None;
        if first.is_none() {
            connection.accepting = Some(epoch);
            // Whatever is sent next repeats it, so it is only lost with that.
            if let Some(arrival) = sky.one_packet(from, to, LAST_FLIGHT_BYTES) {
                let event = WireEvent::Accepted { from: from as u32, to: to as u32, epoch };
                sky.push(arrival, event);
            }
        }
        self.begin(sky, from, to, epoch, true);
    }

    pub(super) fn on_accepted(&mut self, sky: &mut Sky<'_>, from: usize, to: usize, epoch: u64) {
        let (pair, side) = Side::of(to, from);
        if self.is_off(to) || self.is_asleep(to) {
            return;
        }
        let Some(connection) = self.connections.get_mut(pair) else { return };
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
        let idle = WireEvent::Idle { at: at as u32, peer: peer as u32, epoch };
        sky.push(sky.now.plus(IDLE_TIMEOUT_US), idle);
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
