//! QUIC, and TCP with Noise and Yamux, with name resolution and, for the mesh, the gate at its end.

use std::error::Error;
use std::io;
use std::sync::Arc;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::transport::{Boxed, OrTransport};
use libp2p::core::upgrade::Version;
use libp2p::dns::{ResolverConfig, ResolverOpts};
use libp2p::identity::Keypair;
use libp2p::{PeerId, Transport as _, dns, noise, quic, tcp, yamux};
use thiserror::Error;

use crate::config::NetTiming;
use crate::error::NetError;
use crate::hello::{Gate, HelloError};

/// Bytes one QUIC stream may have in flight: two of the largest responses.
const QUIC_STREAM_WINDOW_BYTES: u32 = 512 * 1024;

/// Bytes all streams of one QUIC connection may have in flight. With 24 connections the worst
/// case stays below 50 MiB.
const QUIC_CONNECTION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// Streams a peer may hold open on one connection: a dozen long-lived ones, and the requests
/// in flight.
const MAX_STREAMS: u32 = 64;

/// The stack below the gate.
type Base = Boxed<(PeerId, StreamMuxerBox)>;

/// Why a connection did not come about.
#[derive(Debug, Error)]
enum LinkError {
    #[error("{0}")]
    Below(io::Error),
    #[error("{0}")]
    Gate(#[source] HelloError),
}

/// Builds the transport whose connections are all admitted.
pub(crate) fn build(
    keypair: &Keypair,
    gate: Arc<Gate>,
    timing: &NetTiming,
) -> Result<Base, NetError> {
    let gated = ungated(keypair, timing)?
        .and_then(move |(peer, muxer), endpoint| Arc::clone(&gate).pass(peer, muxer, endpoint))
        .map_err(|error| error.either(LinkError::Below, LinkError::Gate));
    // One address: room to resolve its name, and for one dead address behind the name. Three
    // times the hello: a stranger's request, its answer, and for the answer to be read.
    let address_timeout = timing.handshake_timeout * 2 + timing.hello_timeout * 3;
    Ok(TransportTimeout::new(gated, address_timeout).boxed())
}

/// Builds the transport whose connections prove the other side's key and no more.
pub(crate) fn ungated(keypair: &Keypair, timing: &NetTiming) -> Result<Base, NetError> {
    let named = match dns::tokio::Transport::system(base(keypair, timing)?) {
        Ok(named) => named,
        Err(error) => {
            // Numeric addresses still work, and most of a mesh's addresses are numeric.
            tracing::warn!(
                %error,
                "the system's resolver settings are unreadable: host names will not resolve; \
                 check /etc/resolv.conf"
            );
            let base = base(keypair, timing)?;
            dns::tokio::Transport::custom(base, ResolverConfig::default(), ResolverOpts::default())
        }
    };
    Ok(named.boxed())
}

/// What went wrong at the gate, if it was there.
pub(crate) fn hello_error(error: &io::Error) -> Option<&HelloError> {
    let mut cause: &(dyn Error + 'static) = error.get_ref()?;
    loop {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        cause = cause.source()?;
    }
}

fn base(keypair: &Keypair, timing: &NetTiming) -> Result<Base, NetError> {
    let quic = quic::tokio::Transport::new(quic_config(keypair, timing))
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    let noise = noise::Config::new(keypair)
        .map_err(|error| NetError::Setup { part: "Noise handshake", reason: error.to_string() })?;
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(MAX_STREAMS as usize);
    // Probe frames are tiny and timed: Nagle's algorithm would hold them back.
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux)
        .timeout(timing.handshake_timeout)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(OrTransport::new(quic, tcp)
        .map(|either, _| either.into_inner())
        .map_err(io::Error::other)
        .boxed())
}

fn quic_config(keypair: &Keypair, timing: &NetTiming) -> quic::Config {
    let mut config = quic::Config::new(keypair);
    config.max_idle_timeout = u32::try_from(timing.idle_timeout.as_millis()).unwrap_or(u32::MAX);
    config.keep_alive_interval = timing.keep_alive;
    config.handshake_timeout = timing.handshake_timeout;
    config.max_concurrent_stream_limit = MAX_STREAMS;
    config.max_stream_data = QUIC_STREAM_WINDOW_BYTES;
    config.max_connection_data = QUIC_CONNECTION_WINDOW_BYTES;
    // Looking for a larger packet costs 5.7 KB on each new connection, and most are short visits; nearly all
    // messages fit in the 1200 bytes that every path takes.
    config.disable_path_mtu_discovery()
}
