//! A topology as one SVG: where the peers are, what joins them, and how long round trips are.

use svg::Document;
use svg::node::element::{Circle, Group, Line, Rectangle, Style, Text, Title};

use super::Topology;

const WIDTH: f64 = 1_080.0;
const HEIGHT: f64 = 800.0;
/// Side of the square with the peers, and where it begins.
const SIDE: f64 = 700.0;
const LEFT: f64 = 20.0;
const TOP: f64 = 80.0;
/// Where the figures beside it begin and how wide they are.
const PANEL: f64 = 760.0;
const PANEL_WIDTH: f64 = 290.0;
const BARS: usize = 24;
const BARS_TOP: f64 = 330.0;
const BARS_HEIGHT: f64 = 180.0;
/// Most names and most latencies of edges that can still be read beside each other.
const MAX_NAMES: usize = 80;
const MAX_EDGE_LABELS: usize = 30;
/// Most peers whose pairs are all looked at; of more, an even sample of this size stands for all.
const MAX_SAMPLED: usize = 500;

/// Colours for light and dark surroundings.
const COLOURS: &str = "
text { font-family: system-ui, sans-serif; fill: #1c2430 }
.ground { fill: #ffffff } .frame { fill: #f4f6f9; stroke: #d5dbe3 }
.edge { stroke: #7b8aa0; stroke-opacity: .55 } .peer { fill: #0b6bcb; stroke: #ffffff }
.bar { fill: #0b6bcb } .quiet { fill: #55606f } .axis { stroke: #7b8aa0 }
@media (prefers-color-scheme: dark) {
text { fill: #e6ebf2 } .ground { fill: #12161c } .frame { fill: #1a2029; stroke: #323b48 }
.edge { stroke: #93a1b5 } .peer { fill: #5db0ff; stroke: #12161c }
.bar { fill: #5db0ff } .quiet { fill: #a3afbf } .axis { stroke: #93a1b5 }
}";

/// Draws a topology.
#[must_use]
pub fn svg(title: &str, topology: &Topology) -> String {
    let peers = topology.picture.places.len();
    let edges = edges(topology);
    let joined = match (edges.len(), topology.cables.is_empty()) {
        (0, _) => String::new(),
        (count, true) => format!(", {count} edges drawn"),
        (count, false) => format!(", {count} cables"),
    };
    let count = if peers == 1 { "1 peer".into() } else { format!("{peers} peers") };
    Document::new()
        .set("viewBox", (0, 0, WIDTH, HEIGHT))
        .set("role", "img")
        .add(Title::new(title))
        .add(Style::new(COLOURS))
        .add(Rectangle::new().set("class", "ground").set("width", WIDTH).set("height", HEIGHT))
        .add(text(LEFT, 36.0, 24, title))
        .add(text(LEFT, 62.0, 15, format!("{count}{joined}")).set("class", "quiet"))
        .add(
            Rectangle::new()
                .set("class", "frame")
                .set("x", LEFT)
                .set("y", TOP)
                .set("width", SIDE)
                .set("height", SIDE)
                .set("rx", 8),
        )
        .add(lines(topology, edges))
        .add(dots(topology))
        .add(names(topology))
        .add(figures(&round_trips_ms(topology)))
        .to_string()
}

fn edges(topology: &Topology) -> &[(usize, usize, f64)] {
    if topology.cables.is_empty() { &topology.picture.edges } else { &topology.cables }
}

fn lines(topology: &Topology, edges: &[(usize, usize, f64)]) -> Group {
    let mut group = Group::new();
    // Many lines are thin, or they run into one.
    let width = if edges.len() > 400 { 0.6 } else { 1.4 };
    for (from, to, ms) in edges {
        let (Some(a), Some(b)) = (place(topology, *from), place(topology, *to)) else { continue };
        group = group.add(
            Line::new()
                .set("class", "edge")
                .set("stroke-width", width)
                .set("x1", rounded(a.0))
                .set("y1", rounded(a.1))
                .set("x2", rounded(b.0))
                .set("y2", rounded(b.1)),
        );
        if edges.len() <= MAX_EDGE_LABELS {
            let middle = ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0 - 3.0);
            let label = text(middle.0, middle.1, 11, format!("{} ms", figure(*ms)));
            group = group.add(label.set("class", "quiet").set("text-anchor", "middle"));
        }
    }
    group
}

fn dots(topology: &Topology) -> Group {
    let peers = topology.picture.places.len();
    let radius = match peers {
        0..=100 => 6.0,
        101..=1_000 => 3.5,
        _ => 1.8,
    };
    let names = topology.picture.names.iter().enumerate();
    names.fold(Group::new(), |group, (peer, name)| {
        let Some((x, y)) = place(topology, peer) else { return group };
        let dot = Circle::new().set("class", "peer").set("r", radius);
        group.add(dot.set("cx", rounded(x)).set("cy", rounded(y)).add(Title::new(name.as_str())))
    })
}

/// A name where there is room: once a place, and not over another name.
fn names(topology: &Topology) -> Group {
    let mut taken: Vec<(f64, f64, f64)> = Vec::new();
    let mut group = Group::new();
    for (peer, name) in topology.picture.names.iter().enumerate() {
        let Some((x, y)) = place(topology, peer) else { continue };
        if taken.len() == MAX_NAMES || name.contains(" #") {
            continue;
        }
        let size = 12.0;
        // About what a letter of a sans-serif takes.
        let width = name.chars().count() as f64 * size * 0.55;
        let to_left = x + width + 10.0 > LEFT + SIDE;
        let start = if to_left { x - width - 9.0 } else { x + 9.0 };
        let hides = |&(left, right, line): &(f64, f64, f64)| {
            start < right && left < start + width && (line - y).abs() < size
        };
        if taken.iter().any(hides) {
            continue;
        }
        taken.push((start, start + width, y));
        let label = text(if to_left { x - 9.0 } else { x + 9.0 }, y + 4.0, 12, name.as_str());
        group = group.add(label.set("text-anchor", if to_left { "end" } else { "start" }));
    }
    group
}

/// Quantiles and a histogram of round trips.
fn figures(sorted_ms: &[f64]) -> Group {
    let mut group = Group::new().add(text(PANEL, 100.0, 16, "Round trips between peers"));
    let (Some(shortest), Some(longest)) = (sorted_ms.first(), sorted_ms.last()) else {
        return group.add(text(PANEL, 130.0, 14, "none: there is one peer").set("class", "quiet"));
    };
    let quantile = |percent: usize| {
        sorted_ms.get((sorted_ms.len() - 1) * percent / 100).copied().unwrap_or_default()
    };
    let rows = [
        ("shortest", *shortest),
        ("median", quantile(50)),
        ("90 % are below", quantile(90)),
        ("99 % are below", quantile(99)),
        ("longest", *longest),
    ];
    for (row, (what, ms)) in rows.into_iter().enumerate() {
        let y = 132.0 + row as f64 * 26.0;
        group = group.add(text(PANEL, y, 14, what).set("class", "quiet")).add(
            text(PANEL + PANEL_WIDTH, y, 14, format!("{} ms", figure(ms)))
                .set("text-anchor", "end"),
        );
    }
    group.add(bars(sorted_ms, quantile(99).max(f64::MIN_POSITIVE)))
}

/// Bars up to `end_ms`; the few round trips that are longer count in the last.
fn bars(sorted_ms: &[f64], end_ms: f64) -> Group {
    let mut counts = [0_u32; BARS];
    for ms in sorted_ms {
        let bar = (ms / end_ms * BARS as f64) as usize;
        if let Some(count) = counts.get_mut(bar.min(BARS - 1)) {
            *count += 1;
        }
    }
    let most = f64::from(counts.iter().copied().max().unwrap_or(1).max(1));
    let (width, base) = (PANEL_WIDTH / BARS as f64, BARS_TOP + BARS_HEIGHT);
    let mut group = Group::new()
        .add(text(PANEL, BARS_TOP - 26.0, 14, "Share of pairs by round trip").set("class", "quiet"))
        .add(
            Line::new()
                .set("class", "axis")
                .set("x1", PANEL)
                .set("x2", PANEL + PANEL_WIDTH)
                .set("y1", base)
                .set("y2", base),
        );
    for (bar, count) in counts.into_iter().enumerate() {
        let height = f64::from(count) / most * BARS_HEIGHT;
        let shape = Rectangle::new().set("class", "bar").set("width", rounded(width - 1.5));
        group = group.add(
            shape
                .set("x", rounded(PANEL + bar as f64 * width))
                .set("y", rounded(base - height))
                .set("height", rounded(height)),
        );
    }
    for (share, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
        let label = format!("{} ms", figure(end_ms * share));
        let at = text(PANEL + PANEL_WIDTH * share, base + 20.0, 12, label);
        group = group.add(at.set("class", "quiet").set("text-anchor", anchor));
    }
    let most = format!("highest bar: {:.1} %", most / sorted_ms.len().max(1) as f64 * 100.0);
    group.add(text(PANEL, base + 46.0, 12, most).set("class", "quiet"))
}

/// Round trips in milliseconds, in rising order.
fn round_trips_ms(topology: &Topology) -> Vec<f64> {
    let peers = topology.picture.places.len();
    let step = peers.div_ceil(MAX_SAMPLED).max(1);
    let sample = || (0..peers).step_by(step);
    let pairs = sample().flat_map(|a| sample().filter(move |b| a < *b).map(move |b| (a, b)));
    let model = &topology.model;
    let us = pairs.map(|(a, b)| model.one_way_us(a, b) + model.one_way_us(b, a));
    let mut sorted: Vec<u64> = us.collect();
    sorted.sort_unstable();
    sorted.into_iter().map(|us| us as f64 / 1_000.0).collect()
}

fn place(topology: &Topology, peer: usize) -> Option<(f64, f64)> {
    let (x, y) = topology.picture.places.get(peer)?;
    Some((LEFT + x * SIDE, TOP + y * SIDE))
}

fn text(x: f64, y: f64, size: u32, content: impl Into<String>) -> Text {
    Text::new(content).set("x", rounded(x)).set("y", rounded(y)).set("font-size", size)
}

/// A tenth of a pixel is more than anybody sees.
fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Three digits that count.
fn figure(ms: f64) -> String {
    match ms {
        0.0 => "0".into(),
        ms if ms >= 100.0 => format!("{ms:.0}"),
        ms if ms >= 10.0 => format!("{ms:.1}"),
        _ => format!("{ms:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::{Latency, Network, Region, Shape, Span};
    use crate::topology::build;

    fn drawn(title: &str, latency: Latency, peers: usize) -> String {
        let network = Network { latency, ..Network::default() };
        svg(title, &build(&network, peers, 1, Path::new(".")).unwrap())
    }

    fn generated(shape: Shape) -> Latency {
        Latency::Generated { shape, hop: Span::millis(10) }
    }

    #[test]
    fn a_picture_is_whole_xml_with_a_mark_for_each_peer() {
        for (latency, peers) in
            [(generated(Shape::Ring), 1), (generated(Shape::Grid), 30), (Latency::default(), 700)]
        {
            let picture = drawn("a picture", latency, peers);
            let read = roxmltree::Document::parse(&picture).unwrap();
            let marks = read.descendants().filter(|node| node.has_tag_name("circle")).count();
            assert_eq!(marks, peers);
        }
    }

    #[test]
    fn edges_say_how_long_they_are() {
        let picture = drawn("ring", generated(Shape::Ring), 6);
        let read = roxmltree::Document::parse(&picture).unwrap();
        assert_eq!(read.descendants().filter(|n| n.attribute("class") == Some("edge")).count(), 6);
        assert!(picture.contains("10.0 ms"), "{picture}");
    }

    #[test]
    fn names_cannot_break_out_of_the_picture() {
        let name = "</text><script>x</script>&\"'";
        let region = Region {
            name: name.into(),
            latitude: 0.0,
            longitude: 0.0,
            weight: 1,
            access: Span::millis(1),
        };
        let picture = drawn(name, Latency::Regions { regions: vec![region], detour: 1.5 }, 2);
        let read = roxmltree::Document::parse(&picture).unwrap();
        assert!(!read.descendants().any(|node| node.has_tag_name("script")));
        assert!(read.descendants().any(|node| node.text().is_some_and(|text| text.trim() == name)));
    }
}
