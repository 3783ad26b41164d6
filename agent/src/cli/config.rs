//! `plexmesh config`, and what other verbs need of the configuration.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::args::{ConfigShowArgs, ConfigVerb, GlobalArgs, RunArgs};
use super::output::Output;
use crate::api::problem::{Code, Problem};
use crate::api::schema::{
    ConfigCheck, ConfigFile, ConfigFlaw, ConfigKey, Envelope, Items, Kind, One, Stamp,
};
use crate::api::socket::{self, Place, places_here};
use crate::config::keys::{AGENT_DATA_DIR, AGENT_SOCKET, nearest, sections};
use crate::config::{self, Config, ConfigError, Files, Inputs, Origin, Setting, Value};
use crate::render;
use crate::settings;

/// Exit code of a check that found something.
const FLAWED: u8 = 1;
/// Mode of a file that was made: there is nothing secret in it, and every user's commands look in
/// it for the socket.
const FILE_MODE: u32 = 0o644;

/// Shows, checks or writes a configuration. Gives the exit code.
///
/// # Errors
/// A [`Problem`], or what standard output failed with.
pub fn config(verb: &ConfigVerb, global: &GlobalArgs, output: &Output) -> anyhow::Result<u8> {
    match verb {
        ConfigVerb::Show(args) => show(args, global, output)?,
        ConfigVerb::Check(args) => return check(args.file.as_deref(), global, output),
        ConfigVerb::Init(args) => init(args.file.as_deref(), output)?,
    }
    Ok(0)
}

fn show(args: &ConfigShowArgs, global: &GlobalArgs, output: &Output) -> anyhow::Result<()> {
    let wanted = args.section.as_deref();
    if let Some(section) = wanted.filter(|it| !sections().contains(it)) {
        let next = nearest(section, sections()).unwrap_or_default();
        let problem = Problem::new(Code::Usage, format!("there is no section `{section}`"))
            .because(format!("the sections are {}", sections().join(", ")))
            .then(format!("plexmesh config show {next}").trim_end());
        return Err(problem.into());
    }
    let config = config::load(&Inputs::of_any(global)).sound().map_err(Problem::from)?;
    let items = completed(&config)
        .into_iter()
        .filter(|it| wanted.is_none_or(|section| section == it.key.section))
        .map(|it| ConfigKey {
            section: it.key.section.to_owned(),
            key: it.key.name.to_owned(),
            value: it.value.as_ref().map_or(serde_json::Value::Null, Value::json),
            origin: it.origin.to_string(),
            reloadable: it.key.reloadable,
        });
    let items = Items { items: items.collect() };
    let document = Envelope::new(Kind::Config, Stamp::local(), items);
    output.document(&document, |screen, it| render::config::keys(screen, it, args.origin))?;
    Ok(())
}

/// All keys, with the defaults filled in that depend on the user and on each other.
fn completed(config: &Config) -> Vec<Setting> {
    let (socket, data_dir) = config.socket_or_data_dir();
    let of_data_dir = config.setting(&AGENT_DATA_DIR).map(|it| it.origin.clone());
    let mut settings = config.settings().to_vec();
    for setting in &mut settings {
        if setting.key == &AGENT_DATA_DIR && setting.value.is_none() {
            // Without a home there is no default, and that is what is shown.
            setting.value = settings::data_dir(None).ok().map(Value::Path);
        }
        if setting.key == &AGENT_SOCKET && socket.is_none() {
            setting.value = Some(Value::Path(socket::place_to_bind(None, data_dir)));
            setting.origin = of_data_dir.clone().unwrap_or(Origin::Default);
        }
    }
    settings
}

fn check(file: Option<&Path>, global: &GlobalArgs, output: &Output) -> anyhow::Result<u8> {
    let inputs = match file {
        Some(file) => Inputs {
            files: Files::Only(file.to_owned()),
            environment: Vec::new(),
            flags: RunArgs::default(),
        },
        None => Inputs::of_any(global),
    };
    let loaded = config::load(&inputs);
    let flaw = |flaw: &config::Flaw| ConfigFlaw {
        origin: flaw.origin.to_string(),
        message: flaw.message.clone(),
    };
    let item = ConfigCheck {
        files: loaded.files.iter().map(|it| it.display().to_string()).collect(),
        variables: loaded.variables,
        errors: loaded.flaws.iter().map(flaw).collect(),
    };
    output.document(&One::local(Kind::ConfigCheck, item), render::config::check)?;
    Ok(if loaded.flaws.is_empty() { 0 } else { FLAWED })
}

fn init(file: Option<&Path>, output: &Output) -> anyhow::Result<()> {
    let text = config::template();
    if let Some(file) = file {
        write_new(file, &text)?;
    }
    let item = ConfigFile { file: file.map(|it| it.display().to_string()), text };
    output.document(&One::local(Kind::ConfigFile, item), render::config::file)?;
    Ok(())
}

/// Writes a file that must not exist: whole, or not at all.
fn write_new(file: &Path, text: &str) -> Result<(), Problem> {
    let shown = file.display();
    let dir = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| {
        let problem = Problem::new(Code::Failed, format!("cannot write {shown}: {error}"));
        if dir.is_dir() { problem } else { problem.then(format!("mkdir -p {}", dir.display())) }
    };
    let exists = || {
        Problem::new(Code::Failed, format!("{shown} exists; it was left as it is"))
            .then(format!("plexmesh config check {shown}"))
    };
    if std::fs::symlink_metadata(file).is_ok() {
        return Err(exists());
    }
    let mode = std::fs::Permissions::from_mode(FILE_MODE);
    let made = tempfile::Builder::new().permissions(mode).tempfile_in(dir);
    let mut made = made.map_err(failed)?;
    made.write_all(text.as_bytes()).map_err(failed)?;
    made.as_file().sync_all().map_err(failed)?;
    // Somebody else may have made it meanwhile.
    made.persist_noclobber(file).map(drop).map_err(|refused| match refused.error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(),
        _ => failed(refused.error),
    })
}

/// The data directory that the flags, the environment or a file names.
///
/// # Errors
/// If the configuration is wrong.
pub fn data_dir(global: &GlobalArgs) -> Result<Option<PathBuf>, ConfigError> {
    let config = config::load(&Inputs::of_any(global)).sound()?;
    Ok(config.path(&AGENT_DATA_DIR).map(Path::to_owned))
}

/// Where an agent's socket may lie.
///
/// # Errors
/// If a configuration file that was named is wrong. A wrong one that nobody named is no reason not
/// to ask an agent.
pub fn places(global: &GlobalArgs) -> Result<Vec<Place>, ConfigError> {
    let loaded = config::load(&Inputs::of_any(global));
    let config = if global.config.is_some() { loaded.sound()? } else { loaded.config };
    let (socket, data_dir) = config.socket_or_data_dir();
    let key = if socket.is_some() { &AGENT_SOCKET } else { &AGENT_DATA_DIR };
    let configured = match config.setting(key).map(|setting| &setting.origin) {
        Some(Origin::File { .. }) => true,
        Some(Origin::Environment(name)) => config::sets_key(OsStr::new(name)),
        _ => false,
    };
    let mut places = places_here(socket, data_dir);
    if configured {
        for place in &mut places {
            place.source = "the configuration, see `plexmesh config show --origin agent`";
        }
    }
    Ok(places)
}
