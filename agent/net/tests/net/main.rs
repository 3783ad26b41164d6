//! The transport through its public face, on real loopback sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admission;
mod broken;
mod common;
mod connections;
mod exchange;
mod floods;
mod raw;
mod strangers;
