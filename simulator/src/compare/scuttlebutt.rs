//! Scuttlebutt gossip with a phi-accrual detector, written anew after the published rules and
//! defaults of the crate chitchat 0.13, of which its state machine is private.
//!
//! Every second a peer picks three live peers, sometimes a dead one and sometimes a seed, and sends
//! each a SYN with a digest of everybody: heartbeat, garbage collection version and version. It is
//! answered by a SYN-ACK with a digest, and that by an ACK. A heartbeat counter goes up with every
//! round and every message taken in; a higher one in a digest is a heartbeat for the detector.
//!
//! Peers set no keys, so deltas are empty, which is the least that chitchat can send. Bytes are
//! counted as its format V0 has them (the one that its documentation tells to use unless every peer
//! is known to understand V1), without making the buffers.

use std::rc::Rc;

use plexmesh_proto::types::{SECOND, Time};

use super::machine::{Birth, Machine, Outbox, SEEDS};
use super::phi::Detector;
use crate::dice::Dice;

/// In one line.
pub(super) const CONFIGURATION: &str = "rules of chitchat 0.13: a round a second to 3 live peers, \
     digest of everybody in format V0, phi 8.0, window 1000, prior 5 s, 3 seeds, no keys";

/// From one round to the next, in microseconds. chitchat has no default that a user gets; one
/// second is that of its `ChitchatConfig::default` for tests, and of Cassandra.
const ROUND_US: u64 = SECOND;
/// Live peers that are gossiped with in a round: chitchat's `GOSSIP_COUNT`.
const PER_ROUND: usize = 3;
/// Largest payload of a UDP datagram over IPv4: nothing longer is sent.
const MAX_DATAGRAM_BYTES: usize = 65_507;
/// Magic number, version and type of a message.
const HEADER_BYTES: usize = 4;
/// Number of entries of a digest.
const COUNT_BYTES: usize = 2;
/// One entry of a digest: a name with its length (2 + 9 for `peer-0042`), generation (8), IPv4
/// address with its kind (5), port (2), and three counters of eight bytes.
const ENTRY_BYTES: usize = 2 + 9 + 8 + 5 + 2 + 24;
/// Name of the cluster (`plexmesh`) with its length, in a SYN.
const CLUSTER_BYTES: usize = 2 + 8;
/// A delta without content.
const DELTA_BYTES: usize = 1;
/// What the datagram of a SYN-ACK needs beside the digest is less than what that of a SYN does.
const MAX_ENTRIES: usize =
    (MAX_DATAGRAM_BYTES - HEADER_BYTES - COUNT_BYTES - CLUSTER_BYTES) / ENTRY_BYTES;
/// Most peers whose digest fits a datagram.
pub(super) const MAX_PEERS: usize = MAX_ENTRIES;

/// What travels.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Syn(Digest),
    SynAck(Digest),
    Ack,
}

/// Heartbeat counters by identity; 0 for one that is unknown.
type Digest = Rc<[u32]>;

/// What the detector says of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Unknown,
    Live,
    Dead,
}

/// One peer. A process that starts again is another identity at the same address: number
/// `starts x peers + host`.
#[derive(Debug)]
pub(super) struct Scuttlebutt {
    me: usize,
    peers: usize,
    dice: Dice,
    beats: Vec<u32>,
    /// Identities that are known, this one included.
    known: usize,
    verdicts: Vec<Verdict>,
    detector: Detector,
}

impl Machine for Scuttlebutt {
    type Rules = ();
    type Datagram = Message;
    type Timer = ();

    fn start((): &(), birth: Birth, _: Time, out: &mut Outbox<Self>) -> Self {
        let Birth { host, starts, peers, seed } = birth;
        let me = starts as usize * peers + host;
        let mut peer = Self {
            me,
            peers,
            dice: Dice::new(seed, "scuttlebutt", me as u64),
            beats: Vec::new(),
            known: 0,
            verdicts: Vec::new(),
            detector: Detector::default(),
        };
        peer.make_room(me + 1);
        let first = if starts == 0 { 0..peers } else { 0..0 };
        first.chain([me]).for_each(|identity| peer.set_beat(identity, 1));
        out.wake_after(0, ());
        peer
    }

    fn receive(&mut self, from: usize, message: Message, now: Time, out: &mut Outbox<Self>) {
        self.beat();
        match message {
            Message::Syn(digest) => {
                self.take(&digest, now);
                let size_bytes = self.digest_bytes() + DELTA_BYTES;
                send(out, from, size_bytes, Message::SynAck(self.digest()));
            }
            Message::SynAck(digest) => {
                self.take(&digest, now);
                send(out, from, HEADER_BYTES + DELTA_BYTES, Message::Ack);
            }
            Message::Ack => {}
        }
    }

    /// A round.
    fn wake(&mut self, (): (), now: Time, out: &mut Outbox<Self>) {
        let partners = self.choose_partners();
        self.beat();
        let digest = self.digest();
        let size_bytes = self.digest_bytes() + CLUSTER_BYTES;
        for partner in partners {
            send(out, partner, size_bytes, Message::Syn(digest.clone()));
        }
        self.judge(now, out);
        out.wake_after(ROUND_US, ());
    }
}

fn send(out: &mut Outbox<Scuttlebutt>, to: usize, size_bytes: usize, message: Message) {
    if size_bytes <= MAX_DATAGRAM_BYTES {
        out.send(to, size_bytes, message);
    }
}

impl Scuttlebutt {
    fn beat(&mut self) {
        if let Some(own) = self.beats.get_mut(self.me) {
            *own += 1;
        }
    }

    fn digest(&self) -> Digest {
        self.beats.as_slice().into()
    }

    /// Header and digest of a message.
    const fn digest_bytes(&self) -> usize {
        HEADER_BYTES + COUNT_BYTES + self.known * ENTRY_BYTES
    }

    fn make_room(&mut self, identities: usize) {
        if self.beats.len() < identities {
            self.beats.resize(identities, 0);
            self.verdicts.resize(identities, Verdict::Unknown);
            self.detector.make_room(identities);
        }
    }

    fn set_beat(&mut self, identity: usize, beat: u32) {
        if let Some(known) = self.beats.get_mut(identity) {
            self.known += usize::from(*known == 0);
            *known = beat;
        }
    }

    /// Takes in the heartbeats of a digest.
    fn take(&mut self, digest: &Digest, now: Time) {
        self.make_room(digest.len());
        self.detector.begin(now);
        for (identity, (known, &heard)) in self.beats.iter_mut().zip(digest.iter()).enumerate() {
            if heard <= *known || identity == self.me {
                continue;
            }
            // The first heartbeat heard of a peer may be old: it does not count as one.
            if *known == 0 {
                self.known += 1;
            } else {
                self.detector.heartbeat(identity);
            }
            *known = heard;
        }
    }

    /// Judges everybody who is known, and says whose address has no live identity any more.
    fn judge(&mut self, now: Time, out: &mut Outbox<Self>) {
        let mut live = vec![false; self.peers];
        let mut dead = vec![false; self.peers];
        for (identity, (beat, verdict)) in self.beats.iter().zip(&mut self.verdicts).enumerate() {
            if *beat == 0 || identity == self.me {
                continue;
            }
            let is_alive = self.detector.is_alive(identity, now);
            *verdict = if is_alive { Verdict::Live } else { Verdict::Dead };
            if !is_alive {
                self.detector.reset(identity);
            }
            let side = if is_alive { &mut live } else { &mut dead };
            if let Some(place) = side.get_mut(identity % self.peers) {
                *place = true;
            }
        }
        for (host, (live, dead)) in live.iter().zip(&dead).enumerate() {
            if *live || *dead {
                out.say(host, !live);
            }
        }
    }

    /// Whom to gossip with in this round: three live peers (anybody known while none is), a dead one
    /// with the probability dead / (live + 1), and a seed with the probability seeds / (live + dead)
    /// unless one is among the three.
    fn choose_partners(&mut self) -> Vec<usize> {
        let of = |wanted: Verdict| -> Vec<usize> {
            let each = self.verdicts.iter().enumerate();
            each.filter(|(_, verdict)| **verdict == wanted).map(|(id, _)| id % self.peers).collect()
        };
        let (live, dead) = (of(Verdict::Live), of(Verdict::Dead));
        let own = self.me % self.peers;
        let seeds: Vec<usize> = (0..SEEDS.min(self.peers)).filter(|seed| *seed != own).collect();
        let known = self.beats.iter().enumerate().filter(|(id, beat)| **beat > 0 && *id != self.me);
        let pool = match live.is_empty() {
            true => known.map(|(id, _)| id % self.peers).collect(),
            false => live.clone(),
        };
        let mut partners = self.pick(pool, PER_ROUND);
        let met_seed = partners.iter().any(|partner| seeds.contains(partner));
        if dead.len() as f64 / (live.len() + 1) as f64 > self.share() {
            partners.extend(self.pick(dead.clone(), 1));
        }
        if !met_seed || live.len() < seeds.len() {
            let chance = seeds.len() as f64 / (live.len() + dead.len()) as f64;
            if live.is_empty() || self.share() <= chance {
                partners.extend(self.pick(seeds, 1));
            }
        }
        partners
    }

    /// Up to so many different ones, drawn.
    fn pick(&mut self, mut pool: Vec<usize>, count: usize) -> Vec<usize> {
        let mut picked = Vec::with_capacity(count);
        while picked.len() < count && !pool.is_empty() {
            let place = self.dice.below(pool.len() as u64) as usize;
            picked.push(pool.swap_remove(place));
        }
        picked
    }

    /// A number from 0 up to 1.
    fn share(&mut self) -> f64 {
        (self.dice.bits() >> 11) as f64 / 9_007_199_254_740_992.0
    }
}
