//! Reads several files at one time, on threads of their own.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use rayon::{ThreadPool, ThreadPoolBuilder};
use rustix::process::setpriority_process;

use super::board::Job;
use super::read::{Reader, Wanted};
use crate::sources::{Digests, FileFacts, Source};

/// The lowest priority that there is.
const NICE: i32 = 19;
/// Most threads that read: more gain nothing on one disk, and a host has other things to do.
const MAX_THREADS: usize = 4;

/// What a file was found to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content {
    pub(super) digests: Digests,
    pub(super) bytes: u64,
    /// The file was the same one all the time, and as long as it was found to be.
    pub(super) untouched: bool,
}

/// A reading that ended.
type Ended = (Job, io::Result<Content>);

/// Threads that read.
#[derive(Debug)]
pub(super) struct Readers {
    pool: ThreadPool,
    /// Those with nothing to do, with their buffers.
    idle: Arc<Mutex<Vec<Reader>>>,
    ended: Receiver<Ended>,
    tell: Sender<Ended>,
    /// Wakes whoever waits for an end.
    wakes: SyncSender<()>,
    stop: Arc<AtomicBool>,
    running: usize,
}

impl Readers {
    /// Starts them; `wakes` gets a message when a reading ended.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub(super) fn start(wakes: SyncSender<()>) -> io::Result<Self> {
        let threads = available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("scrub-{number}"))
            .start_handler(|_| step_back())
            .build()
            .map_err(io::Error::other)?;
        let (tell, ended) = channel();
        let (idle, stop) = (Arc::default(), Arc::default());
        Ok(Self { pool, idle, ended, tell, wakes, stop, running: 0 })
    }

    /// How many files can be read at one time.
    pub(super) fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// How many are being read.
    pub(super) const fn running(&self) -> usize {
        self.running
    }

    /// Begins a reading.
    pub(super) fn read(&mut self, job: Job, file: File, facts: FileFacts, wanted: Wanted) {
        self.running += 1;
        let (idle, stop) = (Arc::clone(&self.idle), Arc::clone(&self.stop));
        let (tell, wakes) = (self.tell.clone(), self.wakes.clone());
        self.pool.spawn(move || {
            let idle = || idle.lock().unwrap_or_else(PoisonError::into_inner);
            let mut reader = idle().pop().unwrap_or_default();
            let read = catch_unwind(AssertUnwindSafe(|| {
                let content = content(&mut reader, &file, &facts, &wanted, &stop);
                idle().push(reader);
                content
            }));
            let failed = |_| Err(io::Error::other("the reading failed; please report this"));
            // Nobody waits for a reading that was given up.
            let _ = tell.send((job, read.unwrap_or_else(failed)));
            let _ = wakes.try_send(());
        });
    }

    /// A reading that ended; `None` if none did.
    pub(super) fn next_ended(&mut self) -> Option<Ended> {
        let ended = self.ended.try_recv().ok()?;
        self.running = self.running.saturating_sub(1);
        Some(ended)
    }

    /// Gives up all readings: none of them ends any more.
    pub(super) fn give_up(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        (self.stop, self.running) = (Arc::default(), 0);
        (self.tell, self.ended) = channel();
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Has the calling thread wait for all others on the host. Linux takes a thread's I/O priority from
/// it too: the lowest of those that are served at all. Whoever may not is as welcome as before.
fn step_back() {
    let _ = setpriority_process(None, NICE);
}

fn content(
    reader: &mut Reader,
    file: &File,
    facts: &FileFacts,
    wanted: &Wanted,
    stop: &AtomicBool,
) -> io::Result<Content> {
    let (digests, bytes) = reader.digest(file, wanted, stop)?;
    let same = Source::facts(file).is_ok_and(|after| after == *facts);
    Ok(Content { digests, bytes, untouched: same && bytes == facts.size_bytes })
}
