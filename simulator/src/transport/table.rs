//! All connections of a world, found by either end. A host has a few dozen, so a sorted list per
//! host beats a map over all pairs: every frame looks its connection up.

use super::Pair;
use super::connection::{Connection, Side};

/// Connections in a slab, and who has which.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Peer and slot of each host's connections, by rising peer.
    of: Vec<Vec<(u32, u32)>>,
    slots: Vec<Connection>,
    free: Vec<u32>,
}

impl Table {
    pub(super) fn add_host(&mut self) {
        self.of.push(Vec::new());
    }

    pub(super) fn get(&self, (a, b): Pair) -> Option<&Connection> {
        self.slots.get(self.slot(a, b)?)
    }

    pub(super) fn get_mut(&mut self, (a, b): Pair) -> Option<&mut Connection> {
        let slot = self.slot(a, b)?;
        self.slots.get_mut(slot)
    }

    /// The connection of a pair, made if there is none; `None` if there is no such host.
    pub(super) fn entry(&mut self, (a, b): Pair) -> Option<&mut Connection> {
        if self.slot(a, b).is_none() {
            let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
            if slot as usize == self.slots.len() {
                self.slots.push(Connection::default());
            }
            for (one, other) in [(a, b), (b, a)] {
                let list = self.of.get_mut(one)?;
                let place = list.partition_point(|(peer, _)| (*peer as usize) < other);
                list.insert(place, (other as u32, slot));
            }
        }
        self.get_mut((a, b))
    }

    pub(super) fn remove(&mut self, (a, b): Pair) {
        let Some(slot) = self.slot(a, b) else { return };
        for (one, other) in [(a, b), (b, a)] {
            if let Some(list) = self.of.get_mut(one) {
                list.retain(|(peer, _)| *peer as usize != other);
            }
        }
        self.slots.get_mut(slot).into_iter().for_each(|place| *place = Connection::default());
        self.free.push(slot as u32);
    }

    /// Peers of all connections of `host` whose end there is usable, rising.
    pub(super) fn usable(&self, host: usize) -> impl Iterator<Item = usize> + '_ {
        self.all(host).filter_map(move |(peer, connection)| {
            let (_, side) = Side::of(host, peer);
            connection.end(side).epoch.map(|_| peer)
        })
    }

    /// All connections of `host`, those too that only the other end believes in.
    pub(super) fn all(&self, host: usize) -> impl Iterator<Item = (usize, &Connection)> + '_ {
        let list = self.of.get(host).map(Vec::as_slice).unwrap_or_default();
        list.iter()
            .filter_map(|&(peer, slot)| Some((peer as usize, self.slots.get(slot as usize)?)))
    }

    fn slot(&self, a: usize, b: usize) -> Option<usize> {
        let list = self.of.get(a)?;
        let place = list.binary_search_by_key(&(b as u32), |(peer, _)| *peer).ok()?;
        list.get(place).map(|(_, slot)| *slot as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_end_finds_the_connection_and_a_slot_is_used_again() {
        let mut table = Table::default();
        (0..4).for_each(|_| table.add_host());
        table.entry((1, 3)).unwrap().accepting = Some(7);
        assert_eq!(table.get((3, 1)).unwrap().accepting, Some(7));
        assert_eq!(table.all(3).map(|(peer, _)| peer).collect::<Vec<_>>(), [1]);
        table.remove((1, 3));
        assert!(table.get((1, 3)).is_none());
        table.entry((0, 2)).unwrap();
        assert_eq!((table.slots.len(), table.get((0, 2)).unwrap().accepting), (1, None));
    }
}
