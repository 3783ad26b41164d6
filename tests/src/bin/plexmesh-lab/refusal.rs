//! What a lab of real agents cannot do, said before anything starts.

use plexmesh_simulator::scenario::{Fault, Scenario};

/// Most agents of a lab: each takes 30 MB, and one per cent of a core while it rests.
pub(crate) const MAX_AGENTS: usize = 200;
/// Fewest: one agent alone has nobody to tell.
const MIN_AGENTS: usize = 2;

/// Why a scenario cannot be played by real agents; `None` if it can. `clean`: without the switch.
pub(crate) fn refusal(scenario: &Scenario, clean: bool) -> Option<String> {
    if !(MIN_AGENTS..=MAX_AGENTS).contains(&scenario.peers) {
        let peers = scenario.peers;
        return Some(format!(
            "{peers} peers; a lab has {MIN_AGENTS} to {MAX_AGENTS}: give --agents"
        ));
    }
    if let Some(group) = scenario.groups.iter().find(|group| group.sleep_grace.is_some()) {
        let name = &group.name;
        return Some(format!("the group `{name}` may sleep; the lab cannot put a host to sleep"));
    }
    if let Some(group) =
        scenario.groups.iter().find(|group| clean && group.conditions != Default::default())
    {
        return Some(without_switch(&format!("the group `{}` has conditions", group.name)));
    }
    let faults = scenario.faults.iter().enumerate();
    faults
        .filter_map(|(index, entry)| {
            let why = of_fault(&entry.fault, clean)?;
            Some(format!("faults[{index}], `{}` at {}: {why}", entry.fault.name(), entry.at))
        })
        .next()
}

fn of_fault(fault: &Fault, clean: bool) -> Option<String> {
    let why = match fault {
        Fault::Lie { .. } => "real agents do not lie; `agent/tests/hostile` attacks them",
        Fault::Clock { .. } => "all agents share the clock of this machine",
        Fault::Sleep { .. } => "the lab cannot put a host to sleep; take `pause`",
        Fault::Slow { .. } | Fault::Starve { .. } => {
            "the lab does not slow processes down; take `pause`"
        }
        Fault::Join { .. } | Fault::Leave { .. } => {
            "the lab's mesh has the members that it starts with; take `crash`"
        }
        Fault::Cut { .. }
        | Fault::NoPath { .. }
        | Fault::FlipFlop { .. }
        | Fault::Loss { .. }
        | Fault::Degrade { .. }
        | Fault::Partition { .. } => return clean.then(|| without_switch("it is about paths")),
        Fault::Crash { .. }
        | Fault::RollingRestart { .. }
        | Fault::Pause { .. }
        | Fault::Corrupt { .. } => {
            return None;
        }
    };
    Some(why.to_owned())
}

fn without_switch(what: &str) -> String {
    format!("{what}, and with --clean there is no switch between the agents")
}

#[cfg(test)]
mod tests {
    use plexmesh_simulator::scenario::load;

    use super::*;

    fn scenario(faults: &str) -> Scenario {
        load(&format!("format = 1\ntitle = \"t\"\npeers = 5\n{faults}"), "test").unwrap()
    }

    fn fault(text: &str) -> Scenario {
        scenario(&format!("[[faults]]\nat = \"1s\"\nfault = {text}"))
    }

    #[test]
    fn what_real_agents_cannot_have_is_refused_by_name() {
        for (text, word) in [
            ("\"lie\"\npeers = [1]\nlie = \"forger\"", "lie"),
            ("\"clock\"\npeers = [1]\njump-ms = 5000", "clock"),
            ("\"sleep\"\npeers = [1]", "sleep"),
            ("\"starve\"\npeers = [1]\nrun = \"1s\"\nstall = \"1s\"", "pause"),
            ("\"join\"\ncount = 1", "members"),
        ] {
            let why = refusal(&fault(text), false).unwrap();
            assert!(why.starts_with("faults[0]") && why.contains(word), "{why}");
        }
        assert!(
            refusal(&scenario("[[groups]]\nname = \"a\"\npeers = 2\nsleep-grace = \"1h\""), false)
                .is_some()
        );
    }

    #[test]
    fn paths_need_the_switch_and_processes_do_not() {
        let cut = fault("\"cut\"\nfrom = [0]\nto = [1]");
        assert_eq!(refusal(&cut, false), None);
        assert!(refusal(&cut, true).unwrap().contains("--clean"));
        for text in ["\"crash\"\npeers = [1]", "\"pause\"\npeers = [1]", "\"corrupt\"\npeers = [1]"]
        {
            assert_eq!(refusal(&fault(text), true), None);
        }
    }

    #[test]
    fn a_lab_has_a_size() {
        let mut many = scenario("");
        many.set_peers(MAX_AGENTS + 1);
        assert!(refusal(&many, false).unwrap().contains("--agents"));
    }
}
