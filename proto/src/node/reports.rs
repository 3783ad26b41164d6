//! What a node answers when it is asked about the mesh.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Node;
use super::accept::heartbeat;
use super::clocks::Verdict;
use crate::exchange::pacing::heartbeat_interval;
use crate::health;
use crate::latency;
use crate::membership::state::{Evaluation, PeerState};
use crate::port::Crypto;
use crate::record::{EdgeStatus, Kind, Record};
use crate::report::{
    Convergence, EdgeFigures, EdgeReport, Finding, HealthCode, HeartbeatLag, ObserverReport,
    Overview, OwnClock, Partition, PeerReport, Rtt, Severity, WhyReport,
};
use crate::roster::{Member, Roster};
use crate::types::{MILLI, Now, PeerId, StateDigest};
use crate::view::RecordStore;

impl<C: Crypto, S: RecordStore> Node<C, S> {
    /// Summary of the state records: equal digests mean equal state.
    pub fn digest(&self) -> StateDigest {
        self.view.digest()
    }

    /// The mesh in a few figures.
    pub fn overview(&self, now: Now) -> Overview {
        let mut states = BTreeMap::new();
        for state in self.evaluation.states() {
            *states.entry(state).or_insert(0) += 1;
        }
        Overview {
            me: self.me(),
            digest: self.digest(),
            states,
            component: self.evaluation.reachable.iter().filter(|reachable| **reachable).count(),
            convergence: self.convergence(now),
            lag: self.heartbeat_lag(now),
            local_health: self.membership.local_health(),
            own_clock: self.clocks.own(now.time),
            connections: self.connected.len(),
            records: self.view.len(),
        }
    }

    /// Agreement with the neighbours.
    pub fn convergence(&self, now: Now) -> Convergence {
        self.exchange.convergence(self.view.digest(), now.time)
    }

    /// How current the heartbeats of reachable peers are.
    pub fn heartbeat_lag(&self, now: Now) -> HeartbeatLag {
        let interval_ms = heartbeat_interval(self.roster.rings().len()) / MILLI;
        let mut lag = HeartbeatLag { interval_ms, ..HeartbeatLag::default() };
        let members = (0..).zip(self.roster.members());
        let reachable =
            members.filter(|(index, member)| self.evaluation.is_reachable(*index) && !member.left);
        for (_, member) in reachable {
            match self.heartbeat_of(&member.id(), now) {
                None => lag.missing += 1,
                Some(record) => {
                    let age_ms = now.wall_ms.saturating_sub(record.version().ms());
                    lag.oldest_ms = lag.oldest_ms.max(Some(age_ms));
                }
            }
        }
        lag
    }

    /// All peers, by rising id.
    pub fn peers(&self, now: Now) -> Vec<PeerReport> {
        let own: BTreeMap<PeerId, EdgeFigures> = self.own_figures().collect();
        let judgements = self.evaluation.judgements(&self.roster);
        (0..)
            .zip(self.roster.members().iter().zip(judgements))
            .map(|(index, (member, judgement))| {
                let id = member.id();
                let record = self.heartbeat_of(&id, now);
                let reachable = self.evaluation.is_reachable(index);
                PeerReport {
                    id,
                    state: judgement.state,
                    reason: judgement.reason,
                    since: judgement.since,
                    profile: member.profile().cloned().unwrap_or_default(),
                    certificate_lapses_s: member
                        .certificate()
                        .map_or(0, |it| self.config.authorities.lapses_s(it)),
                    reachable,
                    heartbeat: record
                        .as_ref()
                        .and_then(|r| Some((r.version(), heartbeat(r)?.clone()))),
                    connected: self.connected.contains(&id),
                    rtt: self.rtt_to(member, reachable, &own, now),
                    clock_ahead_ms: self.clocks.ahead_ms(&id, now.time),
                }
            })
            .collect()
    }

    /// Why a peer has its state; `None` for a peer that is not in the roster.
    pub fn why(&self, peer: &PeerId) -> Option<WhyReport> {
        let index = self.roster.index_of(peer)?;
        let member = self.roster.member(index)?;
        let judgement = self.evaluation.judgement(&self.roster, index)?;
        let observers: Vec<ObserverReport> = judgement
            .seats
            .iter()
            .filter_map(|seat| {
                let observer = self.roster.member(seat.observer)?;
                let edge = self.roster.edge_to(seat.observer, index);
                Some(ObserverReport {
                    observer: observer.id(),
                    ring: seat.ring,
                    passed_over: seat.passed_over,
                    status: edge.map(|edge| edge.status),
                    since: edge.map(|edge| edge.since),
                    evidence: edge.and_then(|edge| edge.evidence),
                    flaps: edge.map_or(0, |edge| edge.flaps),
                    poor: edge.is_some_and(|edge| edge.poor),
                    set_aside: judgement.set_aside.contains(&seat.observer),
                })
            })
            .collect();
        Some(WhyReport {
            id: *peer,
            state: judgement.state,
            reason: judgement.reason,
            reachable: self.evaluation.is_reachable(index),
            last_word: member.last_word(),
            passed_over: observers.iter().map(|observer| usize::from(observer.passed_over)).sum(),
            observers,
        })
    }

    /// Every published edge, by observer and subject.
    pub fn edges(&self, now: Now) -> Vec<EdgeReport> {
        let own: BTreeMap<PeerId, EdgeFigures> = self.own_figures().collect();
        let judgements = self.evaluation.judgements(&self.roster);
        let mut edges = Vec::new();
        for (index, observer) in (0..).zip(self.roster.members()) {
            let record = self.heartbeat_of(&observer.id(), now);
            for (subject_index, edge) in self.roster.edges(index) {
                let Some(subject) = self.roster.member(subject_index) else { continue };
                let seats = judgements.get(subject_index as usize).map(|j| j.seats.as_slice());
                let figures = if observer.id() == self.me() {
                    own.get(&subject.id()).copied()
                } else {
                    record
                        .as_deref()
                        .and_then(heartbeat)
                        .and_then(|h| latency::edge_figures(h, &subject.id()))
                };
                let works = matches!(edge.status, EdgeStatus::Heard | EdgeStatus::Checking);
                edges.push(EdgeReport {
                    observer: observer.id(),
                    subject: subject.id(),
                    edge: edge.clone(),
                    assigned: seats.is_some_and(|seats| seats.iter().any(|s| s.observer == index)),
                    one_way: health::one_way(observer.id(), edge, subject),
                    figures: figures.filter(|_| works),
                });
            }
        }
        edges
    }

    /// The state of one peer; `None` for a peer that is not in the roster.
    pub fn state_of(&self, peer: &PeerId) -> Option<PeerState> {
        self.evaluation.state(self.roster.index_of(peer)?).map(|(state, _)| state)
    }

    /// All states, parallel to the roster.
    pub const fn evaluation(&self) -> &Evaluation {
        &self.evaluation
    }

    /// All members.
    pub const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The two sides of a cut, if there is one.
    pub fn partition(&self) -> Option<Partition> {
        health::partition(&self.roster, &self.evaluation)
    }

    /// What is wrong, the worst first: what all peers of the component name, then what this one alone sees.
    pub fn findings(&self, now: Now) -> Vec<Finding> {
        let shards = self.all_shard_findings(now);
        let mut findings = health::findings(&self.roster, &self.evaluation, &shards);
        findings.extend(self.clock_findings(now));
        if self.clone_seen.is_some_and(|seen| now.time.since(seen) < super::accept::CLONE_REMINDER)
        {
            let evidence = String::from("another process publishes with this peer's identity");
            findings.push(alone(HealthCode::IdentityCloned, Severity::High, self.me(), evidence));
        }
        findings
    }

    /// Wrong clocks. While the own one is wrong, records that lie in its future are no other peer's fault.
    fn clock_findings(&self, now: Now) -> Vec<Finding> {
        let skew = |peer, evidence| alone(HealthCode::ClockSkew, Severity::Medium, peer, evidence);
        let Verdict { own, others } = self.clocks.verdict(now.time);
        let mut findings = Vec::new();
        if let Some(OwnClock { ahead_ms, neighbours }) = own {
            let evidence = format!(
                "this peer's clock is {} those of {neighbours} neighbours, which agree",
                clock_offset(ahead_ms)
            );
            findings.push(skew(self.me(), evidence));
        }
        let right_ms = own.map_or(0, |own| own.ahead_ms);
        for (peer, ahead_ms) in &others {
            let offset = clock_offset(ahead_ms.saturating_add(right_ms));
            let of = if own.is_some() { "those of most neighbours" } else { "this peer's" };
            findings.push(skew(*peer, format!("its clock is {offset} {of}")));
        }
        let by_record = self.skewed.iter().filter(|_| own.is_none());
        for peer in by_record.filter(|peer| others.iter().all(|(other, _)| other != *peer)) {
            let evidence = "its records are dated more than a minute ahead of the clock here";
            findings.push(skew(*peer, String::from(evidence)));
        }
        findings
    }

    /// Estimated round trip between two peers, in microseconds: what one of them measures to the other, else from coordinates; `None` if there is neither.
    pub fn estimate_us(&self, a: &PeerId, b: &PeerId, now: Now) -> Option<u32> {
        let (of_a, of_b) = (self.heartbeat_of(a, now)?, self.heartbeat_of(b, now)?);
        let (of_a, of_b) = (heartbeat(&of_a)?, heartbeat(&of_b)?);
        let measured = latency::edge_figures(of_b, a).or_else(|| latency::edge_figures(of_a, b));
        measured.map(|figures| figures.rtt_p50_us).or_else(|| latency::estimate_us(of_a, of_b))
    }

    /// Refusals, drops and traffic by reason, since the start.
    pub const fn counters(&self) -> &BTreeMap<&'static str, u64> {
        &self.counters
    }

    /// Peers that are connected now, by rising id.
    pub fn connected(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.connected.iter().copied()
    }

    /// A record of the view, if it is valid now.
    pub fn record(&self, origin: PeerId, kind: Kind, now: Now) -> Option<Arc<Record>> {
        self.view.get(origin, kind, now.wall_s())
    }

    fn heartbeat_of(&self, peer: &PeerId, now: Now) -> Option<Arc<Record>> {
        self.view.get(*peer, Kind::HEARTBEAT, now.wall_s())
    }

    fn own_figures(&self) -> impl Iterator<Item = (PeerId, EdgeFigures)> {
        let stats = self.membership.edge_stats();
        stats.filter_map(|(peer, stats)| Some((peer, latency::own_figures(stats)?)))
    }

    fn rtt_to(
        &self,
        member: &Member,
        reachable: bool,
        own: &BTreeMap<PeerId, EdgeFigures>,
        now: Now,
    ) -> Option<Rtt> {
        if !reachable || member.id() == self.me() {
            return None;
        }
        if let Some(figures) = own.get(&member.id()) {
            return Some(Rtt { micros: figures.rtt_p50_us, estimated: false });
        }
        let micros = self.estimate_us(&self.me(), &member.id(), now)?;
        Some(Rtt { micros, estimated: true })
    }
}

/// A finding that this peer alone sees.
const fn alone(code: HealthCode, severity: Severity, peer: PeerId, evidence: String) -> Finding {
    Finding { code, severity, peer: Some(peer), other: None, evidence, because_of: None }
}

/// An offset in milliseconds as words, to be followed by whose clock it is compared with.
fn clock_offset(ahead_ms: i64) -> String {
    let side = if ahead_ms < 0 { "behind" } else { "ahead of" };
    format!("{} s {side}", ahead_ms.unsigned_abs().saturating_add(500) / 1_000)
}
