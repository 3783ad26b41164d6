//! Makes a scenario from what a live mesh measured: the documents that `plexmesh topology -o json`
//! and `plexmesh latency -o json` print.

use std::fmt::Write as _;

use crate::builder::Start;
use crate::scenario::{
    Conditions, FORMAT, Group, Latency, LinkChange, MatrixValues, Network, Phases, Promises,
    Scenario, Span, Unit, Who,
};

mod document;
mod pairs;

use document::Document;
use pairs::Pairs;
pub use pairs::Source;

/// Most members: as many as a matrix of latencies has rows.
pub const MAX_MEMBERS: usize = 4_096;
/// Most members of a scenario that has its latencies in itself: each pair takes a table of its own,
/// and more than four thousand of them nobody wants to read.
pub const MAX_INLINE: usize = 64;

/// Why a document could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No JSON, or not of the expected shape.
    #[error("{file}:{line}:{column}: {what}; expected what `plexmesh topology -o json` prints")]
    Json {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// A document of another kind.
    #[error("{file}: {what}")]
    Document {
        /// The file.
        file: String,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// The members do not make a scenario.
    #[error("{0}")]
    Members(String),
}

/// A member of the mesh, in the order of the simulated peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Its name; its id if it has none.
    pub name: String,
    /// Its region; empty if it says none.
    pub region: String,
    /// For how long it may sleep, in seconds; `None` if it is always there.
    pub sleep_grace_s: Option<u64>,
}

/// A mesh as it was measured.
#[derive(Clone, Debug)]
pub struct Imported {
    /// By name, then id.
    members: Vec<Member>,
    pairs: Pairs,
    /// Jitter and loss, the medians of all measured edges.
    conditions: Conditions,
    /// Whose view it is, and when it was taken.
    origin: String,
}

/// Reads documents and puts them together: what a later one adds is taken, what it contradicts is
/// not. Each comes with the name of its file.
///
/// # Errors
/// [`ImportError`] says where what is wrong.
pub fn read(texts: &[(&str, &str)]) -> Result<Imported, ImportError> {
    let documents = texts
        .iter()
        .map(|(file, text)| document::read(file, text))
        .collect::<Result<Vec<_>, _>>()?;
    let members = document::members(&documents);
    if members.is_empty() {
        let what = "there is no member in it; is this the mesh that was meant? An agent that has \
                    joined one is expected";
        return Err(ImportError::Members(what.to_owned()));
    }
    if members.len() > MAX_MEMBERS {
        let what = format!("{} members; at most {MAX_MEMBERS} are expected", members.len());
        return Err(ImportError::Members(what));
    }
    let pairs = Pairs::new(&members, &documents);
    let conditions = document::conditions(&documents);
    let origin = documents.first().map(Document::origin).unwrap_or_default();
    Ok(Imported { members, pairs, conditions, origin })
}

impl Imported {
    /// The members; the place of each is the index of its simulated peer.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Round trip from one peer to another in microseconds, and where that is from.
    #[must_use]
    pub fn round_trip_us(&self, from: usize, to: usize) -> Option<(u32, Source)> {
        self.pairs.get(from, to)
    }

    /// Whether any round trip is known; without one, there is no matrix.
    #[must_use]
    pub const fn knows_latencies(&self) -> bool {
        self.pairs.median_us().is_some()
    }

    /// How many directed pairs have their round trip from this source.
    #[must_use]
    pub fn count(&self, source: Source) -> usize {
        self.pairs.count(source)
    }

    /// The matrix of round trips in microseconds, with comments.
    #[must_use]
    pub fn matrix(&self) -> String {
        let mut text = String::from(
            "# Round trips in microseconds, row = from, column = to. In front of each row: its \
             peer, and\n# which of its values were not measured.\n",
        );
        for (from, member) in self.members.iter().enumerate() {
            let _infallible = writeln!(text, "# {from} {}{}", member.name, self.unmeasured(from));
            let row: Vec<String> = (0..self.members.len())
                .map(|to| self.pairs.get(from, to).map_or(0, |(us, _)| us).to_string())
                .collect();
            text.push_str(&row.join("\t"));
            text.push('\n');
        }
        text
    }

    /// The scenario file. `matrix` is the file that [`Self::matrix`] is written to, as the scenario
    /// is to name it; without one the latencies stand in the scenario itself.
    ///
    /// # Errors
    /// If there are too many members for a scenario that has the latencies in itself, or if the
    /// TOML writer fails.
    pub fn scenario_file(&self, matrix: Option<&str>) -> Result<String, ImportError> {
        if matrix.is_none() && self.members.len() > MAX_INLINE {
            return Err(ImportError::Members(format!(
                "{} members are too many for a scenario with all latencies in itself; at most \
                 {MAX_INLINE} are expected: say --out FILE, and a matrix is written beside it",
                self.members.len()
            )));
        }
        let scenario = self.scenario(matrix);
        scenario.validate().map_err(|error| ImportError::Members(error.to_string()))?;
        let toml = scenario.to_toml().map_err(|error| ImportError::Members(error.to_string()))?;
        Ok(format!("{}\n{toml}", self.comment(matrix.is_none())))
    }

    /// The scenario; see [`Self::scenario_file`].
    #[must_use]
    pub fn scenario(&self, matrix: Option<&str>) -> Scenario {
        let mut network = Network { conditions: self.conditions, ..Network::default() };
        match (matrix, self.pairs.median_us()) {
            (_, None) => {}
            (Some(source), Some(_)) => {
                network.latency = Latency::Matrix {
                    source: source.to_owned(),
                    unit: Some(Unit::Us),
                    values: MatrixValues::RoundTrip,
                    symmetric: false,
                };
            }
            (None, Some(median_us)) => {
                let usual = one_way(median_us);
                // The upper bound itself is never drawn.
                let max = Span(usual.0 + std::time::Duration::from_micros(1));
                network.latency = Latency::Uniform { min: usual, max };
                network.links = self.links();
            }
        }
        Scenario {
            format: FORMAT,
            title: format!("A mesh of {} as it was measured", self.members.len()),
            description: self.origin.clone(),
            peers: self.members.len(),
            seed: 1,
            start: Start::default(),
            phases: Phases::default(),
            network,
            groups: self.groups(),
            faults: Vec::new(),
            churn: None,
            promises: Promises::default(),
        }
    }

    fn links(&self) -> Vec<LinkChange> {
        let all = 0..self.members.len();
        let pairs = all.clone().flat_map(|from| all.clone().map(move |to| (from, to)));
        let link = |(from, to)| {
            let (us, source) = self.pairs.get(from, to)?;
            (source != Source::Median).then(|| LinkChange { from, to, latency: one_way(us) })
        };
        pairs.filter_map(link).collect()
    }

    /// Peers that sleep, by their grace.
    fn groups(&self) -> Vec<Group> {
        let mut graces: Vec<u64> =
            self.members.iter().filter_map(|member| member.sleep_grace_s).collect();
        graces.sort_unstable();
        graces.dedup();
        let group = |grace| {
            let sleeps = |member: &Member| member.sleep_grace_s == Some(grace);
            let peers = self.members.iter().enumerate().filter(|(_, member)| sleeps(member));
            Group {
                name: format!("sleeps-{grace}s"),
                peers: Who::Listed(peers.map(|(index, _)| index).collect()),
                conditions: self.conditions,
                sleep_grace: Some(Span::seconds(grace)),
            }
        };
        graces.into_iter().map(group).collect()
    }

    fn comment(&self, inline: bool) -> String {
        let mut text = format!("# {}\n#\n", self.origin);
        let [measured, estimated, guessed] =
            [Source::Measured, Source::Estimated, Source::Median].map(|source| self.count(source));
        let _infallible = writeln!(
            text,
            "# One-way paths: {measured} measured, {estimated} estimated from coordinates, \
             {guessed} unknown."
        );
        let usual = match self.pairs.median_us() {
            Some(us) => format!(
                "# What is unknown has the median of all that is known: {} there and back.",
                Span(std::time::Duration::from_micros(us.into()))
            ),
            None => "# No round trip is known at all: latencies are those of any scenario.".into(),
        };
        text.push_str(&usual);
        text.push_str("\n#\n# peer  name                      region            id\n");
        for (index, member) in self.members.iter().enumerate() {
            let Member { id, name, region, .. } = member;
            let _infallible = writeln!(text, "# {index:>4}  {name:<24}  {region:<16}  {id}");
            let rest = self.unmeasured(index);
            if inline && !rest.is_empty() {
                let _infallible = writeln!(text, "#      {rest}");
            }
        }
        text
    }

    /// In words, to whom a row has no measured value.
    fn unmeasured(&self, from: usize) -> String {
        let of = |source| {
            let to = (0..self.members.len())
                .filter(|&to| self.pairs.get(from, to).is_some_and(|pair| pair.1 == source));
            to.map(|to| to.to_string()).collect::<Vec<_>>().join(" ")
        };
        let mut text = String::new();
        for (source, word) in [(Source::Estimated, "estimated"), (Source::Median, "unknown")] {
            let peers = of(source);
            if !peers.is_empty() {
                let _infallible = write!(text, "; {word} to {peers}");
            }
        }
        text
    }
}

fn one_way(round_trip_us: u32) -> Span {
    Span(std::time::Duration::from_micros(u64::from(round_trip_us.div_ceil(2))))
}

#[cfg(test)]
mod tests;
