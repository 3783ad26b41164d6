//! Steps through a run around a moment: what happened, which record reached whom when, and who knew
//! what.

use std::path::Path;
use std::time::Duration;

use plexmesh_proto::types::Time;
use serde::Serialize;

use crate::report::Happened;
use crate::run::{Progress, RunError, Watch, run};
use crate::scenario::{Scenario, Span};
use crate::world::tap::TapFilter;
use crate::world::{World, micros};

mod gather;
mod table;
pub mod words;

pub use table::table;

/// The kind of the document.
pub const KIND: &str = "SimulationReplay";
/// Most moments of one replay: more than a person reads.
pub const MAX_MOMENTS: usize = 1_000;

/// What is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// The moment, counted from the beginning of the run.
    pub at: Duration,
    /// How much before and after it is shown.
    pub window: Duration,
    /// Who knew what is shown every so often, beside the two ends of the window and the moment.
    pub step: Option<Duration>,
    /// Only this peer, and what is said about it.
    pub peer: Option<usize>,
}

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The run itself.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The question.
    #[error("{0}")]
    Question(String),
}

/// A part of a run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    /// Version of the document.
    pub api_version: &'static str,
    /// [`KIND`].
    pub kind: &'static str,
    /// Name of the scenario.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// Peers at the start.
    pub peers: usize,
    /// The moment, in seconds since the beginning.
    pub at_seconds: f64,
    /// Where the window begins.
    pub from_seconds: f64,
    /// Where it ends.
    pub until_seconds: f64,
    /// What the scenario did in the window.
    pub happenings: Vec<Happened>,
    /// What nodes told in the window, in order.
    pub events: Vec<Told>,
    /// State records that were published or went about in the window, in order.
    pub records: Vec<Spread>,
    /// Who knew what, at the ends of the window and in between.
    pub knowledge: Vec<Knowledge>,
    /// What was not noted because there was too much.
    pub omitted: u64,
}

/// What a node told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// In seconds since the beginning.
    pub at_seconds: f64,
    /// The host whose node it is.
    pub host: usize,
    /// What, in words: `peer 3 is down (was up)`.
    pub what: String,
}

/// A record and how it spread.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// Its short name.
    pub id: String,
    /// Who says it.
    pub origin: Option<usize>,
    /// What it says, in words.
    pub says: String,
    /// When it was published; `None` if that was before the window.
    pub published_seconds: Option<f64>,
    /// When the first other host took it.
    pub first_seconds: Option<f64>,
    /// When half of the other running hosts had taken it; `None` if that many did not within the
    /// window.
    pub half_seconds: Option<f64>,
    /// When all of them had.
    pub all_seconds: Option<f64>,
    /// Hosts that took it within the window.
    pub reached: usize,
    /// Hosts other than its origin that ran at the end of the window.
    pub running: usize,
}

/// Who knew what at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Knowledge {
    /// In seconds since the beginning.
    pub at_seconds: f64,
    /// Running peers.
    pub running: usize,
    /// Peers that do not run, or that somebody does not call up.
    pub subjects: Vec<Opinions>,
}

/// What the running peers say about one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Opinions {
    /// About whom.
    pub subject: usize,
    /// Whether its process runs, neither paused nor asleep.
    pub runs: bool,
    /// How many say what; `unknown` for those that never heard of it.
    pub says: std::collections::BTreeMap<&'static str, usize>,
}

/// Runs a scenario to the end of the window and tells what happened in it.
///
/// # Errors
/// If the scenario cannot be run, or the moment or the peer is not in it.
pub fn replay(
    name: &str,
    scenario: &Scenario,
    base: &Path,
    around: &Around,
) -> Result<Replay, ReplayError> {
    let from = around.at.saturating_sub(around.window);
    let until = around.at.saturating_add(around.window).min(scenario.phases.total());
    check_moment(scenario, around.at)?;
    let moments = moments(around, from, until)?;
    let mut watch = Looker { from, until, peer: around.peer, moments, next: 0, seen: None };
    let report = run(name, scenario, base, &mut watch)?;
    let mut seen = watch.seen.unwrap_or_default();
    if let Some(peer) = around.peer.filter(|&peer| peer >= seen.hosts.max(scenario.peers)) {
        let what = format!("there is no peer {peer} by then; peers are numbered from 0");
        return Err(ReplayError::Question(what));
    }
    let in_window = |seconds: f64| (from.as_secs_f64()..=until.as_secs_f64()).contains(&seconds);
    let happened = report.happenings.into_iter().filter(|what| in_window(what.at_seconds));
    seen.spreads.sort_by(|a, b| began(a).total_cmp(&began(b)));
    Ok(Replay {
        api_version: crate::report::API_VERSION,
        kind: KIND,
        name: name.to_owned(),
        seed: scenario.seed,
        peers: scenario.peers,
        at_seconds: around.at.as_secs_f64(),
        from_seconds: from.as_secs_f64(),
        until_seconds: until.as_secs_f64(),
        happenings: happened.collect(),
        events: seen.events,
        records: seen.spreads,
        knowledge: seen.knowledge,
        omitted: seen.omitted,
    })
}

/// Whether a run has a moment at all.
pub(crate) fn check_moment(scenario: &Scenario, at: Duration) -> Result<(), ReplayError> {
    let total = scenario.phases.total();
    if at > total {
        let (at, total) = (Span(at), Span(total));
        let what = format!("the run is over after {total}; there is no moment at {at}");
        return Err(ReplayError::Question(what));
    }
    Ok(())
}

pub(crate) fn seconds(time: Time) -> f64 {
    Duration::from_micros(time.0).as_secs_f64()
}

fn began(spread: &Spread) -> f64 {
    spread.published_seconds.or(spread.first_seconds).unwrap_or_default()
}

fn moments(around: &Around, from: Duration, until: Duration) -> Result<Vec<Duration>, ReplayError> {
    let mut moments = vec![from, around.at, until];
    if let Some(step) = around.step {
        let count = (until - from).as_micros() / step.as_micros().max(1);
        if count > MAX_MOMENTS as u128 {
            let what = format!("{count} steps; at most {MAX_MOMENTS} are expected");
            return Err(ReplayError::Question(what));
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        moments.extend((1..=count).map(|number| from + step * number));
    }
    moments.sort_unstable();
    moments.dedup();
    Ok(moments)
}

/// What was seen until now.
#[derive(Debug, Default)]
struct Seen {
    hosts: usize,
    events: Vec<Told>,
    spreads: Vec<Spread>,
    knowledge: Vec<Knowledge>,
    omitted: u64,
}

/// Looks at the moments, and stops the run after the last one.
struct Looker {
    from: Duration,
    until: Duration,
    peer: Option<usize>,
    moments: Vec<Duration>,
    next: usize,
    seen: Option<Seen>,
}

impl Watch for Looker {
    fn tick(&mut self, _: &World, _: &Progress<'_>) -> bool {
        self.next < self.moments.len()
    }

    fn tap(&self, world: &World) -> Option<TapFilter> {
        let (from, until) = (Time(micros(self.from)), Time(micros(self.until)));
        // A peer that joins later has its key already: its records can be waited for.
        let about = self.peer.map(|peer| world.crypto_of(peer).peer_id());
        Some(TapFilter { from, until, about, events: true })
    }

    fn next_moment(&self) -> Option<Duration> {
        self.moments.get(self.next).copied()
    }

    fn moment(&mut self, world: &World) {
        self.next += 1;
        let seen = self.seen.get_or_insert_default();
        seen.knowledge.push(gather::knowledge(world, self.peer));
        if self.next == self.moments.len()
            && let Some(tap) = world.tap()
        {
            seen.hosts = world.len();
            seen.omitted = tap.omitted();
            seen.events = gather::events(world, tap);
            seen.spreads = gather::spreads(world, tap);
        }
    }
}

#[cfg(test)]
mod tests;
