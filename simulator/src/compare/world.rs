//! A world of datagrams: the paths, dice and queue of the simulator, with another protocol in the
//! place of each peer.

use std::time::Duration;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::types::{MILLI, SECOND, Time};

use super::machine::{Birth, Letter, Machine, Outbox};
use super::tally::Mesh;
use crate::check::Outside;
use crate::dice::{Chance, Dice};
use crate::history::{Change, EventLog, History};
use crate::links::{Fate, LatencyModel, Links, Load, Rules};
use crate::queue::Queue;
use crate::scenario::Conditions;
use crate::traffic::Bytes;
use crate::weather::Ground;
use crate::world::{Truth, micros};

/// What a fragment of a datagram carries at most: what the 1,500 bytes of an Ethernet frame leave
/// on a path with a tunnel or two, and foca's own packet size.
const FRAGMENT_BYTES: usize = 1_400;
/// Headers of IPv4 (20 B) and UDP (8 B).
const HEADER_BYTES: usize = 28;
/// Jitter where a scenario says nothing of it, in microseconds: that of the world in which plexmesh
/// runs.
const JITTER_US: u64 = 2 * MILLI;

/// Peers start evenly spread over this time, in microseconds: over one round of every protocol here,
/// so that rounds do not fall together. It is not the scenario's: plexmesh expects that a mesh starts
/// slowly, and the others would call down whoever has not started yet.
const STAGGER_US: u64 = SECOND;

/// Kinds of events in the hash of a run.
const STARTED: u8 = 0;
const ARRIVED: u8 = 1;
const WOKE: u8 = 2;

enum Happening<M: Machine> {
    Start { host: usize },
    Arrival { host: usize, from: usize, size_bytes: usize, datagram: M::Datagram },
    Timer { host: usize, starts: u32, timer: M::Timer },
}

/// One peer.
struct Place<M> {
    /// `None` while its process is off.
    machine: Option<M>,
    starts: u32,
    running_since: Option<Time>,
    impaired: bool,
    unimpaired_since: Time,
    /// Whom it holds to be gone.
    gone: Vec<bool>,
}

/// Peers of one protocol and the paths between them.
pub(super) struct DatagramWorld<M: Machine> {
    now: Time,
    /// Nothing is put into the queue that comes later than this.
    end: Time,
    seed: u64,
    rules: M::Rules,
    queue: Queue<Happening<M>>,
    links: Links,
    dice: Dice,
    places: Vec<Place<M>>,
    meters: Vec<Bytes>,
    log: EventLog,
    history: History,
    outbox: Outbox<M>,
}

impl<M: Machine> DatagramWorld<M> {
    /// A world of so many peers.
    pub(super) fn new(
        rules: M::Rules,
        (seed, peers): (u64, usize),
        model: Box<dyn LatencyModel>,
        total: Duration,
    ) -> Self {
        let base = Rules::of_jitter_and_loss(JITTER_US, Chance::NEVER);
        let mut queue = Queue::new();
        for host in 0..peers {
            let at = Time(STAGGER_US * host as u64 / peers.max(1) as u64);
            queue.push(at, Happening::Start { host });
        }
        let place = || Place {
            machine: None,
            starts: 0,
            running_since: None,
            impaired: false,
            unimpaired_since: Time(0),
            gone: vec![false; peers],
        };
        Self {
            now: Time(0),
            end: Time(micros(total)),
            seed,
            rules,
            queue,
            links: Links::new(seed, model, base),
            dice: Dice::new(seed, "packets", 0),
            places: std::iter::repeat_with(place).take(peers).collect(),
            meters: vec![Bytes::default(); peers],
            log: EventLog::default(),
            history: History::default(),
            outbox: Outbox::default(),
        }
    }

    /// Lets time pass until `end`, counted from the beginning.
    pub(super) fn run_to(&mut self, end: Duration) {
        let end = Time(micros(end));
        while let Some((at, happening)) = self.queue.pop_until(end) {
            self.now = at;
            match happening {
                Happening::Start { host } => self.start(host),
                Happening::Arrival { host, from, size_bytes, datagram } => {
                    self.arrive(host, from, size_bytes, datagram);
                }
                Happening::Timer { host, starts, timer } => {
                    let is_current = |place: &&mut Place<M>| place.starts == starts;
                    let place = self.places.get_mut(host).filter(is_current);
                    let Some(machine) = place.and_then(|place| place.machine.as_mut()) else {
                        continue;
                    };
                    self.log.note(at, host, WOKE, 0);
                    machine.wake(timer, at, &mut self.outbox);
                    self.empty_outbox(host);
                }
            }
        }
        self.now = self.now.max(end);
    }

    /// A process starts; for the first time or again.
    pub(super) fn start(&mut self, host: usize) {
        let (now, peers) = (self.now, self.places.len());
        let Some(place) = self.places.get_mut(host).filter(|place| place.machine.is_none()) else {
            return;
        };
        let birth = Birth { host, starts: place.starts, peers, seed: self.seed };
        place.starts += 1;
        place.running_since = Some(now);
        place.gone.fill(false);
        self.log.note(now, host, STARTED, 0);
        place.machine = Some(M::start(&self.rules, birth, now, &mut self.outbox));
        self.empty_outbox(host);
    }

    /// A process ends without a word.
    pub(super) fn stop(&mut self, host: usize) {
        if let Some(place) = self.places.get_mut(host) {
            place.machine = None;
            place.running_since = None;
        }
    }

    /// All paths are as the scenario's base says.
    pub(super) fn heal_all(&mut self) {
        self.links.restore(self.now);
        self.note_all_impairments();
    }

    /// What each peer sent and received since the beginning.
    pub(super) fn meters(&self) -> &[Bytes] {
        &self.meters
    }

    /// Delivered events.
    pub(super) const fn events(&self) -> u64 {
        self.log.events()
    }

    /// BLAKE3 over all delivered events.
    pub(super) fn hash(&self) -> [u8; 32] {
        self.log.hash()
    }

    fn arrive(&mut self, host: usize, from: usize, size_bytes: usize, datagram: M::Datagram) {
        let now = self.now;
        let machine = self.places.get_mut(host).and_then(|place| place.machine.as_mut());
        let Some(machine) = machine else { return };
        if let Some(meter) = self.meters.get_mut(host) {
            meter.received += on_the_wire(size_bytes);
        }
        self.log.note(now, host, ARRIVED, size_bytes);
        machine.receive(from, datagram, now, &mut self.outbox);
        self.empty_outbox(host);
    }

    /// Does what a machine wants.
    fn empty_outbox(&mut self, host: usize) {
        let mut outbox = std::mem::take(&mut self.outbox);
        for (subject, is_gone) in outbox.words.drain(..) {
            self.take_word(host, subject, is_gone);
        }
        let starts = self.places.get(host).map_or(0, |place| place.starts);
        for (after_us, timer) in outbox.timers.drain(..) {
            self.put(self.now.plus(after_us), Happening::Timer { host, starts, timer });
        }
        for letter in outbox.letters.drain(..) {
            self.post(host, letter);
        }
        self.outbox = outbox;
    }

    /// Nobody is heard about himself: his earlier identities may well be dead.
    fn take_word(&mut self, observer: usize, subject: usize, is_gone: bool) {
        if observer == subject {
            return;
        }
        let well_since = self.places.get(subject).and_then(|place| place.running_since);
        let said = self.places.get_mut(observer).and_then(|place| place.gone.get_mut(subject));
        let Some(said) = said.filter(|said| **said != is_gone) else { return };
        *said = is_gone;
        let (from, to) = if is_gone {
            (PeerState::Up, PeerState::Down)
        } else {
            (PeerState::Down, PeerState::Up)
        };
        let at = self.now;
        self.history.change(Change { at, observer, subject, from: Some(from), to, well_since });
    }

    /// Sends a datagram: it arrives if all of its fragments do.
    fn post(&mut self, from: usize, letter: Letter<M::Datagram>) {
        let Letter { to, size_bytes, datagram } = letter;
        let bytes = on_the_wire(size_bytes);
        if let Some(meter) = self.meters.get_mut(from) {
            meter.sent += bytes;
        }
        let load = Load { from, to, bytes: bytes as usize, packets: fragments(size_bytes) };
        let fate = self.links.send(self.now, load, &mut self.dice);
        let Fate::Arrives { after_us, copies, .. } = fate else { return };
        let at = self.now.plus(after_us);
        for _ in 0..copies {
            let datagram = datagram.clone();
            self.put(at, Happening::Arrival { host: to, from, size_bytes, datagram });
        }
        self.put(at, Happening::Arrival { host: to, from, size_bytes, datagram });
    }

    fn put(&mut self, at: Time, happening: Happening<M>) {
        if at <= self.end {
            self.queue.push(at, happening);
        }
    }

    fn after_change(&mut self) {
        if self.now == Time(0) {
            self.links.keep_as_base();
        }
        self.note_all_impairments();
    }

    fn note_all_impairments(&mut self) {
        (0..self.places.len()).for_each(|host| self.note_impairment(host));
    }

    /// By the same rule as in the world in which plexmesh runs.
    fn note_impairment(&mut self, host: usize) {
        let others = self.places.len().saturating_sub(1);
        let (into, out) = self.links.cut_ways(host);
        let impaired = 2 * into.max(out) >= others.max(1) || self.links.is_impaired(host);
        if let Some(place) = self.places.get_mut(host) {
            if place.impaired && !impaired {
                place.unimpaired_since = self.now;
            }
            place.impaired = impaired;
        }
    }
}

fn fragments(size_bytes: usize) -> usize {
    size_bytes.div_ceil(FRAGMENT_BYTES).max(1)
}

/// Bytes of a datagram with the headers of all of its fragments.
fn on_the_wire(size_bytes: usize) -> u64 {
    (size_bytes + fragments(size_bytes) * HEADER_BYTES) as u64
}

impl<M: Machine> Ground for DatagramWorld<M> {
    fn set_conditions(&mut self, conditions: &Conditions) {
        self.links.set_conditions(conditions);
        self.after_change();
    }

    fn set_host_conditions(&mut self, host: usize, conditions: Option<&Conditions>) {
        self.links.set_host(host, conditions);
        self.after_change();
    }

    fn set_host_loss(&mut self, host: usize, ingress: f64, egress: f64) {
        self.links.set_host_loss(host, Chance::new(ingress), Chance::new(egress));
        self.after_change();
    }

    // Slow and starved processes are refused before a run.
    fn set_slow(&mut self, _: usize, _: Option<Duration>) {}

    fn set_starved(&mut self, _: usize, _: Option<(Duration, Duration)>) {}

    fn cut(&mut self, from: usize, to: usize) {
        self.links.cut(from, to, self.now);
        [from, to].into_iter().for_each(|host| self.note_impairment(host));
    }

    fn mend(&mut self, from: usize, to: usize) {
        self.links.mend(from, to, self.now);
        [from, to].into_iter().for_each(|host| self.note_impairment(host));
    }

    fn partition(&mut self, groups: &[&[usize]]) {
        self.links.partition(groups, self.now);
    }

    fn heal(&mut self) {
        self.links.heal(self.now);
        self.note_all_impairments();
    }
}

impl<M: Machine> Outside for DatagramWorld<M> {
    fn truth(&self, host: usize) -> Truth {
        let Some(place) = self.places.get(host) else { return Truth::default() };
        let since = place.unimpaired_since;
        let well_since = place.running_since.filter(|_| !place.impaired);
        Truth {
            running_since: place.running_since,
            impaired: place.impaired,
            troubled: well_since.is_none() || self.links.has_troubled_way(host),
            well_since: well_since.map(|running| running.max(since)),
            lies: false,
            left: false,
        }
    }

    fn parted_since(&self, a: usize, b: usize) -> Option<Time> {
        let ways = [(a, b), (b, a)].into_iter();
        ways.filter_map(|(from, to)| self.links.blocked_since(from, to)).min()
    }

    fn joined_since(&self, a: usize, b: usize) -> Option<Time> {
        self.links.joined_since(a, b)
    }

    /// Nobody is bound to name witnesses in these protocols.
    fn reported_lost_by(&self, _: usize, _: usize) -> Vec<usize> {
        Vec::new()
    }
}

impl<M: Machine> Mesh for DatagramWorld<M> {
    fn now(&self) -> Time {
        self.now
    }

    fn peers(&self) -> usize {
        self.places.len()
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn word(&self, observer: usize, subject: usize) -> Option<PeerState> {
        let place = self.places.get(observer).filter(|place| place.machine.is_some())?;
        place.gone.get(subject).map(|gone| if *gone { PeerState::Down } else { PeerState::Up })
    }

    fn each_gone(&self, observer: usize, note: &mut dyn FnMut(usize)) {
        let Some(place) = self.places.get(observer) else { return };
        place.gone.iter().enumerate().filter(|(_, gone)| **gone).for_each(|(host, _)| note(host));
    }

    /// These protocols know no other way to say that something is wrong with a peer.
    fn flagged(&self, observers: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; self.places.len()];
        let places = observers.iter().filter_map(|&observer| self.places.get(observer));
        for place in places {
            for (count, gone) in counts.iter_mut().zip(&place.gone) {
                *count += usize::from(*gone);
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fragment_of_a_datagram_has_its_header() {
        assert_eq!((fragments(0), on_the_wire(0)), (1, 28));
        assert_eq!((fragments(1_400), on_the_wire(1_400)), (1, 1_428));
        assert_eq!((fragments(1_401), on_the_wire(1_401)), (2, 1_401 + 2 * 28));
        assert_eq!(fragments(52_014), 38);
    }
}
