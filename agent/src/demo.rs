//! A mesh of several agents on this machine: it is started, loses an agent, and gets it back.
//!
//! The agents are processes of their own and are asked over their sockets like any other agent, so
//! what the demo measures is what an operator would see. A child ends when the pipe to its standard
//! input closes: none outlives the demo, however that ends.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::api::schema::{Item, Kind, One, Stamp};
use crate::cli::args::{DemoArgs, GlobalArgs};
use crate::cli::output::{Output, OutputError};
use crate::text::counted;

mod agent;
mod progress;
mod report;
mod scenario;
mod storage;
mod watch;
mod workspace;

pub use report::{DemoAgent, DemoReport, DemoStep};

use progress::Progress;
use scenario::Mesh;
use workspace::Workspace;

/// From the start of the first agent until all agree: ten times what it takes on an idle machine.
const CONVERGED_WITHIN: Duration = Duration::from_secs(30);
/// From the kill until all survivors know. On a clean loopback it takes two to three seconds.
const CRASH_SEEN_WITHIN: Duration = Duration::from_secs(6);
/// From the restart until all agree again.
const REJOIN_SEEN_WITHIN: Duration = Duration::from_secs(30);
/// From the start until every agent has read all its shards and told of it.
const SHARDS_READ_WITHIN: Duration = Duration::from_secs(60);
/// From a flipped bit until all know: one scrub of ten seconds, a second look, and three times that.
const CORRUPTION_SEEN_WITHIN: Duration = Duration::from_secs(30);
/// From there until every agent has also heard from all its neighbours that they agree: each is
/// asked in turn, about one a second.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// Runs the demo and prints what came out.
///
/// # Errors
/// If an agent does not start, or a step takes longer than it may; the data then stays where the
/// error says.
pub async fn run(args: DemoArgs, global: &GlobalArgs) -> anyhow::Result<()> {
    let mut interrupts = Interrupts::listen()?;
    let progress = Progress::new(global.quiet, global.output);
    let mut workspace = Workspace::new(args.dir.as_deref())?;
    let mut mesh = Mesh::new(workspace.path(), args.peers);
    let outcome = tokio::select! {
        outcome = play(&mut mesh, &progress) => outcome,
        name = interrupts.next() => Err(anyhow::anyhow!("the demo was ended by {name}")),
    };
    let interrupted = outcome.is_err() && interrupts.caught;
    let shown =
        outcome.and_then(|(report, stamp)| print(report, stamp, &Output::new(global), args.keep));
    if shown.is_ok() && args.keep {
        interrupts.next().await;
    }
    mesh.stop().await;
    progress.finish();
    if shown.is_err() && !interrupted {
        workspace.keep();
    }
    shown.with_context(|| workspace.verdict())
}

/// The whole scenario.
async fn play(mesh: &mut Mesh, progress: &Progress) -> anyhow::Result<(DemoReport, Stamp)> {
    let mut report = DemoReport { peers: mesh.peers(), ..DemoReport::default() };
    let converged = mesh.start(CONVERGED_WITHIN, progress).await?;
    report.note("converged", converged);
    report.converged_seconds = Some(converged.as_secs_f64());
    progress.done(&format!(
        "{} up, one state digest, {}",
        counted(mesh.peers(), "agent"),
        seconds(converged)
    ));
    if mesh.peers() > 1 {
        let crash = mesh.crash(CRASH_SEEN_WITHIN, progress).await?;
        report.note("crashSeenByAll", crash.seen_by_all);
        report.crash_seen_by_all_seconds = Some(crash.seen_by_all.as_secs_f64());
        progress.done(&crash.sentence());
        report.crashed = Some(crash.victim);
        report.seen_as = Some(crash.state);
        report.lost_by = crash.lost_by;
        let rejoined = mesh.rejoin(REJOIN_SEEN_WITHIN, progress).await?;
        report.note("rejoinSeenByAll", rejoined);
        report.rejoin_seen_by_all_seconds = Some(rejoined.as_secs_f64());
        progress.done(&format!("started again, up at all agents again, {}", seconds(rejoined)));
    }
    let replicas = mesh.read_shards(SHARDS_READ_WITHIN, progress).await?;
    report.replicas = Some(replicas);
    progress.done(&format!("{replicas} replicas read, all ok"));
    let corruption = mesh.corrupt(CORRUPTION_SEEN_WITHIN, progress).await?;
    report.note("corruptionSeenByAll", corruption.seen_by_all);
    report.corruption_seen_by_all_seconds = Some(corruption.seen_by_all.as_secs_f64());
    progress.done(&corruption.sentence());
    let repaired = mesh.repair(&corruption, CORRUPTION_SEEN_WITHIN, progress).await?;
    report.note("repairSeenByAll", repaired);
    report.repair_seen_by_all_seconds = Some(repaired.as_secs_f64());
    progress.done(&format!("flipped back, all ok at all agents, {}", seconds(repaired)));
    report.corrupted = Some(corruption.holder);
    report.corrupted_as = Some(corruption.code);
    let settled = mesh.settle(SETTLED_WITHIN, progress).await?;
    report.note("settled", settled);
    let end = mesh.agreement().await?;
    report.state_digests_equal = end.digests_equal;
    report.heartbeat_lag = end.stamp.heartbeat_lag;
    report.agents = mesh.describe();
    report.sockets = report.agents.iter().map(|agent| agent.socket.clone()).collect();
    Ok((report, end.stamp))
}

fn print(report: DemoReport, stamp: Stamp, output: &Output, keep: bool) -> anyhow::Result<()> {
    let document = One::new(Kind::DemoReport, stamp, Item { item: report });
    match output.document(&document, |_, document| document.body.item.page(keep)) {
        // Who reads no report does not want the demo to have failed.
        Ok(()) | Err(OutputError::Closed) => Ok(()),
        Err(error) => Err(error).context("cannot print the report"),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Signals that end the demo.
struct Interrupts {
    signals: [(Signal, &'static str); 3],
    caught: bool,
}

impl Interrupts {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        let signals = [
            (listen(SignalKind::interrupt())?, "SIGINT"),
            (listen(SignalKind::terminate())?, "SIGTERM"),
            (listen(SignalKind::hangup())?, "SIGHUP"),
        ];
        Ok(Self { signals, caught: false })
    }

    /// Waits for one; gives its name.
    async fn next(&mut self) -> &'static str {
        let [(interrupt, _), (terminate, _), (hangup, _)] = &mut self.signals;
        let which = tokio::select! {
            _ = interrupt.recv() => 0,
            _ = terminate.recv() => 1,
            _ = hangup.recv() => 2,
        };
        self.caught = true;
        self.signals.get(which).map_or("a signal", |(_, name)| name)
    }
}

/// A path as text for reports and commands.
fn text(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
pub(crate) mod tests;
