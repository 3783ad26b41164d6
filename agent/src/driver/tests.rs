//! The driver over a real transport on loopback, without the rest of the agent.

use std::sync::Arc;

use plexmesh_net::{Identity, NetConfig};
use plexmesh_proto::admission::credential::Credential;
use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::record::{Authorities, Certificate, MeshId, Profile, Role};
use plexmesh_proto::types::PeerId;
use plexmesh_proto::{Config, Node};

use super::*;
use crate::identity::NodeKeys;
use crate::mesh::{Gate, MeshAdmission, Seed};
use crate::query::{DriverHandle, QUERY_QUEUE};
use crate::store::AgentStore;

const MESH: MeshId = MeshId([3; 32]);

/// A driver with what is needed to talk to it.
/// What a peer with a certificate shows.
fn shown(certificate: &Certificate) -> Vec<u8> {
    Credential { certificate: certificate.clone(), changes: Vec::new() }.encode()
}

struct Peer {
    id: PeerId,
    handle: DriverHandle,
    stop: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<Ended>,
    _samples: mpsc::Sender<Resources>,
}

impl Peer {
    fn start(authority: &NodeKeys, seeds: Vec<Seed>) -> Self {
        let keys = NodeKeys::new(Identity::generate());
        let certificate = Certificate::issue(
            &mut authority.clone(),
            authority.peer(),
            MESH,
            keys.peer(),
            vec![Role::Member],
            0,
            u64::MAX,
        );
        let authorities = Arc::new(Authorities::from(vec![authority.peer()]));
        let gate = Gate::new(authorities.clone());
        let admission = MeshAdmission::new(keys.clone(), MESH, gate.clone());
        let mut config = NetConfig::new(keys.identity().clone(), MESH.0, shown(&certificate));
        config.listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".into()];
        let (net, net_events) = plexmesh_net::spawn(config, Arc::new(admission)).unwrap();
        let id = keys.peer();
        let config = Config {
            mesh: MESH,
            authorities,
            certificate,
            profile: Profile::default(),
            seeds: seeds.iter().map(|seed| seed.peer).collect(),
            last_version: Version::default(),
            key_epoch: 0,
        };
        let node = Node::new(config, keys, AgentStore::in_memory(), clock::now());
        let (query_sender, queries) = mpsc::channel(QUERY_QUEUE);
        let (samples_sender, samples) = mpsc::channel(1);
        let (events, _) = broadcast::channel(64);
        let (stop, stopped) = watch::channel(false);
        let driver = Driver::new(Parts {
            node,
            net,
            net_events,
            early_events: Vec::new(),
            queries,
            events: events.clone(),
            samples,
            shards: watch::channel(None).1,
            denial: watch::channel(None).1,
            troubles: watch::channel(Vec::new()).1,
            announcement: Announcement::default(),
            addresses: AddressBook::new(seeds),
            welcome: Welcome {
                mesh: MESH,
                authorities: Arc::new(vec![authority.peer()].into()),
                secrets: None,
                data_dir: std::path::PathBuf::new(),
            },
            gate,
            started_ms: clock::wall_ms(),
            watchdog: Watchdog::none(),
        });
        let handle = DriverHandle::new(query_sender, events);
        let ended = tokio::spawn(driver.run(stopped));
        Self { id, handle, stop, ended, _samples: samples_sender }
    }

    async fn until<T: Send + 'static>(
        &self,
        read: impl Fn(&Snapshot<'_>) -> Option<T> + Clone + Send + 'static,
    ) -> T {
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                let look = read.clone();
                if let Some(value) = self.handle.read(move |moment| look(moment)).await.unwrap() {
                    return value;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.expect("it did not come about")
    }

    async fn seed(&self) -> Seed {
        let address = self.until(|moment| moment.listening.first().cloned()).await;
        Seed { peer: self.id, address }
    }
}

async fn pair() -> (Peer, Peer) {
    let authority = NodeKeys::new(Identity::generate());
    let first = Peer::start(&authority, Vec::new());
    let second = Peer::start(&authority, vec![first.seed().await]);
    for (peer, other) in [(&first, second.id), (&second, first.id)] {
        peer.until(move |moment| {
            (moment.node.state_of(&other) == Some(PeerState::Up)).then_some(())
        })
        .await;
    }
    (first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_peers_find_each_other_by_a_seed_and_agree() {
    let (first, second) = pair().await;
    let digest = first.until(|moment| Some(moment.node.digest())).await;
    second.until(move |moment| (moment.node.digest() == digest).then_some(())).await;
    let states = first.until(|moment| Some(moment.events.iter().count())).await;
    assert!(states > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leave_reaches_the_other_and_ends_the_driver() {
    let (first, second) = pair().await;
    let gone = second.id;
    second.handle.leave("new disk".into()).await.unwrap();
    first
        .until(move |moment| (moment.node.state_of(&gone) == Some(PeerState::Left)).then_some(()))
        .await;
    assert_eq!(second.ended.await.unwrap(), Ended::Left);
}

#[tokio::test]
async fn a_driver_stops_when_told_and_then_answers_nobody() {
    let authority = NodeKeys::new(Identity::generate());
    let peer = Peer::start(&authority, Vec::new());
    let mut events = peer.handle.subscribe();
    peer.until(|moment| (moment.node.overview(moment.now).component == 1).then_some(())).await;
    assert!(events.recv().await.is_ok());
    peer.stop.send_replace(true);
    assert_eq!(peer.ended.await.unwrap(), Ended::Stopped);
    assert!(peer.handle.read(|_| ()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_sending_what_does_not_decode_is_counted_and_disconnected() {
    let authority = NodeKeys::new(Identity::generate());
    let peer = Peer::start(&authority, Vec::new());
    let seed = peer.seed().await;
    let keys = NodeKeys::new(Identity::generate());
    let certificate = Certificate::issue(
        &mut authority.clone(),
        authority.peer(),
        MESH,
        keys.peer(),
        vec![Role::Member],
        0,
        u64::MAX,
    );
    let gate = Gate::new(Arc::new(vec![authority.peer()].into()));
    let admission = MeshAdmission::new(keys.clone(), MESH, gate);
    let config = NetConfig::new(keys.identity().clone(), MESH.0, shown(&certificate));
    let (net, mut events) = plexmesh_net::spawn(config, Arc::new(admission)).unwrap();
    net.dial(seed.peer.0, vec![seed.address]).unwrap();
    let thrown_out = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            match events.recv().await.unwrap() {
                NetEvent::Connected { .. } => {
                    for _ in 0..8 {
                        net.frame(seed.peer.0, vec![0xFF; 9]).unwrap();
                    }
                }
                NetEvent::Disconnected { .. } => return,
                _ => {}
            }
        }
    });
    thrown_out.await.expect("still connected");
    let counted = peer.until(|moment| Some(moment.malformed.clone())).await;
    assert_eq!(counted.get("malformed_frame_encoding"), Some(&8));
}
