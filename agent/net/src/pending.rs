//! Inbound connections that are not admitted yet, by where they come from: one address must not take
//! all places.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{PeerId, swarm};
use thiserror::Error;

use crate::admission::Origin;
use crate::config::{MAX_PENDING_CONNECTIONS, MAX_PENDING_OF_ONE};
use crate::stats::Counters;

/// An address has its share of the places already.
#[derive(Debug, Error)]
#[error("its address has {MAX_PENDING_OF_ONE} connections that are not admitted yet")]
struct OverShare;

/// Denies inbound connections of an address that has its share of the pending ones, once places become
/// rare.
#[derive(Debug)]
pub(crate) struct Behaviour {
    pending: BTreeMap<ConnectionId, Origin>,
    counters: Arc<Counters>,
}

impl Behaviour {
    pub(crate) const fn new(counters: Arc<Counters>) -> Self {
        Self { pending: BTreeMap::new(), counters }
    }

    /// Takes a place for a connection from there.
    fn take(&mut self, connection: ConnectionId, from: &Multiaddr) -> Result<(), OverShare> {
        let origin = Origin::of(from);
        let rare = self.pending.len() >= (MAX_PENDING_CONNECTIONS / 2) as usize;
        let held = self.pending.values().filter(|it| **it == origin).count();
        if rare && held >= MAX_PENDING_OF_ONE && !is_loopback(from) {
            return Err(OverShare);
        }
        self.pending.insert(connection, origin);
        Ok(())
    }
}

/// Whoever is on this host has shorter ways to harm the agent; and many agents of one host are a
/// common way to try things.
fn is_loopback(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.to_canonical().is_loopback(),
        _ => false,
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.take(connection, remote).map_err(|error| {
            self.counters.denied_over_share.increment();
            ConnectionDenied::new(error)
        })
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending.remove(&connection);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ListenFailure(swarm::behaviour::ListenFailure { connection_id, .. }) =
            event
        {
            self.pending.remove(&connection_id);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    fn behaviour() -> Behaviour {
        Behaviour::new(Arc::default())
    }

    fn fill(behaviour: &mut Behaviour, from: &str, count: usize) -> usize {
        let first = behaviour.pending.len() * 1_000;
        let taken = (first..first + count).map(|number| {
            let connection = ConnectionId::new_unchecked(number);
            behaviour.handle_pending_inbound_connection(
                connection,
                &address("/ip4/0.0.0.0/tcp/1"),
                &address(from),
            )
        });
        taken.filter(Result::is_ok).count()
    }

    #[test]
    fn one_address_has_half_of_all_places_and_others_still_get_one() {
        let mut behaviour = behaviour();
        assert_eq!(fill(&mut behaviour, "/ip4/192.0.2.1/tcp/9", 40), 16);
        assert_eq!(behaviour.counters.denied_over_share.get(), 24);
        assert_eq!(fill(&mut behaviour, "/ip4/192.0.2.2/tcp/9", 1), 1);
    }

    #[test]
    fn once_places_are_rare_an_address_has_its_share_and_what_ended_makes_room() {
        let mut behaviour = behaviour();
        assert_eq!(fill(&mut behaviour, "/ip6/2001:db8::1/udp/9/quic-v1", 15), 15);
        assert_eq!(fill(&mut behaviour, "/ip4/192.0.2.2/tcp/9", 40), MAX_PENDING_OF_ONE);
        let ended: Vec<_> = behaviour.pending.keys().copied().collect();
        for connection in ended {
            behaviour.pending.remove(&connection);
        }
        assert_eq!(fill(&mut behaviour, "/ip4/192.0.2.2/tcp/9", 1), 1);
    }

    #[test]
    fn this_host_may_have_all() {
        assert_eq!(fill(&mut behaviour(), "/ip4/127.0.0.1/tcp/9", 40), 40);
    }
}
