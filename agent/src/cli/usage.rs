//! What was mistyped: told in the form that was asked for, as far as that can be made out.

use std::process::ExitCode;

use clap::{CommandFactory, ValueEnum};

use super::args::{Cli, Format};
use super::{check, form};
use crate::api::problem::{Code, Problem};
use crate::render::terminal::{Environment, Screen};
use crate::time::WallTime;

/// Global flags that take a value, which is no verb.
const FLAGS_WITH_VALUE: [&str; 6] =
    ["--data-dir", "--config", "--socket", "--output", "-o", "--color"];

/// Help and version are what was asked for; anything else was mistyped.
#[must_use]
pub fn explain(error: &clap::Error) -> ExitCode {
    // A name that is no text is no form and no verb either.
    let typed: Vec<String> =
        std::env::args_os().skip(1).map(|it| it.to_string_lossy().into_owned()).collect();
    let format = wanted_format(&typed).unwrap_or_default();
    if !error.use_stderr() {
        // A closed pipe is no reason to fail.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    let problem =
        Problem::new(Code::Usage, text.trim().trim_start_matches("error: ")).then("plexmesh help");
    if wanted_verb(&typed).as_deref() == Some(check::NAME) {
        return check::failed(&problem, format, &screen());
    }
    if matches!(format, Format::Table | Format::Wide | Format::Dot) {
        let _ = error.print();
    } else {
        eprint_quietly(&form::problem_shown(format, &screen(), &problem));
    }
    ExitCode::from(problem.code.exit_code())
}

/// Writes to standard error. Nobody is left to be told that it is closed.
pub(super) fn eprint_quietly(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// What is written on before the flags are known.
fn screen() -> Screen {
    let unicode = Environment::here().utf8;
    Screen {
        color: false,
        unicode,
        width: None,
        wide: false,
        full_ids: false,
        now: WallTime::now(),
    }
}

/// The form that arguments ask for which do not parse as a whole.
fn wanted_format(typed: &[String]) -> Option<Format> {
    let mut flag_before = false;
    for argument in typed {
        let value = ["--output=", "-o=", "-o"]
            .iter()
            .find_map(|flag| argument.strip_prefix(flag))
            .filter(|value| !value.is_empty());
        let value = if flag_before { Some(argument.as_str()) } else { value };
        if let Some(format) = value.and_then(|value| Format::from_str(value, false).ok()) {
            return Some(format);
        }
        flag_before = matches!(argument.as_str(), "-o" | "--output");
    }
    None
}

/// The verb of arguments that do not parse as a whole.
fn wanted_verb(typed: &[String]) -> Option<String> {
    let mut value_next = false;
    for argument in typed {
        if std::mem::take(&mut value_next) {
            continue;
        }
        if argument.starts_with('-') {
            value_next = FLAGS_WITH_VALUE.contains(&argument.as_str());
            continue;
        }
        let known = Cli::command().find_subcommand(argument).is_some();
        return known.then(|| argument.clone());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(typed: &str) -> Vec<String> {
        typed.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_mistyped_command_still_says_which_form_it_wants() {
        let wants = |typed: &str| wanted_format(&words(typed));
        for (typed, form) in [
            ("statsu -o json", Format::Json),
            ("-ojson x", Format::Json),
            ("--output=ndjson", Format::Ndjson),
            ("--output yaml", Format::Yaml),
            ("peers --nonsense -o html", Format::Html),
            ("-o=csv", Format::Csv),
        ] {
            assert_eq!(wants(typed), Some(form), "{typed}");
        }
        for typed in ["statsu", "json", "-o nonsense"] {
            assert_eq!(wants(typed), None, "{typed}");
        }
        assert_eq!(wants("-o table json"), Some(Format::Table));
    }

    #[test]
    fn the_verb_is_the_first_word_that_is_no_flag_and_no_flags_value() {
        for typed in ["check --x", "-o json check", "--socket peers check", "--color=never check"] {
            assert_eq!(wanted_verb(&words(typed)).as_deref(), Some("check"), "{typed}");
        }
        for typed in ["peer check", "statsu check", "--socket check"] {
            assert_ne!(wanted_verb(&words(typed)).as_deref(), Some("check"), "{typed}");
        }
    }
}
