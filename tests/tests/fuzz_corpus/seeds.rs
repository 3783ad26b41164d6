//! Real encodings to begin with.

use std::sync::Arc;

use plexmesh_agent::mesh::{self, Labels};
use plexmesh_proto::admission::credential::Credential;
use plexmesh_proto::admission::request::{
    AdmissionAnswer, AdmissionRefusal, AdmissionRequest, Admitted,
};
use plexmesh_proto::admission::token::{Enroller, JoinToken, Secret};
use plexmesh_proto::exchange::message::{Cursor, ExchangeAnswer, ExchangeRequest, SketchRange};
use plexmesh_proto::exchange::reconcile::riblt;
use plexmesh_proto::integrity::{FindingKind, Inventory, ShardFinding};
use plexmesh_proto::membership::frame::Frame;
use plexmesh_proto::port::Crypto;
use plexmesh_proto::record::{
    Authorities, AuthorityWord, Certificate, EdgeStatus, Enrolment, Heartbeat, Invite, KeyEpoch,
    Kind, LinkEdge, Links, MeshId, Payload, Profile, Record, Replacement, Resources, Revocation,
    RevocationCause, Role,
};
use plexmesh_proto::report::Severity;
use plexmesh_proto::types::{PeerId, RecordId, StateDigest, Version};
use plexmesh_proto::wire;

/// A target, the seed's name, and its bytes.
type Seed = (&'static str, &'static str, Vec<u8>);

const MESH: MeshId = MeshId([7; 32]);
const PEER: PeerId = PeerId([1; 32]);

/// Decoders look at the form of signatures alone.
struct NoKeys;

impl Crypto for NoKeys {
    fn seal(&mut self, _: &PeerId, _: &[u8; 32]) -> Vec<u8> {
        Vec::new()
    }

    fn open(&mut self, _: &[u8]) -> Option<[u8; 32]> {
        None
    }

    fn sign(&mut self, _: &[u8]) -> [u8; 64] {
        [3; 64]
    }

    fn verify(&mut self, _: &PeerId, _: &[u8], _: &[u8; 64]) -> bool {
        false
    }

    fn random_u64(&mut self) -> u64 {
        0x0102_0304_0506_0708
    }
}

/// All seeds.
pub(super) fn all() -> Vec<Seed> {
    [messages(), memberships(), certificates(), admissions(), tokens(), texts(), requests()]
        .concat()
}

fn enroller() -> Certificate {
    let roles = vec![Role::Member, Role::Enroller];
    Certificate::issue(&mut NoKeys, PeerId([9; 32]), MESH, PEER, roles, 0, 1_000_000)
}

fn member() -> Certificate {
    Certificate::issue_by_enroller(&mut NoKeys, &enroller(), PeerId([2; 32]), 0, 1_000_000)
}

fn record(payload: Payload) -> Arc<Record> {
    Arc::new(Record::sign(&mut NoKeys, &MESH, PEER, Version(0x0102), 1_000_000, payload))
}

fn payloads() -> [(&'static str, Payload); 6] {
    let profile = Profile {
        name: "alpha".to_owned(),
        addresses: vec!["/ip4/192.0.2.1/udp/6374/quic-v1".to_owned()],
        ..Profile::default()
    };
    let edge = |subject, status| LinkEdge {
        subject: PeerId([subject; 32]),
        status,
        since: Version(9),
        flaps: 1,
        sleep_grace_over: false,
        poor: false,
        evidence: None,
    };
    let edges = vec![edge(2, EdgeStatus::Lost), edge(3, EdgeStatus::Lost)];
    let finding = ShardFinding {
        kind: FindingKind::of_number(2).unwrap(),
        count: 300,
        severity: Severity::Critical,
        since: Version(9),
    };
    let heartbeat = Heartbeat {
        instance: 5,
        uptime_s: 3_600,
        resources: Resources { cpu_permille: Some(12), ..Resources::default() },
        coordinate: vec![1; 20],
        edges: vec![1; 18],
        revocations: 0,
        key_epoch: 0,
        inventory: Some(Inventory { sources: 1, pending: 10, ..Inventory::default() }),
    };
    [
        ("v1-peer", Payload::Peer(profile, Box::new(member()))),
        ("v1-links", Payload::Links(Links { edges, ..Links::default() })),
        ("v1-heartbeat", Payload::Heartbeat(heartbeat)),
        ("v1-leave", Payload::Leave { reason: "moved".to_owned() }),
        ("v1-finding", Payload::Finding(finding)),
        ("v1-unknown", Payload::Unknown(Kind(500), b"hi".to_vec())),
    ]
}

/// Records about who belongs to the mesh.
fn memberships() -> Vec<Seed> {
    let certificate = Box::new(enroller());
    let secret = Secret::generate(&mut NoKeys);
    let note = "rack 7".to_owned();
    let invite = Invite { secret_hash: secret.hash(), uses: 2, for_peer: None, note };
    let revocation = Revocation {
        peer: PeerId([5; 32]),
        cause: RevocationCause::Revoked,
        reason: "stolen".to_owned(),
        name: "gamma".to_owned(),
        certificate: certificate.clone(),
    };
    let enrolment = Enrolment { token: invite.token(), peer: PeerId([5; 32]), uses: 2 };
    let epoch = KeyEpoch {
        epoch: 2,
        recipient: PeerId([5; 32]),
        sealed: vec![7; 80],
        certificate: certificate.clone(),
    };
    let word = AuthorityWord { changes: authorities().changes().to_vec(), certificate };
    [
        ("v1-invite", Payload::Invite(invite)),
        ("v1-enrolment", Payload::Enrolment(enrolment)),
        ("v1-revocation", Payload::Revocation(Box::new(revocation))),
        ("v1-key-epoch", Payload::KeyEpoch(epoch)),
        ("v1-authorities", Payload::Authorities(Box::new(word))),
    ]
    .map(|(name, payload)| ("broadcast", name, wire::encode_broadcast(&record(payload))))
    .into()
}

fn messages() -> Vec<Seed> {
    let records: Vec<_> = payloads().map(|(_, payload)| record(payload)).into();
    let names = payloads().map(|(name, _)| name);
    let broadcasts = names.into_iter().zip(&records);
    let mut seeds: Vec<Seed> = broadcasts
        .map(|(name, record)| ("broadcast", name, wire::encode_broadcast(record)))
        .collect();
    let cursor = Cursor { epoch: 1, position: 2 };
    let request = ExchangeRequest {
        digest: StateDigest([4; 16]),
        changes: Some(cursor),
        wants: vec![RecordId(1), RecordId(2)],
        push: records.clone(),
        sketch: Some(SketchRange { salt: 7, from: 0, to: 64 }),
    };
    let items = [[5; 16], [6; 16]];
    let symbols = riblt::encode_batch(&riblt::encode_range(items.iter(), 7, 0, 16), 0, 2);
    let answer = ExchangeAnswer {
        digest: StateDigest([4; 16]),
        cursor,
        ids: vec![RecordId(1)],
        absent: vec![RecordId(2)],
        records,
        symbols: symbols.clone(),
        ..ExchangeAnswer::default()
    };
    seeds.push(("request", "v1-all", wire::encode_request(&request)));
    seeds.push(("request", "v1-none", wire::encode_request(&ExchangeRequest::default())));
    seeds.push(("answer", "v1-all", wire::encode_answer(&answer)));
    seeds.push(("answer", "v1-none", wire::encode_answer(&ExchangeAnswer::default())));
    seeds.push(("sketch", "v1-two-items", symbols));
    let target = PeerId([2; 32]);
    seeds.extend(
        [
            ("v1-probe", Frame::Probe { seq: 300, unheard: true, own_stream: false }),
            ("v1-pong", Frame::Pong { seq: 1, own_stream: false }),
            ("v1-silent", Frame::Silent { silence_ms: 5 }),
            ("v1-indirect-request", Frame::IndirectRequest { target, nonce: 9 }),
            ("v1-indirect-report", Frame::IndirectReport { nonce: 9, heard: true }),
        ]
        .map(|(name, frame)| ("frame", name, wire::encode_frame(&frame))),
    );
    seeds
}

fn certificates() -> Vec<Seed> {
    vec![
        ("certificate", "v1-of-authority", enroller().encode()),
        ("certificate", "v1-of-enroller", member().encode()),
    ]
}

fn admissions() -> Vec<Seed> {
    let secret = Some(Secret::generate(&mut NoKeys));
    let request = AdmissionRequest { wall_ms: 1, secret, agent_version: "0.1.0".to_owned() };
    let admitted = Admitted {
        certificate: member(),
        mesh: MESH,
        founding: authorities().founding().to_vec(),
        changes: authorities().changes().to_vec(),
        seeds: vec![Enroller { peer: PEER, addresses: vec!["/ip4/192.0.2.1/tcp/6374".to_owned()] }],
        secrets: vec![(1, [4; 32])],
    };
    let refused = Err(AdmissionRefusal::Clock { offset_ms: -70_000 });
    let credential =
        Credential { certificate: member(), changes: authorities().changes().to_vec() };
    let answer = |outcome| AdmissionAnswer { wall_ms: 2, outcome }.encode();
    vec![
        ("admission", "v1-request", request.encode()),
        ("admission", "v1-admitted", answer(Ok(admitted))),
        ("admission", "v1-refused", answer(refused)),
        ("admission", "v1-credential", credential.encode()),
    ]
}

/// Two founding keys of which one was replaced.
fn authorities() -> Authorities {
    let (daily, spare) = (PeerId([9; 32]), PeerId([8; 32]));
    let replacement =
        Replacement { lost: daily, new: PeerId([6; 32]), until_s: 4_000_000_000, stolen: true };
    Authorities::from(vec![daily, spare]).replace(&mut NoKeys, spare, &MESH, replacement).unwrap()
}

fn tokens() -> Vec<Seed> {
    let addresses = vec!["/ip4/192.0.2.1/udp/6374/quic-v1".to_owned()];
    let enrollers = vec![Enroller { peer: PEER, addresses }];
    let secret = Secret::generate(&mut NoKeys);
    let token = JoinToken::new(MESH, secret, 4_000_000_000, enrollers).unwrap();
    vec![("token", "v1-one-enroller", token.to_text().into_bytes())]
}

fn texts() -> Vec<Seed> {
    let manifest = format!(
        r#"{{"s1":{{"shard_id":"s1","original_hash":"{}","size_bytes":512,"metadata":{{"a":[1]}}}},"s2":{{}}}}"#,
        "ab".repeat(32)
    );
    let config = "[peer]\nname = \"alpha\"\n[scrub]\ndeadline = \"10s\"\nmax_bytes_per_second = \"20MiB\"\n\
                  [net]\nlisten = [\"/ip4/0.0.0.0/udp/6374/quic-v1\"]\n\
                  [[source]]\nkind = \"plain\"\nroot = \"/srv/shards\"\n";
    let dir = tempfile::tempdir().unwrap();
    mesh::init(dir.path(), Labels::default(), 1_790_000_000).unwrap();
    let file = |choice: u8, name: &str| {
        [&[choice][..], &std::fs::read(dir.path().join(name)).unwrap()].concat()
    };
    vec![
        ("manifest", "v1-two-records", manifest.into_bytes()),
        ("config", "v1-some-keys", config.as_bytes().to_vec()),
        ("config", "v1-template", plexmesh_agent::config::template().into_bytes()),
        ("config", "unknown-key", b"[peer]\nnme = 1\n[nt]\n".to_vec()),
        ("data_dir", "certificate", file(0, "certificate")),
        ("data_dir", "identity", file(1, "identity.key")),
        ("data_dir", "mesh", file(2, "mesh.toml")),
    ]
}

fn requests() -> Vec<Seed> {
    [
        ("v1-status", "GET /v1/status"),
        ("v1-peer", "GET /v1/peers/alpha"),
        ("v1-why", "GET /v1/why/alpha"),
        ("v1-latency", "GET /v1/latency?limit=3&peers=alpha"),
        ("v1-events", "GET /v1/events?since=0&limit=5"),
        ("v1-shards", "GET /v1/shards?verdict=ok,corrupt&id=a&limit=2"),
        ("v1-audit", "GET /v1/audit?since=0&limit=5"),
        ("v1-metrics", "GET /v1/metrics"),
        ("v1-openapi", "GET /v1/openapi.json"),
        ("v1-scrub", "POST /v1/scrub\n{\"action\":\"read\",\"shards\":[\"a\"]}"),
        ("v1-accept", "POST /v1/scrub\n{\"action\":\"accept\",\"verdicts\":[\"vanished\"]}"),
        ("v1-leave", "POST /v1/leave\n{\"reason\":\"moved\"}"),
        ("unknown-path", "GET /v2"),
        ("no-json", "POST /v1/scrub\n{"),
    ]
    .map(|(name, text)| ("http", name, text.as_bytes().to_vec()))
    .into()
}
