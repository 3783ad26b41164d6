//! What a view says, before it is known in which form: blocks of words and tables. Each view builds
//! one [`Page`]; text, CSV, Markdown and HTML are drawn from it.

use super::table::Table;
use super::terminal::{Paint, Screen};

/// Space in front of what stands below the head of a [`Notice`].
const INDENT: &str = "  ";
/// Columns of the words that lead a [`Notice`]'s commands.
const LEAD: usize = 8;

/// Some letters in one colour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub(super) text: String,
    pub(super) paint: Option<Paint>,
    pub(super) code: bool,
}

/// A line of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub(super) spans: Vec<Span>,
}

impl Line {
    /// An empty line.
    #[must_use]
    pub const fn new() -> Self {
        Self { spans: Vec::new() }
    }

    /// Goes on with text.
    #[must_use]
    pub fn plain(self, text: impl Into<String>) -> Self {
        self.with(text.into(), None, false)
    }

    /// Goes on with text in a colour.
    #[must_use]
    pub fn painted(self, paint: Paint, text: impl Into<String>) -> Self {
        self.with(text.into(), Some(paint), false)
    }

    /// Goes on with something that can be typed.
    #[must_use]
    pub fn code(self, text: impl Into<String>) -> Self {
        self.with(text.into(), None, true)
    }

    /// Goes on with another line.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.spans.extend(other.spans);
        self
    }

    /// The line on a terminal, without its end.
    #[must_use]
    pub fn text(&self, screen: &Screen) -> String {
        let shown = self.spans.iter().map(|span| match span.paint {
            Some(paint) => screen.paint(paint, &span.text),
            None => span.text.clone(),
        });
        shown.collect()
    }

    fn with(mut self, text: String, paint: Option<Paint>, code: bool) -> Self {
        self.spans.push(Span { text, paint, code });
        self
    }
}

impl<T: Into<String>> From<T> for Line {
    fn from(text: T) -> Self {
        Self::new().plain(text)
    }
}

/// Something that is wrong, with what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// What is wrong.
    pub head: Line,
    /// More about it.
    pub text: Vec<String>,
    /// What to type now.
    pub commands: Vec<String>,
    /// Where it is described.
    pub see: Option<String>,
}

impl Notice {
    fn text(&self, screen: &Screen) -> String {
        let mut out = format!("{}\n", self.head.text(screen));
        for line in &self.text {
            out.push_str(&format!("{INDENT}{line}\n"));
        }
        for (place, command) in self.commands.iter().enumerate() {
            let lead = if place == 0 { "do now:" } else { "" };
            out.push_str(&format!("{INDENT}{lead:<LEAD$}{command}\n"));
        }
        if let Some(see) = &self.see {
            out.push_str(&format!("{INDENT}{:<LEAD$}{see}\n", "see:"));
        }
        out
    }
}

/// A part of a page.
#[derive(Clone, Debug)]
pub(super) enum Block {
    /// A line that says what follows.
    Heading(Line),
    /// A line; several in a row belong together.
    Line(Line),
    /// Space.
    Gap,
    /// A table.
    Table(Table),
    /// A table that a terminal shows in a way of its own.
    Drawn { lines: Vec<Line>, table: Table },
    /// Something that is wrong.
    Notice(Notice),
    /// A text for another program, with its line ends.
    Script(String),
}

/// What a view says.
#[derive(Clone, Debug)]
pub struct Page {
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
    pub(super) data: Option<Table>,
}

impl Page {
    /// An empty page. The title is shown where pages have titles, which a terminal has not.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), blocks: Vec::new(), data: None }
    }

    /// Adds a line that says what follows.
    pub fn heading(&mut self, line: impl Into<Line>) {
        self.blocks.push(Block::Heading(line.into()));
    }

    /// Adds a line.
    pub fn line(&mut self, line: impl Into<Line>) {
        self.blocks.push(Block::Line(line.into()));
    }

    /// Adds space.
    pub fn gap(&mut self) {
        self.blocks.push(Block::Gap);
    }

    /// Adds a table.
    pub fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }

    /// Adds a table that a terminal shows as `lines`.
    pub fn drawn(&mut self, lines: Vec<Line>, table: Table) {
        self.blocks.push(Block::Drawn { lines, table });
    }

    /// Adds something that is wrong.
    pub fn notice(&mut self, notice: Notice) {
        self.blocks.push(Block::Notice(notice));
    }

    /// Adds a text for another program.
    pub fn script(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Script(text.into()));
    }

    /// Says what CSV is to hold, where that is not the first table of the page.
    pub fn data(&mut self, table: Table) {
        self.data = Some(table);
    }

    /// The page on a terminal.
    #[must_use]
    pub fn text(&self, screen: &Screen) -> String {
        let mut out = String::new();
        for block in &self.blocks {
            match block {
                Block::Heading(line) | Block::Line(line) => {
                    out.push_str(&line.text(screen));
                    out.push('\n');
                }
                Block::Gap => out.push('\n'),
                Block::Table(table) => out.push_str(&table.draw(screen)),
                Block::Drawn { lines, .. } => {
                    for line in lines {
                        out.push_str(&line.text(screen));
                        out.push('\n');
                    }
                }
                Block::Notice(notice) => out.push_str(&notice.text(screen)),
                Block::Script(text) => out.push_str(text),
            }
        }
        out
    }

    /// The table that stands for the whole page.
    pub(super) fn main_table(&self) -> Option<&Table> {
        let shown = self.blocks.iter().find_map(|block| match block {
            Block::Table(table) | Block::Drawn { table, .. } => Some(table),
            _ => None,
        });
        self.data.as_ref().or(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample::screen;

    #[test]
    fn a_terminal_shows_blocks_in_order_with_colour_on_words_alone() {
        let mut page = Page::new("not shown");
        page.heading(Line::new().painted(Paint::Bad, "CRIT").plain("  three"));
        page.gap();
        page.notice(Notice {
            head: "head".into(),
            text: vec!["why".to_owned()],
            commands: vec!["a".to_owned(), "b".to_owned()],
            see: Some("docs".to_owned()),
        });
        let shown = page.text(&Screen { color: true, ..screen() });
        let expected = "\x1b[31mCRIT\x1b[0m  three\n\nhead\n  why\n  do now: a\n          b\n  \
                        see:    docs\n";
        assert_eq!(shown, expected);
    }
}
