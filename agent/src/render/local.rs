//! What the command line did itself.

use super::page::{Line, Page};
use super::table::Table;
use super::terminal::Screen;
use crate::api::schema::{Leave, MadeMesh, One, Script, Waited, Written};
use crate::time::span_of_seconds;

/// A mesh that was made.
#[must_use]
pub fn made(_: &Screen, document: &One<MadeMesh>) -> Page {
    let made = &document.body.item;
    let lapses = made.certificate_lapses_at.to_string();
    let mut lines: Vec<Line> = vec![
        format!("  mesh         {}", made.mesh).into(),
        format!("  peer         {}", made.peer).into(),
        format!("  data         {}", made.data_dir).into(),
        format!("  certificate  until {lapses}").into(),
    ];
    for (place, file) in made.authority_files.iter().enumerate() {
        let lead = if place == 0 { "  authority    " } else { "               " };
        lines.push(format!("{lead}{file}").into());
    }
    let mut table = Table::facts();
    table.row(["mesh".into(), made.mesh.as_str().into()]);
    table.row(["peer".into(), made.peer.as_str().into()]);
    table.row(["data".into(), made.data_dir.as_str().into()]);
    table.row(["certificate until".into(), lapses.into()]);
    for file in &made.authority_files {
        table.row(["authority".into(), file.as_str().into()]);
    }
    let mut page = Page::new("init");
    page.line("a mesh of one was made");
    page.drawn(lines, table);
    page.gap();
    page.line("whoever has an authority file can let others in: move both to a safe place offline");
    page.line(Line::from("next: ").code(format!("plexmesh run --data-dir {}", made.data_dir)));
    page
}

/// What was waited for.
#[must_use]
pub fn waited(_: &Screen, document: &One<Waited>) -> Page {
    let waited = &document.body.item;
    let mut page = Page::new("wait");
    page.line(format!("{} after {}", waited.condition, span_of_seconds(waited.waited_seconds)));
    let mut table = Table::facts();
    table.row(["condition".into(), waited.condition.as_str().into()]);
    table.row(["waited seconds".into(), waited.waited_seconds.to_string().into()]);
    page.data(table);
    page
}

/// A peer that left.
#[must_use]
pub fn left(screen: &Screen, document: &One<Leave>) -> Page {
    let mut page = Page::new("leave");
    page.line("this peer has left; its agent stops");
    let mut table = Table::facts();
    let reason = super::text::clean(screen, &document.body.item.reason);
    table.row(["reason".into(), reason.into()]);
    page.data(table);
    page
}

/// A text for another program: on a terminal as it is.
#[must_use]
pub fn script(_: &Screen, document: &One<Script>) -> Page {
    let script = &document.body.item;
    let mut page = Page::new(script.program.clone());
    page.script(script.text.clone());
    let mut table = Table::facts();
    table.row(["program".into(), script.program.as_str().into()]);
    table.row(["text".into(), script.text.as_str().into()]);
    page.data(table);
    page
}

/// Files that were written, a line each.
#[must_use]
pub fn written(_: &Screen, document: &One<Written>) -> Page {
    let files = &document.body.item.files;
    let mut table = Table::new(["FILE"]);
    for file in files {
        table.row([file.as_str().into()]);
    }
    let mut page = Page::new("files");
    page.drawn(files.iter().map(|file| Line::from(file.as_str())).collect(), table);
    page
}
