//! Draws the documents of the local socket for people. Works from
//! [`api::schema`](crate::api::schema) alone: nothing is shown that `-o json` does not have.

pub mod audit;
pub mod authority;
pub mod config;
pub mod csv;
pub mod doctor;
pub mod event;
pub mod header;
pub mod html;
pub mod latency;
pub mod local;
pub mod markdown;
pub mod membership;
pub mod page;
pub mod peer;
pub mod problem;
pub mod shards;
pub mod status;
pub mod store;
pub mod table;
pub mod terminal;
pub mod text;
pub mod topology;
pub mod transfer;
pub mod why;

#[cfg(test)]
pub(crate) mod sample;
