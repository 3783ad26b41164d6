//! Why a peer has its state, as it goes over the socket.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::edge::{EdgeStatus, Evidence};
use super::peer::{PeerRef, Reason, State};
use crate::time::WallTime;

/// Why a peer has its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// Who.
    #[serde(flatten)]
    pub peer: PeerRef,
    /// Its state.
    pub state: State,
    /// The rule that gave it.
    pub reason: Reason,
    /// The rule in words.
    pub rule: String,
    /// Whether a chain of heard links leads to it.
    pub reachable: bool,
    /// The last sign of life that all peers agree on.
    pub last_word_at: WallTime,
    /// The count behind the rule.
    pub quorum: Quorum,
    /// What each observer with a duty towards it says.
    pub observers: Vec<Observer>,
    /// Observers with a nearer seat that are out of reach: their word does not count now.
    pub passed_over: usize,
}

/// How many observers say what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quorum {
    /// Observers that lost the peer.
    pub lost: usize,
    /// Observers that have, or had, a path to it.
    pub able: usize,
    /// Losses that it takes to be down; more than half of those able must agree as well.
    pub needed: usize,
}

/// One observer's word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observer {
    /// Who.
    #[serde(flatten)]
    pub peer: PeerRef,
    /// The ring that gives it the duty, 0 to 4.
    pub ring: u8,
    /// Nearer predecessors that are out of reach or have no path.
    pub passed_over: u16,
    /// What it published; `null` if it has not reported.
    pub status: Option<EdgeStatus>,
    /// When that began.
    pub since: Option<WallTime>,
    /// What it rests on; `null` while heard.
    pub evidence: Option<Evidence>,
    /// Losses within the flap window.
    pub flaps: u32,
    /// It hears the peer, but many answers have been missing or a second late for a while.
    pub poor: bool,
    /// Its word does not count: it misses more of its subjects than it hears, and another observer
    /// hears this one.
    pub set_aside: bool,
}
