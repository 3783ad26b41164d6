//! The pseudo-random rings over the roster that decide who observes whom.
//!
//! K rings make the observation graph an expander (Suresh et al., "Stable and Consistent Membership at Scale with Rapid", USENIX ATC 2018). A place on
//! a ring is a hash over the peer's key and a nonce that its enroller chose after seeing the key, so nobody picks a seat.

use alloc::vec::Vec;

use crate::types::PeerId;

/// Number of rings, and so of observers per peer: three of five must agree before a peer is down, and two may fail.
pub const RINGS: usize = 5;

const CONTEXT: &[u8] = b"plexmesh/1/ring";

/// A member's places: one hash per ring.
pub type Places = [u64; RINGS];

/// The places of a peer of `scope`.
#[must_use]
pub fn places(scope: u32, peer: &PeerId, ring_nonce: &[u8]) -> Places {
    let mut hasher = blake3::Hasher::new();
    hasher.update(CONTEXT).update(&scope.to_le_bytes()).update(&peer.0).update(ring_nonce);
    let mut bytes = [0; 8 * RINGS];
    hasher.finalize_xof().fill(&mut bytes);
    let mut places = [0; RINGS];
    for (place, chunk) in places.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *place = u64::from_le_bytes(*chunk);
    }
    places
}

/// What of a member decides where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// Who.
    pub peer: PeerId,
    /// The nonce of its certificate.
    pub nonce: &'a [u8],
    /// It left: it stands outside.
    pub left: bool,
}

/// Names a membership: equal keys mean equal rings.
pub fn membership_key<'a>(members: impl Iterator<Item = Standing<'a>>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for member in members {
        hasher.update(&member.peer.0);
        hasher.update(&(member.nonce.len() as u64).to_le_bytes());
        hasher.update(member.nonce);
        hasher.update(&[u8::from(member.left)]);
    }
    *hasher.finalize().as_bytes()
}

/// The members `0..n` of a roster by rising id, and the rings over them.
#[derive(Clone, Debug, Default)]
pub struct Rings {
    ids: Vec<PeerId>,
    /// Per ring: members by rising place.
    order: [Vec<u32>; RINGS],
    /// Per member: its index in each ring; `None` for a member that has no seat.
    seat: Vec<Option<[u32; RINGS]>>,
}

impl Rings {
    /// Rings over the members of `scope`, who come by rising id; those that left stand outside.
    pub fn build<'a>(scope: u32, members: impl Iterator<Item = Standing<'a>>) -> Self {
        let mut rings = Self::default();
        let mut placed: [Vec<(u64, u32)>; RINGS] = Default::default();
        for (index, member) in (0u32..).zip(members) {
            rings.ids.push(member.peer);
            rings.seat.push((!member.left).then_some([0; RINGS]));
            if !member.left {
                let places = places(scope, &member.peer, member.nonce);
                for (ring, place) in placed.iter_mut().zip(places) {
                    ring.push((place, index));
                }
            }
        }
        for (ring, placed) in placed.iter_mut().enumerate() {
            placed.sort_unstable();
            for (position, &(_, member)) in (0..).zip(placed.iter()) {
                let seat = rings.seat.get_mut(member as usize).and_then(Option::as_mut);
                if let Some(place) = seat.and_then(|seat| seat.get_mut(ring)) {
                    *place = position;
                }
            }
            if let Some(order) = rings.order.get_mut(ring) {
                order.extend(placed.iter().map(|&(_, member)| member));
            }
        }
        rings
    }

    /// The index of a member.
    #[must_use]
    pub fn index_of(&self, peer: &PeerId) -> Option<u32> {
        u32::try_from(self.ids.binary_search(peer).ok()?).ok()
    }

    /// All members, by rising id.
    #[must_use]
    pub fn ids(&self) -> &[PeerId] {
        &self.ids
    }

    /// The members on one ring, by rising place.
    #[must_use]
    pub fn order(&self, ring: usize) -> &[u32] {
        self.order.get(ring).map_or(&[], Vec::as_slice)
    }

    /// Where a member stands on one ring; `None` for one that left.
    #[must_use]
    pub fn position(&self, ring: usize, member: u32) -> Option<usize> {
        let seat = self.seat.get(member as usize)?.as_ref()?.get(ring)?;
        Some(*seat as usize)
    }

    /// Number of members on the rings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.first().map_or(0, Vec::len)
    }

    /// Whether nobody is on the rings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rings(n: u8, left: Option<u8>) -> Rings {
        let ids: Vec<PeerId> = (0..n).map(|i| PeerId([i; 32])).collect();
        let nonces: Vec<[u8; 1]> = (0..n).map(|i| [i]).collect();
        let members = ids.iter().zip(&nonces).zip(0..n).map(|((peer, nonce), i)| Standing {
            peer: *peer,
            nonce,
            left: left == Some(i),
        });
        Rings::build(0, members)
    }

    #[test]
    fn every_ring_has_everybody_once_where_he_stands() {
        let rings = rings(9, None);
        for ring in 0..RINGS {
            let mut seen = rings.order(ring).to_vec();
            for (position, &member) in seen.iter().enumerate() {
                assert_eq!(rings.position(ring, member), Some(position));
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..9).collect::<Vec<u32>>());
        }
    }

    #[test]
    fn who_leaves_moves_nobody_else() {
        let (with, without) = (rings(9, None), rings(9, Some(4)));
        for ring in 0..RINGS {
            let others: Vec<u32> =
                with.order(ring).iter().copied().filter(|&member| member != 4).collect();
            assert_eq!(without.order(ring), others);
            assert_eq!(without.position(ring, 4), None);
        }
    }
}
