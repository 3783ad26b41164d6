//! Nodes on loopback sockets, and waiting for what they report.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use plexmesh_net::{
    Admission, Identity, NetConfig, NetEvent, NetHandle, NetStats, NetTiming, NotAdmitted,
    NotAdmittedBecause, PeerKey, spawn,
};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// Far above anything a loaded machine needs; a test that meets it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
pub(crate) const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub(crate) const MESH: [u8; 32] = [0x5a; 32];

/// Accepts certificates that begin with "good"; "late" ones have lapsed.
pub(crate) struct GoodOnly;

impl Admission for GoodOnly {
    fn admit(&self, _: &PeerKey, certificate: &[u8]) -> Result<(), NotAdmitted> {
        if certificate.starts_with(b"good") {
            Ok(())
        } else {
            let lapsed = certificate.starts_with(b"late");
            let because =
                if lapsed { NotAdmittedBecause::Lapsed } else { NotAdmittedBecause::Forged };
            Err(NotAdmitted { because, reason: "not a good certificate".to_owned() })
        }
    }
}

pub(crate) struct Node {
    pub(crate) key: PeerKey,
    pub(crate) handle: NetHandle,
    pub(crate) events: Receiver<NetEvent>,
    pub(crate) addresses: Vec<String>,
}

/// Settings for tests: good certificate, default limits, everything wanted for long.
pub(crate) fn config(listen: &[&str]) -> NetConfig {
    let identity = Identity::generate();
    let certificate = [b"good ", &identity.public()[..]].concat();
    NetConfig {
        listen: listen.iter().map(|a| (*a).to_owned()).collect(),
        timing: NetTiming { unwanted_after: PATIENCE, ..NetTiming::default() },
        ..NetConfig::new(identity, MESH, certificate)
    }
}

impl Node {
    pub(crate) async fn start(listen: &[&str]) -> Self {
        Self::start_with(config(listen)).await
    }

    pub(crate) async fn start_with(config: NetConfig) -> Self {
        let key = config.identity.public();
        let sockets = config.listen.len();
        let (handle, mut events) = spawn(config, Arc::new(GoodOnly)).unwrap();
        let mut addresses = Vec::new();
        while addresses.len() < sockets {
            match next(&mut events).await {
                NetEvent::Listening { addr } => addresses.push(addr),
                other => panic!("before listening: {other:?}"),
            }
        }
        Self { key, handle, events, addresses }
    }

    pub(crate) fn dial(&self, other: &Self) {
        self.handle.dial(other.key, other.addresses.clone()).unwrap();
    }

    /// Waits for an event that `pick` takes, passing over others.
    pub(crate) async fn wait<T>(&mut self, mut pick: impl FnMut(NetEvent) -> Option<T>) -> T {
        loop {
            if let Some(picked) = pick(next(&mut self.events).await) {
                return picked;
            }
        }
    }

    pub(crate) async fn wait_connected(&mut self, peer: PeerKey) {
        self.wait(|event| match event {
            NetEvent::Connected { peer: who, .. } if who == peer => Some(()),
            _ => None,
        })
        .await;
    }

    pub(crate) async fn wait_disconnected(&mut self, peer: PeerKey) {
        self.wait(|event| match event {
            NetEvent::Disconnected { peer: who } if who == peer => Some(()),
            _ => None,
        })
        .await;
    }

    pub(crate) async fn wait_dial_failed(&mut self, peer: PeerKey) -> String {
        self.wait(|event| match event {
            NetEvent::DialFailed { peer: who, reason } if who == peer => Some(reason),
            _ => None,
        })
        .await
    }

    /// Everything reported so far.
    pub(crate) fn drain(&mut self) -> Vec<NetEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}

async fn next(events: &mut Receiver<NetEvent>) -> NetEvent {
    timeout(PATIENCE, events.recv())
        .await
        .expect("no event in time")
        .expect("the network task has ended")
}

/// How many connections a node refused, for whatever reason.
pub(crate) fn refused(stats: &NetStats) -> u64 {
    let figures = stats.figures();
    let by_reason = figures.iter().find(|figure| figure.name == "refused").unwrap();
    by_reason.values.iter().map(|(_, count)| count).sum()
}

/// Polls until the condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let polled = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if timeout(PATIENCE, polled).await.is_err() {
        panic!("never came true: {what}");
    }
}

/// Connects `a` to `b` and makes each want the other.
pub(crate) async fn connect(a: &mut Node, b: &mut Node) {
    a.handle.set_wanted(BTreeSet::from([b.key]));
    b.handle.set_wanted(BTreeSet::from([a.key]));
    a.dial(b);
    both_connected(a, b).await;
}

/// Waits until each reports the other.
pub(crate) async fn both_connected(a: &mut Node, b: &mut Node) {
    a.wait_connected(b.key).await;
    b.wait_connected(a.key).await;
}
