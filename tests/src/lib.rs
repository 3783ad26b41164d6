//! Helpers of the checks that cross crates.

pub mod fuzz;
pub mod worlds;
