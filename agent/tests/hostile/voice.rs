//! An attacker that speaks through the product's own transport: well-formed outside, not inside.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use plexmesh_agent::time::WallTime;
use plexmesh_net::{
    Admission, MAX_BROADCAST_BYTES, NetConfig, NetEvent, NetHandle, NotAdmitted, PeerKey, Verdict,
    spawn,
};
use plexmesh_proto::exchange::message::{Cursor, ExchangeAnswer, ExchangeRequest};
use plexmesh_proto::integrity::{FindingKind, ShardFinding};
use plexmesh_proto::record::{Kind, Links, Payload, Record};
use plexmesh_proto::report::Severity;
use plexmesh_proto::types::{PeerId, Version};
use plexmesh_proto::wire;
use tokio::sync::mpsc::Receiver;

use crate::scene::Scene;

/// Between two deeds of one who does not flood.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two bursts of one who floods; the transport's own queue is the limit.
const FLOOD_PAUSE: Duration = Duration::from_millis(1);
/// Records that an attacker remembers of others.
const MEMORY: usize = 64;
/// How far ahead a far future is, in milliseconds: a day.
const FAR_MS: u64 = 86_400_000;
/// Number of the first kind that nobody knows.
const FIRST_UNKNOWN: u32 = 1_000;

/// What a voice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    Garbage,
    TooLarge,
    Bomb,
    Forged,
    Replayed,
    FarFuture,
    OthersOrigin,
    UnknownKinds,
    ValidFlood,
    Equivocation,
    BroadcastFlood,
}

struct Anybody;

impl Admission for Anybody {
    fn admit(&self, _: &PeerKey, _: &[u8]) -> Result<(), NotAdmitted> {
        Ok(())
    }
}

struct Voice<'a> {
    scene: &'a Scene,
    lie: Lie,
    handle: NetHandle,
    events: Receiver<NetEvent>,
    connected: BTreeSet<PeerKey>,
    heard: Vec<Arc<Record>>,
    said: u64,
    answer: Vec<u8>,
}

/// Lies until the scene ends.
pub(crate) async fn lie(scene: &Scene, lie: Lie) {
    let config = NetConfig::new(
        scene.member.identity.clone(),
        scene.member.mesh,
        scene.member.certificate.clone(),
    );
    let (handle, events) = spawn(config, Arc::new(Anybody)).unwrap();
    handle.set_wanted(scene.targets.iter().map(|(key, _)| *key).collect());
    let answer = wire::encode_answer(&ExchangeAnswer::default());
    let (connected, heard) = (BTreeSet::new(), Vec::new());
    let mut voice = Voice { scene, lie, handle, events, connected, heard, said: 0, answer };
    while scene.goes_on() {
        for (key, addresses) in &scene.targets {
            if !voice.connected.contains(key) {
                let _ = voice.handle.dial(*key, addresses.clone());
            }
        }
        voice.listen();
        if !voice.connected.is_empty() {
            voice.act();
        }
        let floods = matches!(lie, Lie::UnknownKinds | Lie::ValidFlood | Lie::BroadcastFlood);
        tokio::time::sleep(if floods { FLOOD_PAUSE } else { PAUSE }).await;
    }
    voice.handle.shutdown().await;
}

/// A request that pushes as many empty records as fit: two bytes each on the wire.
fn bomb() -> Vec<u8> {
    let digest = [&[0x0a, 16][..], &[0; 16]].concat();
    let records = [0x2a, 0].repeat((wire::MAX_EXCHANGE_BYTES - digest.len()) / 2);
    [digest, records].concat()
}

impl Voice<'_> {
    fn listen(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            match event {
                NetEvent::Connected { peer, .. } => {
                    self.connected.insert(peer);
                    let record = self.scene.peer_record("hostile".to_owned(), self.version());
                    self.push(&[record]);
                    self.ask_for_all(peer);
                }
                NetEvent::Disconnected { peer } => {
                    self.connected.remove(&peer);
                    self.scene.count_cut();
                }
                NetEvent::Request { token, bytes, .. } => {
                    let _ = self.handle.respond(token, self.answer.clone());
                    if let Ok(request) = wire::decode_request(&bytes) {
                        self.remember(request.push);
                    }
                }
                NetEvent::Broadcast { token, bytes, .. } => {
                    let _ = self.handle.verdict(token, Verdict::Ignore);
                    self.remember(wire::decode_broadcast(&bytes).ok().map(Arc::new));
                }
                NetEvent::Response { from, bytes, .. } => {
                    let Ok(answer) = wire::decode_answer(&bytes) else { continue };
                    self.remember(answer.records);
                    if !answer.ids.is_empty() {
                        let wants = answer.ids.into_iter().take(16).collect();
                        let request = ExchangeRequest { wants, ..ExchangeRequest::default() };
                        self.request(from, wire::encode_request(&request));
                    }
                }
                _ => {}
            }
        }
    }

    fn remember(&mut self, records: impl IntoIterator<Item = Arc<Record>>) {
        let me = self.scene.own.keys.peer();
        for record in records {
            if record.origin() != me && self.heard.len() < MEMORY {
                self.heard.push(record);
            }
        }
    }

    fn act(&mut self) {
        self.said += 1;
        match self.lie {
            Lie::Garbage => self.say_bytes(vec![0xff; 100]),
            Lie::TooLarge => self.say_bytes(vec![0; MAX_BROADCAST_BYTES]),
            Lie::Bomb => self.say_bytes(bomb()),
            Lie::UnknownKinds | Lie::ValidFlood | Lie::BroadcastFlood => {
                (0..20).for_each(|_| self.say_records())
            }
            _ => self.say_records(),
        }
    }

    /// The same bytes as an answer, a broadcast and a request.
    fn say_bytes(&mut self, mut bytes: Vec<u8>) {
        self.answer.clone_from(&bytes);
        for peer in self.connected.clone() {
            if bytes.len() <= wire::MAX_EXCHANGE_BYTES {
                self.request(peer, bytes.clone());
            }
        }
        bytes.truncate(MAX_BROADCAST_BYTES - 8);
        // Gossip delivers the same content once.
        bytes.extend_from_slice(&self.said.to_be_bytes());
        let _ = self.handle.publish(bytes);
        self.scene.count_deed();
    }

    fn say_records(&mut self) {
        self.said += 1;
        let records = self.records();
        for record in &records {
            let _ = self.handle.publish(wire::encode_broadcast(record));
        }
        if self.lie != Lie::BroadcastFlood {
            self.push(&records);
            let answer = ExchangeAnswer { records, ..ExchangeAnswer::default() };
            self.answer = wire::encode_answer(&answer);
        }
        self.scene.count_deed();
    }

    fn records(&self) -> Vec<Arc<Record>> {
        let (scene, me, version) = (self.scene, self.scene.own.keys.peer(), self.version());
        let leave = || Payload::Leave { reason: format!("lie {}", self.said) };
        let victims = scene.targets.iter().map(|(key, _)| PeerId(*key));
        match self.lie {
            Lie::Forged => victims.map(|victim| scene.record(victim, version, leave())).collect(),
            Lie::Replayed => self.heard.iter().take(16).cloned().collect(),
            Lie::FarFuture => {
                let far = Version::at_ms(version.ms() + FAR_MS + self.said);
                vec![scene.record(me, far, Payload::Links(Links::default()))]
            }
            Lie::OthersOrigin | Lie::BroadcastFlood => {
                let mut nobody = [0; 32];
                nobody[..8].copy_from_slice(&self.said.to_be_bytes());
                vec![scene.record(PeerId(nobody), version, leave())]
            }
            Lie::UnknownKinds => {
                let kind = Kind(FIRST_UNKNOWN + u32::try_from(self.said % 100_000).unwrap());
                // Falling versions, so that what came first ranks higher than what follows.
                let falling = Version(version.0 - self.said * 1_000_000);
                vec![scene.record(me, falling, Payload::Unknown(kind, vec![7; 1_000]))]
            }
            Lie::ValidFlood => self.own_news(version),
            Lie::Equivocation => (0..2)
                .map(|body| scene.peer_record(format!("{body} of {}", self.said), version))
                .collect(),
            Lie::Garbage | Lie::TooLarge | Lie::Bomb => Vec::new(),
        }
    }

    /// New versions of all that an honest peer may say of itself.
    fn own_news(&self, version: Version) -> Vec<Arc<Record>> {
        let (scene, me) = (self.scene, self.scene.own.keys.peer());
        let count = u32::try_from(self.said % 1_000).unwrap() + 1;
        let kinds: Vec<FindingKind> = FindingKind::all().collect();
        let kind = kinds[usize::try_from(self.said).unwrap() % kinds.len()];
        let finding = ShardFinding { kind, count, severity: Severity::Low, since: version };
        vec![
            scene.peer_record(format!("name {}", self.said), version),
            scene.record(me, version, Payload::Links(Links::default())),
            scene.record(me, version, Payload::Finding(finding)),
        ]
    }

    fn push(&mut self, records: &[Arc<Record>]) {
        let request = ExchangeRequest { push: records.to_vec(), ..ExchangeRequest::default() };
        let bytes = wire::encode_request(&request);
        for peer in self.connected.clone() {
            self.request(peer, bytes.clone());
        }
    }

    fn ask_for_all(&mut self, peer: PeerKey) {
        let changes = Some(Cursor::default());
        let request = ExchangeRequest { changes, ..ExchangeRequest::default() };
        self.request(peer, wire::encode_request(&request));
    }

    fn request(&mut self, peer: PeerKey, bytes: Vec<u8>) {
        self.said += 1;
        let _ = self.handle.request(peer, self.said, bytes);
    }

    /// A version of this moment that was not used yet.
    fn version(&self) -> Version {
        Version(Version::at_ms(WallTime::now().ms()).0 + self.said % (1 << 16))
    }
}
