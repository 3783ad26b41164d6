//! What a peer protocol is to its world: something that takes datagrams and timers, and gives
//! datagrams, timers and words about others.

use plexmesh_proto::types::Time;

/// The first start of a peer, or a later one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth {
    /// Who.
    pub(super) host: usize,
    /// How often it has started before.
    pub(super) starts: u32,
    /// How many peers there are. At the first start each knows all others; a peer that comes back
    /// knows the [seeds](SEEDS) alone, for none of these protocols keeps anything on a disk.
    pub(super) peers: usize,
    /// The seed of the run.
    pub(super) seed: u64,
}

/// The first peers are the seeds that everybody has in his configuration: three, so that one dead
/// seed shuts nobody out.
pub(super) const SEEDS: usize = 3;

/// A protocol in the place of one peer.
pub(super) trait Machine: Sized {
    /// What all peers of a world have in common.
    type Rules;
    /// What travels.
    type Datagram: Clone;
    /// What comes back later.
    type Timer;

    /// A process begins.
    fn start(rules: &Self::Rules, birth: Birth, now: Time, out: &mut Outbox<Self>) -> Self;

    /// A datagram arrived.
    fn receive(&mut self, from: usize, datagram: Self::Datagram, now: Time, out: &mut Outbox<Self>);

    /// A timer is due.
    fn wake(&mut self, timer: Self::Timer, now: Time, out: &mut Outbox<Self>);
}

/// What a machine wants of the world.
#[derive(Debug)]
pub(super) struct Outbox<M: Machine> {
    pub(super) letters: Vec<Letter<M::Datagram>>,
    /// How long from now, in microseconds, and what then.
    pub(super) timers: Vec<(u64, M::Timer)>,
    /// About whom, and whether it is gone.
    pub(super) words: Vec<(usize, bool)>,
}

/// A datagram with its receiver.
#[derive(Debug)]
pub(super) struct Letter<D> {
    pub(super) to: usize,
    /// Payload of the UDP datagram.
    pub(super) size_bytes: usize,
    pub(super) datagram: D,
}

impl<M: Machine> Default for Outbox<M> {
    fn default() -> Self {
        Self { letters: Vec::new(), timers: Vec::new(), words: Vec::new() }
    }
}

impl<M: Machine> Outbox<M> {
    pub(super) fn send(&mut self, to: usize, size_bytes: usize, datagram: M::Datagram) {
        self.letters.push(Letter { to, size_bytes, datagram });
    }

    pub(super) fn wake_after(&mut self, after_us: u64, timer: M::Timer) {
        self.timers.push((after_us, timer));
    }

    /// Says of a peer that it is gone, or that it is there again.
    pub(super) fn say(&mut self, of: usize, is_gone: bool) {
        self.words.push((of, is_gone));
    }
}
