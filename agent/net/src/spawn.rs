//! Putting the parts together.

use std::sync::Arc;

use libp2p::Swarm;
use libp2p::core::upgrade::Version;
use libp2p::swarm;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::behaviour::{self, Behaviour};
use crate::config::{
    COMMAND_QUEUE, CONNECTION_MARGIN, EVENT_QUEUE, MAX_CERTIFICATE_BYTES, NetConfig,
};
use crate::error::NetError;
use crate::event::NetEvent;
use crate::handle::NetHandle;
use crate::hello::{Admission, Gate};
use crate::peers::Peers;
use crate::stats::Counters;
use crate::task::{Intent, Outbox, Task};
use crate::transport;

/// Starts the transport on the current Tokio runtime: listens, and waits for commands.
///
/// It ends when the last handle or the receiver is dropped, or on [`NetHandle::shutdown`].
///
/// # Errors
/// When the certificate is too long, a listen address is malformed or cannot be bound, or there
/// is no runtime.
pub fn spawn(
    config: NetConfig,
    admission: Arc<dyn Admission>,
) -> Result<(NetHandle, mpsc::Receiver<NetEvent>), NetError> {
    let runtime = Handle::try_current().map_err(|_| NetError::NoRuntime)?;
    if config.certificate.len() > MAX_CERTIFICATE_BYTES {
        return Err(NetError::CertificateTooLong {
            size_bytes: config.certificate.len(),
            limit_bytes: MAX_CERTIFICATE_BYTES,
        });
    }
    let local = config.identity.public();
    let counters = Arc::new(Counters::default());
    let connection_limit = config.max_connections.saturating_add(CONNECTION_MARGIN);
    let (event_sender, events) = mpsc::channel(EVENT_QUEUE);
    let weak = event_sender.downgrade();
    let gate = Gate::new(&config, admission, connection_limit, weak, Arc::clone(&counters));
    let gate = Arc::new(gate);
    let topic = behaviour::topic(&config.mesh_id);
    let mut swarm = swarm(&config, &gate, &topic, connection_limit, &counters)?;
    listen(&mut swarm, &config.listen)?;
    let (command_sender, commands) = mpsc::channel(COMMAND_QUEUE);
    let (intent_sender, intent) = watch::channel(Intent::default());
    let task = Task {
        swarm,
        local,
        topic,
        gate: Arc::clone(&gate),
        counters: Arc::clone(&counters),
        timing: config.timing,
        max_connections: config.max_connections,
        commands,
        intent,
        outbox: Outbox::new(event_sender),
        peers: Peers::new(local),
        dials: Default::default(),
        exchanges: Default::default(),
        broadcasts: Default::default(),
    };
    runtime.spawn(task.run());
    let handle = NetHandle::new(command_sender, intent_sender, gate, counters);
    Ok((handle, events))
}

fn swarm(
    config: &NetConfig,
    gate: &Arc<Gate>,
    topic: &libp2p::gossipsub::IdentTopic,
    connection_limit: usize,
    counters: &Arc<Counters>,
) -> Result<Swarm<Behaviour>, NetError> {
    let keypair = config.identity.keypair()?;
    let transport = transport::build(&keypair, Arc::clone(gate), &config.timing)?;
    let behaviour = Behaviour::new(
        keypair.public(),
        topic,
        connection_limit,
        &config.timing,
        Arc::clone(counters),
    )?;
    let settings = swarm::Config::with_tokio_executor()
        // One protocol is proposed at a time, so the first bytes need not wait for the answer:
        // a request takes one round trip and not two.
        .with_substream_upgrade_protocol_override(Version::V1Lazy);
    let local = keypair.public().to_peer_id();
    Ok(Swarm::new(transport, behaviour, local, settings))
}

fn listen(swarm: &mut Swarm<Behaviour>, addresses: &[String]) -> Result<(), NetError> {
    for address in addresses {
        let parsed = address.parse().map_err(|error| NetError::ListenAddress {
            address: address.clone(),
            reason: format!("{error}"),
        })?;
        swarm.listen_on(parsed).map_err(|error| NetError::Listen {
            address: address.clone(),
            reason: error.to_string(),
        })?;
    }
    Ok(())
}
