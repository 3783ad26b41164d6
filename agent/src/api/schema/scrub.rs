//! The shards of this peer one by one, and how their scrub gets on. These documents name shards and
//! directories: they stay on this host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::integrity::Verdict;
use super::status::Health;
use crate::sources::SourceKind;
use crate::time::WallTime;

/// Shards of this peer, the worst first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardItems {
    /// The shards that were asked for, or as many of them as were.
    pub items: Vec<Shard>,
    /// How many there are that were asked for.
    pub matching_shards: usize,
}

/// One shard of this peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The directory that it is in, or should be in.
    pub source: String,
    /// What is thought of it; `null` if it was not read yet.
    pub verdict: Option<Verdict>,
    /// Since when; `null` without a verdict.
    pub since: Option<WallTime>,
    /// Length of its file; `null` if there is none.
    pub size_bytes: Option<u64>,
    /// Length by its record; `null` without one.
    pub expected_size_bytes: Option<u64>,
    /// SHA-256 by its record, in hexadecimal; `null` without one, or beside other digests.
    pub expected_sha256: Option<String>,
    /// By which algorithms its record promises digests (`blake3`, `sha256`, `sha512`, `blake2b`); all of
    /// them have to fit. Empty if it promises none.
    #[serde(default)]
    pub expected_algorithms: Vec<String>,
    /// BLAKE3 of its content when that was last found right, in hexadecimal; `null` before.
    pub blake3: Option<String>,
    /// When it was last read to its end; `null` if it was not yet.
    pub verified_at: Option<WallTime>,
}

/// Backups of which pieces are here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupItems {
    /// The backups, or as many of them as were asked for.
    pub items: Vec<Backup>,
    /// How many there are.
    pub matching_backups: usize,
}

/// The pieces of one backup in one directory of this peer. It has others on other peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// Its id.
    pub id: String,
    /// The directory.
    pub source: String,
    /// Pieces that have a file.
    pub present_pieces: usize,
    /// Pieces that are known and have none: they are recorded, or were here.
    pub lacking_pieces: usize,
    /// The highest number of a piece that is known; they are counted from 0.
    pub highest_piece: u32,
    /// Pieces below it of which nothing is here.
    pub absent_pieces: u64,
    /// Their numbers, from and to; the first ones if there are many gaps.
    pub gaps: Vec<PieceRange>,
}

/// Pieces that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PieceRange {
    /// The first.
    pub from: u32,
    /// The last.
    pub to: u32,
}

/// How the scrub of this peer gets on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scrub {
    /// The one word: `OK` if every directory can be looked at and every shard was read in time.
    pub status: Health,
    /// Why, in one sentence.
    pub summary: String,
    /// Within what time every shard is read once.
    pub deadline_seconds: f64,
    /// Shards that are known.
    pub shards: usize,
    /// Shards that were read within the deadline.
    pub read_in_time: usize,
    /// Shards with a file that were never read.
    pub never_read_shards: usize,
    /// When the shard was read that was not for the longest time; `null` before the first reading.
    pub oldest_read_at: Option<WallTime>,
    /// Shards that are to be read now.
    pub due_shards: usize,
    /// Their bytes.
    pub due_bytes: u64,
    /// Bytes a second that are read while something is; `null` before enough was read to say.
    pub read_bytes_per_second: Option<f64>,
    /// When what is to be read now will have been, at that rate; `null` if nobody can say, or while the
    /// scrub stands still.
    pub done_in_seconds: Option<f64>,
    /// Until when nothing is read; `null` if nothing is in the way.
    pub paused_until: Option<WallTime>,
    /// At what time of day shards are read that nobody asks for, in the host's local time, such as
    /// `22:00-06:00`; `null` for always.
    #[serde(default)]
    pub hours: Option<String>,
    /// When those hours begin; `null` if they are now.
    #[serde(default)]
    pub opens_at: Option<WallTime>,
    /// Files read to their end since the agent started.
    pub files_read: u64,
    /// Bytes read since the agent started.
    pub read_bytes: u64,
    /// Changes of what is remembered that are not on disk yet; many of them for long if it cannot be
    /// written.
    #[serde(default)]
    pub unsaved_changes: usize,
    /// The directories.
    pub sources: Vec<ShardSource>,
    /// Shards that a request concerned; `null` in an answer to a question.
    pub chosen_shards: Option<usize>,
}

/// A directory of shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardSource {
    /// The directory.
    pub root: String,
    /// How it is laid out; `auto` while that is not known.
    pub kind: SourceKind,
    /// Where it is, by the configuration; `null` if that does not say.
    #[serde(default)]
    pub region: Option<String>,
    /// What kind of storage it is, by the configuration; `null` if that does not say.
    #[serde(default)]
    pub tier: Option<String>,
    /// Shards that are known of it.
    pub shards: usize,
    /// Entries that were left alone: links, pipes, devices, names that leave the directory.
    pub refused: usize,
    /// Whether the manifest is torn for the moment, and an earlier copy stands in.
    pub stale_manifest: bool,
    /// When it was last looked at with success; `null` before.
    pub looked_at: Option<WallTime>,
    /// Why it cannot be looked at; `null` if it can.
    pub fault: Option<String>,
    /// Since when not; `null` if it can.
    pub fault_since: Option<WallTime>,
}

/// What the scrub is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScrubRequest {
    /// What to do.
    #[serde(default)]
    pub action: ScrubAction,
    /// Ids of the shards that it concerns; all if there is none.
    #[serde(default)]
    pub shards: Vec<String>,
    /// Only shards with one of these verdicts; any if there is none.
    #[serde(default)]
    pub verdicts: Vec<Verdict>,
    /// How long a pause is, in seconds, at most a week; a day if nothing is said.
    #[serde(default)]
    pub pause_seconds: Option<u64>,
}

/// What the scrub can be asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ScrubAction {
    /// Look at the directories and read the shards now.
    #[default]
    Read,
    /// Read nothing for a while; looks go on.
    Pause,
    /// End a pause.
    Resume,
    /// Take shards that vanished, were evicted, replaced or modified as they are now for what they
    /// should be.
    Accept,
}
