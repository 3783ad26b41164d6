//! Shards of all peers, as it goes over the socket: how many, never which.

use std::collections::BTreeMap;

use plexmesh_proto::integrity::Verdict as ProtoVerdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::peer::{PeerRef, State};
use super::status::{Health, Severity};
use crate::api::json_schema::MapBy;
use crate::time::WallTime;

/// What an agent thinks of a shard.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Its bytes are those that are expected.
    Ok,
    /// It has another length than is expected.
    Truncated,
    /// Its bytes are others than are expected.
    Corrupt,
    /// It is recorded, and there is no file.
    Missing,
    /// It was here, and both file and record are gone.
    Vanished,
    /// One of many that vanished at once.
    Evicted,
    /// File and record changed together.
    Replaced,
    /// It was rewritten, and no record says to what.
    Modified,
    /// A file without a record.
    Orphan,
    /// It cannot be read.
    Unreadable,
    /// It has not been verified within its deadline.
    Unverified,
    /// Replicas differ, and nobody can say which is right.
    Disputed,
}

impl Verdict {
    /// All.
    pub const ALL: [Self; 12] = [
        Self::Ok,
        Self::Truncated,
        Self::Corrupt,
        Self::Missing,
        Self::Vanished,
        Self::Evicted,
        Self::Replaced,
        Self::Modified,
        Self::Orphan,
        Self::Unreadable,
        Self::Unverified,
        Self::Disputed,
    ];

    /// The verdict with this word; `None` if there is none.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.word() == word)
    }

    /// The verdict as JSON, flags and tables name it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Truncated => "truncated",
            Self::Corrupt => "corrupt",
            Self::Missing => "missing",
            Self::Vanished => "vanished",
            Self::Evicted => "evicted",
            Self::Replaced => "replaced",
            Self::Modified => "modified",
            Self::Orphan => "orphan",
            Self::Unreadable => "unreadable",
            Self::Unverified => "unverified",
            Self::Disputed => "disputed",
        }
    }
}

impl From<ProtoVerdict> for Verdict {
    fn from(verdict: ProtoVerdict) -> Self {
        match verdict {
            ProtoVerdict::Ok => Self::Ok,
            ProtoVerdict::Truncated => Self::Truncated,
            ProtoVerdict::Corrupt => Self::Corrupt,
            ProtoVerdict::Missing => Self::Missing,
            ProtoVerdict::Vanished => Self::Vanished,
            ProtoVerdict::Evicted => Self::Evicted,
            ProtoVerdict::Replaced => Self::Replaced,
            ProtoVerdict::Modified => Self::Modified,
            ProtoVerdict::Orphan => Self::Orphan,
            ProtoVerdict::Unreadable => Self::Unreadable,
            ProtoVerdict::Unverified => Self::Unverified,
            ProtoVerdict::Disputed => Self::Disputed,
        }
    }
}

/// Shards by verdict; every verdict has a key.
pub type Verdicts = BTreeMap<Verdict, u64>;

/// The shards of all peers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Integrity {
    /// The one word: `OK` if every shard of every member is known to be ok.
    pub status: Health,
    /// Why, in one sentence.
    pub summary: String,
    /// Shards of all peers that told; a shard counts once on each peer that holds it.
    pub shards: u64,
    /// The same by verdict.
    #[schemars(with = "MapBy<Verdict, u64>")]
    pub verdicts: Verdicts,
    /// Shards that were not read yet and are not past their deadline.
    pub pending_shards: u64,
    /// Age of the oldest verification of all; `null` if none is known.
    pub oldest_verification_seconds: Option<u64>,
    /// Members that say nothing of shards: they look at none, or were not heard of yet.
    pub silent_peers: usize,
    /// Peer by peer.
    pub peers: Vec<PeerIntegrity>,
}

/// The shards of one peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerIntegrity {
    /// Who.
    #[serde(flatten)]
    pub peer: PeerRef,
    /// What the mesh thinks of it; a peer that is down keeps what it said last.
    pub state: State,
    /// Directories that it looks at; `null` if it does not say.
    pub sources: Option<u32>,
    /// Shards that it holds, or should; `null` if it does not say.
    pub shards: Option<u64>,
    /// The same by verdict; `null` if it does not say.
    #[schemars(with = "Option<MapBy<Verdict, u64>>")]
    pub verdicts: Option<Verdicts>,
    /// Shards that were not read yet and are not past their deadline; `null` if it does not say.
    pub pending_shards: Option<u64>,
    /// Age of its oldest verification; `null` if there is none or it does not say.
    pub oldest_verification_seconds: Option<u64>,
    /// When it summed its shards up; `null` if it does not say. Findings are told at once and may be
    /// younger.
    pub as_of: Option<WallTime>,
    /// Why figures are `null`; else `null`.
    pub unknown_because: Option<String>,
    /// What is wrong.
    pub findings: Vec<ShardFinding>,
}

/// Something that is wrong with shards of a peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShardFinding {
    /// The health code.
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// How many shards, or directories, it concerns.
    pub count: u32,
    /// When it began.
    pub since: WallTime,
}
