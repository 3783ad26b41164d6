//! From a document to the form that was asked for. Every verb goes through here, errors too.

use serde::Serialize;

use super::args::Format;
use super::output::OutputError;
use crate::api::problem::{Code, Problem};
use crate::api::schema::One;
use crate::render::page::Page;
use crate::render::terminal::Screen;
use crate::render::{csv, html, markdown, problem};

impl Format {
    /// Whether a program reads whole documents in this form.
    #[must_use]
    pub const fn is_document(self) -> bool {
        matches!(self, Self::Json | Self::Ndjson | Self::Yaml)
    }

    /// Whether one view after another makes sense in this form: a terminal is redrawn, and JSON has
    /// a line for each.
    #[must_use]
    pub const fn repeats(self) -> bool {
        matches!(self, Self::Table | Self::Wide | Self::Json | Self::Ndjson)
    }

    /// The form's name, as it is typed.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Wide => "wide",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Yaml => "yaml",
            Self::Csv => "csv",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Dot => "dot",
        }
    }

    /// What this form is drawn on, where the terminal is `screen`. A file is read elsewhere: it has
    /// full ids, no colour codes, no width.
    #[must_use]
    pub const fn screen(self, screen: Screen) -> Screen {
        match self {
            Self::Table => screen,
            Self::Wide => Screen { wide: true, ..screen },
            Self::Json | Self::Ndjson | Self::Yaml | Self::Dot => Screen { width: None, ..screen },
            Self::Csv | Self::Markdown | Self::Html => Screen {
                color: false,
                unicode: true,
                width: None,
                wide: true,
                full_ids: true,
                now: screen.now,
            },
        }
    }
}

/// A document in a form, with a line end at its end; `draw` draws what people read.
///
/// # Errors
/// [`OutputError`] if it has no such form.
pub fn shown<T: Serialize>(
    format: Format,
    screen: &Screen,
    document: &T,
    draw: impl FnOnce(&Screen, &T) -> Page,
) -> Result<String, OutputError> {
    match serialized(format, document)? {
        Some(text) => Ok(text),
        None => drawn(format, screen, &draw(screen, document)),
    }
}

/// A document as a program reads it; `None` in forms that are drawn.
///
/// # Errors
/// [`OutputError`] if it has no such form.
pub fn serialized<T: Serialize>(
    format: Format,
    document: &T,
) -> Result<Option<String>, OutputError> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(document)? + "\n",
        Format::Ndjson => serde_json::to_string(document)? + "\n",
        // By way of JSON: the same keys in the same order, whatever a type does in one of the two.
        Format::Yaml => serde_saphyr::to_string(&serde_json::to_value(document)?)
            .map_err(|error| OutputError::Yaml(error.to_string()))?,
        Format::Table
        | Format::Wide
        | Format::Csv
        | Format::Markdown
        | Format::Html
        | Format::Dot => return Ok(None),
    };
    Ok(Some(text))
}

/// A page in a form that is drawn.
///
/// # Errors
/// [`OutputError`] if it has no such form.
pub fn drawn(format: Format, screen: &Screen, page: &Page) -> Result<String, OutputError> {
    Ok(match format {
        Format::Csv => csv::csv(page)?,
        Format::Markdown => markdown::markdown(page),
        Format::Html => html::html_page(page),
        _ => page.text(screen),
    })
}

/// A problem in a form. JSON has it on one line, so that a log of errors has a line for each.
#[must_use]
pub fn problem_shown(format: Format, screen: &Screen, it: &Problem) -> String {
    let screen = format.screen(*screen);
    let page = |screen: &Screen| problem::problem(screen, it);
    let text = if format.is_document() {
        let form = if format == Format::Yaml { format } else { Format::Ndjson };
        shown(form, &screen, &One::problem(it.clone()), |screen, _| page(screen))
    } else {
        drawn(format, &screen, &page(&screen))
    };
    // Words are better than nothing.
    text.unwrap_or_else(|_| page(&screen).text(&screen))
}

/// Refuses forms in which one view after another makes no sense.
///
/// # Errors
/// [`Problem`] that says which forms work.
pub fn refuse_repeated(format: Format, flag: &str) -> Result<(), Problem> {
    if format.repeats() {
        return Ok(());
    }
    let message = format!("{flag} does not work with -o {}", format.word());
    Err(Problem::new(Code::Usage, message)
        .because("a document of that form has an end")
        .then(format!("{flag} with -o table, wide, json or ndjson; or the same without {flag}")))
}
