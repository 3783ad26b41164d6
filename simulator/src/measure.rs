//! Measures: figures of a world for reports. They look from outside and judge nothing.

mod delivery;
mod latency;
pub mod quantile;
mod sampler;
#[cfg(test)]
mod tests;
pub(crate) mod traffic;

pub use delivery::{Tidings, deliveries};
pub use latency::{edges, latency_error};
pub use sampler::Sampler;
pub use traffic::{traffic, traffic_of};
