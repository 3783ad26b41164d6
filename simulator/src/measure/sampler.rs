//! The mesh, once a second.

use std::collections::BTreeMap;

use plexmesh_proto::record::Kind;

use super::quantile::{quantile, sorted};
use super::traffic::sent_and_received;
use crate::check::digests;
use crate::report::Sample;
use crate::traffic::Bytes;
use crate::world::World;

/// Judgements that are counted in one sample: all of a mesh of 300, and those of a hundred peers of
/// a thousand, by turns.
const JUDGEMENTS_PER_SAMPLE: usize = 100_000;
/// Heartbeats whose age is looked at in one sample: to look one up costs about as much as to count
/// fifty judgements.
const HEARTBEATS_PER_SAMPLE: usize = 2_000;

/// Takes a sample every second.
#[derive(Debug, Default)]
pub struct Sampler {
    before: Vec<Bytes>,
    next_judging: usize,
    next_hearing: usize,
}

impl Sampler {
    /// A sampler that has seen nothing; rates of its first sample count from the beginning.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The mesh now; to be called once per second of virtual time. Digests are those of honest
    /// peers. Of a large mesh some observers are looked at, others each time.
    pub fn sample(&mut self, world: &World) -> Sample {
        let truths: Vec<_> = (0..world.len()).map(|host| world.truth(host)).collect();
        let all = truths.iter().enumerate();
        let running: Vec<usize> = all
            .filter(|(_, truth)| truth.running_since.is_some() && !truth.left)
            .map(|(host, _)| host)
            .collect();
        let mut honest = running.clone();
        honest.retain(|&host| truths.get(host).is_some_and(|truth| truth.counts()));
        let digests = digests(world, &honest);
        let most = digests.values().max().copied().unwrap_or_default();
        let (sent_mean, sent_max) = self.sent(world, &running);
        Sample {
            at_seconds: world.elapsed().as_secs_f64(),
            running: running.len(),
            digests: digests.len(),
            agreeing: most as f64 / honest.len().max(1) as f64,
            judgements: self.judgements(world, &honest),
            sent_mean,
            sent_max,
            heartbeat_age_seconds: self.heartbeat_age(world, &honest),
        }
    }

    /// What running peers sent since the last sample: mean and highest.
    fn sent(&mut self, world: &World, running: &[usize]) -> (f64, f64) {
        let after = sent_and_received(world);
        let sent = running.iter().filter_map(|&host| {
            let after = after.get(host)?.sent;
            // Meters that were reset meanwhile count from there.
            let before = self.before.get(host).map_or(0, |bytes| bytes.sent);
            Some(after.checked_sub(before).unwrap_or(after) as f64)
        });
        let sent: Vec<f64> = sent.collect();
        self.before = after;
        let mean = sent.iter().sum::<f64>() / sent.len().max(1) as f64;
        (mean, sent.into_iter().fold(0.0, f64::max))
    }

    fn judgements(&mut self, world: &World, honest: &[usize]) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        let most = JUDGEMENTS_PER_SAMPLE / world.len().max(1);
        for observer in by_turns(honest, most, &mut self.next_judging) {
            let Some(node) = world.node(observer) else { continue };
            let own = node.roster().index_of(&node.me());
            for (index, state) in (0u32..).zip(node.evaluation().states()) {
                if Some(index) != own {
                    *counts.entry(state).or_insert(0) += 1;
                }
            }
        }
        let named = counts.into_iter();
        named.map(|(state, count)| (format!("{state:?}").to_lowercase(), count)).collect()
    }

    /// The median age of the heartbeats that observers hold of others who run.
    fn heartbeat_age(&mut self, world: &World, honest: &[usize]) -> Option<f64> {
        let most = HEARTBEATS_PER_SAMPLE / world.len().max(1);
        let mut ages = Vec::new();
        for observer in by_turns(honest, most, &mut self.next_hearing) {
            let (Some(node), now) = (world.node(observer), world.now_at(observer)) else {
                continue;
            };
            let others = honest.iter().filter(|&&other| other != observer);
            for id in others.filter_map(|&other| world.peer_id(other)) {
                if let Some(heartbeat) = node.record(id, Kind::HEARTBEAT, now) {
                    let age_ms = now.wall_ms.saturating_sub(heartbeat.version().ms());
                    ages.push(age_ms as f64 / 1e3);
                }
            }
        }
        (!ages.is_empty()).then(|| quantile(&sorted(ages), 0.5))
    }
}

/// At most `most` of `hosts`, but at least one, beginning where the last turn ended.
fn by_turns(hosts: &[usize], most: usize, next: &mut usize) -> Vec<usize> {
    let count = most.max(1).min(hosts.len());
    let first = *next % hosts.len().max(1);
    *next = first + count;
    hosts.iter().cycle().skip(first).take(count).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_to_everybody() {
        let mut next = 0;
        let turns: Vec<Vec<usize>> = (0..3).map(|_| by_turns(&[5, 6, 7], 2, &mut next)).collect();
        assert_eq!(turns, [[5, 6], [7, 5], [6, 7]]);
        assert_eq!(by_turns(&[5, 6], 9, &mut next), [6, 5]);
        assert!(by_turns(&[], 9, &mut next).is_empty());
    }
}
