//! Logs: to standard error, as loud as the flags and the configuration say.

use std::fmt;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::args::{Cli, GlobalArgs, Verb};
use crate::render::terminal::Environment;

/// Replaces the filter that the flags make, in the syntax of `tracing_subscriber::EnvFilter`.
const LOG_VARIABLE: &str = "PLEXMESH_LOG";

type Replace =
    Box<dyn Fn(EnvFilter) -> Result<(), tracing_subscriber::reload::Error> + Send + Sync>;

/// The log of this process, whose filter can be replaced.
#[derive(Default)]
pub struct Logging {
    /// `None` in a program that logs its own way.
    replace: Option<Replace>,
}

impl fmt::Debug for Logging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logging").finish_non_exhaustive()
    }
}

impl Logging {
    /// Logs from now on what this filter lets through; one that does not parse changes nothing.
    pub fn set_filter(&self, filter: &str) {
        let Some(replace) = &self.replace else { return };
        match EnvFilter::builder().parse(filter) {
            Ok(filter) => {
                // Fails only if there is no log any more, and then nobody could be told.
                let _ = replace(filter);
            }
            Err(error) => tracing::warn!(filter, %error, "this is no filter of a log"),
        }
    }
}

/// What the flags ask of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loudness {
    /// The flag.
    pub flag: &'static str,
    /// The filter that it stands for, for an agent.
    pub filter: String,
}

impl Loudness {
    /// What was typed; `None` if neither flag was.
    #[must_use]
    pub fn typed(global: &GlobalArgs) -> Option<Self> {
        let flag = match (global.quiet, global.verbose) {
            (true, _) => "--quiet",
            (false, 0) => return None,
            (false, _) => "--verbose",
        };
        Some(Self { flag, filter: filter(global, AGENT_LEVEL) })
    }
}

/// Starts to log. A program that logs already keeps its own way.
pub fn start(cli: &Cli) -> Logging {
    let usual = if matches!(cli.verb, Verb::Run(_)) { AGENT_LEVEL } else { COMMAND_LEVEL };
    let filter = EnvFilter::try_from_env(LOG_VARIABLE)
        .unwrap_or_else(|_| EnvFilter::new(filter(&cli.global, usual)));
    let here = Environment { terminal: std::io::stderr().is_terminal(), ..Environment::here() };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(here.wants_color())
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_filter_reloading();
    let handle = builder.reload_handle();
    let replace: Replace = Box::new(move |filter| handle.reload(filter));
    Logging { replace: builder.try_init().is_ok().then_some(replace) }
}

/// From quiet to loud.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// Place of an agent's usual level: it tells of state changes.
const AGENT_LEVEL: usize = 2;
/// Place of a command's usual level: it tells of nothing.
const COMMAND_LEVEL: usize = 1;

/// Warnings of everything, and of this project what the flags ask for.
fn filter(global: &GlobalArgs, usual: usize) -> String {
    let place = if global.quiet { 0 } else { usual + usize::from(global.verbose) };
    let level = LEVELS.get(place).copied().unwrap_or("trace");
    let others = if global.quiet { "error" } else { "warn" };
    format!("{others},plexmesh_agent={level},plexmesh_net={level}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::{LOG_FILTER, Usual};

    #[test]
    fn an_agent_logs_state_changes_and_a_command_only_warnings() {
        let quiet = GlobalArgs { quiet: true, ..GlobalArgs::default() };
        let loud = GlobalArgs { verbose: 2, ..GlobalArgs::default() };
        let usual = GlobalArgs::default();
        assert!(filter(&usual, COMMAND_LEVEL).contains("plexmesh_agent=warn"));
        assert_eq!(filter(&quiet, AGENT_LEVEL), "error,plexmesh_agent=error,plexmesh_net=error");
        assert!(Loudness::typed(&loud).unwrap().filter.contains("plexmesh_agent=trace"));
        assert_eq!(Loudness::typed(&usual), None);
    }

    #[test]
    fn an_agent_without_flags_logs_what_the_configuration_has_as_default() {
        let Usual::Value(default) = LOG_FILTER.usual else { panic!("no default") };
        assert_eq!(format!("{:?}", filter(&GlobalArgs::default(), AGENT_LEVEL)), default);
    }
}
