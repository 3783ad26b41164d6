//! Arguments of the verbs that let peers in and put them out.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{WatchArgs, examples};
use crate::api::schema::DEFAULT_USES;
use crate::cli::token::TokenArgs;
use crate::time::parse_span;

/// Arguments of `plexmesh invite`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct InviteArgs {
    /// What else to do; without it, make a token.
    #[command(subcommand)]
    pub what: Option<InviteVerb>,
    /// How many peers it lets in
    #[arg(long, value_name = "N", default_value_t = DEFAULT_USES,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub uses: u32,
    /// The only peer that it lets in, by its full id
    #[arg(long = "for", value_name = "PEER_ID", conflicts_with = "uses")]
    pub for_peer: Option<String>,
    /// How long it may be used: 15m, 2h
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = parse_span)]
    pub expires: Duration,
    /// What it is for; others see that
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
}

/// What else can be done about tokens.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum InviteVerb {
    /// The tokens that the mesh knows, and whom they let in
    #[command(after_help = examples("plexmesh invite list", "plexmesh invite list -o json"))]
    List,
}

/// Arguments of `plexmesh join`.
#[derive(Clone, Debug, Args)]
pub struct JoinArgs {
    /// The token.
    #[command(flatten)]
    pub token: TokenArgs,
    /// Name of this peer
    #[arg(long)]
    pub name: Option<String>,
    /// Region label
    #[arg(long)]
    pub region: Option<String>,
    /// Zone label inside of the region
    #[arg(long)]
    pub zone: Option<String>,
    /// Storage tier label
    #[arg(long)]
    pub tier: Option<String>,
}

/// Arguments of `plexmesh certificate`.
#[derive(Clone, Debug, Args)]
pub struct CertificateArgs {
    /// Renew it for 90 days with this authority key, which may lie on a medium that was offline
    #[arg(long, value_name = "FILE")]
    pub renew_with: Option<PathBuf>,
}

/// Arguments of `plexmesh authority`.
#[derive(Clone, Debug, Args)]
pub struct AuthorityArgs {
    /// What to do; without it, which keys there are.
    #[command(subcommand)]
    pub what: Option<AuthorityVerb>,
}

/// What can be done about authority keys.
#[derive(Clone, Debug, Subcommand)]
pub enum AuthorityVerb {
    /// Make a new key and have another authority key put it in the place of one that was lost or
    /// stolen
    #[command(after_help = examples(
        "plexmesh authority replace --with /media/a/authority-spare.key --new /media/b/authority.key",
        "plexmesh authority replace --with spare.key --new authority.key --stolen --grace 2h"
    ))]
    Replace(ReplaceArgs),
}

/// Arguments of `plexmesh authority replace`.
#[derive(Clone, Debug, Args)]
pub struct ReplaceArgs {
    /// The authority key that is left, which signs
    #[arg(long, value_name = "FILE")]
    pub with: PathBuf,
    /// Where the new key goes; there must be no file yet
    #[arg(long, value_name = "FILE")]
    pub new: PathBuf,
    /// Which key was lost; the only other one unless it is named
    #[arg(long, value_name = "KEY")]
    pub lost: Option<String>,
    /// How long certificates of the lost key go on counting, 90d at most; members renew theirs
    /// meanwhile
    #[arg(long, value_name = "SPAN", default_value = "90d", value_parser = parse_span)]
    pub grace: Duration,
    /// Somebody else may have the key: after the grace nothing counts that hangs on it, whatever date it
    /// bears
    #[arg(long)]
    pub stolen: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// Arguments of `plexmesh keys`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct KeysArgs {
    /// What to do; without it, who holds what.
    #[command(subcommand)]
    pub what: Option<KeysVerb>,
    /// Repeat.
    #[command(flatten)]
    pub repeat: WatchArgs,
}

/// What can be done about keys.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysVerb {
    /// Give all members a new secret of the mesh, as after a peer was revoked; on an admin
    #[command(after_help = examples("plexmesh keys rotate", "plexmesh keys rotate --timeout 0s"))]
    Rotate(RotateArgs),
}

/// Arguments of `plexmesh keys rotate`.
#[derive(Clone, Debug, Args)]
pub struct RotateArgs {
    /// How long to wait until all peers that are up hold it; 0s does not wait
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = parse_span)]
    pub timeout: Duration,
}

/// Arguments of `plexmesh revoke`.
#[derive(Clone, Debug, Args)]
pub struct RevokeArgs {
    /// Name or id of the peer, or the beginning of one
    #[arg(value_name = "PEER")]
    pub peer: Option<String>,
    /// Why; others see that
    #[arg(long, value_name = "TEXT", default_value = "", requires = "peer")]
    pub reason: String,
    /// Put those out, too, whose certificate this peer signed
    #[arg(long, requires = "peer")]
    pub with_enrolled: bool,
    /// Do not ask
    #[arg(short, long, requires = "peer")]
    pub yes: bool,
    /// How long to wait until all peers that are up know of it; 0s does not wait
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = parse_span)]
    pub timeout: Duration,
}

/// Arguments of `plexmesh forget`.
#[derive(Clone, Debug, Args)]
pub struct ForgetArgs {
    /// Name or id of the peer, or the beginning of one
    #[arg(value_name = "PEER")]
    pub peer: String,
    /// Why; others see that
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}
