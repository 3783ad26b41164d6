//! Addresses before they are used.

use libp2p::Multiaddr;
use thiserror::Error;

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
