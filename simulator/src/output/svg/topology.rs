//! The peers and their paths.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::Figure;
use super::frame::{Key, WIDTH, legend, letters, px};
use crate::output::{peer, words};
use crate::report::RunReport;

/// Edges that are drawn: more are a grey disc, and a page that a phone cannot show.
const MOST_EDGES: usize = 4_000;
/// Peers up to which each has its own mark that tells its name.
const NAMED: usize = 500;
/// Peers up to which names are written beside them.
const WRITTEN: usize = 24;
/// Peers that are marked as gone or broken.
const MOST_MARKS: usize = 1_000;
/// Steps of the latency ramp in the style sheet.
const RAMP: usize = 5;
/// Space around the field of peers: a mark and half a name stand out.
const BORDER: f64 = 16.0;

/// The picture.
pub(super) fn figure(report: &RunReport) -> Figure {
    let title = "Topology";
    let places = places(report);
    if places.is_empty() {
        return Figure::empty(title, "The scenario gives no places of peers.");
    }
    let (ramp, keyed) = edge_keys(report);
    let (marks, gone, broken) = marks(report, places.len());
    let (keys, height) = legend(&keyed.into_iter().chain(marks).collect::<Vec<_>>());
    let field = Field { top: height, places };
    let drawn = thinned(report);
    let body = html! {
        (keys)
        (edges(&field, &drawn, &ramp))
        (peers(report, &field))
        @for &index in &broken {
            @if let Some((x, y)) = field.place(index) {
                circle.broken cx=(px(x)) cy=(px(y)) r="7.5" {}
            }
        }
        @if !gone.is_empty() { path.gone d=(crosses(&field, &gone)) {} }
        (names(report, &field))
    };
    let all = report.topology.edges.len();
    let about = if drawn.len() < all {
        format!(
            "{} of {} edges are drawn, evenly picked.",
            words::count(drawn.len() as u64),
            words::count(all as u64)
        )
    } else {
        format!(
            "{} peers, {} edges.",
            words::count(field.places.len() as u64),
            words::count(all as u64)
        )
    };
    Figure { title, about, height: height + WIDTH, body }
}

/// Where peers are drawn: a square below the legend.
struct Field {
    top: f64,
    places: Vec<(f64, f64)>,
}

impl Field {
    fn place(&self, index: usize) -> Option<(f64, f64)> {
        let (x, y) = self.places.get(index)?;
        let span = WIDTH - 2.0 * BORDER;
        Some((BORDER + x * span, self.top + BORDER + y * span))
    }

    /// Radius of a peer: they get smaller as they get more.
    fn radius(&self) -> f64 {
        match self.places.len() {
            0..=60 => 5.0,
            61..=250 => 3.6,
            251..=1_500 => 2.2,
            _ => 1.2,
        }
    }
}

fn places(report: &RunReport) -> Vec<(f64, f64)> {
    let within = |value: f64| if value.is_finite() { value.clamp(0.0, 1.0) } else { 0.5 };
    report.topology.places.iter().map(|&(x, y)| (within(x), within(y))).collect()
}

/// As many edges as can be drawn, evenly picked.
fn thinned(report: &RunReport) -> Vec<(usize, usize, f64)> {
    let edges = &report.topology.edges;
    let drawn = edges.len().min(MOST_EDGES);
    (0..drawn).filter_map(|index| edges.get(index * edges.len() / drawn).copied()).collect()
}

/// Upper bounds of the steps of the ramp in milliseconds, each with about as many edges, and what
/// the legend says of them.
fn edge_keys(report: &RunReport) -> (Vec<f64>, Vec<Key>) {
    let latencies = words::sorted(report.topology.edges.iter().map(|&(_, _, ms)| ms));
    let mut bounds: Vec<f64> = Vec::new();
    for step in 1..=RAMP {
        if let Some(bound) = words::quantile(&latencies, step as f64 / RAMP as f64) {
            bounds.push(bound);
        }
    }
    bounds.dedup();
    let keys = bounds.iter().enumerate().map(|(index, bound)| {
        Key::new(
            format!("edgekey {}", shade(index, bounds.len())),
            format!("≤ {} ms", milli(*bound)),
        )
    });
    let keys = keys.collect();
    (bounds, keys)
}

/// Few steps are spread over the whole ramp.
fn shade(step: usize, of: usize) -> String {
    let last = of.saturating_sub(1).max(1);
    format!("h{}", (step * (RAMP - 1) / last).min(RAMP - 1))
}

fn milli(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn edges(field: &Field, drawn: &[(usize, usize, f64)], ramp: &[f64]) -> Markup {
    let mut paths = vec![String::new(); ramp.len().max(1)];
    for &(from, to, ms) in drawn {
        let (Some((x, y)), Some((to_x, to_y))) = (field.place(from), field.place(to)) else {
            continue;
        };
        let step = ramp.partition_point(|&bound| bound < ms).min(paths.len() - 1);
        if let Some(path) = paths.get_mut(step) {
            path.push_str(&format!("M{} {}L{} {}", px(x), px(y), px(to_x), px(to_y)));
        }
    }
    html! {
        @for (step, path) in paths.iter().enumerate() {
            @if !path.is_empty() {
                path class={ "edge " (shade(step, paths.len())) } d=(path) {}
            }
        }
    }
}

fn peers(report: &RunReport, field: &Field) -> Markup {
    let places = (0..field.places.len()).filter_map(|index| Some((index, field.place(index)?)));
    let radius = field.radius();
    if field.places.len() <= NAMED {
        return html! {
            @for (index, (x, y)) in places {
                circle.peer cx=(px(x)) cy=(px(y)) r=(px(radius)) { title { (peer(report, index)) } }
            }
        };
    }
    // A line without length and with round ends is a dot in a fifth of the bytes of a circle.
    let path: String = places.map(|(_, (x, y))| format!("M{} {}h0", px(x), px(y))).collect();
    html! { path.peers stroke-width=(px(2.0 * radius)) d=(path) {} }
}

/// Keys of the marks that are there; who fell silent; who has to do with a broken promise.
fn marks(report: &RunReport, peers: usize) -> (Vec<Key>, BTreeSet<usize>, BTreeSet<usize>) {
    let gone = report.detections.iter().map(|detection| detection.subject);
    let violations = report.checks.iter().flat_map(|check| &check.violations);
    let broken = violations.flat_map(|violation| [violation.observer, violation.subject]).flatten();
    let there = |index: &usize| *index < peers;
    let gone: BTreeSet<usize> = gone.filter(there).take(MOST_MARKS).collect();
    let broken: BTreeSet<usize> = broken.filter(there).take(MOST_MARKS).collect();
    let mut keys = Vec::new();
    if !gone.is_empty() {
        keys.push(Key::new("gone", "× crashed or left"));
    }
    if !broken.is_empty() {
        keys.push(Key::new("broken", "○ in a broken promise"));
    }
    (keys, gone, broken)
}

fn crosses(field: &Field, gone: &BTreeSet<usize>) -> String {
    let arm = field.radius() + 1.5;
    let mut path = String::new();
    for (x, y) in gone.iter().filter_map(|&index| field.place(index)) {
        let (left, up, side) = (px(x - arm), px(y - arm), px(2.0 * arm));
        path.push_str(&format!("M{left} {up}l{side} {side}m0 -{side}l-{side} {side}"));
    }
    path
}

/// Names beside few peers, but not over another name.
fn names(report: &RunReport, field: &Field) -> Markup {
    /// Half the height of a name.
    const HALF: f64 = 7.0;
    let mut taken: Vec<(f64, f64, f64)> = Vec::new();
    let mut written = Vec::new();
    if field.places.len() <= WRITTEN {
        for index in 0..field.places.len() {
            let Some((x, y)) = field.place(index) else { continue };
            let text: String = peer(report, index).chars().take(18).collect();
            let half = letters(&text) / 2.0;
            let x = x.clamp(half.min(WIDTH / 2.0), (WIDTH - half).max(WIDTH / 2.0));
            let y = y + 18.0;
            let free = taken.iter().all(|&(other_x, other_y, other_half)| {
                (x - other_x).abs() > half + other_half || (y - other_y).abs() > 2.0 * HALF
            });
            if free {
                taken.push((x, y, half));
                written.push((x, y, text));
            }
        }
    }
    html! {
        @for (x, y, text) in written {
            text.name.mid x=(px(x)) y=(px(y)) { (text) }
        }
    }
}
