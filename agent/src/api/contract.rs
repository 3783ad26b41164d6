//! What is promised to programs, held against what is committed and what is answered.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::json_schema;
use super::problem::{Code, Problem};
use super::schema::{
    ConfigCheck, ConfigFile, ConfigFlaw, ConfigKey, Envelope, Event, EventDetail, EventItems,
    Figures, IdentityTransfer, Item, Items, Kind, Leave, Liveness, MadeMesh, One, PeerRef,
    Readiness, RevocationCause, Script, SocketFigures, Stamp, State, Waited, Written,
};
use super::tests::MeshOfOne;
use crate::demo::DemoReport;
use crate::render::sample;
use crate::time::WallTime;

/// Set to 1, the committed files are written anew in place of being compared.
const UPDATE: &str = "PLEXMESH_UPDATE_SCHEMAS";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Fails unless the file under `docs` has exactly this text.
pub(super) fn assert_committed(file: &str, generated: &str) {
    let path = docs().join(file);
    if std::env::var_os(UPDATE).is_some_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, generated).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "docs/{file} is not what the code says; if the change is meant, write it anew with\n  \
         {UPDATE}=1 cargo test -p plexmesh-agent --lib api::"
    );
}

/// A document as its file has it.
pub(super) fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

/// Fails unless the document is valid by the schema of its kind, and has no key that the schema
/// does not name.
pub(super) fn assert_valid(document: &Value) {
    let word = document["kind"].as_str().unwrap();
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word).unwrap();
    let mut schema = json_schema::of(kind);
    close(&mut schema);
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{word}: {errors:#?}\n{document:#}");
}

/// Makes a schema refuse keys that it does not name.
fn close(schema: &mut Value) {
    let Value::Object(schema) = schema else { return };
    for key in ["properties", "$defs"] {
        if let Some(Value::Object(inner)) = schema.get_mut(key) {
            inner.values_mut().for_each(close);
        }
    }
    if let Some(items) = schema.get_mut("items") {
        close(items);
    }
    if schema.contains_key("properties") {
        schema.insert("unevaluatedProperties".to_owned(), false.into());
    }
}

fn value(document: impl Serialize) -> Value {
    serde_json::to_value(document).unwrap()
}

fn beta() -> PeerRef {
    PeerRef { id: "12D3KooWBetaBBBBB".to_owned(), name: Some("beta".to_owned()) }
}

fn event(detail: EventDetail) -> Event {
    Event { detail, ..sample::event() }
}

fn events() -> EventItems {
    let peer = beta();
    let (code, state_digest) = ("REPLICA_CORRUPT".to_owned(), "00ff".to_owned());
    let items = [
        EventDetail::PeerJoined { peer: peer.clone() },
        EventDetail::PeerStateChanged { peer: peer.clone(), from: None, to: State::Up },
        EventDetail::ClockSkew { peer: peer.clone(), ahead_seconds: 61.5 },
        EventDetail::IdentityCloned,
        EventDetail::PartitionChanged { inside: 2, outside: 1 },
        EventDetail::ConvergenceChanged { converged: true, state_digest },
        EventDetail::ShardsChanged { peer, code, before: 0, count: 2 },
        EventDetail::MembershipEnded { peer: beta(), cause: RevocationCause::Revoked, by: beta() },
        EventDetail::AuthorityReplaced {
            key: "00ff".to_owned(),
            replaced_by: "ff00".to_owned(),
            stolen: false,
            ends_at: WallTime::from_ms(0),
        },
        EventDetail::TokenOverused { peer: beta(), token: "00ff".to_owned() },
        EventDetail::LocalHealthChanged { score: 1 },
        EventDetail::Missed { count: 9 },
        EventDetail::Other,
    ];
    EventItems { items: items.into_iter().map(event).collect(), forgotten: 3 }
}

fn figures() -> Figures {
    Figures {
        started_at: WallTime::from_ms(0),
        uptime_seconds: 1.5,
        listening: vec!["/ip4/192.0.2.1/tcp/6374".to_owned()],
        connections: 1,
        records: 9,
        protocol: [("recordForged".to_owned(), 1)].into(),
        transport: [("sentBytes".to_owned(), 9)].into(),
        socket: SocketFigures::default(),
        events_forgotten: 0,
    }
}

fn made() -> MadeMesh {
    MadeMesh {
        mesh: "00ff".to_owned(),
        peer: beta().id,
        data_dir: "/srv/plexmesh".to_owned(),
        certificate_lapses_at: WallTime::from_ms(0),
        authority_files: vec!["/srv/plexmesh/authority.key".to_owned()],
    }
}

fn moved() -> IdentityTransfer {
    IdentityTransfer {
        peer: beta().id,
        mesh: "00ff".to_owned(),
        file: "peer.export".to_owned(),
        data_dir: "/srv/plexmesh".to_owned(),
        secret_included: true,
        clock_included: false,
        marked_as_moved: true,
        authority_files: vec!["/srv/plexmesh/authority.key".to_owned()],
    }
}

fn problem() -> Problem {
    let problem = Problem::new(Code::Ambiguous, "`b` may be several peers").because("two match");
    Problem { candidates: vec![beta()], ..problem }
}

fn config_key(value: Value) -> ConfigKey {
    ConfigKey {
        section: "scrub".to_owned(),
        key: "deadline".to_owned(),
        value,
        origin: "default".to_owned(),
        reloadable: true,
    }
}

/// A document of each kind.
fn sample_of(kind: Kind) -> Value {
    fn of<T: Serialize>(kind: Kind, item: T) -> Value {
        value(Envelope::new(kind, sample::stamp(), Item { item }))
    }
    match kind {
        Kind::AuditList => value(sample::audit()),
        Kind::Authorities => value(sample::authorities()),
        Kind::BackupList => value(sample::backups()),
        Kind::Certificate => value(sample::certificate()),
        Kind::Config => {
            let items = vec![config_key(json!("24h")), config_key(Value::Null)];
            value(Envelope::new(kind, Stamp::local(), Items { items }))
        }
        Kind::ConfigCheck => {
            let flaw = ConfigFlaw { origin: "a.toml:3".to_owned(), message: "bad".to_owned() };
            let (files, variables) = (vec!["a.toml".to_owned()], vec!["PLEXMESH_A__B".to_owned()]);
            value(One::local(kind, ConfigCheck { files, variables, errors: vec![flaw] }))
        }
        Kind::ConfigFile => {
            let item = ConfigFile { file: None, text: "# text".to_owned() };
            value(One::local(kind, item))
        }
        Kind::DatabaseList => value(sample::databases()),
        Kind::DemoReport => {
            let report =
                DemoReport { crashed: Some(beta()), lost_by: vec![beta()], ..Default::default() };
            value(One::local(kind, report))
        }
        Kind::Doctor => value(One::local(kind, sample::doctor())),
        Kind::Error => value(One::problem(problem())),
        Kind::Event => of(kind, sample::event()),
        Kind::EventList => value(Envelope::new(kind, sample::stamp(), events())),
        Kind::Figures => of(kind, figures()),
        Kind::IdentityExported | Kind::IdentityImported => value(One::local(kind, moved())),
        Kind::Integrity => value(sample::integrity()),
        Kind::InviteList => value(sample::invites()),
        Kind::Joined => value(One::local(kind, sample::joined())),
        Kind::Keys => value(sample::keys()),
        Kind::Latency => value(sample::latency()),
        Kind::Left => of(kind, Leave { reason: "new disk".to_owned() }),
        Kind::Liveness => of(kind, Liveness { alive: true }),
        Kind::MeshMade => value(One::local(kind, made())),
        Kind::Peer => value(sample::detail()),
        Kind::PeerList => value(sample::peer_list()),
        Kind::Readiness => of(kind, Readiness { ready: true }),
        Kind::RevocationList => value(sample::revocations()),
        Kind::Script => {
            let script = Script { program: "bash".to_owned(), text: "text".to_owned() };
            value(One::local(kind, script))
        }
        Kind::Scrub => value(sample::scrub()),
        Kind::ShardList => value(sample::shards()),
        Kind::Status => value(sample::status()),
        Kind::Token => value(sample::token()),
        Kind::Topology => value(sample::topology()),
        Kind::Wait => {
            let condition = "converged".to_owned();
            value(One::local(kind, Waited { condition, waited_seconds: 0.5 }))
        }
        Kind::Why => value(sample::why()),
        Kind::Written => value(One::local(kind, Written { files: vec!["a".to_owned()] })),
    }
}

#[test]
fn no_kind_is_left_out_of_the_list_of_kinds() {
    let schema = schemars::schema_for!(Kind).to_value();
    let named = schema["oneOf"].as_array().unwrap().iter().map(|kind| kind["const"].clone());
    let listed = Kind::ALL.map(value);
    assert_eq!(named.collect::<Vec<_>>(), listed);
    assert_eq!(Kind::ALL.map(|kind| json!(kind.word())), listed);
}

#[test]
fn committed_schemas_are_those_of_the_code() {
    for kind in Kind::ALL {
        let file = format!("schemas/{}.json", kind.word());
        assert_committed(&file, &pretty(&json_schema::of(kind)));
    }
}

#[test]
fn every_committed_schema_is_that_of_a_kind() {
    for entry in std::fs::read_dir(docs().join("schemas")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = Kind::ALL.into_iter().any(|kind| format!("{}.json", kind.word()) == name);
        assert!(known, "docs/schemas/{name} describes no kind; remove it");
    }
}

#[test]
fn a_document_of_each_kind_is_valid_by_its_schema() {
    for kind in Kind::ALL {
        let document = sample_of(kind);
        assert_eq!(document["kind"], kind.word());
        assert_valid(&document);
    }
}

#[test]
fn a_schema_refuses_what_is_not_as_it_says() {
    let schema = json_schema::of(Kind::Status);
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let good = sample_of(Kind::Status);
    let with = |at: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(at).unwrap() = value;
        bad
    };
    for (at, bad) in [
        ("/kind", json!("Peer")),
        ("/apiVersion", json!("plexmesh/v2")),
        ("/observedAt", json!("yesterday")),
        ("/items", json!([])),
        ("/items", json!([good["items"][0], good["items"][0]])),
        ("/items/0/states", json!({ "gone": 1 })),
        ("/items/0/members", json!(null)),
    ] {
        assert!(!validator.is_valid(&with(at, bad)), "{at}");
    }
    let mut later = good.clone();
    later["items"][0]["keyOfALaterVersion"] = json!(1);
    assert!(validator.is_valid(&later), "keys may be added");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_answers_is_valid_by_its_schema() {
    let mut mesh = MeshOfOne::start().await;
    for at in [
        "/livez",
        "/readyz",
        "/v1/status",
        "/v1/peers",
        "/v1/peers/alpha",
        "/v1/why/alpha",
        "/v1/topology",
        "/v1/latency",
        "/v1/events",
        "/v1/figures",
        "/v1/integrity",
        "/v1/audit",
        "/v1/authorities",
        "/v1/certificate",
        "/v1/invites",
        "/v1/keys",
        "/v1/revocations",
    ] {
        assert_valid(&mesh.client.document(at).await.unwrap());
    }
    let line = mesh.client.lines("/v1/events?follow=true").await.unwrap().next().await.unwrap();
    assert_valid(&serde_json::from_slice(&line.unwrap()).unwrap());
    let problem = mesh.client.get("/v1/peers/nobody").await.unwrap_err();
    assert_valid(&value(One::problem(problem)));
    let left = mesh.client.post("/v1/leave", "{}".into()).await.unwrap();
    assert_valid(&serde_json::from_slice(&left).unwrap());
    mesh.running.await.unwrap().unwrap();
}
