//! What a scenario of a comparison may do: only what can be done to all protocols alike.

use super::{Protocol, scuttlebutt};
use crate::scenario::{Fault, Problem, Scenario};

/// Checks a scenario.
///
/// # Errors
/// With the place in the scenario, and what is possible.
pub(super) fn check(scenario: &Scenario, protocols: &[Protocol]) -> Result<(), Problem> {
    for (index, entry) in scenario.faults.iter().enumerate() {
        if let Some((key, what, expected)) = refusal(&entry.fault) {
            return Err(Problem::new(format!("faults[{index}].{key}"), what, expected));
        }
    }
    if scenario.churn.as_ref().is_some_and(|churn| churn.lose_state > 0.0) {
        return Err(Problem::new("churn.lose-state", DISK, "no lose-state"));
    }
    if scenario.groups.iter().any(|group| group.sleep_grace.is_some()) {
        let what = "the other protocols know no peer that may sleep";
        return Err(Problem::new("groups", what, "no sleep-grace"));
    }
    let most = scuttlebutt::MAX_PEERS;
    if protocols.contains(&Protocol::Scuttlebutt) && scenario.peers > most {
        let what = format!(
            "{} peers: the digest that scuttlebutt sends of all of them fits no UDP datagram",
            scenario.peers
        );
        return Err(Problem::new("peers", what, format!("at most {most}, or other --protocols")));
    }
    Ok(())
}

const DISK: &str = "the other protocols keep nothing on a disk that could be lost";

/// Why a fault cannot be part of a comparison: the key to blame, what is wrong and what helps.
fn refusal(fault: &Fault) -> Option<(&'static str, &'static str, &'static str)> {
    const POSSIBLE: &str = "crash, rolling-restart, cut, no-path, flip-flop, loss, degrade or \
                            partition";
    let refused = |what| Some(("fault", what, POSSIBLE));
    match fault {
        Fault::Crash { lose_state: true, .. } | Fault::RollingRestart { lose_state: true, .. } => {
            Some(("lose-state", DISK, "no lose-state"))
        }
        Fault::Crash { .. }
        | Fault::RollingRestart { .. }
        | Fault::Cut { .. }
        | Fault::NoPath { .. }
        | Fault::FlipFlop { .. }
        | Fault::Loss { .. }
        | Fault::Degrade { .. }
        | Fault::Partition { .. } => None,
        Fault::Pause { .. } | Fault::Sleep { .. } | Fault::Slow { .. } | Fault::Starve { .. } => {
            refused("the processes of the other protocols run or do not; they never stand still")
        }
        Fault::Clock { .. } => refused("the other protocols have no wall clock"),
        Fault::Lie { .. } => refused("liars speak plexmesh alone"),
        Fault::Join { .. } => {
            refused("peers start knowing each other; how a newcomer is let in is not compared")
        }
        Fault::Leave { .. } => refused("not every protocol has a good-bye"),
        Fault::Corrupt { .. } => refused("the other protocols tell nothing but who is a member"),
    }
}
