//! What the demo says, without running it.

use super::*;
use crate::api::schema::{HeartbeatLag, PeerRef, State};

fn peer(name: &str) -> PeerRef {
    PeerRef { id: format!("12D3KooW{name}"), name: Some(name.to_owned()) }
}

/// What people read.
fn text(report: &DemoReport, keep: bool) -> String {
    let screen = crate::render::sample::screen();
    report.page(keep).text(&screen)
}

pub(crate) fn full_report() -> DemoReport {
    let agent = DemoAgent {
        name: "peer-1".into(),
        socket: "/tmp/d/peer-1/agent.sock".into(),
        pid: Some(7),
        ..DemoAgent::default()
    };
    let mut report = DemoReport {
        peers: 5,
        converged_seconds: Some(1.25),
        crash_seen_by_all_seconds: Some(2.5),
        rejoin_seen_by_all_seconds: Some(3.0),
        crashed: Some(peer("peer-5")),
        seen_as: Some(State::Down),
        lost_by: vec![peer("peer-1"), peer("peer-2"), peer("peer-3")],
        replicas: Some(120),
        corrupted: Some(peer("peer-3")),
        corrupted_as: Some("REPLICA_CORRUPT".to_owned()),
        corruption_seen_by_all_seconds: Some(4.5),
        repair_seen_by_all_seconds: Some(2.0),
        state_digests_equal: true,
        heartbeat_lag: Some(HeartbeatLag {
            missing: 0,
            oldest_seconds: None,
            interval_seconds: 10.0,
        }),
        sockets: vec![agent.socket.clone()],
        agents: vec![agent],
        steps: Vec::new(),
    };
    report.note("converged", Duration::from_millis(1_250));
    report
}

#[test]
fn people_read_times_names_and_observers() {
    let text = text(&full_report(), false);
    for expected in [
        "5 agents",
        "1.2 s",
        "peer-5 was killed",
        "down after 2.5 s",
        "peer-1, peer-2, peer-3",
        "one of 120 replicas was flipped at peer-3; all agents say REPLICA_CORRUPT",
        "after 4.5 s",
        "equal",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("--socket"));
}

#[test]
fn who_keeps_the_agents_is_told_how_to_reach_them() {
    let text = text(&full_report(), true);
    assert!(text.contains("plexmesh --socket /tmp/d/peer-1/agent.sock status"), "{text}");
    assert!(text.contains("Ctrl-C"), "{text}");
}

#[test]
fn an_agent_alone_reports_null_and_not_zero() {
    let report = DemoReport { peers: 1, converged_seconds: Some(0.3), ..DemoReport::default() };
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["crashSeenByAllSeconds"].is_null() && json["rejoinSeenByAllSeconds"].is_null());
    assert!(text(&report, false).contains("nobody was killed"));
}

#[test]
fn the_report_survives_json_and_has_the_promised_keys() {
    let report = full_report();
    let json = serde_json::to_value(&report).unwrap();
    for key in [
        "peers",
        "convergedSeconds",
        "crashSeenByAllSeconds",
        "rejoinSeenByAllSeconds",
        "corruptionSeenByAllSeconds",
        "repairSeenByAllSeconds",
        "stateDigestsEqual",
        "heartbeatLag",
        "sockets",
        "steps",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
    assert_eq!(serde_json::from_value::<DemoReport>(json).unwrap(), report);
}
