use super::*;

const HEAD: &str = "<graphml>
<key id='y' for='node' attr.name='Latitude'/><key id='x' for='node' attr.name='Longitude'/>
<key id='l' for='node' attr.name='label'/><key id='i' for='node' attr.name='Internal'/>
<graph edgedefault='undirected'>
";

fn node(id: &str, x: f64) -> String {
    format!("<node id='{id}'><data key='y'>0</data><data key='x'>{x}</data></node>\n")
}

fn edge(from: &str, to: &str) -> String {
    format!("<edge source='{from}' target='{to}'/>\n")
}

fn read(body: &str) -> Result<Network, String> {
    let text = format!("{HEAD}{body}</graph></graphml>");
    parse(&Text { file: "my.graphml".into(), text }).map_err(|error| error.to_string())
}

fn refused(body: &str, expected: &str) {
    let error = read(body).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn packets_take_the_shortest_way_over_the_cables() {
    // On the equator, ten degrees are 1,112 km: 5,560 us. a-b-c is shorter than a-d-c.
    let body = [
        node("a", 0.0),
        node("b", 10.0),
        node("c", 20.0),
        node("d", -30.0),
        edge("a", "b"),
        edge("b", "c"),
        edge("a", "d"),
        edge("d", "c"),
        edge("a", "a"),
    ];
    let table = read(&body.concat()).unwrap().table(0);
    assert!(table[1].abs_diff(5_560) < 5, "{table:?}");
    assert!(table[2].abs_diff(11_119) < 5, "{table:?}");
    assert_eq!(table[2], table[8]);
}

#[test]
fn access_counts_at_both_ends_and_near_nodes_are_not_at_one_spot() {
    let body = [node("a", 0.0), node("b", 0.0), edge("a", "b")].concat();
    assert_eq!(read(&body).unwrap().table(2_000), [4_500, 4_500, 4_500, 4_500]);
}

#[test]
fn external_nodes_without_coordinates_are_left_out_with_their_edges() {
    let external = "<node id='e'><data key='i'>0</data></node>\n";
    let body = node("a", 0.0) + &node("b", 1.0) + external + &edge("a", "b") + &edge("b", "e");
    assert_eq!(read(&body).unwrap().places(), 2);
}

#[test]
fn a_node_without_coordinates_is_named_with_its_line() {
    let lost = "<node id='q'><data key='l'>Quito</data><data key='i'>1</data></node>\n";
    refused(&(node("a", 0.0) + lost), "my.graphml:6:1: node `q` (Quito) is without coordinates");
}

#[test]
fn a_file_without_coordinates_is_refused() {
    let text = "<graphml>\n<graph><node id='a'/></graph></graphml>".into();
    let error = parse(&Text { file: "my.graphml".into(), text }).unwrap_err().to_string();
    assert!(error.starts_with("my.graphml:2:1: a network without coordinates"), "{error}");
}

#[test]
fn components_are_listed() {
    let body = [node("a", 0.0), node("b", 1.0), node("c", 2.0), edge("a", "c")].concat();
    refused(
        &body,
        "my.graphml:6:1: the network has 2 components without a way between them: 2 (a, c), 1 (b)",
    );
}

#[test]
fn what_is_no_network_is_refused_with_its_line() {
    refused("<node id='a'></graph>", "this is no XML");
    refused(&node("a", 0.0), "1 nodes with coordinates; 2 to 2048");
    refused(&node("a", 181.0), "my.graphml:5:1: node `a` (a): longitude 181");
    refused(&(node("a", 0.0) + &node("a", 1.0)), "my.graphml:6:1: a second node `a`");
    let body = [node("a", 0.0), node("b", 1.0), edge("a", "z")].concat();
    refused(&body, "my.graphml:7:1: an edge with target `z`, but there is no such node");
    refused("<node id='a'><data key='y'>north</data></node>", "`north` as a coordinate");
    let other = Text { file: "my.svg".into(), text: "<svg/>".into() };
    assert!(parse(&other).unwrap_err().to_string().contains("<svg> where <graphml> is expected"));
}
