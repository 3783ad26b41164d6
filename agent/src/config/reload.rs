//! What a configuration that was read again changes.

use std::fmt;

use super::{Config, Setting, Value};

/// A key whose value is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Section and name.
    pub key: String,
    /// The value that held.
    pub old: Option<Value>,
    /// The value that is to hold.
    pub new: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| {
            value.as_ref().map_or_else(|| "unset".to_owned(), Value::to_string)
        };
        write!(f, "{} {} -> {}", self.key, shown(&self.old), shown(&self.new))
    }
}

/// What reading again has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// What holds now: of keys that cannot change in a running agent, the old values.
    pub config: Config,
    /// What has changed.
    pub taken: Vec<Change>,
    /// What would change at a restart.
    pub waiting: Vec<Change>,
}

/// Takes of `new` what a running agent can take.
#[must_use]
pub fn reload(old: &Config, new: &Config) -> Reloaded {
    let mut reloaded = Reloaded { config: old.clone(), taken: Vec::new(), waiting: Vec::new() };
    for (old, new) in old.settings().iter().zip(new.settings()) {
        let change = (old.value != new.value).then(|| change(old, new));
        if new.key.reloadable {
            reloaded.config.set(new.clone());
            reloaded.taken.extend(change);
        } else {
            reloaded.waiting.extend(change);
        }
    }
    reloaded
}

fn change(old: &Setting, new: &Setting) -> Change {
    Change { key: new.key.path(), old: old.value.clone(), new: new.value.clone() }
}
