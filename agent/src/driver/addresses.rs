//! Where others are, and where this peer says that it is.

use std::collections::BTreeMap;

use plexmesh_proto::record::{MAX_ADDRESSES, Profile};
use plexmesh_proto::types::PeerId;

use crate::mesh::Seed;

/// Peers whose last connection is remembered. A member tells its addresses itself; this is for
/// those that cannot, so the largest mesh need not fit.
const MAX_LEARNED: usize = 1_024;
/// Listening addresses remembered: more than any host's interfaces.
const MAX_LISTENING: usize = 64;

/// Where others can be dialled.
#[derive(Debug, Default)]
pub struct AddressBook {
    seeds: Vec<Seed>,
    learned: BTreeMap<PeerId, String>,
}

impl AddressBook {
    /// A book that knows `seeds`.
    #[must_use]
    pub const fn new(seeds: Vec<Seed>) -> Self {
        Self { seeds, learned: BTreeMap::new() }
    }

    /// Remembers where a connection came from or went to.
    pub fn learn(&mut self, peer: PeerId, address: String) {
        if self.learned.len() < MAX_LEARNED || self.learned.contains_key(&peer) {
            self.learned.insert(peer, address);
        }
    }

    /// All addresses of a peer, the best first: what it announces, what the operator gave, where it
    /// was last connected.
    #[must_use]
    pub fn of(&self, peer: &PeerId, announced: &[String]) -> Vec<String> {
        let seeds = self.seeds.iter().filter(|seed| seed.peer == *peer).map(|seed| &seed.address);
        let mut addresses: Vec<String> = Vec::new();
        for address in announced.iter().chain(seeds).chain(self.learned.get(peer)) {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        addresses
    }
}

/// What this peer says of itself, with the addresses that others are to dial.
#[derive(Clone, Debug, Default)]
pub struct Announcement {
    labels: Profile,
    announced: Vec<String>,
    listening: Vec<String>,
}

impl Announcement {
    /// `labels` without its addresses is said; `announced`, if there are any, in the place of what
    /// is listened on.
    #[must_use]
    pub const fn new(labels: Profile, announced: Vec<String>) -> Self {
        Self { labels, announced, listening: Vec::new() }
    }

    /// Notes an address that is listened on; whether that changes what is announced.
    pub fn add_listening(&mut self, address: String) -> bool {
        if self.listening.contains(&address) || self.listening.len() == MAX_LISTENING {
            return false;
        }
        let before = self.addresses();
        self.listening.push(address);
        before != self.addresses()
    }

    /// Addresses that are listened on.
    #[must_use]
    pub fn listening(&self) -> &[String] {
        &self.listening
    }

    /// What is to be published.
    #[must_use]
    pub fn profile(&self) -> Profile {
        Profile { addresses: self.addresses(), ..self.labels.clone() }.clipped()
    }

    /// Loopback and link-local addresses mean something on this host or link alone. A mesh that
    /// lives on one host has nothing but loopback ones.
    fn addresses(&self) -> Vec<String> {
        if !self.announced.is_empty() {
            return self.announced.iter().take(MAX_ADDRESSES).cloned().collect();
        }
        let usable = || self.listening.iter().filter(|address| !is_link_local(address));
        let mut chosen: Vec<&String> = usable().filter(|address| !is_loopback(address)).collect();
        if chosen.is_empty() {
            chosen = usable().collect();
        }
        // QUIC before TCP, so that the cap takes second choices.
        chosen.sort_by_key(|address| !address.ends_with("/quic-v1"));
        chosen.into_iter().take(MAX_ADDRESSES).cloned().collect()
    }
}

fn is_loopback(address: &str) -> bool {
    address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/")
}

fn is_link_local(address: &str) -> bool {
    address.starts_with("/ip4/169.254.") || address.starts_with("/ip6/fe80:")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId([1; 32]);

    fn listening(addresses: &[&str]) -> Announcement {
        let mut announcement = Announcement::default();
        for address in addresses {
            announcement.add_listening((*address).to_owned());
        }
        announcement
    }

    #[test]
    fn loopback_is_announced_only_if_there_is_nothing_else() {
        let alone = ["/ip4/127.0.0.1/udp/1/quic-v1"];
        assert_eq!(listening(&alone).profile().addresses, alone);
        let both = listening(&["/ip4/127.0.0.1/udp/1/quic-v1", "/ip4/192.0.2.1/udp/1/quic-v1"]);
        assert_eq!(both.profile().addresses, ["/ip4/192.0.2.1/udp/1/quic-v1"]);
        assert_eq!(both.listening().len(), 2);
    }

    #[test]
    fn quic_comes_first_and_link_local_never() {
        let addresses = listening(&[
            "/ip6/fe80::1/udp/1/quic-v1",
            "/ip4/192.0.2.1/tcp/1",
            "/ip4/192.0.2.1/udp/1/quic-v1",
        ])
        .profile()
        .addresses;
        assert_eq!(addresses, ["/ip4/192.0.2.1/udp/1/quic-v1", "/ip4/192.0.2.1/tcp/1"]);
    }

    #[test]
    fn what_the_operator_announces_stands_alone() {
        let announced = vec!["/dns4/mesh.example/udp/1/quic-v1".to_owned()];
        let mut announcement = Announcement::new(Profile::default(), announced.clone());
        assert!(!announcement.add_listening("/ip4/192.0.2.1/tcp/1".into()));
        assert_eq!(announcement.profile().addresses, announced);
    }

    #[test]
    fn an_address_that_is_known_changes_nothing() {
        let mut announcement = listening(&["/ip4/192.0.2.1/tcp/1"]);
        assert!(!announcement.add_listening("/ip4/192.0.2.1/tcp/1".into()));
        assert!(!announcement.add_listening("/ip4/127.0.0.1/tcp/1".into()));
    }

    #[test]
    fn a_peer_is_dialled_where_it_says_then_where_the_operator_says_then_where_it_was() {
        let seed = Seed { peer: PEER, address: "/seed".into() };
        let mut book = AddressBook::new(vec![seed]);
        book.learn(PEER, "/last".into());
        assert_eq!(book.of(&PEER, &["/own".into(), "/seed".into()]), ["/own", "/seed", "/last"]);
        assert!(book.of(&PeerId([2; 32]), &[]).is_empty());
    }

    #[test]
    fn the_book_is_bounded() {
        let mut book = AddressBook::default();
        for number in 0..2 * MAX_LEARNED {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            book.learn(PeerId(id), "/somewhere".into());
        }
        assert_eq!(book.learned.len(), MAX_LEARNED);
    }
}
