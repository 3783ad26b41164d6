//! Digests that a record can promise of a shard, and the one reading that gives all of them.

use blake2::Blake2b512;
use sha2::{Digest as _, Sha256, Sha512};

/// Longest digest, in bytes.
const MAX_DIGEST_BYTES: usize = 64;

/// How a digest is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// BLAKE3 of 32 bytes.
    Blake3,
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA-512 (FIPS 180-4).
    Sha512,
    /// BLAKE2b of 64 bytes (RFC 7693).
    Blake2b,
}

impl Algorithm {
    /// All of them, in the order in which they are combined.
    pub const ALL: [Self; 4] = [Self::Blake3, Self::Sha256, Self::Sha512, Self::Blake2b];

    /// The word that manifests have for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blake3 => "blake3",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Blake2b => "blake2b",
        }
    }

    /// Bytes of a digest.
    const fn bytes(self) -> usize {
        match self {
            Self::Blake3 | Self::Sha256 => 32,
            Self::Sha512 | Self::Blake2b => MAX_DIGEST_BYTES,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a record promises: digests of one content by some algorithms, which have to fit all.
///
/// A million shards are remembered, so what is kept is as long whatever the algorithms are: a single
/// digest of 32 bytes as it is, anything else as BLAKE3 of the digests in the order of
/// [`Algorithm::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedDigest {
    /// One bit each.
    algorithms: u8,
    value: [u8; 32],
}

impl ExpectedDigest {
    /// The promise of a SHA-256 alone.
    #[must_use]
    pub const fn of_sha256(value: [u8; 32]) -> Self {
        Self { algorithms: Algorithm::Sha256.bit(), value }
    }

    /// As it was written down; `None` if no such algorithms are known.
    #[must_use]
    pub fn from_parts(algorithms: u8, value: [u8; 32]) -> Option<Self> {
        let known = Algorithm::ALL.iter().fold(0, |known, it| known | it.bit());
        (algorithms != 0 && algorithms & !known == 0).then_some(Self { algorithms, value })
    }

    /// The algorithms as one number, one bit each.
    #[must_use]
    pub const fn algorithm_bits(&self) -> u8 {
        self.algorithms
    }

    /// The algorithms, in the order of [`Algorithm::ALL`].
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> + use<> {
        let bits = self.algorithms;
        Algorithm::ALL.into_iter().filter(move |it| bits & it.bit() != 0)
    }

    /// What is kept of the digests.
    #[must_use]
    pub const fn value(&self) -> &[u8; 32] {
        &self.value
    }

    /// The digest, if it is a single one by this algorithm and kept as it is.
    #[must_use]
    pub fn single(&self, algorithm: Algorithm) -> Option<[u8; 32]> {
        let kept = self.algorithms == algorithm.bit() && algorithm.bytes() == self.value.len();
        kept.then_some(self.value)
    }
}

/// Digests as they stand in a record, one an algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DigestSet([Option<[u8; MAX_DIGEST_BYTES]>; Algorithm::ALL.len()]);

impl DigestSet {
    /// Adds a digest in hexadecimal digits; whether it is one by that algorithm.
    pub fn add_hex(&mut self, algorithm: Algorithm, text: &str) -> bool {
        let mut bytes = [0; MAX_DIGEST_BYTES];
        let decoded =
            bytes.get_mut(..algorithm.bytes()).is_some_and(|bytes| decode_hex(text.trim(), bytes));
        if decoded {
            self.set(algorithm, bytes);
        }
        decoded
    }

    fn add(&mut self, algorithm: Algorithm, digest: &[u8]) {
        let mut bytes = [0; MAX_DIGEST_BYTES];
        for (byte, of) in bytes.iter_mut().zip(digest) {
            *byte = *of;
        }
        self.set(algorithm, bytes);
    }

    fn set(&mut self, algorithm: Algorithm, bytes: [u8; MAX_DIGEST_BYTES]) {
        if let Some(slot) = self.0.get_mut(algorithm as usize) {
            *slot = Some(bytes);
        }
    }

    /// What they promise together; `None` if there is none.
    #[must_use]
    pub fn expected(&self) -> Option<ExpectedDigest> {
        let mut algorithms = 0;
        let (mut all, mut last) = (blake3::Hasher::new(), [0; 32]);
        for (algorithm, digest) in Algorithm::ALL.into_iter().zip(&self.0) {
            let Some(digest) = digest.as_ref().and_then(|it| it.get(..algorithm.bytes())) else {
                continue;
            };
            algorithms |= algorithm.bit();
            all.update(digest);
            last = digest.try_into().unwrap_or(last);
        }
        let single = Algorithm::ALL.iter().any(|it| algorithms == it.bit() && it.bytes() == 32);
        let value = if single { last } else { *all.finalize().as_bytes() };
        (algorithms != 0).then_some(ExpectedDigest { algorithms, value })
    }
}

/// Digests of a content, all from one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// What the mesh compares.
    pub blake3: [u8; 32],
    /// What the record promises, computed by the same algorithms; `None` if none was asked for.
    pub expected: Option<ExpectedDigest>,
}

/// Computes digests of bytes that come in pieces: BLAKE3 always, others where a record has them.
#[derive(Debug)]
pub struct Hashing {
    algorithms: u8,
    blake3: blake3::Hasher,
    sha256: Option<Sha256>,
    sha512: Option<Sha512>,
    blake2b: Option<Blake2b512>,
}

impl Hashing {
    /// Begins, with the algorithms of a promise.
    #[must_use]
    pub fn new(expected: Option<&ExpectedDigest>) -> Self {
        let algorithms = expected.map_or(0, |it| it.algorithms);
        let has = |algorithm: Algorithm| algorithms & algorithm.bit() != 0;
        Self {
            algorithms,
            blake3: blake3::Hasher::new(),
            sha256: has(Algorithm::Sha256).then(Sha256::new),
            sha512: has(Algorithm::Sha512).then(Sha512::new),
            blake2b: has(Algorithm::Blake2b).then(Blake2b512::new),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.blake3.update(bytes);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(bytes);
        }
        if let Some(blake2b) = &mut self.blake2b {
            blake2b.update(bytes);
        }
    }

    /// The digests of all bytes.
    #[must_use]
    pub fn finish(self) -> Digests {
        let blake3 = *self.blake3.finalize().as_bytes();
        let mut set = DigestSet::default();
        if self.algorithms & Algorithm::Blake3.bit() != 0 {
            set.add(Algorithm::Blake3, &blake3);
        }
        if let Some(sha256) = self.sha256 {
            set.add(Algorithm::Sha256, &sha256.finalize());
        }
        if let Some(sha512) = self.sha512 {
            set.add(Algorithm::Sha512, &sha512.finalize());
        }
        if let Some(blake2b) = self.blake2b {
            set.add(Algorithm::Blake2b, &blake2b.finalize());
        }
        Digests { blake3, expected: set.expected() }
    }
}

/// Fills `bytes` from exactly as many pairs of hexadecimal digits.
fn decode_hex(text: &str, bytes: &mut [u8]) -> bool {
    let digits = text.as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok());
    digits.len() == 2 * bytes.len()
        && bytes.iter_mut().zip(digits.chunks_exact(2)).all(|(byte, pair)| {
            let [high, low] = pair else { return false };
            let decoded = value(*high).zip(value(*low)).map(|(high, low)| high << 4 | low);
            *byte = decoded.unwrap_or_default();
            decoded.is_some()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::hex;

    fn promise(algorithms: &[(Algorithm, &str)]) -> ExpectedDigest {
        let mut set = DigestSet::default();
        for (algorithm, text) in algorithms {
            assert!(set.add_hex(*algorithm, text), "{algorithm:?}");
        }
        set.expected().unwrap()
    }

    /// Of `abc`, as the algorithms' own documents have them.
    const VECTORS: [(Algorithm, &str); 4] = [
        (Algorithm::Blake3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
        (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            Algorithm::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (
            Algorithm::Blake2b,
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1\
             7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
        ),
    ];

    #[test]
    fn one_reading_gives_the_published_digest_of_every_algorithm() {
        for vector in VECTORS {
            let promised = promise(&[vector]);
            let mut hashing = Hashing::new(Some(&promised));
            hashing.update(b"a");
            hashing.update(b"bc");
            let digests = hashing.finish();
            assert_eq!(digests.expected, Some(promised), "{:?}", vector.0);
            assert_eq!(hex(&digests.blake3), VECTORS[0].1);
        }
    }

    #[test]
    fn several_digests_have_to_fit_all() {
        let all = promise(&VECTORS);
        let read = |bytes: &[u8], promised: &ExpectedDigest| {
            let mut hashing = Hashing::new(Some(promised));
            hashing.update(bytes);
            hashing.finish().expected
        };
        assert_eq!(read(b"abc", &all), Some(all));
        assert_ne!(read(b"abd", &all), Some(all));
        let mut contradicting = VECTORS;
        contradicting[1].1 = VECTORS[0].1;
        let contradicting = promise(&contradicting);
        assert_ne!(read(b"abc", &contradicting), Some(contradicting));
    }

    #[test]
    fn what_is_kept_says_by_which_algorithms() {
        let single = promise(&[VECTORS[1]]);
        assert_eq!(single.single(Algorithm::Sha256).map(|it| hex(&it)), Some(VECTORS[1].1.into()));
        assert_eq!(single.single(Algorithm::Blake3), None);
        let two = promise(&[VECTORS[1], VECTORS[2]]);
        assert_eq!(two.single(Algorithm::Sha256), None);
        assert!(two.algorithms().eq([Algorithm::Sha256, Algorithm::Sha512]));
        let again = ExpectedDigest::from_parts(two.algorithm_bits(), *two.value());
        assert_eq!(again, Some(two));
        assert_eq!(ExpectedDigest::from_parts(0, [0; 32]), None);
        assert_eq!(ExpectedDigest::from_parts(16, [0; 32]), None);
    }

    #[test]
    fn a_digest_of_another_length_or_no_digits_is_none() {
        let mut set = DigestSet::default();
        let sha256 = VECTORS[1].1;
        assert!(!set.add_hex(Algorithm::Sha512, sha256));
        assert!(!set.add_hex(Algorithm::Sha256, &sha256[1..]));
        assert!(!set.add_hex(Algorithm::Sha256, &sha256.replace('b', "+")));
        assert!(!set.add_hex(Algorithm::Sha256, &"é".repeat(32)));
        assert_eq!(set.expected(), None);
        assert!(set.add_hex(Algorithm::Sha256, &format!(" {} ", sha256.to_uppercase())));
        assert!(set.expected().is_some());
    }
}
