use std::path::Path;

use plexmesh_simulator::scenario::load;
use plexmesh_simulator::script::compile;

use super::*;

const FAULTS: &str = r#"
[[faults]]
at = "0s"
fault = "cut"
from = [0]
to = [1]
"#;

/// A switch of four hosts, 10 ms from each other, and its script.
fn switch(conditions: &str, faults: &str) -> (Switch, Vec<Deed>) {
    let text = format!(
        "format = 1\ntitle = \"t\"\npeers = 4\n[network.latency]\nmodel = \"uniform\"\nmin = \"10ms\"\nmax = \"10001us\"\n\
         [network.conditions]\njitter = \"0s\"\n{conditions}\n{faults}"
    );
    let scenario = load(&text, "test").unwrap();
    let script = compile(&scenario).unwrap();
    let paths = Paths::new(&scenario, &script, Path::new("")).unwrap();
    (Switch::new(paths, 4), script.steps.into_iter().map(|step| step.deed).collect())
}

fn packet(to: Ipv4Addr, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length.max(HEADER_BYTES)];
    bytes[0] = 0x45;
    bytes[16..20].copy_from_slice(&to.octets());
    bytes
}

#[test]
fn addresses_and_hosts_belong_together() {
    for host in [0, 1, 253, 254, 255, 256, 5_000] {
        assert_eq!(host_at(address(host)), Some(host));
    }
    assert_eq!(host_at(Ipv4Addr::new(10, 78, 0, 1)), None);
    assert_eq!(host_at(Ipv4Addr::new(10, 77, 0, 0)), None);
}

#[test]
fn a_packet_comes_after_the_latency_of_its_path_and_in_order() {
    let (mut switch, _) = switch("", "");
    switch.take(Time(0), 0, &packet(address(1), 100));
    switch.take(Time(5_000), 2, &packet(address(1), 60));
    assert_eq!(switch.next_due(), Some(Time(10_000)));
    assert_eq!(switch.due(Time(9_999)), None);
    assert_eq!(switch.due(Time(10_000)).map(|due| (due.to, due.bytes.len())), Some((1, 100)));
    assert_eq!(switch.due(Time(10_000)), None);
    assert_eq!(switch.due(Time(20_000)).map(|due| due.bytes.len()), Some(60));
    let (traffic, counts, sizes) = switch.traffic(Time(1_000_000));
    assert_eq!((counts.sent, counts.delivered), (2, 2));
    assert_eq!((traffic.sent.max, traffic.received.max), (100.0, 160.0));
    assert_eq!(sizes, BTreeMap::from([(60, 1), (100, 1)]));
}

#[test]
fn a_cut_way_takes_nothing_and_the_way_back_does() {
    let (mut switch, deeds) = switch("", FAULTS);
    switch.act(Time(0), &deeds[0]);
    switch.take(Time(0), 0, &packet(address(1), 100));
    switch.take(Time(0), 1, &packet(address(0), 100));
    assert_eq!(switch.due(Time(10_000)).map(|due| due.to), Some(0));
    assert_eq!(switch.traffic(Time(1)).1.blocked, 1);
    assert!(switch.heal(Time(20_000)));
    switch.take(Time(20_000), 0, &packet(address(1), 100));
    assert_eq!(switch.due(Time(30_000)).map(|due| due.to), Some(1));
}

#[test]
fn losses_are_those_of_the_scenario() {
    let (mut switch, _) = switch("loss = 0.25", "");
    for _ in 0..10_000 {
        switch.take(Time(0), 0, &packet(address(1), 100));
    }
    let lost = switch.traffic(Time(1)).1.lost;
    assert!((2_300..2_700).contains(&lost), "{lost}");
}

#[test]
fn a_host_that_is_off_neither_sends_nor_gets_what_was_on_its_way() {
    let (mut switch, _) = switch("", "");
    switch.take(Time(0), 0, &packet(address(1), 100));
    switch.set_off(1, true);
    switch.take(Time(0), 1, &packet(address(0), 100));
    assert_eq!(switch.due(Time(20_000)), None);
    assert_eq!(switch.traffic(Time(1)).1.host_off, 2);
}

#[test]
fn what_finds_no_room_or_nobody_is_counted() {
    let (mut switch, _) = switch("", "");
    for _ in 0..MAX_WAITING + 5 {
        switch.take(Time(0), 0, &packet(address(1), 20));
    }
    for stray in [packet(address(4), 40), packet(address(0), 40), vec![0x60; 60], vec![0x45; 5]] {
        switch.take(Time(0), 0, &stray);
    }
    let counts = switch.traffic(Time(1)).1;
    assert_eq!((counts.overflowed, counts.strays), (5, 4));
}
