//! The `plexmesh` binary: the agent and its command line.

use std::process::ExitCode;

use libmimalloc_sys::{mi_option_set, mi_option_t};
use mimalloc::MiMalloc;

/// Gives memory back that is free in the middle of the heap, which the allocator of the C library does not.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The number of `mi_option_purge_delay` in `mimalloc.h`, which the bindings lack.
const PURGE_DELAY: mi_option_t = 15;

fn main() -> ExitCode {
    purge_at_once();
    plexmesh_agent::cli::main()
}

/// Has memory go back to the system when it is freed: by default that waits for the next allocation, and
/// an agent at rest makes none.
#[allow(
    unsafe_code,
    reason = "docs/adr/0029: the allocator has no other setting but the environment"
)]
fn purge_at_once() {
    // SAFETY: it sets a number, and no other thread runs yet.
    unsafe { mi_option_set(PURGE_DELAY, 0) };
}

#[cfg(test)]
mod tests {
    use libmimalloc_sys::mi_option_get;

    use super::*;

    #[test]
    #[allow(unsafe_code, reason = "the function of another language")]
    fn the_option_is_the_one_that_it_is_taken_for() {
        let delay_ms = || {
            // SAFETY: it gives a number.
            unsafe { mi_option_get(PURGE_DELAY) }
        };
        // The default of mimalloc 3.
        assert_eq!(delay_ms(), 1_000);
        purge_at_once();
        assert_eq!(delay_ms(), 0);
    }
}
