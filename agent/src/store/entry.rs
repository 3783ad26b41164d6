//! One slot as it lies on disk.
//!
//! ```text
//! key   = origin (32) | scope (4, big endian) | kind (4, big endian) | record key
//! value = format (1) | BLAKE3 of the rest (32) | length of top (4, BE) | top | rival, if any
//! ```
//! Top and rival are encoded as on the broadcast channel.

use std::sync::Arc;

use plexmesh_proto::record::SlotKey;
use plexmesh_proto::view::Slot;
use plexmesh_proto::wire;

/// Version of the format.
const FORMAT: u8 = 1;

pub(super) fn key(slot: &SlotKey) -> Vec<u8> {
    let (scope, kind) = (slot.scope.to_be_bytes(), slot.kind.0.to_be_bytes());
    [slot.origin.0.as_slice(), &scope, &kind, &slot.key].concat()
}

pub(super) fn encode(slot: &Slot) -> Vec<u8> {
    let top = wire::encode_broadcast(&slot.top);
    let rival = slot.rival.as_ref().map(|rival| wire::encode_broadcast(rival)).unwrap_or_default();
    // A record is below 2^32 bytes by its caps.
    let length = (top.len() as u32).to_be_bytes();
    seal(&[length.as_slice(), &top, &rival].concat())
}

/// Reads a slot; `None` if a bit of it is not as written, or its format is another one.
pub(super) fn decode(value: &[u8]) -> Option<Slot> {
    let (length, rest) = unseal(value)?.split_first_chunk::<4>()?;
    let (top, rival) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let record = |bytes: &[u8]| wire::decode_broadcast(bytes).ok().map(Arc::new);
    let rival = if rival.is_empty() { None } else { Some(record(rival)?) };
    Some(Slot { top: record(top)?, rival })
}

/// Puts format and hash in front of what is to be kept: a value that is not as it was written is
/// found out.
#[must_use]
pub fn seal(content: &[u8]) -> Vec<u8> {
    [&[FORMAT], blake3::hash(content).as_bytes().as_slice(), content].concat()
}

/// Takes format and hash off; `None` if they do not fit.
pub(crate) fn unseal(value: &[u8]) -> Option<&[u8]> {
    let (hash, content) = value.strip_prefix(&[FORMAT])?.split_first_chunk::<32>()?;
    (blake3::hash(content) == *hash).then_some(content)
}
