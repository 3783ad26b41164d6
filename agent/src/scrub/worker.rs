//! The thread that looks at sources, has shards read, and takes over what they turn out to be.

use std::io::{self, ErrorKind};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use plexmesh_proto::integrity::{FindingKind, ShardReport, Verdict};
use tokio::sync::watch;

use super::board::{Board, CONFIRM_MS, Fault, Job, Moment, ShardMap, SourceBoard};
use super::inventory::{Inventory, MAX_BATCH, SourceKey, source_key};
use super::judge;
use super::pace::{ALL_PERCENT, Pace};
use super::read::Wanted;
use super::readers::{Content, Readers};
use super::{Config, Shared, millis};
use crate::clock;
use crate::sources::{Digests, Known, OpenError, Recorded, Remembered, Source, SourceFault};

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
/// Rest after a look, as a multiple of the time that it took.
const LOOK_REST: u64 = 3;
/// Files that wait at each reading thread while the scrub hurries, so that none has nothing to do.
const WAITING: usize = 4;
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
    pub(super) duty_percent: u8,
    pub(super) max_bytes_per_second: Option<NonZeroU64>,
    pub(super) readers: Readers,
    /// Since when shards are read that nobody asked for, in milliseconds since boot; `None` outside of
    /// their hours.
    pub(super) open_since_ms: Option<u64>,
    pub(super) look_ms: u64,
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
            if self.shared.is_stopping() {
                break;
            }
            if let Some(config) = self.shared.take_wanted() {
                self.configure(config);
            }
        }
        self.readers.give_up();
        self.save();
        self.inventory.let_go();
    }

    /// Does what is due; how long there is nothing to do then.
    fn work(&mut self) -> Duration {
        if self.shared.take_pause_changed() {
            self.readers.give_up();
            self.shared.board().give_up_readings(moment());
        }
        while let Some((job, read)) = self.readers.next_ended() {
            self.finish(&job, read);
        }
        self.keep_up();
        let room = self.start_readings();
        self.idle_time(room)
    }

    /// Looks, tells and saves, if it is time to.
    fn keep_up(&mut self) {
        let now = moment();
        if self.next_look_ms() <= now.at_ms || self.shared.take_look_wanted() {
            self.look(now);
        }
        if !self.told && self.tell_at <= Instant::now() {
            // What others are told outlives this process, unless the disk takes nothing.
            if !self.inventory.is_failing() {
                self.save();
            }
            self.tell();
        }
        if self.save_at <= Instant::now() || self.shared.save_wanted().is_some() {
            self.save();
        }
        if self.inventory.rest() {
            self.shared.board().settle();
        }
    }

    fn next_look_ms(&self) -> u64 {
        self.look_ms.max(self.rested_ms)
    }

    /// How long there is nothing to do; without room no reading is begun before one ended.
    fn idle_time(&self, room: bool) -> Duration {
        let now = moment();
        let (due_ms, unsaved) = {
            let mut board = self.shared.board();
            let pause_ends = board.paused_until_ms(now);
            let pause_ends = pause_ends.map(|at| now.at_ms.saturating_add(at - now.wall_ms));
            let opens = board.opens_in(now).map(|wait| now.at_ms.saturating_add(millis(wait)));
            let due_ms = board.next_due_ms(now).filter(|_| room).or(pause_ends);
            (due_ms.into_iter().chain(opens).min(), board.unsaved() > 0)
        };
        let due_ms = due_ms.unwrap_or(u64::MAX).min(self.next_look_ms());
        let work = Duration::from_millis(due_ms.saturating_sub(now.at_ms));
        let work = self.inventory.rest_in().map_or(work, |rest| work.min(rest));
        let (save_at, tell_at) = (unsaved.then_some(self.save_at), self.tell_at);
        let written = save_at.into_iter().chain((!self.told).then_some(tell_at)).min();
        written.map_or(work, |at| work.min(at.saturating_duration_since(Instant::now())))
    }

    /// Takes other sources or another deadline. Sources that stay keep what is known of them.
    fn configure(&mut self, config: Config) {
        let now = moment();
        self.save();
        self.readers.give_up();
        self.duty_percent = config.duty_percent;
        self.max_bytes_per_second = config.max_bytes_per_second;
        let mut board = Board::new(config.deadline, config.hours, now);
        let before = std::mem::take(&mut self.sources);
        for (place, directory) in config.sources.into_iter().enumerate() {
            let (root, kind) = (directory.root.clone(), directory.kind);
            let key = source_key(&root);
            board.sources.push(SourceBoard::new(key, directory));
            let remembered = match before.iter().find(|source| source.path() == root) {
                Some(kept) => self.remembered(kept, &key),
                None => {
                    let mut shards = ShardMap::default();
                    let remembered = self.inventory.load(&key, &mut |id, memory| {
                        shards.add(id, board.recalled(id, memory, now));
                    });
                    board.remember(place, shards);
                    remembered
                }
            };
            tracing::info!(
                source = %root.display(), remembered = remembered.shards,
                "shards are looked at here"
            );
            let source = Source::new(root, kind, remembered);
            if let Some(board) = board.sources.get_mut(place) {
                board.has_records = source.kind().has_records();
            }
            self.sources.push(source);
        }
        self.inventory.let_go();
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
        let began = Instant::now();
        let interval = self.look_interval();
        self.look_ms = now.at_ms + u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        for place in 0..self.sources.len() {
            let Some(source) = self.sources.get_mut(place) else { continue };
            let looked = source.look(&OfBoard { shared: &self.shared, place });
            let mut board = self.shared.board();
            let doubt = match looked {
                Ok(None) => board.merge_same(place, now),
                Ok(Some(listing)) => {
                    tell_refusals(&board, place, listing.refused);
                    let doubt = board.merge(place, listing, now);
                    if let Some(source_board) = board.sources.get_mut(place) {
                        source_board.directory.kind = source.kind();
                    }
                    doubt
                }
                Err(fault) => note_fault(&mut board, place, &fault, now),
            };
            self.look_ms = self.look_ms.min(doubt.unwrap_or(u64::MAX).max(now.at_ms + 1));
        }
        let took = began.elapsed();
        {
            let mut board = self.shared.board();
            board.looks += 1;
            board.look_took = took;
        }
        let rest_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).saturating_mul(LOOK_REST);
        self.rested_ms = moment().at_ms.saturating_add(rest_ms.max(MIN_LOOK_REST_MS));
        (self.told, self.tell_at) = (false, self.tell_rest);
    }

    fn look_interval(&self) -> Duration {
        let (deadline, look_took) = {
            let board = self.shared.board();
            (board.deadline, board.look_took)
        };
        let wanted = deadline / LOOKS_A_DEADLINE;
        let cheap = look_took.saturating_mul(LOOK_SHARE).min(wanted);
        wanted.clamp(MIN_LOOK_INTERVAL, MAX_LOOK_INTERVAL).max(cheap)
    }

    /// Begins readings of what is due; whether there is room for more.
    fn start_readings(&mut self) -> bool {
        loop {
            let now = moment();
            let (job, deadline) = {
                let mut board = self.shared.board();
                if board.paused_until_ms(now).is_some() {
                    return false;
                }
                let is_open = board.is_open(now);
                self.open_since_ms = is_open.then(|| self.open_since_ms.unwrap_or(now.at_ms));
                let Some(job) = board.next_job(now) else { return true };
                (job, board.deadline)
            };
            // What had to wait for its hours is not late yet.
            let open_for = self.open_since_ms.map_or(0, |since| now.at_ms.saturating_sub(since));
            let late = job.late.min(Duration::from_millis(open_for));
            let hurries = self.duty_percent == ALL_PERCENT || late > deadline / LATE_PART;
            let threads = if hurries { self.readers.threads() } else { 1 };
            let most = if hurries { threads * WAITING } else { 1 };
            if self.readers.running() >= most {
                return false;
            }
            let duty_percent = if hurries { ALL_PERCENT } else { self.duty_percent };
            let max_bytes_per_second = self.max_bytes_per_second;
            self.begin(job, Pace { duty_percent, max_bytes_per_second }.shared_by(threads), now);
        }
    }

    /// Begins to read one shard, unless something else has to come first.
    fn begin(&mut self, job: Job, pace: Pace, now: Moment) {
        let mut board = self.shared.board();
        if board.is_faulty(job.source) {
            return board.put_off(&job, now.at_ms + TRY_AGAIN_MS);
        }
        if let Some(look_ms) = job.look_first_ms {
            self.look_ms = self.look_ms.min(look_ms);
            // One more, so that the look comes first.
            return board.put_off(&job, look_ms.max(self.rested_ms) + 1);
        }
        board.begin(&job, now);
        drop(board);
        let opened = self.sources.get(job.source).map(|source| source.open(&job.id));
        let failed = match opened {
            Some(Ok((file, facts))) if Some(facts) == job.found.file => {
                let wanted = Wanted {
                    size_bytes: facts.size_bytes,
                    expected: job.found.record.and_then(|record| record.digest),
                    from_disk: job.is_second,
                    pace,
                };
                return self.readers.read(job, file, facts, wanted);
            }
            Some(Ok(_)) => Reading::Changed,
            Some(Err(OpenError::File(error))) => Reading::failed(&error),
            // The next look says so; it says nothing of the shard.
            Some(Err(OpenError::Source(_))) => Reading::LookAgain,
            None => Reading::Later,
        };
        if self.readers.running() == 0 {
            self.shared.board().rate.stop();
        }
        self.take(&job, &failed);
    }

    fn finish(&mut self, job: &Job, read: io::Result<Content>) {
        #[cfg(test)]
        let read = match self.shared.broken.lock() {
            Ok(broken) if broken.contains(&*job.id) => Err(rustix::io::Errno::IO.into()),
            _ => read,
        };
        let (bytes, others) = (read.as_ref().map_or(0, |it| it.bytes), self.readers.running() > 0);
        self.shared.board().rate.end(bytes, moment().at_ms, others);
        let reading = match read {
            // Not of the system: nothing is known of the file.
            Err(error) if error.raw_os_error().is_none() => {
                tracing::warn!(%error, "a shard could not be read; it is tried again");
                Reading::Later
            }
            Err(error) => Reading::failed(&error),
            Ok(content) => {
                let mut board = self.shared.board();
                board.files_read += 1;
                board.bytes_read += content.bytes;
                match &job.found.file {
                    Some(file) if content.untouched => {
                        let (record, wall_ms) = (job.found.record.as_ref(), moment().wall_ms);
                        let digests = content.digests;
                        let verdict = judge::judge(&job.memory, record, file, &digests, wall_ms);
                        Reading::Judged(verdict, Some(digests))
                    }
                    _ => Reading::Changed,
                }
            }
        };
        self.take(job, &reading);
    }

    /// Takes over what became of a reading.
    fn take(&mut self, job: &Job, reading: &Reading) {
        let now = moment();
        let mut board = self.shared.board();
        let before = verdict_of(&board, job);
        let doubt = match reading {
            Reading::Judged(verdict, digests) => board.read(job, *verdict, digests.as_ref(), now),
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

    /// Writes down what is remembered, and lets those go on who wait for it.
    fn save(&mut self) {
        let order = self.shared.save_wanted();
        let saved = self.save_pause() && self.save_shards();
        self.save_at = Instant::now() + if saved { SAVE_INTERVAL } else { SAVE_RETRY };
        if let Some(order) = order {
            self.shared.note_save(order);
        }
    }

    fn save_pause(&mut self) -> bool {
        let pause = self.shared.board().pause;
        let saved = !pause.unsaved || self.inventory.save_pause(pause.until_ms);
        if saved {
            let mut board = self.shared.board();
            board.pause.unsaved &= board.pause != pause;
        }
        saved
    }

    /// Writes changes until there is none; whether they are on disk.
    fn save_shards(&mut self) -> bool {
        loop {
            let (changes, sources): (_, Vec<(SourceKey, _, _)>) = {
                let mut board = self.shared.board();
                if self.inventory.take_emptied() {
                    board.save_all();
                }
                let changes = board.take_unsaved(MAX_BATCH);
                let keys = board.sources.iter().map(|source| source.key);
                let sources = keys.zip(&self.sources);
                let sources = sources.map(|(key, source)| (key, source.kind(), source.device()));
                (changes, sources.collect())
            };
            if changes.is_empty() {
                return true;
            }
            if !self.inventory.save(&changes, &sources) {
                self.shared.board().not_saved(changes);
                return false;
            }
            self.shared.board().saved();
        }
    }
}

/// What is remembered of one source.
struct OfBoard<'s> {
    shared: &'s Shared,
    place: usize,
}

impl OfBoard<'_> {
    fn ask<T: Default>(&self, ask: &dyn Fn(&SourceBoard) -> T) -> T {
        self.shared.board().sources.get(self.place).map(ask).unwrap_or_default()
    }
}

impl Known for OfBoard<'_> {
    fn any(&self) -> bool {
        self.ask(&|source| !source.shards.is_empty())
    }

    fn has(&self, id: &str) -> bool {
        self.ask(&|source| source.shards.contains(id))
    }

    fn records(&self) -> Vec<Recorded> {
        self.ask(&|source| {
            let shards = source.shards.iter();
            shards.filter_map(|(id, shard)| Some((id.into(), shard.found().record?))).collect()
        })
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
}

impl Reading {
    fn failed(error: &io::Error) -> Self {
        use rustix::io::Errno;
        let errno = Errno::from_io_error(error);
        match (error.kind(), errno) {
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
            source = %source.directory.root.display(), refused,
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
