//! The metrics as a scraper meets them.

use std::collections::{BTreeMap, BTreeSet};

use plexmesh_net::NetStats;

use super::super::contract::assert_committed;
use super::super::tests::MeshOfOne;
use super::*;
use crate::api::answer::Shards;
use crate::api::schema::{Health, PeerRef, Severity, SocketFigures, State, Verdict};

/// Value by series, as `name{labels}`. Fails if the text is not as OpenMetrics has it, or has
/// something that textfile collectors do not take.
fn read(text: &str) -> BTreeMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    let (mut helped, mut types) = (BTreeSet::new(), BTreeMap::new());
    let mut series = BTreeMap::new();
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("a help text");
            assert!(!words.is_empty() && !words.contains('\\'), "{line}");
            assert!(helped.insert(name.to_owned()), "{name} is described twice");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type");
            assert!(helped.contains(name), "{name} has no help before its type");
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            types.insert(name.to_owned(), kind.to_owned());
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            let base = name.split('{').next().expect("a name");
            let good = |it: char| it.is_ascii_lowercase() || it == '_';
            assert!(base.chars().all(good), "{base}");
            let counter = base.strip_suffix("_total").and_then(|it| types.get(it));
            let kind = counter.or_else(|| types.get(base));
            assert_eq!(kind.is_some_and(|it| it == "counter"), base.ends_with("_total"), "{line}");
            assert!(kind.is_some(), "{base} has no type");
            let value: f64 = value.parse().expect("a number");
            assert!(value.is_finite(), "{line}");
            assert!(series.insert(name.to_owned(), value).is_none(), "{name} is there twice");
        }
    }
    series
}

fn metrics(at: &Gathered) -> BTreeMap<String, f64> {
    read(&encode(at).unwrap())
}

fn shards(counts: &[(Verdict, u64)]) -> Option<Shards> {
    let all = counts.iter().map(|(_, count)| count).sum();
    let verdicts = counts.iter().copied().collect();
    Some(Shards { verdicts, pending: 0, all, oldest_seconds: Some(60) })
}

fn well() -> Gathered {
    Gathered {
        health: Some(Health::Ok),
        states: [(State::Up, 3), (State::Asleep, 1), (State::Left, 5)].into(),
        members: 4,
        asked_and_equal: Some((4, 3)),
        mesh_shards: shards(&[(Verdict::Ok, 10)]),
        ..Gathered::default()
    }
}

fn peers(count: usize) -> Vec<(PeerRef, State)> {
    let peer = |number| PeerRef { id: format!("peer-{number:05}"), name: None };
    (0..count).map(|number| (peer(number), State::Up)).collect()
}

#[test]
fn what_is_not_known_is_left_out() {
    let known = metrics(&Gathered::default());
    let build = format!("plexmesh_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(known.into_keys().collect::<Vec<_>>(), [build]);
}

#[test]
fn convergence_is_the_share_of_neighbours_and_unknown_without_any() {
    assert_eq!(metrics(&well())["plexmesh_view_convergence_ratio"], 0.75);
    let alone = Gathered { asked_and_equal: Some((0, 0)), ..well() };
    assert!(!metrics(&alone).contains_key("plexmesh_view_convergence_ratio"));
}

#[test]
fn failures_are_the_shards_that_cannot_be_restored_from() {
    let counts = [
        (Verdict::Ok, 10),
        (Verdict::Truncated, 1),
        (Verdict::Corrupt, 2),
        (Verdict::Missing, 3),
        (Verdict::Vanished, 100),
        (Verdict::Evicted, 100),
        (Verdict::Replaced, 100),
        (Verdict::Modified, 4),
        (Verdict::Orphan, 100),
        (Verdict::Unreadable, 5),
        (Verdict::Unverified, 100),
        (Verdict::Disputed, 6),
    ];
    let known = metrics(&Gathered { mesh_shards: shards(&counts), ..well() });
    assert_eq!(known["plexichat_integrity_check_failures"], 21.0);
    assert_eq!(known["plexmesh_mesh_shards{verdict=\"corrupt\"}"], 2.0);
    assert!((known["plexichat_corruption_rate"] - 2.0 / 531.0).abs() < 1e-9);
}

#[test]
fn a_mesh_without_shards_has_no_corruption_rate() {
    let known = metrics(&Gathered { mesh_shards: shards(&[(Verdict::Ok, 0)]), ..well() });
    assert_eq!(known["plexichat_integrity_check_failures"], 0.0);
    assert!(!known.contains_key("plexichat_corruption_rate"));
}

#[test]
fn shards_that_nobody_looked_at_are_not_said_to_be_well() {
    let unread = Shards { pending: 5, all: 5, ..shards(&[(Verdict::Ok, 0)]).unwrap() };
    let known = metrics(&Gathered { mesh_shards: Some(unread), ..well() });
    assert_eq!(known["plexmesh_mesh_shards_pending"], 5.0);
    assert!(!known.contains_key("plexichat_integrity_check_failures"));
    assert!(!known.contains_key("plexichat_corruption_rate"));
}

#[test]
fn the_score_is_the_worst_of_peers_shards_and_findings() {
    let score = |at: Gathered| metrics(&at).get("plexichat_system_health_score").copied();
    assert_eq!(score(well()), Some(1.0), "sleeping is no fault");
    let down = [(State::Up, 3), (State::Down, 1)].into();
    assert_eq!(score(Gathered { states: down, ..well() }), Some(0.75));
    let corrupt = shards(&[(Verdict::Ok, 6), (Verdict::Corrupt, 4)]);
    assert_eq!(score(Gathered { mesh_shards: corrupt, ..well() }), Some(0.6));
    for (severity, most) in [(Severity::Medium, 0.9), (Severity::Critical, 0.5)] {
        let findings = [(("CLOCK_SKEW", severity), 1)].into();
        assert_eq!(score(Gathered { findings, ..well() }), Some(most));
    }
    assert_eq!(score(Gathered { health: Some(Health::Unknown), ..well() }), None);
}

#[test]
fn no_more_than_a_thousand_peers_have_a_series_and_the_sick_come_first() {
    let mut peers = peers(1_003);
    peers[1_002].1 = State::Down;
    let known = metrics(&Gathered { peers, ..well() });
    let series = known.keys().filter(|name| name.starts_with("plexichat_peer_health_status{"));
    assert_eq!(series.count(), 1_000);
    assert_eq!(known["plexmesh_metrics_peers_omitted"], 3.0);
    let sick = "plexichat_peer_health_status{peer_id=\"peer-01002\",peer=\"\"}";
    assert_eq!(known.get(sick), Some(&0.0));
}

#[test]
fn a_name_cannot_break_out_of_its_label() {
    let name = Some("a\"} 1\n# EOF\\".to_owned());
    let peers = vec![(PeerRef { id: "peer".to_owned(), name }, State::Up)];
    let known = metrics(&Gathered { peers, ..well() });
    let series = r##"plexichat_peer_health_status{peer_id="peer",peer="a\"} 1\n# EOF\\"}"##;
    assert_eq!(known.get(series), Some(&1.0));
}

#[test]
fn counters_of_the_transport_end_in_total_and_gauges_do_not() {
    let transport = Some(NetStats {
        sent_bytes: 7,
        connected_peers: 2,
        refused_lapsed: 3,
        ..NetStats::default()
    });
    let known = metrics(&Gathered { transport, ..well() });
    assert_eq!(known["plexmesh_transport_sent_bytes_total"], 7.0);
    assert_eq!(known["plexmesh_transport_connected_peers"], 2.0);
    assert_eq!(known["plexmesh_transport_dropped_frames_queue_total"], 0.0);
    assert_eq!(known["plexmesh_transport_refused_total{reason=\"lapsed\"}"], 3.0);
}

#[test]
fn findings_and_refusals_are_told_apart_by_label() {
    let known = metrics(&Gathered {
        findings: [(("PEER_DOWN", Severity::High), 2)].into(),
        protocol: [("record_forged", 3)].into(),
        socket: Some(SocketFigures { connections: 1, accepted: 4, refused: 0 }),
        ..well()
    });
    let down = "plexmesh_health_finding_active{code=\"PEER_DOWN\",severity=\"high\"}";
    assert_eq!(known[down], 2.0);
    assert_eq!(known["plexmesh_protocol_refusals_total{reason=\"record_forged\"}"], 3.0);
    assert_eq!(known["plexmesh_socket_accepted_total"], 4.0);
}

#[test]
fn the_committed_page_is_that_of_the_code() {
    assert_committed("metrics.md", &page());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gives_its_metrics() {
    let mut mesh = MeshOfOne::start().await;
    let text = mesh.client.get("/v1/metrics").await.unwrap();
    let known = read(std::str::from_utf8(&text).unwrap());
    assert_eq!(known["plexmesh_members{state=\"up\"}"], 1.0);
    assert_eq!(known["plexichat_system_health_score"], 1.0);
    assert!(known["plexmesh_records"] > 0.0);
    assert!(known["plexmesh_events_total"] > 0.0);
    assert!(!known.keys().any(|name| name.starts_with("plexmesh_shards")), "it looks at none");
    assert!(!known.contains_key("plexichat_integrity_check_failures"));
    let (of_me, _) =
        known.iter().find(|(name, _)| name.starts_with("plexichat_peer_health_status")).unwrap();
    assert!(of_me.contains("peer=\"alpha\""), "{of_me}");
}
