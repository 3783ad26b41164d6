//! Round-trip times as a matrix: figures where they fit, a map of digits where they do not.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::header::header;
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

/// The matrix.
#[must_use]
pub fn latency(screen: &Screen, document: &One<Latency>) -> String {
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
    let mut out = header(screen, &document.stamp);
    out.push_str("\nround trips in ms, row = from, column = to\n\n");
    let labels = labels.get(..shown).unwrap_or_default();
    out.push_str(&if figures {
        draw_figures(screen, labels, stub, &pairs)
    } else {
        draw_digits(screen, labels, stub, &pairs)
    });
    out.push_str("\n~ estimated from coordinates   x failed   . not probed\n");
    if !figures {
        out.push_str(&scale(screen));
    }
    let hidden = all - shown + latency.omitted_peers;
    if hidden > 0 {
        let _ = writeln!(
            out,
            "{hidden} of {} peers are left out for want of room; all: plexmesh latency -o json, \
             some: plexmesh latency PEER PEER",
            all + latency.omitted_peers
        );
    }
    out
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

fn draw_figures(screen: &Screen, labels: &[String], stub: usize, pairs: &Pairs<'_>) -> String {
    let mut out = " ".repeat(stub);
    for label in labels {
        let _ = write!(out, " {}", right(&cut(screen, label, FIGURE - 1), FIGURE - 1));
    }
    out.push('\n');
    for (from, label) in labels.iter().enumerate() {
        out.push_str(&left(label, stub));
        for to in 0..labels.len() {
            let pair = pairs.get(from, to);
            let text = match pair {
                Pair::Same => "-".to_owned(),
                Pair::Measured(micros) => millis(micros),
                Pair::Estimated(micros) => format!("~{}", millis(micros)),
                Pair::Failed => "x".to_owned(),
                Pair::Unprobed => ".".to_owned(),
            };
            out.push(' ');
            out.push_str(&painted(screen, pair, &right(&text, FIGURE - 1)));
        }
        out.push('\n');
    }
    out
}

fn draw_digits(screen: &Screen, labels: &[String], stub: usize, pairs: &Pairs<'_>) -> String {
    let mut out = String::new();
    for (from, label) in labels.iter().enumerate() {
        out.push_str(&left(label, stub));
        out.push(' ');
        for to in 0..labels.len() {
            let pair = pairs.get(from, to);
            let text = match pair {
                Pair::Same => "- ".to_owned(),
                Pair::Measured(micros) => format!("{} ", step(micros)),
                Pair::Estimated(micros) => format!("{}~", step(micros)),
                Pair::Failed => "x ".to_owned(),
                Pair::Unprobed => ". ".to_owned(),
            };
            out.push_str(&painted(screen, pair, &text));
        }
        let trimmed = out.trim_end_matches(' ').len();
        out.truncate(trimmed);
        out.push('\n');
    }
    out.push_str("columns are in the order of the rows\n");
    out
}

fn painted(screen: &Screen, pair: Pair, text: &str) -> String {
    match pair {
        Pair::Measured(micros) | Pair::Estimated(micros) => {
            screen.paint(Paint::Heat(step(micros)), text)
        }
        Pair::Failed => screen.paint(Paint::Bad, text),
        Pair::Same | Pair::Unprobed => screen.paint(Paint::Dim, text),
    }
}

fn step(micros: u32) -> u8 {
    let below = STEPS.iter().filter(|end| micros >= **end).count();
    u8::try_from(below).unwrap_or(9)
}

fn scale(screen: &Screen) -> String {
    let ends = STEPS.iter().map(|end| format!("<{}", f64::from(*end) / 1_000.0));
    let parts = (0..).zip(ends.chain([">=200".to_owned()])).map(|(digit, end): (u8, _)| {
        format!("{} {end}", screen.paint(Paint::Heat(digit), &digit.to_string()))
    });
    format!("ms: {}\n", parts.collect::<Vec<_>>().join("  "))
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
        let text = latency(&screen(), &sample());
        let expected = "       alpha   beta  gamma\n\
                        alpha      -   0.41      x\n\
                        beta    0.43      -  ~12.3\n\
                        gamma      .      .      -\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_narrow_screen_gets_digits_and_says_what_they_mean() {
        let text = latency(&Screen { width: Some(20), ..screen() }, &sample());
        let expected = "alpha - 0 x\nbeta  0 - 5~\ngamma . . -\n";
        assert!(text.contains(expected) && text.contains("5 <20"), "{text}");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let text = latency(&Screen { width: Some(10), ..screen() }, &sample());
        assert!(text.contains("1 of 3 peers are left out"), "{text}");
    }

    #[test]
    fn colour_comes_on_top_of_figures() {
        let text = latency(&Screen { color: true, ..screen() }, &sample());
        assert!(text.contains("\x1b[38;5;231;48;5;53m  0.41\x1b[0m"), "{text:?}");
    }
}
