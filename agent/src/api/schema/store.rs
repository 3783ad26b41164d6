//! The databases of an agent that does not run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One database of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// Which it is.
    pub name: DatabaseName,
    /// Its directory.
    pub path: String,
    /// Whether all that it held can be read; also if there is none.
    pub sound: bool,
    /// Why it does not open; `null` if it does, or there is none.
    pub fault: Option<String>,
    /// Entries that can be read; `null` if there is none, or it does not open.
    pub entries: Option<u64>,
    /// Entries of which a bit is not as it was written; `null` as above.
    pub damaged_entries: Option<u64>,
    /// Whether all entries could be listed; if not, more are lost than are counted. `null` as above.
    pub listed_whole: Option<bool>,
    /// Bytes of all keys and values; `null` as above.
    pub live_bytes: Option<u64>,
    /// Bytes of its file; `null` if there is none.
    pub file_bytes: Option<u64>,
    /// Bytes of its file before; `null` if nothing was written anew.
    pub file_bytes_before: Option<u64>,
    /// Where the old one was moved with what cannot be read; `null` if nothing was.
    pub set_aside: Option<String>,
    /// Where what is lost comes from.
    pub refilled_by: String,
}

/// The databases of an agent, by the names of their directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseName {
    /// The last view, and the own clock.
    Store,
    /// What is remembered of shards.
    Inventory,
}

impl DatabaseName {
    /// The name as documents have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Inventory => "inventory",
        }
    }
}
