use super::*;
use crate::scenario::load;

const TOPOLOGY: &str = include_str!("../../tests/data/topology.json");
const LATENCY: &str = include_str!("../../tests/data/latency.json");

fn error(text: &str) -> String {
    read(&[("mesh.json", text)]).unwrap_err().to_string()
}

#[test]
fn a_real_mesh_becomes_a_scenario_of_as_many_peers() {
    let mesh = read(&[("mesh.json", TOPOLOGY)]).unwrap();
    let names: Vec<&str> = mesh.members().iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["peer-1", "peer-2", "peer-3", "peer-4", "peer-5"]);
    assert_eq!(mesh.count(Source::Measured) + mesh.count(Source::Estimated), 20);
    let text = mesh.scenario_file(Some("mesh.tsv")).unwrap();
    let scenario = load(&text, "mesh.toml").unwrap();
    assert_eq!(scenario, mesh.scenario(Some("mesh.tsv")));
    assert_eq!(scenario.peers, 5);
    assert!(scenario.network.conditions.jitter.is_some());
    for member in mesh.members() {
        assert!(text.contains(&member.id));
    }
}

#[test]
fn the_matrix_gives_every_path_what_was_measured() {
    let mesh = read(&[("mesh.json", TOPOLOGY), ("latency.json", LATENCY)]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("mesh.tsv"), mesh.matrix()).unwrap();
    let scenario = mesh.scenario(Some("mesh.tsv"));
    let built = crate::topology::build(&scenario.network, 5, 1, directory.path()).unwrap();
    for (from, to) in (0..5).flat_map(|from| (0..5).map(move |to| (from, to))) {
        if from != to {
            let (us, _) = mesh.round_trip_us(from, to).unwrap();
            assert_eq!(built.model.one_way_us(from, to), u64::from(us.div_ceil(2)));
        }
    }
}

#[test]
fn a_scenario_with_the_latencies_in_itself_has_the_same_paths() {
    let mesh = read(&[("mesh.json", TOPOLOGY)]).unwrap();
    let scenario = load(&mesh.scenario_file(None).unwrap(), "mesh.toml").unwrap();
    let built = crate::topology::build(&scenario.network, 5, 1, std::path::Path::new("")).unwrap();
    let (us, _) = mesh.round_trip_us(1, 4).unwrap();
    assert_eq!(built.model.one_way_us(1, 4), u64::from(us.div_ceil(2)));
}

/// Three peers of which one pair is measured, one estimated and one unknown.
fn three() -> String {
    r#"{ "apiVersion": "plexmesh/v1", "kind": "Topology", "new": 1, "items": [{
        "peers": [
            { "id": "B", "name": "b\n[faults]", "isSelf": true, "rtt": null },
            { "id": "A", "name": "a", "rtt": { "micros": 900, "estimated": true } },
            { "id": "C", "name": null, "availability": "intermittent", "sleepGraceSeconds": 60.0 },
            { "id": "D", "name": "gone", "state": "left" }
        ],
        "edges": [
            { "observer": "C", "subject": "B", "status": "heard",
              "figures": { "rttP50Micros": 501, "jitterMicros": 20, "lossPercent": 1.0 } },
            { "observer": "D", "subject": "B", "status": "heard", "figures": null }
        ] }] }"#
        .to_owned()
}

#[test]
fn what_is_estimated_or_unknown_is_marked_and_the_median_stands_for_it() {
    let mesh = read(&[("three.json", &three())]).unwrap();
    let ids: Vec<&str> = mesh.members().iter().map(|member| member.id.as_str()).collect();
    assert_eq!(ids, ["C", "A", "B"]);
    assert_eq!(mesh.round_trip_us(0, 2), Some((501, Source::Measured)));
    assert_eq!(mesh.round_trip_us(2, 0), Some((501, Source::Measured)));
    assert_eq!(mesh.round_trip_us(1, 2), Some((900, Source::Estimated)));
    assert_eq!(mesh.round_trip_us(0, 1), Some((900, Source::Median)));
    assert!(mesh.matrix().contains("estimated to 2; unknown to 0"), "{}", mesh.matrix());
    let text = mesh.scenario_file(Some("three.tsv")).unwrap();
    let scenario = load(&text, "three.toml").unwrap();
    assert!(text.contains("2 measured, 2 estimated from coordinates, 2 unknown"), "{text}");
    assert_eq!((scenario.faults.len(), scenario.groups.len()), (0, 1), "a name is no table");
    assert_eq!(scenario.groups[0].sleep_grace, Some(Span::seconds(60)));
}

#[test]
fn what_is_no_mesh_is_refused_with_its_place() {
    let half = &TOPOLOGY[..TOPOLOGY.len() / 2];
    let line = half.matches('\n').count() + 1;
    assert!(error(half).starts_with(&format!("mesh.json:{line}:")), "{}", error(half));
    let other = error(&TOPOLOGY.replacen("\"Topology\"", "\"Status\"", 1));
    assert!(other.contains("it is a `Status`"), "{other}");
    let later = error(&TOPOLOGY.replacen("plexmesh/v1", "plexmesh/v2", 1));
    assert!(later.contains("`plexmesh/v2`"), "{later}");
    assert!(error("{}").contains("no `apiVersion`"));
    assert!(error("[]").starts_with("mesh.json:1:"), "{}", error("[]"));
    let wrong = error(&TOPOLOGY.replacen("\"peers\"", "\"people\"", 1));
    assert!(wrong.contains("missing field `peers`"), "{wrong}");
    let empty = r#"{ "apiVersion": "plexmesh/v1", "kind": "Topology",
        "items": [{ "peers": [], "edges": [] }] }"#;
    assert!(error(empty).contains("no member"));
}
