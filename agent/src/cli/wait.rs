//! `plexmesh wait`: until the mesh is as it should be, or time is up.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::args::WaitArgs;
use super::client::{Client, encoded};
use super::output::Output;
use crate::api::problem::{Code, Problem};
use crate::api::schema::{Kind, One, PeerDetail, State, Status, Waited};
use crate::render;
use crate::time::span;

/// How often the agent is asked: often enough for a person not to notice.
const INTERVAL: Duration = Duration::from_millis(100);

/// What to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The agent has found its mesh, and its neighbours agree.
    Converged,
    /// A peer is in a state.
    Peer {
        /// Name or id, or the beginning of one.
        peer: String,
        /// The state.
        state: State,
    },
    /// At least so many peers are up, the asked one included.
    Peers(usize),
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORMS: &str = "give `converged`, `peer=PEER:STATE` or `peers=N`";
        if text == "converged" {
            return Ok(Self::Converged);
        }
        let (name, value) = text.split_once('=').ok_or(FORMS)?;
        match name {
            "peers" => value.parse().map(Self::Peers).map_err(|_| FORMS.to_owned()),
            "peer" => {
                let (peer, word) = value.rsplit_once(':').ok_or(FORMS)?;
                let words = State::ALL.map(State::word).join(", ");
                let state = State::ALL.into_iter().find(|state| state.word() == word);
                let state = state.ok_or_else(|| format!("`{word}` is none of {words}"))?;
                Ok(Self::Peer { peer: peer.to_owned(), state })
            }
            _ => Err(FORMS.to_owned()),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Converged => f.write_str("converged"),
            Self::Peer { peer, state } => write!(f, "peer={peer}:{}", state.word()),
            Self::Peers(count) => write!(f, "peers={count}"),
        }
    }
}

/// Whether a condition holds.
enum Look {
    Holds,
    /// What is the case instead.
    Not(String),
}

/// Waits. An agent that does not answer yet is waited for as well.
///
/// # Errors
/// [`Problem`] if time is up, or waiting makes no sense.
pub async fn wait(args: &WaitArgs, client: &mut Client, output: &Output) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let seen = match look(&args.condition, client).await {
            Ok(Look::Holds) => break,
            Ok(Look::Not(seen)) => seen,
            Err(problem) if may_pass(problem.code) => problem.message,
            Err(problem) => return Err(problem.into()),
        };
        if begun.elapsed() + INTERVAL > args.timeout {
            let message =
                format!("`{}` did not come about within {}", args.condition, span(args.timeout));
            let problem =
                Problem::new(Code::TimedOut, message).because(seen).then("plexmesh status");
            return Err(problem.into());
        }
        tokio::time::sleep(INTERVAL).await;
    }
    let waited = Waited {
        condition: args.condition.to_string(),
        waited_seconds: begun.elapsed().as_secs_f64(),
    };
    output.document(&One::local(Kind::Wait, waited), render::local::waited)?;
    Ok(())
}

/// Failures that time may cure.
const fn may_pass(code: Code) -> bool {
    matches!(code, Code::NoAgent | Code::NotReady | Code::NotFound | Code::Busy | Code::TimedOut)
}

async fn look(condition: &Condition, client: &mut Client) -> Result<Look, Problem> {
    match condition {
        Condition::Converged => {
            let ready: One<serde::de::IgnoredAny> = client.document("/readyz").await?;
            Ok(match ready.stamp.converged {
                Some(true) => Look::Holds,
                _ => Look::Not("neighbours have another view".to_owned()),
            })
        }
        Condition::Peer { peer, state } => {
            let path = format!("/v1/peers/{}", encoded(peer));
            let found: One<PeerDetail> = client.document(&path).await?;
            let now = found.body.item.peer.state;
            Ok(if now == *state {
                Look::Holds
            } else {
                Look::Not(format!("`{peer}` is {}", now.word()))
            })
        }
        Condition::Peers(count) => {
            let status: One<Status> = client.document("/v1/status").await?;
            let up = status.body.item.states.get(&State::Up).copied().unwrap_or(0);
            Ok(if up >= *count { Look::Holds } else { Look::Not(format!("{up} peers are up")) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_back_as_written() {
        for text in ["converged", "peer=beta:up", "peer=a:b:down", "peers=5"] {
            assert_eq!(text.parse::<Condition>().unwrap().to_string(), text);
        }
        for text in ["", "peer=beta", "peer=beta:well", "peers=many", "mesh=up"] {
            assert!(text.parse::<Condition>().is_err(), "{text}");
        }
    }
}
