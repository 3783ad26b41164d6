//! Shapes that are drawn from the seed: small worlds, scale-free and random regular graphs.
//!
//! petgraph has the graph but no generators; rustworkx-core has two of the three, but brings rayon
//! and ndarray and draws from a stream of its own. The algorithms are short, and here they draw from
//! [`Dice`] alone.

use std::collections::{BTreeSet, VecDeque};

use petgraph::algo::connected_components;
use petgraph::graph::{NodeIndex, UnGraph};
use petgraph::visit::EdgeRef;

use super::{Made, Way};
use crate::dice::{Chance, Dice};
use crate::topology::{TopologyError, picture};

/// How often a graph is drawn until it is connected. Shapes that are usually connected succeed at
/// once; those that hardly ever are get refused.
const DRAWS: u64 = 100;

/// Most nodes times edges: counting hops from everywhere takes that many steps, a few seconds.
const MAX_STEPS: usize = 1_000_000_000;

/// Ring neighbours that are rewired with a probability (Watts and Strogatz, "Collective dynamics of
/// 'small-world' networks", Nature 1998).
pub(super) fn small_world(
    nodes: usize,
    degree: usize,
    rewire: f64,
    seed: u64,
) -> Result<Drawn, TopologyError> {
    if degree == 0 || !degree.is_multiple_of(2) || degree >= nodes {
        let most = nodes.saturating_sub(1) / 2 * 2;
        let message = if most == 0 {
            format!("{degree} neighbours among {nodes} peers; a small world has at least 3")
        } else {
            format!(
                "{degree} neighbours among {nodes} peers; an even number from 2 to {most} is possible"
            )
        };
        return Err(TopologyError::value("latency.shape.degree", message));
    }
    if !(0.0..=1.0).contains(&rewire) {
        let message = format!("{rewire}; it is a probability from 0 to 1");
        return Err(TopologyError::value("latency.shape.rewire", message));
    }
    check_size(nodes, nodes * degree / 2, "latency.shape.degree")?;
    let rewire = Chance::new(rewire);
    let graph = until_connected("small-world", seed, |dice| {
        let mut edges = Edges::default();
        let ring = (1..=degree / 2).flat_map(|by| (0..nodes).map(move |node| (node, by)));
        for (node, by) in ring.clone() {
            edges.add(node, (node + by) % nodes);
        }
        let mut degrees = vec![degree; nodes];
        for (node, by) in ring {
            let full = degrees.get(node).is_none_or(|degree| *degree >= nodes - 1);
            if full || !dice.happens(rewire) {
                continue;
            }
            let other = loop {
                let other = dice.below(nodes as u64) as usize;
                if other != node && !edges.has(node, other) {
                    break other;
                }
            };
            let neighbour = (node + by) % nodes;
            edges.remove(node, neighbour);
            edges.add(node, other);
            for (end, change) in [(neighbour, -1), (other, 1)] {
                if let Some(degree) = degrees.get_mut(end) {
                    *degree = degree.saturating_add_signed(change);
                }
            }
        }
        Some(edges.graph(nodes))
    })?;
    Ok(Drawn::new(graph, picture::circle(nodes)))
}

/// A newcomer links to those who have links, in proportion to how many (Barabasi and Albert,
/// "Emergence of scaling in random networks", Science 1999). It begins with a star of the first.
pub(super) fn scale_free(nodes: usize, links: usize, seed: u64) -> Result<Drawn, TopologyError> {
    if links == 0 || links >= nodes {
        let message = format!(
            "{links} links of a newcomer among {nodes} peers; 1 to {} are possible",
            nodes.saturating_sub(1)
        );
        return Err(TopologyError::value("latency.shape.links", message));
    }
    check_size(nodes, nodes * links, "latency.shape.links")?;
    let mut dice = Dice::new(seed, "topology scale-free", 0);
    let mut edges = Edges::default();
    // Every node as often as it has links.
    let mut ends = Vec::with_capacity(2 * nodes * links);
    for newcomer in links..nodes {
        let targets: BTreeSet<usize> = if newcomer == links {
            (0..links).collect()
        } else {
            let mut targets = BTreeSet::new();
            while targets.len() < links {
                targets.extend(ends.get(dice.below(ends.len() as u64) as usize));
            }
            targets
        };
        for target in targets {
            edges.add(newcomer, target);
            ends.extend([newcomer, target]);
        }
    }
    let graph = edges.graph(nodes);
    // Hubs in the middle.
    let mut order: Vec<usize> = (0..nodes).collect();
    order.sort_by_key(|node| std::cmp::Reverse(graph.neighbors(NodeIndex::new(*node)).count()));
    let mut places = vec![(0.5, 0.5); nodes];
    for (node, at) in order.into_iter().zip(picture::disc(nodes)) {
        if let Some(place) = places.get_mut(node) {
            *place = at;
        }
    }
    Ok(Drawn::new(graph, places))
}

/// A graph in which all have the same number of neighbours (Steger and Wormald, "Generating random
/// regular graphs quickly", 1999).
pub(super) fn random_regular(
    nodes: usize,
    degree: usize,
    seed: u64,
) -> Result<Drawn, TopologyError> {
    let fail = |message: String| Err(TopologyError::value("latency.shape.degree", message));
    if degree >= nodes {
        let most = nodes.saturating_sub(1);
        return fail(format!(
            "{degree} neighbours among {nodes} peers; at most {most} are possible"
        ));
    }
    if !(nodes * degree).is_multiple_of(2) {
        return fail(format!(
            "{degree} neighbours of {nodes} peers each; one of the two must be even, or an edge is \
             left with one end"
        ));
    }
    if degree < 2 && degree + 1 < nodes {
        return fail(format!(
            "{degree} neighbours among {nodes} peers; they are connected with at least 2"
        ));
    }
    check_size(nodes, nodes * degree / 2, "latency.shape.degree")?;
    // Dense graphs are drawn by what is missing, where few draws run into a dead end.
    let sparse = degree <= (nodes - 1) / 2;
    let graph = until_connected("random-regular", seed, |dice| match (degree, sparse) {
        // The only connected one is a ring: it is drawn as such, as most draws fall apart.
        (2, _) => Some(shuffled_ring(nodes, dice).graph(nodes)),
        (_, true) => Some(regular(nodes, degree, dice)?.graph(nodes)),
        (_, false) => {
            Some(regular(nodes, nodes - 1 - degree, dice)?.complement(nodes).graph(nodes))
        }
    })?;
    Ok(Drawn::new(graph, picture::circle(nodes)))
}

/// A connected graph and the hops between all its nodes.
pub(super) struct Drawn {
    graph: UnGraph<(), ()>,
    /// Of every pair, the higher node's row first.
    hops: Vec<u16>,
    places: Vec<(f64, f64)>,
}

impl std::fmt::Debug for Drawn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Millions of hops help nobody.
        f.debug_struct("Drawn").field("nodes", &self.graph.node_count()).finish_non_exhaustive()
    }
}

impl Drawn {
    fn new(graph: UnGraph<(), ()>, places: Vec<(f64, f64)>) -> Self {
        let nodes = graph.node_count();
        let mut hops = Vec::with_capacity(nodes * nodes.saturating_sub(1) / 2);
        let neighbours = neighbours(&graph);
        let mut found = vec![u16::MAX; nodes];
        for start in 0..nodes {
            breadth_first(&neighbours, start, &mut found);
            hops.extend_from_slice(found.get(..start).unwrap_or_default());
        }
        Self { graph, hops, places }
    }
}

impl Made for Drawn {
    fn way(&self, from: usize, to: usize) -> Way {
        let (low, high) = (from.min(to), from.max(to));
        if low == high {
            return Way::default();
        }
        let hops = self.hops.get(high * (high - 1) / 2 + low);
        Way::hops(hops.copied().map_or(0, usize::from))
    }

    fn edges(&self) -> Vec<(usize, usize)> {
        let ends = |a: usize, b: usize| (a.min(b), a.max(b));
        let edges = self.graph.edge_references();
        edges.map(|edge| ends(edge.source().index(), edge.target().index())).collect()
    }

    fn places(&self) -> Vec<(f64, f64)> {
        self.places.clone()
    }
}

/// Pairs of nodes, the lower first.
#[derive(Debug, Default)]
struct Edges(BTreeSet<(u32, u32)>);

impl Edges {
    fn add(&mut self, a: usize, b: usize) {
        self.0.insert(Self::pair(a, b));
    }

    fn remove(&mut self, a: usize, b: usize) {
        self.0.remove(&Self::pair(a, b));
    }

    fn has(&self, a: usize, b: usize) -> bool {
        self.0.contains(&Self::pair(a, b))
    }

    fn pair(a: usize, b: usize) -> (u32, u32) {
        (a.min(b) as u32, a.max(b) as u32)
    }

    /// All edges that are not there.
    fn complement(&self, nodes: usize) -> Self {
        let all = (0..nodes).flat_map(|a| (a + 1..nodes).map(move |b| Self::pair(a, b)));
        Self(all.filter(|pair| !self.0.contains(pair)).collect())
    }

    fn graph(&self, nodes: usize) -> UnGraph<(), ()> {
        let mut graph = UnGraph::with_capacity(nodes, self.0.len());
        for _ in 0..nodes {
            graph.add_node(());
        }
        for (a, b) in &self.0 {
            graph.add_edge(NodeIndex::from(*a), NodeIndex::from(*b), ());
        }
        graph
    }
}

/// Pairs up the free ends of all nodes; pairs that cannot be are shuffled again. `None` in a dead
/// end.
fn regular(nodes: usize, degree: usize, dice: &mut Dice) -> Option<Edges> {
    // Rounds in which hardly anything fits any more mean a dead end.
    const ROUNDS: usize = 1_000;
    let mut edges = Edges::default();
    let mut free: Vec<usize> =
        (0..nodes).flat_map(|node| std::iter::repeat_n(node, degree)).collect();
    for _ in 0..ROUNDS {
        if free.is_empty() {
            return Some(edges);
        }
        shuffle(&mut free, dice);
        let mut left = Vec::new();
        for pair in free.chunks(2) {
            match *pair {
                [a, b] if a != b && !edges.has(a, b) => edges.add(a, b),
                _ => left.extend_from_slice(pair),
            }
        }
        free = left;
    }
    None
}

fn shuffled_ring(nodes: usize, dice: &mut Dice) -> Edges {
    let mut order: Vec<usize> = (0..nodes).collect();
    shuffle(&mut order, dice);
    let mut edges = Edges::default();
    let nexts = order.iter().cycle().skip(1);
    order.iter().zip(nexts).for_each(|(a, b)| edges.add(*a, *b));
    edges
}

/// Fisher and Yates.
fn shuffle(values: &mut [usize], dice: &mut Dice) {
    for last in (1..values.len()).rev() {
        values.swap(last, dice.below(last as u64 + 1) as usize);
    }
}

/// Draws from a stream of its own each time, until a graph is connected.
pub(super) fn until_connected(
    shape: &str,
    seed: u64,
    mut draw: impl FnMut(&mut Dice) -> Option<UnGraph<(), ()>>,
) -> Result<UnGraph<(), ()>, TopologyError> {
    for index in 0..DRAWS {
        let mut dice = Dice::new(seed, "topology graph", index);
        if let Some(graph) = draw(&mut dice)
            && connected_components(&graph) == 1
        {
            return Ok(graph);
        }
    }
    let message = format!(
        "no connected {shape} graph in {DRAWS} draws; with more neighbours it is connected, and \
         with a lower `rewire` too"
    );
    Err(TopologyError::value("latency.shape", message))
}

fn check_size(nodes: usize, edges: usize, key: &str) -> Result<(), TopologyError> {
    let most = MAX_STEPS / nodes.max(1);
    if edges <= most {
        return Ok(());
    }
    let message = format!(
        "{edges} edges among {nodes} peers; at most {most}, as the hops from everywhere are counted"
    );
    Err(TopologyError::value(key, message))
}

/// Neighbours of all nodes in one piece: where those of a node begin, and all of them.
fn neighbours(graph: &UnGraph<(), ()>) -> (Vec<usize>, Vec<u32>) {
    let (mut starts, mut all) = (vec![0], Vec::with_capacity(2 * graph.edge_count()));
    for node in graph.node_indices() {
        all.extend(graph.neighbors(node).map(|neighbour| neighbour.index() as u32));
        starts.push(all.len());
    }
    (starts, all)
}

/// Hops from one node to all.
fn breadth_first((starts, all): &(Vec<usize>, Vec<u32>), start: usize, hops: &mut [u16]) {
    hops.fill(u16::MAX);
    let mut queue = VecDeque::from([start]);
    if let Some(own) = hops.get_mut(start) {
        *own = 0;
    }
    while let Some(node) = queue.pop_front() {
        let range = starts.get(node).zip(starts.get(node + 1));
        let next = hops.get(node).copied().unwrap_or(0).saturating_add(1);
        let neighbours = range.and_then(|(start, end)| all.get(*start..*end)).unwrap_or_default();
        for neighbour in neighbours {
            if let Some(found @ &mut u16::MAX) = hops.get_mut(*neighbour as usize) {
                *found = next;
                queue.push_back(*neighbour as usize);
            }
        }
    }
}
