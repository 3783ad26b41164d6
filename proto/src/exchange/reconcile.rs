//! Set reconciliation of two views: finds what each side lacks at a cost that grows with the difference.

use alloc::vec::Vec;

use super::message::SketchRange;
use crate::wire::MAX_SYMBOL;

pub mod riblt;
mod snapshots;

pub(super) use snapshots::Snapshots;

use riblt::{Decoder, Difference, Progress};

/// Length of the items: the first half of a record's hash.
const ITEM: usize = 16;
/// Symbols of the first range: 1.6 KB find about forty differences at once, and tell within a fifth how many more there are.
const FIRST_SYMBOLS: u32 = 64;
/// Symbols asked for in all, for each 20 differences that are estimated. From a thousand on the half of all reconciliations needs no more; a smaller one does, and asks for what [`MORE`] gives.
const SYMBOLS_PER_TWENTY: u32 = 27;
/// The least that is asked for beyond what was received, as a part of it: one eighth too many costs as much as a request for so few.
const MORE: u32 = 8;
/// The fewest symbols of a further range: a request and its answer cost as much as four.
const MORE_SYMBOLS: u32 = 8;
/// Most coded symbols in one answer: about 50 KB.
pub const SYMBOLS_PER_ANSWER: u32 = 1_900;
/// Tries after the other side lost its snapshot under way; each begins with a larger range.
const MAX_TRIES: u8 = 4;
/// Bytes of a coded symbol of sets of some thousand records.
const SYMBOL_BYTES: u32 = 25;
/// Bytes of an id in a log.
const ID_BYTES: u32 = 8;

/// What follows from a batch of symbols.
#[derive(Debug)]
pub enum Step {
    /// Ask for the next range.
    More,
    /// The difference is so large that all ids of the other set cost less than the symbols for it.
    AskLog,
    /// Not to be had this way now; the next exchanges will find another occasion.
    GiveUp,
    /// Both sides' surplus is known.
    Done(Difference<ITEM>),
}

/// One reconciliation, on the side that asks.
#[derive(Debug)]
pub struct Reconciliation {
    salt: u64,
    decoder: Option<Decoder<ITEM>>,
    /// One past the last symbol of the range asked for.
    to: u32,
    tries: u8,
}

impl Reconciliation {
    /// Begins. The salt is replaced when the first range is asked for.
    #[must_use]
    pub const fn begin(salt: u64) -> Self {
        Self { salt, decoder: None, to: FIRST_SYMBOLS, tries: 0 }
    }

    /// The range to ask for. A reconciliation that begins, or begins anew, takes `items` as its own set and `random` as its salt.
    pub fn next_range(
        &mut self,
        items: impl FnOnce() -> Vec<[u8; ITEM]>,
        random: u64,
    ) -> SketchRange {
        let salt = &mut self.salt;
        let decoder = self.decoder.get_or_insert_with(|| {
            *salt = random;
            Decoder::new(items().iter(), random)
        });
        let from = decoder.received();
        SketchRange { salt: self.salt, from, to: self.to.max(from + 1).min(MAX_SYMBOL) }
    }

    /// Takes the symbols of the range asked for.
    pub fn on_symbols(&mut self, bytes: &[u8]) -> Step {
        let Some(decoder) = &mut self.decoder else { return Step::GiveUp };
        let Ok(batch) = riblt::decode_batch::<ITEM>(bytes) else { return Step::GiveUp };
        if batch.from != decoder.received() {
            return Step::GiveUp;
        }
        match decoder.add_symbols(&batch.symbols) {
            Ok(Progress::Complete) => self
                .decoder
                .take()
                .and_then(|decoder| decoder.into_difference().ok())
                .map_or(Step::GiveUp, Step::Done),
            Ok(Progress::NeedMore) if decoder.received() >= MAX_SYMBOL => Step::GiveUp,
            Ok(Progress::NeedMore) => {
                let received = decoder.received();
                let needed = decoder.estimated_difference().saturating_mul(SYMBOLS_PER_TWENTY) / 20;
                self.to = needed.max(received + (received / MORE).max(MORE_SYMBOLS));
                let symbols = self.to.saturating_mul(SYMBOL_BYTES);
                let ids = batch.set_size.saturating_mul(ID_BYTES);
                if symbols > ids { Step::AskLog } else { Step::More }
            }
            Err(_) => self.retry(),
        }
    }

    /// The other side encoded another set than for the range before: begin anew with a first range that would have been enough.
    fn retry(&mut self) -> Step {
        self.tries += 1;
        if self.tries >= MAX_TRIES {
            return Step::GiveUp;
        }
        let reached = self.decoder.take().map_or(0, |decoder| decoder.received());
        self.to = reached.saturating_mul(2).max(FIRST_SYMBOLS);
        Step::More
    }
}
