//! The keys whose certificates make members, for people.

use super::header::header;
use super::page::Page;
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use crate::api::schema::{AuthorityList, One};

/// The authority keys, and those that were replaced.
#[must_use]
pub fn authorities(screen: &Screen, document: &One<AuthorityList>) -> Page {
    let list = &document.body.item;
    let mut page = Page::new("authority");
    page.line(header(screen, &document.stamp));
    page.gap();
    let mut table = Table::new(["KEY", "STATE", "COUNTS UNTIL"]);
    for key in &list.in_force {
        table.row([key.as_str().into(), Cell::painted(Paint::Good, "in force"), "".into()]);
    }
    for item in &list.replaced {
        let state = if item.stolen { "stolen" } else { "lost" };
        let paint = if item.ended { Paint::Dim } else { Paint::Warn };
        table.row([
            item.key.as_str().into(),
            Cell::painted(paint, state),
            item.ends_at.to_string().into(),
        ]);
    }
    page.table(table);
    page.gap();
    page.line("keep the files with the keys in force offline, in two places");
    page
}
