//! Standard output, of which a reader may have seen enough.

use std::io::{self, ErrorKind, StdoutLock, Write};

/// Standard output; what nobody reads any more counts as written, so `| head` changes neither the exit code nor what is written to files.
pub(super) fn stdout() -> Lenient<StdoutLock<'static>> {
    Lenient(io::stdout().lock())
}

/// A writer to which a closed pipe is no error.
pub(super) struct Lenient<W>(W);

impl<W: Write> Write for Lenient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lenient(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        lenient(self.0.flush(), ())
    }
}

fn lenient<T>(done: io::Result<T>, pretended: T) -> io::Result<T> {
    match done {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(pretended),
        done => done,
    }
}
