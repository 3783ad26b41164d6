//! What `run` was told, checked and completed with defaults.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use plexmesh_proto::record::Profile;

use crate::api::socket;
use crate::cli::args::RunArgs;
use crate::mesh::{Labels, Seed};

/// Where an agent of the system keeps its data.
const SYSTEM_DATA_DIR: &str = "/var/lib/plexmesh";

/// What one agent runs with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Directory of identity and store.
    pub data_dir: PathBuf,
    /// The local socket.
    pub socket: PathBuf,
    /// Multiaddrs to listen on.
    pub listen: Vec<String>,
    /// Multiaddrs to announce; empty for those that are listened on.
    pub announce: Vec<String>,
    /// Peers to begin with, besides those that `mesh.toml` names.
    pub seeds: Vec<Seed>,
    /// Labels that replace those of `mesh.toml`.
    pub labels: Labels,
    /// Stop when standard input closes.
    pub die_with_stdin: bool,
}

impl Settings {
    /// Resolves what was typed.
    ///
    /// # Errors
    /// If a seed does not parse, or there is no place for the data.
    pub fn resolve(args: RunArgs) -> anyhow::Result<Self> {
        refuse_config_file(args.config.as_deref())?;
        let seeds = args.seed.iter().map(|text| text.parse().context("--seed"));
        Ok(Self {
            data_dir: data_dir(args.data_dir.as_deref())?,
            socket: socket::place_to_bind(args.socket.as_deref(), args.data_dir.as_deref()),
            listen: args.listen,
            announce: args.announce,
            seeds: seeds.collect::<anyhow::Result<_>>()?,
            labels: Labels {
                name: args.name,
                region: args.region,
                zone: args.zone,
                tier: args.tier,
            },
            die_with_stdin: args.die_with_stdin,
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
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Profile::default()
        }
    }
}

fn host_name() -> Option<String> {
    sysinfo::System::host_name().ok()
}

/// Configuration is by flags and environment; a file that was named and not read would be a trap.
///
/// # Errors
/// If a file was named.
pub fn refuse_config_file(config: Option<&Path>) -> anyhow::Result<()> {
    match config {
        Some(file) => bail!(
            "cannot use {}: this version reads no configuration file; use flags, see `plexmesh \
            run --help`",
            file.display()
        ),
        None => Ok(()),
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
    fn a_seed_without_a_peer_is_refused_by_its_flag() {
        let args = RunArgs { seed: vec!["192.0.2.1:6374".into()], ..RunArgs::default() };
        let text = format!("{:#}", settings(args).unwrap_err());
        assert!(text.contains("--seed") && text.contains("/p2p/"), "{text}");
    }

    #[test]
    fn a_configuration_file_is_not_silently_ignored() {
        let args = RunArgs { config: Some("/etc/x.toml".into()), ..RunArgs::default() };
        assert!(settings(args).unwrap_err().to_string().contains("/etc/x.toml"));
    }
}
