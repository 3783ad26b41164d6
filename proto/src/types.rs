//! The small vocabulary of the protocol: time, identities, versions, digests.

use core::cmp::Ordering;
use core::fmt;

/// A point in the driver's monotonic time, in microseconds since an epoch that the driver chose.
///
/// The driver's clock counts suspend, so that a laptop that slept knows that it slept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// This point moved `micros` microseconds later; saturates.
    #[must_use]
    pub const fn plus(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to this point; 0 if `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Microseconds in a millisecond.
pub const MILLI: u64 = 1_000;
/// Microseconds in a second.
pub const SECOND: u64 = 1_000_000;

/// What the driver's two clocks show at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time: all intervals are measured with it.
    pub time: Time,
    /// Unix time in milliseconds: only versions and expiry use it, and it may jump.
    pub wall_ms: u64,
}

impl Now {
    /// Unix time in whole seconds.
    #[must_use]
    pub const fn wall_s(self) -> u64 {
        self.wall_ms / 1_000
    }
}

/// An Ed25519 public key: who a peer is. The same key is its libp2p identity.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerId(pub [u8; 32]);

impl PeerId {
    /// Its first bytes as a number that orders as they do: keys hardly ever share them, and one comparison of numbers is most of what maps of peers do.
    const fn head(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// A peer id from raw key bytes; `None` unless there are exactly 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl Ord for PeerId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.head().cmp(&other.head()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for PeerId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().take(4) {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// A hybrid logical clock value: 48 bits of Unix milliseconds above a 16 bit counter.
///
/// Source: Kulkarni et al., "Logical Physical Clocks" (OPODIS 2014).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The first version of a millisecond.
    #[must_use]
    pub const fn at_ms(wall_ms: u64) -> Self {
        Self(wall_ms << 16)
    }

    /// The physical part in Unix milliseconds.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0 >> 16
    }
}

/// Names one record body: the first 8 bytes of its hash.
///
/// Eight bytes, because ids are most of what peers send in a quiet mesh. With 2^32 hashes an origin can make two of its own records share an id; then
/// peers may hold one or the other of them and their digests differ, which is seen, and hides nobody else's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub u64);

/// A 16 byte summary of a view's state; equal digests mean equal state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StateDigest(pub [u8; 16]);

impl fmt::Debug for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Correlates a request with its answer; chosen by the asking node, unique within one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Names something that the driver waits for an answer to: an inbound request or broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);
