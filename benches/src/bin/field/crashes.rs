//! How soon every survivor knows of a crash.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use plexmesh_agent::time::WallTime;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::agents::{self, Agent};
use crate::stat::spread_text;
use crate::watch::Watch;

/// How long a crash may stay unknown to somebody before this gives up.
const GIVE_UP: Duration = Duration::from_secs(60);
/// How long a mesh rests before the next crash, at random up to twice this: no crash then falls into the same moment of a period.
const REST_MS: u64 = 5_000;

pub(crate) fn run(
    program: &Path,
    root: &Path,
    count: usize,
    [kills, stops]: [usize; 2],
    seed: u64,
) -> anyhow::Result<bool> {
    let mut agents = agents::mesh_of(program, root, count, false)?;
    for agent in &mut agents {
        agent.start()?;
    }
    let settled = agents::await_one_mesh(&agents)?;
    println!("{count} agents became one mesh in {:.1} s", settled.as_secs_f64());
    let watch = Watch::new();
    for (teller, agent) in agents.iter().enumerate() {
        watch.follow(teller, agent)?;
    }
    let mut random = StdRng::seed_from_u64(seed);
    let mut accused = 0;
    for (how, times) in [(How::Killed, kills), (How::Stopped, stops)] {
        let (mut first, mut all) = (Vec::new(), Vec::new());
        for _ in 0..times {
            let rest = Duration::from_millis(random.random_range(REST_MS..2 * REST_MS));
            accused += watch.during(rest).iter().filter(|change| change.to == "down").count();
            let victim = random.random_range(0..agents.len());
            let seen = crash(&mut agents, victim, how, &watch)?;
            accused += seen.accused;
            first.push(seen.first_ms);
            all.push(seen.all_ms);
            agents::await_one_mesh(&agents)?;
            // What was told of the return is no accusation.
            watch.during(Duration::from_millis(200));
        }
        println!(
            "{how:?} {times} times; known to the first survivor after s: {}",
            spread_text(first, 1_000.0, 2)
        );
        println!(
            "{how:?} {times} times; known to every survivor after s: {}",
            spread_text(all, 1_000.0, 2)
        );
    }
    println!("others said to be down: {accused}");
    Ok(accused == 0)
}

#[derive(Clone, Copy, Debug)]
enum How {
    Killed,
    Stopped,
}

struct Seen {
    first_ms: u64,
    all_ms: u64,
    /// Words that another peer than the victim is down.
    accused: usize,
}

/// Crashes one agent, waits until every other one knows, and brings it back.
fn crash(agents: &mut [Agent], victim: usize, how: How, watch: &Watch) -> anyhow::Result<Seen> {
    let survivors = agents.len() - 1;
    let Some(agent) = agents.get_mut(victim) else { bail!("no such agent") };
    let began_ms = WallTime::now().ms();
    match how {
        How::Killed => agent.kill()?,
        How::Stopped => agent.signal("STOP")?,
    }
    let deadline = Instant::now() + GIVE_UP;
    let (mut told, mut accused) = (BTreeMap::new(), 0);
    while told.len() < survivors {
        let Some(change) = watch.next(deadline) else {
            bail!(
                "{} of {survivors} survivors know of {} after {GIVE_UP:?}",
                told.len(),
                agent.name
            );
        };
        if change.to == "down" && change.peer == agent.name {
            told.entry(change.teller).or_insert(change.at_ms.saturating_sub(began_ms));
        } else if change.to == "down" {
            println!("  {} says that {} is down", change.teller + 1, change.peer);
            accused += 1;
        }
    }
    match how {
        How::Killed => {
            agent.start()?;
            while let Err(error) = watch.follow(victim, agent) {
                if Instant::now() > deadline {
                    return Err(error);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        How::Stopped => agent.signal("CONT")?,
    }
    let first_ms = told.values().copied().min().unwrap_or_default();
    let all_ms = told.values().copied().max().unwrap_or_default();
    Ok(Seen { first_ms, all_ms, accused })
}
