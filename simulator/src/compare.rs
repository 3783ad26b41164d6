//! plexmesh beside other failure detectors: the same paths, the same faults, the same seed, and one
//! set of questions for all.
//!
//! | protocol | what it is | where its rules come from |
//! |---|---|---|
//! | `plexmesh` | the shipped protocol, by [`crate::run`] | this repository |
//! | `foca` | SWIM with suspicion and its extensions, `Config::new_lan` | the crate foca (MPL-2.0) itself, which does no I/O |
//! | `swim` | foca without everything that it marks as an extension of SWIM | the same crate |
//! | `scuttlebutt` | Scuttlebutt gossip with a phi-accrual detector | written here after the rules and defaults of the crate chitchat 0.13 (MIT) |
//!
//! chitchat itself cannot be run here: its state machine is private to a tokio server that draws
//! from the operating system's randomness, so no seed decides what it does.
//!
//! The others run in [a world of datagrams](world) on the same [links](crate::links) as plexmesh. A
//! UDP datagram travels as fragments of 1,400 bytes with 28 bytes of header each, and arrives if
//! all of them do. All peers know each other when they start, in every protocol: what is compared
//! is how a running mesh notices, not how it comes together.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::builder::Start;
use crate::report;
use crate::run::RunError;
use crate::scenario::{Problem, Scenario, nearest};
use crate::topology::TopologyError;

mod admissible;
mod detection;
mod machine;
mod outcome;
mod phi;
mod play;
mod plexmesh;
mod scenarios;
mod scuttlebutt;
mod swim;
mod tally;
mod world;

pub use outcome::{Agreement, Comparison, Detection, FalsePositives, Faulty, KIND, Outcome};
pub use scenarios::{scenario, scenarios};

use scuttlebutt::Scuttlebutt;
use swim::Swim;

/// What the tally of a run gives.
type Seen = (Detection, FalsePositives, Option<Faulty>, Agreement);

/// A protocol that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// This one.
    Plexmesh,
    /// The crate foca in its LAN configuration.
    Foca,
    /// foca without its extensions.
    Swim,
    /// Scuttlebutt and phi-accrual after chitchat.
    Scuttlebutt,
}

impl Protocol {
    /// All of them, in the order of a table.
    pub const ALL: [Self; 4] = [Self::Plexmesh, Self::Foca, Self::Swim, Self::Scuttlebutt];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plexmesh => "plexmesh",
            Self::Foca => "foca",
            Self::Swim => "swim",
            Self::Scuttlebutt => "scuttlebutt",
        }
    }

    /// What it is called in a table: who is not the original is said to be so.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Plexmesh => "plexmesh",
            Self::Foca => "foca, LAN",
            Self::Swim => "plain SWIM (foca)",
            Self::Scuttlebutt => "scuttlebutt+phi (reimplemented)",
        }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|protocol| protocol.name() == text);
        named.ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            match nearest(text, names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("one of {}", names.join(", ")),
            }
        })
    }
}

/// Why a protocol could not be run in a scenario.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The scenario contradicts itself, or has what not all protocols can have.
    #[error(transparent)]
    Scenario(#[from] Problem),
    /// plexmesh could not be run in it.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The paths between peers could not be made.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The watcher stopped it.
    #[error("interrupted")]
    Interrupted,
}

/// How far a run of one protocol is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beat {
    /// Which.
    pub protocol: Protocol,
    /// Virtual time that passed.
    pub elapsed: Duration,
    /// Virtual time that the run will take.
    pub total: Duration,
    /// Name of the phase, as scenario files call it.
    pub phase: &'static str,
    /// Events that were delivered.
    pub events: u64,
}

/// Looks on while protocols run.
pub trait Watcher {
    /// Called once per virtual second; `false` stops the run.
    fn second(&mut self, beat: &Beat) -> bool;
}

/// Looks on without interest.
impl Watcher for () {
    fn second(&mut self, _: &Beat) -> bool {
        true
    }
}

/// Checks that every protocol can have what a scenario does, and makes all peers start settled.
///
/// # Errors
/// If the scenario contradicts itself, or has a fault, a churn or a size that one of the protocols
/// cannot have.
pub fn prepare(scenario: &Scenario, protocols: &[Protocol]) -> Result<Scenario, CompareError> {
    scenario.validate()?;
    admissible::check(scenario, protocols)?;
    Ok(Scenario { start: Start::Settled, ..scenario.clone() })
}

/// Runs one protocol in the world of a scenario. Files that the scenario names are sought in
/// `base`. Same scenario, same outcome, but for [`Outcome::wall`].
///
/// # Errors
/// As [`prepare`]; if the paths cannot be made; if the watcher stopped it.
pub fn run(
    scenario: &Scenario,
    protocol: Protocol,
    base: &Path,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, CompareError> {
    let scenario = prepare(scenario, &[protocol])?;
    match protocol {
        Protocol::Plexmesh => plexmesh::play(&scenario, base, watcher),
        Protocol::Foca | Protocol::Swim => {
            let rules = match protocol {
                Protocol::Foca => swim::lan(scenario.peers),
                _ => swim::plain(scenario.peers),
            };
            let words = swim::in_words(&rules);
            play::play::<Swim>(protocol, (rules, words), &scenario, base, watcher)
        }
        Protocol::Scuttlebutt => {
            let words = scuttlebutt::CONFIGURATION.to_owned();
            play::play::<Scuttlebutt>(protocol, ((), words), &scenario, base, watcher)
        }
    }
}

/// Runs several protocols, one after the other, in the world of a scenario. `name` is what the
/// document calls it.
///
/// # Errors
/// As [`run`]; nothing is run if one of the protocols cannot have what the scenario does.
pub fn compare(
    name: &str,
    scenario: &Scenario,
    protocols: &[Protocol],
    base: &Path,
    watcher: &mut dyn Watcher,
) -> Result<Comparison, CompareError> {
    let scenario = prepare(scenario, protocols)?;
    let outcomes = protocols.iter().map(|&protocol| run(&scenario, protocol, base, watcher));
    Ok(Comparison {
        api_version: report::API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        name: name.to_owned(),
        protocols: outcomes.collect::<Result<_, _>>()?,
        scenario,
    })
}
