//! A member with a valid certificate that attacks five agents, one way after the other.
//! `HOSTILE_SECONDS` (4 unless it is set) says how long each way lasts.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plexmesh_agent::mesh::{self, Labels};
use plexmesh_agent::time::WallTime;
use plexmesh_net::Identity;
use tokio::runtime::Runtime;

mod agents;
#[path = "../support/command.rs"]
mod command;
mod raw;
mod scene;
mod voice;
#[path = "../support/wait.rs"]
mod wait;
mod way;

use agents::{Agent, are_one, enrol, join, mesh_of_five, seeds, slowest_answer};
use scene::{Caller, Scene};
use wait::until;
use way::{WAYS, Way};

const SECONDS: u64 = 4;
/// Most that the memory of an agent may grow over all ways, in KiB: 20 MB.
const MAX_GROWTH_KIB: u64 = 20_000_000 / 1_024;
/// How much longer an attack goes on until the agents have counted it, on a machine that is busy.
const COUNT_PATIENCE: Duration = Duration::from_secs(15);
/// Between two questions during an attack.
const ASK_INTERVAL: Duration = Duration::from_millis(200);
/// How long before now the certificate of one stranger was issued: longer than any lasts.
const LONG_AGO_S: u64 = 2 * mesh::CERTIFICATE_LIFETIME_S;

/// An attacker, and strangers of all kinds.
fn scene(root: &Path, agents: &[Agent]) -> Scene {
    let wall_s = WallTime::now().ms() / 1_000;
    let (dir, _) = enrol(root, "hostile", seeds(&agents[0]));
    let own = mesh::load(&dir, wall_s).unwrap().unwrap();
    let member = Caller::of(&own);

    let nobody = Caller { identity: Identity::generate(), mesh: member.mesh, certificate: vec![] };
    let elsewhere = root.join("elsewhere");
    mesh::init(&elsewhere, Labels::default(), wall_s).unwrap();
    let foreigner = Caller::of(&mesh::load(&elsewhere, wall_s).unwrap().unwrap());
    let lapsed = root.join("lapsed");
    let then_s = wall_s - LONG_AGO_S;
    mesh::enrol(&root.join("1"), &lapsed, Labels::default(), Vec::new(), then_s).unwrap();
    let late = Caller::of(&mesh::load(&lapsed, then_s).unwrap().unwrap());

    Scene {
        own,
        member,
        strangers: vec![nobody, foreigner, late],
        targets: agents.iter().map(|agent| (agent.id.0, agent.addresses())).collect(),
        stop: AtomicBool::new(false),
        cuts: AtomicU64::new(0),
        deeds: AtomicU64::new(0),
    }
}

fn sums(agents: &[Agent], way: &Way) -> Vec<u64> {
    let sum = |name: &&str| agents.iter().map(|agent| agent.counter(name)).sum();
    way.counters.iter().map(sum).collect()
}

/// Attacks for as long as is asked, and then until the agents have counted it; gives a line on it
/// and whether it was counted, and punished where it is to be.
fn attack(runtime: &Runtime, scene: &Arc<Scene>, agents: &[Agent], way: &Way) -> (String, bool) {
    let seconds = std::env::var("HOSTILE_SECONDS").ok().map_or(SECONDS, |s| s.parse().unwrap());
    let before = sums(agents, way);
    scene.stop.store(false, Ordering::Relaxed);
    scene.cuts.store(0, Ordering::Relaxed);
    scene.deeds.store(0, Ordering::Relaxed);
    let (attacker, kind) = (Arc::clone(scene), way.attack);
    let attacking = runtime.spawn(async move { way::run(&attacker, kind).await });
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(seconds) {
        slowest = slowest.max(slowest_answer(agents));
        std::thread::sleep(ASK_INTERVAL);
    }
    let (growth, counted) = loop {
        let now = sums(agents, way);
        let growth: Vec<u64> = now.iter().zip(&before).map(|(now, then)| now - then).collect();
        let cut = !way.cut || scene.cuts.load(Ordering::Relaxed) > 0;
        let counted = cut && growth.iter().all(|count| *count > 0);
        if counted || began.elapsed() > Duration::from_secs(seconds) + COUNT_PATIENCE {
            break (growth, counted);
        }
        std::thread::sleep(ASK_INTERVAL);
    };
    scene.stop.store(true, Ordering::Relaxed);
    runtime.block_on(attacking).unwrap();
    let counters: Vec<String> =
        way.counters.iter().zip(growth).map(|(name, count)| format!("{name} +{count}")).collect();
    let (deeds, cuts) = (scene.deeds.load(Ordering::Relaxed), scene.cuts.load(Ordering::Relaxed));
    let counters = counters.join(", ");
    (format!("{deeds} deeds, {cuts} cut, slowest answer {slowest:?}, {counters}"), counted)
}

#[test]
fn a_hostile_member_takes_nothing_from_the_others() {
    let root = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let agents = mesh_of_five(root.path());
    until("five agents that agree", || are_one(&agents));
    let scene = Arc::new(scene(root.path(), &agents));
    let before: Vec<u64> = agents.iter().map(Agent::resident_kib).collect();
    let (mut fat, mut uncounted) = (Vec::new(), Vec::new());
    for way in WAYS {
        let (told, counted) = attack(&runtime, &scene, &agents, way);
        until(&format!("one mesh after: {}", way.name), || are_one(&agents));
        let grown = agents.iter().zip(&before).map(|(a, b)| a.resident_kib().saturating_sub(*b));
        let grown: Vec<u64> = grown.collect();
        println!("{}: memory +{grown:?} KiB; {told}", way.name);
        if !counted {
            uncounted.push(way.name);
        }
        if grown.iter().any(|kib| *kib > MAX_GROWTH_KIB) {
            fat.push((way.name, grown));
        }
    }
    assert!(fat.is_empty(), "memory grew by more than {MAX_GROWTH_KIB} KiB: {fat:?}");
    assert!(uncounted.is_empty(), "not counted, or not punished: {uncounted:?}");
    let mut all = agents;
    let newcomer = join(root.path(), "newcomer", seeds(&all[0]));
    all.push(newcomer);
    until("a newcomer joins", || are_one(&all));
}
