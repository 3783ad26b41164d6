//! Rateless invertible Bloom lookup table: finds the difference of two sets of ids at a cost that
//! grows with the difference, without an estimate of its size.
//!
//! After Yang, Gilad, Alizadeh, "Practical Rateless Set Reconciliation" (SIGCOMM 2024). Both ends
//! map every id to the same endless sequence of coded symbols; index `i` holds an id with
//! probability near `1 / (1 + i/2)`, and index 0 holds all of them. One end streams its symbols,
//! the other subtracts its own and peels: a symbol that is left with a single id gives it away, and
//! taking that id out of its other symbols uncovers more. About 1.35 to 1.5 symbols a difference
//! suffice from 64 differences on.
//!
//! Two things differ from the paper's code. Checksums and indices come from BLAKE3 keyed with a
//! salt that is fresh for every session, so ids that were planted beforehand cannot collide. And
//! the mapping is in integers only, so every machine computes the same indices.
//!
//! Both ends must encode one unchanging snapshot of their ids for the length of a session; a set
//! that changes between two batches ends in [`DecodeError`], never in a wrong difference.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

/// Most symbols of one session.
///
/// They decode about 48,000 differences: more than every record of the largest mesh that is one
/// scope. Beyond that a plain list of ids is the cheaper message. The bound also caps what a peer
/// can make the other compute and hold: 2 MiB of symbols with 16-byte ids.
pub const MAX_SYMBOLS: u32 = 1 << 16;

/// Most bytes of a number on the wire: 35 bits hold a `u32` and a zigzagged distance of counts.
const MAX_VARINT_BYTES: usize = 5;

/// Names the use of the derived key, so that no other part of the protocol hashes alike.
const KEY_CONTEXT: &str = "plexmesh 2026 rateless iblt item hash v1";

/// Increment of the SplitMix64 generator (Steele, Lea, Flood, OOPSLA 2014): 2^64 / golden ratio.
const SPLITMIX_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// One coded symbol: what is left of all the ids mapped to its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodedSymbol<const N: usize> {
    /// XOR of the ids.
    pub sum: [u8; N],
    /// XOR of the keyed checksums of the ids.
    pub checksum: u64,
    /// How many ids; in a subtracted symbol the remote ones count up and the local ones down.
    pub count: i32,
}

/// The symbols `from..to` of a set, computed without any state kept between calls.
///
/// `items` must be distinct (a repeated id cancels itself out). `to` is cut to [`MAX_SYMBOLS`];
/// an empty range gives an empty list. Costs one keyed hash and about `2 ln(to)` steps an id.
pub fn encode_range<'a, const N: usize>(
    items: impl Iterator<Item = &'a [u8; N]>,
    salt: u64,
    from: u32,
    to: u32,
) -> Vec<CodedSymbol<N>> {
    let to = to.min(MAX_SYMBOLS);
    let mut symbols = vec![CodedSymbol::EMPTY; to.saturating_sub(from) as usize];
    let key = ItemKey::new(salt);
    for item in items {
        let mut source = key.source(item);
        source.apply(&mut symbols, from, 1, |_| ());
    }
    symbols
}

/// Packs consecutive symbols, the first of which has index `from`, of a set of `set_size` ids.
///
/// Layout: varint `from`, varint `set_size`, then for every symbol `N` bytes of sum, 8 bytes of
/// checksum (little endian) and the count as the zigzag varint of its distance from the expected
/// `2 * set_size / (2 + index)`. The distance grows with the square root of the set only, so a
/// symbol takes `N + 9` bytes for sets of some thousand ids and `N + 10` up to a million.
#[must_use]
pub fn encode_batch<const N: usize>(
    symbols: &[CodedSymbol<N>],
    from: u32,
    set_size: u32,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(symbols.len() * (N + 8 + 2) + 2 * MAX_VARINT_BYTES);
    put_varint(&mut bytes, u64::from(from));
    put_varint(&mut bytes, u64::from(set_size));
    for (index, symbol) in (u64::from(from)..).zip(symbols) {
        bytes.extend_from_slice(&symbol.sum);
        bytes.extend_from_slice(&symbol.checksum.to_le_bytes());
        let distance = i64::from(symbol.count) - expected_count(set_size, index);
        put_varint(&mut bytes, zigzag(distance));
    }
    bytes
}

/// A batch as it came from the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<const N: usize> {
    /// Index of the first symbol.
    pub from: u32,
    /// How many ids the sender says its set has; a claim, good for display and plausibility only.
    pub set_size: u32,
    /// The symbols, in the order of their index.
    pub symbols: Vec<CodedSymbol<N>>,
}

/// Unpacks what [`encode_batch`] packed.
///
/// # Errors
/// [`WireError`] when the bytes end inside a symbol, a number does not fit, or the symbols would
/// reach beyond [`MAX_SYMBOLS`]. What is allocated is bounded by the length of `bytes`.
pub fn decode_batch<const N: usize>(bytes: &[u8]) -> Result<Batch<N>, WireError> {
    let mut rest = bytes;
    let from = u32::try_from(take_varint(&mut rest)?).map_err(|_| WireError::NumberTooLarge)?;
    let set_size = u32::try_from(take_varint(&mut rest)?).map_err(|_| WireError::NumberTooLarge)?;
    let mut symbols = Vec::with_capacity((rest.len() / (N + 9)).min(MAX_SYMBOLS as usize));
    let mut index = u64::from(from);
    while !rest.is_empty() {
        if index >= u64::from(MAX_SYMBOLS) {
            return Err(WireError::BeyondLastSymbol);
        }
        let sum = *take_chunk::<N>(&mut rest)?;
        let checksum = u64::from_le_bytes(*take_chunk::<8>(&mut rest)?);
        let distance = unzigzag(take_varint(&mut rest)?);
        let count = expected_count(set_size, index)
            .checked_add(distance)
            .and_then(|count| i32::try_from(count).ok())
            .ok_or(WireError::NumberTooLarge)?;
        symbols.push(CodedSymbol { sum, checksum, count });
        index += 1;
    }
    Ok(Batch { from, set_size, symbols })
}

/// Why a batch of symbols could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside a symbol: a cut message, or a sender with ids of another length.
    #[error("the batch of coded symbols ends inside a symbol")]
    Truncated,
    /// A number has more bits than its field: a damaged message or a hostile sender.
    #[error("a number in the batch of coded symbols is out of range")]
    NumberTooLarge,
    /// A symbol index is at or beyond [`MAX_SYMBOLS`].
    #[error("the batch of coded symbols reaches beyond index {MAX_SYMBOLS}")]
    BeyondLastSymbol,
}

/// The end that receives symbols and finds the difference to its own ids.
///
/// Holds `N + 24` bytes for each local id. Its work is bounded whatever the symbols are: every
/// peeled id must be new, must fit the local set, and there can be no more of them than symbols.
#[derive(Debug, Clone)]
pub struct Decoder<const N: usize> {
    key: ItemKey,
    /// Sorted by id and distinct, so that membership is a binary search.
    local: Vec<Source<N>>,
    recovered: Vec<Recovered<N>>,
    recovered_ids: BTreeSet<[u8; N]>,
    /// What was received, less the local and the recovered ids.
    symbols: Vec<CodedSymbol<N>>,
    state: State,
}

/// Whether more symbols are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The difference is larger than the symbols so far can tell.
    NeedMore,
    /// Every id of the difference is known.
    Complete,
}

/// Why there is no difference to hand out. All but [`DecodeError::Incomplete`] are final: begin
/// anew with another salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The symbols contradict each other or the local set: the sender's set changed between two
    /// batches, the salts differ, or the sender is hostile.
    #[error("the coded symbols contradict each other (changed set, other salt or hostile sender)")]
    Inconsistent,
    /// [`MAX_SYMBOLS`] did not suffice: the difference is too large, or the symbols are garbage.
    #[error("{MAX_SYMBOLS} coded symbols did not give the difference; exchange full lists instead")]
    TooManySymbols,
    /// The difference was asked for before it was known.
    #[error("{received} coded symbols do not give the whole difference yet")]
    Incomplete {
        /// How many symbols were received.
        received: u32,
    },
}

/// The symmetric difference of two sets, each list sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference<const N: usize> {
    /// Ids that only the sender of the symbols has.
    pub only_remote: Vec<[u8; N]>,
    /// Ids that only this end has.
    pub only_local: Vec<[u8; N]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Receiving,
    Complete,
    Failed(DecodeError),
}

#[derive(Debug, Clone)]
struct Recovered<const N: usize> {
    source: Source<N>,
    is_remote: bool,
}

impl<const N: usize> Decoder<N> {
    /// A decoder for the difference between `local` and the set behind the symbols to come.
    ///
    /// `salt` must be the one the symbols are encoded with. Repeated ids count once.
    pub fn new<'a>(local: impl Iterator<Item = &'a [u8; N]>, salt: u64) -> Self {
        let key = ItemKey::new(salt);
        let mut local: Vec<_> = local.map(|item| key.source(item)).collect();
        local.sort_unstable_by_key(|source| source.item);
        local.dedup_by_key(|source| source.item);
        Self {
            key,
            local,
            recovered: Vec::new(),
            recovered_ids: BTreeSet::new(),
            symbols: Vec::new(),
            state: State::Receiving,
        }
    }

    /// Takes the next symbols in the order of their index and peels as far as they reach.
    ///
    /// A call costs a pass over the local ids, so batches that grow with what was received keep
    /// the total at a few passes. Symbols after completion are ignored.
    ///
    /// # Errors
    /// [`DecodeError::Inconsistent`] or [`DecodeError::TooManySymbols`]; both are final, and every
    /// later call returns the same.
    pub fn add_symbols(&mut self, remote: &[CodedSymbol<N>]) -> Result<Progress, DecodeError> {
        if self.state == State::Receiving {
            self.state = self.receive(remote).unwrap_or_else(State::Failed);
        }
        match self.state {
            State::Receiving => Ok(Progress::NeedMore),
            State::Complete => Ok(Progress::Complete),
            State::Failed(error) => Err(error),
        }
    }

    /// How many symbols were taken: the index of the next one to ask for.
    #[must_use]
    pub fn received(&self) -> u32 {
        // The length never exceeds MAX_SYMBOLS.
        u32::try_from(self.symbols.len()).unwrap_or(MAX_SYMBOLS)
    }

    /// How many ids this end has.
    #[must_use]
    pub fn local_size(&self) -> u32 {
        u32::try_from(self.local.len()).unwrap_or(u32::MAX)
    }

    /// About how many ids differ in all, peeled ones included; 0 before the first symbols.
    ///
    /// An id that only the sender has adds 1 to the count of each of its symbols, one that only
    /// this end has takes 1 away. The mapping puts an id at index `i > 0` with probability
    /// `p = 8 (i + 1) / (2 i + 3)^2`, so the square of a count's distance from its mean is on
    /// average `p (1 - p)` for each id, with `1 - p = (2 i + 1)^2 / (2 i + 3)^2`. The mean over `n`
    /// symbols is right within about `sqrt(2 / n)` of it.
    #[must_use]
    pub fn estimated_difference(&self) -> u32 {
        let mut counts = self.symbols.iter().map(|symbol| i128::from(symbol.count));
        let surplus = counts.next().unwrap_or_default();
        let (mut sum, mut symbols) = (0_u128, 0_u128);
        for (index, count) in (1_i128..).zip(counts) {
            let whole = (2 * index + 3) * (2 * index + 3);
            let (at, elsewhere) = (8 * (index + 1), (2 * index + 1) * (2 * index + 1));
            let distance = (count * whole - surplus * at).unsigned_abs();
            let ids = distance.saturating_mul(distance) / (at * elsewhere).unsigned_abs();
            sum = sum.saturating_add(ids);
            symbols += 1;
        }
        let left = (sum / symbols.max(1)).max(surplus.unsigned_abs());
        let known = self.recovered.len() as u128;
        u32::try_from(left.saturating_add(known)).unwrap_or(u32::MAX)
    }

    /// Whether every id of the difference is known.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// The difference.
    ///
    /// # Errors
    /// [`DecodeError::Incomplete`] before [`Progress::Complete`] was reported, or the error the
    /// session ended with.
    pub fn into_difference(self) -> Result<Difference<N>, DecodeError> {
        match self.state {
            State::Complete => {}
            State::Failed(error) => return Err(error),
            State::Receiving => {
                return Err(DecodeError::Incomplete { received: self.received() });
            }
        }
        let mut difference = Difference::default();
        for Recovered { source, is_remote } in self.recovered {
            let list = match is_remote {
                true => &mut difference.only_remote,
                false => &mut difference.only_local,
            };
            list.push(source.item);
        }
        difference.only_remote.sort_unstable();
        difference.only_local.sort_unstable();
        Ok(difference)
    }

    fn receive(&mut self, remote: &[CodedSymbol<N>]) -> Result<State, DecodeError> {
        if remote.len() > MAX_SYMBOLS as usize - self.symbols.len() {
            return Err(DecodeError::TooManySymbols);
        }
        let from = self.received();
        let mut fresh = remote.to_vec();
        for source in &mut self.local {
            source.apply(&mut fresh, from, -1, |_| ());
        }
        for Recovered { source, is_remote } in &mut self.recovered {
            source.apply(&mut fresh, from, if *is_remote { -1 } else { 1 }, |_| ());
        }
        let candidates = (self.symbols.len()..self.symbols.len() + fresh.len()).collect();
        self.symbols.append(&mut fresh);
        self.peel(candidates)?;

        // Index 0 holds every id, so it is empty when all are peeled. Then nothing may be left
        // anywhere else: a remainder shows that index 0 was not honest.
        match self.symbols.first() {
            Some(first) if first.is_empty() => {
                let all_empty = self.symbols.iter().all(CodedSymbol::is_empty);
                all_empty.then_some(State::Complete).ok_or(DecodeError::Inconsistent)
            }
            _ if self.symbols.len() == MAX_SYMBOLS as usize => Err(DecodeError::TooManySymbols),
            _ => Ok(State::Receiving),
        }
    }

    fn peel(&mut self, mut candidates: Vec<usize>) -> Result<(), DecodeError> {
        while let Some(candidate) = candidates.pop() {
            let Some(symbol) = self.symbols.get(candidate) else {
                continue;
            };
            let Some(mut source) = self.key.source_of_pure(symbol) else {
                continue;
            };
            let is_remote = symbol.count == 1;
            let is_local = self.local.binary_search_by_key(&source.item, |s| s.item).is_ok();
            // Each honest peel empties one symbol for good, so there are never more than symbols.
            if is_remote == is_local
                || self.recovered.len() >= self.symbols.len()
                || !self.recovered_ids.insert(source.item)
            {
                return Err(DecodeError::Inconsistent);
            }
            let sign = if is_remote { -1 } else { 1 };
            source.apply(&mut self.symbols, 0, sign, |index| candidates.push(index));
            self.recovered.push(Recovered { source, is_remote });
        }
        Ok(())
    }
}

impl<const N: usize> CodedSymbol<N> {
    const EMPTY: Self = Self { sum: [0; N], checksum: 0, count: 0 };

    fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }
}

/// The session's key of checksums and mappings.
#[derive(Debug, Clone)]
struct ItemKey([u8; blake3::KEY_LEN]);

impl ItemKey {
    fn new(salt: u64) -> Self {
        Self(blake3::derive_key(KEY_CONTEXT, &salt.to_le_bytes()))
    }

    fn source<const N: usize>(&self, item: &[u8; N]) -> Source<N> {
        let hash = u128::from_le_bytes(first_half(*blake3::keyed_hash(&self.0, item).as_bytes()));
        Source {
            item: *item,
            checksum: hash as u64,
            mapping: Mapping { state: (hash >> 64) as u64, index: 0 },
        }
    }

    /// The only id left in a symbol, if there is only one. Overlaid ids pass with 2^-64.
    fn source_of_pure<const N: usize>(&self, symbol: &CodedSymbol<N>) -> Option<Source<N>> {
        if symbol.count.unsigned_abs() != 1 {
            return None;
        }
        let source = self.source(&symbol.sum);
        (source.checksum == symbol.checksum).then_some(source)
    }
}

fn first_half(bytes: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    half
}

/// An id with its place in the sequence of symbols.
#[derive(Debug, Clone)]
struct Source<const N: usize> {
    item: [u8; N],
    checksum: u64,
    mapping: Mapping,
}

impl<const N: usize> Source<N> {
    /// Adds the id (`sign` 1) to, or takes it (-1) from, all its symbols; `symbols` begin with
    /// index `from`. The mapping stays at the first index after them, ready for the next batch.
    /// `touched` hears the positions that could have become pure.
    fn apply(
        &mut self,
        symbols: &mut [CodedSymbol<N>],
        from: u32,
        sign: i32,
        mut touched: impl FnMut(usize),
    ) {
        while self.mapping.index < from {
            self.mapping.advance();
        }
        loop {
            let position = (self.mapping.index - from) as usize;
            let Some(symbol) = symbols.get_mut(position) else {
                return;
            };
            symbol.sum.iter_mut().zip(self.item).for_each(|(sum, byte)| *sum ^= byte);
            symbol.checksum ^= self.checksum;
            symbol.count = symbol.count.wrapping_add(sign);
            if symbol.count.unsigned_abs() == 1 {
                touched(position);
            }
            self.mapping.advance();
        }
    }
}

/// The sequence of indices of one id.
#[derive(Debug, Clone)]
struct Mapping {
    state: u64,
    index: u32,
}

impl Mapping {
    /// Steps from index `i` to the next one: `i + ceil((i + 1.5) * ((1 - u)^(-1/2) - 1))` for `u`
    /// uniform in [0, 1), the closed form of section 4.2 of the paper.
    ///
    /// With `s = isqrt(random 64 bits) + 1` in 1..=2^32 the power is `2^32 / s`, which leaves
    /// `ceil((2 i + 3) * (2^32 - s) / (2 s))`. Stays at `u32::MAX` once it got there.
    fn advance(&mut self) {
        self.state = self.state.wrapping_add(SPLITMIX_STEP);
        let root = splitmix_finish(self.state).isqrt() + 1;
        // The cut keeps the product within 2^50; no symbol beyond it is ever used.
        let factor = 2 * u64::from(self.index.min(MAX_SYMBOLS)) + 3;
        let step = (factor * ((1 << 32) - root)).div_ceil(2 * root).max(1);
        self.index = u32::try_from(u64::from(self.index) + step).unwrap_or(u32::MAX);
    }
}

/// The output function of SplitMix64.
fn splitmix_finish(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// How many ids of a set the mapping puts on average at an index.
fn expected_count(set_size: u32, index: u64) -> i64 {
    // A u32 doubled and divided fits easily; the fallback keeps the conversion total.
    i64::try_from(2 * u64::from(set_size) / (2 + index)).unwrap_or(i64::MAX)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0;
    for position in 0..MAX_VARINT_BYTES {
        let [byte] = *take_chunk::<1>(rest)?;
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(WireError::NumberTooLarge)
}

fn take_chunk<'a, const LEN: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; LEN], WireError> {
    let (chunk, remainder) = rest.split_first_chunk().ok_or(WireError::Truncated)?;
    *rest = remainder;
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_set, vec as any_vec};
    use proptest::prelude::*;

    type Id = [u8; 16];

    /// Distinct ids, spread as hashes are.
    fn ids<const N: usize>(range: core::ops::Range<u64>) -> Vec<[u8; N]> {
        let mut ids = Vec::new();
        for number in range {
            let mut id = [0; N];
            id.copy_from_slice(&blake3::hash(&number.to_le_bytes()).as_bytes()[..N]);
            ids.push(id);
        }
        ids
    }

    /// Feeds batches that grow by half until the decoder ends.
    fn reconcile<const N: usize>(
        remote: &[[u8; N]],
        local: &[[u8; N]],
        salt: u64,
    ) -> Result<Difference<N>, DecodeError> {
        let mut decoder = Decoder::new(local.iter(), salt);
        let mut progress = Progress::NeedMore;
        while progress == Progress::NeedMore {
            let from = decoder.received();
            let to = (from + from / 2).max(from + 4).min(MAX_SYMBOLS);
            progress = decoder.add_symbols(&encode_range(remote.iter(), salt, from, to))?;
        }
        decoder.into_difference()
    }

    fn sorted<const N: usize>(mut ids: Vec<[u8; N]>) -> Vec<[u8; N]> {
        ids.sort_unstable();
        ids
    }

    fn check<const N: usize>(shared: u64, only_remote: u64, only_local: u64) {
        let split = shared + only_remote;
        let remote = ids::<N>(0..split);
        let mut local = ids::<N>(0..shared);
        local.extend(ids::<N>(split..split + only_local));
        let difference = reconcile(&remote, &local, 11);
        let expected = Difference {
            only_remote: sorted(ids(shared..split)),
            only_local: sorted(ids(split..split + only_local)),
        };
        assert_eq!(difference, Ok(expected), "among {shared} shared");
    }

    #[test]
    fn finds_every_difference_among_any_number_of_shared_ids() {
        for shared in [0, 1, 100, 5000] {
            for differences in [0, 1, 2, 10, 100, 1000] {
                check::<16>(shared, differences, 0);
                check::<16>(shared, 0, differences);
                check::<16>(shared, differences / 2, differences - differences / 2);
            }
        }
        check::<32>(500, 60, 40);
    }

    #[test]
    fn equal_sets_need_a_single_symbol() {
        let set = ids::<16>(0..1000);
        let mut decoder = Decoder::new(set.iter(), 3);
        let progress = decoder.add_symbols(&encode_range(set.iter(), 3, 0, 1));
        assert_eq!(progress, Ok(Progress::Complete));
        assert_eq!(decoder.into_difference(), Ok(Difference::default()));
    }

    #[test]
    fn symbols_a_difference_stay_below_the_promised_overhead() {
        for (differences, sessions) in [(64_u64, 60), (256, 20), (1024, 6)] {
            let remote = ids::<16>(0..differences);
            let mut symbols = 0;
            for salt in 0..sessions {
                let mut decoder = Decoder::new([].iter(), salt);
                let all = encode_range(remote.iter(), salt, 0, 3 * differences as u32);
                let mut stream = all.chunks(1);
                while !decoder.is_complete() {
                    decoder.add_symbols(stream.next().unwrap()).unwrap();
                }
                symbols += u64::from(decoder.received());
            }
            let permille = symbols * 1000 / (differences * sessions);
            assert!(permille <= 1600, "{differences}: {permille}");
        }
    }

    #[test]
    fn a_mapped_index_has_the_density_of_the_paper() {
        let set = ids::<16>(0..20_000);
        let symbols = encode_range(set.iter(), 1, 0, 400);
        for index in [0, 1, 2, 10, 100] {
            let (seen, expected) = (symbols[index].count, expected_count(20_000, index as u64));
            let distance = (i64::from(seen) - expected).abs();
            assert!(distance * 5 <= expected, "{index}: {seen} {expected}");
        }
    }

    #[test]
    fn ranges_join_without_a_seam_and_stop_at_the_cap() {
        let set = ids::<16>(0..300);
        let mut joined = encode_range(set.iter(), 5, 0, 10);
        joined.extend(encode_range(set.iter(), 5, 10, 20));
        assert_eq!(joined, encode_range(set.iter(), 5, 0, 20));
        assert_eq!(encode_range(set.iter(), 5, 20, 10), []);
        assert_eq!(encode_range(set.iter(), 5, MAX_SYMBOLS - 1, u32::MAX).len(), 1);
        assert_eq!(encode_range(set.iter(), 5, u32::MAX, u32::MAX), []);
    }

    #[test]
    fn the_mapping_of_a_known_set_never_changes() {
        let set: [[u8; 4]; 3] = [*b"abcd", *b"efgh", *b"ijkl"];
        let symbols = encode_range(set.iter(), 7, 0, 5);
        let seen: Vec<_> = symbols.iter().map(|s| (s.sum, s.checksum, s.count)).collect();
        let golden = [
            ([109, 110, 111, 96], 4_627_431_494_557_844_323, 3),
            (*b"abcd", 9_202_802_751_265_167_181, 1),
            ([8, 8, 8, 8], 4_264_696_837_405_618_909, 2),
            (*b"ijkl", 4_943_214_588_489_295_248, 1),
            (*b"efgh", 8_870_067_343_982_096_830, 1),
        ];
        assert_eq!(seen, golden);
    }

    #[test]
    fn another_salt_gives_other_symbols_and_no_difference() {
        let set = ids::<16>(0..50);
        let symbols = encode_range(set.iter(), 1, 0, 100);
        assert_ne!(symbols, encode_range(set.iter(), 2, 0, 100));
        let mut decoder = Decoder::new(set.iter(), 2);
        assert_ne!(decoder.add_symbols(&symbols), Ok(Progress::Complete));
    }

    #[test]
    fn garbage_fails_for_good_at_the_cap() {
        let local = ids::<16>(0..10);
        let garbage: Vec<_> = ids::<16>(100..100 + u64::from(MAX_SYMBOLS))
            .into_iter()
            .map(|sum| CodedSymbol { sum, checksum: 9, count: 1 })
            .collect();
        let mut decoder = Decoder::new(local.iter(), 0);
        assert_eq!(decoder.add_symbols(&garbage), Err(DecodeError::TooManySymbols));
        assert_eq!(decoder.add_symbols(&[]), Err(DecodeError::TooManySymbols));
        assert!(!decoder.is_complete());
        assert_eq!(decoder.into_difference(), Err(DecodeError::TooManySymbols));
    }

    #[test]
    fn an_id_that_is_offered_twice_or_contradicts_the_local_set_is_refused() {
        let set = ids::<16>(0..1);
        let pure = encode_range(set.iter(), 4, 0, 1)[0];
        let twice = CodedSymbol { count: 2, ..CodedSymbol::EMPTY };
        let negative = CodedSymbol { count: -1, ..pure };
        for hostile in [vec![pure, pure, pure, pure], vec![pure, twice, negative], vec![negative]] {
            let mut decoder = Decoder::new([].iter(), 4);
            assert_eq!(decoder.add_symbols(&hostile), Err(DecodeError::Inconsistent));
        }
        let mut decoder = Decoder::new(set.iter(), 4);
        let added = CodedSymbol { count: 2, ..CodedSymbol::EMPTY };
        assert_eq!(decoder.add_symbols(&[added]), Err(DecodeError::Inconsistent));
    }

    #[test]
    fn a_false_empty_first_symbol_is_not_taken_for_the_end() {
        let remote = ids::<16>(0..40);
        let mut symbols = encode_range(remote.iter(), 4, 0, 5);
        symbols[0] = CodedSymbol::EMPTY;
        let mut decoder = Decoder::new([].iter(), 4);
        assert_eq!(decoder.add_symbols(&symbols), Err(DecodeError::Inconsistent));
    }

    #[test]
    fn the_difference_is_not_given_out_early() {
        let remote = ids::<16>(0..40);
        let mut decoder = Decoder::new([].iter(), 4);
        let progress = decoder.add_symbols(&encode_range(remote.iter(), 4, 0, 5));
        assert_eq!(progress, Ok(Progress::NeedMore));
        let early = decoder.into_difference();
        assert_eq!(early, Err(DecodeError::Incomplete { received: 5 }));
    }

    #[test]
    fn a_symbol_on_the_wire_takes_ten_bytes_more_than_an_id() {
        let set = ids::<16>(0..5000);
        let symbols = encode_range(set.iter(), 4, 0, 200);
        let bytes = encode_batch(&symbols, 0, 5000);
        assert!(bytes.len() <= 200 * (16 + 10), "{}", bytes.len());
        let tail = encode_batch(&symbols[100..], 100, 5000);
        let expected = Batch { from: 100, set_size: 5000, symbols: symbols[100..].to_vec() };
        assert_eq!(decode_batch(&tail), Ok(expected));
    }

    #[test]
    fn damaged_batches_name_what_is_wrong() {
        let symbols = encode_range(ids::<16>(0..3).iter(), 4, 0, 2);
        let mut bytes = encode_batch(&symbols, 0, 3);
        bytes.pop();
        assert_eq!(decode_batch::<16>(&bytes), Err(WireError::Truncated));
        assert_eq!(decode_batch::<16>(&[]), Err(WireError::Truncated));
        assert_eq!(decode_batch::<16>(&[0xff; 8]), Err(WireError::NumberTooLarge));
        let late = encode_batch(&symbols, MAX_SYMBOLS - 1, 3);
        assert_eq!(decode_batch::<16>(&late), Err(WireError::BeyondLastSymbol));
    }

    fn any_symbol() -> impl Strategy<Value = CodedSymbol<16>> {
        (any::<Id>(), any::<u64>(), any::<i32>()).prop_map(|(sum, checksum, count)| CodedSymbol {
            sum,
            checksum,
            count,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_two_sets_are_told_apart_exactly(
            remote in btree_set(any::<[u8; 2]>(), 0..200),
            local in btree_set(any::<[u8; 2]>(), 0..200),
            salt: u64,
        ) {
            let expected = Difference {
                only_remote: remote.difference(&local).copied().collect(),
                only_local: local.difference(&remote).copied().collect(),
            };
            let remote: Vec<_> = remote.into_iter().collect();
            let local: Vec<_> = local.into_iter().collect();
            prop_assert_eq!(reconcile(&remote, &local, salt), Ok(expected));
        }

        #[test]
        fn hostile_symbols_neither_panic_nor_complete(
            symbols in any_vec(any_symbol(), 1..50),
            salt: u64,
        ) {
            let mut decoder = Decoder::new([].iter(), salt);
            prop_assert_ne!(decoder.add_symbols(&symbols), Ok(Progress::Complete));
        }

        #[test]
        fn symbols_survive_the_wire(
            symbols in any_vec(any_symbol(), 0..20),
            from in 0..MAX_SYMBOLS - 20,
            set_size: u32,
        ) {
            let bytes = encode_batch(&symbols, from, set_size);
            prop_assert_eq!(decode_batch(&bytes), Ok(Batch { from, set_size, symbols }));
        }

        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes in any_vec(any::<u8>(), 0..200)) {
            let _ = decode_batch::<16>(&bytes);
        }
    }
}
