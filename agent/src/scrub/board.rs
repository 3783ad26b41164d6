//! What is known of all shards, in memory: what was found, what is remembered, what is to be read
//! next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plexmesh_proto::integrity::{
    FindingKind, INVENTORY_DIGEST_BYTES, Inventory as Summary, ShardReport, Verdict,
};

use super::hours::Hours;
use super::inventory::{Change, SourceKey};
use super::judge::{Glance, Memory, glance};
use super::rate::{Backlog, Rate};
use super::{Directory, MAX_PAUSE, millis};
use crate::sources::{Digests, Found, Listing};

mod queue;
mod shard;
mod shard_map;

use queue::Queue;
use shard::fold;
pub(super) use shard::{Patience, Shard};
pub(super) use shard_map::ShardMap;

/// Between what looks wrong and the second look, in milliseconds: whoever writes a file and then its
/// record needs less.
pub(super) const CONFIRM_MS: u64 = 2_000;
/// Within which shards vanish at once, in milliseconds.
const AT_ONCE_MS: u64 = 60_000;
/// Fewest shards of which a tenth is many, and fewest that are many.
const MANY_OF: usize = 10;
const FEWEST_MANY: usize = 2;
/// When a shard is due that is being read.
const READING_MS: u64 = u64::MAX;
/// The part of the deadline within which a shard is read again, in percent of it: a spread, so that
/// not all are read at one time, and well before the end, so that a busy hour does not break it.
const AGAIN_FROM_PERCENT: u64 = 50;
const AGAIN_SPREAD_PERCENT: u64 = 30;

/// A point in time on all clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// Milliseconds since boot: what is waited by.
    pub(super) at_ms: u64,
    /// Unix milliseconds: what is remembered.
    pub(super) wall_ms: u64,
    /// Milliseconds for which the host was awake, since any time: what it could work in.
    pub(super) awake_ms: u64,
}

/// Why a source cannot be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FindingKind,
    pub(super) reason: String,
    pub(super) since_ms: u64,
    /// A second look agreed.
    pub(super) confirmed: bool,
}

/// One source.
#[derive(Clone, Debug)]
pub(super) struct SourceBoard {
    pub(super) key: SourceKey,
    pub(super) directory: Directory,
    pub(super) shards: ShardMap,
    pub(super) fault: Option<Fault>,
    pub(super) refused: usize,
    pub(super) stale_manifest: bool,
    pub(super) has_records: bool,
    pub(super) looked_ms: Option<u64>,
    /// When the last look that succeeded began, in milliseconds since boot.
    looked_at_ms: u64,
}

/// A shard that is to be read now.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) source: usize,
    pub(super) id: Arc<str>,
    pub(super) memory: Memory,
    pub(super) found: Found,
    /// It is past the time at which it should have been read.
    pub(super) late: Duration,
    /// Its second reading has to wait for a look that begins then.
    pub(super) look_first_ms: Option<u64>,
    /// It looked wrong at the first reading.
    pub(super) is_second: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) sources: Vec<SourceBoard>,
    queue: Queue,
    pub(super) deadline: Duration,
    /// When shards are read that nobody asks for; `None` for always.
    pub(super) hours: Option<Hours>,
    /// Nothing is past its deadline before the agent had the time to read it.
    started: Moment,
    /// Those with changes that are not on disk yet: all are too many to be searched each second.
    unsaved: Vec<(usize, Arc<str>)>,
    gone: Vec<Change>,
    /// Changes that are being written.
    saving: usize,
    pub(super) files_read: u64,
    pub(super) bytes_read: u64,
    pub(super) looks: u64,
    pub(super) look_took: Duration,
    pub(super) rate: Rate,
    pub(super) pause: Pause,
}

/// Whether an operator has nothing read for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pause {
    /// Unix milliseconds at which it ends by itself.
    pub(super) until_ms: Option<u64>,
    /// It is not on disk yet.
    pub(super) unsaved: bool,
}

impl SourceBoard {
    pub(super) fn new(key: SourceKey, directory: Directory) -> Self {
        let has_records = directory.kind.has_records();
        Self {
            key,
            directory,
            shards: ShardMap::default(),
            fault: None,
            refused: 0,
            stale_manifest: false,
            has_records,
            looked_ms: None,
            looked_at_ms: 0,
        }
    }

    /// Shards of which a look may tell something new. Almost all are as they were each time, so
    /// both lists are walked once, side by side.
    fn differences(&self, mut listing: Listing, same_rules: bool) -> Vec<(Arc<str>, Found)> {
        let mut differences = Vec::new();
        let mut listed = std::mem::take(&mut listing.shards).into_iter().peekable();
        for (id, shard) in self.shards.iter() {
            while let Some((new, found)) = listed.next_if(|(listed, _)| **listed < *id) {
                differences.push((new.into(), found));
            }
            let found = listed.next_if(|(listed, _)| **listed == *id).map(|(_, found)| found);
            if found.is_none() && listing.hides(id) {
                continue;
            }
            let found = found.unwrap_or_default();
            if !(same_rules && shard.is_settled_as(&found)) {
                differences.push((id.into(), found));
            }
        }
        differences.extend(listed.map(|(new, found)| (new.into(), found)));
        differences
    }
}

impl Board {
    pub(super) fn new(deadline: Duration, hours: Option<Hours>, now: Moment) -> Self {
        Self { deadline, hours, started: now, ..Self::default() }
    }

    /// A shard of which this is remembered.
    pub(super) fn recalled(&self, id: &str, memory: Memory, now: Moment) -> Shard {
        let due_ms = memory.file.is_some().then(|| self.due_again_ms(id, &memory, now));
        Shard::new(memory, due_ms)
    }

    /// Adds what is remembered of a source. None of it is read before [`settle`](Self::settle).
    pub(super) fn remember(&mut self, source: usize, shards: ShardMap) {
        if let Some(board) = self.sources.get_mut(source) {
            board.shards = shards;
        }
    }

    /// Makes anew what goes on to live for long in small pieces of memory, once what it was made beside is
    /// gone: a few pieces that stay keep whole pages.
    pub(super) fn settle(&mut self) {
        self.queue.forget();
        self.refill_queue();
        self.unsaved.shrink_to_fit();
    }

    /// When a shard is to be read of which this is remembered.
    fn due_again_ms(&self, id: &str, memory: &Memory, now: Moment) -> u64 {
        match (memory.verified_ms, memory.verdict) {
            (Some(verified_ms), Some(Verdict::Ok | Verdict::Replaced)) => {
                let age_ms = now.wall_ms.saturating_sub(verified_ms);
                now.at_ms + self.again_after(id, verified_ms).saturating_sub(age_ms)
            }
            _ => now.at_ms,
        }
    }

    /// Takes over what an earlier board knew of the sources that stay, and what of it is not on disk
    /// yet: a disk that is full must not make it forget.
    pub(super) fn take_over(&mut self, earlier: &mut Self, now: Moment) {
        (self.files_read, self.bytes_read) = (earlier.files_read, earlier.bytes_read);
        (self.looks, self.look_took) = (earlier.looks, earlier.look_took);
        (self.rate, self.pause) = (earlier.rate, earlier.pause);
        self.rate.stop();
        self.gone.append(&mut earlier.gone);
        for source in &mut earlier.sources {
            let Some(place) = self.sources.iter().position(|it| it.key == source.key) else {
                continue;
            };
            let unsaved = source.shards.iter().filter(|(_, shard)| shard.unsaved);
            let unsaved: Vec<Arc<str>> = unsaved.map(|(id, _)| id.into()).collect();
            let shards = source.shards.iter_mut().map(|(id, shard)| {
                let memory = std::mem::take(&mut shard.memory);
                (id, self.recalled(id, memory, now))
            });
            let shards = shards.collect();
            self.remember(place, shards);
            for id in &unsaved {
                self.changed(place, id);
            }
        }
        self.settle();
    }

    /// Takes over what a look found. Gives the time of the next look that a doubt asks for.
    pub(super) fn merge(&mut self, source: usize, listing: Listing, now: Moment) -> Option<u64> {
        let board = self.sources.get_mut(source)?;
        board.refused = listing.refused;
        board.stale_manifest = listing.stale_manifest;
        let same_rules = board.has_records == listing.has_records;
        board.has_records = listing.has_records;
        (board.looked_ms, board.looked_at_ms) = (Some(now.wall_ms), now.at_ms);
        if board.fault.take().is_some() {
            self.move_on(source);
        }
        let board = self.sources.get_mut(source)?;
        let differences = board.differences(listing, same_rules);
        for (id, found) in differences {
            self.see(source, &id, found, now);
        }
        self.tell_evictions(source, now);
        self.next_doubt_ms(now)
    }

    /// Takes over that a look found everything as the last one did. Only time can have changed what is
    /// thought of it.
    pub(super) fn merge_same(&mut self, source: usize, now: Moment) -> Option<u64> {
        let board = self.sources.get_mut(source)?;
        (board.looked_ms, board.looked_at_ms) = (Some(now.wall_ms), now.at_ms);
        let unsettled = board.shards.iter().filter(|(_, shard)| shard.due_ms.is_none());
        let unsettled: Vec<(Arc<str>, Found)> =
            unsettled.map(|(id, shard)| (id.into(), shard.found())).collect();
        for (id, found) in &unsettled {
            self.see(source, id, *found, now);
        }
        if !unsettled.is_empty() {
            self.tell_evictions(source, now);
        }
        self.next_doubt_ms(now)
    }

    /// A shard as it was found now.
    fn see(&mut self, source: usize, id: &Arc<str>, found: Found, now: Moment) {
        let Some(board) = self.sources.get_mut(source) else { return };
        let has_records = board.has_records;
        board.shards.add(id, Shard::default());
        let Some(shard) = board.shards.get_mut(id) else { return };
        let changed = shard.found() != found;
        shard.set_found(found);
        let was_read = !matches!(
            shard.memory.verdict,
            None | Some(
                Verdict::Missing
                    | Verdict::Vanished
                    | Verdict::Evicted
                    | Verdict::Orphan
                    | Verdict::Unreadable
                    | Verdict::Truncated
            )
        );
        match glance(&shard.memory, &found, has_records, now.wall_ms) {
            Glance::Is(verdict) => {
                let before = shard.memory.clone();
                shard.note(verdict, None, now);
                if shard.memory != before {
                    self.changed(source, id);
                }
                self.schedule(source, id, None);
            }
            // A doubt of a reading waits for its second one.
            Glance::Read if !changed && (was_read || shard.due_ms.is_some()) => {}
            Glance::Read => {
                // What was doubted was another file.
                shard.suspect = None;
                self.schedule(source, id, Some(now.at_ms));
            }
            Glance::Wait => self.schedule(source, id, None),
            Glance::Forget => {
                self.schedule(source, id, None);
                self.forget(source, id);
            }
        }
    }

    /// Takes over a reading, or that there could be none. Gives the time of the look that a doubt
    /// of it asks for.
    pub(super) fn read(
        &mut self,
        job: &Job,
        verdict: Verdict,
        digests: Option<&Digests>,
        now: Moment,
    ) -> Option<u64> {
        let again = now.at_ms + self.again_after(&job.id, now.wall_ms);
        let shard = self.sources.get_mut(job.source)?.shards.get_mut(&job.id)?;
        // It changed while it was read: what was read says nothing of what is there.
        if shard.found() != job.found {
            self.schedule(job.source, &job.id, Some(now.at_ms));
            return None;
        }
        let before = shard.memory.clone();
        let certain = shard.note(verdict, digests, now);
        let changed = shard.memory != before;
        shard.ordered = false;
        let doubt = shard.confirm_ms();
        let due = doubt.filter(|_| !certain).unwrap_or(again);
        if changed {
            self.changed(job.source, &job.id);
        }
        self.schedule(job.source, &job.id, Some(due));
        doubt
    }

    /// Puts a shard off that could not be read for a reason that is not its own.
    pub(super) fn put_off(&mut self, job: &Job, until_ms: u64) {
        self.schedule(job.source, &job.id, Some(until_ms));
    }

    /// The next shard that is due, if any is. It stays due until [`read`](Self::read).
    pub(super) fn next_job(&mut self, now: Moment) -> Option<Job> {
        self.refill_queue();
        let (due_ms, source, id) = self.queue.first_due(now.at_ms, self.is_open(now))?;
        let board = self.sources.get(*source)?;
        let shard = board.shards.get(id)?;
        let confirm_ms = shard.confirm_ms();
        let look_first_ms = confirm_ms.filter(|confirm_ms| *confirm_ms > board.looked_at_ms);
        let late = Duration::from_millis(now.at_ms.saturating_sub(*due_ms));
        let (memory, found) = (shard.memory.clone(), shard.found());
        let is_second = confirm_ms.is_some();
        Some(Job { source: *source, id: id.clone(), memory, found, late, look_first_ms, is_second })
    }

    /// Notes that a shard is being read.
    pub(super) fn begin(&mut self, job: &Job, now: Moment) {
        self.rate.begin(now.at_ms);
        self.schedule(job.source, &job.id, Some(READING_MS));
    }

    /// Has nothing read until then, or everything again.
    pub(super) const fn set_pause(&mut self, until_ms: Option<u64>) {
        self.pause = Pause { until_ms, unsaved: true };
    }

    /// Notes that all readings were given up: what was being read is due.
    pub(super) fn give_up_readings(&mut self, now: Moment) {
        self.rate.stop();
        // Those of a source that cannot be looked at are not in the queue.
        let all = self.sources.iter().enumerate();
        let shards = all.flat_map(|(place, source)| {
            source.shards.iter().map(move |(id, shard)| (place, id, shard.due_ms))
        });
        let reading: Vec<(usize, Arc<str>)> = shards
            .filter(|(_, _, due_ms)| *due_ms == Some(READING_MS))
            .map(|(place, id, _)| (place, id.into()))
            .collect();
        for (source, id) in reading {
            self.schedule(source, &id, Some(now.at_ms));
        }
    }

    /// Unix milliseconds until which nothing is read; `None` if nothing is in the way.
    pub(super) fn paused_until_ms(&self, now: Moment) -> Option<u64> {
        let longest_ms = now.wall_ms.saturating_add(millis(MAX_PAUSE));
        // What a clock that was set back made longer than any pause is none.
        self.pause.until_ms.filter(|until_ms| (now.wall_ms + 1..=longest_ms).contains(until_ms))
    }

    /// When the next shard is due.
    pub(super) fn next_due_ms(&mut self, now: Moment) -> Option<u64> {
        self.refill_queue();
        self.queue.next_due_ms(self.is_open(now))
    }

    /// How long shards are not read that nobody asked for; `None` if they are.
    pub(super) fn opens_in(&self, now: Moment) -> Option<Duration> {
        self.hours.and_then(|hours| hours.begin_in(now.wall_ms))
    }

    /// Whether shards are read at this hour that nobody asked for.
    pub(super) fn is_open(&self, now: Moment) -> bool {
        self.hours.is_none_or(|hours| hours.are_now(now.wall_ms))
    }

    /// What is due, or being read.
    pub(super) fn backlog(&self, now: Moment) -> Backlog {
        let mut backlog = Backlog::default();
        for (_, _, shard) in self.waiting() {
            if shard.due_ms.is_some_and(|due_ms| due_ms <= now.at_ms || due_ms == READING_MS) {
                backlog.add(shard.found().file.map_or(0, |file| file.size_bytes));
            }
        }
        backlog
    }

    /// All shards that are to be read at any time, or are being read, with the places of their sources.
    /// Nothing is to be read of a source that cannot be looked at.
    fn waiting(&self) -> impl Iterator<Item = (usize, &str, &Shard)> {
        let sources = self.sources.iter().enumerate().filter(|(_, it)| it.fault.is_none());
        let shards = sources.flat_map(|(place, source)| {
            source.shards.iter().map(move |(id, shard)| (place, id, shard))
        });
        shards.filter(|(_, _, shard)| shard.due_ms.is_some())
    }

    /// Has the queue know again what is next.
    fn refill_queue(&mut self) {
        if !self.queue.begin_refill() {
            return;
        }
        let mut queue = std::mem::take(&mut self.queue);
        for (source, id, shard) in self.waiting() {
            shard.queue_up(&mut queue, source, id);
        }
        self.queue = queue;
    }

    /// Whether a source could not be looked at lately: what is read of it may be another thing.
    pub(super) fn is_faulty(&self, source: usize) -> bool {
        self.sources.get(source).is_none_or(|source| source.fault.is_some())
    }

    /// Has shards read at once; how many there are to read.
    pub(super) fn hurry(
        &mut self,
        picked: &dyn Fn(&str, Option<Verdict>) -> bool,
        now: Moment,
    ) -> usize {
        let hurried: Vec<(usize, Arc<str>)> = self
            .waiting()
            .filter(|(_, id, shard)| picked(id, shard.memory.verdict))
            .map(|(source, id, _)| (source, id.into()))
            .collect();
        for (source, id) in &hurried {
            if let Some(shard) = self.sources.get_mut(*source).and_then(|it| it.shards.get_mut(id))
            {
                shard.ordered = true;
            }
            self.schedule(*source, id, Some(now.at_ms));
        }
        hurried.len()
    }

    /// Takes shards as they are now for what they should be; how many there are.
    pub(super) fn accept(&mut self, picked: &dyn Fn(&str, Verdict) -> bool, now: Moment) -> usize {
        let mut accepted: Vec<(usize, Arc<str>, Found)> = Vec::new();
        for (place, source) in self.sources.iter_mut().enumerate() {
            for (id, shard) in source.shards.iter_mut() {
                let wrong = shard.memory.verdict.filter(|verdict| *verdict != Verdict::Ok);
                if wrong.is_some_and(|verdict| picked(id, verdict)) {
                    shard.remember(|memory, _| memory.accept());
                    shard.suspect = None;
                    accepted.push((place, id.into(), shard.found()));
                }
            }
        }
        for (source, id, found) in &accepted {
            self.changed(*source, id);
            self.see(*source, id, *found, now);
        }
        accepted.len()
    }

    /// How long a shard may go unread.
    pub(super) fn patience(&self) -> Patience {
        let deadline = u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX);
        Patience { patience_ms: deadline / 2 * 3, started: self.started }
    }

    /// What the mesh is told.
    pub(super) fn report(&mut self, secret: &[u8; 32], now: Moment) -> ShardReport {
        if self.sources.is_empty() {
            return ShardReport::default();
        }
        let mut summary = Summary::default();
        let mut findings: BTreeMap<FindingKind, u32> = BTreeMap::new();
        let mut digest: u64 = 0;
        let mut oldest_ms: Option<u64> = None;
        let patience = self.patience();
        for source in &mut self.sources {
            summary.sources += 1;
            if let Some(fault) = source.fault.as_ref().filter(|fault| fault.confirmed) {
                *findings.entry(fault.kind).or_default() += 1;
            }
            for (id, shard) in source.shards.iter_mut() {
                // What stands still is not late.
                let shown = if source.fault.is_some() {
                    shard.memory.verdict
                } else {
                    shard.shown(patience, now)
                };
                match shown {
                    Some(verdict) => {
                        if let Some(count) = summary.counts.get_mut(verdict.number()) {
                            *count += 1;
                        }
                        if verdict != Verdict::Ok {
                            *findings.entry(FindingKind::Shards(verdict)).or_default() += 1;
                        }
                    }
                    None if shard.due_ms.is_some() => summary.pending += 1,
                    // It may be on its way, and is no shard yet; or a first doubt is looked into.
                    None => summary.pending += u32::from(shard.suspect.is_some()),
                }
                if shard.found().file.is_some() {
                    let verified = shard.memory.verified_ms;
                    oldest_ms =
                        verified.map(|at| oldest_ms.map_or(at, |old| old.min(at))).or(oldest_ms);
                }
                if shard.fold == 0 {
                    shard.fold = fold(secret, &source.key, id, &shard.memory);
                }
                digest = digest.wrapping_add(shard.fold);
            }
        }
        summary.oldest_s = oldest_ms
            .map(|at| u32::try_from(now.wall_ms.saturating_sub(at) / 1_000).unwrap_or(u32::MAX));
        let bytes: [u8; INVENTORY_DIGEST_BYTES] = digest.to_be_bytes();
        summary.digest = bytes;
        ShardReport { inventory: Some(summary), findings }
    }

    /// Takes out what is to be written, at most `limit` shards of it. It counts as not on disk until
    /// [`saved`](Self::saved) or [`not_saved`](Self::not_saved).
    pub(super) fn take_unsaved(&mut self, limit: usize) -> Vec<Change> {
        let gone = self.gone.len().min(limit);
        let mut changes: Vec<Change> = self.gone.drain(..gone).collect();
        let from = self.unsaved.len().saturating_sub(limit - gone);
        for (source, id) in self.unsaved.drain(from..) {
            let Some(source) = self.sources.get_mut(source) else { continue };
            let Some(shard) = source.shards.get_mut(&id) else { continue };
            shard.unsaved = false;
            let memory = Some(shard.memory.clone());
            changes.push(Change { source: source.key, id: id.as_ref().into(), memory });
        }
        self.saving = changes.len();
        changes
    }

    /// What was taken out is on disk.
    pub(super) const fn saved(&mut self) {
        self.saving = 0;
    }

    /// Takes back what could not be written.
    pub(super) fn not_saved(&mut self, changes: Vec<Change>) {
        self.saving = 0;
        for change in changes {
            if change.memory.is_none() {
                self.gone.push(change);
            } else if let Some(source) =
                self.sources.iter().position(|source| source.key == change.source)
            {
                self.changed(source, &Arc::from(change.id));
            }
        }
    }

    /// Has everything written again: what was on disk is not there any more.
    pub(super) fn save_all(&mut self) {
        self.pause.unsaved = true;
        for source in 0..self.sources.len() {
            let Some(board) = self.sources.get(source) else { continue };
            let ids: Vec<Arc<str>> = board.shards.iter().map(|(id, _)| id.into()).collect();
            ids.iter().for_each(|id| self.changed(source, id));
        }
    }

    /// How much is to be written.
    pub(super) fn unsaved(&self) -> usize {
        self.unsaved.len() + self.gone.len() + self.saving + usize::from(self.pause.unsaved)
    }

    fn changed(&mut self, source: usize, id: &Arc<str>) {
        let shard = self.sources.get_mut(source).and_then(|board| board.shards.get_mut(id));
        let Some(shard) = shard else { return };
        shard.fold = 0;
        if !std::mem::replace(&mut shard.unsaved, true) {
            self.unsaved.push((source, id.clone()));
        }
    }

    /// The earliest second look that is waited for. Past that time a doubt waits for a reading, or
    /// for a source that comes back, and not for one more look.
    fn next_doubt_ms(&self, now: Moment) -> Option<u64> {
        let there = self.sources.iter().filter(|source| source.fault.is_none());
        there
            .flat_map(|source| source.shards.iter())
            .filter_map(|(_, shard)| shard.confirm_ms())
            .filter(|confirm_ms| *confirm_ms > now.at_ms)
            .min()
    }

    /// Many that vanish at once were evicted.
    fn tell_evictions(&mut self, source: usize, now: Moment) {
        let Some(board) = self.sources.get_mut(source) else { return };
        let total = board.shards.len();
        let lately = |shard: &Shard| {
            let gone = matches!(shard.memory.verdict, Some(Verdict::Vanished | Verdict::Evicted));
            gone && now.wall_ms.saturating_sub(shard.memory.since_ms) < AT_ONCE_MS
        };
        let doubted = |shard: &Shard| {
            shard.suspect.as_ref().is_some_and(|suspect| suspect.verdict == Verdict::Vanished)
        };
        let many = board.shards.iter().filter(|(_, shard)| lately(shard) || doubted(shard)).count();
        if total < MANY_OF || many < FEWEST_MANY || many * MANY_OF < total {
            return;
        }
        let mut evicted: Vec<Arc<str>> = Vec::new();
        for (id, shard) in board.shards.iter_mut() {
            if lately(shard) && shard.memory.verdict == Some(Verdict::Vanished) {
                shard.memory.verdict = Some(Verdict::Evicted);
                evicted.push(id.into());
            }
        }
        for id in evicted {
            self.changed(source, &id);
        }
    }

    fn forget(&mut self, source: usize, id: &Arc<str>) {
        let Some(board) = self.sources.get_mut(source) else { return };
        if board.shards.remove(id).is_some_and(|shard| shard.memory != Memory::default()) {
            let id = id.as_ref().into();
            self.gone.push(Change { source: board.key, id, memory: None });
        }
    }

    fn schedule(&mut self, source: usize, id: &Arc<str>, due_ms: Option<u64>) {
        let Some(board) = self.sources.get_mut(source) else { return };
        let Some(shard) = board.shards.get_mut(id) else { return };
        if let Some(before) = shard.due_ms {
            self.queue.remove(&(before, source, Arc::clone(id)));
        }
        shard.due_ms = due_ms;
        if board.fault.is_none() {
            shard.queue_up(&mut self.queue, source, id);
        }
    }

    /// Notes that a source cannot be looked at: nothing of it is to be read until it can.
    pub(super) fn stand_still(&mut self, source: usize, fault: Fault) {
        let Some(board) = self.sources.get_mut(source) else { return };
        board.fault = Some(fault);
        self.queue.remove_source(source);
    }

    fn move_on(&mut self, source: usize) {
        let Some(board) = self.sources.get(source) else { return };
        for (id, shard) in board.shards.iter() {
            shard.queue_up(&mut self.queue, source, id);
        }
    }

    /// How long after a reading a shard is read again, in milliseconds. Shards that were read at one
    /// time spread.
    fn again_after(&self, id: &str, read_ms: u64) -> u64 {
        let deadline = u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX);
        let mut hasher = blake3::Hasher::new();
        hasher.update(id.as_bytes()).update(&read_ms.to_be_bytes());
        let spread = u64::from(hasher.finalize().as_bytes().first().copied().unwrap_or(0));
        let percent = AGAIN_FROM_PERCENT + AGAIN_SPREAD_PERCENT * spread / u64::from(u8::MAX);
        deadline / 100 * percent
    }
}

#[cfg(test)]
mod tests;
