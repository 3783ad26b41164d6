//! The JSON that goes over the socket, and that `-o json` prints.
//!
//! Keys are camelCase with the unit last (`Seconds`, `Micros`, `Bytes`, `Percent`). Unknown is
//! `null`, never 0. Times are RFC 3339 in UTC, peer ids libp2p text. Within `plexmesh/v1` keys are
//! only added.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::api::problem::Problem;
use crate::time::WallTime;

mod audit;
mod config;
mod doctor;
mod edge;
mod event;
mod integrity;
mod latency;
mod membership;
mod outcome;
mod peer;
mod scrub;
mod status;
mod store;
mod why;

pub use audit::{AuditBreak, AuditChain, AuditEntry, AuditItems, AuditOutcome};
pub use config::{ConfigCheck, ConfigFile, ConfigFlaw, ConfigKey};
pub use doctor::{Doctor, DoctorArea, DoctorCheck};
pub use edge::{CutDirection, Edge, EdgeFigures, EdgeStatus, Evidence, Topology};
pub use event::{Event, EventDetail, EventItems};
pub use integrity::{Integrity, PeerIntegrity, ShardFinding, Verdict, Verdicts};
pub use latency::Latency;
pub use membership::{
    AuthorityList, AuthorityRequest, CertificateRequest, DEFAULT_LIFETIME_S, DEFAULT_USES, Invite,
    InviteRequest, Joined, Keys, MadeToken, OwnCertificate, PeerKeys, ReplacedAuthority,
    Revocation, RevocationCause, RevokeRequest, Signer,
};
pub use outcome::{
    IdentityTransfer, Leave, Liveness, MadeMesh, Readiness, Script, Waited, Written,
};
pub use peer::{Availability, Heartbeat, Peer, PeerDetail, PeerRef, Reason, Rtt, State};
pub use scrub::{
    Backup, BackupItems, PieceRange, Scrub, ScrubAction, ScrubRequest, Shard, ShardItems,
    ShardSource,
};
pub use status::{
    Figures, Finding, Health, OwnClock, Partition, Severity, SocketFigures, States, Status,
};
pub use store::{Database, DatabaseName};
pub use why::{Observer, Quorum, Why};

/// Version of this schema.
pub const API_VERSION: &str = "plexmesh/v1";

/// What a document holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// What was changed over the socket, by whom.
    AuditList,
    /// The keys whose certificates make members.
    Authorities,
    /// Backups of which pieces are here.
    BackupList,
    /// The certificate of the peer that was asked.
    Certificate,
    /// What is configured.
    Config,
    /// What is wrong with a configuration.
    ConfigCheck,
    /// A configuration file that was made.
    ConfigFile,
    /// The databases of an agent that does not run.
    DatabaseList,
    /// Outcome of `plexmesh demo`.
    DemoReport,
    /// What is wrong with a host and its agent.
    Doctor,
    /// Something went wrong.
    Error,
    /// One event.
    Event,
    /// Several events.
    EventList,
    /// What the agent did and dropped.
    Figures,
    /// A peer was written into a file, to be moved.
    IdentityExported,
    /// A peer was read from a file.
    IdentityImported,
    /// The shards of all peers.
    Integrity,
    /// Tokens that the mesh knows.
    InviteList,
    /// A peer joined.
    Joined,
    /// The epochs of the mesh's secret.
    Keys,
    /// A peer left.
    Left,
    /// Round-trip times.
    Latency,
    /// Whether the agent lives.
    Liveness,
    /// A mesh was made.
    MeshMade,
    /// One peer.
    Peer,
    /// Several peers.
    PeerList,
    /// Whether the agent has found its mesh.
    Readiness,
    /// Peers that were put out.
    RevocationList,
    /// A text that another program reads.
    Script,
    /// How the scrub of this peer gets on.
    Scrub,
    /// Shards of this peer, one by one.
    ShardList,
    /// The mesh in a few figures.
    Status,
    /// A token was made.
    Token,
    /// Who watches whom.
    Topology,
    /// Outcome of `plexmesh wait`.
    Wait,
    /// Why a peer has its state.
    Why,
    /// Files that were written.
    Written,
}

impl Kind {
    /// All kinds, by name.
    pub const ALL: [Self; 37] = [
        Self::AuditList,
        Self::Authorities,
        Self::BackupList,
        Self::Certificate,
        Self::Config,
        Self::ConfigCheck,
        Self::ConfigFile,
        Self::DatabaseList,
        Self::DemoReport,
        Self::Doctor,
        Self::Error,
        Self::Event,
        Self::EventList,
        Self::Figures,
        Self::IdentityExported,
        Self::IdentityImported,
        Self::Integrity,
        Self::InviteList,
        Self::Joined,
        Self::Keys,
        Self::Left,
        Self::Latency,
        Self::Liveness,
        Self::MeshMade,
        Self::Peer,
        Self::PeerList,
        Self::Readiness,
        Self::RevocationList,
        Self::Script,
        Self::Scrub,
        Self::ShardList,
        Self::Status,
        Self::Token,
        Self::Topology,
        Self::Wait,
        Self::Why,
        Self::Written,
    ];

    /// The kind as documents name it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AuditList => "AuditList",
            Self::Authorities => "Authorities",
            Self::BackupList => "BackupList",
            Self::Certificate => "Certificate",
            Self::Config => "Config",
            Self::ConfigCheck => "ConfigCheck",
            Self::ConfigFile => "ConfigFile",
            Self::DatabaseList => "DatabaseList",
            Self::DemoReport => "DemoReport",
            Self::Doctor => "Doctor",
            Self::Error => "Error",
            Self::Event => "Event",
            Self::EventList => "EventList",
            Self::Figures => "Figures",
            Self::IdentityExported => "IdentityExported",
            Self::IdentityImported => "IdentityImported",
            Self::Integrity => "Integrity",
            Self::InviteList => "InviteList",
            Self::Joined => "Joined",
            Self::Keys => "Keys",
            Self::Left => "Left",
            Self::Latency => "Latency",
            Self::Liveness => "Liveness",
            Self::MeshMade => "MeshMade",
            Self::Peer => "Peer",
            Self::PeerList => "PeerList",
            Self::Readiness => "Readiness",
            Self::RevocationList => "RevocationList",
            Self::Script => "Script",
            Self::Scrub => "Scrub",
            Self::ShardList => "ShardList",
            Self::Status => "Status",
            Self::Token => "Token",
            Self::Topology => "Topology",
            Self::Wait => "Wait",
            Self::Why => "Why",
            Self::Written => "Written",
        }
    }
}

/// What every document says around its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<B> {
    /// [`API_VERSION`].
    pub api_version: String,
    /// What [`Self::body`] is.
    #[schemars(with = "String")]
    pub kind: Kind,
    /// Whose view this is, and how good it is.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// `items`.
    #[serde(flatten)]
    pub body: B,
}

/// A document with one thing in it.
pub type One<T> = Envelope<Item<T>>;
/// A document with a list in it.
pub type Many<T> = Envelope<Items<T>>;

/// The body of a document with one thing in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Item<T> {
    /// The thing; on the wire the only element of `items`, so that every document has the same
    /// shape.
    #[serde(
        rename = "items",
        serialize_with = "serialize_only",
        deserialize_with = "deserialize_only",
        bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>")
    )]
    #[schemars(with = "[T; 1]")]
    pub item: T,
}

fn serialize_only<T: Serialize, S: Serializer>(item: &T, to: S) -> Result<S::Ok, S::Error> {
    [item].serialize(to)
}

fn deserialize_only<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    <[T; 1]>::deserialize(from).map(|[item]| item)
}

/// The body of a document with a list in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Items<T> {
    /// The list.
    pub items: Vec<T>,
}

/// Whose view a document shows, and how good it is. All but the time is `null` in a document that
/// no agent made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    /// The peer whose view this is.
    pub observed_by: Option<String>,
    /// Its name; `null` if it has none.
    pub observed_by_name: Option<String>,
    /// When it was taken.
    pub observed_at: WallTime,
    /// Summary of the state records, in hexadecimal: equal digests mean equal state.
    pub state_digest: Option<String>,
    /// Whether all neighbours agree. A mesh of one agrees with itself; a peer that nobody answers
    /// agrees with nobody.
    pub converged: Option<bool>,
    /// What that rests on.
    pub convergence: Option<Convergence>,
    /// How current the heartbeats are.
    pub heartbeat_lag: Option<HeartbeatLag>,
}

/// How far the view agrees with those of the ring neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Convergence {
    /// Neighbours that answered an exchange lately.
    pub neighbours_asked: usize,
    /// Of these, how many had the same state digest.
    pub neighbours_equal: usize,
}

/// How current the heartbeats of reachable peers are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatLag {
    /// Reachable peers without a valid heartbeat.
    pub missing: usize,
    /// Age of the oldest valid one; `null` if there is none.
    pub oldest_seconds: Option<f64>,
    /// How old a heartbeat gets by design in a mesh of this size.
    pub interval_seconds: f64,
}

impl<B> Envelope<B> {
    /// A document of this agent.
    #[must_use]
    pub fn new(kind: Kind, stamp: Stamp, body: B) -> Self {
        Self { api_version: API_VERSION.to_owned(), kind, stamp, body }
    }
}

impl<T> One<T> {
    /// A document with one thing in it that no agent's view stands behind.
    #[must_use]
    pub fn local(kind: Kind, item: T) -> Self {
        Self::new(kind, Stamp::local(), Item { item })
    }
}

impl One<Problem> {
    /// The document that tells of a problem.
    #[must_use]
    pub fn problem(problem: Problem) -> Self {
        Self::local(Kind::Error, problem)
    }
}

impl Stamp {
    /// The stamp of a document that no agent's view stands behind.
    #[must_use]
    pub fn local() -> Self {
        Self {
            observed_by: None,
            observed_by_name: None,
            observed_at: WallTime::now(),
            state_digest: None,
            converged: None,
            convergence: None,
            heartbeat_lag: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        Stamp {
            observed_by: Some("12D3KooW".to_owned()),
            observed_by_name: None,
            observed_at: WallTime::from_ms(0),
            state_digest: Some("00".to_owned()),
            converged: Some(true),
            convergence: Some(Convergence { neighbours_asked: 4, neighbours_equal: 4 }),
            heartbeat_lag: Some(HeartbeatLag {
                missing: 1,
                oldest_seconds: None,
                interval_seconds: 15.0,
            }),
        }
    }

    #[test]
    fn the_envelope_has_exactly_its_keys_in_order() {
        let list = Many::<u8>::new(Kind::PeerList, stamp(), Items { items: vec![1] });
        assert_eq!(
            serde_json::to_string(&list).unwrap(),
            r#"{"apiVersion":"plexmesh/v1","kind":"PeerList","observedBy":"12D3KooW","#.to_owned()
                + r#""observedByName":null,"observedAt":"1970-01-01T00:00:00.000Z","#
                + r#""stateDigest":"00","converged":true,"#
                + r#""convergence":{"neighboursAsked":4,"neighboursEqual":4},"#
                + r#""heartbeatLag":{"missing":1,"oldestSeconds":null,"intervalSeconds":15.0},"#
                + r#""items":[1]}"#
        );
    }

    #[test]
    fn a_document_survives_json() {
        let document = One::new(Kind::Status, stamp(), Item { item: 7 });
        let text = serde_json::to_string(&document).unwrap();
        assert_eq!(serde_json::from_str::<One<i32>>(&text).unwrap(), document);
    }

    #[test]
    fn a_document_that_no_agent_made_says_null_not_false() {
        let text = serde_json::to_value(One::local(Kind::Wait, ())).unwrap();
        for key in ["observedBy", "stateDigest", "converged", "convergence", "heartbeatLag"] {
            assert!(text.get(key).unwrap().is_null(), "{key}");
        }
    }
}
