//! What it costs two peers to find out in which entries their sets differ.
//!
//! Drives the shipped [`Reconciliation`], and counts every byte of the encoded requests and answers,
//! both ways: the exchange that shows that digests differ, the coded symbols, and the ids of what the
//! asker then wants. The bodies themselves are not counted, nor is what QUIC adds.

use std::time::{Duration, Instant};

use plexmesh_proto::exchange::WANTS_PER_REQUEST;
use plexmesh_proto::exchange::message::{Cursor, ExchangeAnswer, ExchangeRequest, SketchRange};
use plexmesh_proto::exchange::reconcile::riblt::{CodedSymbol, encode_batch, encode_range};
use plexmesh_proto::exchange::reconcile::{Reconciliation, SYMBOLS_PER_ANSWER, Step};
use plexmesh_proto::types::{RecordId, StateDigest, Version};
use plexmesh_proto::wire;

use crate::dice::Dice;

/// What stands for an entry in the symbols: the first half of its hash.
type Item = [u8; 16];

/// Unix milliseconds that answers and versions carry: as many bytes as those of these years.
const WALL_MS: u64 = 1_800_000_000_000;

/// What reconciliations of sets with one difference cost.
#[derive(Clone, Debug, PartialEq)]
pub struct ReconciliationCost {
    /// Entries that one of both has and the other has not.
    pub differences: usize,
    /// Bytes both ways, mean of all salts.
    pub mean_bytes: f64,
    /// Bytes both ways, 95th percentile of all salts.
    pub p95_bytes: u64,
    /// Requests with their answers, mean.
    pub mean_requests: f64,
    /// Time of the asker to hash its own set, mean.
    pub hashing: Duration,
    /// Time of the asker to take its own set out of the symbols and to find the difference, mean.
    pub decoding: Duration,
}

/// Why there is no figure: the shipped code did not find the difference, or found another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{differences} differences of {entries} entries were not found with salt {salt}")]
pub struct NotFound {
    entries: usize,
    differences: usize,
    salt: usize,
}

/// Reconciles two sets that have `entries` in common and differ in each of `differences`, with
/// `salts` salts each. Which share of the difference either side has is drawn.
///
/// # Errors
/// [`NotFound`] where the difference was not found.
pub fn reconciliation(
    entries: usize,
    differences: &[usize],
    salts: usize,
    seed: u64,
) -> Result<Vec<ReconciliationCost>, NotFound> {
    let mut dice = Dice::new(seed, "figure of reconciliation", 0);
    let common = items(&mut dice, entries);
    let mut sessions = vec![Vec::with_capacity(salts); differences.len()];
    for number in 0..salts {
        let salt = dice.bits();
        // Symbols of a union are the sum of those of its parts, so the large part is encoded once.
        let largest = differences.iter().copied().max().unwrap_or(0);
        let symbols = u32::try_from(2 * largest).unwrap_or(u32::MAX) + SYMBOLS_PER_ANSWER;
        let encoded = encode_range(common.iter(), salt, 0, symbols);
        for (count, sessions) in differences.iter().zip(&mut sessions) {
            let of_asker = dice.below(*count as u64 + 1) as usize;
            let pair = Pair {
                common: &common,
                encoded: &encoded,
                only_asker: items(&mut dice, of_asker),
                only_answerer: items(&mut dice, count - of_asker),
                salt,
            };
            let failed = NotFound { entries, differences: *count, salt: number };
            sessions.push(pair.reconcile().ok_or(failed)?);
        }
    }
    Ok(differences.iter().zip(&mut sessions).map(|(count, all)| cost(*count, all)).collect())
}

/// One reconciliation.
#[derive(Clone, Copy, Debug, Default)]
struct Session {
    bytes: u64,
    requests: u64,
    hashing: Duration,
    decoding: Duration,
}

fn cost(differences: usize, sessions: &mut [Session]) -> ReconciliationCost {
    sessions.sort_unstable_by_key(|session| session.bytes);
    let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1);
    let mean = |sum: u64| sum as f64 / f64::from(count);
    let p95 = sessions.get(sessions.len().saturating_sub(1) * 95 / 100);
    ReconciliationCost {
        differences,
        mean_bytes: mean(sessions.iter().map(|session| session.bytes).sum()),
        p95_bytes: p95.map_or(0, |session| session.bytes),
        mean_requests: mean(sessions.iter().map(|session| session.requests).sum()),
        hashing: sessions.iter().map(|session| session.hashing).sum::<Duration>() / count,
        decoding: sessions.iter().map(|session| session.decoding).sum::<Duration>() / count,
    }
}

/// Two peers.
struct Pair<'a> {
    common: &'a [Item],
    /// Symbols of what they have in common.
    encoded: &'a [CodedSymbol<16>],
    only_asker: Vec<Item>,
    only_answerer: Vec<Item>,
    salt: u64,
}

impl Pair<'_> {
    /// `None` if the difference was not found.
    fn reconcile(&self) -> Option<Session> {
        let mut session = Session::default();
        let news = ExchangeRequest { changes: Some(cursor()), ..request() };
        session.count(&news, &answer());
        if self.only_asker.is_empty() && self.only_answerer.is_empty() {
            // Equal digests: neither asks any further.
            return Some(session);
        }
        let mut asker = Reconciliation::begin(self.salt);
        let difference = loop {
            let begun = Instant::now();
            let range = asker.next_range(|| self.items_of_asker(), self.salt);
            session.hashing += begun.elapsed();
            let answer = ExchangeAnswer { symbols: self.symbols(range)?, ..answer() };
            session.count(&ExchangeRequest { sketch: Some(range), ..request() }, &answer);
            let begun = Instant::now();
            let step = asker.on_symbols(&answer.symbols);
            session.decoding += begun.elapsed();
            match step {
                Step::More => {}
                Step::Done(difference) => break difference,
                Step::AskLog | Step::GiveUp => return None,
            }
        };
        let wants: Vec<RecordId> = difference.only_remote.iter().map(RecordId::of_item).collect();
        for wants in wants.chunks(WANTS_PER_REQUEST) {
            // The answer has the bodies.
            let wants = ExchangeRequest { wants: wants.to_vec(), ..request() };
            session.bytes += wire::encode_request(&wants).len() as u64;
            session.requests += 1;
        }
        let sorted = |items: &[Item]| {
            let mut items = items.to_vec();
            items.sort_unstable();
            items
        };
        let found = difference.only_remote == sorted(&self.only_answerer)
            && difference.only_local == sorted(&self.only_asker);
        found.then_some(session)
    }

    fn items_of_asker(&self) -> Vec<Item> {
        [self.common, &self.only_asker].concat()
    }

    /// What the answerer sends for a range; `None` if more was asked for than was prepared.
    fn symbols(&self, range: SketchRange) -> Option<Vec<u8>> {
        let to = range.to.min(range.from + SYMBOLS_PER_ANSWER);
        let mut symbols = self.encoded.get(range.from as usize..to as usize)?.to_vec();
        let own = encode_range(self.only_answerer.iter(), range.salt, range.from, to);
        for (symbol, own) in symbols.iter_mut().zip(own) {
            symbol.sum.iter_mut().zip(own.sum).for_each(|(byte, other)| *byte ^= other);
            symbol.checksum ^= own.checksum;
            symbol.count += own.count;
        }
        let size = u32::try_from(self.common.len() + self.only_answerer.len()).ok()?;
        Some(encode_batch(&symbols, range.from, size))
    }
}

impl Session {
    fn count(&mut self, request: &ExchangeRequest, answer: &ExchangeAnswer) {
        let (asked, answered) = (wire::encode_request(request), wire::encode_answer(answer));
        self.bytes += asked.len() as u64 + answered.len() as u64;
        self.requests += 1;
    }
}

fn items(dice: &mut Dice, count: usize) -> Vec<Item> {
    let item =
        |dice: &mut Dice| (u128::from(dice.bits()) << 64 | u128::from(dice.bits())).to_le_bytes();
    (0..count).map(|_| item(dice)).collect()
}

fn cursor() -> Cursor {
    Cursor { epoch: u64::MAX, position: 1 << 20 }
}

fn digest() -> StateDigest {
    StateDigest([0xa5; 16])
}

fn request() -> ExchangeRequest {
    ExchangeRequest { digest: digest(), ..ExchangeRequest::default() }
}

fn answer() -> ExchangeAnswer {
    ExchangeAnswer {
        digest: digest(),
        cursor: cursor(),
        your_version: Version::at_ms(WALL_MS),
        wall_ms: WALL_MS,
        ..ExchangeAnswer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_cost_what_is_promised() {
        let costs = reconciliation(20_000, &[0, 64, 256, 750], 20, 1).unwrap();
        assert!(costs[0].p95_bytes <= 300, "{costs:?}");
        for cost in &costs[1..] {
            let entries = cost.differences as f64 * 32.0;
            assert!(cost.mean_bytes <= 2.0 * entries + 64.0, "{cost:?}");
            assert!(cost.p95_bytes as f64 <= 2.5 * entries, "{cost:?}");
        }
    }

    #[test]
    fn symbols_of_the_parts_are_those_of_the_whole() {
        let mut dice = Dice::new(1, "test", 0);
        let (common, only_answerer) = (items(&mut dice, 500), items(&mut dice, 20));
        let pair = Pair {
            common: &common,
            encoded: &encode_range(common.iter(), 9, 0, 100),
            only_asker: Vec::new(),
            only_answerer: only_answerer.clone(),
            salt: 9,
        };
        let whole = [common.clone(), only_answerer].concat();
        let expected = encode_batch(&encode_range(whole.iter(), 9, 30, 80), 30, 520);
        assert_eq!(pair.symbols(SketchRange { salt: 9, from: 30, to: 80 }), Some(expected));
    }
}
