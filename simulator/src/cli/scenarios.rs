//! `plexmesh-sim scenarios`: what is built in.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use plexmesh_simulator::scenario::{Builtin, builtin, builtins, nearest_builtin};

use super::Failure;
use super::stdout::stdout;

/// List the built-in scenarios, or print one to begin with
#[derive(Debug, Args)]
pub(crate) struct Scenarios {
    /// Print the TOML of this one
    #[arg(long, value_name = "NAME")]
    show: Option<String>,
}

/// Runs the command.
pub(crate) fn scenarios(options: &Scenarios) -> Result<(), Failure> {
    let mut out = stdout();
    let written = match &options.show {
        Some(name) => write!(out, "{}", named(name)?.text),
        None => builtins().iter().try_for_each(|builtin| {
            let scenario = builtin.load().map_err(std::io::Error::other)?;
            writeln!(out, "{:<18} {:>5} peers  {}", builtin.name, scenario.peers, scenario.title)
        }),
    };
    written.context("cannot write to standard output").map_err(Failure::Machine)
}

/// The built-in scenario of a name.
pub(super) fn named(name: &str) -> Result<&'static Builtin, Failure> {
    builtin(name).ok_or_else(|| {
        let hint = match nearest_builtin(name) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`plexmesh-sim scenarios` lists them".to_owned(),
        };
        Failure::Input(anyhow::anyhow!(
            "there is no built-in scenario `{name}` and no such file; {hint}"
        ))
    })
}
