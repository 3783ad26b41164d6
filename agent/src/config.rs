//! The configuration in layers: defaults, files, environment, flags. A later one wins, key by key;
//! lists are replaced as a whole.
//!
//! [`keys`] is the one table of all keys; [`load`] reads the layers and tells everything that is
//! wrong, not only the first thing; [`Settings`](crate::settings::Settings) is what the agent makes
//! of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

mod file;
pub mod keys;
mod layer;
mod origin;
pub mod reload;
mod template;
mod value;

pub use layer::{Files, Inputs, sets_key};
pub use origin::{ConfigError, Flaw, Origin};
pub use template::template;
pub use value::{Value, availability};

use crate::settings::SourceSettings;
use keys::{AGENT_DATA_DIR, AGENT_SOCKET, KEYS, Key, Usual};
use layer::Layer;

/// A key, what it is set to, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub key: &'static Key,
    /// The value; `None` if nothing is set and there is no default.
    pub value: Option<Value>,
    /// Where it comes from.
    pub origin: Origin,
}

/// All keys with their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// In the order of [`KEYS`].
    settings: Vec<Setting>,
}

/// What came out of reading all layers.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values; where something is wrong, those of the layers below.
    pub config: Config,
    /// What is wrong.
    pub flaws: Vec<Flaw>,
    /// The files that were read, in their order.
    pub files: Vec<PathBuf>,
    /// The environment variables that were read.
    pub variables: Vec<String>,
}

impl Loaded {
    /// The configuration, if nothing is wrong with it.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn sound(self) -> Result<Config, ConfigError> {
        if self.flaws.is_empty() { Ok(self.config) } else { Err(ConfigError { flaws: self.flaws }) }
    }
}

/// Reads all layers.
#[must_use]
pub fn load(inputs: &Inputs) -> Loaded {
    let mut loaded = Loaded {
        config: Config { settings: KEYS.iter().copied().map(usual).collect() },
        flaws: Vec::new(),
        files: Vec::new(),
        variables: Vec::new(),
    };
    match &inputs.files {
        Files::Only(path) => loaded.files.push(path.clone()),
        Files::Of(dir) => match file::usual_files(dir) {
            Ok(files) => loaded.files = files,
            Err(flaw) => loaded.flaws.push(flaw),
        },
    }
    for path in loaded.files.clone() {
        loaded.add(file::layer(&path));
    }
    let (environment, variables) = inputs.environment_layer();
    loaded.variables = variables;
    loaded.add(environment);
    loaded.add(inputs.flag_layer());
    loaded
}

impl Loaded {
    fn add(&mut self, layer: Layer) {
        for setting in layer.settings {
            self.config.set(setting);
        }
        self.flaws.extend(layer.flaws);
    }
}

/// A key of which nobody said anything.
fn usual(key: &'static Key) -> Setting {
    let value = match key.usual {
        Usual::Value(text) => toml::de::DeValue::parse(text)
            .ok()
            .and_then(|value| key.kind.read_toml(value.get_ref()).ok()),
        Usual::Unset { .. } => None,
    };
    Setting { key, value, origin: Origin::Default }
}

impl Config {
    fn set(&mut self, setting: Setting) {
        if let Some(place) = self.settings.iter_mut().find(|it| it.key == setting.key) {
            *place = setting;
        }
    }

    /// All keys in order.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// What a key is set to, and by whom; `None` if there is no such key.
    #[must_use]
    pub fn setting(&self, key: &Key) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    fn value(&self, key: &Key) -> Option<&Value> {
        self.setting(key)?.value.as_ref()
    }

    /// A text; `None` if it is not set.
    #[must_use]
    pub fn text(&self, key: &Key) -> Option<&str> {
        if let Value::Text(text) = self.value(key)? { Some(text) } else { None }
    }

    /// A path; `None` if it is not set.
    #[must_use]
    pub fn path(&self, key: &Key) -> Option<&Path> {
        if let Value::Path(path) = self.value(key)? { Some(path) } else { None }
    }

    /// A list of texts; empty if it is not set.
    #[must_use]
    pub fn texts(&self, key: &Key) -> &[String] {
        if let Some(Value::Texts(texts)) = self.value(key) { texts } else { &[] }
    }

    /// A span of time; `None` if it is not set.
    #[must_use]
    pub fn span(&self, key: &Key) -> Option<Duration> {
        if let Value::Span(span) = self.value(key)? { Some(*span) } else { None }
    }

    /// A number of bytes; `None` if it is not set.
    #[must_use]
    pub fn bytes(&self, key: &Key) -> Option<u64> {
        if let Value::Bytes(bytes) = self.value(key)? { Some(*bytes) } else { None }
    }

    /// A whole number; `None` if it is not set.
    #[must_use]
    pub fn number(&self, key: &Key) -> Option<u64> {
        if let Value::Number(number) = self.value(key)? { Some(*number) } else { None }
    }

    /// Directories with shards; empty if none are set.
    #[must_use]
    pub fn sources(&self, key: &Key) -> &[SourceSettings] {
        if let Some(Value::Sources(sources)) = self.value(key) { sources } else { &[] }
    }

    /// The socket and the data directory that were named, of which the first counts for the socket's
    /// place. A data directory that a variable or a flag names brings its socket along, whatever a
    /// file says of the socket; a socket that a variable or a flag names beats both.
    #[must_use]
    pub fn socket_or_data_dir(&self) -> (Option<&Path>, Option<&Path>) {
        let in_file =
            |key| self.setting(key).is_some_and(|it| matches!(it.origin, Origin::File { .. }));
        let data_dir = self.path(&AGENT_DATA_DIR);
        let outdated = in_file(&AGENT_SOCKET) && data_dir.is_some() && !in_file(&AGENT_DATA_DIR);
        (self.path(&AGENT_SOCKET).filter(|_| !outdated), data_dir)
    }
}

#[cfg(test)]
mod tests;
