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

/// The rings over members `0..n` of a roster.
#[derive(Clone, Debug, Default)]
pub struct Rings {
    /// Per ring: members by rising place.
    order: [Vec<u32>; RINGS],
    /// Per member: its index in each ring; `None` for a member that has no seat.
    seat: Vec<Option<[u32; RINGS]>>,
}

impl Rings {
    /// Rings over all members that have places; the others stand outside.
    pub fn build(members: impl Iterator<Item = Option<Places>>) -> Self {
        let members: Vec<Option<Places>> = members.collect();
        let mut rings = Self {
            order: Default::default(),
            seat: members.iter().map(|p| p.map(|_| [0; RINGS])).collect(),
        };
        for (ring, order) in rings.order.iter_mut().enumerate() {
            let mut placed: Vec<(u64, u32)> = (0..)
                .zip(&members)
                .filter_map(|(member, places)| Some(((*places)?.get(ring).copied()?, member)))
                .collect();
            placed.sort_unstable();
            order.extend(placed.iter().map(|&(_, member)| member));
            for (index, member) in (0..).zip(order.iter()) {
                let seat = rings.seat.get_mut(*member as usize).and_then(Option::as_mut);
                if let Some(place) = seat.and_then(|seat| seat.get_mut(ring)) {
                    *place = index;
                }
            }
        }
        rings
    }

    /// Walks ring `ring` backwards from `member`: its predecessors, nearest first, each once, itself not.
    pub fn predecessors(&self, ring: usize, member: u32) -> impl Iterator<Item = u32> + '_ {
        let order = self.order.get(ring).map_or(&[][..], Vec::as_slice);
        let index = self
            .seat
            .get(member as usize)
            .and_then(|seat| seat.as_ref()?.get(ring).copied())
            .map_or(0, |index| index as usize);
        let (before, after) = order.split_at(index.min(order.len()));
        before.iter().rev().chain(after.iter().skip(1).rev()).copied()
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

    fn rings(n: u8) -> Rings {
        Rings::build((0..n).map(|i| Some(places(0, &PeerId([i; 32]), &[i]))))
    }

    #[test]
    fn predecessors_are_everybody_else_once() {
        let rings = rings(9);
        for ring in 0..RINGS {
            for member in 0..9 {
                let mut seen: Vec<u32> = rings.predecessors(ring, member).collect();
                seen.sort_unstable();
                let others: Vec<u32> = (0..9).filter(|&other| other != member).collect();
                assert_eq!(seen, others);
            }
        }
    }

    #[test]
    fn a_members_first_predecessor_does_not_depend_on_others_far_away() {
        let with = rings(9);
        let without =
            Rings::build((0..9).map(|i| (i != 4).then(|| places(0, &PeerId([i; 32]), &[i]))));
        for ring in 0..RINGS {
            for member in (0..9).filter(|&member| member != 4) {
                let expected = with.predecessors(ring, member).find(|&other| other != 4);
                assert_eq!(without.predecessors(ring, member).next(), expected);
            }
        }
    }
}
