//! The documents of the agent, as far as they are needed here. Unknown fields are left alone: within
//! one version of the format, fields are only added.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ImportError, Member};
use crate::scenario::{Conditions, Span};

/// The version of the documents that this program knows.
const API_VERSION: &str = "plexmesh/v1";
/// Kinds of documents that have round trips.
const KINDS: [&str; 2] = ["Topology", "Latency"];
/// Longest name or id that a comment shows, in characters: a hash takes 64.
const MAX_SHOWN: usize = 64;

/// What every document says around its content.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: Option<String>,
    kind: Option<String>,
}

/// A document.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    observed_by: Option<String>,
    observed_by_name: Option<String>,
    observed_at: Option<String>,
    pub(super) items: Vec<Item>,
}

/// A `Topology` or `Latency`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    pub(super) peers: Vec<Peer>,
    /// Edges, as a topology calls them, or a matrix of latencies does.
    #[serde(alias = "measured")]
    pub(super) edges: Vec<Edge>,
    #[serde(default)]
    pub(super) estimated_micros: Vec<Vec<Option<u32>>>,
}

/// A peer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Peer {
    pub(super) id: String,
    name: Option<String>,
    #[serde(default)]
    pub(super) is_self: bool,
    state: Option<String>,
    region: Option<String>,
    availability: Option<String>,
    sleep_grace_seconds: Option<f64>,
    pub(super) rtt: Option<Rtt>,
}

/// A round trip from the peer that made the document.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Rtt {
    pub(super) micros: u32,
    pub(super) estimated: bool,
}

/// A directed edge.
#[derive(Debug, Deserialize)]
pub(super) struct Edge {
    pub(super) observer: String,
    pub(super) subject: String,
    pub(super) figures: Option<Figures>,
}

/// Measured figures.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    pub(super) rtt_p50_micros: u32,
    jitter_micros: u32,
    loss_percent: f64,
}

impl Document {
    /// Whose view it is, and when it was taken, in one line.
    pub(super) fn origin(&self) -> String {
        let who = self.observed_by_name.as_ref().or(self.observed_by.as_ref());
        let who = who.map_or_else(|| "an unnamed peer".to_owned(), |who| plain(who));
        let when = self.observed_at.as_deref().map_or_else(|| "no known time".to_owned(), plain);
        format!("As {who} saw it at {when}.")
    }
}

/// Reads one document.
pub(super) fn read(file: &str, text: &str) -> Result<Document, ImportError> {
    let json = |error: serde_json::Error| {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let what = error.to_string().replace(&place, "");
        let (file, line, column) = (file.to_owned(), error.line(), error.column());
        ImportError::Json { file, line, column, what }
    };
    let other = |what: String| ImportError::Document { file: file.to_owned(), what };
    let head: Head = serde_json::from_str(text).map_err(json)?;
    match (head.api_version.as_deref(), head.kind.as_deref()) {
        (None, _) | (_, None) => Err(other(
            "it has no `apiVersion` and `kind`, so it is no document of plexmesh; expected what \
             `plexmesh topology -o json` prints"
                .to_owned(),
        )),
        (Some(API_VERSION), Some(kind)) if KINDS.contains(&kind) => {
            serde_json::from_str(text).map_err(json)
        }
        (Some(API_VERSION), Some(kind)) => Err(other(format!(
            "it is a `{}`; expected a `Topology` (`plexmesh topology -o json`) or a `Latency` \
             (`plexmesh latency -o json`)",
            plain(kind)
        ))),
        (Some(version), _) => Err(other(format!(
            "it has version `{}`, and this program knows `{API_VERSION}` alone; expected a \
             document of an agent of its own version",
            plain(version)
        ))),
    }
}

/// All members of some documents but those that left, by name and id.
pub(super) fn members(documents: &[Document]) -> Vec<Member> {
    let mut found: BTreeMap<&str, Member> = BTreeMap::new();
    let peers = documents.iter().flat_map(|document| &document.items).flat_map(|item| &item.peers);
    for peer in peers.filter(|peer| peer.state.as_deref() != Some("left")) {
        let name = peer.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&peer.id);
        let intermittent = peer.availability.as_deref() == Some("intermittent");
        found.entry(&peer.id).or_insert_with(|| Member {
            id: plain(&peer.id),
            name: plain(name),
            region: peer.region.as_deref().map(plain).unwrap_or_default(),
            sleep_grace_s: intermittent
                .then_some(peer.sleep_grace_seconds)
                .flatten()
                .filter(|seconds| *seconds >= 1.0)
                .map(|seconds| seconds as u64),
        });
    }
    let mut members: Vec<Member> = found.into_values().collect();
    members.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    members
}

/// The medians of jitter and loss over all measured edges.
pub(super) fn conditions(documents: &[Document]) -> Conditions {
    let edges = documents.iter().flat_map(|document| &document.items).flat_map(|item| &item.edges);
    let figures: Vec<Figures> = edges.filter_map(|edge| edge.figures).collect();
    let mut jitters: Vec<u32> = figures.iter().map(|figures| figures.jitter_micros).collect();
    jitters.sort_unstable();
    let mut losses: Vec<f64> = figures
        .iter()
        .map(|figures| figures.loss_percent / 100.0)
        .filter(|loss| (0.0..=1.0).contains(loss))
        .collect();
    losses.sort_by(f64::total_cmp);
    let jitter = jitters.get(jitters.len() / 2).copied();
    Conditions {
        jitter: jitter.map(|us| Span(std::time::Duration::from_micros(us.into()))),
        loss: losses.get(losses.len() / 2).copied(),
        ..Conditions::default()
    }
}

/// A text of somebody else without what would end a comment or the line.
fn plain(text: &str) -> String {
    let clean = |c: char| if c.is_control() || "\u{2028}\u{2029}".contains(c) { '?' } else { c };
    text.chars().take(MAX_SHOWN).map(clean).collect()
}
