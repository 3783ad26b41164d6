//! The table of a document, between two marks that stand in it.

use super::rows;
use super::state::RowResult;

/// Where the table begins.
pub const BEGIN: &str = "<!-- figures:begin -->";
/// Where it ends.
pub const END: &str = "<!-- figures:end -->";

/// Why a document has no place for the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarksError {
    /// A mark is not there.
    #[error("it has no line `{0}`")]
    Missing(&'static str),
    /// A mark is there twice.
    #[error("it has more than one line `{0}`")]
    Twice(&'static str),
    /// They stand the wrong way round.
    #[error("`{END}` stands before `{BEGIN}`")]
    Order,
}

/// The document with another table: what stands between the marks is replaced, the rest stays as it
/// is, byte for byte.
///
/// # Errors
/// If there is no such place.
pub fn replace(document: &str, table: &str) -> Result<String, MarksError> {
    let (begin, end) = (find(document, BEGIN)?, find(document, END)?);
    let begin = begin + BEGIN.len();
    match (document.get(..begin), document.get(end..)) {
        (Some(before), Some(after)) if begin <= end => Ok(format!("{before}\n{table}{after}")),
        _ => Err(MarksError::Order),
    }
}

/// Where a mark stands at the beginning of a line.
fn find(document: &str, mark: &'static str) -> Result<usize, MarksError> {
    let at_line = |at: &usize| *at == 0 || document.as_bytes().get(at - 1) == Some(&b'\n');
    let mut places = document.match_indices(mark).map(|(at, _)| at).filter(at_line);
    match (places.next(), places.next()) {
        (None, _) => Err(MarksError::Missing(mark)),
        (Some(place), None) => Ok(place),
        (Some(_), Some(_)) => Err(MarksError::Twice(mark)),
    }
}

/// All rows as a table in Markdown; those without a result say so.
#[must_use]
pub fn table(results: &[RowResult]) -> String {
    let mut table = "| what | peers | asked | measured | others | command |\n".to_owned();
    table.push_str("|---|---|---|---|---|---|\n");
    for row in rows() {
        let result = results.iter().find(|result| result.row == row.name);
        let peers = result.map_or_else(String::new, |result| result.measured.peers.to_string());
        let (asked, measured) = match result {
            None => (String::new(), "not measured yet".to_owned()),
            Some(result) => (asked(result), measured(result)),
        };
        let cells = [row.what, &peers, &asked, &measured, row.others];
        let line: String = cells.iter().map(|cell| format!("| {} ", plain(cell))).collect();
        table.push_str(&format!("{line}| `{}` |\n", row.command()));
    }
    table
}

/// What is asked of a row, in words; empty if nothing is.
#[must_use]
pub fn asked(result: &RowResult) -> String {
    let asked = result.measured.figures.iter().filter_map(super::Figure::asked_in_words);
    asked.collect::<Vec<_>>().join("; ")
}

/// What was measured, in words: first what is not as asked.
#[must_use]
pub fn measured(result: &RowResult) -> String {
    let figures = &result.measured.figures;
    let missed: Vec<&str> =
        figures.iter().filter(|figure| !figure.held()).map(|figure| figure.name.as_str()).collect();
    let head = match missed.is_empty() {
        true => String::new(),
        false => format!("**missed: {}**; ", missed.join(", ")),
    };
    let all: Vec<String> = figures.iter().map(super::Figure::measured_in_words).collect();
    let notes: String = result.measured.notes.iter().map(|note| format!("; {note}")).collect();
    format!("{head}{}{notes}", all.join("; "))
}

/// Text that does not end a cell.
fn plain(text: &str) -> String {
    text.replace('|', "/").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let document = format!("# Title\n{BEGIN}\nold\n{END}\nby hand\n");
        let new = replace(&document, "| new |\n").unwrap();
        assert_eq!(new, format!("# Title\n{BEGIN}\n| new |\n{END}\nby hand\n"));
        assert_eq!(replace(&new, "| new |\n").unwrap(), new);
    }

    #[test]
    fn a_document_without_a_place_is_refused() {
        let refused = |document: &str| replace(document, "").unwrap_err();
        assert_eq!(refused("nothing"), MarksError::Missing(BEGIN));
        assert_eq!(refused(&format!("{BEGIN}\n")), MarksError::Missing(END));
        assert_eq!(refused(&format!("{END}\n{BEGIN}\n")), MarksError::Order);
        assert_eq!(refused(&format!("{BEGIN}\n{BEGIN}\n{END}\n")), MarksError::Twice(BEGIN));
        // A document that speaks of the marks is not changed there.
        assert_eq!(
            refused(&format!("put `{BEGIN}` and `{END}` into it")),
            MarksError::Missing(BEGIN)
        );
    }

    #[test]
    fn a_table_has_a_line_for_each_row() {
        let table = table(&[]);
        assert_eq!(table.lines().count(), 2 + rows().count());
        assert!(table.lines().all(|line| line.matches('|').count() == 7), "{table}");
        assert!(table.contains("not measured yet"));
    }
}
