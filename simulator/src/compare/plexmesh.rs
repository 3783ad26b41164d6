//! plexmesh in a comparison: an ordinary run, looked at with the eyes of the comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::types::{StateDigest, Time};

use super::outcome::Outcome;
use super::tally::{Mesh, Tally, is_gone};
use super::{Beat, CompareError, Protocol, Watcher};
use crate::history::History;
use crate::report::{self, RunReport};
use crate::run::agenda::Agenda;
use crate::run::{Progress, Watch, run};
use crate::scenario::Scenario;
use crate::script::compile;
use crate::world::World;

/// How it is configured.
pub(super) const CONFIGURATION: &str = "the shipped protocol with its only settings: signed \
     records over QUIC, five observers a peer, a probe a second an edge, heartbeats with health";

impl Mesh for World {
    fn now(&self) -> Time {
        self.time()
    }

    fn peers(&self) -> usize {
        self.len()
    }

    fn history(&self) -> &History {
        Self::history(self)
    }

    fn word(&self, observer: usize, subject: usize) -> Option<PeerState> {
        self.node(observer)?.state_of(&self.peer_id(subject)?)
    }

    fn each_gone(&self, observer: usize, note: &mut dyn FnMut(usize)) {
        let Some(node) = self.node(observer) else { return };
        let states = node.roster().members().iter().zip(node.evaluation().states());
        let gone = states.filter(|(_, state)| is_gone(*state));
        gone.filter_map(|(member, _)| self.host_of(&member.id())).for_each(note);
    }

    /// Findings that name a peer and no other one: those about an edge leave open which of its ends
    /// is to blame. Who has the same state records finds the same.
    fn flagged(&self, observers: &[usize]) -> Vec<usize> {
        let mut found: BTreeMap<StateDigest, BTreeSet<usize>> = BTreeMap::new();
        let mut counts = vec![0; self.len()];
        for &observer in observers {
            let Some(node) = self.node(observer) else { continue };
            let flagged = found.entry(node.digest()).or_insert_with(|| {
                let findings = node.findings(self.now_at(observer)).into_iter();
                let alone = findings.filter(|finding| finding.other.is_none());
                alone.filter_map(|finding| self.host_of(&finding.peer?)).collect()
            });
            for host in flagged.iter() {
                if let Some(count) = counts.get_mut(*host) {
                    *count += 1;
                }
            }
        }
        counts
    }
}

/// Looks at a run for the tally.
struct Looker<'a> {
    tally: Option<Tally>,
    agenda: Agenda,
    watcher: &'a mut dyn Watcher,
    seen: Option<super::Seen>,
}

impl Watch for Looker<'_> {
    fn tick(&mut self, world: &World, progress: &Progress<'_>) -> bool {
        let Some(tally) = &mut self.tally else { return true };
        while let Some(at) = self.agenda.next_before(progress.elapsed) {
            while let Some((deed, _)) = self.agenda.due(at) {
                tally.done(&deed, Time(crate::world::micros(at)));
            }
        }
        tally.look(world);
        if progress.elapsed >= progress.total
            && let Some(tally) = self.tally.take()
        {
            self.seen = Some(tally.finish(world));
        }
        self.watcher.second(&Beat {
            protocol: Protocol::Plexmesh,
            elapsed: progress.elapsed,
            total: progress.total,
            phase: progress.phase_name(),
            events: world.events(),
        })
    }
}

/// Runs plexmesh in the world of a scenario.
pub(super) fn play(
    scenario: &Scenario,
    base: &Path,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, CompareError> {
    let script = compile(scenario)?;
    let mut looker = Looker {
        tally: Some(Tally::new(scenario.peers, &scenario.phases)),
        agenda: Agenda::new(scenario, script.steps),
        watcher,
        seen: None,
    };
    let report = run("compare", scenario, base, &mut looker)?;
    let seen = looker.seen.ok_or(CompareError::Interrupted)?;
    Ok(outcome(seen, report))
}

fn outcome(seen: super::Seen, report: RunReport) -> Outcome {
    let (detection, false_positives, faulty, agreement) = seen;
    let report::Traffic { sent, received, .. } = report.traffic;
    Outcome {
        protocol: Protocol::Plexmesh.name().to_owned(),
        label: Protocol::Plexmesh.label().to_owned(),
        configuration: CONFIGURATION.to_owned(),
        detection,
        false_positives,
        faulty,
        agreement,
        sent,
        received,
        events: report.events,
        event_hash: report.event_hash,
        wall: report.wall,
    }
}
