//! Says why one peer thinks what it thinks of another one: the rule, the observers and their
//! evidence, and the chain of messages by which each report came.

use std::path::Path;
use std::time::Duration;

use plexmesh_proto::membership::state::Reason;
use plexmesh_proto::record::{EdgeStatus, Kind, Payload, Record};
use plexmesh_proto::report::{ObserverReport, WhyReport};
use plexmesh_proto::types::{PeerId, Time};
use serde::Serialize;

use crate::replay::{ReplayError, check_moment, words};
use crate::run::{Progress, Watch, run};
use crate::scenario::Scenario;
use crate::world::World;
use crate::world::tap::{Noted, Tap, TapFilter};

mod chain;
mod table;

pub use chain::{Chain, Hop};
pub use table::table;

/// The kind of the document.
pub const KIND: &str = "SimulationExplanation";

/// What is to be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whose view.
    pub observer: usize,
    /// Of whom.
    pub subject: usize,
    /// When, counted from the beginning of the run.
    pub at: Duration,
}

/// Why a peer thinks what it thinks of another one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Version of the document.
    pub api_version: &'static str,
    /// [`KIND`].
    pub kind: &'static str,
    /// Name of the scenario.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// Whose view.
    pub observer: usize,
    /// Of whom.
    pub subject: usize,
    /// When, in seconds since the beginning.
    pub at_seconds: f64,
    /// Whether the process of the subject really runs.
    pub subject_runs: bool,
    /// What it thinks; `None` if it thinks nothing, and [`Self::rule`] says why.
    pub state: Option<&'static str>,
    /// The rule that gave the state.
    pub rule: String,
    /// How it came to know that the subject is a member; `None` if it does not, or is the subject.
    pub introduction: Option<Chain>,
    /// How the farewell of a subject that left came.
    pub farewell: Option<Chain>,
    /// Those with a duty to watch the subject.
    pub observers: Vec<Word>,
    /// What was not noted because there was too much: chains may be broken.
    pub omitted: u64,
}

/// What an observer said, and how that came.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Word {
    /// Who.
    pub observer: Option<usize>,
    /// The ring that gives it the duty.
    pub ring: u8,
    /// What it said; `None` if it has not reported on the subject.
    pub status: Option<&'static str>,
    /// What that rests on, in words.
    pub evidence: Option<String>,
    /// How the first report with this status and beginning came.
    pub chain: Option<Chain>,
    /// Name of the report of this observer that is held now; the same or a later one.
    pub held: Option<String>,
}

/// Runs a scenario to a moment and explains a judgement.
///
/// # Errors
/// If the scenario cannot be run, or the moment or a peer is not in it.
pub fn explain(
    name: &str,
    scenario: &Scenario,
    base: &Path,
    question: &Question,
) -> Result<Explanation, ReplayError> {
    check_moment(scenario, question.at)?;
    let mut watch = Asker { question: *question, name, seed: scenario.seed, answer: None };
    run(name, scenario, base, &mut watch)?;
    watch.answer.unwrap_or_else(|| {
        Err(ReplayError::Question("the run was over before that moment".to_owned()))
    })
}

struct Asker<'a> {
    question: Question,
    name: &'a str,
    seed: u64,
    answer: Option<Result<Explanation, ReplayError>>,
}

impl Watch for Asker<'_> {
    fn tick(&mut self, _: &World, _: &Progress<'_>) -> bool {
        self.answer.is_none()
    }

    fn tap(&self, world: &World) -> Option<TapFilter> {
        let about = Some(world.crypto_of(self.question.subject).peer_id());
        Some(TapFilter { from: Time(0), until: Time(u64::MAX), about, events: false })
    }

    fn next_moment(&self) -> Option<Duration> {
        self.answer.is_none().then_some(self.question.at)
    }

    fn moment(&mut self, world: &World) {
        self.answer = Some(answer(world, self.name, self.seed, &self.question));
    }
}

fn answer(
    world: &World,
    name: &str,
    seed: u64,
    question: &Question,
) -> Result<Explanation, ReplayError> {
    let Question { observer, subject, .. } = *question;
    let id_of = |host: usize| {
        world.peer_id(host).ok_or_else(|| {
            let last = world.len().saturating_sub(1);
            let what = format!("there is no peer {host} by then; peers are 0 to {last}");
            ReplayError::Question(what)
        })
    };
    let (_, id) = (id_of(observer)?, id_of(subject)?);
    let mut explanation = Explanation {
        api_version: crate::report::API_VERSION,
        kind: KIND,
        name: name.to_owned(),
        seed,
        observer,
        subject,
        at_seconds: world.elapsed().as_secs_f64(),
        subject_runs: world.truth(subject).running_since.is_some(),
        state: None,
        rule: String::new(),
        introduction: None,
        farewell: None,
        observers: Vec::new(),
        omitted: world.tap().map_or(0, Tap::omitted),
    };
    let Some(node) = world.node(observer) else {
        explanation.rule = format!("peer {observer} does not run, so it thinks nothing");
        return Ok(explanation);
    };
    let Some(why) = node.why(&id) else {
        explanation.rule = unknown(world, observer, subject);
        return Ok(explanation);
    };
    explanation.state = Some(words::of_state(why.state));
    explanation.rule = sentence(why.reason).to_owned();
    let held = |kind| node.record(id, kind, world.now_at(observer));
    if observer != subject {
        explanation.introduction =
            held(Kind::PEER).map(|record| chain::of(world, &record, observer));
    }
    explanation.farewell = held(Kind::LEAVE).map(|record| chain::of(world, &record, observer));
    explanation.observers = words_of(world, observer, &why);
    Ok(explanation)
}

fn words_of(world: &World, at: usize, why: &WhyReport) -> Vec<Word> {
    let word = |report: &ObserverReport| {
        let node = world.node(at)?;
        let held = node.record(report.observer, Kind::LINKS, world.now_at(at));
        let held = held.filter(|record| says(record, why.id, report));
        let first = world.tap().and_then(|tap| first_report(tap, at, why.id, report));
        let chain = first.or(held.as_deref()).map(|record| chain::of(world, record, at));
        Some(Word {
            observer: world.host_of(&report.observer),
            ring: report.ring,
            status: report.status.map(words::of_status),
            evidence: report.evidence.as_ref().map(|evidence| {
                format!(
                    "{} probes missed, {:.1} s of silence, {} of {} others reached it",
                    evidence.missed,
                    f64::from(evidence.silence_ms) / 1_000.0,
                    evidence.indirect_heard,
                    evidence.asked
                )
            }),
            chain,
            held: held.as_deref().map(words::id),
        })
    };
    why.observers.iter().filter_map(word).collect()
}

/// The record by which `at` first learned what an observer says: later ones repeat it.
fn first_report<'a>(
    tap: &'a Tap,
    at: usize,
    subject: PeerId,
    report: &ObserverReport,
) -> Option<&'a Record> {
    let records =
        tap.notes().iter().filter(|note| note.host == at).filter_map(|note| match &note.what {
            Noted::Published(record) | Noted::Came { record, taken: true, .. } => Some(&**record),
            _ => None,
        });
    records
        .into_iter()
        .find(|record| record.origin() == report.observer && says(record, subject, report))
}

/// Whether a record says of the subject what the report says.
fn says(record: &Record, subject: PeerId, report: &ObserverReport) -> bool {
    let Payload::Links(links) = record.payload() else { return false };
    let said: Option<(EdgeStatus, _)> = report.status.zip(report.since);
    said.is_some_and(|said| {
        let same = |edge: &&plexmesh_proto::record::LinkEdge| edge.subject == subject;
        links.edges.iter().find(same).is_some_and(|edge| (edge.status, edge.since) == said)
    })
}

/// Why a peer knows nothing of another one.
fn unknown(world: &World, observer: usize, subject: usize) -> String {
    let mut started = false;
    let mut came = None;
    for note in world.tap().map(Tap::notes).unwrap_or_default() {
        match &note.what {
            Noted::Published(record) if note.host == subject && record.kind() == Kind::PEER => {
                started = true;
            }
            Noted::Came { record, from, taken, .. }
                if note.host == observer
                    && record.kind() == Kind::PEER
                    && world.host_of(&record.origin()) == Some(subject) =>
            {
                came = Some((note.at, *from, *taken));
            }
            _ => {}
        }
    }
    match came {
        Some((at, from, taken)) => format!(
            "peer {observer} does not know peer {subject}: its Peer record came from peer {from} \
             at {:.3} s {}",
            crate::replay::seconds(at),
            if taken { "and was forgotten since" } else { "and was not taken" }
        ),
        None if !started => format!(
            "peer {observer} does not know peer {subject}, which has published nothing until then"
        ),
        None => format!(
            "peer {observer} does not know peer {subject}: no record of it came, neither by \
             broadcast nor in an exchange"
        ),
    }
}

const fn sentence(reason: Reason) -> &'static str {
    match reason {
        Reason::Myself => "this is the peer itself",
        Reason::SaidGoodBye => "it said good-bye",
        Reason::Heard => "most of its observers hear it",
        Reason::HeardByOthers => "somebody hears it; its assigned observers have not reported yet",
        Reason::BeingChecked => "an observer is checking an unusually long silence",
        Reason::LostByQuorum => {
            "at least 3 observers, and more than half of those able to see it, lost it"
        }
        Reason::LostButSpeaks => "lost by a quorum, yet it published something later",
        Reason::MayBeFound => "lost by a quorum a moment ago; it may still be found again",
        Reason::FlapCount => "most observers lost it repeatedly within the flap window",
        Reason::PoorPaths => {
            "most observers lost it, or many of its answers have been missing or a second late for a while"
        }
        Reason::WithinSleepGrace => "lost, but it may sleep and its grace is not over",
        Reason::TooFewObservers => "lost, but fewer than 3 observers are able to see it",
        Reason::NoObserverHere => {
            "no observer on this side has ever heard it: the other side of a partition, or a \
             newcomer"
        }
        Reason::NoPathFromHere => "no link that a reachable member hears leads to it",
    }
}

#[cfg(test)]
mod tests;
