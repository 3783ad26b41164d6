//! Connections between hosts, modelled after QUIC as the agent uses it.
//!
//! What is modelled is what a protocol above can notice: a dial takes a round trip and gives up
//! after five seconds; a lost packet delays what stands behind it on its stream; a path that went
//! silent is noticed by each end for itself, at its idle timeout or when the other end's close or
//! reset comes. Congestion windows are not modelled: plexmesh sends far below them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use plexmesh_proto::types::{MILLI, RequestId, SECOND, Time};

use crate::dice::Dice;
use crate::links::{Fate, Links, Load};
use crate::queue::Queue;
use crate::traffic::{Channel, Meter};
use crate::world::Happening;

mod connection;
mod dial;
mod message;
mod parcel;
mod stream;
mod table;

use connection::Side;
use message::ACK_BYTES;
pub(crate) use message::Message;
use parcel::{Parcel, Parcels};
use stream::PROBE_PACKETS_BYTES;
use table::Table;

/// A connection end that hears no packet for this long closes. The agent's setting.
const IDLE_TIMEOUT_US: u64 = 15 * SECOND;
/// A silent end sends a packet this often. The agent's setting; QUIC repeats such a packet until it
/// is acknowledged.
const KEEP_ALIVE_US: u64 = 5 * SECOND;
/// Packets of a connection with nothing to say within one idle timeout: three keep-alives, each
/// repeated by probe timeouts.
const KEEP_ALIVE_PACKETS: usize = 12;
/// A connection that neither end wants closes after this long: libp2p's idle connection timeout.
const UNWANTED_GRACE_US: u64 = 10 * SECOND;
/// Most messages that wait on one direction of one connection. A path that is cut holds what is
/// sent until the idle timeout; the agent's queues are bounded alike.
pub(crate) const MAX_STUCK: usize = 1_024;
/// What a keep-alive or its acknowledgement takes: UDP, IP, a short QUIC header, one frame, its
/// authentication tag.
const KEEP_ALIVE_BYTES: usize = 60;
/// What a close or a reset takes.
const CLOSE_BYTES: usize = 80;

/// Whether a host takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    /// Its kernel still takes packets in; its process does nothing.
    Paused(Time),
    /// The whole host stands still and takes nothing in; its process keeps what it has in memory.
    Asleep(Time),
    /// `refuses`: the kernel answers that nobody listens. Otherwise the host is silent.
    Off {
        since: Time,
        refuses: bool,
    },
}

/// Something that reached a host's process.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) at: usize,
    pub(crate) peer: usize,
    pub(crate) what: Arrived,
}

#[derive(Debug)]
pub(crate) enum Arrived {
    Connected,
    Disconnected,
    DialFailed,
    Message {
        message: Message,
        epoch: u64,
        bytes: usize,
    },
    /// A request of this host was not answered in time, or could not be sent.
    RequestFailed(RequestId),
}

/// A pair of hosts, the lower index first.
pub(crate) type Pair = (usize, usize);

/// What the transport put into the queue for itself. Small, because the queue moves it about.
#[derive(Debug)]
pub(crate) enum WireEvent {
    /// One handshake attempt.
    DialAttempt { from: u32, to: u32, dial: u64, attempt: u32 },
    /// The answer to a handshake attempt is back.
    DialAnswered { from: u32, to: u32, dial: u64, start: u32 },
    /// The handshake has lasted too long, or was refused.
    DialOver { from: u32, to: u32, dial: u64 },
    /// The last flight of a handshake reaches the answering end.
    Accepted { from: u32, to: u32, epoch: u64 },
    /// A message is complete at the other end.
    Deliver { parcel: u32 },
    /// A direction's probe timeout, or the loss detection that came before it.
    Retry { from: u32, to: u32, epoch: u64, turn: u32 },
    /// An end looks at when it last heard something.
    Idle { at: u32, peer: u32, epoch: u64 },
    /// A close or a reset reaches an end.
    Closed { at: u32, peer: u32, epoch: u64 },
    /// Nobody wanted a connection for the grace.
    Unwanted { a: u32, b: u32, since: Time },
}

/// What the transport uses of the world around it.
pub(crate) struct Sky<'a> {
    pub(crate) now: Time,
    pub(crate) links: &'a mut Links,
    pub(crate) dice: &'a mut Dice,
    pub(crate) queue: &'a mut Queue<Happening>,
    pub(crate) meters: &'a mut [Meter],
}

impl Sky<'_> {
    fn push(&mut self, at: Time, event: WireEvent) {
        self.queue.push(at, Happening::Wire(event));
    }

    fn sent(&mut self, at: usize, channel: Channel, bytes: usize) {
        if let Some(meter) = self.meters.get_mut(at) {
            meter.sent(self.now, channel, bytes);
        }
    }

    fn received(&mut self, at: usize, channel: Channel, bytes: usize) {
        if let Some(meter) = self.meters.get_mut(at) {
            meter.received(self.now, channel, bytes);
        }
    }

    /// When one packet sent now arrives; `None` if it does not.
    fn one_packet(&mut self, from: usize, to: usize, bytes: usize) -> Option<Time> {
        self.load(Load { from, to, bytes, packets: 1 }, Channel::Connection)
    }

    /// Whether one of the two pings of a probe timeout is acknowledged.
    fn ping_returns(&mut self, from: usize, to: usize) -> bool {
        let blocked = self.links.is_blocked(from, to) || self.links.is_blocked(to, from);
        let mut passes = |way| self.links.any_passes(self.now, way, (1, 0), self.dice);
        !blocked && (0..2).any(|_| passes((from, to)) && passes((to, from)))
    }

    /// When a load sent now arrives; `None` if it does not. What comes twice takes its bytes: QUIC
    /// throws it away.
    fn load(&mut self, load: Load, channel: Channel) -> Option<Time> {
        let fate = self.links.send(self.now, load, self.dice);
        if let Fate::Arrives { copies: copies @ 1.., .. } = fate {
            self.received(load.to, channel, copies as usize * (load.bytes / load.packets.max(1)));
        }
        fate.after_us().map(|after_us| self.now.plus(after_us))
    }
}

/// All connections of a world.
#[derive(Debug, Default)]
pub(crate) struct Transport {
    power: Vec<Power>,
    /// Starts of each host's process.
    starts: Vec<u32>,
    keep: Vec<BTreeSet<usize>>,
    connections: Table,
    parcels: Parcels,
    /// Running dials, from and to, and their numbers.
    dials: BTreeMap<(usize, usize), u64>,
    /// Numbers dials, and with them the connections that they make.
    last_epoch: u64,
    pub(crate) arrivals: VecDeque<Arrival>,
    /// Messages that found no room on a stuck direction.
    pub(crate) overflowed: u64,
}

impl Transport {
    /// Takes in one more host, switched off.
    pub(crate) fn add_host(&mut self, now: Time) {
        self.power.push(Power::Off { since: now, refuses: false });
        self.starts.push(0);
        self.keep.push(BTreeSet::new());
        self.connections.add_host();
    }

    pub(crate) fn power(&self, host: usize) -> Power {
        self.power.get(host).copied().unwrap_or(Power::Off { since: Time(0), refuses: false })
    }

    pub(crate) fn is_off(&self, host: usize) -> bool {
        matches!(self.power(host), Power::Off { .. })
    }

    /// Hosts that `host` has a usable connection with.
    pub(crate) fn connected(&self, host: usize) -> impl Iterator<Item = usize> + '_ {
        self.connections.usable(host)
    }

    /// Connections of a host, and the longest queue of what it could not yet hand over on one.
    pub(crate) fn queued(&self, host: usize) -> (usize, usize) {
        let stuck = self.connections.all(host).map(|(peer, connection)| {
            let (_, side) = Side::of(host, peer);
            connection.end(side).out.stuck_len()
        });
        stuck.fold((0, 0), |(count, most), stuck| (count + 1, most.max(stuck)))
    }

    pub(crate) fn switch_on(&mut self, host: usize) {
        self.set_power(host, Power::On);
        if let Some(starts) = self.starts.get_mut(host) {
            *starts += 1;
        }
    }

    pub(crate) fn pause(&mut self, host: usize, now: Time) {
        self.set_power(host, Power::Paused(now));
    }

    /// The whole host stands still.
    pub(crate) fn sleep(&mut self, host: usize, now: Time) {
        self.set_power(host, Power::Asleep(now));
    }

    pub(crate) fn is_asleep(&self, host: usize) -> bool {
        matches!(self.power(host), Power::Asleep(_))
    }

    /// Goes on after a sleep: nothing was taken in meanwhile.
    pub(crate) fn wake(&mut self, host: usize) {
        self.set_power(host, Power::On);
    }

    /// Goes on after a pause: what the kernel took in meanwhile counts as heard now.
    pub(crate) fn resume(&mut self, host: usize, now: Time) {
        self.set_power(host, Power::On);
        for peer in self.connected(host).collect::<Vec<_>>() {
            if let Some(end) = self.end_mut(host, peer) {
                end.heard = now;
            }
        }
    }

    /// The process is gone without a word. With `refuses` its kernel resets connections and refuses
    /// dials.
    pub(crate) fn switch_off(&mut self, sky: &mut Sky<'_>, host: usize, refuses: bool) {
        for peer in self.connected(host).collect::<Vec<_>>() {
            let epoch = self.drop_end(host, peer);
            if let (true, Some(epoch)) = (refuses, epoch) {
                self.send_close(sky, host, peer, epoch);
            }
        }
        self.dials.retain(|(from, _), _| *from != host);
        if let Some(keep) = self.keep.get_mut(host) {
            keep.clear();
        }
        self.set_power(host, Power::Off { since: sky.now, refuses });
    }

    /// Sends a message if there is a usable connection; gives that connection's epoch.
    pub(crate) fn send(
        &mut self,
        sky: &mut Sky<'_>,
        from: usize,
        to: usize,
        message: Message,
    ) -> Option<u64> {
        let epoch = self.end_mut(from, to)?.epoch?;
        let bytes = message.wire_bytes();
        sky.sent(from, message.channel(), bytes);
        self.transmit(sky, from, to, epoch, message, bytes);
        Some(epoch)
    }

    /// The epoch of the connection that `at` uses with `peer`.
    pub(crate) fn epoch(&self, at: usize, peer: usize) -> Option<u64> {
        let (pair, side) = Side::of(at, peer);
        self.connections.get(pair)?.end(side).epoch
    }

    /// Takes over whom `host` wants to stay connected to.
    pub(crate) fn keep(&mut self, sky: &mut Sky<'_>, host: usize, wanted: BTreeSet<usize>) {
        if let Some(keep) = self.keep.get_mut(host) {
            *keep = wanted;
        }
        for peer in self.connected(host).collect::<Vec<_>>() {
            self.review(sky, host, peer);
        }
    }

    pub(crate) fn handle(&mut self, sky: &mut Sky<'_>, event: WireEvent) {
        match event {
            WireEvent::DialAttempt { from, to, dial, attempt } => {
                self.on_dial_attempt(sky, (from as usize, to as usize), dial, attempt);
            }
            WireEvent::DialAnswered { from, to, dial, start } => {
                self.on_dial_answered(sky, (from as usize, to as usize), dial, start);
            }
            WireEvent::DialOver { from, to, dial } => {
                self.on_dial_over(from as usize, to as usize, dial);
            }
            WireEvent::Accepted { from, to, epoch } => {
                self.on_accepted(sky, from as usize, to as usize, epoch);
            }
            WireEvent::Deliver { parcel } => {
                if let Some(parcel) = self.parcels.take(parcel) {
                    self.on_deliver(sky, parcel);
                }
            }
            WireEvent::Retry { from, to, epoch, turn } => {
                self.on_retry(sky, from as usize, to as usize, epoch, turn);
            }
            WireEvent::Idle { at, peer, epoch } => {
                self.on_idle(sky, at as usize, peer as usize, epoch);
            }
            WireEvent::Closed { at, peer, epoch } => {
                let (at, peer) = (at as usize, peer as usize);
                if self.epoch(at, peer) == Some(epoch) && !self.is_asleep(at) {
                    self.disconnect(at, peer);
                }
            }
            WireEvent::Unwanted { a, b, since } => {
                self.on_unwanted(sky, (a as usize, b as usize), since);
            }
        }
    }

    fn on_deliver(&mut self, sky: &mut Sky<'_>, parcel: Parcel) {
        let Parcel { from, to, epoch, message, bytes } = parcel;
        let (from, to, bytes) = (from as usize, to as usize, bytes as usize);
        if self.is_off(to) {
            return;
        }
        // A message may overtake the last flight of the handshake; either completes it.
        self.on_accepted(sky, from, to, epoch);
        let Some(end) = self.end_mut(to, from).filter(|end| end.epoch == Some(epoch)) else {
            if !self.is_asleep(to) {
                // Nobody here knows the connection any more: a stateless reset tells the sender.
                self.send_close(sky, to, from, epoch);
            }
            return;
        };
        let quiet_us = sky.now.since(end.heard);
        end.heard = sky.now;
        sky.received(to, message.channel(), bytes);
        acknowledge(sky, from, to, &message);
        count_keep_alives(sky, to, quiet_us);
        // What was on its way when the host fell asleep lies in its kernel until it wakes.
        let what = Arrived::Message { message, epoch, bytes };
        self.arrivals.push_back(Arrival { at: to, peer: from, what });
    }

    fn on_idle(&mut self, sky: &mut Sky<'_>, at: usize, peer: usize, epoch: u64) {
        if self.epoch(at, peer) != Some(epoch) {
            return;
        }
        let now = sky.now;
        let again = WireEvent::Idle { at: at as u32, peer: peer as u32, epoch };
        if self.power(at) != Power::On {
            sky.push(now.plus(IDLE_TIMEOUT_US), again);
            return;
        }
        let mut heard = self.end_mut(at, peer).map_or(now, |end| end.heard);
        if now.since(heard) >= KEEP_ALIVE_US {
            let last = self.last_keep_alive(sky, at, peer, epoch);
            count_keep_alives(sky, at, last.since(heard));
            heard = heard.max(last);
        }
        let deadline = heard.plus(IDLE_TIMEOUT_US);
        if deadline <= now {
            self.close(sky, at, peer);
            return;
        }
        if let Some(end) = self.end_mut(at, peer) {
            end.heard = heard;
        }
        sky.push(deadline, again);
    }

    /// When the last keep-alive of `peer` came, had it nothing else to say.
    fn last_keep_alive(&self, sky: &mut Sky<'_>, at: usize, peer: usize, epoch: u64) -> Time {
        let other_end_gone =
            (self.epoch(peer, at) != Some(epoch)).then(|| self.gone_since(at, peer));
        let silent = match self.power(peer) {
            Power::On => None,
            Power::Paused(since) | Power::Asleep(since) | Power::Off { since, .. } => Some(since),
        };
        let blocked = sky.links.blocked_since(peer, at);
        let quiet_since = [other_end_gone, silent, blocked].into_iter().flatten().min();
        let latest = quiet_since.unwrap_or(sky.now);
        let tries = (KEEP_ALIVE_PACKETS, IDLE_TIMEOUT_US);
        let passed = sky.links.any_passes(sky.now, (peer, at), tries, sky.dice);
        if passed { Time(latest.0.saturating_sub(sky.dice.below(KEEP_ALIVE_US))) } else { Time(0) }
    }

    /// Since when the other end of a half-open connection is gone.
    fn gone_since(&self, at: usize, peer: usize) -> Time {
        let (pair, side) = Side::of(peer, at);
        self.connections.get(pair).map_or(Time(0), |connection| connection.end(side).gone_since)
    }

    /// Closes `at`'s end and tells the other one.
    pub(crate) fn close(&mut self, sky: &mut Sky<'_>, at: usize, peer: usize) {
        let Some(epoch) = self.epoch(at, peer) else { return };
        self.disconnect(at, peer);
        if let Some(end) = self.end_mut(at, peer) {
            end.gone_since = sky.now;
        }
        self.send_close(sky, at, peer, epoch);
    }

    /// A close, or a reset. Sent once; an end that misses it learns by the answer to its next
    /// message.
    fn send_close(&self, sky: &mut Sky<'_>, from: usize, to: usize, epoch: u64) {
        if let Some(arrival) = sky.one_packet(from, to, CLOSE_BYTES) {
            sky.push(arrival, WireEvent::Closed { at: to as u32, peer: from as u32, epoch });
        }
    }

    fn disconnect(&mut self, at: usize, peer: usize) {
        if self.drop_end(at, peer).is_some() {
            let what = Arrived::Disconnected;
            self.arrivals.push_back(Arrival { at, peer, what });
        }
    }

    /// Forgets an end without telling anybody; gives the epoch that it had.
    fn drop_end(&mut self, at: usize, peer: usize) -> Option<u64> {
        let (pair, side) = Side::of(at, peer);
        let connection = self.connections.get_mut(pair)?;
        let epoch = connection.end_mut(side).reset();
        if connection.is_gone() {
            self.connections.remove(pair);
        }
        epoch
    }

    /// Whether either end wants the connection; starts or stops the grace.
    fn review(&mut self, sky: &mut Sky<'_>, a: usize, b: usize) {
        let wants = |one: usize, other: usize| {
            self.epoch(one, other).is_some()
                && self.keep.get(one).is_some_and(|keep| keep.contains(&other))
        };
        let wanted = wants(a, b) || wants(b, a);
        let (pair, _) = Side::of(a, b);
        let Some(connection) = self.connections.get_mut(pair) else { return };
        if wanted {
            connection.unwanted_since = None;
        } else if connection.unwanted_since.is_none() {
            connection.unwanted_since = Some(sky.now);
            let event = when_unwanted(pair, sky.now);
            sky.push(sky.now.plus(UNWANTED_GRACE_US), event);
        }
    }

    fn on_unwanted(&mut self, sky: &mut Sky<'_>, (a, b): Pair, since: Time) {
        let unwanted = self.connections.get((a, b)).and_then(|both| both.unwanted_since);
        if unwanted != Some(since) {
            return;
        }
        let able =
            |&(at, peer): &Pair| self.power(at) == Power::On && self.epoch(at, peer).is_some();
        match [(a, b), (b, a)].into_iter().find(able) {
            Some((at, peer)) => self.close(sky, at, peer),
            // Whoever could close it is paused.
            None => sky.push(sky.now.plus(UNWANTED_GRACE_US), when_unwanted((a, b), since)),
        }
    }

    fn set_power(&mut self, host: usize, power: Power) {
        if let Some(place) = self.power.get_mut(host) {
            *place = power;
        }
    }

    fn end_mut(&mut self, at: usize, peer: usize) -> Option<&mut connection::End> {
        let (pair, side) = Side::of(at, peer);
        self.connections.get_mut(pair).map(|connection| connection.end_mut(side))
    }
}

const fn when_unwanted((a, b): Pair, since: Time) -> WireEvent {
    WireEvent::Unwanted { a: a as u32, b: b as u32, since }
}

/// Counts the keep-alives of a quiet time, and their acknowledgements, at one end. Whichever end
/// sends them, each end sends and receives one packet for each.
fn count_keep_alives(sky: &mut Sky<'_>, at: usize, quiet_us: u64) {
    let bytes = (quiet_us / KEEP_ALIVE_US) as usize * KEEP_ALIVE_BYTES;
    if bytes > 0 {
        sky.sent(at, Channel::Connection, bytes);
        sky.received(at, Channel::Connection, bytes);
    }
}

/// Counts what its receiver `to` sends to do nothing but acknowledge a message. Bytes only: a process that stands
/// still acknowledges when it runs again, and nobody waits for it before its probe timeout.
fn acknowledge(sky: &mut Sky<'_>, from: usize, to: usize, message: &Message) {
    let (packets, bytes) = message.acknowledgements();
    answer_packets(sky, (to, from), message.channel(), (packets, bytes));
    if matches!(message, Message::Frame(frame) if frame.own_stream()) {
        // What came back ended the stream, and is acknowledged for itself.
        answer_packets(sky, (from, to), message.channel(), (1, ACK_BYTES));
    }
}

/// Counts packets that nobody waits for. If they are lost, the probe timeout of the other end asks for
/// them, and gets them.
fn answer_packets(
    sky: &mut Sky<'_>,
    (from, to): (usize, usize),
    channel: Channel,
    (packets, bytes): (usize, usize),
) {
    sky.sent(from, channel, packets * bytes);
    let copies = sky.links.copies((from, to), packets, sky.dice);
    sky.received(to, channel, (packets + copies) * bytes);
    if !sky.links.any_passes(sky.now, (from, to), (1, 0), sky.dice) {
        count_answered_probes(sky, to, from);
    }
}

/// Counts what a probe timeout of `from` sends, and what answers it.
fn count_answered_probes(sky: &mut Sky<'_>, from: usize, to: usize) {
    for (sender, receiver, bytes) in [(from, to, PROBE_PACKETS_BYTES), (to, from, ACK_BYTES)] {
        sky.sent(sender, Channel::Connection, bytes);
        sky.received(receiver, Channel::Connection, bytes);
    }
}

/// QUIC's probe timeout for a path without much variance: RFC 9002, section 6.2.1, with the usual
/// 25 ms of acknowledgement delay.
const fn probe_timeout_us(rtt_us: u64) -> u64 {
    rtt_us + rtt_us / 2 + 25 * MILLI
}

#[cfg(test)]
mod tests;
