//! Looks at the shards of this peer: which are there, and whether each is as it should be.
//!
//! A light look lists names, attributes and records; a reading takes all digests in one pass. What
//! looks wrong is looked at a second time, with the manifest read anew, before anybody is told. What
//! was found right is remembered on disk, so that a silent deletion is noticed after a restart too.
//! One thread decides what is looked at and when; others read, and rest as long as they are told to.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use plexmesh_proto::integrity::{FindingKind, ShardReport, Verdict};
use thiserror::Error;
use tokio::sync::watch;

mod backups;
mod board;
mod hours;
pub(crate) mod inventory;
mod judge;
mod pace;
mod rate;
mod read;
mod readers;
mod worker;

pub use backups::Backup;
use board::Board;
pub use hours::Hours;
use inventory::Inventory;
use pace::ALL_PERCENT;
pub use rate::Backlog;
use readers::Readers;
use worker::{Worker, moment};

use crate::api::problem::Problem;
use crate::sources::{ExpectedDigest, SourceKind};
use crate::store::StoreError;

/// Default of [`Config::deadline`]: a day. 100 GiB take 1.2 MB a second then.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);
/// Default of [`Config::duty_percent`]. Whoever else reads from the disk gets half of it while the
/// scrub reads, so it loses half of this.
pub const DEFAULT_DUTY_PERCENT: u8 = 15;
/// Default of a pause: a day, so that work of a night is not disturbed and the deadline holds.
pub const DEFAULT_PAUSE: Duration = DEFAULT_DEADLINE;
/// Longest pause: a week. Whoever wants more takes the directories out of the configuration.
pub const MAX_PAUSE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long somebody who ordered something waits until that is on disk. A disk that takes longer is
/// in trouble, and the answer says what is not on it.
const SAVE_PATIENCE: Duration = Duration::from_secs(5);
/// Wakes that wait for the thread; one that finds no room finds one that wakes it already.
const WAKE_QUEUE: usize = 1;

/// What is to be looked at, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Within this time every shard is read once.
    pub deadline: Duration,
    /// How much of its time a reading thread works, in percent, from 1 to 100; the rest it sleeps.
    pub duty_percent: u8,
    /// Bytes a second that are read at most; `None` for no limit but the duty cycle.
    pub max_bytes_per_second: Option<NonZeroU64>,
    /// When shards are read that nobody asks for; `None` for always.
    pub hours: Option<Hours>,
    /// The directories.
    pub sources: Vec<Directory>,
}

/// A directory of shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// Its root.
    pub root: PathBuf,
    /// Its layout.
    pub kind: SourceKind,
    /// Where it is; `None` if nobody says.
    pub region: Option<String>,
    /// What kind of storage it is; `None` if nobody says.
    pub tier: Option<String>,
}

impl Directory {
    /// A directory of which nobody says where it is.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, kind: SourceKind) -> Self {
        Self { root: root.into(), kind, ..Self::default() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            deadline: DEFAULT_DEADLINE,
            duty_percent: DEFAULT_DUTY_PERCENT,
            max_bytes_per_second: None,
            hours: None,
            sources: Vec::new(),
        }
    }
}

/// The scrub cannot start.
#[derive(Debug, Error)]
pub enum ScrubError {
    /// The inventory cannot be opened.
    #[error(transparent)]
    Inventory(#[from] StoreError),
    /// The system gives no thread.
    #[error("cannot start the scrub's thread: {0}")]
    Thread(std::io::Error),
}

impl From<ScrubError> for Problem {
    fn from(error: ScrubError) -> Self {
        match error {
            ScrubError::Inventory(error) => error.into(),
            ScrubError::Thread(error) => StoreError::Thread(error).into(),
        }
    }
}

/// One shard in full. Stays on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardDetail {
    /// Its id.
    pub id: String,
    /// The root of its source.
    pub source: PathBuf,
    /// What is thought of it; `None` while nothing is known.
    pub verdict: Option<Verdict>,
    /// Unix milliseconds since which it has its verdict; `None` without one.
    pub since_ms: Option<u64>,
    /// Length of its file; `None` without a file.
    pub size_bytes: Option<u64>,
    /// Length by its record; `None` without a record, or if that names none.
    pub expected_size_bytes: Option<u64>,
    /// Digests by its record; `None` without a record, or if that names none.
    pub expected_digest: Option<ExpectedDigest>,
    /// BLAKE3 of its content when that was last found right; `None` before.
    pub blake3: Option<[u8; 32]>,
    /// Unix milliseconds of its last reading; `None` before the first.
    pub verified_ms: Option<u64>,
}

/// One directory of shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDetail {
    /// Which it is; its layout is [`SourceKind::Auto`] while that is not known.
    pub directory: Directory,
    /// Shards that are known of it.
    pub shards: usize,
    /// Entries that were left alone at the last look.
    pub refused: usize,
    /// The manifest is torn for the moment, and an earlier copy stands in.
    pub stale_manifest: bool,
    /// Unix milliseconds of the last look that succeeded; `None` before.
    pub looked_ms: Option<u64>,
    /// What is wrong with it as a whole, and since when in Unix milliseconds; `None` if nothing is.
    pub fault: Option<(FindingKind, String, u64)>,
}

/// How the scrub gets on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Within this time every shard is read once.
    pub deadline: Duration,
    /// Directories.
    pub sources: Vec<SourceDetail>,
    /// Shards that are known.
    pub shards: usize,
    /// Shards that have been read within the deadline.
    pub read_in_time: usize,
    /// Shards with a file that have not been read within the deadline.
    pub unread: usize,
    /// Shards with a file that were never read.
    pub never_read: usize,
    /// Unix milliseconds of the oldest last reading of a shard with a file; `None` before the first.
    pub oldest_ms: Option<u64>,
    /// What is to be read now.
    pub backlog: Backlog,
    /// Bytes a second that are read while something is; `None` before enough was read to say.
    pub bytes_per_second: Option<f64>,
    /// How long what is to be read now will take; `None` if nobody can say, or while it is paused.
    pub done_in: Option<Duration>,
    /// Unix milliseconds until which nothing is read; `None` if nothing is in the way.
    pub paused_until_ms: Option<u64>,
    /// When shards are read that nobody asks for; `None` for always.
    pub hours: Option<Hours>,
    /// Unix milliseconds at which those hours begin; `None` if they are now.
    pub opens_ms: Option<u64>,
    /// Files read to their end since the agent started.
    pub files_read: u64,
    /// Bytes read since the agent started.
    pub bytes_read: u64,
    /// Looks at all sources since the agent started.
    pub looks: u64,
    /// How long the last of them took.
    pub look_took: Duration,
    /// Changes of what is remembered that are not on disk yet.
    pub unsaved: usize,
}

/// What the thread and those who ask share.
#[derive(Debug, Default)]
struct Shared {
    board: Mutex<Board>,
    stopping: AtomicBool,
    /// What the thread is to take next; a later one takes its place.
    wanted: Mutex<Option<Config>>,
    look_wanted: AtomicBool,
    pause_changed: AtomicBool,
    saves: Mutex<Saves>,
    save_ended: Condvar,
    /// Shards on a disk that tests broke.
    #[cfg(test)]
    broken: Mutex<std::collections::BTreeSet<String>>,
}

/// Who waits for what is remembered to be on disk: orders are counted, and those that were served.
#[derive(Clone, Copy, Debug, Default)]
struct Saves {
    wanted: u64,
    ended: u64,
}

impl Shared {
    fn saves(&self) -> MutexGuard<'_, Saves> {
        // Two counters: any two values are valid.
        self.saves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The order that waits; `None` if none does.
    fn save_wanted(&self) -> Option<u64> {
        let saves = self.saves();
        (saves.wanted > saves.ended).then_some(saves.wanted)
    }

    fn note_save(&self, ended: u64) {
        self.saves().ended = ended;
        self.save_ended.notify_all();
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        // Nothing panics while it is held, and every step leaves it valid.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn take_wanted(&self) -> Option<Config> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn take_pause_changed(&self) -> bool {
        self.pause_changed.swap(false, Ordering::SeqCst)
    }

    fn take_look_wanted(&self) -> bool {
        self.look_wanted.swap(false, Ordering::Relaxed)
    }
}

/// A handle to the scrub; cheap to clone. The thread ends at [`stop`](Self::stop).
#[derive(Clone, Debug)]
pub struct ScrubHandle {
    shared: Arc<Shared>,
    wakes: SyncSender<()>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    report: watch::Receiver<Option<ShardReport>>,
}

impl ScrubHandle {
    /// Starts the scrub. Its inventory lies in `data_dir`; `secret` keys the digest of all shards
    /// that others see. Blocks while the inventory is opened.
    ///
    /// # Errors
    /// [`ScrubError`]. A damaged inventory is set aside and is no error.
    pub fn start(data_dir: &Path, secret: [u8; 32], config: Config) -> Result<Self, ScrubError> {
        let inventory = Inventory::open(data_dir)?;
        let shared = Arc::new(Shared::default());
        shared.board().pause.until_ms = inventory.paused_until_ms();
        let (wakes, woken) = sync_channel(WAKE_QUEUE);
        let readers = Readers::start(wakes.clone()).map_err(ScrubError::Thread)?;
        let (report, told) = watch::channel(None);
        let worker = Worker {
            shared: Arc::clone(&shared),
            woken,
            report,
            inventory,
            secret,
            sources: Vec::new(),
            duty_percent: ALL_PERCENT,
            max_bytes_per_second: None,
            readers,
            open_since_ms: None,
            look_ms: 0,
            rested_ms: 0,
            save_at: Instant::now(),
            tell_at: Instant::now(),
            tell_rest: Instant::now(),
            told: false,
        };
        let thread = thread::Builder::new()
            .name("scrub".into())
            .spawn(move || worker.run(absolute(config)))
            .map_err(ScrubError::Thread)?;
        let thread = Arc::new(Mutex::new(Some(thread)));
        Ok(Self { shared, wakes, thread, report: told })
    }

    /// What the mesh is told; `None` until the first look.
    #[must_use]
    pub fn report(&self) -> watch::Receiver<Option<ShardReport>> {
        self.report.clone()
    }

    /// Has other directories looked at, or in another time. Does not wait for the thread: a reading
    /// under way is given up, and begun anew.
    pub fn configure(&self, config: Config) {
        let wanted = &self.shared.wanted;
        *wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(absolute(config));
        self.wake();
    }

    /// How it gets on.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let (board, now) = (self.shared.board(), moment());
        let since = now.wall_ms.saturating_sub(millis(board.deadline));
        let in_time = |at: Option<u64>| at.is_some_and(|at| at >= since);
        let (backlog, paused_until_ms) = (board.backlog(now), board.paused_until_ms(now));
        let opens_ms = board.opens_in(now).map(|wait| now.wall_ms.saturating_add(millis(wait)));
        let stands_still = paused_until_ms.is_some() || opens_ms.is_some();
        let (mut shards, mut read_in_time, mut unread) = (0, 0, 0);
        let (mut never_read, mut oldest_ms) = (0, None::<u64>);
        for (_, shard) in board.sources.iter().flat_map(|source| source.shards.iter()) {
            shards += 1;
            read_in_time += usize::from(in_time(shard.memory.verified_ms));
            unread += usize::from(shard.is_unread(&in_time));
            match shard.memory.verified_ms {
                _ if shard.found().file.is_none() => {}
                Some(at) => oldest_ms = Some(oldest_ms.map_or(at, |oldest| oldest.min(at))),
                None => never_read += 1,
            }
        }
        let sources = board.sources.iter().map(|source| SourceDetail {
            directory: source.directory.clone(),
            shards: source.shards.len(),
            refused: source.refused,
            stale_manifest: source.stale_manifest,
            looked_ms: source.looked_ms,
            fault: source
                .fault
                .as_ref()
                .filter(|fault| fault.confirmed)
                .map(|fault| (fault.kind, fault.reason.clone(), fault.since_ms)),
        });
        Progress {
            deadline: board.deadline,
            sources: sources.collect(),
            shards,
            read_in_time,
            unread,
            never_read,
            oldest_ms,
            backlog,
            bytes_per_second: board.rate.bytes_per_second(),
            done_in: board.rate.time_for(backlog).filter(|_| !stands_still),
            paused_until_ms,
            hours: board.hours,
            opens_ms,
            files_read: board.files_read,
            bytes_read: board.bytes_read,
            looks: board.looks,
            look_took: board.look_took,
            unsaved: board.unsaved(),
        }
    }

    /// Shards that `picked` picks by id and verdict, the worst first, at most `limit`; and how many
    /// there are in all.
    #[must_use]
    pub fn shards(
        &self,
        picked: &dyn Fn(&str, Option<Verdict>) -> bool,
        limit: usize,
    ) -> (Vec<ShardDetail>, usize) {
        let (board, now) = (self.shared.board(), moment());
        let (mut found, patience) = (Vec::new(), board.patience());
        for source in &board.sources {
            for (id, shard) in source.shards.iter() {
                let shown = shard.shown(patience, now);
                if picked(id, shown) {
                    found.push((source, id, shard, shown));
                }
            }
        }
        let total = found.len();
        found.sort_by_key(|(_, id, _, shown)| {
            (std::cmp::Reverse(shown.and_then(Verdict::severity)), shown.is_some(), *id)
        });
        let details = found.into_iter().take(limit).map(|(source, id, shard, shown)| ShardDetail {
            id: id.to_string(),
            source: source.directory.root.clone(),
            verdict: shown,
            since_ms: shown.map(|_| shard.memory.since_ms),
            size_bytes: shard.found().file.map(|file| file.size_bytes),
            expected_size_bytes: shard.found().record.and_then(|record| record.size_bytes),
            expected_digest: shard.found().record.and_then(|record| record.digest),
            blake3: shard.memory.blake3,
            verified_ms: shard.memory.verified_ms,
        });
        (details.collect(), total)
    }

    /// Which pieces of which backups are here, as far as layouts tell pieces of backups apart.
    #[must_use]
    pub fn backups(&self) -> Vec<Backup> {
        backups::of(&self.shared.board())
    }

    /// Has all sources looked at, and those shards read, at once; how many shards there are to read.
    pub fn read_now(&self, picked: &dyn Fn(&str, Option<Verdict>) -> bool) -> usize {
        let count = self.shared.board().hurry(picked, moment());
        self.shared.look_wanted.store(true, Ordering::Relaxed);
        self.wake();
        count
    }

    /// Has nothing read for a while, at most [`MAX_PAUSE`]; looks go on. Then it goes on by itself: a
    /// pause that somebody forgot is worse than none. It outlives the agent.
    pub fn pause(&self, span: Duration) {
        let now = moment();
        let until_ms = now.wall_ms.saturating_add(millis(span.min(MAX_PAUSE)));
        self.shared.board().set_pause(Some(until_ms));
        self.shared.pause_changed.store(true, Ordering::SeqCst);
        self.save();
    }

    /// Ends a pause; whether there was one. Blocks as [`pause`](Self::pause) does.
    pub fn resume(&self) -> bool {
        let now = moment();
        let was_paused = {
            let mut board = self.shared.board();
            let was_paused = board.paused_until_ms(now).is_some();
            if was_paused {
                board.set_pause(None);
            }
            was_paused
        };
        self.shared.pause_changed.store(true, Ordering::SeqCst);
        self.save();
        was_paused
    }

    /// Takes shards that vanished, were evicted, replaced or modified as they are now for what they
    /// should be; how many there were. What is wrong by its record stays wrong. Blocks as
    /// [`pause`](Self::pause) does.
    pub fn accept(&self, picked: &dyn Fn(&str, Verdict) -> bool) -> usize {
        let may = |verdict| ACCEPTABLE.contains(&verdict);
        let picked = |id: &str, verdict| may(verdict) && picked(id, verdict);
        let count = self.shared.board().accept(&picked, moment());
        self.shared.look_wanted.store(true, Ordering::Relaxed);
        self.save();
        count
    }

    /// Ends the thread and waits until what it knows is on disk. Blocks.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.wake();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the scrub failed; please report this with the log");
        }
    }

    /// Waits until what is known now is on disk, or a write of it failed.
    fn save(&self) {
        let mut saves = self.shared.saves();
        saves.wanted += 1;
        let order = saves.wanted;
        self.wake();
        let waits = |saves: &mut Saves| saves.ended < order;
        drop(self.shared.save_ended.wait_timeout_while(saves, SAVE_PATIENCE, waits));
    }

    fn wake(&self) {
        // It wakes anyway, or is gone and has said why.
        let _ = self.wakes.try_send(());
    }
}

/// Verdicts that an operator may accept: nothing recorded contradicts them.
pub const ACCEPTABLE: [Verdict; 4] =
    [Verdict::Vanished, Verdict::Evicted, Verdict::Replaced, Verdict::Modified];

fn absolute(mut config: Config) -> Config {
    for source in &mut config.sources {
        source.root = worker::absolute(std::mem::take(&mut source.root));
    }
    config.sources.sort_by(|a, b| (&a.root, a.kind).cmp(&(&b.root, b.kind)));
    config.sources.dedup_by(|a, b| a.root == b.root);
    config
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
impl ScrubHandle {
    /// Has every later reading of these shards fail as that of a broken disk does.
    fn break_disk_of(&self, ids: &[String]) {
        *self.shared.broken.lock().unwrap() = ids.iter().cloned().collect();
    }
}

#[cfg(test)]
mod tests;
