//! The local socket: who may ask what, and what is answered.
//!
//! [`server`] accepts connections, [`routes`] maps paths to [`answer`]s, each of which is computed
//! from one consistent moment of the agent. [`schema`] is what goes over the socket; the command
//! line reads the same types back.

pub mod answer;
mod audit;
mod authority;
pub mod group;
mod guard;
pub mod health;
pub mod json_schema;
mod membership;
pub mod metrics;
pub mod openapi;
pub mod problem;
pub mod routes;
pub mod schema;
pub mod select;
pub mod server;
pub mod socket;
mod stall;
mod table;

#[cfg(test)]
mod contract;
#[cfg(test)]
pub(crate) mod tests;
