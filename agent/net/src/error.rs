//! What can go wrong, in words a person can act on.

use thiserror::Error;

/// Why the transport could not be started.
#[derive(Debug, Error)]
pub enum NetError {
    /// The identity's bytes are not a usable Ed25519 key.
    #[error("the identity key is unusable: {0}")]
    Identity(String),
    /// A listen address in the configuration is not a multiaddr.
    #[error("`{address}` is not a listen address ({reason}); try /ip4/0.0.0.0/udp/6374/quic-v1")]
    ListenAddress {
        /// The text as configured.
        address: String,
        /// What the parser said.
        reason: String,
    },
    /// A socket could not be bound.
    #[error("cannot listen on {address}: {reason}; is another agent running on this port?")]
    Listen {
        /// The multiaddr that was asked for.
        address: String,
        /// What the operating system said.
        reason: String,
    },
    /// The certificate does not fit into a hello.
    #[error("the certificate is {size_bytes} bytes, at most {limit_bytes} fit into a hello")]
    CertificateTooLong {
        /// Size of the configured certificate.
        size_bytes: usize,
        /// The largest that is allowed.
        limit_bytes: usize,
    },
    /// A part of the protocol stack refused its settings.
    #[error("the {part} could not be set up: {reason}")]
    Setup {
        /// Which part.
        part: &'static str,
        /// What it said.
        reason: String,
    },
    /// [`spawn`](crate::spawn) was called outside a Tokio runtime.
    #[error("the network needs a running Tokio runtime; call spawn from inside it")]
    NoRuntime,
}

/// Why a command did not reach the network task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// The command queue is full; the command was dropped and counted.
    #[error("the network task is behind; the command was dropped")]
    Full,
    /// The network task has ended.
    #[error("the network task has ended")]
    Closed,
    /// The payload exceeds what the protocol carries; nothing was sent.
    #[error("payload of {size_bytes} bytes exceeds the limit of {limit_bytes}")]
    TooLong {
        /// Size of the payload.
        size_bytes: usize,
        /// The protocol's limit.
        limit_bytes: usize,
    },
}

/// Why a text is not the id of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeerIdError {
    /// The text does not parse.
    #[error("not a peer id ({0}); peer ids look like 12D3KooW...")]
    Malformed(String),
    /// A peer id, but not of an Ed25519 key.
    #[error("this peer id does not name an Ed25519 key; peer ids of the mesh begin with 12D3KooW")]
    NotEd25519,
}
