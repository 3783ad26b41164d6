//! Networks as GraphML, such as those of the Internet Topology Zoo.
//!
//! Nodes have coordinates (`Latitude` and `Longitude`); cables follow the great circle and carry
//! both ways; packets take the shortest way. Nodes without coordinates that the file itself calls
//! external (`Internal` = 0: a neighbour's network, drawn beside the map) are left out with their
//! edges.

use std::collections::BTreeMap;
use std::path::Path;

use petgraph::algo::dijkstra;
use petgraph::graph::{NodeIndex, UnGraph};
use petgraph::unionfind::UnionFind;
use petgraph::visit::EdgeRef;
use roxmltree::{Document, Node};

use super::geo::{self, Coordinates, MAX_NAME_BYTES};
use super::places::{NEAR_US, Places};
use super::read::{self, Text};
use super::{Topology, TopologyError, bounded, data, picture};
use crate::report::Picture;
use crate::scenario::Span;

/// Most nodes: all pairs of them are kept, and the largest network of the Topology Zoo has 754.
const MAX_NODES: usize = 2_048;

/// A network.
#[derive(Clone, Debug)]
pub(super) struct Network {
    nodes: Vec<Site>,
    /// Ends and one-way latency in microseconds.
    graph: UnGraph<(), u32>,
}

/// A node.
#[derive(Clone, Debug)]
struct Site {
    name: String,
    at: Coordinates,
    /// Where in the file, in bytes.
    start: usize,
}

/// Peers at the nodes of a network, in turn.
pub(super) fn build(
    source: &Path,
    access: Span,
    peers: usize,
    base: &Path,
) -> Result<Topology, TopologyError> {
    let access_us = bounded(access, "latency.access")?;
    let network = match source.to_str().and_then(data::builtin) {
        Some(builtin) => builtin.network()?.ok_or_else(|| {
            let message = format!("`{}` is a matrix; say `model = \"matrix\"`", builtin.name);
            TopologyError::value("latency.source", message)
        })?,
        None => parse(&Text::read(source, base)?)?,
    };
    let count = network.nodes.len();
    let places = Places::in_turn(count, network.table(access_us).into());
    let globe: Vec<Coordinates> = network.nodes.iter().map(|node| node.at).collect();
    let names: Vec<String> = network.nodes.iter().map(|node| node.name.clone()).collect();
    let picture = Picture {
        places: picture::around(peers, &picture::projected(&globe), |peer| places.of(peer)),
        names: places.names(peers, &names),
        edges: Vec::new(),
    };
    let region = |peer: usize| names.get(places.of(peer)).map(|name| label(name));
    let regions = (0..peers).map_while(region).collect();
    let ends = |edge: petgraph::graph::EdgeReference<'_, u32>| {
        (edge.source().index(), edge.target().index(), f64::from(*edge.weight()) / 1_000.0)
    };
    let cables = network.graph.edge_references().map(ends);
    let cables = cables.filter(|(from, to, _)| from.max(to) < &peers).collect();
    Ok(Topology { model: Box::new(places), picture, regions, cables })
}

/// Reads a network.
pub(super) fn parse(text: &Text) -> Result<Network, TopologyError> {
    let document = Document::parse(&text.text).map_err(|error| {
        let at = error.pos();
        text.wrong((at.row as usize, at.col as usize), format!("this is no XML: {error}"))
    })?;
    Reader { text, document: &document }.network()
}

impl Network {
    /// How many nodes there are.
    #[cfg(test)]
    pub(super) const fn places(&self) -> usize {
        self.nodes.len()
    }

    /// One-way latencies of all pairs, in microseconds: the shortest way, but never below what two
    /// machines of one city need, and the access of both ends.
    fn table(&self, access_us: u64) -> Vec<u32> {
        let access = u32::try_from(2 * access_us).unwrap_or(u32::MAX);
        let mut table = Vec::with_capacity(self.nodes.len() * self.nodes.len());
        for from in self.graph.node_indices() {
            let ways = dijkstra(&self.graph, from, None, |cable| u64::from(*cable.weight()));
            for to in self.graph.node_indices() {
                let way = ways.get(&to).copied().unwrap_or(u64::from(NEAR_US));
                let way = u32::try_from(way).unwrap_or(u32::MAX).max(NEAR_US);
                table.push(way.saturating_add(access));
            }
        }
        table
    }
}

#[derive(Debug)]
struct Reader<'a, 'input> {
    text: &'a Text,
    document: &'a Document<'input>,
}

/// Identifiers of the keys that matter.
#[derive(Debug, Default)]
struct Keys<'a> {
    latitude: Option<&'a str>,
    longitude: Option<&'a str>,
    name: Option<&'a str>,
    internal: Option<&'a str>,
}

/// Which node an identifier means; `None` for one that is left out.
type Index<'a> = BTreeMap<&'a str, Option<usize>>;

impl<'a, 'input> Reader<'a, 'input> {
    fn network(&self) -> Result<Network, TopologyError> {
        let root = self.document.root_element();
        if root.tag_name().name() != "graphml" {
            let found = root.tag_name().name();
            return Err(self.wrong(root, format!("<{found}> where <graphml> is expected")));
        }
        let mut graphs = children(root, "graph");
        let graph = graphs.next().ok_or_else(|| self.wrong(root, "there is no <graph> in it"))?;
        if let Some(second) = graphs.next() {
            return Err(self.wrong(second, "a second <graph>; keep the one that is meant"));
        }
        let (nodes, index) = self.nodes(root, graph)?;
        let mut network = Network { nodes, graph: UnGraph::default() };
        for _ in &network.nodes {
            network.graph.add_node(());
        }
        for edge in children(graph, "edge") {
            let ends = (self.end(edge, "source", &index)?, self.end(edge, "target", &index)?);
            let (Some(from), Some(to)) = ends else { continue };
            let (Some(a), Some(b)) = (network.nodes.get(from), network.nodes.get(to)) else {
                continue;
            };
            if from != to {
                // Two sites of one town still have a wire between them.
                let us = geo::cable_us(a.at, b.at, 1.0).max(1);
                network.graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), us);
            }
        }
        self.check_connected(&network)?;
        Ok(network)
    }

    /// The nodes, and which of them an identifier means.
    fn nodes(
        &self,
        root: Node<'a, 'input>,
        graph: Node<'a, 'input>,
    ) -> Result<(Vec<Site>, Index<'a>), TopologyError> {
        let keys = Keys::of(root);
        let (Some(latitude), Some(longitude)) = (keys.latitude, keys.longitude) else {
            let message = "a network without coordinates: a <key for=\"node\"> with \
                           attr.name=\"Latitude\" and one with attr.name=\"Longitude\" are expected";
            return Err(self.wrong(graph, message));
        };
        let (mut nodes, mut index) = (Vec::new(), BTreeMap::new());
        for node in children(graph, "node") {
            let id = self.attribute(node, "id")?;
            if children(node, "graph").next().is_some() {
                return Err(self.wrong(
                    node,
                    format!("node `{id}` has a graph in it; only flat ones are read"),
                ));
            }
            let name = keys.name.and_then(|key| value(node, key)).unwrap_or(id);
            let at = (self.degrees(node, latitude)?, self.degrees(node, longitude)?);
            let site = match at {
                (Some(latitude), Some(longitude)) => {
                    let at = Coordinates { latitude, longitude };
                    if let Some(message) = at.wrong() {
                        return Err(self.wrong(node, format!("node `{id}` ({name}): {message}")));
                    }
                    nodes.push(Site { name: name.to_owned(), at, start: node.range().start });
                    Some(nodes.len() - 1)
                }
                _ if keys.internal.and_then(|key| value(node, key)) == Some("0") => None,
                _ => {
                    let message = format!(
                        "node `{id}` ({name}) is without coordinates; give it Latitude and \
                         Longitude, or mark it as external (`Internal` = 0), which leaves it out"
                    );
                    return Err(self.wrong(node, message));
                }
            };
            if index.insert(id, site).is_some() {
                return Err(
                    self.wrong(node, format!("a second node `{id}`; each has an id of its own"))
                );
            }
        }
        if !(2..=MAX_NODES).contains(&nodes.len()) {
            let message =
                format!("{} nodes with coordinates; 2 to {MAX_NODES} are possible", nodes.len());
            return Err(self.wrong(graph, message));
        }
        Ok((nodes, index))
    }

    fn degrees(&self, node: Node<'_, '_>, key: &str) -> Result<Option<f64>, TopologyError> {
        let Some(text) = value(node, key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let shown: String = text.chars().take(20).collect();
            self.wrong(node, format!("`{shown}` as a coordinate; degrees like 52.5 are expected"))
        })
    }

    /// An end of an edge; `None` if its node is left out.
    fn end(
        &self,
        edge: Node<'a, 'input>,
        which: &str,
        index: &Index<'_>,
    ) -> Result<Option<usize>, TopologyError> {
        let id = self.attribute(edge, which)?;
        let known = index.get(id).copied();
        known.ok_or_else(|| {
            self.wrong(edge, format!("an edge with {which} `{id}`, but there is no such node"))
        })
    }

    fn attribute(&self, node: Node<'a, 'input>, name: &str) -> Result<&'a str, TopologyError> {
        node.attribute(name).ok_or_else(|| {
            self.wrong(node, format!("a <{}> without `{name}`", node.tag_name().name()))
        })
    }

    fn check_connected(&self, network: &Network) -> Result<(), TopologyError> {
        let mut union = UnionFind::<usize>::new(network.nodes.len());
        for edge in network.graph.edge_references() {
            union.union(edge.source().index(), edge.target().index());
        }
        let mut parts: BTreeMap<usize, Vec<&Site>> = BTreeMap::new();
        for (part, node) in union.into_labeling().into_iter().zip(&network.nodes) {
            parts.entry(part).or_default().push(node);
        }
        let mut parts: Vec<Vec<&Site>> = parts.into_values().collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        let Some(stray) = parts.get(1).and_then(|part| part.first()) else { return Ok(()) };
        let described = parts.iter().take(5).map(|part| {
            let names: Vec<&str> = part.iter().take(3).map(|node| node.name.as_str()).collect();
            let more = if part.len() > names.len() { ", ..." } else { "" };
            format!("{} ({}{more})", part.len(), names.join(", "))
        });
        let described: Vec<String> = described.collect();
        let more = if parts.len() > described.len() { " and more" } else { "" };
        let message = format!(
            "the network has {} components without a way between them: {}{more}; keep one, or add \
             the edges that join them",
            parts.len(),
            described.join(", ")
        );
        Err(self.text.wrong(read::position(&self.text.text, stray.start), message))
    }

    fn wrong(&self, node: Node<'_, '_>, message: impl Into<String>) -> TopologyError {
        self.text.wrong(read::position(&self.text.text, node.range().start), message.into())
    }
}

impl<'a> Keys<'a> {
    fn of(root: Node<'a, '_>) -> Self {
        let mut keys = Self::default();
        for key in children(root, "key") {
            let is_of_nodes = matches!(key.attribute("for"), Some("node" | "all") | None);
            let (Some(id), Some(name)) = (key.attribute("id"), key.attribute("attr.name")) else {
                continue;
            };
            if !is_of_nodes {
                continue;
            }
            let place = match name.to_ascii_lowercase().as_str() {
                "latitude" | "lat" => &mut keys.latitude,
                "longitude" | "lon" | "lng" => &mut keys.longitude,
                "label" | "name" => &mut keys.name,
                "internal" => &mut keys.internal,
                _ => continue,
            };
            *place = Some(id);
        }
        keys
    }
}

fn children<'a, 'input>(
    node: Node<'a, 'input>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn value<'a>(node: Node<'a, '_>, key: &str) -> Option<&'a str> {
    let data = children(node, "data").find(|data| data.attribute("key") == Some(key))?;
    data.text().map(str::trim).filter(|text| !text.is_empty())
}

/// A name that fits where a peer says its region.
fn label(name: &str) -> String {
    let fits = |end: &usize| *end <= MAX_NAME_BYTES && name.is_char_boundary(*end);
    let end = (0..=name.len()).rev().find(fits).unwrap_or(0);
    name.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
