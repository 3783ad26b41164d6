//! `plexmesh-sim`: runs a virtual mesh and prints what came of it.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use plexmesh_proto::membership::state::PeerState;
use plexmesh_simulator::traffic::{Bytes, Channel};
use plexmesh_simulator::{Start, World, check};

mod cli;

/// Hosts of one world that this program accepts: more need more memory than a workstation has.
const MAX_NODES: usize = 10_000;
/// Longest virtual run, in minutes: a week.
const MAX_MINUTES: u64 = 7 * 24 * 60;

#[derive(Debug, Parser)]
#[command(name = "plexmesh-sim", version, about = "A virtual plexmesh mesh in virtual time")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one mesh and print a few figures and the event-log hash
    Run(Run),
    /// List what latencies can come from, and draw it
    Topologies(cli::topologies::Topologies),
}

#[derive(Debug, Args)]
struct Run {
    /// Peers
    #[arg(long, default_value_t = 100)]
    nodes: usize,
    /// All randomness follows from this
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Probability from 0 to 1 that a packet is lost
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// One-way latency of a path: shortest, in milliseconds
    #[arg(long, default_value_t = 5)]
    latency_min_ms: u64,
    /// One-way latency of a path: longest, in milliseconds
    #[arg(long, default_value_t = 60)]
    latency_max_ms: u64,
    /// Virtual minutes to run
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Peers that crash at half time
    #[arg(long, default_value_t = 0)]
    crash: usize,
    /// Let every peer know all others at the start, instead of joining through seeds
    #[arg(long)]
    warm: bool,
    /// Let the mesh have run before
    #[arg(long)]
    settled: bool,
    /// Print every event that a node tells, on standard error
    #[arg(long)]
    trace: bool,
}

fn main() -> Result<()> {
    let mut out = std::io::stdout().lock();
    let options = match Cli::parse().command {
        Command::Run(options) => options,
        Command::Topologies(options) => return cli::topologies::topologies(&options, &mut out),
    };
    options.check()?;
    writeln!(out, "{options:?}").context("cannot write to standard output")?;
    let began = Instant::now();
    let mut world = options.build();
    let half = Duration::from_secs(options.minutes * 30);
    world.run_for(half);
    for host in 0..options.crash {
        world.crash(host);
    }
    let survivors: Vec<usize> = (options.crash..options.nodes).collect();
    let known = world.run_until(half, |world| {
        (0..options.crash).all(|host| check::all_see(world, &survivors, host, PeerState::Down))
    });
    world.run_for(half.saturating_sub(known.unwrap_or(half)));
    if options.crash > 0 {
        match known {
            Some(known) => writeln!(out, "crash known to all after {:.2} s", known.as_secs_f64())?,
            None => writeln!(out, "crash not known to all at the end")?,
        }
    }
    report(&mut out, &world, &survivors, began.elapsed()).context("cannot write the report")
}

impl Run {
    fn check(&self) -> Result<()> {
        ensure!((1..=MAX_NODES).contains(&self.nodes), "--nodes must be 1 to {MAX_NODES}");
        ensure!(self.crash < self.nodes, "--crash must leave at least one of --nodes");
        ensure!((0.0..=1.0).contains(&self.loss), "--loss is a probability: 0 to 1");
        ensure!((1..=MAX_MINUTES).contains(&self.minutes), "--minutes must be 1 to {MAX_MINUTES}");
        ensure!(
            self.latency_min_ms < self.latency_max_ms,
            "--latency-min-ms must be below --latency-max-ms"
        );
        Ok(())
    }

    fn build(&self) -> World {
        World::builder(self.seed)
            .nodes(self.nodes)
            .loss(self.loss)
            .latency_ms(self.latency_min_ms..self.latency_max_ms)
            .start(if self.settled {
                Start::Settled
            } else if self.warm {
                Start::Warm
            } else {
                Start::Cold
            })
            .trace(self.trace)
            .build()
    }
}

fn report(
    out: &mut impl Write,
    world: &World,
    survivors: &[usize],
    took: Duration,
) -> std::io::Result<()> {
    let digests = check::digests(world, survivors).len();
    writeln!(out, "state digests      {digests} among {} peers", survivors.len())?;
    for state in check::states(world, survivors) {
        let judgements: usize = (0..world.len())
            .map(|host| check::states_of(world, survivors, host).get(&state).copied().unwrap_or(0))
            .sum();
        writeln!(out, "judged {:<12}{judgements}", format!("{state:?}").to_lowercase())?;
    }
    writeln!(out, "false down         {}", check::false_downs(world).count())?;
    for (event, count) in world.history().counts() {
        writeln!(out, "{event:<24} {count}")?;
    }
    for channel in Channel::ALL {
        let name = format!("{channel:?}").to_lowercase();
        let rates =
            survivors.iter().filter_map(|&host| Some(world.traffic(host)?.channel(channel)));
        let total = rates.map(|bytes| bytes.sent).sum::<u64>();
        let each = total / survivors.len().max(1) as u64 / world.elapsed().as_secs().max(1);
        writeln!(out, "traffic {name:<12} {each} B/s a peer sent")?;
    }
    let peak =
        survivors.iter().filter_map(|&host| Some(world.traffic(host)?.peak_per_second())).fold(
            Bytes::default(),
            |a, b| Bytes { sent: a.sent.max(b.sent), received: a.received.max(b.received) },
        );
    writeln!(out, "peak of any peer   {} B/s sent, {} B/s received", peak.sent, peak.received)?;
    writeln!(out, "queue overflows    {}", world.overflowed())?;
    let rate = world.events() as f64 / took.as_secs_f64().max(1e-9);
    writeln!(out, "events             {} ({rate:.0} a second)", world.events())?;
    writeln!(out, "wall time          {:.1} s", took.as_secs_f64())?;
    let hash: String = world.hash().iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(out, "event-log hash     {hash}")
}
