//! The network of a scenario without its hosts: for those who send real packets through it.
//!
//! A [`Paths`] draws what becomes of each packet exactly as a world does, from the same topology,
//! conditions and faults, so that a scenario file means the same network to both.

use std::path::Path;
use std::time::Duration;

use plexmesh_proto::types::Time;

use crate::builder::USUAL_JITTER_US;
use crate::dice::{Chance, Dice};
use crate::links::{Fate, Links, Load, Rules};
use crate::scenario::{Conditions, Scenario};
use crate::script::{Deed, Script};
use crate::topology::{self, TopologyError};
use crate::weather::{Ground, Weather};

/// All paths of a scenario, and what is wrong with them now.
#[derive(Debug)]
pub struct Paths {
    ground: Plain,
    weather: Weather,
    dice: Dice,
}

impl Paths {
    /// The paths of a scenario at its beginning. Files that it names are sought in `base`.
    ///
    /// # Errors
    /// If the topology cannot be made.
    pub fn new(scenario: &Scenario, script: &Script, base: &Path) -> Result<Self, TopologyError> {
        let made = topology::build(&scenario.network, scenario.peers, scenario.seed, base)?;
        let rules = Rules::of_jitter_and_loss(USUAL_JITTER_US, Chance::NEVER);
        let links = Links::new(scenario.seed, made.model, rules);
        let mut ground = Plain { links, now: Time(0) };
        let weather = Weather::new(scenario, script, &mut ground);
        ground.links.keep_as_base();
        Ok(Self { ground, weather, dice: Dice::new(scenario.seed, "real packets", 0) })
    }

    /// Does a deed of the script at `now`, if it is about paths: cuts, partitions, losses,
    /// conditions. Others do nothing here.
    pub fn act(&mut self, now: Time, deed: &Deed) {
        self.ground.now = now;
        self.weather.act(&mut self.ground, deed);
    }

    /// Every path is as in the beginning. Says whether anything was wrong.
    pub fn heal(&mut self, now: Time) -> bool {
        self.ground.links.restore(now);
        self.weather.clear()
    }

    /// Draws what becomes of a packet of `bytes`, its headers included, that is sent at `now`.
    /// Times have to rise.
    pub fn send(&mut self, now: Time, (from, to): (usize, usize), bytes: usize) -> Fate {
        self.ground.links.send(now, Load { from, to, bytes, packets: 1 }, &mut self.dice)
    }

    /// Since when no packet passes between two hosts, or none passes back; `None` while both ways
    /// are open.
    #[must_use]
    pub fn parted_since(&self, a: usize, b: usize) -> Option<Time> {
        let ways = [(a, b), (b, a)].into_iter();
        ways.filter_map(|(from, to)| self.ground.links.blocked_since(from, to)).min()
    }

    /// Since when both ways between two hosts are open; `None` while they are not.
    #[must_use]
    pub fn joined_since(&self, a: usize, b: usize) -> Option<Time> {
        self.ground.links.joined_since(a, b)
    }

    /// Whether a host has conditions or losses of its own that are worse than in the beginning, or
    /// a way of it is cut.
    #[must_use]
    pub fn is_troubled(&self, host: usize) -> bool {
        self.ground.links.is_impaired(host) || self.ground.links.has_troubled_way(host)
    }
}

#[derive(Debug)]
struct Plain {
    links: Links,
    now: Time,
}

impl Ground for Plain {
    fn set_conditions(&mut self, conditions: &Conditions) {
        self.links.set_conditions(conditions);
    }

    fn set_host_conditions(&mut self, host: usize, conditions: Option<&Conditions>) {
        self.links.set_host(host, conditions);
    }

    fn set_host_loss(&mut self, host: usize, ingress: f64, egress: f64) {
        self.links.set_host_loss(host, Chance::new(ingress), Chance::new(egress));
    }

    fn set_slow(&mut self, _: usize, _: Option<Duration>) {}

    fn set_starved(&mut self, _: usize, _: Option<(Duration, Duration)>) {}

    fn cut(&mut self, from: usize, to: usize) {
        self.links.cut(from, to, self.now);
    }

    fn mend(&mut self, from: usize, to: usize) {
        self.links.mend(from, to, self.now);
    }

    fn partition(&mut self, groups: &[&[usize]]) {
        self.links.partition(groups, self.now);
    }

    fn heal(&mut self) {
        self.links.heal(self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load;
    use crate::script::compile;

    const SCENARIO: &str = r#"
format = 1
title = "Two sides and a bad uplink"
peers = 4
[network.latency]
model = "uniform"
min = "10ms"
max = "10001us"
[network.conditions]
jitter = "0s"
[[faults]]
at = "1s"
for = "10s"
fault = "partition"
sides = [[0, 1]]
[[faults]]
at = "1s"
fault = "loss"
peers = [3]
egress = 1.0
"#;

    #[test]
    fn packets_have_the_fate_that_the_scenario_says() {
        let scenario = load(SCENARIO, "test").unwrap();
        let script = compile(&scenario).unwrap();
        let mut paths = Paths::new(&scenario, &script, Path::new("")).unwrap();
        assert_eq!(paths.send(Time(0), (0, 3), 100).after_us(), Some(10_000));
        let begun = script.steps.iter().filter(|step| step.at.as_secs() == 61);
        begun.for_each(|step| paths.act(Time(1_000), &step.deed));
        assert_eq!(paths.send(Time(2_000), (0, 2), 100), Fate::Blocked);
        assert_eq!(paths.send(Time(2_000), (0, 1), 100).after_us(), Some(10_000));
        assert_eq!(paths.send(Time(2_000), (3, 2), 100), Fate::Lost);
        assert_eq!(paths.send(Time(2_000), (2, 3), 100).after_us(), Some(10_000));
        assert_eq!(paths.parted_since(0, 2), Some(Time(1_000)));
        assert!(paths.is_troubled(3) && paths.heal(Time(3_000)));
        assert_eq!(paths.send(Time(3_000), (3, 0), 100).after_us(), Some(10_000));
        assert_eq!(paths.joined_since(0, 2), Some(Time(3_000)));
    }
}
