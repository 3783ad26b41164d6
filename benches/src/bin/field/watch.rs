//! Follows what every agent tells of the states of others.

use std::io::{BufRead, BufReader};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use anyhow::Context;
use plexmesh_agent::time::WallTime;
use serde_json::Value;

use crate::agents::Agent;

/// A change of state, as one agent saw it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The index of the agent that tells.
    pub(crate) teller: usize,
    /// Unix milliseconds of its event, by the clock that all share.
    pub(crate) at_ms: u64,
    /// Whom it is about.
    pub(crate) peer: String,
    /// The state now.
    pub(crate) to: String,
}

/// The changes that all agents tell.
#[derive(Debug)]
pub(crate) struct Watch {
    sender: Sender<Change>,
    changes: Receiver<Change>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let (sender, changes) = mpsc::channel();
        Self { sender, changes }
    }

    /// Follows one agent from now on, until it ends.
    pub(crate) fn follow(&self, teller: usize, agent: &Agent) -> anyhow::Result<()> {
        let stream = agent.open("/v1/events?follow=true")?;
        let sender = self.sender.clone();
        let follow = move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let Some(change) = change(teller, &line) else { continue };
                if sender.send(change).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().spawn(follow).context("no thread")?;
        Ok(())
    }

    /// The next change before `deadline`.
    pub(crate) fn next(&self, deadline: Instant) -> Option<Change> {
        self.changes.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }

    /// All changes that are told within `time`.
    pub(crate) fn during(&self, time: Duration) -> Vec<Change> {
        let deadline = Instant::now() + time;
        std::iter::from_fn(|| self.next(deadline)).collect()
    }
}

fn change(teller: usize, line: &str) -> Option<Change> {
    let event: Value = serde_json::from_str(line).ok()?;
    // Both forms of the document: the event itself, or the event in an envelope.
    let event = event.pointer("/items/0").unwrap_or(&event);
    if event["type"] != "peerStateChanged" {
        return None;
    }
    let at: WallTime = serde_json::from_value(event["at"].clone()).ok()?;
    Some(Change {
        teller,
        at_ms: at.ms(),
        peer: event.pointer("/peer/name")?.as_str()?.to_owned(),
        to: event["to"].as_str()?.to_owned(),
    })
}
