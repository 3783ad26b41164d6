//! Environment and flags.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::Setting;
use super::file::{sources_of, unknown_key};
use super::keys::{
    AGENT_DATA_DIR, AGENT_SOCKET, KEYS, Key, LOG_FILTER, NET_ANNOUNCE, NET_LISTEN, NET_SEEDS,
    PEER_AVAILABILITY, PEER_NAME, PEER_REGION, PEER_SLEEP_GRACE, PEER_TIER, PEER_ZONE, SOURCE,
    nearest, sections,
};
use super::origin::{Flaw, Origin};
use super::value::{Misfit, Value};
use crate::cli::args::{GlobalArgs, RunArgs};

/// Where the files of the system's agent are.
const USUAL_DIR: &str = "/etc/plexmesh";
/// Whether a variable of the environment sets a key, and is not one that every verb knows.
#[must_use]
pub fn sets_key(variable: &OsStr) -> bool {
    let path = variable.to_str().and_then(|name| name.strip_prefix(PREFIX));
    path.is_some_and(|path| path.contains(SEPARATOR))
}

/// What the variables of a configuration begin with.
const PREFIX: &str = "PLEXMESH_";
/// Stands between section and key in a variable's name.
const SEPARATOR: &str = "__";
/// Variables without a section, and what they set.
static SHORT_VARIABLES: [(&str, &Key); 3] = [
    ("PLEXMESH_DATA_DIR", &AGENT_DATA_DIR),
    ("PLEXMESH_SOCKET", &AGENT_SOCKET),
    ("PLEXMESH_LOG", &LOG_FILTER),
];

/// What one place sets, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    pub(super) settings: Vec<Setting>,
    pub(super) flaws: Vec<Flaw>,
}

impl Layer {
    fn add(&mut self, key: &'static Key, origin: Origin, value: Result<Value, Misfit>) {
        match value {
            Ok(value) => self.settings.push(Setting { key, value: Some(value), origin }),
            Err(Misfit { what, allowed, .. }) => {
                let message = format!("{} {what}; allowed: {allowed}", key.path());
                self.flaws.push(Flaw { origin, message });
            }
        }
    }
}

/// Which files count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Files {
    /// `plexmesh.toml` and `conf.d/*.toml` of this directory, as far as they exist.
    Of(PathBuf),
    /// This one, which has to exist.
    Only(PathBuf),
}

/// All that a configuration is made of. Reading it again gives what the files say by then.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Which files count.
    pub files: Files,
    /// The environment, as far as it is about plexmesh.
    pub environment: Vec<(OsString, OsString)>,
    /// The command line.
    pub flags: RunArgs,
}

impl Inputs {
    /// What counts in this process for `run` with these arguments.
    #[must_use]
    pub fn of_run(flags: RunArgs) -> Self {
        let usual = || Files::Of(USUAL_DIR.into());
        Self {
            files: flags.config.clone().map_or_else(usual, Files::Only),
            environment: std::env::vars_os().filter(|(name, _)| is_ours(name)).collect(),
            flags,
        }
    }

    /// What counts in this process where nothing but these flags was typed.
    #[must_use]
    pub fn of_any(global: &GlobalArgs) -> Self {
        Self::of_run(RunArgs {
            data_dir: global.data_dir.clone(),
            config: global.config.clone(),
            socket: global.socket.clone(),
            ..RunArgs::default()
        })
    }

    fn variable(&self, name: &str) -> Option<&OsString> {
        let mut variables = self.environment.iter();
        variables.find(|(it, value)| it == name && !value.is_empty()).map(|(_, value)| value)
    }

    /// What the environment sets, and the names of the variables that were looked at.
    pub(super) fn environment_layer(&self) -> (Layer, Vec<String>) {
        let (mut layer, mut names) = (Layer::default(), Vec::new());
        let mut variables: Vec<_> = self.environment.iter().collect();
        variables.sort();
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|it| sets_key(OsStr::new(it))) else { continue };
            if value.is_empty() {
                continue;
            }
            let path = name.strip_prefix(PREFIX).unwrap_or(name);
            names.push(name.to_owned());
            let origin = Origin::Environment(name.to_owned());
            match key_of(path) {
                Ok(key) => layer.add(key, origin, read(key, value)),
                Err(message) => layer.flaws.push(Flaw { origin, message }),
            }
        }
        for (name, key) in SHORT_VARIABLES {
            if let Some(value) = self.variable(name) {
                names.push(name.to_owned());
                let path = |value: &OsString| Ok(Value::Path(value.into()));
                let is_path = key.kind == AGENT_DATA_DIR.kind;
                let value = if is_path { path(value) } else { read(key, value) };
                layer.add(key, Origin::Environment(name.to_owned()), value);
            }
        }
        (layer, names)
    }

    /// What the command line sets.
    pub(super) fn flag_layer(&self) -> Layer {
        let mut layer = Layer::default();
        let flags = &self.flags;
        for (key, flag, path) in [
            (&AGENT_DATA_DIR, "--data-dir", &flags.data_dir),
            (&AGENT_SOCKET, "--socket", &flags.socket),
        ] {
            if let Some(path) = path.as_deref().filter(|path| !self.is_of_environment(key, path)) {
                layer.add(key, Origin::Flag(flag), Ok(Value::Path(path.to_owned())));
            }
        }
        for (key, flag, text) in [
            (&PEER_NAME, "--name", &flags.name),
            (&PEER_REGION, "--region", &flags.region),
            (&PEER_ZONE, "--zone", &flags.zone),
            (&PEER_TIER, "--tier", &flags.tier),
            (&PEER_AVAILABILITY, "--availability", &flags.availability),
            (&PEER_SLEEP_GRACE, "--sleep-grace", &flags.sleep_grace),
        ] {
            if let Some(text) = text {
                layer.add(key, Origin::Flag(flag), key.kind.read_text(text));
            }
        }
        for (key, flag, texts) in [
            (&NET_LISTEN, "--listen", &flags.listen),
            (&NET_ANNOUNCE, "--announce", &flags.announce),
            (&NET_SEEDS, "--seed", &flags.seed),
        ] {
            if !texts.is_empty() {
                layer.add(key, Origin::Flag(flag), key.kind.read_list(texts.clone()));
            }
        }
        if !flags.shards.is_empty() {
            layer.add(&SOURCE, Origin::Flag("--shards"), sources_of(&flags.shards));
        }
        // The variable is for the case that the flags cannot be changed.
        if let Some(loudness) = &flags.loudness
            && self.variable("PLEXMESH_LOG").is_none()
        {
            let value = LOG_FILTER.kind.read_text(&loudness.filter);
            layer.add(&LOG_FILTER, Origin::Flag(loudness.flag), value);
        }
        layer
    }

    /// Whether a path that the command line gave is that of the key's variable: it hands both on
    /// alike.
    fn is_of_environment(&self, key: &Key, path: &Path) -> bool {
        let name = SHORT_VARIABLES.iter().find(|(_, it)| *it == key).map(|(name, _)| name);
        name.and_then(|name| self.variable(name)).is_some_and(|value| path == Path::new(value))
    }
}

fn is_ours(variable: &OsStr) -> bool {
    variable.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

fn read(key: &Key, value: &OsString) -> Result<Value, Misfit> {
    let text = value.to_str().ok_or_else(|| Misfit {
        what: "is not UTF-8 text".to_owned(),
        allowed: key.kind.allowed(),
        element: None,
    })?;
    key.kind.read_text(text)
}

/// The key that a variable sets, of whose name the prefix is off.
fn key_of(path: &str) -> Result<&'static Key, String> {
    let lower = path.to_lowercase();
    let (section, name) = lower.split_once(SEPARATOR).unwrap_or((&lower, ""));
    if section == SOURCE.section {
        return Err("sources cannot be set by variables; name them in a file as [[source]], or \
            with `run --shards DIR`"
            .to_owned());
    }
    let of_section = KEYS.iter().find(|key| key.section == section && key.name == name);
    if let Some(key) = of_section {
        return Ok(key);
    }
    let full = format!("{PREFIX}{path}");
    let variables: Vec<String> = KEYS.iter().filter_map(|key| key.variable()).collect();
    if !sections().contains(&section) {
        let near = nearest(&full, variables.iter().map(String::as_str));
        let meant = near.map_or_else(String::new, |it| format!("; did you mean {it}?"));
        return Err(format!("sets no key, there is no section `{section}`{meant}"));
    }
    let prefix = format!("{PREFIX}{section}{SEPARATOR}").to_uppercase();
    let here = variables.iter().map(String::as_str).filter(|it| it.starts_with(&prefix));
    match nearest(&full, here) {
        Some(meant) if name.len() > 1 => Err(format!("sets no key; did you mean {meant}?")),
        _ => Err(unknown_key(name, section)),
    }
}
