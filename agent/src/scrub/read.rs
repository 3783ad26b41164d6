//! Reads a file once, and gives all digests of it that are wanted.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};

use crate::sources::{Digests, ExpectedDigest, Hashing};

/// Bytes that are read at once: within a core's cache, so that all digests run over warm bytes.
const BUFFER_BYTES: usize = 256 * 1024;
/// The buffer begins at a page: copying out of the page cache is twice as fast then.
const ALIGNMENT: usize = 4_096;
/// Shortest sleep between reads: shorter ones cost more than they spare.
const MIN_SLEEP: Duration = Duration::from_millis(5);
/// Longest sleep at one time, so that an agent that is to stop does.
const MAX_SLEEP: Duration = Duration::from_millis(100);

/// How much of a core's and a disk's time reading may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Sleep so many times as long as was worked; 0 to hurry.
    pub(super) rest: u32,
    /// Bytes a second at most, if the operator set a limit.
    pub(super) max_bytes_per_second: Option<NonZeroU64>,
}

/// A reader with its buffer.
#[derive(Debug)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    start: usize,
    /// Work that was not rested from yet; that of many small files adds up.
    worked: Duration,
    bytes: u64,
}

impl Default for Reader {
    fn default() -> Self {
        let buffer = vec![0; BUFFER_BYTES + ALIGNMENT];
        let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { buffer, start, worked: Duration::ZERO, bytes: 0 }
    }
}

impl Reader {
    /// Reads a file from where it stands to its end, or to one byte past `size_bytes`, so that a
    /// file that grows for ever has an end too; gives the digests that `expected` asks for and how many bytes were read.
    /// What it read does not stay in the page cache. `meanwhile` is called at least each tenth of a
    /// second: a long file takes hours.
    ///
    /// # Errors
    /// What the system failed with; [`io::ErrorKind::Interrupted`] if `stop` became true.
    pub(super) fn digest(
        &mut self,
        file: &mut File,
        (size_bytes, expected): (u64, Option<&ExpectedDigest>),
        pace: Pace,
        stop: &AtomicBool,
        meanwhile: &mut dyn FnMut(),
    ) -> io::Result<(Digests, u64)> {
        let end = self.start + BUFFER_BYTES;
        let buffer = self.buffer.get_mut(self.start..end).unwrap_or_default();
        let mut hashing = Hashing::new(expected);
        let mut total: u64 = 0;
        // What is in memory may be another thing than what is on the disk.
        forget(file);
        let mut limited = (&*file).take(size_bytes.saturating_add(1));
        loop {
            let began = Instant::now();
            let count = match limited.read(buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hashing.update(buffer.get(..count).unwrap_or_default());
            let read = u64::try_from(count).unwrap_or(0);
            total += read;
            self.bytes += read;
            self.worked += began.elapsed();
            meanwhile();
            if pace.breathe(self.worked, self.bytes, stop, meanwhile)? {
                (self.worked, self.bytes) = (Duration::ZERO, 0);
            }
        }
        forget(file);
        Ok((hashing.finish(), total))
    }
}

impl Pace {
    /// How long to sleep after work.
    pub(super) fn rest_after(self, worked: Duration, bytes: u64) -> Duration {
        let by_duty = worked.saturating_mul(self.rest);
        let by_bytes = self.max_bytes_per_second.map_or(Duration::ZERO, |limit| {
            Duration::from_micros(bytes.saturating_mul(1_000_000) / limit).saturating_sub(worked)
        });
        by_duty.max(by_bytes)
    }

    /// Sleeps if it is worth it; whether it did.
    fn breathe(
        self,
        worked: Duration,
        bytes: u64,
        stop: &AtomicBool,
        meanwhile: &mut dyn FnMut(),
    ) -> io::Result<bool> {
        let mut rest = self.rest_after(worked, bytes);
        if rest < MIN_SLEEP {
            return stopped(stop).map(|()| false);
        }
        while !rest.is_zero() {
            stopped(stop)?;
            let part = rest.min(MAX_SLEEP);
            sleep(part);
            meanwhile();
            rest -= part;
        }
        stopped(stop).map(|()| true)
    }
}

fn stopped(stop: &AtomicBool) -> io::Result<()> {
    if stop.load(Ordering::Relaxed) {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "the agent stops"));
    }
    Ok(())
}

/// Takes a file out of the page cache. File systems may ignore it.
fn forget(file: &File) {
    let _ = fadvise(file, 0, None, Advice::DontNeed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};
    use std::io::{Seek, Write};

    const HURRY: Pace = Pace { rest: 0, max_bytes_per_second: None };

    #[test]
    fn a_content_longer_than_the_buffer_is_one_content() {
        let content: Vec<u8> = (0..BUFFER_BYTES * 2 + 7).map(|at| (at % 251) as u8).collect();
        let expected = ExpectedDigest::of_sha256(Sha256::digest(&content).into());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        file.rewind().unwrap();
        let wanted = (content.len() as u64, Some(&expected));
        let stop = AtomicBool::new(false);
        let read = Reader::default().digest(&mut file, wanted, HURRY, &stop, &mut || {});
        let digests =
            Digests { blake3: *blake3::hash(&content).as_bytes(), expected: Some(expected) };
        assert_eq!(read.unwrap(), (digests, content.len() as u64));
    }

    #[test]
    fn a_file_that_never_ends_is_read_no_further_than_one_byte_past_its_length() {
        let mut endless = File::open("/dev/zero").unwrap();
        let stop = AtomicBool::new(false);
        let read =
            Reader::default().digest(&mut endless, (1_000_000, None), HURRY, &stop, &mut || {});
        assert_eq!(read.unwrap().1, 1_000_001);
    }

    #[test]
    fn the_stricter_of_duty_and_byte_limit_sets_the_rest() {
        let second = Duration::from_secs(1);
        let limit = NonZeroU64::new(1_000);
        let duty = Pace { rest: 3, max_bytes_per_second: limit };
        assert_eq!(duty.rest_after(second, 1_000), 3 * second);
        assert_eq!(duty.rest_after(second, 10_000), 9 * second);
        assert_eq!(HURRY.rest_after(second, 10_000), Duration::ZERO);
    }

    #[test]
    fn an_agent_that_stops_reads_no_further() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0; 10]).unwrap();
        file.rewind().unwrap();
        let stop = AtomicBool::new(true);
        let error =
            Reader::default().digest(&mut file, (10, None), HURRY, &stop, &mut || {}).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
}
