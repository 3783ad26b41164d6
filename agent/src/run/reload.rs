//! SIGHUP: the configuration is read again.

use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::cli::logging::Logging;
use crate::config::reload::reload;
use crate::config::{self, Config, Inputs};
use crate::settings::Settings;
use crate::supervisor::Supervisor;

/// Listens for SIGHUP, which otherwise ends a process.
pub(super) fn hangups() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("cannot listen for signals")
}

/// What a running agent was configured with, and where changes go.
#[derive(Debug)]
pub(super) struct Reload {
    pub(super) inputs: Inputs,
    pub(super) config: Config,
    pub(super) settings: watch::Sender<Arc<Settings>>,
    pub(super) logging: Logging,
    pub(super) supervisor: Supervisor,
}

impl Reload {
    /// Reads the configuration at each signal; ends with the signals.
    pub(super) async fn run(mut self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            self.supervisor.reloading();
            let inputs = self.inputs.clone();
            // Files may lie on a disk that is slow or gone.
            let loaded = tokio::task::spawn_blocking(move || config::load(&inputs)).await;
            match loaded.map(config::Loaded::sound) {
                Ok(Ok(new)) => self.take(&new),
                Ok(Err(error)) => {
                    for flaw in &error.flaws {
                        tracing::warn!("{flaw}");
                    }
                    tracing::warn!("the configuration has errors; what held before still holds");
                }
                Err(error) => tracing::warn!(%error, "reading the configuration failed"),
            }
            self.supervisor.ready();
        }
    }

    fn take(&mut self, new: &Config) {
        let reloaded = reload(&self.config, new);
        for change in &reloaded.waiting {
            tracing::warn!("{change} needs a restart");
        }
        let old = self.settings.borrow().clone();
        match Settings::of(&reloaded.config) {
            Ok(settings) => {
                self.logging.set_filter(&settings.log_filter);
                let settings = Settings { die_with_stdin: old.die_with_stdin, ..settings };
                self.settings.send_replace(Arc::new(settings));
            }
            Err(error) => return tracing::warn!(%error, "what held before still holds"),
        }
        for change in &reloaded.taken {
            tracing::info!("{change}");
        }
        let (taken, waiting) = (reloaded.taken.len(), reloaded.waiting.len());
        tracing::info!(taken, waiting, "the configuration was read again");
        self.config = reloaded.config;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::config::Files;

    fn written(file: &Path, text: &str) -> Config {
        std::fs::write(file, text).unwrap();
        let files = Files::Only(file.to_owned());
        let flags = Default::default();
        config::load(&Inputs { files, environment: Vec::new(), flags }).sound().unwrap()
    }

    #[test]
    fn who_uses_the_settings_sees_those_that_may_change_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.toml");
        let config = written(&file, "agent.data_dir = '/a'");
        let inputs = Inputs::of_run(Default::default());
        let old = Settings { die_with_stdin: true, ..Settings::of(&config).unwrap() };
        let (settings, mut seen) = watch::channel(Arc::new(old));
        let (logging, supervisor) = (Logging::default(), Supervisor::default());
        let mut reload = Reload { inputs, config, settings, logging, supervisor };
        let text = "agent.data_dir = '/b'\nscrub.deadline = '1h'\n[[source]]\nroot = '/s'\n";
        reload.take(&written(&file, text));
        assert!(seen.has_changed().unwrap());
        let now = seen.borrow_and_update().clone();
        assert_eq!(now.scrub.deadline, Duration::from_secs(3_600));
        assert_eq!(now.sources[0].root, Path::new("/s"));
        assert_eq!((now.data_dir.as_path(), now.die_with_stdin), (Path::new("/a"), true));
    }
}
