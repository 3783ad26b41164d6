//! What is configured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigKey {
    /// The section it stands in.
    pub section: String,
    /// Its name there.
    pub key: String,
    /// What it is set to: a text, a number, a list; `null` if it is not set. Spans of time are
    /// texts such as `24h`.
    pub value: serde_json::Value,
    /// Where that comes from: `default`, `FILE:LINE`, `environment NAME` or `flag --NAME`.
    pub origin: String,
    /// Whether a running agent takes a change on SIGHUP.
    pub reloadable: bool,
}

/// What was read of a configuration, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigCheck {
    /// The files, in their order.
    pub files: Vec<String>,
    /// The environment variables.
    pub variables: Vec<String>,
    /// What is wrong; empty if nothing is.
    pub errors: Vec<ConfigFlaw>,
}

/// Something that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigFlaw {
    /// Where: `FILE:LINE`, `FILE`, `environment NAME` or `flag --NAME`.
    pub origin: String,
    /// What, and what would be right.
    pub message: String,
}

/// A configuration file that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigFile {
    /// Where it was written to; `null` if it was only shown.
    pub file: Option<String>,
    /// What it says.
    pub text: String,
}
