//! Columns.

use super::terminal::{Paint, Screen};
use super::text::{columns, cut};

/// Space between columns.
const GAP: usize = 2;

/// One field of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    paint: Option<Paint>,
    right: bool,
}

impl Cell {
    /// A text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), paint: None, right: false }
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

    /// What is not known.
    #[must_use]
    pub fn unknown() -> Self {
        Self::painted(Paint::Dim, "-")
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// Rows under a head.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new<T: Into<String>>(head: impl IntoIterator<Item = T>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as lines. The last column is cut if the screen is too narrow.
    #[must_use]
    pub fn draw(&self, screen: &Screen) -> String {
        let mut widths: Vec<usize> = self.head.iter().map(|title| columns(title)).collect();
        let mut right = vec![false; widths.len()];
        for row in &self.rows {
            for ((cell, width), right) in row.iter().zip(&mut widths).zip(&mut right) {
                *width = columns(&cell.text).max(*width);
                *right |= cell.right;
            }
        }
        let last = widths.len().saturating_sub(1);
        let before: usize = widths.iter().take(last).map(|width| width + GAP).sum();
        let room = screen.width.map(|width| width.saturating_sub(before).max(1));
        let head = self.head.iter().zip(&right).map(|(title, right)| Cell {
            text: title.clone(),
            paint: Some(Paint::Bold),
            right: *right,
        });
        let head: Vec<Cell> = head.collect();
        let shown = (!head.iter().all(|cell| cell.text.is_empty())).then_some(&head);
        let mut lines = String::new();
        for row in shown.into_iter().chain(&self.rows) {
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
