//! Helpers of the checks that cross crates.

pub mod worlds;
