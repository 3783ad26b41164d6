use super::*;

fn shape(kind: &Shape, nodes: usize) -> Box<dyn Made> {
    match *kind {
        Shape::SmallWorld { degree, rewire } => {
            Box::new(drawn::small_world(nodes, degree, rewire, 3).unwrap())
        }
        Shape::ScaleFree { links } => Box::new(drawn::scale_free(nodes, links, 3).unwrap()),
        Shape::RandomRegular { degree } => {
            Box::new(drawn::random_regular(nodes, degree, 3).unwrap())
        }
        _ => Box::new(Pattern::new(kind, nodes).unwrap()),
    }
}

fn degrees(made: &dyn Made, nodes: usize) -> Vec<usize> {
    let mut degrees = vec![0; nodes];
    for (from, to) in made.edges() {
        degrees[from] += 1;
        degrees[to] += 1;
    }
    degrees
}

fn diameter(made: &dyn Made, nodes: usize) -> u32 {
    let pairs = (0..nodes).flat_map(|a| (0..a).map(move |b| (a, b)));
    pairs.map(|(a, b)| made.way(a, b).hops + made.way(a, b).bridges).max().unwrap()
}

fn bridge() -> Span {
    Span::millis(90)
}

/// The way by Floyd and Warshall, with edges as long as the shape says.
fn shortest(made: &dyn Made, nodes: usize, hop: u64, bridge: u64) -> Vec<Vec<u64>> {
    let mut way = vec![vec![u64::MAX / 4; nodes]; nodes];
    for (a, b) in made.edges() {
        let edge = made.way(a, b);
        assert_eq!(edge.hops + edge.bridges, 1, "{a} {b} is an edge");
        let length = u64::from(edge.hops) * hop + u64::from(edge.bridges) * bridge;
        (way[a][b], way[b][a]) = (length, length);
    }
    for via in 0..nodes {
        for a in 0..nodes {
            for b in 0..nodes {
                way[a][b] = way[a][b].min(way[a][via] + way[via][b]);
            }
        }
    }
    way
}

#[test]
fn every_way_is_the_shortest_over_the_edges() {
    let shapes = [
        Shape::Full,
        Shape::Ring,
        Shape::Line,
        Shape::Star,
        Shape::Tree { branching: 1 },
        Shape::Tree { branching: 2 },
        Shape::Tree { branching: 50 },
        Shape::Grid,
        Shape::Clusters { clusters: 1, bridge: bridge() },
        Shape::Clusters { clusters: 3, bridge: bridge() },
        Shape::Clusters { clusters: 6, bridge: bridge() },
        Shape::SmallWorld { degree: 2, rewire: 0.0 },
        Shape::SmallWorld { degree: 4, rewire: 1.0 },
        Shape::ScaleFree { links: 1 },
        Shape::ScaleFree { links: 3 },
        Shape::RandomRegular { degree: 2 },
        Shape::RandomRegular { degree: 4 },
    ];
    for kind in shapes {
        for nodes in [7, 8, 12, 23] {
            let made = shape(&kind, nodes);
            let ways = shortest(made.as_ref(), nodes, 10, 90);
            for (a, b) in (0..nodes).flat_map(|a| (0..a).map(move |b| (a, b))) {
                let way = made.way(a, b);
                let length = u64::from(way.hops) * 10 + u64::from(way.bridges) * 90;
                assert_eq!(length, ways[a][b], "{kind:?} of {nodes}: {a} {b}");
            }
        }
    }
}

#[test]
fn patterns_have_the_degrees_and_diameters_of_their_names() {
    let check = |kind: &Shape, nodes: usize, edges: usize, diameter_is: u32| {
        let made = shape(kind, nodes);
        assert_eq!(
            (made.edges().len(), diameter(made.as_ref(), nodes)),
            (edges, diameter_is),
            "{kind:?}"
        );
    };
    check(&Shape::Full, 10, 45, 1);
    check(&Shape::Ring, 10, 10, 5);
    check(&Shape::Line, 10, 9, 9);
    check(&Shape::Star, 10, 9, 2);
    check(&Shape::Tree { branching: 2 }, 15, 14, 6);
    check(&Shape::Grid, 12, 17, 5);
    check(&Shape::Clusters { clusters: 3, bridge: bridge() }, 12, 20, 5);
}

#[test]
fn a_small_world_keeps_its_edges_and_becomes_small() {
    let ring = shape(&Shape::SmallWorld { degree: 4, rewire: 0.0 }, 100);
    let small = shape(&Shape::SmallWorld { degree: 4, rewire: 0.3 }, 100);
    assert_eq!((ring.edges().len(), small.edges().len()), (200, 200));
    assert!(degrees(ring.as_ref(), 100).iter().all(|degree| *degree == 4));
    assert_eq!(diameter(ring.as_ref(), 100), 25);
    assert!(diameter(small.as_ref(), 100) < 12);
}

#[test]
fn a_scale_free_graph_has_hubs_and_newcomers_with_their_links() {
    let made = shape(&Shape::ScaleFree { links: 2 }, 300);
    let degrees = degrees(made.as_ref(), 300);
    assert_eq!(made.edges().len(), 2 * 298);
    let most = degrees.iter().copied().max().unwrap();
    assert!(most > 20, "a hub has {most}");
    assert!(degrees.iter().skip(2).all(|degree| *degree >= 2));
}

#[test]
fn a_random_regular_graph_is_regular_however_dense() {
    for degree in [2, 3, 7, 20, 37, 39] {
        let made = shape(&Shape::RandomRegular { degree }, 40);
        assert!(degrees(made.as_ref(), 40).iter().all(|found| *found == degree), "{degree}");
    }
}

#[test]
fn another_seed_is_another_graph() {
    let of = |seed| drawn::random_regular(20, 3, seed).unwrap().edges();
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

#[test]
fn a_graph_is_drawn_until_it_is_connected_and_refused_if_it_never_is() {
    use petgraph::graph::UnGraph;
    let apart = || {
        let mut graph = UnGraph::<(), ()>::default();
        graph.add_node(());
        graph.add_node(());
        graph
    };
    let joined = || UnGraph::<(), ()>::from_edges([(0_u32, 1)]);
    let mut draws = 0;
    let third = drawn::until_connected("test", 1, |_| {
        draws += 1;
        Some(if draws == 3 { joined() } else { apart() })
    });
    assert_eq!((third.unwrap().edge_count(), draws), (1, 3));
    let error = drawn::until_connected("test", 1, |_| Some(apart())).unwrap_err().to_string();
    assert!(error.contains("no connected test graph in 100 draws"), "{error}");
}

#[test]
fn a_bridge_is_as_long_as_it_is_said_to_be() {
    let kind = Shape::Clusters { clusters: 2, bridge: bridge() };
    let topology = build(&kind, Span::millis(1), 10, 1).unwrap();
    let ms = |a, b| topology.model.one_way_us(a, b) / 1_000;
    assert_eq!([ms(0, 4), ms(4, 5), ms(0, 9)], [1, 90, 92]);
    assert!(topology.picture.edges.contains(&(4, 5, 90.0)));
}

#[test]
fn ten_thousand_peers_are_possible() {
    for kind in [Shape::Full, Shape::Grid, Shape::ScaleFree { links: 2 }] {
        let topology = build(&kind, Span::millis(1), 10_000, 1).unwrap();
        assert!(topology.model.one_way_us(17, 9_999) >= 1_000);
        assert!(topology.picture.edges.len() <= MAX_DRAWN_EDGES);
    }
}

#[test]
fn impossible_parameters_are_refused_with_what_is_possible() {
    let refused = |kind: Shape, nodes: usize, expected: &str| {
        let error = build(&kind, Span::millis(1), nodes, 1).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(Shape::SmallWorld { degree: 3, rewire: 0.1 }, 10, "an even number from 2 to 8");
    refused(Shape::SmallWorld { degree: 10, rewire: 0.1 }, 10, "an even number from 2 to 8");
    refused(Shape::SmallWorld { degree: 2, rewire: 0.1 }, 2, "has at least 3");
    refused(Shape::SmallWorld { degree: 2, rewire: f64::NAN }, 9, "rewire: NaN");
    refused(Shape::ScaleFree { links: 0 }, 9, "1 to 8 are possible");
    refused(Shape::ScaleFree { links: 9 }, 9, "1 to 8 are possible");
    refused(Shape::RandomRegular { degree: 9 }, 9, "at most 8 are possible");
    refused(Shape::RandomRegular { degree: 3 }, 9, "one of the two must be even");
    refused(Shape::RandomRegular { degree: 1 }, 10, "connected with at least 2");
    refused(Shape::RandomRegular { degree: 4_000 }, 10_000, "at most 100000");
    refused(Shape::Tree { branching: 0 }, 9, "at least 1");
    refused(Shape::Clusters { clusters: 0, bridge: bridge() }, 9, "1 to 9 are possible");
    refused(Shape::Clusters { clusters: 10, bridge: bridge() }, 9, "1 to 9 are possible");
    refused(Shape::Clusters { clusters: 2, bridge: Span::default() }, 9, "shape.bridge");
    let error = build(&Shape::Ring, Span::default(), 9, 1).unwrap_err().to_string();
    assert!(error.contains("network.latency.hop"), "{error}");
}
