//! The databases of an agent.

use indicatif::HumanBytes;

use super::page::{Line, Page};
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use super::text::clean;
use crate::api::schema::{Database, Many};

/// All databases, and what to do for those that are damaged.
#[must_use]
pub fn databases(screen: &Screen, document: &Many<Database>) -> Page {
    let mut page = Page::new("store");
    let mut table =
        Table::new(["DATABASE", "IS", "ENTRIES", "DAMAGED", "HOLDS", "FILE", "WAS", "PATH"]);
    let items = &document.body.items;
    for it in items {
        let is = match (it.sound, it.file_bytes) {
            (true, None) => Cell::new("not there"),
            (true, Some(_)) => Cell::new("sound"),
            (false, _) => Cell::painted(Paint::Bad, "damaged"),
        };
        table.row([
            it.name.word().into(),
            is,
            number(it.entries),
            number(it.damaged_entries),
            bytes(it.live_bytes),
            bytes(it.file_bytes),
            bytes(it.file_bytes_before),
            clean(screen, &it.path).into(),
        ]);
    }
    page.table(table);
    let notes: Vec<Line> = items.iter().flat_map(|it| notes(screen, it)).collect();
    if !notes.is_empty() {
        page.gap();
        notes.into_iter().for_each(|note| page.line(note));
    }
    page
}

fn notes(screen: &Screen, it: &Database) -> Vec<Line> {
    let (name, mut notes) = (it.name.word(), Vec::new());
    if let Some(fault) = &it.fault {
        notes.push(Line::from(format!("{name} does not open: {}", clean(screen, fault))));
    } else if let Some(damaged) = it.damaged_entries.filter(|_| !it.sound) {
        let more =
            if it.listed_whole == Some(false) { ", and others cannot be listed" } else { "" };
        notes.push(Line::from(format!("{name}: damaged entries: {damaged}{more}")));
    }
    if !it.sound {
        notes.push(Line::from("do now: ").code("plexmesh store rebuild"));
    }
    if let Some(aside) = &it.set_aside {
        notes.push(Line::from(format!(
            "{name} was made anew; {} brings back what is lost. The old one is kept as {}; delete it \
             when nobody wants to look at it",
            it.refilled_by,
            clean(screen, aside),
        )));
    }
    notes
}

fn number(number: Option<u64>) -> Cell {
    number.map_or_else(Cell::unknown, |number| Cell::new(number.to_string()).right())
}

fn bytes(bytes: Option<u64>) -> Cell {
    bytes.map_or_else(Cell::unknown, |bytes| Cell::new(HumanBytes(bytes).to_string()).right())
}
