//! `plexmesh-sim explain`: why a state came about.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use plexmesh_simulator::explain::{Question, explain, table};
use plexmesh_simulator::scenario::Span;

use super::Failure;
use super::choice::Choice;
use super::replay::{Form, json};

/// Say why a peer thinks what it thinks of another one, with the chain of messages
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    choice: Choice,
    /// Whose view
    #[arg(long, value_name = "N")]
    observer: usize,
    /// Of whom
    #[arg(long, value_name = "N")]
    subject: usize,
    /// When, counted from the beginning of the run
    #[arg(long, value_name = "TIME")]
    at: Span,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
}

/// Runs the command.
pub(crate) fn run(options: &Explain, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let (scenario, base) = options.choice.read()?;
    let &Explain { observer, subject, at, .. } = options;
    let question = Question { observer, subject, at: at.0 };
    let explanation = explain(&options.choice.scenario, &scenario, &base, &question)
        .map_err(|error| Failure::Input(anyhow!(error)))?;
    let written = match options.output {
        Form::Table => table(&explanation, out).map_err(anyhow::Error::from),
        Form::Json => json(&explanation, out),
    };
    written.context("cannot write to standard output").map_err(Failure::Machine)?;
    Ok(ExitCode::SUCCESS)
}
