//! A page as Markdown with pipe tables, to be pasted into a ticket or a chat.

use super::page::{Block, Line, Notice, Page, Span};
use super::table::{Cell, Table};
use super::terminal::Paint;

/// Letters that may mean something in Markdown. What a peer chose to be called is to mean nothing.
const MEANING: &str = "\\`*_{}[]<>#|~&!$";
/// Letters that mean something where a line begins.
const MEANING_IN_FRONT: &str = "+-=";

/// The page, with a line end at its end.
#[must_use]
pub fn markdown(page: &Page) -> String {
    let mut parts = vec![format!("# {}", escaped(&page.title))];
    let mut paragraph: Vec<String> = Vec::new();
    for block in &page.blocks {
        if let Block::Line(it) = block {
            paragraph.push(line(it));
            continue;
        }
        flush(&mut paragraph, &mut parts);
        match block {
            Block::Heading(it) => parts.push(format!("## {}", line(it))),
            Block::Table(it) | Block::Drawn { table: it, .. } => parts.push(table(&it.shown())),
            Block::Notice(it) => parts.push(notice(it)),
            Block::Script(text) => parts.push(fenced(text)),
            Block::Gap | Block::Line(_) => {}
        }
    }
    flush(&mut paragraph, &mut parts);
    parts.join("\n\n") + "\n"
}

/// Lines that belong together: a paragraph with its line ends kept.
fn flush(paragraph: &mut Vec<String>, parts: &mut Vec<String>) {
    if !paragraph.is_empty() {
        parts.push(paragraph.join("\\\n"));
        paragraph.clear();
    }
}

fn line(line: &Line) -> String {
    let text: String = line.spans.iter().map(span).collect();
    front(text.trim())
}

fn span(span: &Span) -> String {
    if span.code {
        return code(&span.text);
    }
    // Some reasons have several lines.
    let lines = span.text.split('\n').enumerate();
    let lines = lines.map(|(place, it)| escaped(if place == 0 { it } else { it.trim_start() }));
    let text = lines.collect::<Vec<_>>().join("\\\n");
    match span.paint {
        Some(Paint::Bad | Paint::Bold) if !text.trim().is_empty() => format!("**{text}**"),
        _ => text,
    }
}

fn notice(notice: &Notice) -> String {
    let mut out = format!("### {}", line(&notice.head));
    if !notice.text.is_empty() {
        let text: Vec<String> = notice.text.iter().map(|it| front(&escaped(it))).collect();
        out.push_str(&format!("\n\n{}", text.join("\\\n")));
    }
    if !notice.commands.is_empty() {
        out.push_str(&format!("\n\nDo now:\n\n{}", fenced(&notice.commands.join("\n"))));
    }
    if let Some(see) = &notice.see {
        out.push_str(&format!("\n\nSee {}", code(see)));
    }
    out
}

fn table(table: &Table) -> String {
    let figures = table.figures();
    let row = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let rule = figures.iter().map(|right| if *right { "---:" } else { "---" }.to_owned());
    let head = table.head.iter().map(|column| escaped(&column.title));
    let mut lines = vec![row(head.collect()), row(rule.collect())];
    let cell = |cell: &Cell| escaped(cell.text.trim());
    lines.extend(table.rows.iter().map(|cells| row(cells.iter().map(cell).collect())));
    lines.join("\n")
}

/// Text that means nothing but itself. A line end would end a table's row.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        if letter == '\n' || letter == '\r' {
            out.push(' ');
            continue;
        }
        if MEANING.contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// A line that begins no list: its first letter means nothing.
fn front(line: &str) -> String {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let numbered = digits > 0 && line.get(digits..).is_some_and(|it| it.starts_with(['.', ')']));
    if numbered {
        let (number, rest) = line.split_at_checked(digits).unwrap_or((line, ""));
        return format!("{number}\\{rest}");
    }
    if line.starts_with(|letter| MEANING_IN_FRONT.contains(letter)) {
        return format!("\\{line}");
    }
    line.to_owned()
}

/// Text as code inside of a line: fenced by more backticks than it has in a row.
fn code(text: &str) -> String {
    let fence = "`".repeat(longest_ticks(text) + 1);
    let text = text.replace(['\n', '\r'], " ");
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Lines as code.
fn fenced(text: &str) -> String {
    let fence = "`".repeat(longest_ticks(text).max(2) + 1);
    format!("{fence}text\n{}\n{fence}", text.trim_end_matches('\n'))
}

fn longest_ticks(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_is_called_means_nothing() {
        let mut page = Page::new("peers");
        let mut table = Table::new(["NAME", "RTT"]);
        table.row(["a|b<script>[x](y)".into(), Cell::new("7").right()]);
        page.line("- one");
        page.line("2. two");
        page.table(table);
        let expected = "# peers\n\n\\- one\\\n2\\. two\n\n| NAME | RTT |\n| --- | ---: |\n\
                        | a\\|b\\<script\\>\\[x\\](y) | 7 |\n";
        assert_eq!(markdown(&page), expected);
    }

    #[test]
    fn commands_are_code_whatever_is_in_them() {
        let notice = Notice {
            head: "h".into(),
            commands: vec!["echo ```".to_owned()],
            see: Some("a`b".to_owned()),
            ..Notice::default()
        };
        let mut page = Page::new("t");
        page.notice(notice);
        let shown = markdown(&page);
        assert!(shown.contains("````text\necho ```\n````") && shown.contains("``a`b``"), "{shown}");
    }
}
