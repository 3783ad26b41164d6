//! Makes the world of a scenario.

use std::path::Path;

use super::RunError;
use crate::builder::ProfileChange;
use crate::report::Picture;
use crate::scenario::Scenario;
use crate::script::Script;
use crate::topology;
use crate::world::World;

/// The world of a scenario at its beginning, and its picture.
pub(super) fn world(
    scenario: &Scenario,
    script: &Script,
    base: &Path,
    trace: bool,
) -> Result<(World, Picture), RunError> {
    let made = topology::build(&scenario.network, scenario.peers, scenario.seed, base)?;
    let mut changes: Vec<ProfileChange> = made
        .regions
        .into_iter()
        .map(|region| ProfileChange { region: Some(region), sleep_grace: None })
        .collect();
    changes.resize(scenario.peers, ProfileChange::default());
    for group in &scenario.groups {
        for &host in script.groups.get(&group.name).into_iter().flatten() {
            if let Some(change) = changes.get_mut(host) {
                change.sleep_grace = group.sleep_grace.map(|grace| grace.0);
            }
        }
    }
    let world = World::builder(scenario.seed)
        .nodes(scenario.peers)
        .latency(made.model)
        .start(scenario.start)
        .stagger(scenario.phases.stagger.0)
        .profiles(changes)
        .trace(trace)
        .build();
    Ok((world, made.picture))
}
