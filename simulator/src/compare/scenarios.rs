//! The scenarios that a comparison brings along.

use crate::scenario::Builtin;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(Builtin {
            name: $name,
            text: include_str!(concat!("../../scenarios/compare/", $name, ".toml")),
        }),*]
    };
}

const SCENARIOS: &[Builtin] = files!["crash", "loss", "gray", "flip", "partition"];

/// All scenarios of the comparison.
#[must_use]
pub const fn scenarios() -> &'static [Builtin] {
    SCENARIOS
}

/// The scenario of a name.
#[must_use]
pub fn scenario(name: &str) -> Option<&'static Builtin> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}
