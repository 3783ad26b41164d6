//! What happened.

use plexmesh_proto::event::Event as ProtoEvent;
use plexmesh_proto::report::HealthCode;
use plexmesh_proto::types::PeerId;

use super::{refer, signed_seconds};
use crate::api::health;
use crate::api::schema::{Event, EventDetail, EventItems, PeerRef};
use crate::events::EventEntry;
use crate::query::{AgentNode, Snapshot};
use crate::text::hex;
use crate::time::WallTime;

/// Events after `since`, the oldest first, and of these the latest `limit`.
#[must_use]
pub fn events_after(moment: &Snapshot<'_>, since: u64, limit: usize) -> EventItems {
    let mut items: Vec<Event> = moment
        .events
        .iter()
        .rev()
        .take_while(|entry| entry.sequence > since)
        .take(limit)
        .map(|entry| event(moment.node, entry))
        .collect();
    items.reverse();
    EventItems { items, forgotten: moment.events.forgotten() }
}

/// The event that stands for `count` forgotten ones before `next`.
#[must_use]
pub fn missed(next: &Event, count: u64) -> Event {
    Event {
        sequence: next.sequence.saturating_sub(1),
        at: next.at,
        text: format!("{count} events were forgotten before they could be sent"),
        detail: EventDetail::Missed { count },
    }
}

fn event(node: &AgentNode, entry: &EventEntry) -> Event {
    let detail = detail(node, &entry.event);
    Event {
        sequence: entry.sequence,
        at: WallTime::from_ms(entry.at_ms),
        text: sentence(&detail, &entry.event),
        detail,
    }
}

fn detail(node: &AgentNode, event: &ProtoEvent) -> EventDetail {
    let who = |peer: &PeerId| refer(node, peer);
    match event {
        ProtoEvent::PeerJoined { peer, name } => {
            // The name at that time, not of today.
            let name = super::filled(name);
            EventDetail::PeerJoined { peer: PeerRef { name, ..who(peer) } }
        }
        ProtoEvent::PeerStateChanged { peer, from, to } => EventDetail::PeerStateChanged {
            peer: who(peer),
            from: from.map(Into::into),
            to: (*to).into(),
        },
        ProtoEvent::EdgeChanged { subject, status } => {
            EventDetail::EdgeChanged { peer: who(subject), status: (*status).into() }
        }
        ProtoEvent::Equivocation { peer } => EventDetail::Equivocation { peer: who(peer) },
        ProtoEvent::ClockSkew { peer, ahead_ms } => {
            EventDetail::ClockSkew { peer: who(peer), ahead_seconds: signed_seconds(*ahead_ms) }
        }
        ProtoEvent::IdentityCloned => EventDetail::IdentityCloned,
        ProtoEvent::PartitionChanged { inside, outside } => {
            EventDetail::PartitionChanged { inside: *inside, outside: *outside }
        }
        ProtoEvent::ConvergenceChanged { converged, digest } => EventDetail::ConvergenceChanged {
            converged: *converged,
            state_digest: digest.to_string(),
        },
        ProtoEvent::LocalHealthChanged { score } => {
            EventDetail::LocalHealthChanged { score: *score }
        }
        ProtoEvent::ShardsChanged { peer, kind, before, count } => EventDetail::ShardsChanged {
            peer: who(peer),
            code: health::text(HealthCode::Shards(*kind)).name.to_owned(),
            before: *before,
            count: *count,
        },
        ProtoEvent::MembershipEnded { peer, name, cause, by } => EventDetail::MembershipEnded {
            peer: PeerRef { name: super::filled(name), ..who(peer) },
            cause: (*cause).into(),
            by: who(by),
        },
        ProtoEvent::AuthorityReplaced { replacement } => EventDetail::AuthorityReplaced {
            key: hex(&replacement.lost.0),
            replaced_by: hex(&replacement.new.0),
            stolen: replacement.stolen,
            ends_at: WallTime::from_s(replacement.until_s),
        },
        ProtoEvent::TokenOverused { peer, token } => {
            EventDetail::TokenOverused { peer: who(peer), token: token.to_string() }
        }
        _ => EventDetail::Other,
    }
}

/// As much of a key as tells it from others.
fn beginning(key: &str) -> &str {
    key.get(..16).unwrap_or(key)
}

fn sentence(detail: &EventDetail, event: &ProtoEvent) -> String {
    let label = |peer: &PeerRef| peer.name.clone().unwrap_or_else(|| peer.id.clone());
    match detail {
        EventDetail::PeerJoined { peer } => format!("{} joined", label(peer)),
        EventDetail::PeerStateChanged { peer, from: Some(from), to } => {
            format!("{} went from {} to {}", label(peer), from.word(), to.word())
        }
        EventDetail::PeerStateChanged { peer, from: None, to } => {
            format!("{} is {}", label(peer), to.word())
        }
        EventDetail::EdgeChanged { peer, status } => {
            format!("the link from here to {} is now: {}", label(peer), status.word())
        }
        EventDetail::Equivocation { peer } => {
            format!("{} signed two bodies under one version", label(peer))
        }
        EventDetail::ClockSkew { peer, ahead_seconds } => {
            let side = if *ahead_seconds < 0.0 { "behind" } else { "ahead" };
            format!("the clock of {} is {:.0} s {side}", label(peer), ahead_seconds.abs())
        }
        EventDetail::IdentityCloned => "another agent signs with this peer's key".to_owned(),
        EventDetail::PartitionChanged { outside: 0, .. } => "the cut has healed".to_owned(),
        EventDetail::PartitionChanged { inside, outside } => {
            format!("the mesh is cut: {inside} on this side, {outside} on the other")
        }
        EventDetail::MembershipEnded { peer, cause, by } => {
            format!("{} was {} by {}", label(peer), cause.word(), label(by))
        }
        EventDetail::AuthorityReplaced { key, replaced_by, stolen, ends_at } => {
            let why = if *stolen { "was stolen" } else { "was lost" };
            let (key, by) = (beginning(key), beginning(replaced_by));
            format!(
                "authority key {key} {why}: {by} replaces it, its certificates count until {ends_at}"
            )
        }
        EventDetail::TokenOverused { peer, token } => {
            format!("{} is barred: its token {token} had been used before", label(peer))
        }
        EventDetail::ConvergenceChanged { converged: true, .. } => {
            "all neighbours agree".to_owned()
        }
        EventDetail::ConvergenceChanged { converged: false, .. } => {
            "neighbours have another view".to_owned()
        }
        EventDetail::ShardsChanged { peer, code, count: 0, .. } => {
            format!("{code} of {} is over", label(peer))
        }
        EventDetail::ShardsChanged { peer, code, count, .. } => match event {
            ProtoEvent::ShardsChanged { kind, .. } => {
                format!("of {}, {}", label(peer), kind.in_words(*count))
            }
            _ => format!("{code} of {}: {count}", label(peer)),
        },
        EventDetail::LocalHealthChanged { score: 0 } => "this peer trusts itself again".to_owned(),
        EventDetail::LocalHealthChanged { score } => {
            format!("this peer doubts itself: {score}")
        }
        EventDetail::Missed { count } => format!("{count} events were forgotten"),
        EventDetail::Other => "something of a kind that this version has no words for".to_owned(),
    }
}
