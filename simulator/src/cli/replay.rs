//! `plexmesh-sim replay`: who knew what when.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use plexmesh_simulator::replay::{Around, replay, table};
use plexmesh_simulator::scenario::Span;

use super::Failure;
use super::choice::Choice;

/// Step through a run around a moment: what happened, and who knew what
#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    choice: Choice,
    /// The moment, counted from the beginning of the run
    #[arg(long, value_name = "TIME")]
    at: Span,
    /// How much before and after the moment is shown
    #[arg(long, value_name = "TIME", default_value = "5s")]
    window: Span,
    /// Show who knew what every so often, beside the ends of the window and the moment
    #[arg(long, value_name = "TIME")]
    step: Option<Span>,
    /// Only this peer, and what is said about it
    #[arg(long, value_name = "N")]
    peer: Option<usize>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
}

/// A form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For a person
    Table,
    /// Everything, for programs
    Json,
}

/// Runs the command.
pub(crate) fn run(options: &Replay, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let (scenario, base) = options.choice.read()?;
    let around = Around {
        at: options.at.0,
        window: options.window.0,
        step: options.step.map(|step| step.0),
        peer: options.peer,
    };
    let replay = replay(&options.choice.scenario, &scenario, &base, &around)
        .map_err(|error| Failure::Input(anyhow!(error)))?;
    let written = match options.output {
        Form::Table => table(&replay, out).map_err(anyhow::Error::from),
        Form::Json => json(&replay, out),
    };
    written.context("cannot write to standard output").map_err(Failure::Machine)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a document as indented JSON.
pub(super) fn json(document: &impl serde::Serialize, out: &mut impl Write) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    writeln!(out)?;
    Ok(())
}
