//! Round-trip times as a matrix: figures where they fit, a map of digits where they do not.

use std::collections::BTreeMap;

use super::header::header;
use super::page::{Line, Page};
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use super::text::{Names, columns, cut};
use crate::api::schema::{Edge, EdgeStatus, Latency, One};
use crate::time::millis;

/// Upper ends of the digits 0 to 8 in microseconds; 9 is beyond. Half-decades: a step is one that a
/// person notices.
const STEPS: [u32; 9] = [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000];
/// Widest row label.
const MAX_LABEL: usize = 16;
/// Columns of one pair that shows a figure, its gap included: `~123.4` and a space.
const FIGURE: usize = 7;
/// Columns of one pair in the map of digits: digit and mark.
const DIGIT: usize = 2;

/// What is known of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pair {
    Same,
    Measured(u32),
    Estimated(u32),
    Failed,
    Unprobed,
}

/// The matrix. CSV has a row for each pair instead: a column for each peer is no table to work with.
#[must_use]
pub fn latency(screen: &Screen, document: &One<Latency>) -> Page {
    let latency = &document.body.item;
    let names = Names::of(screen, &latency.peers);
    let labels: Vec<String> =
        latency.peers.iter().map(|peer| cut(screen, &names.label(&peer.id), MAX_LABEL)).collect();
    let stub = labels.iter().map(|label| columns(label)).max().unwrap_or(0);
    let room = screen.width.map(|width| width.saturating_sub(stub));
    let all = labels.len();
    let figures = room.is_none_or(|room| all * FIGURE <= room);
    let shown = match room {
        Some(room) if !figures => all.min((room.saturating_sub(1) / DIGIT).max(1)),
        _ => all,
    };
    let pairs = Pairs::new(latency);
    let mut page = Page::new("latency");
    page.line(header(screen, &document.stamp));
    page.gap();
    page.line("round trips in ms, row = from, column = to");
    page.gap();
    let labels = labels.get(..shown).unwrap_or_default();
    let lines = if figures {
        draw_figures(screen, labels, stub, &pairs)
    } else {
        draw_digits(screen, labels, stub, &pairs)
    };
    page.drawn(lines, matrix(labels, &pairs));
    page.gap();
    page.line("~ estimated from coordinates   x failed   . not probed");
    if !figures {
        page.line(scale());
    }
    let hidden = all - shown + latency.omitted_peers;
    if hidden > 0 {
        page.line(format!(
            "{hidden} of {} peers are left out for want of room; all: plexmesh latency -o json, \
             some: plexmesh latency PEER PEER",
            all + latency.omitted_peers
        ));
    }
    if screen.full_ids {
        page.data(list(&names, &pairs));
    }
    page
}

/// Rows that a screen has room for, as the agent is to be asked for.
#[must_use]
pub fn rows_that_fit(screen: &Screen) -> Option<usize> {
    screen.width.map(|width| (width / DIGIT).max(1))
}

struct Pairs<'a> {
    latency: &'a Latency,
    measured: BTreeMap<(&'a str, &'a str), &'a Edge>,
}

impl<'a> Pairs<'a> {
    fn new(latency: &'a Latency) -> Self {
        let key = |edge: &'a Edge| ((edge.observer.as_str(), edge.subject.as_str()), edge);
        Self { latency, measured: latency.measured.iter().map(key).collect() }
    }

    fn get(&self, from: usize, to: usize) -> Pair {
        let peers = &self.latency.peers;
        if from == to {
            return Pair::Same;
        }
        let ids = peers.get(from).zip(peers.get(to));
        let edge = ids.and_then(|(a, b)| self.measured.get(&(a.id.as_str(), b.id.as_str())));
        if edge.is_some_and(|edge| edge.status.has_failed()) {
            return Pair::Failed;
        }
        let usable =
            |edge: &&&Edge| matches!(edge.status, EdgeStatus::Heard | EdgeStatus::Checking);
        if let Some(figures) = edge.filter(usable).and_then(|edge| edge.figures) {
            return Pair::Measured(figures.rtt_p50_micros);
        }
        let row = self.latency.estimated_micros.get(from);
        row.and_then(|row| row.get(to).copied().flatten()).map_or(Pair::Unprobed, Pair::Estimated)
    }
}

/// What a pair's field shows, without its place.
fn field(pair: Pair) -> String {
    match pair {
        Pair::Same => "-".to_owned(),
        Pair::Measured(micros) => millis(micros),
        Pair::Estimated(micros) => format!("~{}", millis(micros)),
        Pair::Failed => "x".to_owned(),
        Pair::Unprobed => ".".to_owned(),
    }
}

fn draw_figures(screen: &Screen, labels: &[String], stub: usize, pairs: &Pairs<'_>) -> Vec<Line> {
    let titles = labels
        .iter()
        .map(|label| format!(" {}", right(&cut(screen, label, FIGURE - 1), FIGURE - 1)));
    let mut lines = vec![Line::from(" ".repeat(stub) + &titles.collect::<String>())];
    for (from, label) in labels.iter().enumerate() {
        let mut line = Line::from(left(label, stub));
        for to in 0..labels.len() {
            let pair = pairs.get(from, to);
            line = line.plain(" ").painted(paint(pair), right(&field(pair), FIGURE - 1));
        }
        lines.push(line);
    }
    lines
}

fn draw_digits(screen: &Screen, labels: &[String], stub: usize, pairs: &Pairs<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (from, label) in labels.iter().enumerate() {
        let mut line = Line::from(left(label, stub) + " ");
        for to in 0..labels.len() {
            let pair = pairs.get(from, to);
            let text = match pair {
                Pair::Measured(micros) => format!("{} ", step(micros)),
                Pair::Estimated(micros) => format!("{}~", step(micros)),
                Pair::Same | Pair::Failed | Pair::Unprobed => format!("{} ", field(pair)),
            };
            // Colour fills the last field too; without it the space would be there for nothing.
            let bare = !screen.color && to + 1 == labels.len();
            line = line.painted(paint(pair), if bare { text.trim_end() } else { &text });
        }
        lines.push(line);
    }
    lines.push("columns are in the order of the rows".into());
    lines
}

/// The matrix where a table of any width can be read.
fn matrix(labels: &[String], pairs: &Pairs<'_>) -> Table {
    let mut table = Table::new(["FROM"].into_iter().chain(labels.iter().map(String::as_str)));
    for (from, label) in labels.iter().enumerate() {
        let cells = (0..labels.len()).map(|to| {
            let pair = pairs.get(from, to);
            Cell::painted(paint(pair), field(pair)).right()
        });
        table.row([Cell::new(label)].into_iter().chain(cells));
    }
    table
}

/// A row for each pair that something is known of.
fn list(names: &Names, pairs: &Pairs<'_>) -> Table {
    let mut table = Table::new(["FROM", "TO", "RTT MS", "KIND"]);
    let peers = &pairs.latency.peers;
    for (from, observer) in peers.iter().enumerate() {
        for (to, subject) in peers.iter().enumerate() {
            let (figure, kind) = match pairs.get(from, to) {
                Pair::Same | Pair::Unprobed => continue,
                Pair::Measured(micros) => (Cell::new(millis(micros)), "measured"),
                Pair::Estimated(micros) => (Cell::new(millis(micros)), "estimated"),
                Pair::Failed => (Cell::unknown(), "failed"),
            };
            let ends = [names.cell(&observer.id), names.cell(&subject.id)];
            table.row(ends.into_iter().chain([figure, kind.into()]));
        }
    }
    table
}

fn paint(pair: Pair) -> Paint {
    match pair {
        Pair::Measured(micros) | Pair::Estimated(micros) => Paint::Heat(step(micros)),
        Pair::Failed => Paint::Bad,
        Pair::Same | Pair::Unprobed => Paint::Dim,
    }
}

fn step(micros: u32) -> u8 {
    let below = STEPS.iter().filter(|end| micros >= **end).count();
    u8::try_from(below).unwrap_or(9)
}

fn scale() -> Line {
    let ends = STEPS.iter().map(|end| format!("<{}", f64::from(*end) / 1_000.0));
    let mut line = Line::from("ms: ");
    for (digit, end) in (0..).zip(ends.chain([">=200".to_owned()])) {
        let gap = if digit == 0 { "" } else { "  " };
        let digit_text = digit.to_string();
        line = line.plain(gap).painted(Paint::Heat(digit), digit_text).plain(format!(" {end}"));
    }
    line
}

fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(text))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample::{latency as sample, screen};

    #[test]
    fn measured_estimated_failed_and_unprobed_pairs_are_told_apart() {
        let text = latency(&screen(), &sample()).text(&screen());
        let expected = "       alpha   beta  gamma\n\
                        alpha      -   0.41      x\n\
                        beta    0.43      -  ~12.3\n\
                        gamma      .      .      -\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_narrow_screen_gets_digits_and_says_what_they_mean() {
        let own = Screen { width: Some(20), ..screen() };
        let text = latency(&own, &sample()).text(&own);
        let expected = "alpha - 0 x\nbeta  0 - 5~\ngamma . . -\n";
        assert!(text.contains(expected) && text.contains("5 <20"), "{text}");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let own = Screen { width: Some(10), ..screen() };
        let text = latency(&own, &sample()).text(&own);
        assert!(text.contains("1 of 3 peers are left out"), "{text}");
    }

    #[test]
    fn colour_comes_on_top_of_figures() {
        let own = Screen { color: true, ..screen() };
        let text = latency(&own, &sample()).text(&own);
        assert!(text.contains("\x1b[38;5;231;48;5;53m  0.41\x1b[0m"), "{text:?}");
    }
}
