//! Whose view it is, how old, how converged.

use super::page::Line;
use super::terminal::{Paint, Screen};
use super::text::Names;
use crate::api::schema::{Convergence, Stamp};
use crate::time::{span, span_of_seconds};

/// The line under which every view stands.
#[must_use]
pub fn header(screen: &Screen, stamp: &Stamp) -> Line {
    Line::from(format!("seen by {}, {}, ", observer(screen, stamp), age(screen, stamp)))
        .then(agreement(stamp))
        .plain(", ")
        .then(heartbeats(stamp))
}

fn observer(screen: &Screen, stamp: &Stamp) -> String {
    let Some(id) = &stamp.observed_by else { return "nobody".to_owned() };
    let names = Names::new(screen, [(id.as_str(), stamp.observed_by_name.as_deref())]);
    match &stamp.observed_by_name {
        Some(_) => format!("{} ({})", names.label(id), names.id(id)),
        None => names.id(id),
    }
}

fn age(screen: &Screen, stamp: &Stamp) -> String {
    let age = screen.now.since(stamp.observed_at);
    if age.as_secs() == 0 { "just now".to_owned() } else { format!("{} old", span(age)) }
}

fn agreement(stamp: &Stamp) -> Line {
    let converged = stamp.converged.unwrap_or(false);
    let text = match stamp.convergence {
        None => "convergence unknown".to_owned(),
        Some(Convergence { neighbours_asked: 0, .. }) if converged => "no neighbours".to_owned(),
        Some(Convergence { neighbours_asked: 0, .. }) => "no neighbour answered yet".to_owned(),
        Some(it) => format!("{}/{} neighbours agree", it.neighbours_equal, it.neighbours_asked),
    };
    if converged { text.into() } else { Line::new().painted(Paint::Warn, text) }
}

fn heartbeats(stamp: &Stamp) -> Line {
    let Some(lag) = stamp.heartbeat_lag else { return "heartbeats unknown".into() };
    let line = match lag.missing {
        0 => Line::from("heartbeats: none missing"),
        count => Line::from("heartbeats: ").painted(Paint::Warn, format!("{count} missing")),
    };
    match lag.oldest_seconds {
        Some(oldest) => line.plain(format!(", oldest {}", span_of_seconds(oldest))),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample::{screen, stamp};
    use crate::time::WallTime;

    #[test]
    fn a_view_says_whose_it_is_how_old_and_how_converged() {
        assert_eq!(
            header(&screen(), &stamp()).text(&screen()),
            "seen by alpha (12D3KooWAlphaA), just now, 2/2 neighbours agree, \
             heartbeats: none missing, oldest 12 s"
        );
    }

    #[test]
    fn what_is_behind_is_said() {
        let mut late = stamp();
        late.converged = Some(false);
        late.convergence = Some(Convergence { neighbours_asked: 0, neighbours_equal: 0 });
        late.observed_at = WallTime::from_ms(screen().now.ms() - 90_000);
        let line = header(&screen(), &late).text(&screen());
        assert!(line.contains("1 min 30 s old, no neighbour answered yet"), "{line}");
    }
}
