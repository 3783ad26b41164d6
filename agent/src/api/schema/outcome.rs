//! The short answers, as they go over the socket, and what verbs print that make or change
//! something.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::WallTime;

/// Whether the agent lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Liveness {
    /// Always `true`: an agent that does not live does not answer.
    pub alive: bool,
}

/// Whether the agent has found its mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Always `true`: an agent that has not found its mesh answers with an error.
    pub ready: bool,
}

/// The body of a request to leave, and the item of its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Leave {
    /// Why, as others see it: 256 bytes at most.
    #[serde(default)]
    pub reason: String,
}

/// A mesh that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeMesh {
    /// Its id, in hexadecimal.
    pub mesh: String,
    /// Id of its first member.
    pub peer: String,
    /// The member's data directory.
    pub data_dir: String,
    /// When the member's certificate lapses.
    pub certificate_lapses_at: WallTime,
    /// Files whose holders can let others in.
    pub authority_files: Vec<String>,
}

/// A peer that was written into a file or read from one, to be moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityTransfer {
    /// Id of the peer.
    pub peer: String,
    /// Its mesh, in hexadecimal.
    pub mesh: String,
    /// The file.
    pub file: String,
    /// The data directory that it comes from, or is in.
    pub data_dir: String,
    /// Whether the mesh's secret is among it.
    pub secret_included: bool,
    /// Whether the peer's clock is among it; without it the peer learns it from its neighbours.
    pub clock_included: bool,
    /// Whether the data directory was marked, so that no agent runs with it any more. Never at an
    /// import.
    pub marked_as_moved: bool,
    /// Files with authority keys that lie in the old data directory and are not in the file.
    pub authority_files: Vec<String>,
}

/// What was waited for has come about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waited {
    /// What was waited for, as it was typed.
    pub condition: String,
    /// How long it took.
    pub waited_seconds: f64,
}

/// A text that another program reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Script {
    /// Which program: a shell, or `man`.
    pub program: String,
    /// The text.
    pub text: String,
}

/// Files that were written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Written {
    /// Their paths.
    pub files: Vec<String>,
}
