//! What a node tells its driver about itself, for logs and for the event list.

use alloc::string::String;

use crate::admission::token::TokenId;
use crate::integrity::FindingKind;
use crate::membership::state::PeerState;
use crate::record::{EdgeStatus, Replacement, RevocationCause};
use crate::types::{PeerId, StateDigest};

/// Something that happened in a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer appeared in the roster.
    PeerJoined {
        /// Who.
        peer: PeerId,
        /// Its name; may be empty.
        name: String,
    },
    /// A peer's state, as this node evaluates it, changed.
    PeerStateChanged {
        /// Who.
        peer: PeerId,
        /// The state before; `None` for a peer that was not evaluated before.
        from: Option<PeerState>,
        /// The state now.
        to: PeerState,
    },
    /// The status of an edge that this node observes changed.
    EdgeChanged {
        /// The observed peer.
        subject: PeerId,
        /// The status now.
        status: EdgeStatus,
    },
    /// Two bodies under one version: an origin contradicts itself.
    Equivocation {
        /// The origin.
        peer: PeerId,
    },
    /// A clock is wrong: a neighbour's by comparison, the own one if most neighbours agree against it, or that of the origin of a record from the far future.
    ClockSkew {
        /// Whose; one of two is wrong where fewer than three were compared.
        peer: PeerId,
        /// How far ahead of this peer's clock, in milliseconds, negative if behind; of the neighbours' clocks where it is this peer's own.
        ahead_ms: i64,
    },
    /// Another process speaks with this peer's identity.
    IdentityCloned,
    /// The members outside of this peer's component changed in number.
    PartitionChanged {
        /// Members in the own component, this peer included.
        inside: usize,
        /// Members outside of it.
        outside: usize,
    },
    /// How many shards of a peer a finding concerns changed.
    ShardsChanged {
        /// The peer that holds them, or should.
        peer: PeerId,
        /// What is wrong with them.
        kind: FindingKind,
        /// How many it concerned before.
        before: u32,
        /// How many it concerns now; 0 says that it is over.
        count: u32,
    },
    /// An admin ended a membership.
    MembershipEnded {
        /// Whose.
        peer: PeerId,
        /// What it was called; may be empty.
        name: String,
        /// Why.
        cause: RevocationCause,
        /// The admin.
        by: PeerId,
    },
    /// An authority key was replaced by another one.
    AuthorityReplaced {
        /// Which by which.
        replacement: Replacement,
    },
    /// A token was used on both sides of a cut; who came later is barred.
    TokenOverused {
        /// Who is barred.
        peer: PeerId,
        /// The token.
        token: TokenId,
    },
    /// The own state digest equals those of all neighbours, or no longer does.
    ConvergenceChanged {
        /// Whether all neighbours agree.
        converged: bool,
        /// The own digest.
        digest: StateDigest,
    },
    /// This node was late or lost many subjects at once and trusts itself less; or trusts itself again.
    LocalHealthChanged {
        /// 0 is healthy; each step asks for as much evidence again.
        score: u8,
    },
}
