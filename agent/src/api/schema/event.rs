//! Events, as they go over the socket.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::edge::EdgeStatus;
use super::membership::RevocationCause;
use super::peer::{PeerRef, State};
use crate::time::WallTime;

/// The body of a list of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventItems {
    /// The oldest first.
    pub items: Vec<Event>,
    /// Events since the start of the agent that it no longer remembers.
    pub forgotten: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Counts up from 1 within one start of the agent.
    pub sequence: u64,
    /// When.
    pub at: WallTime,
    /// In words.
    pub text: String,
    /// In data.
    #[serde(flatten)]
    pub detail: EventDetail,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EventDetail {
    /// A peer appeared.
    PeerJoined {
        /// Who.
        peer: PeerRef,
    },
    /// A peer's state changed.
    PeerStateChanged {
        /// Who.
        peer: PeerRef,
        /// The state before; `null` for a peer that was not judged before.
        from: Option<State>,
        /// The state now.
        to: State,
    },
    /// What this peer sees of a subject changed.
    EdgeChanged {
        /// The subject.
        peer: PeerRef,
        /// The status now.
        status: EdgeStatus,
    },
    /// A peer signed two different bodies under one version.
    Equivocation {
        /// Who.
        peer: PeerRef,
    },
    /// A clock is wrong.
    ClockSkew {
        /// Whose. One of two is wrong where fewer than three were compared.
        peer: PeerRef,
        /// How far ahead of this peer's clock, or of those of the neighbours where it is this
        /// peer's own; negative if behind.
        ahead_seconds: f64,
    },
    /// Another process speaks with this peer's identity.
    IdentityCloned,
    /// The members on the other side of a cut changed in number.
    PartitionChanged {
        /// Members on this side, this peer included.
        inside: usize,
        /// Members on the other side.
        outside: usize,
    },
    /// An admin ended a membership.
    MembershipEnded {
        /// Whose.
        peer: PeerRef,
        /// Why.
        cause: RevocationCause,
        /// The admin.
        by: PeerRef,
    },
    /// An authority key was replaced.
    AuthorityReplaced {
        /// The key, in hexadecimal.
        key: String,
        /// The key in its place.
        replaced_by: String,
        /// Whether somebody else may have it.
        stolen: bool,
        /// From when on its certificates count no more.
        ends_at: WallTime,
    },
    /// A token was used on both sides of a cut; who came later is barred.
    TokenOverused {
        /// Who is barred.
        peer: PeerRef,
        /// The token's id.
        token: String,
    },
    /// The view began or ceased to equal those of all neighbours.
    ConvergenceChanged {
        /// Whether all neighbours agree.
        converged: bool,
        /// The own state digest.
        state_digest: String,
    },
    /// How many shards of a peer something is wrong with changed.
    ShardsChanged {
        /// The peer that holds them, or should.
        peer: PeerRef,
        /// The health code.
        code: String,
        /// How many it concerned before.
        before: u32,
        /// How many it concerns now; 0 says that it is over.
        count: u32,
    },
    /// This peer trusts itself less, or more.
    LocalHealthChanged {
        /// 0 is healthy.
        score: u8,
    },
    /// Events were forgotten before they could be sent.
    Missed {
        /// How many.
        count: u64,
    },
    /// An event of a kind that this version has no words for.
    Other,
}
