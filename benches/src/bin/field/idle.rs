//! What agents at rest send and take.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::agents::{self, Agent};
use crate::host;
use crate::stat::spread_text;

/// How long a new mesh comes to rest before it is measured.
const REST: Duration = Duration::from_secs(60);

pub(crate) fn run(program: &Path, root: &Path, count: usize, seconds: u64) -> anyhow::Result<bool> {
    let mut agents = agents::mesh_of(program, root, count, false)?;
    for agent in &mut agents {
        agent.start()?;
    }
    agents::await_one_mesh(&agents)?;
    std::thread::sleep(REST);
    let (before, bytes) = (processes(&agents)?, host::loopback_bytes()?);
    let began = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds));
    let took = began.elapsed();
    let (after, bytes) = (processes(&agents)?, host::loopback_bytes()?.saturating_sub(bytes));
    let bytes_a_second = bytes as f64 / took.as_secs_f64() / count as f64;
    println!("{count} agents with 200 shards of 64 KiB each, over {seconds} s");
    println!("bytes a second on the wire, each way, an agent: {bytes_a_second:.0}");
    let millionths = |(before, after): (&host::Process, &host::Process)| {
        let used_us = after.cpu_ms.saturating_sub(before.cpu_ms) * 1_000;
        (used_us as f64 / took.as_secs_f64()) as u64
    };
    let cpu = before.iter().zip(&after).map(millionths).collect();
    println!("CPU an agent, percent of a core: {}", spread_text(cpu, 10_000.0, 2));
    let rss = after.iter().map(|process| process.rss_kib).collect();
    println!("resident memory an agent, MB: {}", spread_text(rss, 1_000.0, 1));
    let descriptors = after.iter().map(|process| process.descriptors).collect();
    println!("open descriptors an agent: {}", spread_text(descriptors, 1.0, 0));
    let connections = agents.iter().map(connections).collect::<anyhow::Result<_>>()?;
    println!("connections an agent: {}", spread_text(connections, 1.0, 0));
    Ok(true)
}

fn processes(agents: &[Agent]) -> anyhow::Result<Vec<host::Process>> {
    agents.iter().map(|agent| host::process(agent.pid()?)).collect()
}

fn connections(agent: &Agent) -> anyhow::Result<u64> {
    let figures = agent.ask("/v1/figures")?;
    Ok(figures.pointer("/items/0/connections").and_then(Value::as_u64).unwrap_or_default())
}
