//! A peer that moved.

use super::page::{Line, Page};
use super::table::Table;
use super::terminal::Screen;
use crate::api::schema::{IdentityTransfer, One};

/// A peer that was written into a file.
#[must_use]
pub fn exported(_: &Screen, document: &One<IdentityTransfer>) -> Page {
    let done = &document.body.item;
    let mut page = Page::new("export-identity");
    page.line("the peer is in the file; whoever has file and passphrase can be this peer");
    facts(&mut page, done);
    page.gap();
    for file in &done.authority_files {
        page.line(format!("{file} is not in the file: take it offline"));
    }
    if done.marked_as_moved {
        page.line(format!(
            "no agent runs with {} any more, so that the peer is not in two places",
            done.data_dir
        ));
    } else {
        page.line("this directory can still be used: never run both, they are one identity");
    }
    page.line(
        Line::from("next, on the new host: ")
            .code(format!("plexmesh --data-dir DIR import-identity {}", done.file)),
    );
    page
}

/// A peer that was read from a file.
#[must_use]
pub fn imported(_: &Screen, document: &One<IdentityTransfer>) -> Page {
    let done = &document.body.item;
    let mut page = Page::new("import-identity");
    page.line("the peer lives here");
    facts(&mut page, done);
    page.gap();
    page.line("delete the file when the agent runs, or keep it as safe as a key");
    page.line(Line::from("next: ").code(format!("plexmesh run --data-dir {}", done.data_dir)));
    page
}

fn facts(page: &mut Page, done: &IdentityTransfer) {
    let secret = if done.secret_included { "included" } else { "was not given to this peer yet" };
    let clock = if done.clock_included { "included" } else { "not known; the neighbours tell it" };
    let rows = [
        ("peer", done.peer.as_str()),
        ("mesh", &done.mesh),
        ("file", &done.file),
        ("data", &done.data_dir),
        ("mesh secret", secret),
        ("clock", clock),
    ];
    let mut table = Table::facts();
    for (name, value) in rows {
        table.row([name.into(), value.into()]);
    }
    table.row(["marked as moved".into(), done.marked_as_moved.to_string().into()]);
    for file in &done.authority_files {
        table.row(["stays".into(), file.as_str().into()]);
    }
    let lines = rows.iter().map(|(name, value)| Line::from(format!("  {name:<13}{value}")));
    page.drawn(lines.collect(), table);
}
