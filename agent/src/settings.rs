//! What the agent runs with: the configuration, checked and completed.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use plexmesh_proto::record::{Availability, Profile};
use serde::{Deserialize, Serialize};

use crate::api::socket;
use crate::config::{self, Config, keys};
use crate::mesh::{Labels, Seed};
use crate::scrub;
use crate::sources::SourceKind;

/// Where an agent of the system keeps its data.
const SYSTEM_DATA_DIR: &str = "/var/lib/plexmesh";

/// What one agent runs with. [`Self::scrub`], [`Self::sources`], [`Self::max_data_bytes`] and
/// [`Self::log_filter`] may change while it runs; the rest holds until it ends.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Directory of identity and store.
    pub data_dir: PathBuf,
    /// The local socket.
    pub socket: PathBuf,
    /// Name or number of the group that the socket is given to; `None` for that of the process.
    pub socket_group: Option<String>,
    /// Multiaddrs to listen on.
    pub listen: Vec<String>,
    /// Multiaddrs to announce; empty for those that are listened on.
    pub announce: Vec<String>,
    /// Peers to begin with, besides those that `mesh.toml` names.
    pub seeds: Vec<Seed>,
    /// Labels that replace those of `mesh.toml`.
    pub labels: Labels,
    /// For how long this peer may sleep; `None` if it is expected to be up always.
    pub sleep_grace: Option<Duration>,
    /// How shards are read and checked.
    pub scrub: ScrubSettings,
    /// Where shards are; empty if this peer has none that are to be looked at.
    pub sources: Vec<SourceSettings>,
    /// How much the data directory may take, in bytes.
    pub max_data_bytes: u64,
    /// What to log, in the syntax of `tracing_subscriber::EnvFilter`; checked.
    pub log_filter: String,
    /// Stop when standard input closes.
    pub die_with_stdin: bool,
}

/// How shards are read and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubSettings {
    /// Within what time every shard is read once: 5 s to 366 days.
    pub deadline: Duration,
    /// How much of its time a reading thread works, in percent, from 1 to 100.
    pub duty_percent: u8,
    /// How fast they may be read, in bytes a second, even if the deadline is missed; `None` for as
    /// fast as the deadline asks for.
    pub max_bytes_per_second: Option<u64>,
    /// At what time of day they are read; `None` for always.
    pub hours: Option<scrub::Hours>,
}

/// A directory with shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSettings {
    /// How they are laid out.
    pub kind: SourceKind,
    /// The directory; an absolute path, which need not exist.
    pub root: PathBuf,
    /// Where it is, if that is not where the peer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What kind of storage it is, if that is not what the peer's is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
}

impl SourceSettings {
    /// A directory of which nothing else is said.
    #[must_use]
    pub fn of(root: PathBuf) -> Self {
        Self { kind: SourceKind::default(), root, region: None, tier: None }
    }
}

impl Settings {
    /// What the scrub is to do.
    #[must_use]
    pub fn scrub_config(&self) -> scrub::Config {
        let sources = self.sources.iter().map(|source| scrub::Directory {
            root: source.root.clone(),
            kind: source.kind,
            region: source.region.clone().or_else(|| self.labels.region.clone()),
            tier: source.tier.clone().or_else(|| self.labels.tier.clone()),
        });
        scrub::Config {
            deadline: self.scrub.deadline,
            duty_percent: self.scrub.duty_percent,
            max_bytes_per_second: self.scrub.max_bytes_per_second.and_then(NonZeroU64::new),
            hours: self.scrub.hours,
            sources: sources.collect(),
        }
    }

    /// What a configuration says.
    ///
    /// # Errors
    /// If there is no place for the data, or a seed does not parse, which a configuration that was
    /// loaded has checked.
    pub fn of(config: &Config) -> anyhow::Result<Self> {
        let (socket, named_dir) = config.socket_or_data_dir();
        let text = |key| config.text(key).map(str::to_owned);
        let seeds = config.texts(&keys::NET_SEEDS).iter();
        Ok(Self {
            data_dir: data_dir(named_dir)?,
            socket: socket::place_to_bind(socket, named_dir),
            socket_group: text(&keys::AGENT_SOCKET_GROUP),
            listen: config.texts(&keys::NET_LISTEN).to_vec(),
            announce: config.texts(&keys::NET_ANNOUNCE).to_vec(),
            seeds: seeds.map(|it| it.parse().context("net.seeds")).collect::<Result<_, _>>()?,
            labels: Labels {
                name: text(&keys::PEER_NAME),
                region: text(&keys::PEER_REGION),
                zone: text(&keys::PEER_ZONE),
                tier: text(&keys::PEER_TIER),
            },
            sleep_grace: sleep_grace(config),
            scrub: ScrubSettings {
                deadline: config.span(&keys::SCRUB_DEADLINE).unwrap_or(scrub::DEFAULT_DEADLINE),
                duty_percent: config
                    .number(&keys::SCRUB_DUTY)
                    .and_then(|percent| percent.try_into().ok())
                    .unwrap_or(scrub::DEFAULT_DUTY_PERCENT),
                max_bytes_per_second: config.bytes(&keys::SCRUB_MAX_RATE),
                hours: config.text(&keys::SCRUB_HOURS).and_then(|hours| hours.parse().ok()),
            },
            sources: config.sources(&keys::SOURCE).to_vec(),
            max_data_bytes: config.bytes(&keys::AGENT_MAX_DATA).unwrap_or(u64::MAX),
            log_filter: text(&keys::LOG_FILTER).unwrap_or_default(),
            die_with_stdin: false,
        })
    }

    /// What this peer says of itself, without addresses. A peer that nobody named goes by its
    /// host's name.
    #[must_use]
    pub fn profile(&self, of_mesh: &Labels) -> Profile {
        let label = |here: &Option<String>, there: &Option<String>| here.clone().or(there.clone());
        let Labels { name, region, zone, tier } = &self.labels;
        Profile {
            name: label(name, &of_mesh.name).or_else(host_name).unwrap_or_default(),
            region: label(region, &of_mesh.region).unwrap_or_default(),
            zone: label(zone, &of_mesh.zone).unwrap_or_default(),
            tier: label(tier, &of_mesh.tier).unwrap_or_default(),
            availability: match self.sleep_grace {
                None => Availability::Always,
                Some(_) => Availability::Intermittent,
            },
            sleep_grace_s: self
                .sleep_grace
                .map_or(0, |grace| u32::try_from(grace.as_secs()).unwrap_or(u32::MAX)),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            addresses: Vec::new(),
        }
    }
}

fn sleep_grace(config: &Config) -> Option<Duration> {
    let word = config.text(&keys::PEER_AVAILABILITY)?;
    match config::availability(word)? {
        Availability::Always => None,
        Availability::Intermittent => config.span(&keys::PEER_SLEEP_GRACE),
    }
}

fn host_name() -> Option<String> {
    sysinfo::System::host_name().ok()
}

#[cfg(test)]
impl Settings {
    /// What flags alone say: of the machine that a test runs on nothing counts.
    pub(crate) fn resolve(args: crate::cli::args::RunArgs) -> anyhow::Result<Self> {
        let inputs = config::Inputs {
            files: config::Files::Of("/nonexistent".into()),
            environment: Vec::new(),
            flags: args,
        };
        Self::of(&config::load(&inputs).sound()?)
    }
}

/// The data directory: the one that was named, else root's or the user's usual one.
///
/// # Errors
/// If none was named and the user has no home directory.
pub fn data_dir(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(dir) = named {
        return Ok(dir.to_owned());
    }
    if rustix::process::geteuid().is_root() {
        return Ok(SYSTEM_DATA_DIR.into());
    }
    let from = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty());
    let state = from("XDG_STATE_HOME").map(PathBuf::from);
    state
        .or_else(|| from("HOME").map(|home| Path::new(&home).join(".local/state")))
        .map(|state| state.join("plexmesh"))
        .context("no place for the agent's data: HOME is not set. Name one with --data-dir")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::RunArgs;

    fn settings(args: RunArgs) -> anyhow::Result<Settings> {
        Settings::resolve(RunArgs { data_dir: Some("/data".into()), ..args })
    }

    #[test]
    fn the_socket_lies_in_a_named_data_directory() {
        let settings = settings(RunArgs::default()).unwrap();
        assert_eq!(settings.socket, Path::new("/data/agent.sock"));
    }

    #[test]
    fn a_flag_beats_the_label_of_the_mesh_file_which_beats_the_host_name() {
        let of_mesh =
            Labels { name: Some("alpha".into()), region: Some("eu".into()), ..Labels::default() };
        let flag = RunArgs { region: Some("us".into()), ..RunArgs::default() };
        let profile = settings(flag).unwrap().profile(&of_mesh);
        assert_eq!((profile.name.as_str(), profile.region.as_str()), ("alpha", "us"));
        let unnamed = settings(RunArgs::default()).unwrap().profile(&Labels::default());
        assert_eq!(unnamed.name, host_name().unwrap_or_default());
    }

    #[test]
    fn an_intermittent_peer_says_for_how_long_it_may_sleep_and_another_says_nothing() {
        let profile = |availability: &str, grace: Option<&str>| {
            let args = RunArgs {
                availability: Some(availability.into()),
                sleep_grace: grace.map(str::to_owned),
                ..RunArgs::default()
            };
            let profile = settings(args).unwrap().profile(&Labels::default());
            (profile.availability, profile.sleep_grace_s)
        };
        assert_eq!(profile("intermittent", Some("2h")), (Availability::Intermittent, 7_200));
        assert_eq!(profile("intermittent", None), (Availability::Intermittent, 36 * 3_600));
        assert_eq!(profile("always", Some("2h")), (Availability::Always, 0));
        let wrong = RunArgs { availability: Some("sometimes".into()), ..RunArgs::default() };
        let text = format!("{:#}", settings(wrong).unwrap_err());
        assert!(text.contains("one of always, intermittent"), "{text}");
    }

    #[test]
    fn a_seed_without_a_peer_is_refused_by_its_flag() {
        let args = RunArgs { seed: vec!["192.0.2.1:6374".into()], ..RunArgs::default() };
        let text = format!("{:#}", settings(args).unwrap_err());
        assert!(text.contains("--seed") && text.contains("/p2p/"), "{text}");
    }
}
