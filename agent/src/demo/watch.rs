//! Waiting until agents say what they are to say.

use std::time::Duration;

use anyhow::bail;
use futures::future::join_all;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::agent::Agent;
use crate::api::schema::{One, Stamp, State, Status};

/// Between two questions to one agent: a fiftieth of the shortest time that is measured.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Agents that an error names: the first few tell as much as all.
const MAX_NAMED: usize = 4;

/// What all agents said at about one time.
#[derive(Debug)]
pub(super) struct Agreement {
    /// Whether all have the same state digest.
    pub(super) digests_equal: bool,
    /// The first agent's stamp.
    pub(super) stamp: Stamp,
}

/// Waits until an agent says where it listens.
pub(super) async fn listening(agent: &mut Agent, until: Instant) -> anyhow::Result<Vec<String>> {
    loop {
        agent.check_alive()?;
        let answer = agent.status().await;
        match answer {
            Ok(status) if !status.body.item.listening.is_empty() => {
                return Ok(status.body.item.listening);
            }
            _ if Instant::now() < until => sleep(POLL_INTERVAL).await,
            Ok(_) => bail!("{} listens nowhere{}", agent.name, agent.log_tail()),
            Err(error) => bail!("{} does not answer: {error:#}{}", agent.name, agent.log_tail()),
        }
    }
}

/// Waits until each agent has once answered `path` as `judge` wants. `judge` says what is wrong
/// with an answer.
pub(super) async fn until_each<T: DeserializeOwned>(
    agents: &mut [Agent],
    until: Instant,
    path: &str,
    judge: impl Fn(&T) -> Result<(), String>,
) -> anyhow::Result<()> {
    let mut waiting: Vec<&mut Agent> = agents.iter_mut().collect();
    loop {
        let answers = join_all(waiting.iter().map(|agent| agent.ask::<T>(path))).await;
        let mut complaints = Vec::new();
        let mut still = Vec::new();
        for (agent, answer) in waiting.into_iter().zip(answers) {
            let verdict = match &answer {
                Ok(answer) => judge(answer),
                Err(error) => Err(format!("{error:#}")),
            };
            if let Err(complaint) = verdict {
                agent.check_alive()?;
                complaints.push(complaint);
                still.push(agent);
            }
        }
        if still.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            bail!("{}", blame(&still, &complaints));
        }
        waiting = still;
        sleep(POLL_INTERVAL).await;
    }
}

/// Waits until all agents say at about one time that all are up, with one digest.
pub(super) async fn until_all_agree(agents: &mut [Agent], until: Instant) -> anyhow::Result<()> {
    loop {
        let answers = join_all(agents.iter().map(Agent::status)).await;
        let first = answers.first().and_then(|answer| answer.as_ref().ok());
        let digest = first.and_then(|status| status.stamp.state_digest.as_ref());
        let mut complaints = Vec::new();
        let mut blamed = Vec::new();
        let peers = agents.len();
        for (agent, answer) in agents.iter_mut().zip(&answers) {
            let complaint = match answer {
                Ok(status) => disagreement(status, peers, digest),
                Err(error) => Some(format!("{error:#}")),
            };
            if let Some(complaint) = complaint {
                agent.check_alive()?;
                complaints.push(complaint);
                blamed.push(agent);
            }
        }
        if blamed.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            bail!("{}", blame(&blamed, &complaints));
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// What all agents say now.
pub(super) async fn agreement(agents: &[Agent]) -> anyhow::Result<Agreement> {
    let answers = join_all(agents.iter().map(Agent::status)).await;
    let statuses = answers.into_iter().collect::<anyhow::Result<Vec<One<Status>>>>()?;
    let digests_equal = statuses
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a.stamp.state_digest == b.stamp.state_digest));
    let stamp = statuses.into_iter().next().map_or_else(Stamp::local, |status| status.stamp);
    Ok(Agreement { digests_equal, stamp })
}

/// What stands between an agent's status and agreement; `None` if nothing does.
fn disagreement(status: &One<Status>, peers: usize, digest: Option<&String>) -> Option<String> {
    let up = status.body.item.states.get(&State::Up).copied().unwrap_or(0);
    if up != peers {
        return Some(format!("sees {up} of {peers} up"));
    }
    match (&status.stamp.state_digest, digest) {
        (Some(own), Some(first)) if own == first => None,
        _ => Some("has another state digest".to_owned()),
    }
}

/// Who does not say what it is to say; and the log of the first of them.
fn blame(agents: &[&mut Agent], complaints: &[String]) -> String {
    let named = agents.iter().zip(complaints).take(MAX_NAMED);
    let mut text: Vec<String> =
        named.map(|(agent, complaint)| format!("{} {complaint}", agent.name)).collect();
    if agents.len() > MAX_NAMED {
        text.push(format!("and {} more", agents.len() - MAX_NAMED));
    }
    let log = agents.first().map(|agent| agent.log_tail()).unwrap_or_default();
    format!("{}{log}", text.join("; "))
}
