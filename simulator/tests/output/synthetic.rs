//! Reports that look like real ones.

use std::collections::BTreeMap;

use plexmesh_simulator::dice::Dice;
use plexmesh_simulator::report::{
    API_VERSION, Check, Detection, Happened, KIND, Outcome, Picture, RunReport, Sample, Spread,
    Traffic, Violation, Wall,
};
use plexmesh_simulator::scenario::{Promises, Scenario, Span};

/// Seconds of the settle phase of every report here.
const SETTLE: f64 = 60.0;

/// A report of a run of which nothing is known.
pub(crate) fn empty() -> RunReport {
    let scenario = "format = 1\ntitle = \"An empty room\"\npeers = 1\nseed = 5";
    RunReport {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        name: "empty".to_owned(),
        scenario: toml::from_str::<Scenario>(scenario).unwrap(),
        outcome: Outcome::Interrupted,
        virtual_seconds: 0.0,
        events: 0,
        event_hash: "00".repeat(32),
        checks: Vec::new(),
        detections: Vec::new(),
        deliveries: Vec::new(),
        healed_seconds: None,
        event_counts: BTreeMap::new(),
        traffic: Traffic::default(),
        latency_error: Vec::new(),
        series: Vec::new(),
        topology: Picture::default(),
        happenings: Vec::new(),
        wall: Wall::default(),
    }
}

/// A report of a mesh in which so many peers crash.
pub(crate) fn eventful(peers: usize, crashes: usize) -> RunReport {
    let mut report = empty();
    let mut dice = Dice::new(7, "synthetic report", 0);
    let seconds = report.scenario.phases.total().as_secs();
    report.name = "planetlab".to_owned();
    report.scenario.title = "Measured latencies between universities, some of them fail".to_owned();
    report.scenario.description =
        "Peers stand where PlanetLab stood.\nRead the detection plot first.".to_owned();
    report.scenario.peers = peers;
    report.scenario.promises =
        Promises { detection: Some(Span::seconds(30)), ..Promises::default() };
    report.outcome = Outcome::Held;
    report.virtual_seconds = seconds as f64;
    report.events = 48_123_456;
    report.event_hash = "9f8e7d6c5b4a39281706f5e4d3c2b1a0".repeat(2);
    report.checks = checks();
    report.detections = detections(&mut dice, peers, crashes);
    report.happenings = report
        .detections
        .iter()
        .map(|one| Happened {
            at_seconds: one.at_seconds,
            what: format!("peer {} crashes and stays away", one.subject),
        })
        .collect();
    report.healed_seconds = Some(8.25);
    report.event_counts =
        [("peer-up", 21_342), ("peer-suspect", 512), ("peer-down", 118), ("edge-changed", 9_031)]
            .map(|(name, count)| (name.to_owned(), count))
            .into();
    report.traffic = traffic();
    // A log-normal shape: most estimates are near, a few far off.
    report.latency_error = (0..=100)
        .map(|per_cent| {
            let share = (f64::from(per_cent) / 100.0).clamp(0.004, 0.996);
            0.11 * (share / (1.0 - share)).powf(0.62)
        })
        .collect();
    report.series = (0..=seconds).map(|second| sample(&mut dice, peers, crashes, second)).collect();
    report.topology = topology(&mut dice, peers);
    report.wall = Wall { seconds: 41.7, events_per_second: 48_123_456.0 / 41.7 };
    report
}

/// The same, but two promises are broken.
pub(crate) fn broken(peers: usize, crashes: usize) -> RunReport {
    let mut report = eventful(peers, crashes);
    report.outcome = Outcome::Broken;
    report.healed_seconds = None;
    let violation = |second: u32| Violation {
        at_seconds: 100.0 + f64::from(second),
        observer: Some(3 + second as usize),
        subject: Some(1),
        detail: "called down while it ran for 93.2 s and could be reached".to_owned(),
    };
    let check = &mut report.checks[0];
    check.held = false;
    check.measured = "27 false judgements".to_owned();
    check.violations = (0..20).map(violation).collect();
    check.violation_count = 27;
    report
}

fn checks() -> Vec<Check> {
    let check = |promise: &str, measured: &str, bound: Option<&str>| Check {
        promise: promise.to_owned(),
        held: true,
        measured: measured.to_owned(),
        bound: bound.map(str::to_owned),
        violations: Vec::new(),
        violation_count: 0,
    };
    vec![
        check("no-false-down", "0 false of 1,204 judgements", None),
        check("agreement", "all 490 peers have one digest", None),
        check("monotonic-versions", "48,120 versions, none fell back", None),
        check("bounded-queues", "longest queue 112 of 1,024", Some("1,024")),
        check("detection", "slowest 21.40 s", Some("30 s")),
        check("healing", "8.25 s", Some("60 s")),
    ]
}

fn unit(dice: &mut Dice) -> f64 {
    dice.below(1_000_000) as f64 / 1e6
}

fn detections(dice: &mut Dice, peers: usize, crashes: usize) -> Vec<Detection> {
    let mut all: Vec<Detection> = (0..crashes)
        .map(|index| {
            let base = 6.0 + 5.0 * unit(dice);
            let mut each: Vec<f64> = (0..peers.saturating_sub(crashes))
                .map(|_| base + 3.0 * -(1.0 - unit(dice)).max(0.01).ln())
                .collect();
            each.sort_by(f64::total_cmp);
            // The last one comes back before everybody knows.
            let back = index + 1 == crashes && crashes > 1;
            if back {
                each.truncate(each.len() * 2 / 3);
            }
            Detection {
                subject: index * peers / crashes.max(1),
                at_seconds: (SETTLE + 20.0 + 150.0 * unit(dice)).round(),
                first_seconds: each.first().copied(),
                all_seconds: if back { None } else { each.last().copied() },
                each_seconds: each,
                unaware: usize::from(back),
            }
        })
        .collect();
    all.sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds));
    all
}

fn traffic() -> Traffic {
    Traffic {
        sent: Spread { mean: 1_870.0, p50: 1_790.0, p99: 3_110.0, max: 4_870.0 },
        received: Spread { mean: 1_870.0, p50: 1_840.0, p99: 2_900.0, max: 3_990.0 },
        sent_by_channel: [("broadcast", 912.0), ("connection", 51.3), ("exchange", 402.0)]
            .map(|(name, rate)| (name.to_owned(), rate))
            .into(),
        peak_bytes_per_second: 48_211,
    }
}

fn sample(dice: &mut Dice, peers: usize, crashes: usize, second: u64) -> Sample {
    let at = second as f64;
    let joining = (-at / 12.0).exp();
    let faults = (80.0..300.0).contains(&at);
    let disagree = if faults { 0.25 * unit(dice) * unit(dice) } else { 0.0 };
    let judged = peers as u64 * 40;
    let down = if faults { crashes as u64 * 35 } else { 0 };
    let suspect = if faults { dice.below(crashes as u64 * 12 + 3) } else { 0 };
    let mean = 1_800.0 + 9_000.0 * joining + 150.0 * unit(dice);
    Sample {
        at_seconds: at,
        running: if at < 80.0 { peers } else { peers - crashes.min(peers) },
        digests: 1 + (disagree * 40.0) as usize + (joining * peers as f64 / 2.0) as usize,
        agreeing: (1.0 - joining - disagree).clamp(0.0, 1.0),
        judgements: [("up", judged - down), ("suspect", suspect), ("down", down)]
            .map(|(state, count)| (state.to_owned(), count))
            .into(),
        sent_mean: mean,
        sent_max: mean * (2.0 + 3.0 * unit(dice)) + if faults { 30_000.0 * disagree } else { 0.0 },
        heartbeat_age_seconds: (second > 3)
            .then(|| 3.2 + 2.0 * disagree + 6.0 * joining + unit(dice)),
    }
}

fn topology(dice: &mut Dice, peers: usize) -> Picture {
    let cities = ["Wien", "São Paulo", "東京", "Nairobi", "Oslo", "Austin", "Perth", "Pune"];
    let places: Vec<(f64, f64)> = (0..peers)
        .map(|peer| {
            let city = peer % cities.len();
            let (x, y) = ((city as f64 * 0.377) % 1.0, (city as f64 * 0.618) % 1.0);
            let near = |value: f64, dice: &mut Dice| {
                (0.1 + 0.8 * value + 0.12 * (unit(dice) - 0.5)).clamp(0.0, 1.0)
            };
            (near(x, dice), near(y, dice))
        })
        .collect();
    let names = (0..peers).map(|peer| cities[peer % cities.len()].to_owned()).collect();
    let edges = (0..peers)
        .flat_map(|from| (1..=6).map(move |step| (from, step)))
        .map(|(from, step)| {
            let to = (from + step * step * 7 + step) % peers.max(1);
            let (a, b) = (places[from], places[to]);
            (from, to, 2.0 + 180.0 * (a.0 - b.0).hypot(a.1 - b.1))
        })
        .collect();
    Picture { places, names, edges }
}
