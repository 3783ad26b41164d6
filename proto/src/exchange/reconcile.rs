//! Set reconciliation of two views: finds what each side lacks at a cost that grows with the difference.

use super::message::SketchRange;
use crate::view::{RecordStore, View};
use crate::wire::MAX_SYMBOL;

pub mod riblt;
mod snapshots;

pub(super) use snapshots::Snapshots;

use riblt::{Decoder, Difference, Progress};

/// Length of the items: the first half of a record's hash.
const ITEM: usize = 16;
/// Symbols of the first range: 1.6 KB find about forty differences at once.
const FIRST_SYMBOLS: u32 = 64;
/// Tries after the other side lost its snapshot under way; each begins with a larger range.
const MAX_TRIES: u8 = 4;
/// Bytes of a coded symbol of sets of some thousand records.
const SYMBOL_BYTES: u32 = 25;
/// Bytes of an id in a log.
const ID_BYTES: u32 = 8;

/// What follows from a batch of symbols.
#[derive(Debug)]
pub(super) enum Step {
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
pub(super) struct Reconciliation {
    salt: u64,
    decoder: Option<Decoder<ITEM>>,
    /// One past the last symbol of the range asked for.
    to: u32,
    tries: u8,
}

impl Reconciliation {
    pub(super) const fn begin(salt: u64) -> Self {
        Self { salt, decoder: None, to: FIRST_SYMBOLS, tries: 0 }
    }

    /// The range to ask for.
    pub(super) fn next_range<S: RecordStore>(
        &mut self,
        view: &View<S>,
        random: u64,
    ) -> SketchRange {
        let salt = &mut self.salt;
        let decoder = self.decoder.get_or_insert_with(|| {
            *salt = random;
            Decoder::new(view.state_items().iter(), random)
        });
        let from = decoder.received();
        SketchRange { salt: self.salt, from, to: self.to.max(from + 1).min(MAX_SYMBOL) }
    }

    /// Takes the symbols of the range asked for.
    pub(super) fn on_symbols(&mut self, bytes: &[u8]) -> Step {
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
                // The sizes alone tell how large the difference is at least, at 1.4 symbols each.
                let at_least = batch.set_size.abs_diff(decoder.local_size());
                self.to = decoder
                    .received()
                    .saturating_mul(2)
                    .max(at_least.saturating_add(at_least.saturating_mul(2) / 5));
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
