//! Where values come from, and what is wrong with some.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::api::problem::{Code, Problem};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file.
    File {
        /// Which.
        path: PathBuf,
        /// Its line from 1; `None` if the file as a whole is meant.
        line: Option<usize>,
    },
    /// An environment variable.
    Environment(String),
    /// A flag of the command line, with its dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Where.
    pub origin: Origin,
    /// What, and what would be right.
    pub message: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

/// Everything that is wrong with a configuration; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ConfigError {
    /// What, in the order of the layers.
    pub flaws: Vec<Flaw>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flaws: Vec<String> = self.flaws.iter().map(Flaw::to_string).collect();
        f.write_str(&flaws.join("\n"))
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        let typed = |flaw: &Flaw| matches!(flaw.origin, Origin::Flag(_));
        if error.flaws.iter().all(typed) {
            return Self::new(Code::Usage, error.to_string()).then("plexmesh run --help");
        }
        let cause = "it was mistyped, or is of another version; with a slip that could pass for a \
            setting nothing is started";
        let message = match error.flaws.as_slice() {
            [only] => only.to_string(),
            flaws => format!("the configuration has {} errors\n{error}", flaws.len()),
        };
        let file = |flaw: &Flaw| match &flaw.origin {
            Origin::File { path, .. } => Some(path.clone()),
            _ => None,
        };
        // A file may have been named that a check would not look at by itself.
        let first = error.flaws.first().and_then(file);
        let next = match first
            .filter(|first| error.flaws.iter().all(|it| file(it).as_ref() == Some(first)))
        {
            Some(file) => format!("plexmesh config check {}", file.display()),
            None => "plexmesh config check".to_owned(),
        };
        // As what is mistyped at a prompt: to try it again changes nothing.
        Self::new(Code::Usage, message).because(cause).then(next)
    }
}
