//! Who is connected, over what, how lately used; and which connections should go.
//!
//! Pure bookkeeping: the network task tells what happened and closes what it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libp2p::swarm::ConnectionId;
use tokio::time::Instant;

use crate::event::PathKind;
use crate::hello::Instance;
use crate::identity::PeerKey;

/// Two connections dialled by different sides within this time are a simultaneous dial. A dial
/// takes at most half a minute: one stage of QUIC and one of TCP, each bounded.
/// A second connection later than that means that the other side has lost the first one, for a
/// peer never dials one it is connected to.
const SIMULTANEOUS: Duration = Duration::from_secs(30);

/// How long both connections of a simultaneous dial live on. Each side must have seen both
/// before either is closed, or it would report a disconnect between them.
const SURPLUS_GRACE: Duration = Duration::from_secs(1);

/// One admitted connection.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) dialler: PeerKey,
    pub(crate) since: Instant,
    pub(crate) instance: Instance,
    pub(crate) path: PathKind,
    pub(crate) address: String,
}

/// What a new connection means for its peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The peer was not connected.
    First,
    /// It has another one to the same process.
    Additional,
    /// Its process was restarted: the other connections lead to the former one.
    Restarted,
}

#[derive(Debug)]
struct Peer {
    /// In order of arrival, never empty.
    connections: Vec<Connection>,
    /// The connection that the agent was told of.
    told: ConnectionId,
    last_used: Instant,
    /// When something was sent since which nothing was heard.
    unanswered_since: Option<Instant>,
}

/// All admitted peers.
#[derive(Debug)]
pub(crate) struct Peers {
    local: PeerKey,
    wanted: BTreeSet<PeerKey>,
    table: BTreeMap<PeerKey, Peer>,
}

impl Peers {
    pub(crate) fn new(local: PeerKey) -> Self {
        Self { local, wanted: BTreeSet::new(), table: BTreeMap::new() }
    }

    pub(crate) fn set_wanted(&mut self, wanted: BTreeSet<PeerKey>) {
        self.wanted = wanted;
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn contains(&self, peer: &PeerKey) -> bool {
        self.table.contains_key(peer)
    }

    /// Whether this very connection counts: one that is being closed does not.
    pub(crate) fn is_live(&self, peer: &PeerKey, id: ConnectionId) -> bool {
        self.table.get(peer).is_some_and(|p| p.connections.iter().any(|c| c.id == id))
    }

    /// The connection to send on: the one that both sides will keep.
    pub(crate) fn primary(&self, peer: &PeerKey) -> Option<ConnectionId> {
        let known = self.table.get(peer)?;
        preferred(&self.local, peer, &known.connections).map(|c| c.id)
    }

    /// The processes of a peer that are connected; more than one for a moment alone.
    pub(crate) fn instances(&self, peer: &PeerKey) -> Vec<Instance> {
        let connections = self.table.get(peer).map(|known| known.connections.as_slice());
        connections.unwrap_or_default().iter().map(|connection| connection.instance).collect()
    }

    pub(crate) fn arrive(&mut self, peer: PeerKey, connection: Connection) -> Arrival {
        let Some(known) = self.table.get_mut(&peer) else {
            let known = Peer {
                told: connection.id,
                last_used: connection.since,
                unanswered_since: None,
                connections: vec![connection],
            };
            self.table.insert(peer, known);
            return Arrival::First;
        };
        known.last_used = connection.since;
        known.unanswered_since = None;
        let restarted = known.connections.iter().any(|c| c.instance != connection.instance);
        known.connections.push(connection);
        if restarted { Arrival::Restarted } else { Arrival::Additional }
    }

    /// Forgets a connection; true when the peer has none left.
    pub(crate) fn leave(&mut self, peer: &PeerKey, id: ConnectionId) -> bool {
        let Some(known) = self.table.get_mut(peer) else {
            return false;
        };
        known.connections.retain(|c| c.id != id);
        let last = known.connections.is_empty();
        if last {
            self.table.remove(peer);
        }
        last
    }

    /// Forgets a peer and names its connections.
    pub(crate) fn remove(&mut self, peer: &PeerKey) -> Vec<ConnectionId> {
        let known = self.table.remove(peer);
        known.map_or_else(Vec::new, |p| p.connections.iter().map(|c| c.id).collect())
    }

    /// The connection to send on, if it is another one than the agent was told of.
    pub(crate) fn take_moved(&mut self, peer: &PeerKey) -> Option<&Connection> {
        let known = self.table.get_mut(peer)?;
        let primary = preferred(&self.local, peer, &known.connections)?;
        if primary.id == known.told {
            return None;
        }
        known.told = primary.id;
        Some(primary)
    }

    /// A frame, request or response came from the peer.
    pub(crate) fn heard(&mut self, peer: &PeerKey, now: Instant) {
        if let Some(known) = self.table.get_mut(peer) {
            known.last_used = now;
            known.unanswered_since = None;
        }
    }

    /// A frame, request or response was sent to the peer.
    pub(crate) fn said(&mut self, peer: &PeerKey, now: Instant) {
        if let Some(known) = self.table.get_mut(peer) {
            known.last_used = now;
            known.unanswered_since.get_or_insert(now);
        }
    }

    /// Takes out the connections that a settled simultaneous dial leaves over.
    pub(crate) fn take_surplus(&mut self, now: Instant) -> Vec<ConnectionId> {
        let mut surplus = Vec::new();
        for (peer, known) in &mut self.table {
            let settled =
                known.connections.iter().all(|c| now.duration_since(c.since) >= SURPLUS_GRACE);
            if known.connections.len() < 2 || !settled {
                continue;
            }
            let Some(keep) = preferred(&self.local, peer, &known.connections).map(|c| c.id) else {
                continue;
            };
            let others = known.connections.extract_if(.., |c| c.id != keep);
            surplus.extend(others.map(|c| c.id));
        }
        surplus
    }

    /// Peers outside the wanted set whose connection was not used for this long.
    pub(crate) fn unwanted(&self, now: Instant, unused: Duration) -> Vec<PeerKey> {
        self.table
            .iter()
            .filter(|(peer, known)| {
                !self.wanted.contains(*peer) && now.duration_since(known.last_used) >= unused
            })
            .map(|(peer, _)| *peer)
            .collect()
    }

    /// As many unwanted peers as there are above the limit, the longest unused first. Wanted
    /// ones are never named: closing them would only have them dialled again.
    pub(crate) fn over_limit(&self, limit: usize) -> Vec<PeerKey> {
        let excess = self.table.len().saturating_sub(limit);
        if excess == 0 {
            return Vec::new();
        }
        let mut unwanted: Vec<_> = self
            .table
            .iter()
            .filter(|(peer, _)| !self.wanted.contains(*peer))
            .map(|(peer, known)| (known.last_used, *peer))
            .collect();
        unwanted.sort_unstable();
        unwanted.truncate(excess);
        unwanted.into_iter().map(|(_, peer)| peer).collect()
    }

    /// Peers reached by TCP alone of which nothing was heard for this long although something
    /// was sent. QUIC finds out by itself.
    pub(crate) fn silent(&self, now: Instant, timeout: Duration) -> Vec<PeerKey> {
        self.table
            .iter()
            .filter(|(_, known)| {
                known.connections.iter().all(|c| c.path == PathKind::Tcp)
                    && known
                        .unanswered_since
                        .is_some_and(|since| now.duration_since(since) >= timeout)
            })
            .map(|(peer, _)| *peer)
            .collect()
    }
}

/// The connection to keep. Both ends reach the same answer: of a simultaneous dial the one that
/// the peer with the smaller key dialled, otherwise the newest.
fn preferred<'a>(
    local: &PeerKey,
    remote: &PeerKey,
    connections: &'a [Connection],
) -> Option<&'a Connection> {
    connections.iter().reduce(|older, newer| {
        let simultaneous = newer.dialler != older.dialler
            && newer.since.duration_since(older.since) <= SIMULTANEOUS;
        if simultaneous && older.dialler == *local.min(remote) { older } else { newer }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: PeerKey = [1; 32];
    const LARGE: PeerKey = [2; 32];

    fn connection(id: usize, dialler: PeerKey, since: Instant) -> Connection {
        Connection {
            id: ConnectionId::new_unchecked(id),
            dialler,
            since,
            instance: [0; 16],
            path: PathKind::Quic,
            address: String::new(),
        }
    }

    fn ids(raw: &[usize]) -> Vec<ConnectionId> {
        raw.iter().map(|id| ConnectionId::new_unchecked(*id)).collect()
    }

    #[test]
    fn both_ends_keep_the_connection_dialled_by_the_smaller_key() {
        let now = Instant::now();
        let by_small = connection(1, SMALL, now);
        let by_large = connection(2, LARGE, now);
        for (local, remote) in [(SMALL, LARGE), (LARGE, SMALL)] {
            for order in [[&by_small, &by_large], [&by_large, &by_small]] {
                let mut peers = Peers::new(local);
                assert_eq!(peers.arrive(remote, order[0].clone()), Arrival::First);
                assert_eq!(peers.arrive(remote, order[1].clone()), Arrival::Additional);
                assert_eq!(peers.primary(&remote), Some(by_small.id));
                let moved = peers.take_moved(&remote).map(|c| c.id);
                assert_eq!(moved, (order[0].id != by_small.id).then_some(by_small.id));
                assert!(peers.take_moved(&remote).is_none(), "told once");
                assert!(peers.take_surplus(now).is_empty(), "grace has not passed");
                assert_eq!(peers.take_surplus(now + SURPLUS_GRACE), ids(&[2]));
                assert!(peers.is_live(&remote, by_small.id));
                assert!(!peers.is_live(&remote, by_large.id));
                assert!(!peers.leave(&remote, by_large.id));
                assert!(peers.leave(&remote, by_small.id));
            }
        }
    }

    #[test]
    fn a_later_connection_replaces_one_that_the_other_side_has_lost() {
        let start = Instant::now();
        let later = start + SIMULTANEOUS + Duration::from_secs(1);
        let mut peers = Peers::new(SMALL);
        peers.arrive(LARGE, connection(1, SMALL, start));
        peers.arrive(LARGE, connection(2, LARGE, later));
        assert_eq!(peers.primary(&LARGE), Some(ConnectionId::new_unchecked(2)));
        assert_eq!(peers.take_surplus(later + SURPLUS_GRACE), ids(&[1]));
    }

    #[test]
    fn a_restarted_peer_is_told_from_a_second_connection() {
        let now = Instant::now();
        let mut peers = Peers::new(SMALL);
        peers.arrive(LARGE, connection(1, SMALL, now));
        assert_eq!(peers.arrive(LARGE, connection(2, LARGE, now)), Arrival::Additional);
        let restarted = Connection { instance: [9; 16], ..connection(3, LARGE, now) };
        assert_eq!(peers.arrive(LARGE, restarted), Arrival::Restarted);
        assert_eq!(peers.remove(&LARGE), ids(&[1, 2, 3]));
    }

    #[test]
    fn only_unused_peers_that_nobody_wants_are_unwanted() {
        let start = Instant::now();
        let unused = Duration::from_secs(10);
        let mut peers = Peers::new(SMALL);
        for key in 2..5 {
            peers.arrive([key; 32], connection(key.into(), SMALL, start));
        }
        peers.set_wanted(BTreeSet::from([[2; 32]]));
        peers.said(&[3; 32], start + Duration::from_secs(5));
        assert!(peers.unwanted(start, unused).is_empty());
        assert_eq!(peers.unwanted(start + unused, unused), [[4; 32]]);
    }

    #[test]
    fn above_the_limit_the_longest_unused_unwanted_go_first() {
        let start = Instant::now();
        let mut peers = Peers::new(SMALL);
        for key in 2..7 {
            let since = start + Duration::from_secs(u64::from(key));
            peers.arrive([key; 32], connection(key.into(), SMALL, since));
        }
        peers.set_wanted(BTreeSet::from([[2; 32], [3; 32], [5; 32]]));
        assert!(peers.over_limit(5).is_empty());
        assert_eq!(peers.over_limit(4), [[4; 32]]);
        assert_eq!(peers.over_limit(1), [[4; 32], [6; 32]], "wanted ones stay");
    }

    #[test]
    fn silence_counts_on_tcp_from_the_first_unanswered_word() {
        let start = Instant::now();
        let timeout = Duration::from_secs(15);
        let mut peers = Peers::new(SMALL);
        let tcp = Connection { path: PathKind::Tcp, ..connection(1, SMALL, start) };
        peers.arrive(LARGE, tcp);
        assert!(peers.silent(start + timeout, timeout).is_empty());
        peers.said(&LARGE, start);
        peers.said(&LARGE, start + Duration::from_secs(14));
        assert_eq!(peers.silent(start + timeout, timeout), [LARGE]);
        peers.heard(&LARGE, start + timeout);
        assert!(peers.silent(start + timeout, timeout).is_empty());
    }
}
