//! Why a peer has its state.

use std::fmt::Write;

use super::header::header;
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use super::text::Names;
use super::topology::status_cell;
use crate::api::schema::{Observer, One, Why};
use crate::time::{span, span_of_seconds};

/// The judgement of one peer with all that it rests on.
#[must_use]
pub fn why(screen: &Screen, document: &One<Why>) -> String {
    let why = &document.body.item;
    let names = Names::of(screen, why.observers.iter().map(|it| &it.peer).chain([&why.peer]));
    let state = format!("{} {}", screen.glyph(why.state), why.state.word());
    let reachable = if why.reachable { "reachable" } else { "not reachable" };
    let mut out = header(screen, &document.stamp);
    let _ = writeln!(
        out,
        "\n{} ({}) is {}: {}",
        names.label(&why.peer.id),
        names.id(&why.peer.id),
        screen.paint(Paint::of_state(why.state), &state),
        why.reason.sentence(),
    );
    let last_word = span(screen.now.since(why.last_word_at));
    let _ = writeln!(out, "{reachable} from here; last word {last_word} ago");
    if why.passed_over > 0 {
        let _ = writeln!(
            out,
            "{} nearer observers are out of reach: their word does not count now",
            why.passed_over
        );
    }
    if why.observers.is_empty() {
        out.push_str("\nno observer has a duty towards it here\n");
        return out;
    }
    let _ = writeln!(
        out,
        "{} of {} observers able to see it lost it; {} losses and more than half make it down",
        why.quorum.lost, why.quorum.able, why.quorum.needed,
    );
    let _ = write!(out, "\n{}", table(screen, why, &names).draw(screen));
    out
}

fn table(screen: &Screen, why: &Why, names: &Names) -> Table {
    let mut table = Table::new([
        "RING",
        "OBSERVER",
        "STATUS",
        "SINCE",
        "MISSED",
        "SILENCE",
        "LIKELIHOOD",
        "INDIRECT",
        "FLAPS",
        "NOTE",
    ]);
    for it in &why.observers {
        let evidence = it.evidence;
        let unknown = || Cell::unknown().right();
        table.row([
            Cell::new(it.ring.to_string()).right(),
            names.label(&it.peer.id).into(),
            it.status.map_or_else(|| Cell::painted(Paint::Dim, "no report"), status_cell),
            it.since.map_or_else(Cell::unknown, |since| {
                format!("{} ago", span(screen.now.since(since))).into()
            }),
            evidence.map_or_else(unknown, |it| Cell::new(it.missed_probes.to_string()).right()),
            evidence
                .map_or_else(unknown, |it| Cell::new(span_of_seconds(it.silence_seconds)).right()),
            evidence.map_or_else(unknown, |it| {
                Cell::new(format!("2^-{:.0}", it.surprise_bits)).right()
            }),
            evidence.map_or_else(unknown, |it| {
                Cell::new(format!("{}/{} heard", it.indirect_heard, it.indirect_asked)).right()
            }),
            Cell::new(it.flaps.to_string()).right(),
            note(it).into(),
        ]);
    }
    table
}

fn note(observer: &Observer) -> String {
    let mut notes = Vec::new();
    if observer.passed_over > 0 {
        notes.push(format!("stands in for {}", observer.passed_over));
    }
    if observer.set_aside {
        notes.push("does not count: hears few itself".to_owned());
    }
    if let Some(evidence) = observer.evidence {
        if evidence.outbound_only {
            notes.push("only the way there is cut".to_owned());
        }
        if evidence.observer_local_health > 0 {
            notes.push(format!("doubts itself: {}", evidence.observer_local_health));
        }
    }
    notes.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample::{screen, why as sample};

    #[test]
    fn a_judgement_shows_each_observers_evidence() {
        assert_eq!(
            why(&screen(), &sample()),
            "seen by alpha (12D3KooWAlphaA), just now, 2/2 neighbours agree, \
             heartbeats: none missing, oldest 12 s\n\n\
             gamma (12D3KooWGammaG) is ✖ down: at least 3 of its observers, \
             and more than half of those able to see it, lost it\n\
             not reachable from here; last word 1 min ago\n\
             1 of 1 observers able to see it lost it; 3 losses and more than half make it down\n\n\
             RING  OBSERVER  STATUS     SINCE     MISSED  SILENCE  LIKELIHOOD   \
             INDIRECT  FLAPS  NOTE\n   \
             0  alpha     lost       30 s ago       9    4.1 s       2^-31  \
             0/3 heard      1  stands in for 2\n   \
             1  beta      no report  -              -        -           -          -      0\n"
        );
    }
}
