//! One line of the log: an entry, the hash of the line before, and its own.
//!
//! `{"sequence":…,…,"previous":"<64 hex>","hash":"<64 hex>"}`: the hash is BLAKE3 over all bytes of
//! the line in front of `,"hash"`. Since these hold the hash of the line before, no line can be
//! changed, taken out or put in without changing all that follow.

use serde::{Deserialize, Serialize};

use crate::api::schema::AuditEntry;

/// Longest line, in bytes: three times what an entry's values may take, and room for the rest.
pub(super) const MAX_LINE_BYTES: usize = 32 * 1024;
/// Between the bytes that are hashed and the hash.
const HASH_KEY: &str = ",\"hash\":\"";
/// What ends a line behind its hash.
const END: &str = "\"}";

/// A hash as a line has it. The first line follows from zeros.
pub(super) type Hash = blake3::Hash;

/// What the first line of all follows from.
pub(super) const ORIGIN: Hash = Hash::from_bytes([0; 32]);

#[derive(Serialize, Deserialize)]
struct Linked {
    #[serde(flatten)]
    entry: AuditEntry,
    previous: String,
}

/// A line that says of itself what it should.
pub(super) struct Sealed {
    pub(super) entry: AuditEntry,
    pub(super) previous: Hash,
    pub(super) hash: Hash,
    /// Whether the hash is that of the line.
    pub(super) sound: bool,
}

/// The line of an entry, with its end, and its hash.
pub(super) fn seal(entry: &AuditEntry, previous: Hash) -> serde_json::Result<(String, Hash)> {
    let linked = Linked { entry: entry.clone(), previous: previous.to_hex().to_string() };
    let mut line = serde_json::to_string(&linked)?;
    // The closing brace comes behind the hash.
    line.pop();
    let hash = blake3::hash(line.as_bytes());
    line.push_str(HASH_KEY);
    line.push_str(hash.to_hex().as_str());
    line.push_str(END);
    line.push('\n');
    Ok((line, hash))
}

/// Reads a line without its end; `None` if it is none.
pub(super) fn open(line: &[u8]) -> Option<Sealed> {
    let text = std::str::from_utf8(line).ok()?;
    let (body, rest) = text.rsplit_once(HASH_KEY)?;
    let hash = Hash::from_hex(rest.strip_suffix(END)?).ok()?;
    let linked: Linked = serde_json::from_str(&format!("{body}}}")).ok()?;
    let previous = Hash::from_hex(&linked.previous).ok()?;
    let sound = blake3::hash(body.as_bytes()) == hash;
    Some(Sealed { entry: linked.entry, previous, hash, sound })
}
