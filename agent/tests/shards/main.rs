//! Shards as a Backup Node leaves them, looked at by real agents: they are adopted as they lie,
//! harm is told by all agents and by its name, and what is told of them names nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod adoption;
mod agent;
#[path = "../support/command.rs"]
mod command;
mod daemon;
mod harm;
mod privacy;
mod removal;
#[path = "../support/wait.rs"]
mod wait;
mod witness;
