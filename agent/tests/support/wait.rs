//! Waiting for what has to come about.

use std::time::{Duration, Instant};

/// How long a test waits: many times what it takes, for machines that are busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Looks until there is something to see.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(value) => return value,
            Err(seen) => assert!(Instant::now() < give_up, "never: {what}\nat last: {seen}"),
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}
