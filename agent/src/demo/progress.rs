//! What the demo shows while it runs: a line that moves on a terminal, plain lines in a log file,
//! nothing beside JSON.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::args::Format;

/// Between two frames of the spinner: it is to look alive, not to use the processor.
const SPIN_INTERVAL: Duration = Duration::from_millis(120);

/// Shows steps on standard error.
#[derive(Debug)]
pub(super) enum Progress {
    /// On a terminal.
    Moving(ProgressBar),
    /// In a file or a pipe.
    Plain,
    /// Not at all.
    Silent,
}

impl Progress {
    pub(super) fn new(quiet: bool, form: Format) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let for_people = matches!(form, Format::Table | Format::Wide);
        match (quiet, terminal, for_people) {
            (true, ..) | (false, false, false) => Self::Silent,
            (false, false, true) => Self::Plain,
            (false, true, _) => {
                let bar = ProgressBar::new_spinner();
                if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                    bar.set_style(style);
                }
                bar.enable_steady_tick(SPIN_INTERVAL);
                Self::Moving(bar)
            }
        }
    }

    /// What is being done now.
    pub(super) fn step(&self, text: &str) {
        if let Self::Moving(bar) = self {
            bar.reset_elapsed();
            bar.set_message(text.to_owned());
        }
    }

    /// What is done.
    pub(super) fn done(&self, text: &str) {
        match self {
            Self::Moving(bar) => bar.println(format!("✓ {text}")),
            Self::Plain => eprintln!("{text}"),
            Self::Silent => {}
        }
    }

    /// Takes the moving line away.
    pub(super) fn finish(&self) {
        if let Self::Moving(bar) = self {
            bar.finish_and_clear();
        }
    }
}
