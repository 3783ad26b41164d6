//! Virtual worlds as the acceptance tests want them.

use std::time::Duration;

use plexmesh_simulator::{World, WorldBuilder, check};

/// Names another seed for all tests that run a virtual world.
pub const SEED_VARIABLE: &str = "PLEXMESH_SEED";

/// The seed of a test: its own, unless the environment names another one. Printed, so that a
/// failure can be repeated.
#[must_use]
pub fn seed(own: u64) -> u64 {
    let named = std::env::var(SEED_VARIABLE).ok().and_then(|text| text.parse().ok());
    let seed = named.unwrap_or(own);
    println!("{SEED_VARIABLE}={seed}");
    seed
}

/// All hosts of a world.
#[must_use]
pub fn everybody(world: &World) -> Vec<usize> {
    (0..world.len()).collect()
}

/// All hosts of a world but these.
#[must_use]
pub fn all_but(world: &World, excluded: &[usize]) -> Vec<usize> {
    (0..world.len()).filter(|host| !excluded.contains(host)).collect()
}

/// Whether `hosts` run, hold the same state, and find each other up.
#[must_use]
pub fn is_settled(world: &World, hosts: &[usize]) -> bool {
    check::digests_equal(world, hosts) && check::all_up(world, hosts)
}

/// Makes a world and lets all its hosts start and find each other. Gives how long that took; `None`
/// if it took longer than two minutes. Half a minute passes after that, so that first measurements
/// do not count as faults.
#[must_use]
pub fn settled(builder: WorldBuilder) -> (World, Option<Duration>) {
    let mut world = builder.build();
    let took = settle(&mut world);
    (world, took)
}

/// As [`settled`], for a world that was made and has not begun.
pub fn settle(world: &mut World) -> Option<Duration> {
    const LIMIT: Duration = Duration::from_secs(120);
    let hosts = everybody(world);
    let took = world.run_until(LIMIT, |world| is_settled(world, &hosts));
    world.run_for(Duration::from_secs(30));
    took
}
