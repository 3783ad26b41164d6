//! Why a peer has its state.

use super::header::header;
use super::page::{Line, Page};
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use super::text::Names;
use super::topology::{POOR, status_cell};
use crate::api::schema::{Observer, One, Why};
use crate::time::{span, span_of_seconds};

/// The judgement of one peer with all that it rests on.
#[must_use]
pub fn why(screen: &Screen, document: &One<Why>) -> Page {
    let why = &document.body.item;
    let names = Names::of(screen, why.observers.iter().map(|it| &it.peer).chain([&why.peer]));
    let state = format!("{} {}", screen.glyph(why.state), why.state.word());
    let reachable = if why.reachable { "reachable" } else { "not reachable" };
    let mut page = Page::new("why");
    page.line(header(screen, &document.stamp));
    page.gap();
    let label = names.label(&why.peer.id);
    let sentence = why.reason.sentence();
    page.line(
        Line::from(format!("{label} ({}) is ", names.id(&why.peer.id)))
            .painted(Paint::of_state(why.state), state)
            .plain(format!(": {sentence}")),
    );
    let last_word = span(screen.now.since(why.last_word_at));
    page.line(format!("{reachable} from here; last word {last_word} ago"));
    if why.passed_over > 0 {
        page.line(format!(
            "{} nearer observers are out of reach: their word does not count now",
            why.passed_over
        ));
    }
    let table = table(screen, why, &names);
    if why.observers.is_empty() {
        page.gap();
        page.line("no observer has a duty towards it here");
        page.data(table);
        return page;
    }
    page.line(format!(
        "{} of {} observers able to see it lost it; {} losses and more than half make it down",
        why.quorum.lost, why.quorum.able, why.quorum.needed,
    ));
    page.gap();
    page.table(table);
    page
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
    ])
    .called("SINCE", "since")
    .called("SILENCE", "silence_seconds")
    .called("LIKELIHOOD", "surprise_bits")
    .called("MISSED", "missed_probes");
    for it in &why.observers {
        let evidence = it.evidence;
        let unknown = || Cell::unknown().right();
        table.row([
            Cell::new(it.ring.to_string()).right(),
            names.cell(&it.peer.id),
            it.status.map_or_else(|| Cell::painted(Paint::Dim, "no report"), status_cell),
            it.since.map_or_else(Cell::unknown, |since| {
                Cell::new(format!("{} ago", span(screen.now.since(since)))).exact(since)
            }),
            evidence.map_or_else(unknown, |it| Cell::new(it.missed_probes.to_string()).right()),
            evidence.map_or_else(unknown, |it| {
                let silence = Cell::new(span_of_seconds(it.silence_seconds));
                silence.exact(it.silence_seconds).right()
            }),
            evidence.map_or_else(unknown, |it| {
                let likelihood = Cell::new(format!("2^-{:.0}", it.surprise_bits));
                likelihood.exact(it.surprise_bits).right()
            }),
            evidence.map_or_else(unknown, |it| {
                let heard = format!("{}/{}", it.indirect_heard, it.indirect_asked);
                Cell::new(format!("{heard} heard")).exact(heard).right()
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
    if observer.poor {
        notes.push(POOR.to_owned());
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
            why(&screen(), &sample()).text(&screen()),
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
