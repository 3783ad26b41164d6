//! The agents of a demo together, and what is done to them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use plexmesh_net::peer_id_text;
use plexmesh_proto::types::PeerId;
use tokio::time::Instant;

use super::agent::Agent;
use super::progress::Progress;
use super::report::DemoAgent;
use super::seconds;
use super::storage::{self, Replica};
use super::watch::{self, Agreement};
use crate::api::schema::{
    EdgeStatus, Integrity, One, PeerDetail, PeerRef, State, Status, Verdict, Why,
};
use crate::clock;
use crate::mesh::{self, Labels, Seed};

/// Fewer agents than this cannot call a peer down: three observers have to lose it.
const PEERS_FOR_DOWN: usize = 4;

/// All agents of a demo. The last one is the one that crashes.
#[derive(Debug)]
pub(super) struct Mesh {
    dir: PathBuf,
    peers: usize,
    agents: Vec<Agent>,
}

/// What became of a flipped bit.
#[derive(Debug)]
pub(super) struct Corruption {
    pub(super) holder: PeerRef,
    pub(super) seen_by_all: Duration,
    pub(super) code: String,
    replica: Replica,
}

impl Corruption {
    pub(super) fn sentence(&self) -> String {
        format!(
            "one bit of {} flipped at {}, {} at all agents, nobody else accused, {}",
            self.replica.shard,
            self.holder.name.as_ref().unwrap_or(&self.holder.id),
            self.code,
            seconds(self.seen_by_all),
        )
    }
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
    /// A mesh of `peers` agents in directories below `dir`. Nothing is there yet.
    pub(super) fn new(dir: &Path, peers: usize) -> Self {
        Self { dir: dir.to_owned(), peers, agents: Vec::new() }
    }

    pub(super) const fn peers(&self) -> usize {
        self.peers
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
        let shards: Vec<PathBuf> = (1..=self.peers).map(|number| self.shards(number)).collect();
        storage::fill(&shards)?;
        let began = Instant::now();
        progress.step("starting the first agent");
        let wall_s = clock::now().wall_s();
        let (first_name, first_dir) = self.place(1);
        let first = mesh::init(&first_dir, named(&first_name), wall_s)?.peer;
        self.start_agent(1, first_name, first_dir.clone(), first)?;
        let seeds = self.seeds(first, began + within).await?;
        progress.step("starting the others");
        for number in 2..=self.peers {
            let (name, dir) = self.place(number);
            let peer = mesh::enrol(&first_dir, &dir, named(&name), seeds.clone(), wall_s)?;
            self.start_agent(number, name, dir, peer)?;
        }
        self.until_all_agree(began, within, progress).await
    }

    /// Kills the last agent and waits until all others know.
    pub(super) async fn crash(
        &mut self,
        within: Duration,
        progress: &Progress,
    ) -> anyhow::Result<Crash> {
        let peers = self.peers;
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

    /// Waits until every agent says that all shards of all agents are ok; how many there are.
    pub(super) async fn read_shards(
        &mut self,
        within: Duration,
        progress: &Progress,
    ) -> anyhow::Result<u64> {
        progress.step("waiting until all shards were read");
        self.until_sound(Instant::now() + within)
            .await
            .with_context(|| format!("not all shards were ok within {}", seconds(within)))?;
        let first = self.agents.first().context("a mesh of nobody")?;
        let integrity: One<Integrity> = first.ask("/v1/integrity").await?;
        Ok(integrity.body.item.shards)
    }

    /// Flips a bit of a replica, so that the file looks untouched, and waits until all agents say
    /// whose it is and accuse nobody else.
    pub(super) async fn corrupt(
        &mut self,
        within: Duration,
        progress: &Progress,
    ) -> anyhow::Result<Corruption> {
        let holder = self.agents.get(self.peers / 2).context("a mesh of nobody")?;
        let replica = storage::first_replica(&holder.shards)?;
        let (id, holder) = (holder.id.clone(), holder.peer());
        let name = holder.name.clone().unwrap_or_default();
        progress.step(&format!("flipped a bit at {name}, waiting until all others know"));
        let began = Instant::now();
        storage::flip(&replica)
            .with_context(|| format!("cannot change {}", replica.file.display()))?;
        let path = "/v1/integrity";
        watch::until_each(&mut self.agents, began + within, path, |told: &One<Integrity>| {
            accuses_only(&told.body.item, &id)
        })
        .await
        .with_context(|| {
            format!("not all agents knew within {} of a wrong bit at {name}", seconds(within))
        })?;
        let seen_by_all = began.elapsed();
        Ok(Corruption { holder, seen_by_all, code: CORRUPT.to_owned(), replica })
    }

    /// Flips the bit back and waits until no agent says anything of it.
    pub(super) async fn repair(
        &mut self,
        corruption: &Corruption,
        within: Duration,
        progress: &Progress,
    ) -> anyhow::Result<Duration> {
        progress.step("flipped the bit back, waiting until all others know");
        let (began, replica) = (Instant::now(), &corruption.replica);
        storage::flip(replica)
            .with_context(|| format!("cannot change {}", replica.file.display()))?;
        self.until_sound(began + within).await.with_context(|| {
            format!("not all agents knew within {} of the repair", seconds(within))
        })?;
        Ok(began.elapsed())
    }

    /// Waits until every agent says that every shard of every agent is ok.
    async fn until_sound(&mut self, until: Instant) -> anyhow::Result<()> {
        let path = "/v1/integrity";
        watch::until_each(&mut self.agents, until, path, |told: &One<Integrity>| {
            let it = &told.body.item;
            let ok = it.verdicts.get(&Verdict::Ok).copied().unwrap_or(0);
            let accused = it.peers.iter().any(|peer| !peer.findings.is_empty());
            if it.silent_peers == 0 && !accused && ok == it.shards && ok > 0 {
                return Ok(());
            }
            Err(format!("says: {}", it.summary))
        })
        .await
    }

    /// Waits until every agent knows by itself that its neighbours agree with it.
    pub(super) async fn settle(
        &mut self,
        within: Duration,
        progress: &Progress,
    ) -> anyhow::Result<Duration> {
        let began = Instant::now();
        progress.step("waiting until each knows that the others agree");
        let path = "/v1/status";
        watch::until_each(&mut self.agents, began + within, path, |status: &One<Status>| {
            match status.stamp.converged {
                Some(true) => Ok(()),
                _ => Err("does not know that its neighbours agree".to_owned()),
            }
        })
        .await
        .with_context(|| format!("not all agents settled within {}", seconds(within)))?;
        Ok(began.elapsed())
    }

    /// What all agents say now.
    pub(super) async fn agreement(&self) -> anyhow::Result<Agreement> {
        watch::agreement(&self.agents).await
    }

    /// Ends all agents.
    pub(super) async fn stop(&mut self) {
        futures::future::join_all(self.agents.iter_mut().map(Agent::stop)).await;
    }

    /// Name and data directory of an agent; they count from 1.
    fn place(&self, number: usize) -> (String, PathBuf) {
        let name = format!("peer-{number}");
        let dir = self.dir.join(&name);
        (name, dir)
    }

    /// Directory of an agent's shards.
    fn shards(&self, number: usize) -> PathBuf {
        self.dir.join("shards").join(format!("peer-{number}"))
    }

    fn start_agent(
        &mut self,
        number: usize,
        name: String,
        dir: PathBuf,
        peer: PeerId,
    ) -> anyhow::Result<()> {
        let shards = self.shards(number);
        let mut agent = Agent::new(name, dir, shards, peer_id_text(&peer.0));
        agent.start()?;
        self.agents.push(agent);
        Ok(())
    }

    /// Where the first agent can be dialled.
    async fn seeds(&mut self, peer: PeerId, until: Instant) -> anyhow::Result<Vec<Seed>> {
        let first = self.agents.first_mut().context("a mesh of nobody")?;
        let addresses = watch::listening(first, until).await?;
        Ok(addresses.into_iter().map(|address| Seed { peer, address }).collect())
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

fn named(name: &str) -> Labels {
    Labels { name: Some(name.to_owned()), ..Labels::default() }
}

/// The health code of a shard with a wrong bit.
const CORRUPT: &str = "REPLICA_CORRUPT";

/// Whether a view of all shards has one corrupt shard at this peer, and nothing else is wrong.
fn accuses_only(integrity: &Integrity, holder: &str) -> Result<(), String> {
    let mut found = false;
    for peer in &integrity.peers {
        for finding in &peer.findings {
            if peer.peer.id != holder || finding.code != CORRUPT || finding.count != 1 {
                let name = peer.peer.name.as_ref().unwrap_or(&peer.peer.id);
                return Err(format!("accuses {name} of {} {}", finding.count, finding.code));
            }
            found = true;
        }
    }
    if found { Ok(()) } else { Err("accuses nobody".to_owned()) }
}

/// Why the victim has its state, as told by an agent that is none of its observers, or by any if
/// all are.
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
