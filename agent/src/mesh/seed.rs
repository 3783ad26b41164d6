//! Where a peer without connections begins: `/ip4/192.0.2.1/udp/6374/quic-v1/p2p/12D3KooW...`.

use std::fmt;
use std::str::FromStr;

use plexmesh_net::{PeerIdError, parse_peer_id, peer_id_text};
use plexmesh_proto::types::PeerId;
use thiserror::Error;

/// A peer and one address of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Who.
    pub peer: PeerId,
    /// Multiaddr without the `/p2p` part.
    pub address: String,
}

/// Why a text is no seed.
#[derive(Debug, Error)]
pub enum SeedError {
    /// The part that names the peer is missing.
    #[error("`{0}` names no peer; a seed ends in /p2p/12D3KooW...")]
    NoPeer(String),
    /// The part that names the peer does not parse.
    #[error("`{text}`: {source}")]
    Peer {
        /// The text.
        text: String,
        /// What is wrong with the id.
        source: PeerIdError,
    },
}

impl FromStr for Seed {
    type Err = SeedError;

    fn from_str(text: &str) -> Result<Self, SeedError> {
        let (address, id) = text
            .trim()
            .rsplit_once("/p2p/")
            .filter(|(address, _)| address.starts_with('/'))
            .ok_or_else(|| SeedError::NoPeer(text.to_owned()))?;
        let peer = parse_peer_id(id)
            .map_err(|source| SeedError::Peer { text: text.to_owned(), source })?;
        Ok(Self { peer: PeerId(peer), address: address.to_owned() })
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/p2p/{}", self.address, peer_id_text(&self.peer.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_survives_its_text() {
        let key = plexmesh_net::Identity::generate().public();
        let seed = Seed { peer: PeerId(key), address: "/ip4/192.0.2.1/tcp/6374".into() };
        assert_eq!(seed.to_string().parse::<Seed>().unwrap(), seed);
    }

    #[test]
    fn what_names_no_peer_is_refused_with_the_form() {
        for text in ["", "/ip4/192.0.2.1/tcp/6374", "192.0.2.1:6374", "/p2p/", "x/p2p/y"] {
            let error = text.parse::<Seed>().unwrap_err().to_string();
            assert!(error.contains("12D3KooW"), "{text}: {error}");
        }
    }
}
