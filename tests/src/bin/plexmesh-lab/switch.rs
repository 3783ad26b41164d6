//! The switch between agents, without its cables: what becomes of a packet and when it is due. Nothing here reads a clock or a device.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::Ipv4Addr;

use plexmesh_proto::types::Time;
use plexmesh_simulator::links::Fate;
use plexmesh_simulator::measure;
use plexmesh_simulator::paths::Paths;
use plexmesh_simulator::report::Traffic;
use plexmesh_simulator::script::Deed;
use plexmesh_simulator::traffic::{Channel, Meter};
use serde::Serialize;

/// Most packets on their way: two hundred agents that send a full burst of 128 packets each over the slowest path, twice. At 1500 bytes they take 77 MB.
pub(crate) const MAX_WAITING: usize = 51_200;
/// Network of the agents. Nobody outside of their namespaces sees it.
const NETWORK: [u8; 2] = [10, 77];
/// An IPv4 header without options.
const HEADER_BYTES: usize = 20;

/// The address of a host.
pub(crate) fn address(host: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(host + 1).unwrap_or(u16::MAX).to_be_bytes();
    Ipv4Addr::new(NETWORK[0], NETWORK[1], high, low)
}

/// The host with an address.
pub(crate) fn host_at(address: Ipv4Addr) -> Option<usize> {
    let [a, b, high, low] = address.octets();
    if [a, b] != NETWORK {
        return None;
    }
    usize::from(u16::from_be_bytes([high, low])).checked_sub(1)
}

/// What became of packets.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    /// Handed to the switch.
    pub(crate) sent: u64,
    /// Handed over at the other end.
    pub(crate) delivered: u64,
    /// Lost as the scenario says.
    pub(crate) lost: u64,
    /// On a way that is cut.
    pub(crate) blocked: u64,
    /// Before a line that was full.
    pub(crate) queue_full: u64,
    /// From or to a host that is off.
    pub(crate) host_off: u64,
    /// No room in the switch: the machine is too slow for this lab.
    pub(crate) overflowed: u64,
    /// To nobody here.
    pub(crate) strays: u64,
    /// The device of the receiver did not take it.
    pub(crate) not_taken: u64,
}

/// A packet that is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) to: usize,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
struct Waiting {
    due: Time,
    /// Among those that are due together, first come, first served.
    number: u64,
    packet: Packet,
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// All packets on their way, and the paths that they take.
#[derive(Debug)]
pub(crate) struct Switch {
    paths: Paths,
    waiting: BinaryHeap<Reverse<Waiting>>,
    numbered: u64,
    off: Vec<bool>,
    meters: Vec<Meter>,
    counts: Counts,
    /// Sent packets by their size.
    sizes: BTreeMap<usize, u64>,
}

impl Switch {
    pub(crate) fn new(paths: Paths, hosts: usize) -> Self {
        Self {
            paths,
            waiting: BinaryHeap::new(),
            numbered: 0,
            off: vec![false; hosts],
            meters: vec![Meter::default(); hosts],
            counts: Counts::default(),
            sizes: BTreeMap::new(),
        }
    }

    pub(crate) const fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Takes in what a host sends.
    pub(crate) fn take(&mut self, now: Time, from: usize, bytes: &[u8]) {
        let Some(to) = destination(bytes).filter(|to| *to < self.off.len() && *to != from) else {
            self.counts.strays += 1;
            return;
        };
        if self.is_off(from) {
            self.counts.host_off += 1;
            return;
        }
        self.counts.sent += 1;
        *self.sizes.entry(bytes.len()).or_default() += 1;
        if let Some(meter) = self.meters.get_mut(from) {
            meter.sent(now, Channel::Connection, bytes.len());
        }
        match self.paths.send(now, (from, to), bytes.len()) {
            Fate::Arrives { after_us, copies, .. } => {
                for _ in 0..=copies {
                    self.put(now.plus(after_us), Packet { to, bytes: bytes.to_vec() });
                }
            }
            Fate::Lost => self.counts.lost += 1,
            Fate::Blocked => self.counts.blocked += 1,
            Fate::Dropped => self.counts.queue_full += 1,
        }
    }

    /// The next packet that is due by now.
    pub(crate) fn due(&mut self, now: Time) -> Option<Packet> {
        while self.next_due().is_some_and(|due| due <= now) {
            let Reverse(Waiting { packet, .. }) = self.waiting.pop()?;
            if self.is_off(packet.to) {
                self.counts.host_off += 1;
                continue;
            }
            self.counts.delivered += 1;
            if let Some(meter) = self.meters.get_mut(packet.to) {
                meter.received(now, Channel::Connection, packet.bytes.len());
            }
            return Some(packet);
        }
        None
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.waiting.peek().map(|Reverse(waiting)| waiting.due)
    }

    pub(crate) const fn not_taken(&mut self) {
        self.counts.not_taken += 1;
    }

    /// Switches a host off, so that not even its kernel answers, or on again.
    pub(crate) fn set_off(&mut self, host: usize, off: bool) {
        if let Some(place) = self.off.get_mut(host) {
            *place = off;
        }
    }

    /// Does a deed of the script, if it is about paths.
    pub(crate) fn act(&mut self, now: Time, deed: &Deed) {
        self.paths.act(now, deed);
    }

    /// Makes all paths as they were in the beginning. Says whether anything was wrong.
    pub(crate) fn heal(&mut self, now: Time) -> bool {
        self.paths.heal(now)
    }

    /// Counts bytes and packets anew.
    pub(crate) fn reset_traffic(&mut self, now: Time) {
        self.meters.iter_mut().for_each(|meter| meter.reset(now));
        self.counts = Counts::default();
        self.sizes.clear();
    }

    /// What hosts sent and received, what became of it, and sent packets by size in bytes.
    pub(crate) fn traffic(&self, now: Time) -> (Traffic, Counts, BTreeMap<usize, u64>) {
        let meters: Vec<&Meter> = self.meters.iter().collect();
        let mut traffic = measure::traffic_of(&meters, now);
        // A switch sees packets, and no channels.
        traffic.sent_by_channel.clear();
        (traffic, self.counts.clone(), self.sizes.clone())
    }

    fn is_off(&self, host: usize) -> bool {
        self.off.get(host).copied().unwrap_or(true)
    }

    fn put(&mut self, due: Time, packet: Packet) {
        if self.waiting.len() >= MAX_WAITING {
            self.counts.overflowed += 1;
            return;
        }
        self.numbered += 1;
        self.waiting.push(Reverse(Waiting { due, number: self.numbered, packet }));
    }
}

/// To which host an IPv4 packet goes.
fn destination(bytes: &[u8]) -> Option<usize> {
    let header = bytes.get(..HEADER_BYTES)?;
    let version = header.first()? >> 4;
    let octets: [u8; 4] = header.get(16..20)?.try_into().ok()?;
    (version == 4).then(|| host_at(Ipv4Addr::from(octets)))?
}

#[cfg(test)]
mod tests;
