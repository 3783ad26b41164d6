//! The scenarios that the program brings along.

use super::parse::nearest;
use super::{Scenario, ScenarioError, load};

/// A scenario that the program brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// Its name on the command line.
    pub name: &'static str,
    /// The file.
    pub text: &'static str,
}

impl Builtin {
    /// Reads it.
    ///
    /// # Errors
    /// If it is wrong, which a test rules out.
    pub fn load(&self) -> Result<Scenario, ScenarioError> {
        load(self.text, self.name)
    }
}

macro_rules! builtin_files {
    ($($name:literal),* $(,)?) => {
        &[$(Builtin {
            name: $name,
            text: include_str!(concat!("../../scenarios/", $name, ".toml")),
        }),*]
    };
}

/// All of them, in the order in which to get to know them.
const BUILTINS: &[Builtin] = builtin_files![
    "small-office",
    "home-peers",
    "three-regions",
    "planetlab",
    "gray-failures",
    "flip-flop",
    "rolling-restart",
    "mass-restart",
    "mass-crash",
    "long-partition",
    "churn",
    "byzantine",
    "clock-trouble",
    "starved-observers",
    "thousand-idle",
];

/// All built-in scenarios, in the order in which to get to know them.
#[must_use]
pub const fn builtins() -> &'static [Builtin] {
    BUILTINS
}

/// The built-in scenario of a name.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}

/// The built-in scenario that was probably meant.
#[must_use]
pub fn nearest_builtin(name: &str) -> Option<&'static str> {
    nearest(name, BUILTINS.iter().map(|builtin| builtin.name))
}
