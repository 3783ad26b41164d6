//! A mesh of three, for the tests of the views: alpha looks, beta is well, gamma is down.

use serde_json::json;

use super::terminal::Screen;
use crate::api::problem::Code;
use crate::api::schema::{
    AuditChain, AuditEntry, AuditItems, AuditOutcome, Availability, Backup, BackupItems,
    Convergence, Database, DatabaseName, Doctor, DoctorArea, DoctorCheck, Edge, EdgeFigures,
    EdgeStatus, Envelope, Event, EventDetail, Evidence, Finding, Health, Heartbeat, HeartbeatLag,
    Integrity, Item, Items, Kind, Latency, Many, Observer, One, OwnClock, Peer, PeerDetail,
    PeerIntegrity, PeerRef, PieceRange, Quorum, Reason, Rtt, Scrub, Severity, Shard, ShardFinding,
    ShardItems, ShardSource, Stamp, State, Status, Topology, Verdict, Verdicts, Why,
};
use crate::sources::SourceKind;
use crate::time::WallTime;

mod membership;

pub(crate) use membership::{authorities, certificate, invites, joined, keys, revocations, token};

const NOW: u64 = 1_700_000_000_000;
const ALPHA: (&str, &str) = ("12D3KooWAlphaAAAA", "alpha");
const BETA: (&str, &str) = ("12D3KooWBetaBBBBB", "beta");
const GAMMA: (&str, &str) = ("12D3KooWGammaGGGG", "gamma");

pub(crate) fn screen() -> Screen {
    Screen {
        color: false,
        unicode: true,
        width: None,
        wide: false,
        full_ids: false,
        now: WallTime::from_ms(NOW),
    }
}

pub(crate) fn stamp() -> Stamp {
    Stamp {
        observed_by: Some(ALPHA.0.to_owned()),
        observed_by_name: Some(ALPHA.1.to_owned()),
        observed_at: WallTime::from_ms(NOW),
        state_digest: Some("00ff".to_owned()),
        converged: Some(true),
        convergence: Some(Convergence { neighbours_asked: 2, neighbours_equal: 2 }),
        heartbeat_lag: Some(HeartbeatLag {
            missing: 0,
            oldest_seconds: Some(12.0),
            interval_seconds: 15.0,
        }),
    }
}

pub(crate) fn status() -> One<Status> {
    let gamma = refer(GAMMA);
    let finding = Finding {
        code: "PEER_DOWN".to_owned(),
        title: "a peer is down".to_owned(),
        severity: Severity::High,
        peer: Some(gamma),
        other: None,
        evidence: "3 of 3 observers lost it".to_owned(),
        because_of: None,
        advice: vec!["plexmesh why gamma".to_owned(), "plexmesh peer gamma".to_owned()],
        docs: "docs/health.md#peer_down".to_owned(),
    };
    let status = Status {
        status: Health::Crit,
        summary: "2 of 3 peers up, 1 finding".to_owned(),
        states: [(State::Up, 2), (State::Down, 1), (State::Left, 0)].into(),
        members: 3,
        reachable: 2,
        partition: None,
        findings: vec![finding],
        omitted_findings: 0,
        local_health: 0,
        own_clock: Some(OwnClock { ahead_seconds: -0.25, neighbours: 2 }),
        connections: 2,
        records: 9,
        agent_version: "0.1.0".to_owned(),
        started_at: WallTime::from_ms(NOW - 60_000),
        uptime_seconds: 60.0,
        listening: Vec::new(),
    };
    Envelope::new(Kind::Status, stamp(), Item { item: status })
}

pub(crate) fn audit() -> Envelope<AuditItems> {
    let entry = |sequence: u64, outcome| AuditEntry {
        sequence,
        at: WallTime::from_ms(NOW),
        outcome,
        uid: Some(1_042),
        user: Some("alice".to_owned()),
        pid: Some(4_711),
        method: "POST".to_owned(),
        path: "/v1/scrub".to_owned(),
        asked: json!({ "action": "accept", "verdicts": ["vanished"] }),
        before: serde_json::Value::Null,
        after: serde_json::Value::Null,
        code: None,
        begun: None,
        unwritten: 0,
        torn_bytes: None,
    };
    let refused = AuditEntry {
        user: None,
        code: Some(Code::NotPermitted),
        unwritten: 3,
        ..entry(3, AuditOutcome::Refused)
    };
    let done = AuditEntry {
        before: json!({ "vanished": 2 }),
        after: json!({ "accepted": 2 }),
        begun: Some(4),
        torn_bytes: Some(17),
        ..entry(5, AuditOutcome::Done)
    };
    let chain = AuditChain {
        holds: true,
        breaks: Vec::new(),
        break_count: 0,
        files: 1,
        lines: 6,
        first_sequence: Some(1),
        last_sequence: Some(6),
        head: Some("0123456789abcdef".repeat(4)),
        torn_lines: 1,
        fault: None,
    };
    let items = vec![refused, done, entry(6, AuditOutcome::Begun)];
    Envelope::new(Kind::AuditList, stamp(), AuditItems { items, omitted: 1, chain })
}

pub(crate) fn doctor() -> Doctor {
    let check = |area, what: &str, status, found: &str, fix: Option<&str>| DoctorCheck {
        area,
        what: what.to_owned(),
        status,
        found: found.to_owned(),
        fix: fix.map(str::to_owned),
    };
    let checks = vec![
        check(DoctorArea::Configuration, "defaults", Health::Ok, "no errors", None),
        check(
            DoctorArea::DataDirectory,
            "mode",
            Health::Warn,
            "0755: others may look into it",
            Some("chmod 700 /srv/plexmesh"),
        ),
        check(DoctorArea::Sources, "/srv/shards", Health::Crit, "it is gone", Some("ls -ld /srv")),
        check(DoctorArea::Clock, "time service", Health::Unknown, "not known", None),
    ];
    Doctor {
        status: Health::Crit,
        summary: "4 checks: 1 critical, 1 to be looked at, 1 that cannot be made from here"
            .to_owned(),
        agent_answers: Some(false),
        checks,
    }
}

pub(crate) fn peer_list() -> Many<Peer> {
    Envelope::new(Kind::PeerList, stamp(), Items { items: vec![alpha(), beta(), gamma()] })
}

pub(crate) fn detail() -> One<PeerDetail> {
    let detail = PeerDetail {
        peer: beta(),
        neighbours: vec![refer(ALPHA)],
        watches: Vec::new(),
        watched_by: vec![heard(ALPHA, BETA, 410)],
    };
    Envelope::new(Kind::Peer, stamp(), Item { item: detail })
}

pub(crate) fn topology() -> One<Topology> {
    let topology = Topology {
        peers: vec![alpha(), beta(), gamma()],
        edges: vec![heard(ALPHA, BETA, 410), lost(), heard(BETA, ALPHA, 430)],
        partition: None,
    };
    Envelope::new(Kind::Topology, stamp(), Item { item: topology })
}

pub(crate) fn latency() -> One<Latency> {
    let latency = Latency {
        peers: vec![refer(ALPHA), refer(BETA), refer(GAMMA)],
        omitted_peers: 0,
        measured: vec![heard(ALPHA, BETA, 410), lost(), heard(BETA, ALPHA, 430)],
        estimated_micros: vec![
            vec![None, None, None],
            vec![None, None, Some(12_345)],
            vec![None, None, None],
        ],
    };
    Envelope::new(Kind::Latency, stamp(), Item { item: latency })
}

pub(crate) fn why() -> One<Why> {
    let observer = |who, ring, status: Option<EdgeStatus>| Observer {
        peer: refer(who),
        ring,
        passed_over: if ring == 0 { 2 } else { 0 },
        status,
        since: status.map(|_| WallTime::from_ms(NOW - 30_000)),
        evidence: status.map(|_| evidence()),
        flaps: u32::from(ring == 0),
        poor: false,
        set_aside: false,
    };
    let why = Why {
        peer: refer(GAMMA),
        state: State::Down,
        reason: Reason::LostByQuorum,
        rule: Reason::LostByQuorum.sentence().to_owned(),
        reachable: false,
        last_word_at: WallTime::from_ms(NOW - 60_000),
        quorum: Quorum { lost: 1, able: 1, needed: 3 },
        observers: vec![observer(ALPHA, 0, Some(EdgeStatus::Lost)), observer(BETA, 1, None)],
        passed_over: 0,
    };
    Envelope::new(Kind::Why, stamp(), Item { item: why })
}

pub(crate) fn event() -> Event {
    let detail = EventDetail::PeerStateChanged {
        peer: refer(GAMMA),
        from: Some(State::Up),
        to: State::Down,
    };
    let text = "gamma went from up to down".to_owned();
    Event { sequence: 7, at: WallTime::from_ms(NOW), text, detail }
}

fn refer((id, name): (&str, &str)) -> PeerRef {
    PeerRef { id: id.to_owned(), name: Some(name.to_owned()) }
}

fn alpha() -> Peer {
    Peer {
        is_self: true,
        reason: Reason::Myself,
        rtt: None,
        clock_ahead_seconds: None,
        ..peer(ALPHA)
    }
}

fn beta() -> Peer {
    peer(BETA)
}

fn gamma() -> Peer {
    Peer {
        state: State::Down,
        reason: Reason::LostByQuorum,
        since: Some(WallTime::from_ms(NOW - 30_000)),
        zone: None,
        reachable: false,
        connected: false,
        rtt: None,
        clock_ahead_seconds: None,
        heartbeat: None,
        ..peer(GAMMA)
    }
}

fn peer((id, name): (&str, &str)) -> Peer {
    Peer {
        id: id.to_owned(),
        name: Some(name.to_owned()),
        is_self: false,
        state: State::Up,
        reason: Reason::Heard,
        since: None,
        region: None,
        zone: Some("z1".to_owned()),
        tier: None,
        addresses: vec!["/ip4/192.0.2.1/udp/6374/quic-v1".to_owned()],
        availability: Availability::Always,
        sleep_grace_seconds: None,
        agent_version: Some("0.1.0".to_owned()),
        certificate_lapses_at: WallTime::from_ms(NOW + 86_400_000),
        reachable: true,
        connected: true,
        rtt: Some(Rtt { micros: 410, estimated: false }),
        clock_ahead_seconds: Some(312.04),
        heartbeat: Some(Heartbeat {
            published_at: WallTime::from_ms(NOW - 12_000),
            age_seconds: 12.0,
            uptime_seconds: 60,
            instance: "0000000000000001".to_owned(),
            cpu_percent: Some(1.5),
            memory_percent: None,
            disk_total_bytes: None,
            disk_free_bytes: None,
            load_average: None,
        }),
    }
}

fn heard(observer: (&str, &str), subject: (&str, &str), micros: u32) -> Edge {
    Edge {
        observer: observer.0.to_owned(),
        subject: subject.0.to_owned(),
        status: EdgeStatus::Heard,
        since: WallTime::from_ms(NOW - 60_000),
        assigned: true,
        one_way: None,
        flaps: 0,
        poor: false,
        evidence: None,
        figures: Some(EdgeFigures {
            rtt_p50_micros: micros,
            rtt_p99_micros: None,
            jitter_micros: 20,
            loss_percent: 0.0,
        }),
    }
}

fn lost() -> Edge {
    Edge {
        status: EdgeStatus::Lost,
        evidence: Some(evidence()),
        figures: None,
        ..heard(ALPHA, GAMMA, 0)
    }
}

const fn evidence() -> Evidence {
    Evidence {
        missed_probes: 9,
        silence_seconds: 4.1,
        surprise_bits: 31.0,
        indirect_asked: 3,
        indirect_heard: 0,
        outbound_only: false,
        observer_local_health: 0,
    }
}

/// Beta has a corrupt shard, gamma says nothing.
pub(crate) fn integrity() -> One<Integrity> {
    let verdicts: Verdicts = [(Verdict::Ok, 8), (Verdict::Corrupt, 1)].into();
    let silent = PeerIntegrity {
        peer: refer(GAMMA),
        state: State::Down,
        sources: None,
        shards: None,
        verdicts: None,
        pending_shards: None,
        oldest_verification_seconds: None,
        as_of: None,
        unknown_because: Some("it looks at no directory of shards".to_owned()),
        findings: Vec::new(),
    };
    let telling = PeerIntegrity {
        peer: refer(BETA),
        state: State::Up,
        sources: Some(1),
        shards: Some(9),
        verdicts: Some(verdicts.clone()),
        pending_shards: Some(0),
        oldest_verification_seconds: Some(60),
        as_of: Some(WallTime::from_ms(NOW - 60_000)),
        unknown_because: None,
        findings: vec![ShardFinding {
            code: "REPLICA_CORRUPT".to_owned(),
            severity: Severity::Critical,
            count: 1,
            since: WallTime::from_ms(NOW - 60_000),
        }],
    };
    let item = Integrity {
        status: Health::Crit,
        summary: "8 of 9 shards on 1 peer ok".to_owned(),
        shards: 9,
        verdicts,
        pending_shards: 0,
        oldest_verification_seconds: Some(60),
        silent_peers: 1,
        peers: vec![telling, silent],
    };
    One::new(Kind::Integrity, stamp(), Item { item })
}

/// A shard with a wrong bit, one that is well, one that was not read yet.
pub(crate) fn shards() -> Envelope<ShardItems> {
    let well = Shard {
        id: "msg_1_0".to_owned(),
        source: "/srv/shards".to_owned(),
        verdict: Some(Verdict::Ok),
        since: Some(WallTime::from_ms(NOW - 3_600_000)),
        size_bytes: Some(1_048_576),
        expected_size_bytes: Some(1_048_576),
        expected_sha256: Some("ab".repeat(32)),
        expected_algorithms: vec!["sha256".to_owned()],
        blake3: Some("cd".repeat(32)),
        verified_at: Some(WallTime::from_ms(NOW - 60_000)),
    };
    let corrupt = Shard {
        id: "msg_2_0".to_owned(),
        verdict: Some(Verdict::Corrupt),
        since: Some(WallTime::from_ms(NOW - 60_000)),
        ..well.clone()
    };
    let new = Shard {
        id: "msg_3_0".to_owned(),
        verdict: None,
        since: None,
        expected_size_bytes: None,
        expected_sha256: None,
        expected_algorithms: Vec::new(),
        blake3: None,
        verified_at: None,
        ..well.clone()
    };
    let items = ShardItems { items: vec![corrupt, new, well], matching_shards: 5 };
    Envelope::new(Kind::ShardList, stamp(), items)
}

/// One directory is looked at, another is not there.
pub(crate) fn scrub() -> One<Scrub> {
    let well = ShardSource {
        root: "/srv/shards".to_owned(),
        kind: SourceKind::BackupNode,
        region: Some("eu-west".to_owned()),
        tier: None,
        shards: 3,
        refused: 1,
        stale_manifest: false,
        looked_at: Some(WallTime::from_ms(NOW - 60_000)),
        fault: None,
        fault_since: None,
    };
    let gone = ShardSource {
        root: "/mnt/shards".to_owned(),
        kind: SourceKind::Auto,
        shards: 0,
        refused: 0,
        looked_at: None,
        fault: Some("/mnt/shards cannot be found: No such file or directory".to_owned()),
        fault_since: Some(WallTime::from_ms(NOW - 60_000)),
        ..well.clone()
    };
    let item = Scrub {
        status: Health::Crit,
        summary: "1 of 2 directories cannot be looked at; 2 of 3 shards were read within the \
                  deadline"
            .to_owned(),
        deadline_seconds: 86_400.0,
        shards: 3,
        read_in_time: 2,
        never_read_shards: 1,
        oldest_read_at: Some(WallTime::from_ms(NOW - 3_600_000)),
        due_shards: 1,
        due_bytes: 1_048_576,
        read_bytes_per_second: Some(20_971_520.0),
        done_in_seconds: Some(0.05),
        paused_until: None,
        hours: Some("22:00-06:00".to_owned()),
        opens_at: None,
        files_read: 2,
        read_bytes: 2_097_152,
        unsaved_changes: 0,
        sources: vec![well, gone],
        chosen_shards: None,
    };
    One::new(Kind::Scrub, stamp(), Item { item })
}

pub(crate) fn databases() -> Many<Database> {
    let damaged = Database {
        name: DatabaseName::Inventory,
        path: "/srv/plexmesh/inventory".to_owned(),
        sound: false,
        fault: None,
        entries: Some(90_000),
        damaged_entries: Some(3),
        listed_whole: Some(false),
        live_bytes: Some(12_000_000),
        file_bytes: Some(40_000_000),
        file_bytes_before: None,
        set_aside: None,
        refilled_by: "the next scrub".to_owned(),
    };
    let anew = Database {
        name: DatabaseName::Store,
        path: "/srv/plexmesh/store".to_owned(),
        sound: true,
        entries: Some(120),
        damaged_entries: Some(0),
        listed_whole: Some(true),
        live_bytes: Some(60_000),
        file_bytes: Some(524_288),
        file_bytes_before: Some(8_388_608),
        set_aside: Some("/srv/plexmesh/store.unreadable-1700000000".to_owned()),
        refilled_by: "the mesh".to_owned(),
        ..damaged.clone()
    };
    let closed = Database {
        fault: Some("corruption detected".to_owned()),
        entries: None,
        damaged_entries: None,
        listed_whole: None,
        live_bytes: None,
        ..damaged.clone()
    };
    let items = vec![anew, damaged, closed];
    Envelope::new(Kind::DatabaseList, stamp(), Items { items })
}

pub(crate) fn backups() -> Envelope<BackupItems> {
    let backup = Backup {
        id: "backup_1700000000000_00ff".to_owned(),
        source: "/srv/shards".to_owned(),
        present_pieces: 8,
        lacking_pieces: 1,
        highest_piece: 11,
        absent_pieces: 3,
        gaps: vec![PieceRange { from: 0, to: 1 }, PieceRange { from: 6, to: 6 }],
    };
    let many = Backup {
        id: "backup_1700000000001_00ff".to_owned(),
        lacking_pieces: 0,
        highest_piece: 10_239,
        absent_pieces: 5_120,
        ..backup.clone()
    };
    let body = BackupItems { items: vec![backup, many], matching_backups: 3 };
    Envelope::new(Kind::BackupList, stamp(), body)
}
