//! The agents of a demo together, and what is done to them.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use plexmesh_net::peer_id_text;
use tokio::time::Instant;

use super::agent::Agent;
use super::progress::Progress;
use super::report::DemoAgent;
use super::watch::{self, Agreement};
use super::seconds;
use crate::api::schema::{EdgeStatus, One, PeerDetail, PeerRef, State, Why};
use crate::clock;
use crate::mesh::{self, Labels, Seed};

/// Fewer agents than this cannot call a peer down: three observers have to lose it.
const PEERS_FOR_DOWN: usize = 4;

/// All agents of a demo.
#[derive(Debug)]
pub(super) struct Mesh {
    agents: Vec<Agent>,
}

/// What became of a crash.
#[derive(Debug)]
pub(super) struct Crash {
    pub(super) victim: PeerRef,
    pub(super) seen_by_all: Duration,
    pub(super) state: State,
    pub(super) lost_by: Vec<PeerRef>,
    asked: String,
}

impl Crash {
    pub(super) fn sentence(&self) -> String {
        let name = |peer: &PeerRef| peer.name.clone().unwrap_or_else(|| peer.id.clone());
        let observers: Vec<String> = self.lost_by.iter().map(name).collect();
        format!(
            "{} killed, {} at all others, {}; {} says that it was lost by {}",
            name(&self.victim),
            self.state.word(),
            seconds(self.seen_by_all),
            self.asked,
            observers.join(", "),
        )
    }
}

impl Mesh {
    /// Makes a mesh of `peers` members in directories below `dir`. Nothing runs yet, and only the first has no seed.
    pub(super) fn new(dir: &Path, peers: usize) -> anyhow::Result<Self> {
        let labels = |number: usize| Labels {
            name: Some(format!("peer-{number}")),
            ..Labels::default()
        };
        let wall_s = clock::now().wall_s();
        let first_dir = dir.join("peer-1");
        let first = mesh::init(&first_dir, labels(1), wall_s)?.peer;
        let mut agents = vec![Agent::new("peer-1".into(), first_dir.clone(), peer_id_text(&first.0))];
        for number in 2..=peers {
            let own_dir = dir.join(format!("peer-{number}"));
            let peer = mesh::enrol(&first_dir, &own_dir, labels(number), Vec::new(), wall_s)?;
            let id = peer_id_text(&peer.0);
            agents.push(Agent::new(format!("peer-{number}"), own_dir, id));
        }
        Ok(Self { agents })
    }

    pub(super) const fn len(&self) -> usize {
        self.agents.len()
    }

    pub(super) fn describe(&self) -> Vec<DemoAgent> {
        self.agents.iter().map(Agent::describe).collect()
    }

    /// Starts all agents and waits until each says that all are up, with one digest.
    pub(super) async fn start(
        &mut self,
        within: Duration,
        progress: &Progress,
    ) -> anyhow::Result<Duration> {
        let began = Instant::now();
        progress.step("starting the first agent");
        let (first, others) = self.agents.split_first_mut().context("a mesh of nobody")?;
        first.start()?;
        let addresses = watch::listening(first, began + within).await?;
        let peer = first.id.clone();
        let seeds: Vec<Seed> = addresses
            .iter()
            .map(|address| format!("{address}/p2p/{peer}").parse())
            .collect::<Result<_, _>>()?;
        progress.step("starting the others");
        for agent in others {
            mesh::set_seeds(&agent.data_dir, seeds.clone())?;
            agent.start()?;
        }
        self.until_all_agree(began, within, progress).await
    }

    /// Kills the last agent and waits until all others know.
    pub(super) async fn crash(
        &mut self,
        within: Duration,
        progress: &Progress,
    ) -> anyhow::Result<Crash> {
        let peers = self.len();
        let (victim, survivors) = self.agents.split_last_mut().context("a mesh of nobody")?;
        progress.step(&format!("killed {}, waiting until all others know", victim.name));
        let began = Instant::now();
        victim.kill().await?;
        let gone = |state: State| {
            state == State::Down || (peers < PEERS_FOR_DOWN && state == State::Unreachable)
        };
        let path = format!("/v1/peers/{}", victim.id);
        watch::until_each(survivors, began + within, &path, |detail: &One<PeerDetail>| {
            let state = detail.body.item.peer.state;
            if gone(state) { Ok(()) } else { Err(format!("calls it {}", state.word())) }
        })
        .await
        .with_context(|| {
            format!("not all agents knew within {} that {} crashed", seconds(within), victim.name)
        })?;
        let seen_by_all = began.elapsed();
        let witness = untouched(survivors, &victim.id).await?;
        let why = witness.body.item;
        let lost = why.observers.into_iter().filter(|it| it.status == Some(EdgeStatus::Lost));
        Ok(Crash {
            victim: victim.peer(),
            seen_by_all,
            state: why.state,
            lost_by: lost.map(|observer| observer.peer).collect(),
            asked: witness.stamp.observed_by_name.unwrap_or_default(),
        })
    }

    /// Starts the agent that crashed again and waits until all agree.
    pub(super) async fn rejoin(
        &mut self,
        within: Duration,
        progress: &Progress,
    ) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let victim = self.agents.last_mut().context("a mesh of nobody")?;
        progress.step(&format!("starting {} again", victim.name));
        victim.start()?;
        self.until_all_agree(began, within, progress).await
    }

    /// What all agents say now.
    pub(super) async fn agreement(&self) -> anyhow::Result<Agreement> {
        watch::agreement(&self.agents).await
    }

    /// Ends all agents.
    pub(super) async fn stop(&mut self) {
        futures::future::join_all(self.agents.iter_mut().map(Agent::stop)).await;
    }

    async fn until_all_agree(
        &mut self,
        began: Instant,
        within: Duration,
        progress: &Progress,
    ) -> anyhow::Result<Duration> {
        progress.step("waiting until all agree");
        watch::until_all_agree(&mut self.agents, began + within)
            .await
            .with_context(|| format!("not all agents agreed within {}", seconds(within)))?;
        Ok(began.elapsed())
    }
}

/// Why the victim has its state, as told by an agent that is none of its observers, or by any if all are.
async fn untouched(survivors: &[Agent], victim: &str) -> anyhow::Result<One<Why>> {
    let path = format!("/v1/why/{victim}");
    let mut answer = None;
    for survivor in survivors {
        let why: One<Why> = survivor.ask(&path).await?;
        if !why.body.item.observers.iter().any(|observer| observer.peer.id == survivor.id) {
            return Ok(why);
        }
        answer.get_or_insert(why);
    }
    answer.context("nobody is left to ask")
}
