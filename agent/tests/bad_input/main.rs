//! What operators mistype and disks do: the real program says what is wrong, why, and what to type,
//! and nothing that was there is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/command.rs"]
mod command;
mod disk;
mod files;
mod host;
mod in_use;
mod mount;
mod shards;
#[path = "../support/wait.rs"]
mod wait;
