//! What went wrong, as a person and a program read it: what failed, the likely why, the next
//! command.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::PeerRef;

/// A failure with its explanation. Goes over the socket as the item of an `Error` document, and is
/// what every verb of the command line fails with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// What kind of failure.
    pub code: Code,
    /// What failed.
    pub message: String,
    /// The likely reason; `null` if none is known.
    pub likely_cause: Option<String>,
    /// What to type next; `null` if nothing helps.
    pub next_command: Option<String>,
    /// What an ambiguous name may stand for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<PeerRef>,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Code {
    /// Several peers match what was given.
    Ambiguous,
    /// A request that makes no sense.
    BadRequest,
    /// The agent is too busy to answer.
    Busy,
    /// Anything else.
    Failed,
    /// Somebody else has the data directory, the socket or a port.
    InUse,
    /// The path exists, but not for this method.
    MethodNotAllowed,
    /// The peer of the data directory lives elsewhere.
    MovedAway,
    /// No agent answers.
    NoAgent,
    /// No such peer.
    NotFound,
    /// The change could not be written down, and was not made.
    NotAudited,
    /// The caller may not do that.
    NotPermitted,
    /// The data directory was written by a newer version.
    NewerData,
    /// The agent has not found its mesh yet.
    NotReady,
    /// What was asked for must not be.
    Refused,
    /// The agent is stopping.
    Stopping,
    /// It did not come about in time.
    TimedOut,
    /// No such path.
    UnknownPath,
    /// What was typed makes no sense.
    Usage,
}

impl Code {
    /// The exit code of a verb that fails so.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoAgent => 3,
            Self::NotPermitted => 4,
            Self::Ambiguous | Self::NotFound => 5,
            Self::TimedOut => 6,
            Self::BadRequest
            | Self::Busy
            | Self::MethodNotAllowed
            | Self::MovedAway
            | Self::NotAudited
            | Self::NewerData
            | Self::NotReady
            | Self::Refused
            | Self::Stopping
            | Self::UnknownPath => 7,
            Self::InUse => 8,
        }
    }

    /// The kind as JSON names it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ambiguous => "ambiguous",
            Self::BadRequest => "badRequest",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::InUse => "inUse",
            Self::MethodNotAllowed => "methodNotAllowed",
            Self::MovedAway => "movedAway",
            Self::NewerData => "newerData",
            Self::NoAgent => "noAgent",
            Self::NotFound => "notFound",
            Self::NotAudited => "notAudited",
            Self::NotPermitted => "notPermitted",
            Self::NotReady => "notReady",
            Self::Refused => "refused",
            Self::Stopping => "stopping",
            Self::TimedOut => "timedOut",
            Self::UnknownPath => "unknownPath",
            Self::Usage => "usage",
        }
    }

    /// The HTTP status of an answer that tells of it.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::BadRequest | Self::Usage => 400,
            Self::NotPermitted => 403,
            Self::NotFound | Self::UnknownPath => 404,
            Self::MethodNotAllowed => 405,
            Self::TimedOut => 408,
            Self::Ambiguous | Self::Refused => 409,
            Self::Failed | Self::InUse | Self::MovedAway | Self::NewerData => 500,
            Self::Busy | Self::NoAgent | Self::NotReady | Self::Stopping => 503,
            Self::NotAudited => 507,
        }
    }
}

impl Problem {
    /// A failure without explanation.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            likely_cause: None,
            next_command: None,
            candidates: Vec::new(),
        }
    }

    /// Adds the likely reason.
    #[must_use]
    pub fn because(mut self, likely_cause: impl Into<String>) -> Self {
        self.likely_cause = Some(likely_cause.into());
        self
    }

    /// Adds what to type next.
    #[must_use]
    pub fn then(mut self, next_command: impl Into<String>) -> Self {
        self.next_command = Some(next_command.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl From<anyhow::Error> for Problem {
    /// Keeps a problem that was passed up as an error; anything else becomes a plain failure with
    /// its chain of reasons.
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(problem) => problem,
            Err(error) => Self::new(Code::Failed, format!("{error:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_help_text() {
        let codes = [
            (Code::Failed, 1),
            (Code::Usage, 2),
            (Code::NoAgent, 3),
            (Code::NotPermitted, 4),
            (Code::NotFound, 5),
            (Code::Ambiguous, 5),
            (Code::TimedOut, 6),
            (Code::Busy, 7),
            (Code::Stopping, 7),
            (Code::InUse, 8),
            (Code::MovedAway, 7),
        ];
        for (code, exit) in codes {
            assert_eq!(code.exit_code(), exit, "{code:?}");
        }
    }

    #[test]
    fn a_problem_keeps_its_code_through_an_error_chain() {
        let problem = Problem::new(Code::NotPermitted, "no").then("sudo plexmesh leave");
        assert_eq!(Problem::from(anyhow::Error::new(problem.clone())), problem);
        let other = Problem::from(anyhow::anyhow!("inner").context("outer"));
        assert_eq!((other.code, other.message.as_str()), (Code::Failed, "outer: inner"));
    }

    #[test]
    fn unknown_reasons_are_null_in_json() {
        let text = serde_json::to_string(&Problem::new(Code::NoAgent, "none")).unwrap();
        assert_eq!(
            text,
            r#"{"code":"noAgent","message":"none","likelyCause":null,"nextCommand":null}"#
        );
    }
}
