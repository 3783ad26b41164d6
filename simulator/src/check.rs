//! Checkers: they look at a world from outside and know what its nodes cannot.
//!
//! The functions answer single questions. [`Judge`] watches a whole run and judges every promise of
//! a scenario; what each promise means is told in `docs/simulator.md`.

use plexmesh_proto::report::Finding;

use crate::world::World;

mod accusation;
mod agreement;
mod bounds;
mod coverage;
mod detection;
mod judge;
mod ledger;
#[cfg(test)]
mod tests;
mod truth;
mod versions;

pub(crate) use accusation::is_false;
pub use accusation::{accusations, false_downs, since};
pub use agreement::{all_see, all_up, digests, digests_equal, states, states_of};
pub use judge::{Judge, Judged, Phase};
pub(crate) use truth::Outside;

/// What a host finds wrong.
#[must_use]
pub fn findings(world: &World, host: usize) -> Vec<Finding> {
    world.node(host).map(|node| node.findings(world.now_at(host))).unwrap_or_default()
}
