//! A page as one HTML file that needs nothing else: no script, no font, no other file.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::page::{Block, Line, Notice, Page};
use super::table::Table;
use super::terminal::Paint;

/// Looks: the colours of the terminal, dark where the reader's system is dark, one column on a
/// phone, with wide tables that scroll by themselves.
const STYLE: &str = include_str!("html.css");
/// A browser is to load nothing and to run nothing, whatever a peer called itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The whole file.
#[must_use]
pub fn html_page(page: &Page) -> String {
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "plexmesh: " (page.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "plexmesh: " (page.title) }
                    @for part in parts(page) { (part) }
                }
            }
        }
    };
    // One tag a line where a part begins: a file that can be looked at and compared.
    whole.into_string() + "\n"
}

fn parts(page: &Page) -> Vec<Markup> {
    let mut parts = Vec::new();
    let mut paragraph: Vec<&Line> = Vec::new();
    for block in &page.blocks {
        if let Block::Line(it) = block {
            paragraph.push(it);
            continue;
        }
        flush(&mut paragraph, &mut parts);
        match block {
            Block::Heading(it) => parts.push(html! { (newline()) h2 { (line(it)) } }),
            Block::Table(it) | Block::Drawn { table: it, .. } => parts.push(table(&it.shown())),
            Block::Notice(it) => parts.push(notice(it)),
            Block::Script(text) => parts.push(html! { (newline()) pre { code { (text) } } }),
            Block::Gap | Block::Line(_) => {}
        }
    }
    flush(&mut paragraph, &mut parts);
    parts
}

fn flush(paragraph: &mut Vec<&Line>, parts: &mut Vec<Markup>) {
    if !paragraph.is_empty() {
        parts.push(html! {
            (newline())
            p {
                @for (place, it) in paragraph.iter().enumerate() {
                    @if place > 0 { br; }
                    (line(it))
                }
            }
        });
        paragraph.clear();
    }
}

fn line(line: &Line) -> Markup {
    html! {
        @for span in &line.spans {
            @if span.code { code { (span.text) } }
            @else if let Some(paint) = span.paint { span class=(class(paint)) { (span.text) } }
            @else { (span.text) }
        }
    }
}

fn notice(notice: &Notice) -> Markup {
    html! {
        (newline())
        section {
            h3 { (line(&notice.head)) }
            @for text in &notice.text { p { (text) } }
            @if !notice.commands.is_empty() {
                p { "Do now:" }
                pre { code { (notice.commands.join("\n")) } }
            }
            @if let Some(see) = &notice.see { p { "See " code { (see) } } }
        }
    }
}

fn table(table: &Table) -> Markup {
    let figures = table.figures();
    let headless = table.is_headless();
    html! {
        (newline())
        // A table that is wider than the screen scrolls, by keyboard as well.
        div.scroll tabindex="0" {
            table {
                @if !headless {
                    thead { tr { @for (column, right) in table.head.iter().zip(&figures) {
                        th scope="col" class=[right.then_some("right")] { (column.title) }
                    } } }
                }
                tbody { @for row in &table.rows {
                    (newline())
                    tr { @for (place, (cell, right)) in row.iter().zip(&figures).enumerate() {
                        @if headless && place == 0 {
                            th scope="row" { (cell.text) }
                        } @else {
                            td class=[right.then_some("right")] {
                                @if let Some(paint) = cell.paint {
                                    span class=(class(paint)) { (cell.text) }
                                } @else { (cell.text) }
                            }
                        }
                    } }
                } }
            }
        }
    }
}

fn class(paint: Paint) -> String {
    match paint {
        Paint::Good => "good".to_owned(),
        Paint::Warn => "warn".to_owned(),
        Paint::Bad => "bad".to_owned(),
        Paint::Unknown => "unknown".to_owned(),
        Paint::Dim => "dim".to_owned(),
        Paint::Bold => "bold".to_owned(),
        Paint::Heat(step) => format!("heat h{}", step.min(9)),
    }
}

/// Begins a line in the file.
const fn newline() -> PreEscaped<&'static str> {
    PreEscaped("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_peer_chose_becomes_markup() {
        let evil = "<script>alert(1)</script>\"'&";
        let mut page = Page::new(evil);
        page.line(evil);
        page.heading(Line::new().painted(Paint::Bad, evil).code(evil));
        page.script(evil);
        let mut table = Table::new([evil]);
        table.row([evil.into()]);
        page.table(table);
        page.notice(Notice {
            head: evil.into(),
            text: vec![evil.to_owned()],
            commands: vec![evil.to_owned()],
            see: Some(evil.to_owned()),
        });
        let shown = html_page(&page);
        assert!(!shown.contains("<script") && !shown.contains("alert(1)</script"), "{shown}");
    }

    #[test]
    fn a_page_loads_nothing() {
        let shown = html_page(&Page::new("empty"));
        for word in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!shown.contains(word), "{word}");
        }
        assert!(shown.starts_with("<!DOCTYPE html>") && shown.contains("prefers-color-scheme"));
    }
}
