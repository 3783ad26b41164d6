//! Addresses before they are used.

use std::io;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use thiserror::Error;

use crate::event::PathKind;
use crate::identity::{PeerKey, peer_id};

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a multiaddr ({reason}); one looks like /ip4/192.0.2.1/udp/6374/quic-v1")]
pub struct AddressError {
    /// The text.
    pub text: String,
    /// What the parser said.
    pub reason: String,
}

/// Whether a text is a multiaddr. That the transport can listen on it, or dial it, is not said.
///
/// # Errors
/// [`AddressError`] if it does not parse.
pub fn check_address(text: &str) -> Result<(), AddressError> {
    text.parse::<Multiaddr>()
        .map(drop)
        .map_err(|error| AddressError { text: text.to_owned(), reason: error.to_string() })
}

/// Reads an address; the peer id may stand at its end.
pub(crate) fn parse_address(text: &str, peer: &PeerKey) -> Result<Multiaddr, String> {
    let mut address: Multiaddr = text.parse().map_err(|error| format!("{error}"))?;
    if let Some(Protocol::P2p(named)) = address.iter().last() {
        if named != peer_id(peer) {
            return Err("this is the address of another peer".to_owned());
        }
        address.pop();
    }
    Ok(address)
}

pub(crate) fn path_kind(address: &Multiaddr) -> PathKind {
    if address.iter().any(|p| matches!(p, Protocol::QuicV1)) {
        PathKind::Quic
    } else {
        PathKind::Tcp
    }
}

/// Name resolution reports its attempts as a list, one a line.
pub(crate) fn on_one_line(error: &io::Error) -> String {
    error.to_string().replace("\n - ", " ")
}
