//! Who passes a broadcast on to whom, modelled after gossipsub as the agent configures it.
//!
//! A publisher sends to everybody it is connected with; whoever accepts a message passes it on to
//! its mesh, a symmetric choice of a few of its connections. A second copy costs bytes and goes no
//! further. Lazy gossip (`IHAVE`) is not modelled: what the mesh misses is left to anti-entropy.

use std::collections::{BTreeSet, VecDeque};

use plexmesh_proto::types::{SECOND, Time};

use crate::dice::Dice;

/// Mesh size that a host fills up, or prunes down, to.
const MESH: usize = 6;
/// A smaller mesh is filled up.
const MESH_LOW: usize = 4;
/// A larger mesh is pruned.
const MESH_HIGH: usize = 9;
/// A mesh is looked after once in a heartbeat.
const HEARTBEAT_US: u64 = SECOND;
/// Most remembered messages per host: a minute of one message each 15 ms.
const MAX_SEEN: usize = 4_096;

/// The first half of a record's hash.
type Name = [u8; 16];

/// The broadcast channel of all hosts.
#[derive(Debug, Default)]
pub(crate) struct Gossip {
    hosts: Vec<Member>,
}

#[derive(Debug, Default)]
struct Member {
    mesh: BTreeSet<usize>,
    tended: Option<Time>,
    seen: BTreeSet<Name>,
    oldest: VecDeque<Name>,
}

impl Gossip {
    pub(crate) fn add_host(&mut self) {
        self.hosts.push(Member::default());
    }

    /// A process that starts remembers nothing.
    pub(crate) fn forget(&mut self, host: usize) {
        if let Some(member) = self.hosts.get_mut(host) {
            *member = Member::default();
        }
    }

    /// Remembers a message; whether it is new to this host.
    pub(crate) fn is_new(&mut self, host: usize, name: Name) -> bool {
        let Some(member) = self.hosts.get_mut(host) else { return false };
        if !member.seen.insert(name) {
            return false;
        }
        member.oldest.push_back(name);
        if member.oldest.len() > MAX_SEEN
            && let Some(oldest) = member.oldest.pop_front()
        {
            member.seen.remove(&oldest);
        }
        true
    }

    /// The mesh of `host`, which is connected with `connected`. It is tended when it is used:
    /// between two uses nobody can tell.
    pub(crate) fn mesh(
        &mut self,
        now: Time,
        dice: &mut Dice,
        host: usize,
        connected: &BTreeSet<usize>,
    ) -> Vec<usize> {
        let Some(member) = self.hosts.get_mut(host) else { return Vec::new() };
        member.mesh.retain(|peer| connected.contains(peer));
        if member.tended.is_none_or(|last| now.since(last) >= HEARTBEAT_US) {
            member.tended = Some(now);
            self.tend(dice, host, connected);
        }
        self.hosts.get(host).map(|member| member.mesh.iter().copied().collect()).unwrap_or_default()
    }

    fn tend(&mut self, dice: &mut Dice, host: usize, connected: &BTreeSet<usize>) {
        let Some(member) = self.hosts.get(host) else { return };
        let size = member.mesh.len();
        if size < MESH_LOW {
            let others: Vec<usize> = connected.difference(&member.mesh).copied().collect();
            for place in dice.sample(MESH - size, others.len()) {
                others.get(place).into_iter().for_each(|&peer| self.graft(host, peer));
            }
        } else if size > MESH_HIGH {
            let mesh: Vec<usize> = member.mesh.iter().copied().collect();
            for place in dice.sample(size - MESH, size) {
                mesh.get(place).into_iter().for_each(|&peer| self.prune(host, peer));
            }
        }
    }

    fn graft(&mut self, a: usize, b: usize) {
        for (one, other) in [(a, b), (b, a)] {
            if let Some(member) = self.hosts.get_mut(one) {
                member.mesh.insert(other);
            }
        }
    }

    fn prune(&mut self, a: usize, b: usize) {
        for (one, other) in [(a, b), (b, a)] {
            if let Some(member) = self.hosts.get_mut(one) {
                member.mesh.remove(&other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gossip(hosts: usize) -> Gossip {
        let mut gossip = Gossip::default();
        (0..hosts).for_each(|_| gossip.add_host());
        gossip
    }

    #[test]
    fn a_message_is_new_once() {
        let mut gossip = gossip(1);
        assert!(gossip.is_new(0, [1; 16]));
        assert!(!gossip.is_new(0, [1; 16]));
        assert!(gossip.is_new(0, [2; 16]));
    }

    #[test]
    fn a_mesh_is_symmetric_and_stays_within_its_bounds() {
        let mut gossip = gossip(30);
        let mut dice = Dice::new(1, "test", 0);
        let all: BTreeSet<usize> = (0..30).collect();
        for round in 0..5 {
            for host in 0..30 {
                let others = &all - &BTreeSet::from([host]);
                gossip.mesh(Time(round * HEARTBEAT_US), &mut dice, host, &others);
            }
        }
        for (host, member) in gossip.hosts.iter().enumerate() {
            assert!((1..=2 * MESH_HIGH).contains(&member.mesh.len()), "{}", member.mesh.len());
            for &peer in &member.mesh {
                assert!(gossip.hosts[peer].mesh.contains(&host));
            }
        }
    }
}
