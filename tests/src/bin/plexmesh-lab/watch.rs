//! Follows what every agent tells, and asks for digests.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use plexmesh_agent::time::WallTime;
use serde_json::Value;

use crate::agents::{ask, host_of};

/// How long an agent has to open its socket on a crowded machine.
const SOCKET_PATIENCE: Duration = Duration::from_secs(120);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(50);
/// Between two rounds of questions: a round costs each agent a fraction of a millisecond.
const ROUND_EVERY: Duration = Duration::from_millis(250);

/// Something that reached the lab.
#[derive(Clone, Debug)]
pub(crate) enum Word {
    /// An agent told something.
    Told {
        teller: usize,
        /// When, by its own event.
        at: WallTime,
        what: Told,
    },
    /// All that could be asked said what they see.
    Round { at: WallTime, views: BTreeMap<usize, View> },
}

/// What an agent told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    State { peer: usize, to: String },
    Partition { outside: usize },
    Shards { peer: usize, count: u32 },
    Other(String),
}

/// What an agent sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) digest: String,
    /// Peers that it takes for running.
    pub(crate) up: u64,
}

/// The ears of the lab.
#[derive(Debug)]
pub(crate) struct Ears {
    sender: Sender<Word>,
    words: Receiver<Word>,
    /// Directories of the agents that can be asked.
    askable: Arc<Mutex<BTreeMap<usize, PathBuf>>>,
}

impl Ears {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (sender, words) = mpsc::channel();
        let askable = Arc::<Mutex<BTreeMap<usize, PathBuf>>>::default();
        let (rounds, all) = (sender.clone(), askable.clone());
        let work = move || {
            while rounds.send(round(&all)).is_ok() {
                thread::sleep(ROUND_EVERY);
            }
        };
        thread::Builder::new().name("rounds".into()).spawn(work).context("no thread")?;
        Ok(Self { sender, words, askable })
    }

    /// Follows one agent from its start on, until it ends.
    pub(crate) fn follow(&self, teller: usize, dir: &Path) -> anyhow::Result<()> {
        let (sender, socket) = (self.sender.clone(), dir.join("agent.sock"));
        let work = move || {
            let give_up = Instant::now() + SOCKET_PATIENCE;
            while Instant::now() < give_up {
                let Ok(mut stream) = UnixStream::connect(&socket) else {
                    thread::sleep(RETRY);
                    continue;
                };
                if write!(stream, "GET /v1/events?follow=true HTTP/1.0\r\n\r\n").is_err() {
                    continue;
                }
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let Some((at, what)) = told(&line) else { continue };
                    if sender.send(Word::Told { teller, at, what }).is_err() {
                        return;
                    }
                }
                return;
            }
        };
        thread::Builder::new().name(format!("ear {teller}")).spawn(work).context("no thread")?;
        self.set_askable(teller, Some(dir));
        Ok(())
    }

    /// Whether an agent is asked in rounds.
    pub(crate) fn set_askable(&self, host: usize, dir: Option<&Path>) {
        let mut askable = self.askable.lock().unwrap_or_else(PoisonError::into_inner);
        match dir {
            Some(dir) => askable.insert(host, dir.to_owned()),
            None => askable.remove(&host),
        };
    }

    /// The next word within `wait`.
    pub(crate) fn next(&self, wait: Duration) -> Option<Word> {
        self.words.recv_timeout(wait).ok()
    }
}

fn round(askable: &Mutex<BTreeMap<usize, PathBuf>>) -> Word {
    let all = askable.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let at = WallTime::now();
    let view = |dir: &Path| {
        let status = ask(dir, "/v1/status").ok()?;
        let count = |state: &str| status.pointer("/items/0/states")?.get(state)?.as_u64();
        let up = ["up", "suspect", "flapping"].into_iter().filter_map(count).sum();
        Some(View { digest: status["stateDigest"].as_str()?.to_owned(), up })
    };
    let views = all.iter().filter_map(|(host, dir)| Some((*host, view(dir)?))).collect();
    Word::Round { at, views }
}

fn told(line: &str) -> Option<(WallTime, Told)> {
    let event: Value = serde_json::from_str(line).ok()?;
    // Both forms of the document: the event itself, or the event in an envelope.
    let event = event.pointer("/items/0").unwrap_or(&event);
    let at: WallTime = serde_json::from_value(event["at"].clone()).ok()?;
    let peer = || host_of(event.pointer("/peer/name")?.as_str()?);
    let count = |key: &str| event[key].as_u64().and_then(|count| usize::try_from(count).ok());
    let kind = event["type"].as_str()?;
    let what = match kind {
        "peerStateChanged" => Told::State { peer: peer()?, to: event["to"].as_str()?.to_owned() },
        "partitionChanged" => Told::Partition { outside: count("outside")? },
        "shardsChanged" => {
            Told::Shards { peer: peer()?, count: u32::try_from(count("count")?).ok()? }
        }
        other => Told::Other(other.to_owned()),
    };
    Some((at, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_with_and_without_an_envelope() {
        let event = r#"{"sequence":3,"at":"2026-01-02T03:04:05.678Z","text":"","type":"peerStateChanged","peer":{"id":"x","name":"peer-4"},"from":"up","to":"down"}"#;
        let wrapped = format!(r#"{{"kind":"Event","items":[{event}]}}"#);
        for line in [event, &wrapped] {
            let (at, what) = told(line).unwrap();
            assert_eq!(what, Told::State { peer: 4, to: "down".to_owned() });
            assert_eq!(at.ms() % 1_000, 678);
        }
        assert_eq!(told("HTTP/1.0 200 OK"), None);
    }
}
