//! A crowded start: everybody at once, at a low priority, beside loops that take all there is.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::agents::{self, Agent};
use crate::watch::{Change, Watch};

/// Busy loops: one for each core of the machine that the figures of others are from.
const LOOPS: usize = 2;
/// How long an agent has to open its socket on such a machine.
const SOCKET_PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn run(program: &Path, root: &Path, count: usize, seconds: u64) -> anyhow::Result<bool> {
    let mut agents = agents::mesh_of(program, root, count, true)?;
    let _loops = (0..LOOPS).map(|_| BusyLoop::start()).collect::<anyhow::Result<Vec<_>>>()?;
    for agent in &mut agents {
        agent.start()?;
    }
    let watch = Watch::new();
    for (teller, agent) in agents.iter().enumerate() {
        follow(&watch, teller, agent)?;
    }
    let settled = agents::await_one_mesh(&agents)?;
    println!(
        "{count} agents at nice 10 beside {LOOPS} busy loops agree after {:.0} s more",
        settled.as_secs_f64()
    );
    let accusations = down(&agents, watch.during(Duration::from_secs(seconds)))?;
    println!("said to be down since the start, and {seconds} s after they agreed: {accusations}");
    Ok(accusations == 0)
}

/// Accusations: those that were heard, and those of before that agents remember.
fn down(agents: &[Agent], heard: Vec<Change>) -> anyhow::Result<usize> {
    let heard = heard.iter().filter(|change| change.to == "down").count();
    let mut remembered = 0;
    for agent in agents {
        let events = agent.ask("/v1/events")?;
        let events = events["items"].as_array().cloned().unwrap_or_default();
        let fell = |event: &&serde_json::Value| {
            event["type"] == "peerStateChanged" && event["to"] == "down"
        };
        for event in events.iter().filter(fell) {
            println!("  {}: {} {}", agent.name, event["at"], event["text"]);
            remembered += 1;
        }
    }
    Ok(remembered.max(heard))
}

fn follow(watch: &Watch, teller: usize, agent: &Agent) -> anyhow::Result<()> {
    let give_up = Instant::now() + SOCKET_PATIENCE;
    loop {
        match watch.follow(teller, agent) {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > give_up => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

struct BusyLoop(Child);

impl BusyLoop {
    fn start() -> anyhow::Result<Self> {
        Ok(Self(Command::new("sh").args(["-c", "while :; do :; done"]).spawn()?))
    }
}

impl Drop for BusyLoop {
    fn drop(&mut self) {
        // One that is gone needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
