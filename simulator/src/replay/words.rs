//! Events and records in words. Peers are called by their index.

use plexmesh_proto::Event;
use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::record::{EdgeStatus, Links, Payload, Record};
use plexmesh_proto::types::PeerId;

use crate::world::World;

/// Peers that a line names before it counts the rest.
const NAMED: usize = 6;

/// A state.
#[must_use]
pub const fn of_state(state: PeerState) -> &'static str {
    match state {
        PeerState::Up => "up",
        PeerState::Suspect => "suspect",
        PeerState::Flapping => "flapping",
        PeerState::Asleep => "asleep",
        PeerState::Unreachable => "unreachable",
        PeerState::Down => "down",
        PeerState::Left => "left",
    }
}

/// The status of an edge.
#[must_use]
pub const fn of_status(status: EdgeStatus) -> &'static str {
    match status {
        EdgeStatus::Heard => "heard",
        EdgeStatus::Checking => "checking",
        EdgeStatus::Lost => "lost",
        EdgeStatus::NoPath => "no path",
    }
}

/// The short name of a record.
#[must_use]
pub fn id(record: &Record) -> String {
    record.hash().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// A peer by its index.
#[must_use]
pub fn peer(world: &World, peer: &PeerId) -> String {
    world.host_of(peer).map_or_else(|| "a stranger".to_owned(), |host| format!("peer {host}"))
}

/// An event of a node.
#[must_use]
pub fn of_event(world: &World, event: &Event) -> String {
    let named = |id: &PeerId| peer(world, id);
    match event {
        Event::PeerJoined { peer, .. } => format!("{} appeared", named(peer)),
        Event::PeerStateChanged { peer, from: Some(from), to } => {
            format!("{} is {} (was {})", named(peer), of_state(*to), of_state(*from))
        }
        Event::PeerStateChanged { peer, from: None, to } => {
            format!("{} is {}", named(peer), of_state(*to))
        }
        Event::EdgeChanged { subject, status } => {
            format!("the edge to {} is {}", named(subject), of_status(*status))
        }
        Event::Equivocation { peer } => format!("{} contradicts itself", named(peer)),
        Event::ClockSkew { peer, ahead_ms } => {
            format!("the clock of {} is {ahead_ms} ms ahead", named(peer))
        }
        Event::IdentityCloned => "somebody else speaks with its identity".to_owned(),
        Event::PartitionChanged { inside, outside } => {
            format!("{inside} peers on its side of a cut, {outside} on the other")
        }
        Event::ConvergenceChanged { converged: true, .. } => "agrees with its neighbours".into(),
        Event::ConvergenceChanged { .. } => "no longer agrees with all neighbours".to_owned(),
        Event::ShardsChanged { peer, kind, count, .. } => {
            format!("of {}, {}", named(peer), kind.in_words(*count))
        }
        Event::LocalHealthChanged { score } => format!("its doubt in itself is {score}"),
        other => format!("{other:?}"),
    }
}

/// What a record says.
#[must_use]
pub fn of_record(world: &World, record: &Record) -> String {
    match record.payload() {
        Payload::Peer(..) => "Peer".to_owned(),
        Payload::Links(links) => format!("Links: {}", of_links(world, links)),
        Payload::Heartbeat(_) => "Heartbeat".to_owned(),
        Payload::Leave { .. } => "Leave".to_owned(),
        Payload::Finding(finding) => format!("Finding: {}", finding.kind.in_words(finding.count)),
        Payload::Invite(invite) => format!("Invite: {} uses", invite.uses),
        Payload::Enrolment(enrolment) => {
            format!("Enrolment: {}", peer(world, &enrolment.peer))
        }
        Payload::Revocation(revocation) => {
            format!("Revocation: {}", peer(world, &revocation.peer))
        }
        Payload::KeyEpoch(epoch) => {
            format!("KeyEpoch {}: {}", epoch.epoch, peer(world, &epoch.recipient))
        }
        Payload::Authorities(word) => {
            format!("Authorities: {} replaced", word.changes.len())
        }
        Payload::Unknown(kind, _) => format!("kind {}", kind.0),
    }
}

fn of_links(world: &World, links: &Links) -> String {
    let with = |status| links.edges.iter().filter(move |edge| edge.status == status);
    let mut parts = vec![format!("hears {}", with(EdgeStatus::Heard).count())];
    for status in [EdgeStatus::Checking, EdgeStatus::Lost, EdgeStatus::NoPath] {
        let mut hosts: Vec<usize> =
            with(status).filter_map(|edge| world.host_of(&edge.subject)).collect();
        hosts.sort_unstable();
        if !hosts.is_empty() {
            parts.push(format!("{} {}", of_status(status), hosts_text(&hosts)));
        }
    }
    parts.join("; ")
}

/// Some hosts, the first few by number.
#[must_use]
pub fn hosts_text(hosts: &[usize]) -> String {
    let named: Vec<String> = hosts.iter().take(NAMED).map(usize::to_string).collect();
    let rest = match hosts.len().saturating_sub(NAMED) {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    format!("{}{rest}", named.join(", "))
}
