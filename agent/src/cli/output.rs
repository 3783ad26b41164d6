//! Where results and errors go: data to standard output, everything else to standard error.

use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;
use thiserror::Error;

use super::args::{ColorWhen, Format, GlobalArgs};
use super::form;
use super::usage::eprint_quietly;
use crate::api::problem::Problem;
use crate::render::csv::CsvError;
use crate::render::page::Page;
use crate::render::terminal::{Environment, Screen, width};
use crate::time::WallTime;

/// Moves to the upper left corner and clears from there on: redraws without flicker.
const REDRAW: &str = "\x1b[H\x1b[J";

/// Standard output cannot be written to.
#[derive(Debug, Error)]
pub enum OutputError {
    /// Whoever read it has read enough: no failure.
    #[error("standard output was closed")]
    Closed,
    /// Anything else.
    #[error("cannot write to standard output: {0}")]
    Io(io::Error),
    /// The document has no JSON form.
    #[error("cannot write the document as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The document has no YAML form.
    #[error("cannot write the document as YAML: {0}")]
    Yaml(String),
    /// The view has no CSV form.
    #[error(transparent)]
    Csv(#[from] CsvError),
}

impl OutputError {
    /// Whether an error means only that nobody reads on.
    #[must_use]
    pub fn is_closed(error: &anyhow::Error) -> bool {
        matches!(error.downcast_ref(), Some(Self::Closed))
    }
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe { Self::Closed } else { Self::Io(error) }
    }
}

/// How and where to show things.
#[derive(Clone, Debug)]
pub struct Output {
    format: Format,
    screen: Screen,
    /// Standard output is a terminal that can be redrawn.
    redraws: bool,
    error_color: bool,
    quiet: bool,
}

impl Output {
    /// As the flags and the environment say.
    #[must_use]
    pub fn new(global: &GlobalArgs) -> Self {
        let here = Environment::here();
        let at_stderr = Environment { terminal: io::stderr().is_terminal(), ..here };
        let color = |environment: Environment| match global.color {
            ColorWhen::Auto => environment.wants_color(),
            ColorWhen::Always => true,
            ColorWhen::Never => false,
        };
        Self {
            format: global.output,
            screen: Screen {
                color: color(here),
                unicode: here.utf8,
                width: width(),
                wide: false,
                full_ids: false,
                now: WallTime::now(),
            },
            redraws: here.terminal && !here.dumb,
            error_color: color(at_stderr),
            quiet: global.quiet,
        }
    }

    /// The form that was asked for.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Whether only data and errors are to be shown.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// What is drawn on, as of now.
    #[must_use]
    pub fn screen(&self) -> Screen {
        self.format.screen(Screen { now: WallTime::now(), width: width(), ..self.screen })
    }

    /// Shows a document in the form that was asked for; `draw` draws what people read.
    ///
    /// # Errors
    /// [`OutputError`] if nobody reads on, or it cannot be written.
    pub fn document<T: Serialize>(
        &self,
        document: &T,
        draw: impl FnOnce(&Screen, &T) -> Page,
    ) -> Result<(), OutputError> {
        self.text(&form::shown(self.format, &self.screen(), document, draw)?)
    }

    /// Shows a page in the form that was asked for, which is one that is drawn.
    ///
    /// # Errors
    /// [`OutputError`] if nobody reads on, or it cannot be written.
    pub fn page(&self, page: &Page) -> Result<(), OutputError> {
        self.text(&form::drawn(self.format, &self.screen(), page)?)
    }

    /// Writes text as it is.
    ///
    /// # Errors
    /// [`OutputError`] if nobody reads on, or it cannot be written.
    pub fn text(&self, text: &str) -> Result<(), OutputError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// Writes text and ends the line.
    ///
    /// # Errors
    /// [`OutputError`] if nobody reads on, or it cannot be written.
    pub fn line(&self, text: &str) -> Result<(), OutputError> {
        self.text(&format!("{text}\n"))
    }

    /// Writes a view over its last one; below it where a screen cannot be redrawn.
    ///
    /// # Errors
    /// [`OutputError`] if nobody reads on, or it cannot be written.
    pub fn redraw(&self, text: &str) -> Result<(), OutputError> {
        let lead = if self.redraws { REDRAW } else { "\n" };
        self.text(&format!("{lead}{text}"))
    }

    /// Says something beside the data, unless quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            // Nothing is left to tell whom that standard error is closed.
            let _ = writeln!(io::stderr(), "note: {text}");
        }
    }

    /// Shows a problem on standard error, in the form that was asked for.
    pub fn problem(&self, problem: &Problem) {
        eprint_quietly(&self.problem_text(problem));
    }

    /// What an error is drawn on.
    #[must_use]
    pub fn error_screen(&self) -> Screen {
        Screen { color: self.error_color, ..self.screen }
    }

    /// A problem in the form that was asked for.
    #[must_use]
    pub fn problem_text(&self, problem: &Problem) -> String {
        form::problem_shown(self.format, &self.error_screen(), problem)
    }
}
