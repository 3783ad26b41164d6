//! Events: to the log, to the list, and to who follows it.

use std::time::Duration;

use plexmesh_net::RefusedBy;
use plexmesh_proto::event::Event;
use plexmesh_proto::record::Replacement;
use plexmesh_proto::report::{HealthCode, Severity};
use plexmesh_proto::types::PeerId;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::api::health;
use crate::api::schema::{EdgeStatus, RevocationCause, State};
use crate::events::{EventEntry, EventLog};
use crate::identity::short_id;
use crate::query::AgentNode;
use crate::text::hex;

/// Between two log lines on refused connections: a stranger who keeps knocking must not fill the
/// disk.
const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Keeps and tells events.
#[derive(Debug)]
pub(super) struct Journal {
    log: EventLog,
    followers: broadcast::Sender<EventEntry>,
    refusal_logged_at: Option<Instant>,
    unlogged_refusals: u64,
}

impl Journal {
    pub(super) fn new(followers: broadcast::Sender<EventEntry>) -> Self {
        Self { log: EventLog::default(), followers, refusal_logged_at: None, unlogged_refusals: 0 }
    }

    pub(super) const fn log(&self) -> &EventLog {
        &self.log
    }

    /// Takes an event in. `node` knows the names of peers.
    pub(super) fn note(&mut self, at_ms: u64, event: Event, node: &AgentNode) {
        log_event(&event, &|peer| called(peer, node));
        let entry = self.log.push(at_ms, event);
        // Nobody following is the usual case.
        let _ = self.followers.send(entry);
    }

    /// Logs a connection that ended at admission, but not each of a flood.
    pub(super) fn refused(&mut self, peer: &str, by: RefusedBy, reason: &str) {
        let now = Instant::now();
        if self.refusal_logged_at.is_some_and(|at| now < at + REFUSAL_LOG_INTERVAL) {
            self.unlogged_refusals += 1;
            return;
        }
        self.refusal_logged_at = Some(now);
        let others = std::mem::take(&mut self.unlogged_refusals);
        tracing::info!(peer, %by, reason, others_unlogged = others, "connection refused");
    }
}

/// A peer in a log line: its name, if it has one, and its short id.
fn called(peer: &PeerId, node: &AgentNode) -> String {
    let profile = node.roster().find(peer).and_then(|member| member.profile());
    let name = profile.map(|profile| profile.name.as_str()).unwrap_or_default();
    clean(name, peer)
}

/// A name comes from its peer: what would break the line out of its form is left out.
fn clean(name: &str, peer: &PeerId) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    match name.as_str() {
        "" => short_id(peer),
        name => format!("{name} ({})", short_id(peer)),
    }
}

fn log_event(event: &Event, called: &dyn Fn(&PeerId) -> String) {
    match event {
        Event::PeerJoined { peer, .. } => tracing::info!(peer = called(peer), "peer joined"),
        Event::PeerStateChanged { peer, from, to } => {
            let from = from.map_or("new", |state| State::from(state).word());
            let to = State::from(*to).word();
            tracing::info!(peer = called(peer), from, to, "peer state changed");
        }
        Event::EdgeChanged { subject, status } => {
            let status = EdgeStatus::from(*status).word();
            tracing::info!(subject = called(subject), status, "edge changed");
        }
        Event::Equivocation { peer } => {
            tracing::warn!(
                peer = called(peer),
                "peer contradicts itself: two records of one \
                version. Is its data directory in use twice?"
            );
        }
        Event::ClockSkew { peer, ahead_ms } => {
            tracing::warn!(
                peer = called(peer),
                ahead_ms,
                "a clock is wrong. Check NTP on the peer's host, and here"
            );
        }
        Event::IdentityCloned => {
            tracing::warn!("another process uses this peer's identity. Stop one of the two");
        }
        Event::PartitionChanged { inside, outside: 0 } => {
            tracing::warn!(inside, "the partition is over");
        }
        Event::PartitionChanged { inside, outside } => {
            tracing::warn!(
                inside,
                outside,
                "members are out of reach together: a partition, or a \
                common failure"
            );
        }
        Event::ConvergenceChanged { converged, digest } => {
            tracing::debug!(converged, %digest, "agreement with neighbours changed");
        }
        Event::ShardsChanged { peer, kind, before, count } => {
            let code = health::text(HealthCode::Shards(*kind)).name;
            if *count > *before && kind.severity() >= Severity::High {
                tracing::warn!(peer = called(peer), code, before, count, "shards are not well");
            } else {
                tracing::info!(peer = called(peer), code, before, count, "a finding changed");
            }
        }
        Event::LocalHealthChanged { score } => {
            tracing::info!(score, "doubt of this peer in itself changed");
        }
        Event::MembershipEnded { peer, name, cause, by } => {
            let peer = if name.is_empty() { called(peer) } else { clean(name, peer) };
            let cause = RevocationCause::from(*cause).word();
            tracing::info!(peer, cause, by = called(by), "a membership was ended");
        }
        Event::AuthorityReplaced { replacement } => log_replacement(replacement),
        Event::TokenOverused { peer, token } => {
            tracing::warn!(
                peer = called(peer), %token,
                "a token was used on both sides of a cut: who came later is barred"
            );
        }
        other => tracing::info!(event = ?other, "event"),
    }
}

fn log_replacement(replacement: &Replacement) {
    let Replacement { lost, new, until_s, stolen } = replacement;
    let (lost, new) = (hex(&lost.0), hex(&new.0));
    tracing::warn!(lost, new, stolen, until_s, "an authority key was replaced");
}
