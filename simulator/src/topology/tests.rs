use std::fs;

use proptest::prelude::*;

use super::*;
use crate::scenario::{MatrixValues, Region, Shape, Unit};

fn of(latency: Latency) -> Network {
    Network { latency, ..Network::default() }
}

fn builtin_source(name: &str) -> Latency {
    match builtin(name).unwrap().kind {
        BuiltinKind::Matrix(_) => Latency::Matrix {
            source: name.into(),
            unit: None,
            values: MatrixValues::default(),
            symmetric: false,
        },
        BuiltinKind::Graphml => Latency::Graphml { source: name.into(), access: Span::millis(1) },
    }
}

fn made(network: &Network, peers: usize) -> Topology {
    build(network, peers, 7, Path::new(".")).unwrap()
}

fn refused(network: &Network, peers: usize) -> String {
    build(network, peers, 7, Path::new(".")).unwrap_err().to_string()
}

/// Round trips between all pairs of the first peers, in milliseconds and rising.
fn round_trips_ms(topology: &Topology, peers: usize) -> Vec<u64> {
    let pairs = (0..peers).flat_map(|a| (a + 1..peers).map(move |b| (a, b)));
    let us = pairs.map(|(a, b)| topology.model.one_way_us(a, b) + topology.model.one_way_us(b, a));
    let mut sorted: Vec<u64> = us.map(|us| (us + 500) / 1_000).collect();
    sorted.sort_unstable();
    sorted
}

fn everything() -> Vec<Latency> {
    let region = |name: &str, longitude, weight| Region {
        name: name.into(),
        latitude: 50.0,
        longitude,
        weight,
        access: Span::default(),
    };
    let regions = vec![region("east", 10.0, 2), region("west", -70.0, 1)];
    let shapes = [
        Shape::Full,
        Shape::Ring,
        Shape::Line,
        Shape::Star,
        Shape::Tree { branching: 2 },
        Shape::Grid,
        Shape::SmallWorld { degree: 4, rewire: 0.3 },
        Shape::ScaleFree { links: 2 },
        Shape::RandomRegular { degree: 4 },
        Shape::Clusters { clusters: 3, bridge: Span::millis(50) },
    ];
    let shapes = shapes.map(|shape| Latency::Generated { shape, hop: Span::millis(3) });
    builtins()
        .iter()
        .map(|builtin| builtin_source(builtin.name))
        .chain([Latency::default(), Latency::Regions { regions, detour: 1.5 }])
        .chain(shapes)
        .collect()
}

#[test]
fn every_model_has_positive_latencies_for_hosts_that_join_later_too() {
    for latency in everything() {
        let topology = made(&of(latency.clone()), 20);
        for (from, to) in (0..45).flat_map(|a| (0..45).map(move |b| (a, b))) {
            let us = topology.model.one_way_us(from, to);
            assert!((1..=MAX_ONE_WAY_US).contains(&us), "{latency:?} {from} {to}: {us}");
        }
    }
}

#[test]
fn every_model_but_measured_ones_is_the_same_both_ways() {
    for latency in everything() {
        if matches!(&latency, Latency::Matrix { source, .. } if source != "planetlab") {
            continue;
        }
        let topology = made(&of(latency.clone()), 20);
        for (from, to) in (0..30).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let (there, back) =
                (topology.model.one_way_us(from, to), topology.model.one_way_us(to, from));
            assert_eq!(there, back, "{latency:?} {from} {to}");
        }
    }
}

#[test]
fn every_picture_has_a_place_and_a_name_for_each_peer() {
    for latency in everything() {
        let topology = made(&of(latency.clone()), 20);
        let Picture { places, names, edges } = &topology.picture;
        assert_eq!((places.len(), names.len()), (20, 20), "{latency:?}");
        assert!(topology.regions.is_empty() || topology.regions.len() == 20, "{latency:?}");
        assert!(places.iter().all(|(x, y)| (0.0..=1.0).contains(x) && (0.0..=1.0).contains(y)));
        for (from, to, ms) in edges {
            let us = topology.model.one_way_us(*from, *to);
            assert!((ms * 1_000.0 - us as f64).abs() < 0.5, "{latency:?} {from} {to}");
        }
    }
}

#[test]
fn one_seed_is_one_topology() {
    for latency in everything() {
        let network = of(latency);
        let (one, same) = (made(&network, 20), made(&network, 20));
        assert_eq!(one.picture, same.picture);
        assert_eq!(round_trips_ms(&one, 20), round_trips_ms(&same, 20));
    }
}

#[test]
fn planetlab_is_as_it_was_measured() {
    let topology = made(&of(builtin_source("planetlab")), 490);
    let sorted = round_trips_ms(&topology, 490);
    let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100];
    assert_eq!([at(50), at(90), at(99), at(100)], [135, 291, 413, 2_984]);
}

#[test]
fn cloud_peers_know_their_region_and_both_ways_have_their_own_latency() {
    let topology = made(&of(builtin_source("cloud")), 30);
    assert_eq!(topology.regions[0], "af-south-1");
    assert_eq!(topology.regions[21], "af-south-1");
    assert_eq!(topology.picture.names[21], "af-south-1 #2");
    // 240 ms from Cape Town to Hong Kong, 241 ms back.
    assert_eq!(
        (topology.model.one_way_us(0, 1), topology.model.one_way_us(1, 0)),
        (120_000, 120_500)
    );
    assert_eq!(topology.model.one_way_us(0, 21), 500);
}

#[test]
fn a_network_of_the_zoo_is_as_long_as_the_country() {
    let topology = made(&of(builtin_source("zoo:abilene")), 11);
    assert_eq!(topology.cables.len(), 14);
    let names = &topology.picture.names;
    let at = |city: &str| names.iter().position(|name| name == city).unwrap();
    let coast = topology.model.one_way_us(at("New York"), at("Sunnyvale"));
    // 4,130 km as the crow flies are 20.6 ms; over the backbone it is somewhat further.
    assert!((22_600..28_000).contains(&coast), "{coast}");
    assert!(topology.cables.iter().all(|(_, _, ms)| (0.1..20.0).contains(ms)));
}

#[test]
fn builtins_have_as_many_places_as_they_say() {
    for builtin in builtins() {
        let places = match builtin.kind {
            BuiltinKind::Matrix(_) => builtin.matrix().unwrap().unwrap().rows,
            BuiltinKind::Graphml => builtin.network().unwrap().unwrap().places(),
        };
        assert_eq!(places, builtin.places, "{}", builtin.name);
    }
}

#[test]
fn a_built_in_matrix_does_not_take_a_wrong_unit() {
    let Latency::Matrix { source, values, symmetric, .. } = builtin_source("planetlab") else {
        unreachable!("planetlab is a matrix")
    };
    let unit = Some(Unit::S);
    let wrong = Latency::Matrix { source: source.clone(), unit, values, symmetric };
    assert!(
        refused(&of(wrong), 3).contains("network.latency.unit: `planetlab` is built in and in ms")
    );
    let one_way = MatrixValues::OneWay;
    let wrong = Latency::Matrix { source, unit: None, values: one_way, symmetric };
    assert!(refused(&of(wrong), 3).contains("has round trips"));
}

#[test]
fn a_source_of_the_other_kind_is_told_apart() {
    let graphml = Latency::Graphml { source: "planetlab".into(), access: Span::default() };
    assert!(refused(&of(graphml), 3).contains("say `model = \"matrix\"`"));
    let matrix = Latency::Matrix {
        source: "zoo:abilene".into(),
        unit: None,
        values: MatrixValues::default(),
        symmetric: false,
    };
    assert!(refused(&of(matrix), 3).contains("say `model = \"graphml\"`"));
}

#[test]
fn files_are_found_beside_the_scenario_and_unpacked() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(b"0 30\n40 0\n").unwrap();
    fs::write(folder.path().join("two.tsv.gz"), packed.finish().unwrap()).unwrap();
    fs::write(folder.path().join("plain.gz"), "0 30\n40 0\n").unwrap();
    let network = |source: &str, unit| {
        let values = MatrixValues::default();
        of(Latency::Matrix { source: source.into(), unit, values, symmetric: false })
    };
    let build = |network: &Network| build(network, 2, 1, folder.path());
    let topology = build(&network("two.tsv.gz", Some(Unit::Ms))).unwrap();
    assert_eq!(
        (topology.model.one_way_us(0, 1), topology.model.one_way_us(1, 0)),
        (15_000, 20_000)
    );
    let error = |source, unit| build(&network(source, unit)).unwrap_err().to_string();
    assert!(error("two.tsv.gz", None).contains("network.latency.unit: it is required for a file"));
    assert!(error("plain.gz", Some(Unit::Ms)).contains("must be packed with gzip"));
    assert!(error("none.tsv", Some(Unit::Ms)).contains("`plexmesh-sim topologies` lists"));
}

#[test]
fn a_changed_link_changes_one_direction_of_one_path() {
    let mut network = of(builtin_source("planetlab"));
    let before = made(&network, 10);
    network.links.push(LinkChange { from: 2, to: 5, latency: Span::millis(77) });
    let after = made(&network, 10);
    for (from, to) in (0..10).flat_map(|a| (0..10).map(move |b| (a, b))) {
        let expected =
            if (from, to) == (2, 5) { 77_000 } else { before.model.one_way_us(from, to) };
        assert_eq!(after.model.one_way_us(from, to), expected);
    }
}

#[test]
fn impossible_values_are_refused_with_what_is_possible() {
    let changed = |from, to, latency| {
        let links = vec![LinkChange { from, to, latency }];
        refused(&Network { links, ..Network::default() }, 5)
    };
    assert!(
        changed(0, 5, Span::millis(1))
            .contains("network.links[0]: from 0 to 5; the peers are 0 to 4")
    );
    assert!(changed(3, 3, Span::millis(1)).contains("to itself"));
    assert!(changed(0, 1, Span::default()).contains("network.links[0].latency: no time at all"));
    assert!(changed(0, 1, Span::seconds(61)).contains("at most 60s"));
    let uniform = |min, max| {
        refused(&of(Latency::Uniform { min: Span::millis(min), max: Span::millis(max) }), 5)
    };
    assert!(uniform(9, 3).contains("network.latency.min"));
    assert!(uniform(0, 0).contains("network.latency.max"));
    assert!(refused(&Network::default(), 0).contains("0 peers; a topology is for 1 to 10000"));
}

proptest! {
    #[test]
    fn no_text_makes_the_matrix_reader_panic(text in "(?s).{0,200}") {
        read_matrix(&text);
    }

    #[test]
    fn no_numbers_make_the_matrix_reader_panic(
        rows in prop::collection::vec(prop::collection::vec("-?[0-9.e]{0,6}|-|nan|inf", 0..5), 0..5),
        separator in "[, \t]",
    ) {
        let lines: Vec<String> = rows.iter().map(|row| row.join(&separator)).collect();
        read_matrix(&lines.join("\n"));
    }

    #[test]
    fn no_text_makes_the_graph_reader_panic(text in "(?s).{0,200}") {
        read_graph(&text);
    }

    #[test]
    fn no_graph_makes_the_graph_reader_panic(
        nodes in prop::collection::vec(("[a-c]", "[0-9.-]{0,5}", "[0-9.-]{0,5}"), 0..5),
        edges in prop::collection::vec(("[a-d]", "[a-d]"), 0..6),
    ) {
        let mut text = String::from(
            "<graphml><key id='y' for='node' attr.name='Latitude'/>\
             <key id='x' for='node' attr.name='Longitude'/><graph>",
        );
        for (id, y, x) in nodes {
            text += &format!("<node id='{id}'><data key='y'>{y}</data><data key='x'>{x}</data></node>\n");
        }
        for (from, to) in edges {
            text += &format!("<edge source='{from}' target='{to}'/>\n");
        }
        read_graph(&(text + "</graph></graphml>"));
    }
}

fn read_matrix(text: &str) {
    let text = read::Text { file: "test".into(), text: text.into() };
    for symmetric in [false, true] {
        let values = MatrixValues::OneWay;
        let how = matrix::Reading { unit: Some(Unit::Ms), values, symmetric };
        if let Ok(matrix) = matrix::parse(&text, Unit::Ms, how) {
            assert!(matrix.one_way_us.iter().all(|us| *us > 0));
        }
    }
}

fn read_graph(text: &str) {
    let text = read::Text { file: "test".into(), text: text.into() };
    if let Ok(network) = graphml::parse(&text) {
        assert!(network.places() > 1);
    }
}
