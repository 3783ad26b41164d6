//! What happened.

use std::fmt::Write;

use super::header::header;
use super::terminal::{Paint, Screen};
use super::text::clean;
use crate::api::schema::{EdgeStatus, Envelope, Event, EventDetail, EventItems};

/// A list of events, the oldest first.
#[must_use]
pub fn events(screen: &Screen, document: &Envelope<EventItems>) -> String {
    let body = &document.body;
    let mut out = header(screen, &document.stamp);
    out.push('\n');
    if body.forgotten > 0 {
        let _ = writeln!(out, "{} older events are forgotten", body.forgotten);
    }
    if body.items.is_empty() {
        out.push_str("nothing happened\n");
    }
    for it in &body.items {
        out.push_str(&event(screen, it));
    }
    out
}

/// One event as a line.
#[must_use]
pub fn event(screen: &Screen, event: &Event) -> String {
    let text = clean(screen, &event.text);
    let text = paint(&event.detail).map_or_else(|| text.clone(), |it| screen.paint(it, &text));
    format!("{}  {:>5}  {text}\n", event.at, format!("#{}", event.sequence))
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
        EventDetail::Equivocation { .. } | EventDetail::IdentityCloned => Some(Paint::Bad),
        EventDetail::PartitionChanged { outside, .. } => {
            Some(if *outside == 0 { Paint::Good } else { Paint::Bad })
        }
        EventDetail::ShardsChanged { count, .. } => {
            Some(if *count == 0 { Paint::Good } else { Paint::Bad })
        }
        EventDetail::ClockSkew { .. }
        | EventDetail::LocalHealthChanged { .. }
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
            event(&screen(), &sample()),
            "2023-11-14T22:13:20.000Z     #7  gamma went from up to down\n"
        );
    }
}
