//! Columns.

use super::terminal::{Paint, Screen};
use super::text::{columns, cut};

/// Space between columns.
const GAP: usize = 2;

/// One field of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub(super) text: String,
    pub(super) paint: Option<Paint>,
    pub(super) right: bool,
    exact: Option<String>,
}

impl Cell {
    /// A text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A text in a colour.
    #[must_use]
    pub fn painted(paint: Paint, text: impl Into<String>) -> Self {
        Self { paint: Some(paint), ..Self::new(text) }
    }

    /// A figure: stands at the right of its column.
    #[must_use]
    pub fn right(mut self) -> Self {
        self.right = true;
        self
    }

    /// Says what the field is for a program, where people read something else.
    #[must_use]
    pub fn exact(mut self, value: impl ToString) -> Self {
        self.exact = Some(value.to_string());
        self
    }

    /// What is not known; for a program nothing.
    #[must_use]
    pub fn unknown() -> Self {
        Self::painted(Paint::Dim, "-").exact("")
    }

    /// What a program reads.
    pub(super) fn value(&self) -> &str {
        self.exact.as_deref().unwrap_or(&self.text)
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// A column's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) title: String,
    /// What programs call it, if not the title in lower case.
    name: Option<&'static str>,
    /// Only programs get it.
    hidden: bool,
}

impl Column {
    /// What programs call it.
    pub(super) fn name(&self) -> String {
        self.name.map_or_else(
            || self.title.to_lowercase().split_whitespace().collect::<Vec<_>>().join("_"),
            str::to_owned,
        )
    }
}

/// Rows under a head.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) head: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new<T: Into<String>>(head: impl IntoIterator<Item = T>) -> Self {
        let column = |title: T| Column { title: title.into(), name: None, hidden: false };
        Self { head: head.into_iter().map(column).collect(), rows: Vec::new() }
    }

    /// A table of names and values, without a head.
    #[must_use]
    pub fn facts() -> Self {
        Self::new(["", ""])
    }

    /// Says what programs call a column: what the unit is of values that people read with units.
    #[must_use]
    pub fn called(mut self, title: &str, name: &'static str) -> Self {
        for column in self.head.iter_mut().filter(|column| column.title == title) {
            column.name = Some(name);
        }
        self
    }

    /// Keeps columns for programs alone.
    #[must_use]
    pub fn hidden<const N: usize>(mut self, titles: [&str; N]) -> Self {
        for column in self.head.iter_mut().filter(|it| titles.contains(&it.title.as_str())) {
            column.hidden = true;
        }
        self
    }

    /// The first row as names and values, as programs get it.
    #[must_use]
    pub(super) fn first_as_facts(&self) -> Self {
        let mut facts = Self::facts();
        for (column, cell) in self.head.iter().zip(self.rows.iter().flatten()) {
            facts.row([column.name().into(), cell.value().into()]);
        }
        facts
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether it has no head: a list of names and values.
    pub(super) fn is_headless(&self) -> bool {
        self.head.iter().all(|column| column.title.is_empty())
    }

    /// The same without what only programs get.
    pub(super) fn shown(&self) -> Self {
        let keep = |cells: &Vec<Cell>| {
            let kept = cells.iter().zip(&self.head).filter(|(_, column)| !column.hidden);
            kept.map(|(cell, _)| cell.clone()).collect()
        };
        Self {
            head: self.head.iter().filter(|column| !column.hidden).cloned().collect(),
            rows: self.rows.iter().map(keep).collect(),
        }
    }

    /// Whether each column holds figures, which stand at the right.
    pub(super) fn figures(&self) -> Vec<bool> {
        let mut right = vec![false; self.head.len()];
        for row in &self.rows {
            for (cell, right) in row.iter().zip(&mut right) {
                *right |= cell.right;
            }
        }
        right
    }

    /// The table as lines. The last column is cut if the screen is too narrow.
    #[must_use]
    pub fn draw(&self, screen: &Screen) -> String {
        let table = self.shown();
        let mut widths: Vec<usize> = table.head.iter().map(|it| columns(&it.title)).collect();
        for row in &table.rows {
            for (cell, width) in row.iter().zip(&mut widths) {
                *width = columns(&cell.text).max(*width);
            }
        }
        let last = widths.len().saturating_sub(1);
        let before: usize = widths.iter().take(last).map(|width| width + GAP).sum();
        let room = screen.width.map(|width| width.saturating_sub(before).max(1));
        let head = table.head.iter().zip(table.figures()).map(|(column, right)| Cell {
            right,
            ..Cell::painted(Paint::Bold, column.title.clone())
        });
        let head: Vec<Cell> = head.collect();
        let head = (!table.is_headless()).then_some(&head);
        let mut lines = String::new();
        for row in head.into_iter().chain(&table.rows) {
            lines.push_str(draw_row(screen, row, &widths, room).trim_end());
            lines.push('\n');
        }
        lines
    }
}

fn draw_row(screen: &Screen, row: &[Cell], widths: &[usize], room: Option<usize>) -> String {
    let last = widths.len().saturating_sub(1);
    let mut line = String::new();
    for (place, (cell, width)) in row.iter().zip(widths).enumerate() {
        let text = match room {
            Some(room) if place == last => cut(screen, &cell.text, room),
            _ => cell.text.clone(),
        };
        let pad = " ".repeat(width.saturating_sub(columns(&text)));
        let shown = cell.paint.map_or_else(|| text.clone(), |paint| screen.paint(paint, &text));
        if cell.right {
            line.push_str(&pad);
            line.push_str(&shown);
        } else {
            line.push_str(&shown);
            if place != last {
                line.push_str(&pad);
            }
        }
        if place != last {
            line.push_str(&" ".repeat(GAP));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample::screen;

    #[test]
    fn colours_do_not_shift_columns() {
        let mut table = Table::new(["A", "N", "LAST"]);
        table.row([Cell::painted(Paint::Good, "up"), Cell::new("7").right(), "x".into()]);
        table.row(["down".into(), Cell::new("123").right(), "y".into()]);
        let plain = table.draw(&screen());
        assert_eq!(plain, "A       N  LAST\nup      7  x\ndown  123  y\n");
        let colored = table.draw(&Screen { color: true, ..screen() });
        let stripped = ["\x1b[32m", "\x1b[1m", "\x1b[0m"]
            .iter()
            .fold(colored, |text, code| text.replace(code, ""));
        assert_eq!(stripped, plain);
    }

    #[test]
    fn a_narrow_screen_cuts_the_last_column() {
        let mut table = Table::new(["A", "TEXT"]);
        table.row(["a".into(), "a long text".into()]);
        let narrow = Screen { width: Some(9), ..screen() };
        assert_eq!(table.draw(&narrow), "A  TEXT\na  a lon…\n");
    }
}
