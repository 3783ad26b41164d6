//! Messages that are being read, and the count of those that are never read to their end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::stats::{Counter, Counters};

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    Request,
    Response,
    Admission,
}

/// A message that is being read. Whoever waits for it drops it at the deadline without a word, so what
/// has no end when this is dropped is counted then.
#[derive(Debug)]
pub(crate) struct Reading {
    message: Message,
    counters: Arc<Counters>,
    began: Instant,
    deadline: Duration,
    ended: bool,
}

impl Reading {
    /// Begins to read what must be there so long after `began`.
    pub(crate) fn new(
        message: Message,
        counters: &Arc<Counters>,
        began: Instant,
        deadline: Duration,
    ) -> Self {
        Self { message, counters: Arc::clone(counters), began, deadline, ended: false }
    }

    /// Takes what reading led to: `InvalidData` stands for a message that is longer than it may be.
    pub(crate) fn end<T>(mut self, read: io::Result<T>) -> io::Result<T> {
        self.ended = true;
        let [too_long, broken_off, _] = self.message.counters(&self.counters);
        match &read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => too_long.increment(),
            Err(_) => broken_off.increment(),
        }
        read
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let [_, broken_off, too_slow] = self.message.counters(&self.counters);
        // The clock of whoever dropped it began a moment earlier. Before its deadline a message is dropped
        // only with its connection.
        if self.began.elapsed() >= self.deadline * 9 / 10 {
            too_slow.increment();
        } else {
            broken_off.increment();
        }
    }
}

impl Message {
    /// Of those that are too long, broke off, and were too slow.
    const fn counters(self, all: &Counters) -> [&Counter; 3] {
        match self {
            Self::Request => [
                &all.broken_request_too_long,
                &all.broken_request_broken_off,
                &all.broken_request_too_slow,
            ],
            Self::Response => [
                &all.broken_response_too_long,
                &all.broken_response_broken_off,
                &all.broken_response_too_slow,
            ],
            Self::Admission => [
                &all.broken_admission_too_long,
                &all.broken_admission_broken_off,
                &all.broken_admission_too_slow,
            ],
        }
    }
}
