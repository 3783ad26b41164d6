//! What can be typed: verbs and flags, their help texts, defaults and ranges.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::api::schema::Verdict;
use crate::audit::{Since, read_since};
use crate::cli::logging::Loudness;
use crate::cli::wait::Condition;
use crate::scrub::MAX_PAUSE;
use crate::time::parse_span;

mod membership;
mod store;

pub use store::StoreVerb;

pub use membership::{
    AuthorityArgs, AuthorityVerb, CertificateArgs, ForgetArgs, InviteArgs, InviteVerb, JoinArgs,
    KeysArgs, KeysVerb, ReplaceArgs, RevokeArgs, RotateArgs,
};

/// Exit codes as every verb's help shows them.
const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage, 3 no agent, 4 not permitted, \
                          5 not found, 6 timed out, 7 refused, 8 in use, 10 unhealthy (with --exit-code).";

/// The health mesh of a peer-to-peer sharded backup network.
#[derive(Debug, Parser)]
#[command(name = "plexmesh", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Flags that every verb takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that every verb takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Directory of the agent's identity and store
    #[arg(long, global = true, value_name = "DIR", env = "PLEXMESH_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file, instead of /etc/plexmesh/plexmesh.toml and conf.d/*.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The agent's local socket
    #[arg(long, global = true, value_name = "PATH", env = "PLEXMESH_SOCKET")]
    pub socket: Option<PathBuf>,
    /// Form of the output; errors take the same form
    #[arg(short, long, global = true, value_name = "FORM", default_value = "table")]
    pub output: Format,
    /// When to use colour; NO_COLOR and CLICOLOR_FORCE count for `auto`
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,
    /// Say nothing but data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log more; twice for debug, three times for trace
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For people with wide screens: full ids, more columns
    Wide,
    /// One indented document
    Json,
    /// One document a line
    Ndjson,
    /// The document of `json` as YAML
    Yaml,
    /// The main table, with full ids
    Csv,
    /// With pipe tables, for tickets and chats
    Markdown,
    /// One page that needs no other file
    Html,
    /// Graphviz; `topology` alone
    Dot,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal that is not dumb
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start a mesh of several agents on this machine and show what it does
    #[command(after_help = examples("plexmesh demo", "plexmesh demo --peers 9 --keep"))]
    Demo(DemoArgs),
    /// Make a new mesh with this peer as its first member
    #[command(after_help = examples(
        "plexmesh init --name alpha",
        "plexmesh init --data-dir /srv/plexmesh"
    ))]
    Init(InitArgs),
    /// Run the agent in the foreground
    #[command(after_help = examples(
        "plexmesh run --name alpha",
        "plexmesh run --seed /ip4/192.0.2.7/udp/6374/quic-v1/p2p/12D3KooW..."
    ))]
    Run(Box<RunArgs>),
    /// Is the mesh well? What is wrong, and what to do now
    #[command(after_help = examples("plexmesh status", "plexmesh status --exit-code -o json"))]
    Status(StatusArgs),
    /// All peers with their states
    #[command(after_help = examples("plexmesh peers", "plexmesh peers --watch=1"))]
    Peers(PeersArgs),
    /// One peer in full
    #[command(after_help = examples("plexmesh peer alpha", "plexmesh peer 12D3KooWPjceQr -o json"))]
    Peer(PeerArgs),
    /// Why a peer has its state: who says so, on what evidence
    #[command(after_help = examples("plexmesh why beta", "plexmesh why 12D3KooWPjceQr -o json"))]
    Why(PeerArgs),
    /// Who watches whom, and what they see
    #[command(after_help = examples(
        "plexmesh topology -o wide",
        "plexmesh topology -o dot | dot -Tsvg"
    ))]
    Topology(TopologyArgs),
    /// Round-trip times between all peers, measured and estimated
    #[command(after_help = examples("plexmesh latency", "plexmesh latency alpha beta -o json"))]
    Latency(LatencyArgs),
    /// How the shards of all peers are
    #[command(after_help = examples(
        "plexmesh integrity",
        "plexmesh integrity --exit-code -o json"
    ))]
    Integrity(IntegrityArgs),
    /// The shards of this peer one by one, the worst first
    #[command(after_help = examples(
        "plexmesh shards --verdict corrupt --verdict missing",
        "plexmesh shards msg_7f3a -o wide"
    ))]
    Shards(ShardsArgs),
    /// How the scrub of this peer's shards gets on; have it read shards now
    #[command(after_help = examples(
        "plexmesh scrub",
        "plexmesh scrub start msg_7f3a_0 && plexmesh shards msg_7f3a_0"
    ))]
    Scrub(ScrubArgs),
    /// What happened, and what happens
    #[command(after_help = examples(
        "plexmesh events --follow -o ndjson",
        "plexmesh events --audit --since 2026-11-01T00:00:00Z"
    ))]
    Events(EventsArgs),
    /// Figures for Prometheus and its kind, as OpenMetrics text
    #[command(after_help = examples(
        "plexmesh metrics",
        "plexmesh metrics /var/lib/prometheus/node-exporter/plexmesh.prom"
    ))]
    Metrics(MetricsArgs),
    /// Wait until the mesh is as it should be
    #[command(after_help = examples(
        "plexmesh wait --for converged --timeout 30s",
        "plexmesh wait --for peer=beta:up && plexmesh status"
    ))]
    Wait(WaitArgs),
    /// Is the mesh well? As a Nagios plugin: one line, exit code 0, 1, 2 or 3
    #[command(after_help = check_help())]
    Check(CheckArgs),
    /// Make a token with which a new peer joins; on an enroller
    #[command(after_help = examples(
        "plexmesh invite --uses 2 --expires 15m --note 'rack 7'",
        "plexmesh invite list"
    ))]
    Invite(InviteArgs),
    /// Make this peer a member of a mesh, with a token of `plexmesh invite`
    #[command(after_help = examples(
        "plexmesh join - --name beta",
        "plexmesh join --token-file /run/plexmesh/token"
    ))]
    Join(JoinArgs),
    /// Who holds which epoch of the mesh's secret; have it replaced
    #[command(after_help = examples("plexmesh keys", "plexmesh keys rotate"))]
    Keys(KeysArgs),
    /// The certificate of this peer; renew that of an enroller or admin with an authority key
    #[command(after_help = examples(
        "plexmesh certificate",
        "plexmesh certificate --renew-with /media/usb/authority.key"
    ))]
    Certificate(CertificateArgs),
    /// The keys whose certificates make members; replace one that was lost or stolen
    #[command(after_help = examples(
        "plexmesh authority",
        "plexmesh authority replace --with /media/a/authority-spare.key --new /media/b/authority.key"
    ))]
    Authority(AuthorityArgs),
    /// End the membership of a peer that is not to be trusted any more; without a peer, what was ended
    #[command(after_help = examples(
        "plexmesh revoke gamma --reason 'stolen laptop'",
        "plexmesh revoke"
    ))]
    Revoke(RevokeArgs),
    /// Give up a peer that is gone for good: nobody looks for it any more
    #[command(after_help = examples(
        "plexmesh forget gamma",
        "plexmesh forget gamma --yes --reason 'disk died'"
    ))]
    Forget(ForgetArgs),
    /// Take this peer out of the mesh and stop its agent
    #[command(after_help = examples("plexmesh leave --reason 'new disk'", "plexmesh leave --yes"))]
    Leave(LeaveArgs),
    /// Write this peer's identity into a protected file, to move the peer to new hardware
    #[command(after_help = examples(
        "plexmesh export-identity peer.export",
        "plexmesh export-identity /media/stick/peer.export --passphrase-file phrase"
    ))]
    ExportIdentity(ExportIdentityArgs),
    /// Take over a peer from a file that `export-identity` wrote
    #[command(after_help = examples(
        "plexmesh import-identity peer.export && plexmesh run",
        "plexmesh --data-dir DIR import-identity peer.export --passphrase-file phrase"
    ))]
    ImportIdentity(ImportIdentityArgs),
    /// The databases of an agent that does not run: read them through, mend them, make them smaller
    #[command(subcommand)]
    Store(StoreVerb),
    /// What is configured, where it comes from, what is wrong with it
    #[command(subcommand)]
    Config(ConfigVerb),
    /// What is wrong with this host and its agent, and how to put it right; needs no agent
    #[command(after_help = examples("plexmesh doctor", "sudo plexmesh doctor -o json"))]
    Doctor,
    /// Print a completion script for a shell
    #[command(after_help = examples(
        "plexmesh completions bash > ~/.local/share/bash-completion/completions/plexmesh",
        "plexmesh completions zsh > ~/.zfunc/_plexmesh"
    ))]
    Completions(CompletionsArgs),
    /// Print the manual page, or write one for each verb
    #[command(after_help = examples(
        "plexmesh man | man -l -",
        "plexmesh man ~/.local/share/man/man1"
    ))]
    Man(ManArgs),
}

/// Arguments of `plexmesh demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// How many agents
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = demo_peers)]
    pub peers: usize,
    /// Leave the agents running at the end, and say how to reach them
    #[arg(long)]
    pub keep: bool,
    /// Where the agents keep their data, instead of a temporary directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Arguments of `plexmesh init`.
#[derive(Clone, Debug, Default, Args)]
pub struct InitArgs {
    /// Directory of the agent's identity and store; from the global flag.
    #[arg(skip)]
    pub data_dir: Option<PathBuf>,
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

/// Arguments of `plexmesh run`.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// Directory of the agent's identity and store; from the global flag.
    #[arg(skip)]
    pub data_dir: Option<PathBuf>,
    /// Configuration file; from the global flag.
    #[arg(skip)]
    pub config: Option<PathBuf>,
    /// Where the local socket is to be; from the global flag.
    #[arg(skip)]
    pub socket: Option<PathBuf>,
    /// How loud to log; from the global flags.
    #[arg(skip)]
    pub loudness: Option<Loudness>,
    /// Multiaddr to listen on; repeatable
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    /// Multiaddr that others are to dial, if it is not one that is listened on; repeatable
    #[arg(long, value_name = "MULTIADDR")]
    pub announce: Vec<String>,
    /// A peer to join the mesh by: multiaddr that ends in /p2p/PEER_ID; repeatable
    #[arg(long, value_name = "MULTIADDR")]
    pub seed: Vec<String>,
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
    /// Whether this peer is up `always`, or `intermittent` as a laptop that sleeps
    #[arg(long, value_name = "WORD")]
    pub availability: Option<String>,
    /// For how long an intermittent peer may be silent before it is called down, such as 36h
    #[arg(long, value_name = "SPAN")]
    pub sleep_grace: Option<String>,
    /// Directory with shards, in the place of all [[source]] of the configuration; repeatable
    #[arg(long, value_name = "DIR")]
    pub shards: Vec<PathBuf>,
    /// Stop when standard input closes: a parent that dies takes its agents along.
    #[arg(long, hide = true)]
    pub die_with_stdin: bool,
}

/// Repeat a view.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct WatchArgs {
    /// Repeat every so many seconds: redraws a table, or gives one JSON document a line
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true,
          default_missing_value = "2", value_parser = watch_interval)]
    pub watch: Option<Duration>,
}

/// Arguments of `plexmesh status`.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Exit with 10 unless the status is OK
    #[arg(long)]
    pub exit_code: bool,
    /// Repeat.
    #[command(flatten)]
    pub repeat: WatchArgs,
}

/// Arguments of `plexmesh peers`.
#[derive(Clone, Debug, Args)]
pub struct PeersArgs {
    /// Repeat.
    #[command(flatten)]
    pub repeat: WatchArgs,
}

/// Arguments of `plexmesh peer` and `plexmesh why`.
#[derive(Clone, Debug, Args)]
pub struct PeerArgs {
    /// Name or id, or the unambiguous beginning of one
    #[arg(value_name = "PEER")]
    pub peer: String,
    /// Repeat.
    #[command(flatten)]
    pub repeat: WatchArgs,
}

/// Arguments of `plexmesh topology`.
#[derive(Clone, Debug, Args)]
pub struct TopologyArgs {
    /// Repeat.
    #[command(flatten)]
    pub repeat: WatchArgs,
}

/// Arguments of `plexmesh latency`.
#[derive(Clone, Debug, Args)]
pub struct LatencyArgs {
    /// Only these peers: names or ids, or unambiguous beginnings
    #[arg(value_name = "PEER")]
    pub peers: Vec<String>,
    /// Repeat.
    #[command(flatten)]
    pub repeat: WatchArgs,
}

/// Arguments of `plexmesh integrity`.
#[derive(Clone, Debug, Args)]
pub struct IntegrityArgs {
    /// Exit with 10 unless the status is OK
    #[arg(long)]
    pub exit_code: bool,
    /// Repeat.
    #[command(flatten)]
    pub repeat: WatchArgs,
}

/// Arguments of `plexmesh shards`.
#[derive(Clone, Debug, Args)]
pub struct ShardsArgs {
    /// Only shards whose id begins so
    #[arg(value_name = "SHARD")]
    pub id: Option<String>,
    /// Only shards with this verdict; repeatable
    #[arg(long, value_name = "VERDICT", value_parser = verdict_parser())]
    pub verdict: Vec<Verdict>,
    /// Backups in the place of shards: which of their pieces are here
    #[arg(long, conflicts_with_all = ["id", "verdict"])]
    pub backups: bool,
    /// No more than so many
    #[arg(long, value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Repeat.
    #[command(flatten)]
    pub repeat: WatchArgs,
}

/// Arguments of `plexmesh scrub`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ScrubArgs {
    /// What to do; without it, how the scrub gets on.
    #[command(subcommand)]
    pub what: Option<ScrubVerb>,
    /// Repeat.
    #[command(flatten)]
    pub repeat: WatchArgs,
}

/// What the scrub can be told.
#[derive(Clone, Debug, Subcommand)]
pub enum ScrubVerb {
    /// Look at the directories and read shards now
    #[command(after_help = examples(
        "plexmesh scrub start",
        "plexmesh scrub start --verdict corrupt"
    ))]
    Start(ChosenArgs),
    /// How the scrub gets on; the same as without a word
    #[command(after_help = examples("plexmesh scrub status", "plexmesh scrub status --watch"))]
    Status(WatchArgs),
    /// Read one shard now, and say what it is
    #[command(after_help = examples(
        "plexmesh scrub verify msg_7f3a_0",
        "plexmesh scrub verify msg_7f3a_0 && echo intact"
    ))]
    Verify(VerifyArgs),
    /// Read nothing for a while; it goes on by itself
    #[command(after_help = examples("plexmesh scrub pause", "plexmesh scrub pause --for 2h"))]
    Pause(PauseArgs),
    /// End a pause
    Resume,
    /// Take shards that vanished, were evicted, replaced or modified as they are now
    #[command(after_help = examples(
        "plexmesh scrub accept --verdict vanished",
        "plexmesh scrub accept msg_7f3a_0"
    ))]
    Accept(ChosenArgs),
}

/// Which shard, and how long to wait for it.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// Its id
    #[arg(value_name = "SHARD")]
    pub shard: String,
    /// Give up after this time
    #[arg(long, value_name = "SPAN", default_value = "5m", value_parser = parse_span)]
    pub timeout: Duration,
}

/// How long.
#[derive(Clone, Debug, Args)]
pub struct PauseArgs {
    /// How long; a week at most
    #[arg(long = "for", value_name = "SPAN", default_value = "24h", value_parser = parse_pause)]
    pub span: Duration,
}

/// A pause that the scrub takes.
fn parse_pause(text: &str) -> Result<Duration, String> {
    let span = parse_span(text)?;
    let fits = span >= Duration::from_secs(1) && span <= MAX_PAUSE;
    fits.then_some(span).ok_or_else(|| "a pause takes from 1s to 7d".to_owned())
}

/// Which shards.
#[derive(Clone, Debug, Args)]
pub struct ChosenArgs {
    /// Ids of shards; all if there is none
    #[arg(value_name = "SHARD")]
    pub shards: Vec<String>,
    /// Only shards with this verdict; repeatable
    #[arg(long, value_name = "VERDICT", value_parser = verdict_parser())]
    pub verdict: Vec<Verdict>,
}

/// Arguments of `plexmesh events`.
#[derive(Clone, Debug, Args)]
pub struct EventsArgs {
    /// Keep on showing events as they happen
    #[arg(short, long)]
    pub follow: bool,
    /// Who changed what over the socket, in place of what happened; for the owner and root
    #[arg(long, conflicts_with = "follow")]
    pub audit: bool,
    /// Only those after this sequence number; with --audit also from this RFC 3339 time on
    #[arg(long, value_name = "SEQUENCE", value_parser = read_since)]
    pub since: Option<Since>,
    /// Only the latest so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}

/// Arguments of `plexmesh metrics`.
#[derive(Clone, Debug, Args)]
pub struct MetricsArgs {
    /// Replace this file, instead of writing to standard output: for a textfile collector
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Arguments of `plexmesh wait`.
#[derive(Clone, Debug, Args)]
pub struct WaitArgs {
    /// What for: `converged`, `peer=PEER:STATE`, or `peers=N` for N peers up
    #[arg(long = "for", value_name = "CONDITION")]
    pub condition: Condition,
    /// How long: 30s, 2m, 500ms
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = parse_span)]
    pub timeout: Duration,
}

/// Arguments of `plexmesh check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// How long the agent may take to answer
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = parse_span)]
    pub timeout: Duration,
}

/// Arguments of `plexmesh completions`.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Arguments of `plexmesh man`.
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// Write a page for each verb into this directory
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Arguments of `plexmesh export-identity`.
#[derive(Clone, Debug, Args)]
pub struct ExportIdentityArgs {
    /// The file to write; it must not exist
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Take the passphrase from the one line of this file, instead of asking
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Leave this directory usable; never run both
    #[arg(long)]
    pub copy: bool,
}

/// Arguments of `plexmesh import-identity`.
#[derive(Clone, Debug, Args)]
pub struct ImportIdentityArgs {
    /// A file that `plexmesh export-identity` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Take the passphrase from the one line of this file, instead of asking
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// Arguments of `plexmesh leave`.
#[derive(Clone, Debug, Args)]
pub struct LeaveArgs {
    /// Why; shown to others
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// What to do with the configuration. No agent is asked.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigVerb {
    /// What `plexmesh run` would run with, here and now
    #[command(after_help = examples("plexmesh config show", "plexmesh config show --origin scrub"))]
    Show(ConfigShowArgs),
    /// Everything that is wrong with the configuration; exits with 1 if anything is
    #[command(after_help = examples("plexmesh config check", "plexmesh config check new.toml"))]
    Check(ConfigFileArgs),
    /// Write a file with all keys, commented out, to standard output or a file that does not exist
    #[command(after_help = examples(
        "plexmesh config init",
        "plexmesh config init /etc/plexmesh/plexmesh.toml"
    ))]
    Init(ConfigFileArgs),
}

/// Arguments of `plexmesh config show`.
#[derive(Clone, Debug, Args)]
pub struct ConfigShowArgs {
    /// Say where each value comes from
    #[arg(long)]
    pub origin: bool,
    /// Only this section
    #[arg(value_name = "SECTION")]
    pub section: Option<String>,
}

/// Arguments of `plexmesh config check` and `plexmesh config init`.
#[derive(Clone, Debug, Args)]
pub struct ConfigFileArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

fn examples(first: &str, second: &str) -> String {
    format!("Examples:\n  {first}\n  {second}\n\n{EXIT_CODES}")
}

const fn check_help() -> &'static str {
    "Examples:\n  plexmesh check\n  plexmesh check --timeout 5s\n\n\
     Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN: no answer, not permitted, or mistyped."
}

/// Verdicts by their words.
fn verdict_parser() -> impl TypedValueParser<Value = Verdict> {
    let words = Verdict::ALL.map(Verdict::word);
    PossibleValuesParser::new(words)
        .map(|word| Verdict::of_word(&word).unwrap_or(Verdict::Unverified))
}

/// A demo starts one process a peer: 50 still fit in a laptop's memory.
fn demo_peers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(peers @ 1..=50) => Ok(peers),
        _ => Err("give a number from 1 to 50".to_owned()),
    }
}

/// Faster than five times a second nobody can read; slower than once an hour is a cron job.
fn watch_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_span(text)?;
    if (Duration::from_millis(200)..=Duration::from_secs(3_600)).contains(&interval) {
        Ok(interval)
    } else {
        Err("give 0.2 to 3600 seconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn watch_takes_no_value_or_one_behind_an_equals_sign() {
        for (typed, seconds) in [("--watch", 2.0), ("--watch=0.5", 0.5)] {
            let cli = Cli::try_parse_from(["plexmesh", "why", typed, "beta"]).unwrap();
            let Verb::Why(why) = cli.verb else { panic!("not why") };
            assert_eq!(why.repeat.watch.map(|span| span.as_secs_f64()), Some(seconds));
        }
        assert!(Cli::try_parse_from(["plexmesh", "peers", "--watch=0"]).is_err());
    }

    #[test]
    fn a_mistyped_verb_gets_a_suggestion() {
        let error = Cli::try_parse_from(["plexmesh", "statsu"]).unwrap_err();
        assert!(error.to_string().contains("'status'"));
        assert_eq!(error.exit_code(), 2);
    }
}
