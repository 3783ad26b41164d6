//! Made shapes: peers are the nodes, and a path is as long as the shortest way over the edges.
//!
//! A shape with a pattern ([`Pattern`]) answers by arithmetic, whatever its size; one that is drawn
//! ([`drawn`]) keeps a table of hops.

use super::{Topology, TopologyError, bounded, numbered, picture, positive};
use crate::links::LatencyModel;
use crate::report::Picture;
use crate::scenario::{Shape, Span};

mod drawn;

/// Most edges of a picture: more make one black spot and megabytes of it. Of more, every n-th is
/// drawn.
const MAX_DRAWN_EDGES: usize = 4_000;

/// Makes a shape of `peers` nodes.
pub(super) fn build(
    shape: &Shape,
    hop: Span,
    peers: usize,
    seed: u64,
) -> Result<Topology, TopologyError> {
    let hop_us = positive(hop, "latency.hop")?;
    let made: Box<dyn Made> = match *shape {
        Shape::SmallWorld { degree, rewire } => {
            Box::new(drawn::small_world(peers, degree, rewire, seed)?)
        }
        Shape::ScaleFree { links } => Box::new(drawn::scale_free(peers, links, seed)?),
        Shape::RandomRegular { degree } => Box::new(drawn::random_regular(peers, degree, seed)?),
        _ => Box::new(Pattern::new(shape, peers)?),
    };
    let bridge_us = match shape {
        Shape::Clusters { bridge, .. } => {
            positive(*bridge, "latency.shape.bridge")?;
            bounded(*bridge, "latency.shape.bridge")?
        }
        _ => 0,
    };
    let one_way_us = |way: Way| u64::from(way.hops) * hop_us + u64::from(way.bridges) * bridge_us;
    let edges = made.edges();
    let step = edges.len().div_ceil(MAX_DRAWN_EDGES).max(1);
    // Bridges are few and the point of the picture: all of them are drawn.
    let shown = edges
        .iter()
        .enumerate()
        .filter(|(place, (from, to))| place % step == 0 || made.way(*from, *to).bridges > 0);
    let milliseconds = |from, to| one_way_us(made.way(from, to)) as f64 / 1_000.0;
    let edges = shown.map(|(_, &(from, to))| (from, to, milliseconds(from, to))).collect();
    let picture = Picture { places: made.places(), names: numbered(peers, "peer"), edges };
    let model = Box::new(Generated { made, peers, hop_us, bridge_us });
    Ok(Topology { model, picture, regions: Vec::new(), cables: Vec::new() })
}

/// The shortest way between two nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Way {
    hops: u32,
    bridges: u32,
}

impl Way {
    const fn hops(hops: usize) -> Self {
        Self { hops: hops as u32, bridges: 0 }
    }
}

/// A made shape.
trait Made: std::fmt::Debug + Send {
    /// The shortest way between two nodes.
    fn way(&self, from: usize, to: usize) -> Way;
    /// All edges, the lower node first.
    fn edges(&self) -> Vec<(usize, usize)>;
    /// Where the nodes are drawn.
    fn places(&self) -> Vec<(f64, f64)>;
}

#[derive(Debug)]
struct Generated {
    made: Box<dyn Made>,
    peers: usize,
    hop_us: u64,
    bridge_us: u64,
}

impl LatencyModel for Generated {
    fn one_way_us(&self, from: usize, to: usize) -> u64 {
        // A host that joins later stands beside one of the first.
        let (from, to) = (from % self.peers, to % self.peers);
        if from == to {
            return u64::from(super::places::NEAR_US);
        }
        let way = self.made.way(from, to);
        u64::from(way.hops) * self.hop_us + u64::from(way.bridges) * self.bridge_us
    }
}

/// A shape that arithmetic knows.
#[derive(Debug)]
enum Pattern {
    Full { nodes: usize },
    Ring { nodes: usize },
    Line { nodes: usize },
    Star { nodes: usize },
    Tree { nodes: usize, branching: usize },
    Grid { nodes: usize, columns: usize },
    Clusters { nodes: usize, clusters: usize },
}

impl Pattern {
    fn new(shape: &Shape, nodes: usize) -> Result<Self, TopologyError> {
        Ok(match *shape {
            Shape::Ring => Self::Ring { nodes },
            // A tree in which everybody has one child; asked for with every packet, a line's
            // subtraction is faster than a walk to the root.
            Shape::Line | Shape::Tree { branching: 1 } => Self::Line { nodes },
            Shape::Star => Self::Star { nodes },
            Shape::Tree { branching: 0 } => {
                let message = "0 children; a tree needs at least 1 a node".to_owned();
                return Err(TopologyError::value("latency.shape.branching", message));
            }
            Shape::Tree { branching } => Self::Tree { nodes, branching },
            Shape::Grid => Self::Grid { nodes, columns: square_root(nodes) },
            Shape::Clusters { clusters, .. } if !(1..=nodes).contains(&clusters) => {
                let message =
                    format!("{clusters} clusters of {nodes} peers; 1 to {nodes} are possible");
                return Err(TopologyError::value("latency.shape.clusters", message));
            }
            Shape::Clusters { clusters, .. } => Self::Clusters { nodes, clusters },
            _ => Self::Full { nodes },
        })
    }

    const fn nodes(&self) -> usize {
        match *self {
            Self::Full { nodes }
            | Self::Ring { nodes }
            | Self::Line { nodes }
            | Self::Star { nodes }
            | Self::Tree { nodes, .. }
            | Self::Grid { nodes, .. }
            | Self::Clusters { nodes, .. } => nodes,
        }
    }
}

impl Made for Pattern {
    fn way(&self, from: usize, to: usize) -> Way {
        if from == to {
            return Way::default();
        }
        let apart = from.abs_diff(to);
        match *self {
            Self::Full { .. } => Way::hops(1),
            Self::Ring { nodes } => Way::hops(apart.min(nodes - apart)),
            Self::Line { .. } => Way::hops(apart),
            Self::Star { .. } => Way::hops(if from == 0 || to == 0 { 1 } else { 2 }),
            Self::Tree { branching, .. } => Way::hops(tree_hops(from, to, branching)),
            Self::Grid { columns, .. } => Way::hops(
                (from / columns).abs_diff(to / columns) + (from % columns).abs_diff(to % columns),
            ),
            Self::Clusters { nodes, clusters } => {
                clusters_way(nodes, clusters, from.min(to), from.max(to))
            }
        }
    }

    fn edges(&self) -> Vec<(usize, usize)> {
        let full = |first: usize, end: usize| {
            (first..end).flat_map(move |a| (a + 1..end).map(move |b| (a, b)))
        };
        match *self {
            Self::Full { nodes } => full(0, nodes).collect(),
            Self::Ring { nodes } => {
                let closing = (nodes > 2).then(|| (0, nodes - 1));
                (1..nodes).map(|node| (node - 1, node)).chain(closing).collect()
            }
            Self::Line { nodes } => (1..nodes).map(|node| (node - 1, node)).collect(),
            Self::Star { nodes } => (1..nodes).map(|node| (0, node)).collect(),
            Self::Tree { nodes, branching } => {
                (1..nodes).map(|node| ((node - 1) / branching, node)).collect()
            }
            Self::Grid { nodes, columns } => {
                let right = (1..nodes).filter(|n| n % columns != 0).map(|node| (node - 1, node));
                right.chain((columns..nodes).map(|node| (node - columns, node))).collect()
            }
            Self::Clusters { nodes, clusters } => {
                let start = |cluster| first_of(nodes, clusters, cluster);
                let bridges = (1..clusters).map(|cluster| (start(cluster) - 1, start(cluster)));
                let within =
                    (0..clusters).flat_map(|cluster| full(start(cluster), start(cluster + 1)));
                bridges.chain(within).collect()
            }
        }
    }

    fn places(&self) -> Vec<(f64, f64)> {
        let nodes = self.nodes();
        match *self {
            Self::Full { .. } | Self::Ring { .. } => picture::circle(nodes),
            Self::Line { .. } => line_places(nodes),
            Self::Star { .. } => {
                let rim = picture::circle(nodes.saturating_sub(1));
                std::iter::once((0.5, 0.5)).chain(rim).take(nodes).collect()
            }
            Self::Tree { branching, .. } => tree_places(nodes, branching),
            Self::Grid { columns, .. } => {
                let at = |node: usize| ((node % columns) as f64, (node / columns) as f64);
                picture::fit((0..nodes).map(at).collect())
            }
            Self::Clusters { clusters, .. } => {
                let middles = picture::circle(clusters);
                let of = |node: usize| node * clusters / nodes.max(1);
                let inner = |cluster| {
                    first_of(nodes, clusters, cluster + 1) - first_of(nodes, clusters, cluster)
                };
                // Small enough that the circles of neighbours do not touch.
                let size = 0.8 / (clusters.max(2) as f64);
                let put = |node: usize| {
                    let cluster = of(node);
                    let rim = picture::circle(inner(cluster));
                    let turn = node - first_of(nodes, clusters, cluster);
                    let (x, y) = middles.get(cluster).copied().unwrap_or((0.5, 0.5));
                    let (dx, dy) = rim.get(turn).copied().unwrap_or((0.5, 0.5));
                    (x + (dx - 0.5) * size * 2.0, y + (dy - 0.5) * size * 2.0)
                };
                picture::fit((0..nodes).map(put).collect())
            }
        }
    }
}

/// The smallest number whose square is at least `count`.
fn square_root(count: usize) -> usize {
    let root = count.isqrt();
    (root + usize::from(root * root < count)).max(1)
}

fn tree_hops(from: usize, to: usize, branching: usize) -> usize {
    // Children have higher numbers than parents: the higher end climbs until both meet.
    let (mut a, mut b, mut hops) = (from, to, 0);
    while a != b {
        let higher = if a > b { &mut a } else { &mut b };
        *higher = (*higher - 1) / branching;
        hops += 1;
    }
    hops
}

/// The first node of a cluster. Clusters are blocks of neighbouring numbers, as equal as possible.
const fn first_of(nodes: usize, clusters: usize, cluster: usize) -> usize {
    (cluster * nodes).div_ceil(clusters)
}

/// The way between two clusters goes through all between them: the last node of each is joined to
/// the first of the next.
fn clusters_way(nodes: usize, clusters: usize, low: usize, high: usize) -> Way {
    let (from, to) = (low * clusters / nodes, high * clusters / nodes);
    if from == to {
        return Way::hops(1);
    }
    let start = |cluster| first_of(nodes, clusters, cluster);
    let leaving = usize::from(low + 1 != start(from + 1));
    let arriving = usize::from(high != start(to));
    // With at least two nodes in each, every cluster in between costs a hop; of fewer, some have
    // one node, which is joined to both sides.
    let between = if nodes >= 2 * clusters {
        to - from - 1
    } else {
        (from + 1..to).filter(|&cluster| start(cluster + 1) - start(cluster) > 1).count()
    };
    Way { hops: (leaving + arriving + between) as u32, bridges: (to - from) as u32 }
}

/// Left to right and back again, so that a long line fits.
fn line_places(nodes: usize) -> Vec<(f64, f64)> {
    // As many as can be told apart in one row.
    const ROW: usize = 25;
    let columns = if nodes <= ROW { nodes.max(1) } else { square_root(nodes) };
    let at = |node: usize| {
        let (row, column) = (node / columns, node % columns);
        let column = if row.is_multiple_of(2) { column } else { columns - 1 - column };
        (column as f64, row as f64)
    };
    picture::fit((0..nodes).map(at).collect())
}

/// Layers, each child below its parent.
fn tree_places(nodes: usize, branching: usize) -> Vec<(f64, f64)> {
    let mut places = Vec::with_capacity(nodes);
    let (mut level, mut width) = (0.0, 1_usize);
    while places.len() < nodes {
        let count = width.min(nodes - places.len());
        places.extend((0..count).map(|at| ((at as f64 + 0.5) / width as f64, level)));
        level += 1.0;
        width = width.saturating_mul(branching);
    }
    let depth = (level - 1.0_f64).max(1.0);
    places.into_iter().map(|(x, y)| (x, 0.08 + 0.84 * y / depth)).collect()
}

#[cfg(test)]
mod tests;
