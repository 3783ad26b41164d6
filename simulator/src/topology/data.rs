//! What comes with the program: measured matrices and operators' networks, packed.
//!
//! Their sources and licences are named in `simulator/data/README.md`.

use std::sync::OnceLock;

use super::matrix::{self, Matrix, Reading};
use super::read::Text;
use super::{TopologyError, graphml};
use crate::scenario::{MatrixValues, Unit};

/// A built-in source of latencies.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// What `source` in a scenario calls it.
    pub name: &'static str,
    /// Which model reads it.
    pub kind: BuiltinKind,
    /// Its places: rows or nodes.
    pub places: usize,
    /// One line.
    pub about: &'static str,
    packed: &'static [u8],
    names: &'static str,
}

/// Which model reads a built-in source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltinKind {
    /// `model = "matrix"`, with round trips in this unit.
    Matrix(Unit),
    /// `model = "graphml"`.
    Graphml,
}

static BUILTINS: [Builtin; 7] = [
    Builtin {
        name: "planetlab",
        kind: BuiltinKind::Matrix(Unit::Ms),
        places: 490,
        about: "490 PlanetLab hosts all over the world: median round trip 135 ms, p90 291 ms",
        packed: include_bytes!("../../data/planetlab.tsv.gz"),
        names: "",
    },
    Builtin {
        name: "cloud",
        kind: BuiltinKind::Matrix(Unit::Ms),
        places: 21,
        about: "21 cloud regions and what lies between them, each way measured for itself",
        packed: include_bytes!("../../data/cloud.tsv.gz"),
        names: include_str!("../../data/cloud.regions.txt"),
    },
    Builtin {
        name: "seattle",
        kind: BuiltinKind::Matrix(Unit::S),
        places: 99,
        about: "99 personal devices: median round trip 210 ms, some above 5 s",
        packed: include_bytes!("../../data/seattle.tsv.gz"),
        names: "",
    },
    Builtin {
        name: "zoo:abilene",
        kind: BuiltinKind::Graphml,
        places: 11,
        about: "Abilene, a research backbone across the United States, 2005",
        packed: include_bytes!("../../data/zoo-abilene.graphml.gz"),
        names: "",
    },
    Builtin {
        name: "zoo:geant2010",
        kind: BuiltinKind::Graphml,
        places: 37,
        about: "GEANT, the research network of Europe, 2010",
        packed: include_bytes!("../../data/zoo-geant2010.graphml.gz"),
        names: "",
    },
    Builtin {
        name: "zoo:hurricane-electric",
        kind: BuiltinKind::Graphml,
        places: 24,
        about: "Hurricane Electric, a carrier in America, Europe and Asia, 2010",
        packed: include_bytes!("../../data/zoo-hurricane-electric.graphml.gz"),
        names: "",
    },
    Builtin {
        name: "zoo:uninett2010",
        kind: BuiltinKind::Graphml,
        places: 74,
        about: "Uninett, the research network of Norway, to Svalbard, 2010",
        packed: include_bytes!("../../data/zoo-uninett2010.graphml.gz"),
        names: "",
    },
];

/// Matrices that were unpacked, in the order of [`BUILTINS`]: `swarm` asks for the same one
/// hundreds of times.
static MATRICES: [OnceLock<Matrix>; BUILTINS.len()] = [const { OnceLock::new() }; BUILTINS.len()];

/// All built-in sources.
#[must_use]
pub fn builtins() -> &'static [Builtin] {
    &BUILTINS
}

/// A built-in source by name.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}

impl Builtin {
    /// Names of the places, where they have any.
    pub(super) fn names(&self) -> Vec<String> {
        self.names.lines().map(str::to_owned).collect()
    }

    /// The matrix; `None` if it is none.
    pub(super) fn matrix(&self) -> Result<Option<Matrix>, TopologyError> {
        let BuiltinKind::Matrix(unit) = self.kind else { return Ok(None) };
        let kept = BUILTINS.iter().zip(&MATRICES).find(|(known, _)| known.name == self.name);
        if let Some(matrix) = kept.and_then(|(_, kept)| kept.get()) {
            return Ok(Some(matrix.clone()));
        }
        let text = Text::unpack(self.name, self.packed)?;
        // A round trip is the same from both ends, so that one fills in for the other.
        let how = Reading { unit: Some(unit), values: MatrixValues::RoundTrip, symmetric: true };
        let matrix = matrix::parse(&text, unit, how)?;
        if let Some((_, place)) = kept {
            // Another thread may have been faster; its matrix is the same.
            let _ = place.set(matrix.clone());
        }
        Ok(Some(matrix))
    }

    /// The network; `None` if it is none.
    pub(super) fn network(&self) -> Result<Option<graphml::Network>, TopologyError> {
        if self.kind != BuiltinKind::Graphml {
            return Ok(None);
        }
        let text = Text::unpack(self.name, self.packed)?;
        graphml::parse(&text).map(Some)
    }
}
