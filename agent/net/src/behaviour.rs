//! The protocols of an admitted connection, and their settings.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{
    self, IdentTopic, MaxCountSubscriptionFilter, MessageAuthenticity, MessageId, ValidationMode,
    WhitelistSubscriptionFilter,
};
use libp2p::identity::PublicKey;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{identify, request_response};

use crate::config::{
    MAX_BROADCAST_BYTES, MAX_CONNECTIONS_PER_PEER, MAX_PENDING_CONNECTIONS, NetTiming,
};
use crate::error::NetError;
use crate::exchange::{self, ExchangeCodec};
use crate::pending;
use crate::probe_stream;
use crate::stats::Counters;

/// What a gossip message adds to its payload on the wire: topic, tags, lengths.
const BROADCAST_OVERHEAD_BYTES: usize = 1024;

/// Gossip messages waiting for one peer. Broadcasts are rare; a partition that heals brings a
/// few hundred, and what overflows is repaired by the exchanges.
const BROADCAST_QUEUE: usize = 512;

/// How long a message id is remembered: longer than a message can travel through a mesh with
/// stalled peers, each of which holds it for at most a few seconds.
const DUPLICATE_MEMORY: Duration = Duration::from_secs(5 * 60);

/// Bytes of BLAKE3 that name a message. 128 bits: a collision drops one broadcast, no more.
const MESSAGE_ID_BYTES: usize = 16;

/// Gossip's own heartbeat starts soon so that a restarted agent is in the mesh before its first
/// news; its default of five seconds is meant for large public networks.
const BROADCAST_INITIAL_DELAY: Duration = Duration::from_millis(200);

/// Subscriptions in one message of gossip: there is one topic to come to and to leave.
const MAX_SUBSCRIPTIONS: usize = 2;

/// Neighbours per peer in the broadcast mesh. Six reaches a thousand peers in four hops.
const BROADCAST_MESH: usize = 6;

/// Addresses change seldom, and each connection identifies itself when it begins anyway.
const IDENTIFY_INTERVAL: Duration = Duration::from_secs(3600);

/// Gossip about one topic: of others a member cannot make an agent remember anything.
pub(crate) type Broadcast = gossipsub::Behaviour<
    gossipsub::IdentityTransform,
    MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>,
>;

/// The protocols of an admitted connection. Limits come first: they deny before others prepare.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) pending: pending::Behaviour,
    pub(crate) identify: identify::Behaviour,
    pub(crate) probe: probe_stream::Behaviour,
    pub(crate) exchange: request_response::Behaviour<ExchangeCodec>,
    pub(crate) broadcast: Broadcast,
}

impl Behaviour {
    pub(crate) fn new(
        key: PublicKey,
        topic: &IdentTopic,
        connection_limit: usize,
        timing: &NetTiming,
        counters: Arc<Counters>,
    ) -> Result<Self, NetError> {
        let identify = identify::Config::new("/plexmesh/1".to_owned(), key)
            .with_agent_version(concat!("plexmesh/", env!("CARGO_PKG_VERSION")).to_owned())
            .with_interval(IDENTIFY_INTERVAL)
            .with_push_listen_addr_updates(false)
            // Addresses of other peers come from their signed records, never from here.
            .with_cache_size(0);
        Ok(Self {
            limits: connection_limits::Behaviour::new(limits(connection_limit)),
            pending: pending::Behaviour::new(Arc::clone(&counters)),
            identify: identify::Behaviour::new(identify),
            probe: probe_stream::Behaviour::new(Arc::clone(&counters)),
            exchange: exchange::behaviour(timing.request_timeout, counters),
            broadcast: broadcast(topic)?,
        })
    }
}

/// The topic of a mesh. Its name keeps two meshes apart even on one host.
pub(crate) fn topic(mesh_id: &[u8; 32]) -> IdentTopic {
    let name: String = mesh_id.iter().take(8).map(|b| format!("{b:02x}")).collect();
    IdentTopic::new(format!("plexmesh/1/{name}/broadcast"))
}

fn limits(connection_limit: usize) -> ConnectionLimits {
    let established = u32::try_from(connection_limit).unwrap_or(u32::MAX);
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(MAX_PENDING_CONNECTIONS))
        .with_max_pending_outgoing(Some(MAX_PENDING_CONNECTIONS))
        .with_max_established(Some(established))
        .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER))
}

fn broadcast(topic: &IdentTopic) -> Result<Broadcast, NetError> {
    let failed = |reason: String| NetError::Setup { part: "broadcast protocol", reason };
    let config = gossipsub::ConfigBuilder::default()
        // Payloads are signed records: an outer signature would be checked for every duplicate
        // and would tell who published first.
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| {
            let hash = blake3::hash(&message.data);
            MessageId::new(hash.as_bytes().split_at(MESSAGE_ID_BYTES).0)
        })
        .heartbeat_initial_delay(BROADCAST_INITIAL_DELAY)
        .mesh_n(BROADCAST_MESH)
        .mesh_n_low(BROADCAST_MESH - 2)
        .mesh_n_high(BROADCAST_MESH * 2)
        .flood_publish(true)
        .max_transmit_size(MAX_BROADCAST_BYTES + BROADCAST_OVERHEAD_BYTES)
        .duplicate_cache_time(DUPLICATE_MEMORY)
        .connection_handler_queue_len(BROADCAST_QUEUE)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(HashSet::from([topic.hash()])),
        max_subscribed_topics: 1,
        max_subscriptions_per_request: MAX_SUBSCRIPTIONS,
    };
    let mut behaviour = gossipsub::Behaviour::new_with_subscription_filter(
        MessageAuthenticity::Anonymous,
        config,
        filter,
    )
    .map_err(|error| failed(error.to_owned()))?;
    behaviour.subscribe(topic).map_err(|error| failed(error.to_string()))?;
    Ok(behaviour)
}
