//! The databases of an agent: what they hold after kills, what an operator does for them, and what a
//! disk that is full or breaks does to them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod care;
#[path = "../support/command.rs"]
mod command;
#[path = "../support/environment.rs"]
mod environment;
mod place;
#[path = "../support/process.rs"]
mod process;
mod remembered;
#[path = "../support/wait.rs"]
mod wait;
