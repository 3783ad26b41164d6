//! What happened.

use super::header::header;
use super::page::{Line, Page};
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use super::text::clean;
use crate::api::schema::{EdgeStatus, Envelope, Event, EventDetail, EventItems};

/// A list of events, the oldest first.
#[must_use]
pub fn events(screen: &Screen, document: &Envelope<EventItems>) -> Page {
    let body = &document.body;
    let mut page = Page::new("events");
    page.line(header(screen, &document.stamp));
    page.gap();
    if body.forgotten > 0 {
        page.line(format!("{} older events are forgotten", body.forgotten));
    }
    if body.items.is_empty() {
        page.line("nothing happened");
    }
    let mut table = Table::new(["TIME", "NUMBER", "WHAT"]);
    for it in &body.items {
        let text = clean(screen, &it.text);
        table.row([
            it.at.to_string().into(),
            Cell::new(it.sequence.to_string()).right(),
            paint(&it.detail).map_or_else(|| Cell::new(&text), |paint| Cell::painted(paint, &text)),
        ]);
    }
    page.drawn(body.items.iter().map(|it| event(screen, it)).collect(), table);
    page
}

/// One event as a line.
#[must_use]
pub fn event(screen: &Screen, event: &Event) -> Line {
    let text = clean(screen, &event.text);
    let line = Line::from(format!("{}  {:>5}  ", event.at, format!("#{}", event.sequence)));
    match paint(&event.detail) {
        Some(paint) => line.painted(paint, text),
        None => line.plain(text),
    }
}

fn paint(detail: &EventDetail) -> Option<Paint> {
    match detail {
        EventDetail::PeerStateChanged { to, .. } => Some(Paint::of_state(*to)),
        EventDetail::EdgeChanged { status, .. } => match status {
            EdgeStatus::Heard => None,
            EdgeStatus::Checking => Some(Paint::Warn),
            EdgeStatus::Lost | EdgeStatus::NoPath => Some(Paint::Bad),
        },
        EventDetail::PeerJoined { .. } => Some(Paint::Good),
        EventDetail::Equivocation { .. }
        | EventDetail::TokenOverused { .. }
        | EventDetail::IdentityCloned => Some(Paint::Bad),
        EventDetail::PartitionChanged { outside, .. } => {
            Some(if *outside == 0 { Paint::Good } else { Paint::Bad })
        }
        EventDetail::ShardsChanged { count, .. } => {
            Some(if *count == 0 { Paint::Good } else { Paint::Bad })
        }
        EventDetail::ClockSkew { .. }
        | EventDetail::LocalHealthChanged { .. }
        | EventDetail::AuthorityReplaced { .. }
        | EventDetail::MembershipEnded { .. }
        | EventDetail::Missed { .. } => Some(Paint::Warn),
        EventDetail::ConvergenceChanged { .. } | EventDetail::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample::{event as sample, screen};

    #[test]
    fn an_event_is_a_line_with_time_number_and_words() {
        assert_eq!(
            event(&screen(), &sample()).text(&screen()),
            "2023-11-14T22:13:20.000Z     #7  gamma went from up to down"
        );
    }
}
