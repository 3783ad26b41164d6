//! The plexmesh protocol: who is alive, how well peers reach each other, and how they come to agree on it, without any I/O.
//!
//! # What it is
//! Every peer runs one [`Node`]. All that peers tell each other are signed [records](record): nobody can speak for somebody else, a [`view`] merges them in any order to the same
//! state, and an additive digest tells in 16 bytes whether two views agree. Five pseudo-random [rings](ring) decide who observes whom. Observers probe their subjects and publish what
//! they see; the [states](membership::state) of all peers are a pure function of these records and of the component in which the evaluating peer is. Changes travel by broadcast at once;
//! [anti-entropy](exchange) between ring neighbours repairs whatever a broadcast lost, and set [reconciliation](exchange::reconcile) heals long absences.
//!
//! # How it is driven
//! The crate has no clock, no sockets, no randomness of its own and no threads. A driver gives inputs and does what outputs ask for; time is an argument. The agent's driver
//! does this over libp2p, the virtual world's in virtual time, with the same code in between.
//!
//! ```text
//! loop {
//!     let input = wait_for(network, commands, node.poll_timeout());   // Input::Tick when the deadline comes first
//!     node.handle(input, now());                                     // exactly one input
//!     while let Some(output) = node.poll_output() {                   // until there is none
//!         carry_out(output);
//!     }
//! }
//! ```
//!
//! # What never happens here
//! Bytes from the network are decoded by [`wire`] with a cap on everything; nothing in this crate panics on them. No map iterates in hash order and no float enters what peers
//! must agree on, so the same inputs give the same outputs on every machine.
#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod admission;
pub mod clock;
pub mod config;
pub mod event;
pub mod exchange;
pub mod health;
pub mod integrity;
pub mod keys;
pub mod latency;
pub mod membership;
mod node;
pub mod port;
pub mod record;
pub mod report;
pub mod ring;
pub mod roster;
mod schema;
pub mod types;
pub mod view;
pub mod wire;

pub use config::Config;
pub use event::Event;
pub use node::{
    InviteRefusal, InviteReport, InviteTerms, Invited, KeysRefusal, MAX_INVITE_LIFETIME_S,
    MAX_INVITE_USES, Node, ReplaceRefusal, RevokeRefusal, Rotation,
};
pub use port::{Crypto, Input, Output, Verdict};
