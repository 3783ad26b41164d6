//! Reads a file once, and gives all digests of it that are wanted.

use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};
use rustix::io::{ReadWriteFlags, preadv2};

use super::pace::Pace;
use crate::sources::{Digests, ExpectedDigest, Hashing};

/// Bytes that are read at once: within a core's cache, so that all digests run over warm bytes.
const BUFFER_BYTES: usize = 256 * 1024;
/// The buffer begins at a page: copying out of the page cache is twice as fast then.
const ALIGNMENT: usize = 4_096;
/// What a file brought into the page cache leaves it each time that so much of it was read: a file
/// may be longer than memory.
const DROP_BYTES: u64 = 8 * 1024 * 1024;
/// Shortest sleep between reads: shorter ones cost more than they spare.
const MIN_SLEEP: Duration = Duration::from_millis(5);
/// Longest sleep at one time, so that a reading that is to end does.
const MAX_SLEEP: Duration = Duration::from_millis(100);

/// What is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Length of the file when it was found.
    pub(super) size_bytes: u64,
    /// What its record promises.
    pub(super) expected: Option<ExpectedDigest>,
    /// From the disk, whatever is in memory: what looked wrong is read so a second time.
    pub(super) from_disk: bool,
    pub(super) pace: Pace,
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
    /// Reads a file from its beginning to its end, or to one byte past its length, so that a file
    /// that grows for ever has an end too; gives the digests and how many bytes were read. What the
    /// reading brought into the page cache does not stay there; what others have there does.
    ///
    /// # Errors
    /// What the system failed with; [`io::ErrorKind::Interrupted`] if `stop` became true.
    pub(super) fn digest(
        &mut self,
        file: &File,
        wanted: &Wanted,
        stop: &AtomicBool,
    ) -> io::Result<(Digests, u64)> {
        let mut hashing = Hashing::new(wanted.expected.as_ref());
        if wanted.from_disk {
            forget(file, 0, None);
        }
        let is_guest = !is_cached(file);
        let end = self.start + BUFFER_BYTES;
        let buffer = self.buffer.get_mut(self.start..end).unwrap_or_default();
        let (mut total, mut kept_from): (u64, u64) = (0, 0);
        let mut limited = file.take(wanted.size_bytes.saturating_add(1));
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
            if is_guest && total - kept_from >= DROP_BYTES {
                forget(file, kept_from, NonZeroU64::new(total - kept_from));
                kept_from = total;
            }
            self.worked += began.elapsed();
            if breathe(wanted.pace.rest_after(self.worked, self.bytes), stop)? {
                (self.worked, self.bytes) = (Duration::ZERO, 0);
            }
        }
        if is_guest {
            forget(file, kept_from, None);
        }
        Ok((hashing.finish(), total))
    }
}

/// Sleeps if it is worth it; whether it did.
fn breathe(mut rest: Duration, stop: &AtomicBool) -> io::Result<bool> {
    if rest < MIN_SLEEP {
        return stopped(stop).map(|()| false);
    }
    while !rest.is_zero() {
        stopped(stop)?;
        let part = rest.min(MAX_SLEEP);
        sleep(part);
        rest -= part;
    }
    stopped(stop).map(|()| true)
}

fn stopped(stop: &AtomicBool) -> io::Result<()> {
    if stop.load(Ordering::Relaxed) {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "the reading is to end"));
    }
    Ok(())
}

/// Whether somebody else's reading or writing has the beginning of a file in the page cache. A file
/// system that cannot say gives `false`.
fn is_cached(file: &File) -> bool {
    let mut byte = [0];
    let slices = &mut [IoSliceMut::new(&mut byte)];
    matches!(preadv2(file, slices, 0, ReadWriteFlags::NOWAIT), Ok(1))
}

/// Takes a part of a file out of the page cache. File systems may ignore it.
fn forget(file: &File, from: u64, length: Option<NonZeroU64>) {
    let _ = fadvise(file, from, length, Advice::DontNeed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};
    use std::io::{Seek, Write};

    fn wanted(size_bytes: u64, expected: Option<ExpectedDigest>) -> Wanted {
        let pace = Pace { duty_percent: 100, max_bytes_per_second: None };
        Wanted { size_bytes, expected, from_disk: false, pace }
    }

    fn file_of(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn a_content_longer_than_the_buffer_is_one_content() {
        let content: Vec<u8> = (0..BUFFER_BYTES * 2 + 7).map(|at| (at % 251) as u8).collect();
        let expected = Some(ExpectedDigest::of_sha256(Sha256::digest(&content).into()));
        let digests = Digests { blake3: *blake3::hash(&content).as_bytes(), expected };
        let length = content.len() as u64;
        for from_disk in [false, true] {
            let wanted = Wanted { from_disk, ..wanted(length, expected) };
            let stop = AtomicBool::new(false);
            let read = Reader::default().digest(&file_of(&content), &wanted, &stop);
            assert_eq!(read.unwrap(), (digests, length));
        }
    }

    #[test]
    fn a_file_that_never_ends_is_read_no_further_than_one_byte_past_its_length() {
        let endless = File::open("/dev/zero").unwrap();
        let stop = AtomicBool::new(false);
        let read = Reader::default().digest(&endless, &wanted(1_000_000, None), &stop);
        assert_eq!(read.unwrap().1, 1_000_001);
    }

    #[test]
    fn a_reading_that_is_to_end_reads_no_further() {
        let stop = AtomicBool::new(true);
        let read = Reader::default().digest(&file_of(&[0; 10]), &wanted(10, None), &stop);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
