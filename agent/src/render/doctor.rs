//! What is right and wrong with this host and its agent.

use super::page::{Line, Page};
use super::status::health_paint;
use super::table::{Cell, Table};
use super::terminal::Screen;
use super::text::clean;
use crate::api::schema::{Doctor, DoctorCheck, Health, One};

/// All checks, and for those that are not well what to type.
#[must_use]
pub fn doctor(screen: &Screen, document: &One<Doctor>) -> Page {
    let doctor = &document.body.item;
    let mut page = Page::new("doctor");
    page.heading(
        Line::new()
            .painted(health_paint(doctor.status), doctor.status.word())
            .plain(format!("  {}", clean(screen, &doctor.summary))),
    );
    page.gap();
    let mut lines = Vec::new();
    for check in &doctor.checks {
        lines.extend(drawn(screen, check));
    }
    page.drawn(lines, table(screen, doctor));
    page
}

fn drawn(screen: &Screen, check: &DoctorCheck) -> Vec<Line> {
    let mut lines = vec![
        Line::new()
            .painted(health_paint(check.status), format!("{:<7}", check.status.word()))
            .plain(format!("  {:<14}  ", check.area.word()))
            .plain(format!("{}: {}", clean(screen, &check.what), clean(screen, &check.found))),
    ];
    if let Some(fix) = check.fix.as_ref().filter(|_| check.status != Health::Ok) {
        lines.push(Line::from("         do now:         ").code(clean(screen, fix)));
    }
    lines
}

fn table(screen: &Screen, doctor: &Doctor) -> Table {
    let mut table = Table::new(["STATUS", "AREA", "WHAT", "FOUND", "FIX"]);
    for check in &doctor.checks {
        let fix = check.fix.as_ref();
        table.row([
            Cell::painted(health_paint(check.status), check.status.word()),
            check.area.word().into(),
            clean(screen, &check.what).into(),
            clean(screen, &check.found).into(),
            fix.map_or_else(Cell::unknown, |fix| Cell::new(clean(screen, fix))),
        ]);
    }
    table
}
