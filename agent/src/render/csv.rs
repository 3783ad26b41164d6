//! A page as CSV: its main table and nothing else, one header row, full values.
//!
//! Spreadsheets run what begins like a formula, and peers choose their own names: such a value gets
//! an apostrophe in front, which spreadsheets take as "this is text".

use super::page::{Block, Page};
use super::table::{Column, Table};

/// Letters with which a formula begins.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A page has no CSV form.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the table as CSV: {0}")]
pub struct CsvError(String);

/// The main table of a page. A page of names and values has the columns `key` and `value`.
///
/// # Errors
/// [`CsvError`] if a row has another number of fields than the head.
pub fn csv(page: &Page) -> Result<String, CsvError> {
    match page.main_table() {
        Some(table) => written(table),
        None => written(&lines(page)),
    }
}

fn written(table: &Table) -> Result<String, CsvError> {
    let failed = |error: ::csv::Error| CsvError(error.to_string());
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let headless = table.is_headless();
    if headless {
        writer.write_record(["key", "value"]).map_err(failed)?;
    } else {
        writer.write_record(table.head.iter().map(Column::name)).map_err(failed)?;
    }
    for row in &table.rows {
        let fields = row.iter().enumerate().map(|(place, cell)| {
            let value = guarded(cell.value());
            if headless && place == 0 { value.replace(' ', "_") } else { value }
        });
        writer.write_record(fields).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| CsvError(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| CsvError(error.to_string()))
}

/// A page without any table: its words, each line a value.
fn lines(page: &Page) -> Table {
    let mut table = Table::facts();
    for block in &page.blocks {
        match block {
            Block::Heading(line) | Block::Line(line) => {
                let text: String = line.spans.iter().map(|span| span.text.as_str()).collect();
                table.row(["text".into(), text.into()]);
            }
            Block::Script(text) => table.row(["text".into(), text.as_str().into()]),
            Block::Notice(_) | Block::Gap | Block::Table(_) | Block::Drawn { .. } => {}
        }
    }
    table
}

fn guarded(value: &str) -> String {
    let formula = value.starts_with(FORMULA_STARTS) && value.parse::<f64>().is_err();
    if formula { format!("'{value}") } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::table::Cell;

    fn page(table: Table) -> Page {
        let mut page = Page::new("x");
        page.line("not in it");
        page.table(table);
        page
    }

    #[test]
    fn values_are_quoted_and_have_no_units() {
        let mut table = Table::new(["NAME", "AGE", "RAW"]).called("AGE", "age_seconds");
        table = table.hidden(["RAW"]);
        table.row(["a,\"b\"".into(), Cell::new("2 min").exact(120), "7".into()]);
        table.row(["".into(), Cell::unknown(), "8".into()]);
        let expected = "name,age_seconds,raw\n\"a,\"\"b\"\"\",120,7\n,,8\n";
        assert_eq!(csv(&page(table)).unwrap(), expected);
    }

    #[test]
    fn a_name_is_no_formula() {
        let mut table = Table::new(["A", "B"]);
        table.row(["=1+1".into(), "-1.5".into()]);
        assert_eq!(csv(&page(table)).unwrap(), "a,b\n'=1+1,-1.5\n");
    }

    #[test]
    fn names_and_values_get_a_head() {
        let mut table = Table::facts();
        table.row(["round trip".into(), "0.4 ms".into()]);
        assert_eq!(csv(&page(table)).unwrap(), "key,value\nround_trip,0.4 ms\n");
    }
}
