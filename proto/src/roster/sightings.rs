//! What observers report, packed: judging a mesh reads all of it.

use alloc::vec::Vec;
use core::fmt;

use super::Member;
use crate::membership::state::FLAPS_TO_FLAPPING;
use crate::record::{EdgeStatus, LinkEdge, Links};
use crate::ring::Rings;

/// Bits of a roster index: more members than any scope will have.
const INDEX_BITS: u32 = 27;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
/// A subject that is no member.
const NOBODY: u32 = INDEX_MASK;
const LATE_BIT: u32 = 1 << 29;
const FLAPPING_BIT: u32 = 1 << 30;
const POOR_BIT: u32 = 1 << 31;
/// The arena is compacted when more of it than this, and than half of it, is void.
const WASTE: usize = 4_096;

/// What an observer reports of one subject, in one word: the subject's index, the edge's status, whether the report was late, whether it flaps and whether it is poor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sighting(u32);

impl Sighting {
    fn new(subject: Option<u32>, edge: &LinkEdge) -> Self {
        let status = match edge.status {
            EdgeStatus::Heard => 0,
            EdgeStatus::Checking => 1,
            EdgeStatus::Lost => 2,
            EdgeStatus::NoPath => 3,
        };
        let flapping = if edge.flaps >= FLAPS_TO_FLAPPING { FLAPPING_BIT } else { 0 };
        let poor = if edge.poor { POOR_BIT } else { 0 };
        Self(Self::of(subject).0 | status << INDEX_BITS | flapping | poor)
    }

    fn of(subject: Option<u32>) -> Self {
        Self(subject.unwrap_or(NOBODY).min(NOBODY))
    }

    /// The subject's roster index; `None` if it is no member.
    #[must_use]
    pub const fn subject(self) -> Option<u32> {
        let index = self.0 & INDEX_MASK;
        if index == NOBODY { None } else { Some(index) }
    }

    /// The edge's status.
    #[must_use]
    pub const fn status(self) -> EdgeStatus {
        match (self.0 >> INDEX_BITS) & 3 {
            0 => EdgeStatus::Heard,
            1 => EdgeStatus::Checking,
            2 => EdgeStatus::Lost,
            _ => EdgeStatus::NoPath,
        }
    }

    /// Whether the subject is heard, or was until a moment ago.
    #[must_use]
    pub const fn is_heard(self) -> bool {
        matches!(self.status(), EdgeStatus::Heard | EdgeStatus::Checking)
    }

    /// Whether it was lost as often as one calls flapping.
    #[must_use]
    pub const fn flaps(self) -> bool {
        self.0 & FLAPPING_BIT != 0
    }

    /// Whether it is heard, but many answers are missing or a second late.
    #[must_use]
    pub const fn is_poor(self) -> bool {
        self.0 & POOR_BIT != 0
    }

    /// Whether it is lost and the report of that had been on its way for long when it came here.
    #[must_use]
    pub const fn is_late(self) -> bool {
        self.0 & LATE_BIT != 0
    }

    const fn late(self, late: bool) -> Self {
        Self(self.0 | if late { LATE_BIT } else { 0 })
    }

    /// What of it decides who can be reached: the subject, and whether it is heard.
    pub(super) const fn relation(self) -> Self {
        Self(self.0 & INDEX_MASK | if self.is_heard() { 0 } else { 2 << INDEX_BITS })
    }
}

impl fmt::Debug for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.subject(), self.status())
    }
}

/// Where one member's words stand: its edges in the order of its report, then its watchers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    first: u32,
    edges: u8,
    watchers: u8,
}

impl Place {
    pub(super) const fn edges(self) -> usize {
        self.edges as usize
    }

    const fn len(self) -> usize {
        self.edges as usize + self.watchers as usize
    }
}

/// The words of all members.
#[derive(Clone, Debug, Default)]
pub(super) struct Arena {
    words: Vec<Sighting>,
    void: usize,
}

impl Arena {
    pub(super) fn edges(&self, place: Place) -> &[Sighting] {
        self.all(place).get(..place.edges()).unwrap_or_default()
    }

    pub(super) fn watchers(&self, place: Place) -> &[Sighting] {
        self.all(place).get(place.edges()..).unwrap_or_default()
    }

    pub(super) fn all(&self, place: Place) -> &[Sighting] {
        let first = place.first as usize;
        self.words.get(first..first + place.len()).unwrap_or_default()
    }

    /// Puts words in the place of `old`, or behind all others.
    pub(super) fn put(
        &mut self,
        old: Option<Place>,
        words: &[Sighting],
        edges: usize,
        watchers: usize,
    ) -> Place {
        // A report has at most MAX_EDGES of each, which is less than 256.
        let (edges, watchers) = (u8::try_from(edges), u8::try_from(watchers));
        let mut place =
            Place { first: 0, edges: edges.unwrap_or(0), watchers: watchers.unwrap_or(0) };
        if let Some(old) = old.filter(|old| old.len() >= place.len()) {
            place.first = old.first;
            self.void += old.len() - place.len();
            let first = old.first as usize;
            if let Some(room) = self.words.get_mut(first..first + place.len()) {
                room.copy_from_slice(words.get(..place.len()).unwrap_or_default());
            }
            return place;
        }
        self.void += old.map_or(0, Place::len);
        place.first = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        self.words.extend_from_slice(words);
        place
    }

    pub(super) const fn is_wasteful(&self) -> bool {
        self.void > WASTE && 2 * self.void > self.words.len()
    }

    /// Gives back room that nothing stands in.
    pub(super) fn shrink(&mut self) {
        self.words.shrink_to_fit();
    }

    /// Moves all places together.
    pub(super) fn compact<'a>(&mut self, places: impl Iterator<Item = &'a mut Place>) {
        let mut words = Vec::with_capacity(self.words.len().saturating_sub(self.void));
        for place in places {
            let first = u32::try_from(words.len()).unwrap_or(u32::MAX);
            words.extend_from_slice(self.all(*place));
            place.first = first;
        }
        *self = Self { words, void: 0 };
    }
}

/// A report that was packed before.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    pub(super) links: &'a Links,
    pub(super) words: &'a [Sighting],
}

impl Before<'_> {
    /// Whether the report of this loss was late; `None` if it was not known.
    fn is_late(self, edge: &LinkEdge) -> Option<bool> {
        let mut known = self.links.edges.iter().zip(self.words);
        let same = known.find(|(before, word)| {
            before.subject == edge.subject
                && before.since == edge.since
                && word.status() == EdgeStatus::Lost
        });
        same.map(|(_, word)| word.is_late())
    }
}

/// Packs the report of a member into `words`; gives how many edges and watchers there are. Losses that are not known from `before` are late if they are older than `late_before_ms`.
pub(super) fn pack(
    member: &Member,
    before: Option<Before<'_>>,
    rings: &Rings,
    late_before_ms: u64,
    words: &mut Vec<Sighting>,
) -> (usize, usize) {
    words.clear();
    let Some(links) = member.links() else { return (0, 0) };
    words.extend(links.edges.iter().map(|edge| {
        let sighting = Sighting::new(rings.index_of(&edge.subject), edge);
        if edge.status != EdgeStatus::Lost {
            return sighting;
        }
        let known = before.and_then(|before| before.is_late(edge));
        sighting.late(known.unwrap_or_else(|| edge.since.ms() < late_before_ms))
    }));
    words.extend(links.watchers.iter().map(|watcher| Sighting::of(rings.index_of(watcher))));
    (links.edges.len(), links.watchers.len())
}
