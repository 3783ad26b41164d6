//! What is thought of a shard, by what is remembered, recorded and found. No I/O, no clock.

use plexmesh_proto::integrity::Verdict;

use crate::sources::{Digests, Expected, ExpectedDigest, FileFacts, Found, UNRECORDED_GRACE};

/// How long a shard that was replaced is told of: a day, so that whoever looks once a day sees it.
pub(super) const TELL_REPLACED_MS: u64 = 24 * 60 * 60 * 1_000;
/// How long a shard that is gone is told of: a week, past which nobody misses it any more.
pub(super) const TELL_GONE_MS: u64 = 7 * TELL_REPLACED_MS;

/// A content that took another one's place together with its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replaced {
    pub(super) at_ms: u64,
    /// What was expected before.
    pub(super) from: ExpectedDigest,
}

/// What is remembered of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// What its record promised when its content was last found right.
    pub(super) expected: Option<Expected>,
    /// BLAKE3 of its content when that was last found right.
    pub(super) blake3: Option<[u8; 32]>,
    /// Its file when it was last read.
    pub(super) file: Option<FileFacts>,
    /// When it was last read to its end, in Unix milliseconds.
    pub(super) verified_ms: Option<u64>,
    /// `None` until something is known.
    pub(super) verdict: Option<Verdict>,
    /// Since when it has its verdict, in Unix milliseconds.
    pub(super) since_ms: u64,
    /// In a box: it is of few shards, and there may be a million.
    pub(super) replaced: Option<Box<Replaced>>,
}

/// What can be said of a shard without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glance {
    /// This verdict.
    Is(Verdict),
    /// Nothing: it has to be read.
    Read,
    /// Nothing yet: it may be on its way.
    Wait,
    /// It need not be remembered.
    Forget,
}

/// Looks at a shard from outside.
pub(super) fn glance(memory: &Memory, found: &Found, has_records: bool, now_ms: u64) -> Glance {
    let Some(file) = &found.file else {
        return match (&found.record, memory.verdict) {
            (Some(_), _) => Glance::Is(Verdict::Missing),
            (None, None | Some(Verdict::Orphan)) if memory.blake3.is_none() => Glance::Forget,
            (None, Some(gone @ (Verdict::Vanished | Verdict::Evicted))) => {
                if now_ms.saturating_sub(memory.since_ms) < TELL_GONE_MS {
                    Glance::Is(gone)
                } else {
                    Glance::Forget
                }
            }
            (None, _) => Glance::Is(Verdict::Vanished),
        };
    };
    if has_records && found.record.is_none() {
        let age_ms = now_ms.saturating_sub(ms(file.ctime_ns));
        let fresh = u128::from(age_ms) < UNRECORDED_GRACE.as_millis();
        return if fresh && memory.expected.is_none() && memory.verdict.is_none() {
            Glance::Wait
        } else {
            Glance::Is(Verdict::Orphan)
        };
    }
    if !file.readable {
        return Glance::Is(Verdict::Unreadable);
    }
    let promised = found.record.and_then(|record| record.size_bytes);
    if promised.is_some_and(|size| size != file.size_bytes) {
        return Glance::Is(Verdict::Truncated);
    }
    Glance::Read
}

/// Judges a content that was read.
pub(super) fn judge(
    memory: &Memory,
    record: Option<&Expected>,
    file: &FileFacts,
    digests: &Digests,
    now_ms: u64,
) -> Verdict {
    let Some(promised) = record.and_then(|record| record.digest) else {
        return judge_by_memory(memory, file, digests);
    };
    if Some(promised) != digests.expected {
        return Verdict::Corrupt;
    }
    let before = memory.expected.and_then(|expected| expected.digest);
    match (before, memory.replaced.as_deref()) {
        // The earlier content is back.
        (_, Some(replaced)) if replaced.from == promised => Verdict::Ok,
        (Some(before), _) if before != promised => Verdict::Replaced,
        (_, Some(replaced)) if now_ms.saturating_sub(replaced.at_ms) < TELL_REPLACED_MS => {
            Verdict::Replaced
        }
        _ => Verdict::Ok,
    }
}

/// Without a promise, the first reading is what is expected.
fn judge_by_memory(memory: &Memory, file: &FileFacts, digests: &Digests) -> Verdict {
    match memory.blake3 {
        None => Verdict::Ok,
        Some(before) if before == digests.blake3 => Verdict::Ok,
        Some(_) if memory.file.is_some_and(|before| is_untouched(&before, file)) => {
            Verdict::Corrupt
        }
        Some(_) => Verdict::Modified,
    }
}

/// Whether a file looks as if nobody had written to it.
fn is_untouched(before: &FileFacts, now: &FileFacts) -> bool {
    before.size_bytes == now.size_bytes
        && before.mtime_ns == now.mtime_ns
        && before.inode == now.inode
}

impl Memory {
    /// Takes over a verdict that is certain. `read` is what was read for it, if anything was.
    pub(super) fn settle(
        &mut self,
        verdict: Verdict,
        found: &Found,
        read: Option<&Digests>,
        now_ms: u64,
    ) {
        if self.verdict != Some(verdict) {
            (self.verdict, self.since_ms) = (Some(verdict), now_ms);
        }
        let Some(digests) = read else { return };
        self.verified_ms = Some(now_ms);
        if !matches!(verdict, Verdict::Ok | Verdict::Replaced) {
            return;
        }
        let before = self.expected.and_then(|expected| expected.digest);
        let promised = found.record.and_then(|record| record.digest);
        match (verdict, before) {
            (Verdict::Ok, _) => self.replaced = None,
            (_, Some(from)) if Some(from) != promised => {
                self.replaced = Some(Box::new(Replaced { at_ms: now_ms, from }));
            }
            _ => {}
        }
        self.expected = found.record;
        self.blake3 = Some(digests.blake3);
        self.file = found.file;
    }

    /// What would be found if nothing had changed.
    pub(super) const fn found(&self) -> Found {
        Found { record: self.expected, file: self.file }
    }

    /// Takes what is there now as what is expected.
    pub(super) fn accept(&mut self) {
        *self = Self::default();
    }
}

fn ms(nanos: i64) -> u64 {
    u64::try_from(nanos / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;
    const GOOD: Digests = digests([1; 32], [2; 32]);
    const OTHER: Digests = digests([3; 32], [4; 32]);

    const fn digests(blake3: [u8; 32], sha256: [u8; 32]) -> Digests {
        Digests { blake3, expected: Some(ExpectedDigest::of_sha256(sha256)) }
    }

    fn file() -> FileFacts {
        let then = i64::try_from(NOW).unwrap() * 1_000_000 - 3_600_000_000_000;
        FileFacts { size_bytes: 3, mtime_ns: then, ctime_ns: then, inode: 9, readable: true }
    }

    fn record(digests: &Digests) -> Expected {
        Expected { digest: digests.expected, size_bytes: Some(3) }
    }

    fn found(record: Option<Expected>, file: Option<FileFacts>) -> Found {
        Found { record, file }
    }

    /// A shard that was read and found right.
    fn verified(record: Option<Expected>) -> Memory {
        let mut memory = Memory::default();
        memory.settle(Verdict::Ok, &found(record, Some(file())), Some(&GOOD), NOW - 1_000);
        memory
    }

    fn glanced(memory: &Memory, it: &Found) -> Glance {
        glance(memory, it, true, NOW)
    }

    #[test]
    fn what_needs_no_reading_is_told_at_a_glance() {
        let known = verified(Some(record(&GOOD)));
        let is = |found: Found| glanced(&known, &found);
        assert_eq!(is(found(Some(record(&GOOD)), None)), Glance::Is(Verdict::Missing));
        assert_eq!(is(found(None, None)), Glance::Is(Verdict::Vanished));
        assert_eq!(is(found(None, Some(file()))), Glance::Is(Verdict::Orphan));
        let short = FileFacts { size_bytes: 2, ..file() };
        assert_eq!(is(found(Some(record(&GOOD)), Some(short))), Glance::Is(Verdict::Truncated));
        let closed = FileFacts { readable: false, ..file() };
        assert_eq!(is(found(Some(record(&GOOD)), Some(closed))), Glance::Is(Verdict::Unreadable));
        assert_eq!(is(found(Some(record(&GOOD)), Some(file()))), Glance::Read);
    }

    #[test]
    fn a_file_that_is_not_recorded_yet_is_waited_for() {
        let fresh =
            FileFacts { ctime_ns: i64::try_from(NOW - 59_000).unwrap() * 1_000_000, ..file() };
        let new = Memory::default();
        assert_eq!(glanced(&new, &found(None, Some(fresh))), Glance::Wait);
        assert_eq!(glanced(&new, &found(None, Some(file()))), Glance::Is(Verdict::Orphan));
        // Nothing is waited for where nothing is recorded at all.
        assert_eq!(glance(&new, &found(None, Some(fresh)), false, NOW), Glance::Read);
    }

    #[test]
    fn what_was_never_a_shard_is_forgotten_and_what_is_gone_is_told_for_a_week() {
        assert_eq!(glanced(&Memory::default(), &Found::default()), Glance::Forget);
        let orphan = Memory { verdict: Some(Verdict::Orphan), ..Memory::default() };
        assert_eq!(glanced(&orphan, &Found::default()), Glance::Forget);
        let mut gone = verified(None);
        gone.settle(Verdict::Evicted, &Found::default(), None, NOW);
        assert_eq!(glanced(&gone, &Found::default()), Glance::Is(Verdict::Evicted));
        let later = NOW + TELL_GONE_MS;
        assert_eq!(glance(&gone, &Found::default(), true, later), Glance::Forget);
    }

    #[test]
    fn a_content_is_judged_by_its_record() {
        let known = verified(Some(record(&GOOD)));
        let by = |memory: &Memory, promised: &Digests, read: &Digests| {
            judge(memory, Some(&record(promised)), &file(), read, NOW)
        };
        assert_eq!(by(&Memory::default(), &GOOD, &GOOD), Verdict::Ok);
        assert_eq!(by(&Memory::default(), &GOOD, &OTHER), Verdict::Corrupt);
        assert_eq!(by(&known, &GOOD, &OTHER), Verdict::Corrupt);
        assert_eq!(by(&known, &OTHER, &OTHER), Verdict::Replaced);
        assert_eq!(by(&known, &OTHER, &GOOD), Verdict::Corrupt);
    }

    #[test]
    fn a_replacement_is_told_for_a_day_and_ends_when_the_earlier_content_is_back() {
        let mut memory = verified(Some(record(&GOOD)));
        let new = record(&OTHER);
        memory.settle(Verdict::Replaced, &found(Some(new), Some(file())), Some(&OTHER), NOW);
        let at = |now: u64| judge(&memory, Some(&new), &file(), &OTHER, now);
        assert_eq!(at(NOW + TELL_REPLACED_MS - 1), Verdict::Replaced);
        assert_eq!(at(NOW + TELL_REPLACED_MS), Verdict::Ok);
        let back = judge(&memory, Some(&record(&GOOD)), &file(), &GOOD, NOW + 1);
        assert_eq!(back, Verdict::Ok);
        memory.settle(back, &found(Some(record(&GOOD)), Some(file())), Some(&GOOD), NOW + 1);
        assert_eq!(memory.replaced, None);
    }

    #[test]
    fn without_a_record_the_first_reading_is_what_is_expected() {
        let known = verified(None);
        let by = |memory: &Memory, file: &FileFacts, read| judge(memory, None, file, read, NOW);
        assert_eq!(by(&Memory::default(), &file(), &GOOD), Verdict::Ok);
        assert_eq!(by(&known, &file(), &GOOD), Verdict::Ok);
        assert_eq!(by(&known, &file(), &OTHER), Verdict::Corrupt);
        let touched = FileFacts { mtime_ns: file().mtime_ns + 1, ..file() };
        assert_eq!(by(&known, &touched, &OTHER), Verdict::Modified);
        // A file that was only touched is as it was.
        assert_eq!(by(&known, &touched, &GOOD), Verdict::Ok);
    }

    #[test]
    fn a_bad_reading_leaves_what_is_expected_as_it_was() {
        let mut memory = verified(Some(record(&GOOD)));
        let before = memory.clone();
        let found = found(Some(record(&GOOD)), Some(file()));
        memory.settle(Verdict::Corrupt, &found, Some(&OTHER), NOW);
        assert_eq!((memory.expected, memory.blake3), (before.expected, before.blake3));
        assert_eq!((memory.verdict, memory.since_ms), (Some(Verdict::Corrupt), NOW));
    }
}
