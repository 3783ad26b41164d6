//! Who watches whom, as text and as a Graphviz graph.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::header::header;
use super::page::Page;
use super::peer;
use super::status;
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use super::text::{Names, clean};
use crate::api::schema::{CutDirection, Edge, EdgeStatus, Evidence, One, State, Topology};
use crate::time::{millis, span, span_of_seconds};

/// What is said of an edge that is heard and hardly works.
pub(super) const POOR: &str = "many answers missing or late";

/// The graph: a line for each observer, or for each edge in a wide view.
#[must_use]
pub fn topology(screen: &Screen, document: &One<Topology>) -> Page {
    let topology = &document.body.item;
    let names = peer::names(screen, &topology.peers);
    let mut page = Page::new("topology");
    page.line(header(screen, &document.stamp));
    page.gap();
    if let Some(cut) = &topology.partition {
        page.line(status::partition(screen, cut, &names));
        page.gap();
    }
    if screen.wide {
        page.table(edge_table(screen, &topology.edges, &names));
    } else {
        page.table(observers(screen, topology, &names));
        page.gap();
        page.line("wide shows each edge with its figures: plexmesh topology -o wide");
    }
    page
}

/// A line for each edge.
pub(super) fn edge_table(screen: &Screen, edges: &[Edge], names: &Names) -> Table {
    let mut table = Table::new([
        "OBSERVER",
        "SUBJECT",
        "STATUS",
        "SINCE",
        "RTT MS",
        "P99 MS",
        "JITTER MS",
        "LOSS",
        "FLAPS",
        "DUTY",
        "NOTE",
    ])
    .called("LOSS", "loss_percent");
    for edge in edges {
        let figures = edge.figures;
        let ms = |micros: Option<u32>| {
            micros.map_or_else(Cell::unknown, |it| Cell::new(millis(it))).right()
        };
        table.row([
            names.cell(&edge.observer),
            names.cell(&edge.subject),
            status_cell(edge.status),
            Cell::new(format!("{} ago", span(screen.now.since(edge.since)))).exact(edge.since),
            ms(figures.map(|it| it.rtt_p50_micros)),
            ms(figures.and_then(|it| it.rtt_p99_micros)),
            ms(figures.map(|it| it.jitter_micros)),
            figures
                .map_or_else(Cell::unknown, |it| {
                    Cell::new(format!("{:.1} %", it.loss_percent)).exact(it.loss_percent)
                })
                .right(),
            Cell::new(edge.flaps.to_string()).right(),
            (if edge.assigned { "yes" } else { "no" }).into(),
            note(edge).into(),
        ]);
    }
    table
}

pub(super) fn status_cell(status: EdgeStatus) -> Cell {
    Cell::painted(status_paint(status), status.word())
}

/// What a status rests on, in words.
pub(super) fn evidence(evidence: &Evidence) -> String {
    format!(
        "{} probes unanswered, silent for {}, likelihood 2^-{:.0}, {} of {} reached it indirectly",
        evidence.missed_probes,
        span_of_seconds(evidence.silence_seconds),
        evidence.surprise_bits,
        evidence.indirect_heard,
        evidence.indirect_asked,
    )
}

/// The graph in the language of Graphviz.
#[must_use]
pub fn dot(document: &One<Topology>) -> String {
    // A graph is a file for a program: no colour codes, any character.
    let screen = Screen {
        color: false,
        unicode: true,
        width: None,
        wide: false,
        full_ids: false,
        now: document.stamp.observed_at,
    };
    let topology = &document.body.item;
    let names = peer::names(&screen, &topology.peers);
    let mut out = format!(
        "// {}\ndigraph plexmesh {{\n  node [shape=box, style=\"rounded,filled\"];\n",
        header(&screen, &document.stamp).text(&screen)
    );
    for peer in &topology.peers {
        let label = format!("{}\\n{}", quoted(&names.label(&peer.id)), peer.state.word());
        let zone = peer.zone.as_deref().map_or_else(String::new, |zone| {
            format!(", tooltip=\"{}\"", quoted(&clean(&screen, zone)))
        });
        let _ = writeln!(
            out,
            "  \"{}\" [label=\"{label}\", fillcolor=\"{}\"{zone}];",
            quoted(&peer.id),
            fill(peer.state)
        );
    }
    for edge in &topology.edges {
        let (color, style) = match edge.status {
            EdgeStatus::Heard => ("gray40", "solid"),
            EdgeStatus::Checking => ("orange", "dashed"),
            EdgeStatus::Lost => ("red", "bold"),
            EdgeStatus::NoPath => ("red", "dotted"),
        };
        let label = edge
            .figures
            .map_or_else(String::new, |it| format!(", label=\"{} ms\"", millis(it.rtt_p50_micros)));
        let _ = writeln!(
            out,
            "  \"{}\" -> \"{}\" [color=\"{color}\", style=\"{style}\"{label}];",
            quoted(&edge.observer),
            quoted(&edge.subject)
        );
    }
    out.push_str("}\n");
    out
}

fn observers(screen: &Screen, topology: &Topology, names: &Names) -> Table {
    let mut watched: BTreeMap<&str, Vec<&Edge>> = BTreeMap::new();
    let mut watchers: BTreeMap<&str, usize> = BTreeMap::new();
    for edge in &topology.edges {
        watched.entry(&edge.observer).or_default().push(edge);
        *watchers.entry(&edge.subject).or_default() +=
            usize::from(edge.status == EdgeStatus::Heard && edge.assigned);
    }
    let mut table = Table::new(["STATE", "PEER", "HEARD BY", "WATCHES"]);
    let mut peers: Vec<_> =
        topology.peers.iter().map(|peer| (names.label(&peer.id), peer)).collect();
    peers.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (label, peer) in peers {
        let edges = watched.get(peer.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        let heard_by = watchers.get(peer.id.as_str()).copied().unwrap_or(0);
        let subjects: Vec<String> = edges.iter().map(|edge| subject(edge, names)).collect();
        let failed = edges.iter().any(|edge| edge.status != EdgeStatus::Heard);
        let text = subjects.join(", ");
        let watches = if failed { Cell::painted(Paint::Warn, text) } else { text.into() };
        let heard_by = Cell::new(heard_by.to_string()).right();
        table.row([peer::state_cell(screen, peer), label.into(), heard_by, watches]);
    }
    table
}

fn subject(edge: &Edge, names: &Names) -> String {
    let name = names.label(&edge.subject);
    if edge.status == EdgeStatus::Heard { name } else { format!("{name} ({})", edge.status.word()) }
}

fn note(edge: &Edge) -> String {
    let one_way = edge.one_way.map(|cut| match cut {
        CutDirection::OutboundCut => "only the way there is cut".to_owned(),
        CutDirection::InboundCut => "only the way back is cut".to_owned(),
    });
    let poor = edge.poor.then(|| POOR.to_owned());
    let evidence = edge.evidence.as_ref().map(evidence);
    one_way.into_iter().chain(poor).chain(evidence).collect::<Vec<_>>().join("; ")
}

const fn status_paint(status: EdgeStatus) -> Paint {
    match status {
        EdgeStatus::Heard => Paint::Good,
        EdgeStatus::Checking => Paint::Warn,
        EdgeStatus::Lost => Paint::Bad,
        EdgeStatus::NoPath => Paint::Unknown,
    }
}

const fn fill(state: State) -> &'static str {
    match state {
        State::Up => "palegreen",
        State::Suspect | State::Flapping => "khaki",
        State::Asleep => "lightblue",
        State::Unreachable => "plum",
        State::Down => "lightcoral",
        State::Left => "gray90",
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample::{screen, topology as sample};

    #[test]
    fn observers_are_listed_with_whom_they_watch() {
        let text = topology(&screen(), &sample()).text(&screen());
        let expected = "\nSTATE   PEER   HEARD BY  WATCHES\n\
                        ● up    alpha         1  beta, gamma (lost)\n\
                        ● up    beta          1  alpha\n\
                        ✖ down  gamma         0\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_wide_view_has_a_line_for_each_edge_with_its_evidence() {
        let wide = Screen { wide: true, ..screen() };
        let text = topology(&wide, &sample()).text(&wide);
        let note = "9 probes unanswered, silent for 4.1 s, likelihood 2^-31, \
                    0 of 3 reached it indirectly";
        assert!(text.contains(note), "{text}");
    }

    #[test]
    fn a_graph_escapes_what_a_peer_calls_itself() {
        let mut document = sample();
        document.body.item.peers[1].name = Some("x\"];evil\\".to_owned());
        let text = dot(&document);
        assert!(text.contains(r#"[label="x\"];evil\\\\nup""#) || text.contains(r#"x\"];evil\\"#));
        assert!(text.starts_with("// seen by alpha") && text.ends_with("}\n"));
        assert!(text.contains(r#""12D3KooWAlphaAAAA" -> "12D3KooWGammaGGGG" [color="red""#));
    }
}
