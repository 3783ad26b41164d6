//! A virtual world for plexmesh: many nodes of the shipped protocol in one process, in virtual
//! time, from one seed.
//!
//! The protocol is not modelled: every host runs a [`plexmesh_proto::Node`] with real keys and
//! signatures. What is modelled is what lies between them: paths ([`links`]) with latency, loss,
//! cuts and partitions; QUIC connections, where a lost packet is a delay and a silent path is
//! noticed late and by each end for itself; and gossipsub. A host can crash, come back with or
//! without its disk, be paused, have a wrong clock, or lie ([`byzantine`]).
//!
//! A [`World`] is driven by its caller: let time pass, do something to a host or a path, and look.
//! [`check`] has the questions that only somebody outside can answer. Two runs from one seed, with
//! the same things done to them, have the same [`World::hash`].
//!
//! ```
//! use std::time::Duration;
//! use plexmesh_simulator::{World, check};
//!
//! let mut world = World::builder(1).nodes(5).loss(0.01).build();
//! let everybody = [0, 1, 2, 3, 4];
//! let joined = world.run_until(Duration::from_secs(60), |world| check::all_up(world, &everybody));
//! assert!(joined.is_some());
//! ```

#![forbid(unsafe_code)]

pub mod builder;
pub mod byzantine;
pub mod check;
pub mod compare;
pub mod dice;
pub mod explain;
pub mod figures;
mod gossip;
pub mod history;
mod host;
pub mod import;
pub mod keys;
pub mod links;
pub mod measure;
pub mod output;
pub mod paths;
mod queue;
pub mod replay;
pub mod report;
pub mod run;
pub mod scenario;
pub mod script;
mod spread;
pub mod store;
pub mod swarm;
pub mod topology;
pub mod traffic;
mod transport;
mod weather;
pub mod world;

pub use builder::{Start, WorldBuilder};
pub use byzantine::Lie;
pub use world::{Crash, QueueLengths, Truth, VirtualNode, World};
