//! Streams: in order, nothing lost, at the price of delay.
//!
//! A message whose packet is lost is stuck until the acknowledgement of a later packet tells the
//! sender. Where nothing else is sent, its probe timeout sends two pings to be acknowledged; the
//! message itself follows a round trip later. What stands behind it on the same stream has arrived
//! and waits. One retry event per direction serves all of it.

use std::collections::VecDeque;

use plexmesh_proto::types::{SECOND, Time};

use super::message::packets;
use super::{
    MAX_STUCK, Message, Parcel, Sky, Transport, WireEvent, count_answered_probes, probe_timeout_us,
};
use crate::links::Load;
use crate::traffic::Channel;

/// Longest pause between two probe timeouts. RFC 9002 doubles without end; within an idle timeout
/// of 15 s this cap hardly shows, and it keeps the delay after a cut heals independent of when the
/// cut began.
const MAX_PROBE_TIMEOUT_US: u64 = 3 * SECOND;

/// What a probe timeout sends, in bytes: two packets with nothing but a ping (RFC 9002, 6.2.4).
pub(super) const PROBE_PACKETS_BYTES: usize = 2 * 58;

/// The stream that a message travels on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// The probe stream.
    Frames,
    /// The gossipsub stream.
    Broadcasts,
    /// A stream for this message alone: nothing waits behind it.
    Single,
}

/// What one end sends.
#[derive(Debug, Default)]
pub(super) struct Direction {
    /// Lost messages, and what waits behind them; in the order sent.
    stuck: VecDeque<Stuck>,
    /// When the last message of the two ordered lanes arrives.
    last: [Time; 2],
    /// Probe timeouts in a row.
    tries: u32,
    /// What comes next, and its number: earlier numbers are void.
    retry: Option<Retry>,
    turn: u32,
}

/// What is done about lost messages, and when.
#[derive(Clone, Copy, Debug)]
enum Retry {
    /// The probe timeout asks whether they came.
    Ask(Time),
    /// An acknowledgement tells that they did not.
    Resend(Time),
}

/// A message that cannot be handed over yet.
#[derive(Debug)]
pub(super) struct Stuck {
    message: Message,
    bytes: usize,
    /// When its own packets arrive; `None` if they were lost.
    arrives: Option<Time>,
}

impl Direction {
    pub(super) fn stuck_len(&self) -> usize {
        self.stuck.len()
    }

    fn holds_back(&self, lane: Lane) -> bool {
        lane != Lane::Single && self.stuck.iter().any(|stuck| stuck.message.lane() == lane)
    }

    /// The earliest arrival that keeps the order of the lane.
    fn in_order(&mut self, lane: Lane, arrival: Time) -> Time {
        let last = match lane {
            Lane::Frames => self.last.first_mut(),
            Lane::Broadcasts => self.last.last_mut(),
            Lane::Single => None,
        };
        let Some(last) = last else { return arrival };
        *last = arrival.max(*last);
        *last
    }
}

impl Transport {
    /// Sends the packets of one message.
    pub(super) fn transmit(
        &mut self,
        sky: &mut Sky<'_>,
        from: usize,
        to: usize,
        epoch: u64,
        message: Message,
        bytes: usize,
    ) {
        let lane = message.lane();
        // A host that sleeps takes nothing in: for QUIC that is a loss.
        let arrival = if self.is_asleep(to) {
            None
        } else {
            let load = Load { from, to, bytes, packets: packets(bytes) };
            sky.load(load, message.channel())
        };
        let Some(end) = self.end_mut(from, to) else { return };
        let out = &mut end.out;
        if let Some(arrival) = arrival.filter(|_| !out.holds_back(lane)) {
            let arrival = out.in_order(lane, arrival);
            let is_stuck = !out.stuck.is_empty();
            self.dispatch(sky, arrival, (from, to), epoch, message, bytes);
            if !is_stuck {
                return;
            }
        } else if out.stuck.len() < MAX_STUCK {
            out.stuck.push_back(Stuck { message, bytes, arrives: arrival });
        } else {
            self.overflowed += 1;
            return;
        }
        // A gap is acknowledged at once, by a packet that can be lost like any other.
        let acknowledged = arrival.is_some()
            && !sky.links.is_blocked(to, from)
            && sky.links.any_passes(sky.now, (to, from), (1, 0), sky.dice);
        let rtt_us = sky.links.rtt_us(from, to);
        if acknowledged {
            // Lost is what is older than 9/8 of a round trip (RFC 9002, 6.1.2): most is when the
            // acknowledgement comes, the rest soon after.
            self.plan_resend(sky, (from, to), epoch, rtt_us + rtt_us / 4);
        } else {
            self.plan_question(sky, (from, to), epoch);
        }
    }

    /// Puts a message on its way.
    fn dispatch(
        &mut self,
        sky: &mut Sky<'_>,
        arrival: Time,
        (from, to): (usize, usize),
        epoch: u64,
        message: Message,
        bytes: usize,
    ) {
        let (from, to, bytes) = (from as u32, to as u32, bytes as u32);
        let parcel = self.parcels.put(Parcel { from, to, epoch, bytes, message });
        sky.push(arrival, WireEvent::Deliver { parcel });
    }

    /// An acknowledgement tells of the loss after this time.
    fn plan_resend(
        &mut self,
        sky: &mut Sky<'_>,
        (from, to): (usize, usize),
        epoch: u64,
        after_us: u64,
    ) {
        let at = sky.now.plus(after_us);
        let Some(end) = self.end_mut(from, to) else { return };
        let out = &mut end.out;
        out.tries = 0;
        if matches!(out.retry, Some(Retry::Resend(planned)) if planned <= at) {
            return;
        }
        self.plan(sky, (from, to), epoch, Retry::Resend(at));
    }

    /// Whatever is sent starts the probe timeout anew (RFC 9002, 6.2.1); an acknowledgement that is
    /// on its way comes when it comes.
    fn plan_question(&mut self, sky: &mut Sky<'_>, (from, to): (usize, usize), epoch: u64) {
        let rtt_us = sky.links.rtt_us(from, to);
        let Some(end) = self.end_mut(from, to) else { return };
        let out = &end.out;
        if out.stuck.is_empty() || matches!(out.retry, Some(Retry::Resend(_))) {
            return;
        }
        let timeout = (probe_timeout_us(rtt_us) << out.tries.min(8)).min(MAX_PROBE_TIMEOUT_US);
        let at = sky.now.plus(timeout);
        self.plan(sky, (from, to), epoch, Retry::Ask(at));
    }

    fn plan(&mut self, sky: &mut Sky<'_>, (from, to): (usize, usize), epoch: u64, retry: Retry) {
        let Some(end) = self.end_mut(from, to) else { return };
        end.out.retry = Some(retry);
        end.out.turn = end.out.turn.wrapping_add(1);
        let turn = end.out.turn;
        let (Retry::Ask(at) | Retry::Resend(at)) = retry;
        sky.push(at, WireEvent::Retry { from: from as u32, to: to as u32, epoch, turn });
    }

    /// What was planned about lost messages is due.
    pub(super) fn on_retry(
        &mut self,
        sky: &mut Sky<'_>,
        from: usize,
        to: usize,
        epoch: u64,
        turn: u32,
    ) {
        if self.epoch(from, to) != Some(epoch) {
            return;
        }
        let Some(end) = self.end_mut(from, to).filter(|end| end.out.turn == turn) else { return };
        match end.out.retry.take() {
            Some(Retry::Ask(_)) => self.ask(sky, (from, to), epoch),
            Some(Retry::Resend(_)) => self.resend(sky, (from, to), epoch),
            None => {}
        }
    }

    /// Sends two pings, whose acknowledgements tell of the loss.
    fn ask(&mut self, sky: &mut Sky<'_>, (from, to): (usize, usize), epoch: u64) {
        let stands_still = self.is_asleep(from);
        if stands_still || self.is_asleep(to) || !sky.ping_returns(from, to) {
            if !stands_still {
                sky.sent(from, Channel::Connection, PROBE_PACKETS_BYTES);
            }
            if let Some(end) = self.end_mut(from, to) {
                end.out.tries += 1;
            }
            self.plan_question(sky, (from, to), epoch);
            return;
        }
        count_answered_probes(sky, from, to);
        let rtt_us = sky.links.rtt_us(from, to);
        self.plan_resend(sky, (from, to), epoch, rtt_us);
    }

    /// Sends everything that is stuck once more. It shares packets, so it passes or is lost as one.
    fn resend(&mut self, sky: &mut Sky<'_>, (from, to): (usize, usize), epoch: u64) {
        let stands_still = self.is_asleep(from);
        let reachable = !stands_still && !self.is_asleep(to);
        let Some(end) = self.end_mut(from, to) else { return };
        let lost = end.out.stuck.iter().filter(|stuck| stuck.arrives.is_none());
        let bytes = lost.clone().map(|stuck| stuck.bytes).sum::<usize>();
        if !stands_still {
            for stuck in lost {
                sky.sent(from, stuck.message.channel(), stuck.bytes);
            }
        }
        let arrival = if reachable { sky.one_packet(from, to, bytes) } else { None };
        let Some(arrival) = arrival else {
            self.plan_question(sky, (from, to), epoch);
            return;
        };
        for Stuck { message, bytes, arrives } in std::mem::take(&mut end.out.stuck) {
            let complete = arrives.unwrap_or(arrival).max(arrival);
            let Some(end) = self.end_mut(from, to) else { return };
            let complete = end.out.in_order(message.lane(), complete);
            self.dispatch(sky, complete, (from, to), epoch, message, bytes);
        }
    }
}
