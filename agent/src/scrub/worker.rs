//! The thread that looks at sources and reads shards, one at a time.

use std::io::{self, ErrorKind};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use plexmesh_proto::integrity::{FindingKind, ShardReport, Verdict};
use tokio::sync::watch;

use super::board::{Board, CONFIRM_MS, Fault, Job, Moment, SourceBoard};
use super::inventory::{Inventory, MAX_BATCH, SourceKey, source_key};
use super::judge;
use super::read::{Pace, Reader};
use super::{Config, Shared};
use crate::clock;
use crate::sources::{Digests, OpenError, Remembered, Source, SourceFault};

/// How often sources are looked at without reading shards: ten times a deadline, within what is
/// cheap and what an operator waits for.
const LOOKS_A_DEADLINE: u32 = 10;
const MIN_LOOK_INTERVAL: Duration = Duration::from_secs(1);
const MAX_LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// A look at very many shards comes less often, so that looks take a two-hundredth of one core at
/// most; but never less often than ten times a deadline.
const LOOK_SHARE: u32 = 200;
/// Shortest rest after a look: what asks for looks again and again gets ten a second at most.
const MIN_LOOK_REST_MS: u64 = 100;
/// Rest after work, as a multiple of it: a quarter of one core and of a disk at most.
const REST: u32 = 3;
/// A shard that is so late, as a part of the deadline, makes the scrub hurry.
const LATE_PART: u32 = 8;
/// Between two writes of what is remembered, and after one that failed.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
const SAVE_RETRY: Duration = Duration::from_secs(10);
/// Between two summaries while shards are read for the first time.
const TELL_INTERVAL: Duration = Duration::from_millis(500);
/// Rest after a summary, as a multiple of the time that it took: it goes through all shards.
const TELL_REST: u32 = 20;
/// When a shard is tried again that could not be read for lack of memory or file handles, in
/// milliseconds.
const TRY_AGAIN_MS: u64 = 10_000;

/// The thread's own.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) woken: Receiver<()>,
    pub(super) report: watch::Sender<Option<ShardReport>>,
    pub(super) inventory: Inventory,
    pub(super) secret: [u8; 32],
    pub(super) sources: Vec<Source>,
    pub(super) pace_limit: Option<NonZeroU64>,
    /// `None` while it reads.
    pub(super) reader: Option<Reader>,
    pub(super) look_ms: u64,
    /// How long the last look took.
    pub(super) look_took: Duration,
    /// Before that no look begins, but at an operator's word.
    pub(super) rested_ms: u64,
    pub(super) save_at: Instant,
    pub(super) tell_at: Instant,
    /// Before that nothing is told.
    pub(super) tell_rest: Instant,
    /// What there is to tell was told.
    pub(super) told: bool,
}

impl Worker {
    pub(super) fn run(mut self, config: Config) {
        self.configure(config);
        loop {
            let wait = self.work();
            if self.woken.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
                break;
            }
            // Before the question whether to stop, as it takes back what interrupts a reading.
            let wanted = self.shared.take_wanted();
            if self.shared.is_stopping() {
                break;
            }
            if let Some(config) = wanted {
                self.configure(config);
            }
        }
        self.save();
        self.inventory.close();
    }

    /// Does what is due first; how long there is nothing to do then.
    fn work(&mut self) -> Duration {
        self.keep_up();
        let job = self.shared.board().next_job(moment());
        if let Some(job) = job {
            self.read(&job);
        }
        self.keep_up();
        self.idle_time()
    }

    /// Does what cannot wait until a long file is read.
    fn keep_up(&mut self) {
        let now = moment();
        if self.next_look_ms() <= now.at_ms || self.shared.take_look_wanted() {
            self.look(now);
        }
        if !self.told && self.tell_at <= Instant::now() {
            self.tell();
        }
        if self.save_at <= Instant::now() {
            self.save();
        }
    }

    fn next_look_ms(&self) -> u64 {
        self.look_ms.max(self.rested_ms)
    }

    fn idle_time(&self) -> Duration {
        let now = moment();
        let due_ms = self.shared.board().next_due_ms().unwrap_or(u64::MAX).min(self.next_look_ms());
        let work = Duration::from_millis(due_ms.saturating_sub(now.at_ms));
        let told = if self.told { self.save_at } else { self.tell_at };
        work.min(self.save_at.min(told).saturating_duration_since(Instant::now()))
    }

    /// Takes other sources or another deadline. Sources that stay keep what is known of them.
    fn configure(&mut self, config: Config) {
        let now = moment();
        self.save();
        self.pace_limit = config.max_bytes_per_second;
        let mut board = Board::new(config.deadline, now);
        let before = std::mem::take(&mut self.sources);
        for (place, (root, kind)) in config.sources.into_iter().enumerate() {
            let key = source_key(&root);
            board.sources.push(SourceBoard::new(key, root.clone(), kind));
            let remembered = match before.iter().find(|source| source.path() == root) {
                Some(kept) => self.remembered(kept, &key),
                None => self.inventory.load(&key, &mut |id, memory| {
                    board.remember(place, id, memory, now);
                }),
            };
            tracing::info!(
                source = %root.display(), remembered = remembered.shards,
                "shards are looked at here"
            );
            self.sources.push(Source::new(root, kind, remembered));
        }
        {
            let mut shared = self.shared.board();
            board.take_over(&mut shared, now);
            *shared = board;
        }
        self.look_ms = now.at_ms;
    }

    /// What is known of a source that stays.
    fn remembered(&self, source: &Source, key: &SourceKey) -> Remembered {
        let board = self.shared.board();
        let known = board.sources.iter().find(|source| source.key == *key);
        let shards = known.map_or(0, |source| source.shards.len());
        Remembered { kind: source.kind(), device: source.device(), shards }
    }

    /// Looks at all sources, without reading shards.
    fn look(&mut self, now: Moment) {
        let interval = self.look_interval();
        self.look_ms = now.at_ms + u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        for place in 0..self.sources.len() {
            let Some(source) = self.sources.get_mut(place) else { continue };
            let ids: Vec<Arc<str>> = {
                let board = self.shared.board();
                let shards = board.sources.get(place).map(|source| &source.shards);
                shards.into_iter().flat_map(|shards| shards.keys().cloned()).collect()
            };
            let known = |id: &str| ids.binary_search_by(|known| known.as_ref().cmp(id)).is_ok();
            let looked = source.look(!ids.is_empty(), &known);
            let mut board = self.shared.board();
            let doubt = match looked {
                Ok(listing) => {
                    tell_refusals(&board, place, listing.refused);
                    let doubt = board.merge(place, listing, now);
                    if let Some(source_board) = board.sources.get_mut(place) {
                        source_board.kind = source.kind();
                    }
                    doubt
                }
                Err(fault) => note_fault(&mut board, place, &fault, now),
            };
            self.look_ms = self.look_ms.min(doubt.unwrap_or(u64::MAX).max(now.at_ms + 1));
        }
        let done_ms = moment().at_ms;
        let took_ms = done_ms.saturating_sub(now.at_ms);
        self.look_took = Duration::from_millis(took_ms);
        let rest_ms = took_ms * u64::from(REST);
        self.rested_ms = done_ms + rest_ms.max(MIN_LOOK_REST_MS);
        (self.told, self.tell_at) = (false, self.tell_rest);
    }

    fn look_interval(&self) -> Duration {
        let wanted = self.shared.board().deadline / LOOKS_A_DEADLINE;
        let cheap = self.look_took.saturating_mul(LOOK_SHARE).min(wanted);
        wanted.clamp(MIN_LOOK_INTERVAL, MAX_LOOK_INTERVAL).max(cheap)
    }

    /// Reads one shard and takes its verdict over.
    fn read(&mut self, job: &Job) {
        let pace = {
            let mut board = self.shared.board();
            if board.is_faulty(job.source) {
                return board.put_off(job, moment().at_ms + TRY_AGAIN_MS);
            }
            if let Some(look_ms) = job.look_first_ms {
                self.look_ms = self.look_ms.min(look_ms);
                // One more, so that the look comes first.
                return board.put_off(job, look_ms.max(self.rested_ms) + 1);
            }
            let hurry = job.late > board.deadline / LATE_PART;
            let rest = if hurry { 0 } else { REST };
            Pace { rest, max_bytes_per_second: self.pace_limit }
        };
        let outcome = self.judge(job, pace);
        let now = moment();
        let mut board = self.shared.board();
        let before = verdict_of(&board, job);
        let doubt = match outcome {
            Reading::Judged(verdict, digests) => board.read(job, verdict, digests.as_ref(), now),
            Reading::LookAgain => {
                board.put_off(job, now.at_ms + CONFIRM_MS);
                Some(now.at_ms)
            }
            // The next look sees what it is now. One that goes on changing is not worth a look of
            // all each time.
            Reading::Changed | Reading::Later => {
                board.put_off(job, now.at_ms + TRY_AGAIN_MS);
                None
            }
            Reading::Stopped => return,
        };
        // A verdict that changed is told at once; that more shards turned out ok can wait.
        let after = verdict_of(&board, job);
        if before != after {
            self.told = false;
            if before.is_some() || after != Some(Verdict::Ok) {
                self.tell_at = self.tell_rest;
            }
        }
        self.look_ms = self.look_ms.min(doubt.unwrap_or(u64::MAX));
    }

    fn judge(&mut self, job: &Job, pace: Pace) -> Reading {
        let Some(source) = self.sources.get(job.source) else { return Reading::Later };
        let (mut file, facts) = match source.open(&job.id) {
            Ok(opened) => opened,
            Err(OpenError::File(error)) => return Reading::failed(&error),
            // The next look says so; it says nothing of the shard.
            Err(OpenError::Source(_)) => return Reading::LookAgain,
        };
        if Some(facts) != job.found.file {
            return Reading::Changed;
        }
        let shared = Arc::clone(&self.shared);
        let (size, stop) = (facts.size_bytes, shared.interrupted());
        let mut reader = self.reader.take().unwrap_or_default();
        let expected = job.found.record.and_then(|record| record.digest);
        let wanted = (size, expected.as_ref());
        let read = reader.digest(&mut file, wanted, pace, stop, &mut || self.keep_up());
        self.reader = Some(reader);
        let (digests, bytes) = match read {
            Ok(read) => read,
            Err(error) => return Reading::failed(&error),
        };
        {
            let mut board = self.shared.board();
            board.files_read += 1;
            board.bytes_read += bytes;
        }
        let untouched = Source::facts(&file).is_ok_and(|after| after == facts);
        if !untouched || bytes != facts.size_bytes {
            return Reading::Changed;
        }
        let record = job.found.record.as_ref();
        let verdict = judge::judge(&job.memory, record, &facts, &digests, moment().wall_ms);
        Reading::Judged(verdict, Some(digests))
    }

    /// Tells the mesh how the shards are.
    fn tell(&mut self) {
        let began = Instant::now();
        let report = self.shared.board().report(&self.secret, moment());
        let done = Instant::now();
        self.tell_at = done + TELL_INTERVAL;
        self.tell_rest = done + (done - began) * TELL_REST;
        self.told = true;
        self.report.send_if_modified(|told| {
            let changed = told.as_ref() != Some(&report);
            *told = Some(report);
            changed
        });
    }

    fn save(&mut self) {
        loop {
            let (changes, sources): (_, Vec<(SourceKey, _, _)>) = {
                let mut board = self.shared.board();
                let changes = board.take_unsaved(MAX_BATCH);
                let keys = board.sources.iter().map(|source| source.key);
                let sources = keys.zip(&self.sources);
                let sources = sources.map(|(key, source)| (key, source.kind(), source.device()));
                (changes, sources.collect())
            };
            if changes.is_empty() {
                self.save_at = Instant::now() + SAVE_INTERVAL;
                return;
            }
            if !self.inventory.save(&changes, &sources) {
                self.shared.board().not_saved(changes);
                self.save_at = Instant::now() + SAVE_RETRY;
                return;
            }
            if !self.shared.board().has_unsaved() {
                self.save_at = Instant::now() + SAVE_INTERVAL;
                return;
            }
        }
    }
}

/// What became of a reading.
enum Reading {
    Judged(Verdict, Option<Digests>),
    /// The file is another one than was found.
    Changed,
    /// The source may be gone.
    LookAgain,
    /// Not the shard's fault.
    Later,
    Stopped,
}

impl Reading {
    fn failed(error: &io::Error) -> Self {
        use rustix::io::Errno;
        let errno = Errno::from_io_error(error);
        match (error.kind(), errno) {
            (ErrorKind::Interrupted, _) => Self::Stopped,
            (ErrorKind::NotFound, _) => Self::Changed,
            // The file system below it went away.
            (_, Some(Errno::STALE | Errno::NODEV | Errno::NOTCONN | Errno::NXIO)) => {
                Self::LookAgain
            }
            (_, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => Self::Later,
            _ => Self::Judged(Verdict::Unreadable, None),
        }
    }
}

fn verdict_of(board: &Board, job: &Job) -> Option<Verdict> {
    board.sources.get(job.source)?.shards.get(&job.id)?.memory.verdict
}

/// Notes that a source cannot be looked at; a second look has to agree.
fn note_fault(board: &mut Board, place: usize, fault: &SourceFault, now: Moment) -> Option<u64> {
    let source = board.sources.get_mut(place)?;
    let kind = match fault {
        SourceFault::Absent { .. } => FindingKind::SourceAbsent,
        SourceFault::NotReadable { .. } => FindingKind::SourceNotReadable,
    };
    let reason = fault.to_string();
    match &mut source.fault {
        Some(known) if known.kind == kind => {
            known.reason = reason;
            let since_ms = known.since_ms;
            let confirmed = now.wall_ms.saturating_sub(since_ms) >= CONFIRM_MS;
            if confirmed && !std::mem::replace(&mut known.confirmed, true) {
                tracing::warn!(%fault, "a directory of shards cannot be looked at; what is \
                    remembered of it stands");
            }
            (!confirmed).then_some(now.at_ms + CONFIRM_MS)
        }
        _ => {
            let since_ms = now.wall_ms;
            board.stand_still(place, Fault { kind, reason, since_ms, confirmed: false });
            Some(now.at_ms + CONFIRM_MS)
        }
    }
}

/// Says once that something was left alone. Names stay out of the log: they may be shard ids.
fn tell_refusals(board: &Board, place: usize, refused: usize) {
    let Some(source) = board.sources.get(place) else { return };
    if refused > 0 && source.refused != refused {
        tracing::info!(
            source = %source.root.display(), refused,
            "entries were left alone: links, pipes, devices, names that leave the directory"
        );
    }
}

/// Now, on all clocks.
pub(super) fn moment() -> Moment {
    let now = clock::now();
    let awake_ms = clock::awake_ms();
    Moment { at_ms: now.time.0 / 1_000, wall_ms: now.wall_ms, awake_ms }
}

/// Where a source lies; links in the path itself are the operator's.
pub(super) fn absolute(root: PathBuf) -> PathBuf {
    std::path::absolute(&root).unwrap_or(root)
}
