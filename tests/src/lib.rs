//! Helpers of the checks that cross crates.

#![forbid(unsafe_code)]

pub mod fuzz;
pub mod worlds;
