//! Logs: to standard error, as loud as the flags say.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::args::{Cli, Verb};
use crate::render::terminal::Environment;

/// Replaces the filter that the flags make, in the syntax of `tracing_subscriber::EnvFilter`.
const LOG_VARIABLE: &str = "PLEXMESH_LOG";

/// Starts to log. A program that logs already keeps its own way.
pub fn start(cli: &Cli) {
    let filter =
        EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(filter(cli)));
    let here = Environment { terminal: std::io::stderr().is_terminal(), ..Environment::here() };
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(here.wants_color())
        .with_target(false)
        .with_writer(std::io::stderr)
        .try_init();
}

/// Warnings of everything, and of this project what the flags ask for: an agent tells of state
/// changes, a command of nothing.
fn filter(cli: &Cli) -> String {
    const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
    let usual = if matches!(cli.verb, Verb::Run(_)) { 2 } else { 1 };
    let place = if cli.global.quiet { 0 } else { usual + usize::from(cli.global.verbose) };
    let level = LEVELS.get(place).copied().unwrap_or("trace");
    let others = if cli.global.quiet { "error" } else { "warn" };
    format!("{others},plexmesh_agent={level},plexmesh_net={level}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn an_agent_logs_state_changes_and_a_command_only_warnings() {
        let level = |typed: &[&str]| filter(&Cli::try_parse_from(typed).unwrap());
        assert!(level(&["p", "run"]).contains("plexmesh_agent=info"));
        assert!(level(&["p", "run", "-vv"]).contains("plexmesh_agent=trace"));
        assert!(level(&["p", "status"]).contains("plexmesh_agent=warn"));
        assert_eq!(level(&["p", "run", "-q"]), "error,plexmesh_agent=error,plexmesh_net=error");
    }
}
