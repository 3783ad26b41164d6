//! What came out of a demo.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::schema::{HeartbeatLag, PeerRef, State};
use crate::render::page::{Line, Page};
use crate::render::table::Table;
use crate::text::counted;

/// The outcome of a demo. What was not done is `null`: an agent alone cannot lose anybody.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DemoReport {
    /// How many agents.
    pub peers: usize,
    /// From the start of the first agent until all agreed that all are up.
    pub converged_seconds: Option<f64>,
    /// From the kill until every survivor said so.
    pub crash_seen_by_all_seconds: Option<f64>,
    /// From the restart until all agreed that all are up.
    pub rejoin_seen_by_all_seconds: Option<f64>,
    /// Who was killed.
    pub crashed: Option<PeerRef>,
    /// What the survivors called it.
    pub seen_as: Option<State>,
    /// Observers that lost it, as an agent that is none of them told.
    pub lost_by: Vec<PeerRef>,
    /// Replicas of shards that all agents hold together.
    pub replicas: Option<u64>,
    /// Whose replica got a wrong bit.
    pub corrupted: Option<PeerRef>,
    /// The health code by which all agents told of it.
    pub corrupted_as: Option<String>,
    /// From the wrong bit until every agent said so, and accused nobody else.
    pub corruption_seen_by_all_seconds: Option<f64>,
    /// From the repair until no agent said so any more.
    pub repair_seen_by_all_seconds: Option<f64>,
    /// Whether all agents had the same state digest at the end.
    pub state_digests_equal: bool,
    /// How current the heartbeats were at the end, at the first agent.
    pub heartbeat_lag: Option<HeartbeatLag>,
    /// The agents' sockets.
    pub sockets: Vec<String>,
    /// The agents.
    pub agents: Vec<DemoAgent>,
    /// What was done, in order.
    pub steps: Vec<DemoStep>,
}

/// One agent of a demo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DemoAgent {
    /// Its peer id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its process; `null` if it does not run.
    pub pid: Option<u32>,
    /// Its local socket.
    pub socket: String,
    /// Its data directory.
    pub data_dir: String,
    /// The directory of its shards.
    pub shards_dir: String,
    /// Its log.
    pub log: String,
}

/// One step of a demo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DemoStep {
    /// What was waited for.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
}

impl DemoReport {
    pub(super) fn note(&mut self, name: &str, took: Duration) {
        self.steps.push(DemoStep { name: name.to_owned(), seconds: took.as_secs_f64() });
    }

    /// The report for people.
    pub(crate) fn page(&self, keep: bool) -> Page {
        let mut page = Page::new("demo");
        let agents = counted(self.peers, "agent");
        if let Some(seconds) = self.converged_seconds {
            page.line(format!("OK  {agents} agreed after {seconds:.1} s"));
        }
        if let (Some(seconds), Some(peer), Some(state)) =
            (self.crash_seen_by_all_seconds, &self.crashed, self.seen_as)
        {
            let (name, word) = (called(peer), state.word());
            page.line(format!(
                "OK  {name} was killed; all others call it {word} after {seconds:.1} s"
            ));
            let observers: Vec<&str> = self.lost_by.iter().map(called).collect();
            page.line(format!("    lost by {}", observers.join(", ")));
        }
        if let (Some(seconds), Some(peer)) = (self.rejoin_seen_by_all_seconds, &self.crashed) {
            let name = called(peer);
            page.line(format!("OK  {name} was started again; all agree after {seconds:.1} s"));
        }
        if self.crash_seen_by_all_seconds.is_none() {
            page.line("    nobody was killed: an agent alone cannot tell; try --peers 5");
        }
        if let (Some(seconds), Some(peer), Some(replicas)) =
            (self.corruption_seen_by_all_seconds, &self.corrupted, self.replicas)
        {
            let code = self.corrupted_as.as_deref().unwrap_or_default();
            page.line(format!(
                "OK  one bit of one of {replicas} replicas was flipped at {}; all agents say {code} \
                 of it, and nothing of others, after {seconds:.1} s",
                called(peer)
            ));
        }
        if let Some(seconds) = self.repair_seen_by_all_seconds {
            page.line(format!("OK  it was flipped back; no agent complains after {seconds:.1} s"));
        }
        let equal = if self.state_digests_equal { "equal" } else { "different" };
        let missing = self.heartbeat_lag.map_or_else(String::new, |lag| {
            format!(", {} missing", counted(lag.missing, "heartbeat"))
        });
        page.line(format!("    state digests {equal}{missing}"));
        if keep {
            page.gap();
            page.line("The agents go on until Ctrl-C. Ask them, or kill one and look:");
            for agent in &self.agents {
                let DemoAgent { name, socket, pid, .. } = agent;
                let pid = pid.map_or_else(String::new, |pid| format!("   # {name}, process {pid}"));
                let command = format!("plexmesh --socket {socket} status{pid}");
                page.line(Line::from("  ").code(command));
            }
            page.gap();
            page.line("Their shards lie in these directories; damage one and look:");
            for DemoAgent { name, shards_dir, .. } in &self.agents {
                page.line(Line::from("  ").code(format!("{shards_dir}   # {name}")));
            }
        }
        page.data(self.figures());
        page
    }

    /// The report as names and values; what was not done is empty.
    fn figures(&self) -> Table {
        let mut table = Table::facts();
        let seconds = |it: Option<f64>| it.map_or_else(String::new, |it| it.to_string());
        let crashed = self.crashed.as_ref().map_or("", |it| it.id.as_str());
        let lost_by: Vec<&str> = self.lost_by.iter().map(|it| it.id.as_str()).collect();
        for (name, value) in [
            ("peers", self.peers.to_string()),
            ("converged seconds", seconds(self.converged_seconds)),
            ("crash seen by all seconds", seconds(self.crash_seen_by_all_seconds)),
            ("rejoin seen by all seconds", seconds(self.rejoin_seen_by_all_seconds)),
            ("crashed", crashed.to_owned()),
            ("seen as", self.seen_as.map_or("", State::word).to_owned()),
            ("lost by", lost_by.join(" ")),
            ("replicas", self.replicas.map_or_else(String::new, |it| it.to_string())),
            ("corrupted", self.corrupted.as_ref().map_or("", |it| it.id.as_str()).to_owned()),
            ("corruption seen by all seconds", seconds(self.corruption_seen_by_all_seconds)),
            ("repair seen by all seconds", seconds(self.repair_seen_by_all_seconds)),
            ("state digests equal", self.state_digests_equal.to_string()),
        ] {
            table.row([name.into(), value.into()]);
        }
        for agent in &self.agents {
            table.row(["socket".into(), agent.socket.as_str().into()]);
        }
        table
    }
}

fn called(peer: &PeerRef) -> &str {
    peer.name.as_deref().unwrap_or(&peer.id)
}
