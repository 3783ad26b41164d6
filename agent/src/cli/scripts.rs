//! `plexmesh completions` and `plexmesh man`: what shells and manual readers want, made from the
//! command line's own description. No agent is asked.

use std::path::Path;

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::{Cli, CompletionsArgs, ManArgs};
use super::output::Output;
use crate::api::schema::{Kind, One, Script, Written};
use crate::render;

/// Name of the program.
const PROGRAM: &str = "plexmesh";

/// Prints a completion script.
///
/// # Errors
/// What standard output failed with.
pub fn completions(args: &CompletionsArgs, output: &Output) -> anyhow::Result<()> {
    let document = One::local(Kind::Script, completion_script(args.shell));
    output.document(&document, render::local::script)?;
    Ok(())
}

/// Prints the main page, or writes a page for each verb into a directory.
///
/// # Errors
/// If a file cannot be written; or what standard output failed with.
pub fn man(args: &ManArgs, output: &Output) -> anyhow::Result<()> {
    match &args.dir {
        None => {
            let document = One::local(Kind::Script, main_page()?);
            output.document(&document, render::local::script)?;
        }
        Some(dir) => {
            let document = One::local(Kind::Written, write_pages(dir)?);
            output.document(&document, render::local::written)?;
        }
    }
    Ok(())
}

/// The completion script for a shell.
#[must_use]
pub fn completion_script(shell: Shell) -> Script {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Script { program: shell.to_string(), text }
}

/// The main manual page.
///
/// # Errors
/// Never, as memory can be written to.
pub fn main_page() -> anyhow::Result<Script> {
    let text = roff(Cli::command())?;
    Ok(Script { program: "man".to_owned(), text })
}

fn write_pages(dir: &Path) -> anyhow::Result<Written> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot make the directory {}", dir.display()))?;
    let mut whole = Cli::command().disable_help_subcommand(true);
    // Gives global flags to the verbs.
    whole.build();
    let verbs = whole.get_subcommands().filter(|verb| !verb.is_hide_set());
    let mut pages = vec![(PROGRAM.to_owned(), Cli::command())];
    for verb in verbs {
        let name = format!("{PROGRAM}-{}", verb.get_name());
        let page = verb.clone().name(name.clone()).version(env!("CARGO_PKG_VERSION"));
        pages.push((name, page));
    }
    let mut files = Vec::new();
    for (name, command) in pages {
        let path = dir.join(format!("{name}.1"));
        std::fs::write(&path, roff(command)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        files.push(path.display().to_string());
    }
    Ok(Written { files })
}

fn roff(command: Command) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    Man::new(command).render(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
