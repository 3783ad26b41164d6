//! Who passes a broadcast on to whom, modelled after gossipsub as the agent configures it.
//!
//! A publisher sends to everybody it is connected with; whoever accepts a message passes it on to
//! its mesh, a symmetric choice of a few of its connections, and tells some others its name at the
//! next heartbeats (`IHAVE`), who fetch what they lack (`IWANT`). A second copy costs bytes and
//! goes no further. `GRAFT`, `PRUNE`, `IDONTWANT` and peer scores are not modelled.

use std::collections::VecDeque;
use std::sync::Arc;

use plexmesh_proto::record::Record;
use plexmesh_proto::types::{SECOND, Time};

use crate::dice::Dice;
use crate::links::mix;

mod memory;

use memory::Memory;
pub(crate) use memory::Name;

/// Mesh size that a host fills up, or prunes down, to; like the two bounds the agent's setting.
const MESH: usize = 6;
/// A smaller mesh is filled up.
const MESH_LOW: usize = 4;
/// A larger mesh is pruned.
const MESH_HIGH: usize = 12;
/// Gossipsub's heartbeat.
const HEARTBEAT_US: u64 = SECOND;
/// Heartbeats at which a message's name is told, and for which it can be fetched: the defaults of
/// libp2p's message cache.
const GOSSIP_BEATS: u64 = 3;
const KEPT_BEATS: u64 = 5;
/// Peers outside of the mesh that are told names: at least so many, or one in four.
const LAZY: usize = 6;
const LAZY_ONE_IN: usize = 4;
/// Most messages of one host that can be fetched: more than a flood of a hundred a second brings in
/// five heartbeats.
pub(crate) const MAX_WINDOW: usize = 512;

/// The broadcast channel of all hosts.
#[derive(Debug, Default)]
pub(crate) struct Gossip {
    hosts: Vec<Member>,
    memory: Memory,
}

#[derive(Debug, Default)]
struct Member {
    /// By rising index.
    mesh: Vec<u32>,
    tended: Option<Time>,
    /// Accepted messages of the last heartbeats, with the number of the heartbeat after which each
    /// came; oldest first.
    window: VecDeque<(u32, Arc<Record>)>,
    /// A heartbeat is in the queue.
    beating: bool,
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
        self.memory.forget(host);
    }

    /// Remembers a message; whether it is new to this host.
    pub(crate) fn is_new(&mut self, now: Time, host: usize, name: Name) -> bool {
        self.memory.is_new(now, host, name)
    }

    /// Those of some messages that a host never saw.
    pub(crate) fn lacking(&self, host: usize, names: &[Name]) -> Vec<Name> {
        names.iter().filter(|name| !self.memory.knows(host, name)).copied().collect()
    }

    /// Takes a message in whose name is told and that can be fetched. Gives when the next heartbeat
    /// is, if the host sleeps until then.
    pub(crate) fn keep(&mut self, now: Time, host: usize, record: Arc<Record>) -> Option<Time> {
        let member = self.hosts.get_mut(host)?;
        if member.window.len() >= MAX_WINDOW {
            member.window.pop_front();
        }
        member.window.push_back((beat(now, host) as u32, record));
        (!std::mem::replace(&mut member.beating, true)).then(|| next_beat(now, host))
    }

    /// A heartbeat: the names to tell, and when the next one is; `None` if there is nothing left.
    pub(crate) fn beat(&mut self, now: Time, host: usize) -> (Vec<Name>, Option<Time>) {
        let Some(member) = self.hosts.get_mut(host) else { return (Vec::new(), None) };
        let age = |came: u32| beat(now, host) - u64::from(came);
        while member.window.front().is_some_and(|(came, _)| age(*came) > KEPT_BEATS) {
            member.window.pop_front();
        }
        let told =
            member.window.iter().filter(|(came, _)| (1..=GOSSIP_BEATS).contains(&age(*came)));
        let names = told.map(|(_, record)| record.item()).collect();
        member.beating = !member.window.is_empty();
        (names, member.beating.then(|| next_beat(now, host)))
    }

    /// A message that can be fetched from a host.
    pub(crate) fn fetch(&self, host: usize, name: &Name) -> Option<Arc<Record>> {
        let window = &self.hosts.get(host)?.window;
        window.iter().find(|(_, record)| record.item() == *name).map(|(_, record)| record.clone())
    }

    /// Messages of a host that can be fetched.
    pub(crate) fn kept(&self, host: usize) -> usize {
        self.hosts.get(host).map_or(0, |member| member.window.len())
    }

    /// Whom a host tells the names of its messages.
    pub(crate) fn listeners(
        &self,
        dice: &mut Dice,
        host: usize,
        connected: &[usize],
    ) -> Vec<usize> {
        let Some(member) = self.hosts.get(host) else { return Vec::new() };
        let others = connected.iter().copied().filter(|&peer| !member.has(peer));
        let others: Vec<usize> = others.collect();
        let drawn = dice.sample(LAZY.max(others.len() / LAZY_ONE_IN), others.len());
        drawn.into_iter().filter_map(|place| others.get(place).copied()).collect()
    }

    /// The mesh of `host`, which is connected with `connected`, rising. It is tended when it is
    /// used: between two uses nobody can tell.
    pub(crate) fn mesh(
        &mut self,
        now: Time,
        dice: &mut Dice,
        host: usize,
        connected: &[usize],
    ) -> Vec<usize> {
        let Some(member) = self.hosts.get_mut(host) else { return Vec::new() };
        member.mesh.retain(|peer| connected.binary_search(&(*peer as usize)).is_ok());
        if member.tended.is_none_or(|last| now.since(last) >= HEARTBEAT_US) {
            member.tended = Some(now);
            self.tend(dice, host, connected);
        }
        let mesh = self.hosts.get(host).map(|member| member.mesh.as_slice()).unwrap_or_default();
        mesh.iter().map(|&peer| peer as usize).collect()
    }

    fn tend(&mut self, dice: &mut Dice, host: usize, connected: &[usize]) {
        let Some(member) = self.hosts.get(host) else { return };
        let size = member.mesh.len();
        if size < MESH_LOW {
            let others = connected.iter().copied().filter(|&peer| !member.has(peer));
            let others: Vec<usize> = others.collect();
            for place in dice.sample(MESH - size, others.len()) {
                others.get(place).into_iter().for_each(|&peer| self.graft(host, peer));
            }
        } else if size > MESH_HIGH {
            let mesh: Vec<u32> = member.mesh.clone();
            for place in dice.sample(size - MESH, size) {
                mesh.get(place).into_iter().for_each(|&peer| self.prune(host, peer as usize));
            }
        }
    }

    fn graft(&mut self, a: usize, b: usize) {
        for (one, other) in [(a, b), (b, a)] {
            if let Some(member) = self.hosts.get_mut(one)
                && let Err(place) = member.mesh.binary_search(&(other as u32))
            {
                member.mesh.insert(place, other as u32);
            }
        }
    }

    fn prune(&mut self, a: usize, b: usize) {
        for (one, other) in [(a, b), (b, a)] {
            if let Some(member) = self.hosts.get_mut(one) {
                member.mesh.retain(|peer| *peer as usize != other);
            }
        }
    }
}

impl Member {
    fn has(&self, peer: usize) -> bool {
        self.mesh.binary_search(&(peer as u32)).is_ok()
    }
}

/// Hosts have their heartbeats at different moments of a second.
fn phase_us(host: usize) -> u64 {
    mix(host as u64) % HEARTBEAT_US
}

/// Heartbeats of a host so far.
fn beat(now: Time, host: usize) -> u64 {
    (now.0 + phase_us(host)) / HEARTBEAT_US
}

fn next_beat(now: Time, host: usize) -> Time {
    Time((beat(now, host) + 1) * HEARTBEAT_US - phase_us(host))
}

#[cfg(test)]
mod tests {
    use plexmesh_proto::record::Payload;

    use super::*;
    use crate::World;

    fn gossip(hosts: usize) -> Gossip {
        let mut gossip = Gossip::default();
        (0..hosts).for_each(|_| gossip.add_host());
        gossip
    }

    #[test]
    fn a_mesh_is_symmetric_and_stays_within_its_bounds() {
        let mut gossip = gossip(30);
        let mut dice = Dice::new(1, "test", 0);
        for round in 0..5 {
            for host in 0..30 {
                let others: Vec<usize> = (0..30).filter(|&other| other != host).collect();
                gossip.mesh(Time(round * HEARTBEAT_US), &mut dice, host, &others);
            }
        }
        for (host, member) in gossip.hosts.iter().enumerate() {
            assert!((1..=2 * MESH_HIGH).contains(&member.mesh.len()), "{}", member.mesh.len());
            for &peer in &member.mesh {
                assert!(gossip.hosts[peer as usize].has(host));
            }
        }
    }

    #[test]
    fn a_message_is_told_at_three_heartbeats_and_kept_for_five() {
        let world = World::builder(1).nodes(1).build();
        let record = world.sign_as(0, Payload::leave("over".to_owned())).unwrap();
        let mut gossip = gossip(1);
        let mut next = gossip.keep(Time(10), 0, record.clone());
        let (mut told, mut beats) = (0, 0);
        while let Some(now) = next {
            beats += 1;
            assert_eq!(gossip.fetch(0, &record.item()).is_some(), beats <= KEPT_BEATS + 1);
            let (names, following) = gossip.beat(now, 0);
            told += names.len() as u64;
            next = following;
        }
        assert_eq!((told, beats), (GOSSIP_BEATS, KEPT_BEATS + 1));
        assert!(gossip.fetch(0, &record.item()).is_none());
    }

    #[test]
    fn names_are_told_outside_of_the_mesh() {
        let mut gossip = gossip(40);
        let mut dice = Dice::new(1, "test", 0);
        let others: Vec<usize> = (1..40).collect();
        let mesh = gossip.mesh(Time(0), &mut dice, 0, &others);
        let told = gossip.listeners(&mut dice, 0, &others);
        assert_eq!((mesh.len(), told.len()), (MESH, (39 - MESH) / LAZY_ONE_IN));
        assert!(told.iter().all(|peer| !mesh.contains(peer)));
    }
}
