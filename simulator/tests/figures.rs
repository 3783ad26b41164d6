//! The rows of `plexmesh-sim figures` in reduced size: their form, and what must never be wrong. How
//! fast anything is says nothing there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a check fails by panicking"
)]

use std::path::Path;

use plexmesh_simulator::figures::{Measured, RowError, Size, rows_named};

fn measure(name: &str) -> Measured {
    let rows = rows_named(name);
    let row = rows.first().expect("there is such a row");
    row.measure(Size::Reduced, 1, Path::new(env!("CARGO_BIN_EXE_plexmesh-sim")), &|_| true).unwrap()
}

fn value(measured: &Measured, name: &str) -> Option<f64> {
    let found = measured.figures.iter().find(|figure| figure.name == name);
    found.unwrap_or_else(|| panic!("no `{name}` in {measured:?}")).value
}

#[test]
fn crashes_are_known_to_all_and_nobody_else_is_said_to_be_down() {
    for name in ["detection-loss-25", "detection-at-once-200"] {
        let measured = measure(name);
        assert_eq!(value(&measured, "survivors that never knew"), Some(0.0));
        assert_eq!(value(&measured, "false down"), Some(0.0));
        let (p50, p99) = (value(&measured, "p50").unwrap(), value(&measured, "p99").unwrap());
        assert!(0.0 < p50 && p50 <= p99, "{p50} {p99}");
    }
}

#[test]
fn nobody_is_falsely_said_to_be_down() {
    for name in ["false-down", "starved-observers", "gray-loss", "gray-flip-flop"] {
        assert_eq!(value(&measure(name), "false down"), Some(0.0), "{name}");
    }
}

#[test]
fn each_side_of_a_partition_names_it_and_its_end_is_seen() {
    let measured = measure("partition-70-30");
    let unnamed = value(&measured, "peers that do not name it with the sizes of both sides");
    assert_eq!(unnamed, Some(0.0));
    assert_eq!(value(&measured, "`down` on the own side after it"), Some(0.0));
    assert!(value(&measured, "all digests equal after its end").is_some());
}

#[test]
fn a_changed_record_reaches_every_peer() {
    let measured = measure("dissemination-loss-25");
    assert_eq!(value(&measured, "peers that did not get it"), Some(0.0));
    assert!(value(&measured, "at all").is_some_and(|seconds| seconds > 0.0));
}

#[test]
fn traffic_and_joining_and_memory_are_measured() {
    let traffic = measure("traffic-1000");
    assert!(traffic.held(), "{traffic:?}");
    assert!(value(&traffic, "sent").is_some_and(|rate| rate > 0.0));
    assert!(value(&measure("joining"), "all digests equal").is_some());
    assert!(value(&measure("simulator-speed"), "events on one core").is_some());
    assert!(value(&measure("simulator-memory"), "resident").is_some_and(|bytes| bytes > 1e6));
}

#[test]
fn a_row_that_is_told_to_stop_has_no_result() {
    let rows = rows_named("dissemination-loss-0");
    let row = rows.first().unwrap();
    let stopped = row.measure(Size::Reduced, 1, Path::new(""), &|_| false);
    assert!(matches!(stopped, Err(RowError::Interrupted)), "{stopped:?}");
}
