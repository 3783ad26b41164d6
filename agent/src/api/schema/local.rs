//! Documents that the command line makes itself, without an agent's view behind them.

use serde::{Deserialize, Serialize};

use crate::time::WallTime;

/// A mesh that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MadeMesh {
    /// Id of the mesh, in hexadecimal.
    pub mesh: String,
    /// Its first member.
    pub peer: String,
    /// That member's data directory.
    pub data_dir: String,
    /// When its certificate lapses.
    pub certificate_lapses_at: WallTime,
    /// The files of those who can let others in.
    pub authority_files: Vec<String>,
}

/// What was waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waited {
    /// The condition that holds now.
    pub condition: String,
    /// How long that took.
    pub waited_seconds: f64,
}

/// Why a peer left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The reason; empty if none was given.
    pub reason: String,
}

/// A text that another program reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Which program: a shell, or `man`.
    pub program: String,
    /// The text.
    pub text: String,
}

/// Files that were written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Their paths.
    pub files: Vec<String>,
}
