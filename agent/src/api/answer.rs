//! What each route says, computed from one consistent moment of the agent.

use plexmesh_net::peer_id_text;
use plexmesh_proto::report::{Convergence, Overview};
use plexmesh_proto::types::{PeerId, Version};

use super::schema::{self, Envelope, HeartbeatLag, Kind, PeerRef, Stamp};
use crate::query::{AgentNode, Snapshot};
use crate::time::WallTime;

mod events;
mod figures;
mod integrity;
mod latency;
mod metrics;
mod peers;
mod scrub;
mod status;
mod topology;
mod why;

pub use events::{events_after, missed};
pub use figures::figures;
pub use integrity::integrity;
pub use latency::{MAX_MATRIX_PEERS, Matrix, estimate_rows, matrix};
pub use metrics::{Gathered, Shards, metrics};
pub use peers::{peer, peers};
pub use scrub::{MAX_SHARDS_LISTED, backups, scrub, shards};
pub use status::{is_settled, status};
pub use topology::topology;
pub use why::why;

/// Puts `body` into the envelope of this moment.
#[must_use]
pub fn envelope<B>(moment: &Snapshot<'_>, kind: Kind, body: B) -> Envelope<B> {
    Envelope::new(kind, stamp(moment), body)
}

/// Whose view this moment shows, and how good it is.
#[must_use]
pub fn stamp(moment: &Snapshot<'_>) -> Stamp {
    let overview = moment.node.overview(moment.now);
    let me = refer(moment.node, &overview.me);
    Stamp {
        observed_by: Some(me.id),
        observed_by_name: me.name,
        observed_at: WallTime::from_ms(moment.now.wall_ms),
        state_digest: Some(overview.digest.to_string()),
        converged: Some(is_converged(&overview)),
        convergence: Some(schema::Convergence {
            neighbours_asked: overview.convergence.asked,
            neighbours_equal: overview.convergence.equal,
        }),
        heartbeat_lag: Some(HeartbeatLag {
            missing: overview.lag.missing,
            oldest_seconds: overview.lag.oldest_ms.map(seconds),
            interval_seconds: seconds(overview.lag.interval_ms),
        }),
    }
}

/// All peers by id and name, in the order of the roster: what names are looked up in.
#[must_use]
pub fn directory(moment: &Snapshot<'_>) -> Vec<(PeerId, PeerRef)> {
    let members = moment.node.roster().members();
    members.iter().map(|member| (member.id(), refer(moment.node, &member.id()))).collect()
}

/// Whether the view may be called converged: neighbours agree, and there are some if there are
/// others.
fn is_converged(overview: &Overview) -> bool {
    let Convergence { asked, .. } = overview.convergence;
    overview.convergence.is_converged() && (asked > 0 || members(overview) == 1)
}

/// Peers that did not leave.
fn members(overview: &Overview) -> usize {
    use plexmesh_proto::membership::state::PeerState;
    let counts = overview.states.iter();
    counts.filter(|(state, _)| **state != PeerState::Left).map(|(_, count)| count).sum()
}

pub(super) fn refer(node: &AgentNode, peer: &PeerId) -> PeerRef {
    let name = node
        .roster()
        .find(peer)
        .and_then(|member| member.profile())
        .and_then(|profile| filled(&profile.name));
    PeerRef { id: peer_id_text(&peer.0), name }
}

/// A label; `None` if it was not given.
pub(super) fn filled(label: &str) -> Option<String> {
    (!label.is_empty()).then(|| label.to_owned())
}

pub(super) fn time_of(version: Version) -> WallTime {
    WallTime::from_ms(version.ms())
}

/// Milliseconds as JSON has spans.
#[allow(clippy::cast_precision_loss)] // Exact up to 285 000 years.
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

/// The same of a difference, with its sign.
#[allow(clippy::cast_precision_loss)] // Exact up to 285 000 years.
fn signed_seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

fn percent(permille: u32) -> f64 {
    f64::from(permille) / 10.0
}
