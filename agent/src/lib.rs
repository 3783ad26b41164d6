//! The plexmesh agent: the shell around the protocol of `plexmesh-proto`, and its command line.
//!
//! All I/O lives here. [`driver`] is the only caller of the protocol node; [`query`] is how
//! everything else asks it. [`api`] answers over the local socket, [`cli`] asks there and
//! [`render`] draws what comes back, so that the command line shows nothing that a program cannot
//! get as JSON.

#![forbid(unsafe_code)]

pub mod api;
pub mod audit;
pub mod certificate;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod driver;
pub mod events;
pub mod host;
pub mod identity;
pub mod mesh;
pub mod query;
pub mod render;
pub mod run;
pub mod scrub;
pub mod settings;
pub mod sources;
pub mod store;
pub mod supervisor;
pub mod text;
pub mod time;
