//! What a scenario must not ask for.

use std::time::Duration;

use super::who::is_group_name;
use super::{
    Churn, Conditions, Entry, FORMAT, Fault, Group, Latency, Network, Phases, Scenario, Shape,
    Span, Who,
};
use crate::{script, topology};

/// Peers of one scenario that this program accepts, those that join included: more need more memory
/// than a workstation has.
pub const MAX_PEERS: usize = 10_000;
/// Longest virtual run: a week.
pub const MAX_TOTAL: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Shortest time of something that repeats: each turn is an event for each peer.
const SHORTEST_TURN: Duration = Duration::from_millis(10);
/// Shortest mean session or absence: starting and stopping takes longer than that.
const SHORTEST_SESSION: Duration = Duration::from_secs(1);

/// What is wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what} (expected: {expected})")]
pub struct Problem {
    /// Which value, as in `faults[2].peers`.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What would have been right.
    pub expected: String,
}

impl Problem {
    pub(crate) fn new(
        path: impl Into<String>,
        what: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), what: what.into(), expected: expected.into() }
    }
}

type Checked = Result<(), Problem>;

impl Scenario {
    /// Looks for contradictions.
    ///
    /// # Errors
    /// The first one.
    pub fn validate(&self) -> Checked {
        if self.format != FORMAT {
            let what = format!("this program does not know format {}", self.format);
            return Err(Problem::new("format", what, FORMAT.to_string()));
        }
        let range = format!("1 to {MAX_PEERS} peers");
        ensure((1..=MAX_PEERS).contains(&self.peers), "peers", &range, || {
            format!("{} peers", self.peers)
        })?;
        check_phases(self)?;
        check_network(&self.network, self.peers)?;
        for (index, group) in self.groups.iter().enumerate() {
            check_group(group, index, self)?;
        }
        for (index, entry) in self.faults.iter().enumerate() {
            check_entry(entry, &format!("faults[{index}]"), &self.phases)?;
        }
        if let Some(churn) = &self.churn {
            check_churn(churn)?;
        }
        script::compile(self).map(|_| ())
    }
}

fn check_phases(scenario: &Scenario) -> Checked {
    let phases = &scenario.phases;
    let total = phases.total();
    ensure(!total.is_zero(), "phases", "at least one phase with a length", || {
        "a run without any length".to_owned()
    })?;
    ensure(total <= MAX_TOTAL, "phases", "a week at most (168h)", || {
        format!("a run of {}", Span(total))
    })?;
    let longest = format!("at most settle ({})", phases.settle);
    ensure(phases.stagger <= phases.settle, "phases.stagger", &longest, || {
        format!("peers still start after {} when faults begin", phases.stagger)
    })?;
    let scheduled = !scenario.faults.is_empty() || scenario.churn.is_some();
    ensure(!scheduled || !phases.faults.0.is_zero(), "phases.faults", "a length above 0s", || {
        "faults are scheduled in a phase without length".to_owned()
    })
}

fn check_network(network: &Network, peers: usize) -> Checked {
    check_latency(&network.latency)?;
    check_conditions(&network.conditions, "network.conditions")?;
    for (index, link) in network.links.iter().enumerate() {
        let path = format!("network.links[{index}]");
        for (key, peer) in [("from", link.from), ("to", link.to)] {
            ensure(peer < peers, &format!("{path}.{key}"), &below(peers), || {
                format!("there is no peer {peer}")
            })?;
        }
        ensure(link.from != link.to, &format!("{path}.to"), "another peer", || {
            "a path from a peer to itself".to_owned()
        })?;
    }
    Ok(())
}

fn check_latency(latency: &Latency) -> Checked {
    let at = |key: &str| format!("network.latency.{key}");
    match latency {
        Latency::Uniform { min, max } => {
            ensure(min < max, &at("max"), &format!("more than min ({min})"), || max.to_string())
        }
        Latency::Matrix { source, unit, .. } => {
            ensure(!source.is_empty(), &at("source"), "a file or a built-in matrix", || {
                "no name".to_owned()
            })?;
            let known = unit.is_some() || topology::builtin(source).is_some();
            ensure(known, &at("unit"), "unit = \"s\", \"ms\" or \"us\"", || {
                format!("the file {source} does not say itself what it measures in")
            })
        }
        Latency::Regions { regions, detour } => {
            ensure(!regions.is_empty(), &at("regions"), "at least one region", || {
                "no region".to_owned()
            })?;
            ensure(*detour >= 1.0 && detour.is_finite(), &at("detour"), "1 or more", || {
                format!("a detour of {detour}")
            })?;
            for (index, region) in regions.iter().enumerate() {
                let at = |key: &str| format!("network.latency.regions[{index}].{key}");
                within(region.latitude, 90.0, &at("latitude"), "-90 to 90 degrees")?;
                within(region.longitude, 180.0, &at("longitude"), "-180 to 180 degrees")?;
            }
            let weight = regions.iter().fold(0_u64, |sum, each| sum.saturating_add(each.weight));
            ensure(weight > 0, &at("regions"), "a region with a weight above 0", || {
                "regions without any peers".to_owned()
            })
        }
        Latency::Graphml { source, .. } => {
            ensure(!source.as_os_str().is_empty(), &at("source"), "a file", || "no name".to_owned())
        }
        Latency::Generated { shape, .. } => check_shape(shape),
    }
}

fn check_shape(shape: &Shape) -> Checked {
    let at = |key: &str| format!("network.latency.shape.{key}");
    let positive = |count: usize, key: &str| {
        ensure(count > 0, &at(key), "1 or more", || format!("{key} = {count}"))
    };
    match shape {
        Shape::Tree { branching } => positive(*branching, "branching"),
        Shape::SmallWorld { degree, rewire } => {
            positive(*degree, "degree")?;
            check_share(*rewire, &at("rewire"))
        }
        Shape::ScaleFree { links } => positive(*links, "links"),
        Shape::RandomRegular { degree } => positive(*degree, "degree"),
        Shape::Clusters { clusters, .. } => positive(*clusters, "clusters"),
        Shape::Full | Shape::Ring | Shape::Line | Shape::Star | Shape::Grid => Ok(()),
    }
}

fn check_conditions(conditions: &Conditions, path: &str) -> Checked {
    let at = |key: &str| format!("{path}.{key}");
    for (value, key) in [(conditions.loss, "loss"), (conditions.duplicate, "duplicate")] {
        value.map_or(Ok(()), |value| check_share(value, &at(key)))?;
    }
    if let Some(burst) = &conditions.burst {
        check_share(burst.loss, &at("burst.loss"))?;
        longer(burst.every, Duration::ZERO, &at("burst.every"))?;
        longer(burst.lasts, Duration::ZERO, &at("burst.lasts"))?;
    }
    if let Some(reorder) = &conditions.reorder {
        check_share(reorder.share, &at("reorder.share"))?;
    }
    for (value, key) in [(conditions.up_kbps, "up-kbps"), (conditions.down_kbps, "down-kbps")] {
        ensure(value != Some(0), &at(key), "1 kbit/s or more", || "no bandwidth".to_owned())?;
    }
    Ok(())
}

fn check_group(group: &Group, index: usize, scenario: &Scenario) -> Checked {
    let at = |key: &str| format!("groups[{index}].{key}");
    ensure(
        is_group_name(&group.name),
        &at("name"),
        "a name of letters, digits, - and _ that begins with a letter and is not `all`",
        || format!("`{}` cannot name a group", group.name),
    )?;
    let earlier = scenario.groups.iter().take(index).any(|other| other.name == group.name);
    ensure(!earlier, &at("name"), "another name", || {
        format!("there is another group `{}`", group.name)
    })?;
    check_conditions(&group.conditions, &at("conditions"))
}

fn check_entry(entry: &Entry, path: &str, phases: &Phases) -> Checked {
    let at = |key: &str| format!("{path}.{key}");
    let faults = phases.faults;
    ensure(entry.at < faults, &at("at"), &format!("less than the fault phase ({faults})"), || {
        format!("{} lies behind the fault phase", entry.at)
    })?;
    if let Some(lasts) = entry.lasts {
        ensure(entry.fault.ends(), &at("for"), "no `for`", || {
            format!("{} cannot be undone, or knows itself when it ends", entry.fault.name())
        })?;
        ensure(!lasts.0.is_zero(), &at("for"), "a length above 0s", || "no length".to_owned())?;
        let left = Span(faults.0.saturating_sub(entry.at.0));
        let expected = format!("at most {left}, when the fault phase ends");
        ensure(lasts <= left, &at("for"), &expected, || {
            format!("it would last for {lasts} from {} on", entry.at)
        })?;
    }
    check_fault(&entry.fault, &at)
}

fn check_fault(fault: &Fault, at: &impl Fn(&str) -> String) -> Checked {
    match fault {
        Fault::RollingRestart { every, down, .. } => {
            longer(*every, SHORTEST_TURN, &at("every"))?;
            longer(*down, Duration::ZERO, &at("down"))
        }
        Fault::Slow { delay, .. } => longer(*delay, Duration::ZERO, &at("delay")),
        Fault::Starve { run, stall, .. } => {
            longer(*run, SHORTEST_TURN, &at("run"))?;
            longer(*stall, SHORTEST_TURN, &at("stall"))
        }
        Fault::FlipFlop { off, on, .. } => {
            longer(*off, SHORTEST_TURN, &at("off"))?;
            longer(*on, SHORTEST_TURN, &at("on"))
        }
        Fault::Loss { ingress, egress, .. } => {
            check_share(*ingress, &at("ingress"))?;
            check_share(*egress, &at("egress"))?;
            ensure(*ingress > 0.0 || *egress > 0.0, &at("fault"), "ingress or egress", || {
                "a loss that loses nothing".to_owned()
            })
        }
        Fault::Degrade { conditions, .. } => {
            ensure(
                *conditions != Conditions::default(),
                &at("conditions"),
                "at least one condition",
                || "a change that changes nothing".to_owned(),
            )?;
            check_conditions(conditions, &at("conditions"))
        }
        Fault::Partition { sides } => {
            ensure(!sides.is_empty(), &at("sides"), "at least one side", || "no side".to_owned())
        }
        Fault::Clock { jump_ms, .. } => {
            const DECADE_MS: u64 = 10 * 366 * 24 * 3_600 * 1_000;
            let jump = jump_ms.unsigned_abs();
            ensure(jump > 0, &at("jump-ms"), "not 0", || "a jump nowhere".to_owned())?;
            ensure(jump <= DECADE_MS, &at("jump-ms"), "ten years at most", || {
                format!("a jump of {jump_ms} ms")
            })
        }
        Fault::Join { count } => {
            ensure(*count > 0, &at("count"), "1 or more", || "nobody joins".to_owned())
        }
        Fault::Crash { .. }
        | Fault::Pause { .. }
        | Fault::Sleep { .. }
        | Fault::Cut { .. }
        | Fault::NoPath { .. }
        | Fault::Lie { .. }
        | Fault::Leave { .. }
        | Fault::Corrupt { .. } => Ok(()),
    }
}

fn check_churn(churn: &Churn) -> Checked {
    longer(churn.session, SHORTEST_SESSION, "churn.session")?;
    longer(churn.absence, SHORTEST_SESSION, "churn.absence")?;
    check_share(churn.lose_state, "churn.lose-state")
}

fn ensure(
    holds: bool,
    path: &str,
    expected: &str,
    what: impl FnOnce() -> String,
) -> Result<(), Problem> {
    if holds { Ok(()) } else { Err(Problem::new(path, what(), expected)) }
}

fn check_share(value: f64, path: &str) -> Checked {
    ensure((0.0..=1.0).contains(&value), path, "a probability from 0 to 1", || value.to_string())
}

fn within(value: f64, bound: f64, path: &str, expected: &str) -> Checked {
    ensure((-bound..=bound).contains(&value), path, expected, || value.to_string())
}

/// At least `least`, and not nothing.
fn longer(span: Span, least: Duration, path: &str) -> Checked {
    let expected = match Span(least) {
        Span(Duration::ZERO) => "a length above 0s".to_owned(),
        least => format!("{least} or more"),
    };
    ensure(span.0 >= least && !span.0.is_zero(), path, &expected, || span.to_string())
}

fn below(peers: usize) -> String {
    format!("0 to {}", peers.saturating_sub(1))
}

/// What is wrong with a set of peers that cannot be understood.
pub(crate) fn unreadable(path: String, who: &Who) -> Option<Problem> {
    let what = who.choice().err()?;
    Some(Problem::new(path, what, super::who::FORMS))
}
