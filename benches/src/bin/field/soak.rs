//! An hour in the life of some agents: whether memory and descriptors stay as they are while the scrub runs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use crate::agents::{self, Agent};
use crate::host;

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Looks that are left out of the comparison at the beginning: caches fill.
const WARM_UP: usize = 10;
/// By how much the median memory of the last looks may exceed that of the first, in KiB: the allocator's own swing.
const FLAT_KIB: u64 = 4 * 1024;
/// By how many descriptors: connections come and go.
const FLAT_DESCRIPTORS: u64 = 10;
/// Looks whose median is taken at either end.
const WINDOW: usize = 10;

pub(crate) fn run(program: &Path, root: &Path, count: usize, minutes: u64) -> anyhow::Result<bool> {
    let mut agents = agents::mesh_of(program, root, count, false)?;
    for agent in &mut agents {
        agent.start()?;
    }
    agents::await_one_mesh(&agents)?;
    let mut looks: Vec<Vec<host::Process>> = Vec::new();
    println!("minute  resident MB (least, most)  descriptors (least, most)");
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(minutes * 60) {
        std::thread::sleep(LOOK_INTERVAL);
        let look: Vec<host::Process> = agents
            .iter()
            .map(|agent| host::process(agent.pid()?))
            .collect::<anyhow::Result<_>>()?;
        print_look(began, &look);
        looks.push(look);
    }
    agents::await_one_mesh(&agents)?;
    let read = least_read(&agents)?;
    println!("files read by the scrub of an agent, least: {read}");
    Ok(judge(&agents, &looks)? && read > 0)
}

fn print_look(began: Instant, look: &[host::Process]) {
    let ends = |value: fn(&host::Process) -> u64| {
        let values = look.iter().map(value);
        (values.clone().min().unwrap_or_default(), values.max().unwrap_or_default())
    };
    let (least, most) = ends(|process| process.rss_kib);
    let (fewest, many) = ends(|process| process.descriptors);
    println!(
        "{:6}  {:.1} {:.1}  {fewest} {many}",
        began.elapsed().as_secs() / 60,
        least as f64 / 1_000.0,
        most as f64 / 1_000.0
    );
}

fn least_read(agents: &[Agent]) -> anyhow::Result<u64> {
    let mut least = u64::MAX;
    for agent in agents {
        let scrub = agent.ask("/v1/scrub")?;
        let read = scrub.pointer("/items/0/filesRead").and_then(Value::as_u64);
        least = least.min(read.context("an agent says nothing of its scrub")?);
    }
    Ok(least)
}

/// Whether every agent ends with what it had when it was warm.
fn judge(agents: &[Agent], looks: &[Vec<host::Process>]) -> anyhow::Result<bool> {
    let warm = looks.get(WARM_UP..).unwrap_or_default();
    let mut flat = true;
    for (place, agent) in agents.iter().enumerate() {
        let median = |looks: &[Vec<host::Process>], value: fn(&host::Process) -> u64| {
            let values = looks.iter().filter_map(|look| look.get(place)).map(value).collect();
            crate::stat::spread::<u64>(values).map_or(0, |(_, middle, _)| middle)
        };
        let (head, tail) = (
            warm.get(..WINDOW.min(warm.len())).unwrap_or_default(),
            warm.get(warm.len().saturating_sub(WINDOW)..).unwrap_or_default(),
        );
        let rss = [head, tail].map(|looks| median(looks, |process| process.rss_kib));
        let descriptors = [head, tail].map(|looks| median(looks, |process| process.descriptors));
        let holds =
            rss[1] <= rss[0] + FLAT_KIB && descriptors[1] <= descriptors[0] + FLAT_DESCRIPTORS;
        flat &= holds;
        println!(
            "{}: {} -> {} KiB, {} -> {} descriptors{}",
            agent.name,
            rss[0],
            rss[1],
            descriptors[0],
            descriptors[1],
            if holds { "" } else { ", NOT FLAT" }
        );
    }
    Ok(flat)
}
