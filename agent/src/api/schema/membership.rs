//! Who is let in and who is put out, as it goes over the socket.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::peer::PeerRef;
use crate::time::WallTime;

/// The body of a request for a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InviteRequest {
    /// How many peers it lets in.
    #[serde(default = "once")]
    pub uses: u32,
    /// The only peer that it lets in; `null` for any.
    #[serde(default)]
    pub for_peer: Option<String>,
    /// How long it may be used.
    #[serde(default = "an_hour")]
    pub lifetime_seconds: u64,
    /// What it is for, as others see it: 64 bytes at most.
    #[serde(default)]
    pub note: String,
}

/// Uses of a token of which nothing else was said.
pub const DEFAULT_USES: u32 = 1;
/// Lifetime of a token of which nothing else was said, in seconds: long enough to walk over to the
/// other host, short enough that a forgotten one is no key to the mesh.
pub const DEFAULT_LIFETIME_S: u64 = 3_600;

const fn once() -> u32 {
    DEFAULT_USES
}

const fn an_hour() -> u64 {
    DEFAULT_LIFETIME_S
}

/// A token that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeToken {
    /// The token. Whoever has it can join, so it is to be kept as a password is. It is shown once.
    pub token: String,
    /// Its id, by which the mesh knows it.
    pub id: String,
    /// How many peers it lets in.
    pub uses: u32,
    /// The only peer that it lets in; `null` for any.
    pub for_peer: Option<String>,
    /// From when on nobody is let in with it.
    pub expires_at: WallTime,
    /// Addresses in it at which a newcomer asks.
    pub addresses: Vec<String>,
}

/// A token that the mesh knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invite {
    /// Its id.
    pub id: String,
    /// The enroller that made it.
    pub made_by: PeerRef,
    /// How many peers it lets in.
    pub uses: u32,
    /// How many it let in.
    pub used: u32,
    /// How many came in with it too often, on both sides of a cut, and are barred.
    pub barred: u32,
    /// The only peer that it lets in; `null` for any.
    pub for_peer: Option<PeerRef>,
    /// From when on nobody is let in with it.
    pub expires_at: WallTime,
    /// What it is for; `null` if nobody said.
    pub note: Option<String>,
    /// Whom it let in.
    pub peers: Vec<PeerRef>,
}

/// The body of a request to put a peer out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeRequest {
    /// Name or id of the peer, or the unambiguous beginning of one.
    pub peer: String,
    /// Why, as others see it: 256 bytes at most.
    #[serde(default)]
    pub reason: String,
    /// Whether those are put out, too, whose certificate this peer signed.
    #[serde(default)]
    pub with_enrolled: bool,
}

/// Why a peer was put out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RevocationCause {
    /// Its key is not trusted any more.
    Revoked,
    /// It is gone for good.
    Forgotten,
    /// A cause of a later version.
    #[serde(other)]
    Other,
}

impl From<plexmesh_proto::record::RevocationCause> for RevocationCause {
    fn from(cause: plexmesh_proto::record::RevocationCause) -> Self {
        match cause {
            plexmesh_proto::record::RevocationCause::Revoked => Self::Revoked,
            plexmesh_proto::record::RevocationCause::Forgotten => Self::Forgotten,
        }
    }
}

impl RevocationCause {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Forgotten => "forgotten",
            Self::Other => "other",
        }
    }
}

/// A peer that was put out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// Who.
    pub peer: PeerRef,
    /// Why.
    pub cause: RevocationCause,
    /// In the admin's words; `null` if there are none.
    pub reason: Option<String>,
    /// The admin.
    pub by: PeerRef,
    /// When.
    pub at: WallTime,
    /// Members that are up, the asked one included.
    pub members_up: usize,
    /// How many of these said that they know.
    pub acknowledged: usize,
    /// Those that are up and did not say so yet.
    pub waiting_for: Vec<PeerRef>,
}

/// The epochs of the mesh's secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Keys {
    /// The epoch of the mesh's secret that this peer holds; `null` for none.
    pub epoch: Option<u32>,
    /// The highest epoch that any member says it holds; `null` for none.
    pub latest_epoch: Option<u32>,
    /// Members that are up, this one included.
    pub members_up: usize,
    /// How many of these say that they hold the latest epoch.
    pub up_to_date: usize,
    /// What each member holds.
    pub peers: Vec<PeerKeys>,
}

/// What one member holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerKeys {
    /// Who.
    pub peer: PeerRef,
    /// The epoch that its heartbeat names; `null` if it has none, or did not say.
    pub epoch: Option<u32>,
    /// Whether it is up.
    pub up: bool,
}

/// The keys whose certificates make members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityList {
    /// The keys that sign today, in hexadecimal.
    pub in_force: Vec<String>,
    /// Those that were replaced, from the first on.
    pub replaced: Vec<ReplacedAuthority>,
    /// The keys that the mesh was made with.
    pub founding: Vec<String>,
    /// The signed replacements, from the first on, in hexadecimal.
    pub changes: Vec<String>,
}

/// An authority key that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplacedAuthority {
    /// The key, in hexadecimal.
    pub key: String,
    /// The key in its place.
    pub replaced_by: String,
    /// The authority that signed this.
    pub signed_by: String,
    /// Whether somebody else may have it.
    pub stolen: bool,
    /// From when on its certificates count no more.
    pub ends_at: WallTime,
    /// Whether that is over.
    pub ended: bool,
}

/// The body of a request to replace an authority key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthorityRequest {
    /// All signed replacements, the new one last, in hexadecimal.
    pub changes: Vec<String>,
    /// A certificate of this peer that counts after it, in hexadecimal.
    pub certificate: String,
}

/// The body of a request to take over a certificate of this peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateRequest {
    /// The certificate, in hexadecimal.
    pub certificate: String,
}

/// The certificate of the peer that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnCertificate {
    /// Whose.
    pub peer: String,
    /// What the peer may do: `member`, `enroller`, `admin`.
    pub roles: Vec<String>,
    /// Who signed: an authority, or an enroller.
    pub signed_by: Signer,
    /// From when on it can be renewed by itself, or should be with an authority key.
    pub renewal_at: WallTime,
    /// When it lapses.
    pub certificate_lapses_at: WallTime,
    /// The certificate, in hexadecimal.
    pub certificate: String,
}

/// Who signed a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Signer {
    /// An authority key of the mesh.
    Authority,
    /// An enroller.
    Enroller,
}

/// A peer that joined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Joined {
    /// Id of the mesh, in hexadecimal.
    pub mesh: String,
    /// Id of the new member.
    pub peer: String,
    /// Its data directory.
    pub data_dir: String,
    /// The enroller that let it in.
    pub enroller: String,
    /// When its certificate lapses.
    pub certificate_lapses_at: WallTime,
    /// How far the enroller's clock is ahead of this host's; behind is negative. As exact as the way
    /// there and back is fast.
    pub clock_offset_seconds: f64,
}
