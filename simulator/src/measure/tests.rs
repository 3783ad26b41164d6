//! The measures of whole worlds.

use std::time::Duration;

use super::*;
use crate::{Start, World};

/// Ten peers, two minutes old: long enough for coordinates.
fn mesh() -> World {
    let mut world = World::builder(3).nodes(10).latency_ms(5..40).start(Start::Warm).build();
    world.run_for(Duration::from_secs(120));
    world
}

#[test]
fn a_sample_counts_what_runs_and_what_it_thinks() {
    let mut world = mesh();
    let mut sampler = Sampler::new();
    sampler.sample(&world);
    world.crash(9);
    world.run_for(Duration::from_secs(30));
    sampler.sample(&world);
    world.run_for(Duration::from_secs(1));
    let sample = sampler.sample(&world);
    assert_eq!((sample.at_seconds, sample.running), (151.0, 9));
    assert_eq!((sample.digests, sample.agreeing), (1, 1.0));
    let judged: Vec<(&str, u64)> =
        sample.judgements.iter().map(|(state, count)| (state.as_str(), *count)).collect();
    assert_eq!(judged, [("down", 9), ("up", 9 * 8)]);
    assert!(sample.sent_mean > 0.0 && sample.sent_mean <= sample.sent_max);
    // Heartbeats of a small mesh come every five seconds.
    assert!(sample.heartbeat_age_seconds.is_some_and(|age| age > 0.0 && age < 6.0));
}

#[test]
fn traffic_is_that_of_the_hosts_asked_for_since_the_reset() {
    let mut world = mesh();
    world.reset_traffic();
    world.run_for(Duration::from_secs(60));
    let all = traffic(&world, &(0..10).collect::<Vec<_>>());
    let one = traffic(&world, &[4]);
    let sent = world.traffic(4).unwrap().mean_per_second(world.time()).sent as f64;
    assert_eq!((one.sent.mean, one.sent.max), (sent, sent));
    assert!(all.sent.p50 <= all.sent.p99 && all.sent.p99 <= all.sent.max);
    let channels: f64 = all.sent_by_channel.values().sum();
    assert!((channels - all.sent.mean).abs() < 1.0, "{all:?}");
    assert!(all.peak_bytes_per_second as f64 >= all.sent.max);
}

#[test]
fn estimates_between_peers_without_an_edge_are_compared_with_the_paths() {
    let world = mesh();
    let error = latency_error(&world);
    assert_eq!(error.len(), 101);
    assert!(error.is_sorted() && error[50] > 0.0 && error[50] < 1.0, "{error:?}");
    assert!(latency_error(&World::builder(1).nodes(3).build()).is_empty());
}

#[test]
fn edges_are_who_observes_whom_with_the_latency_of_the_path() {
    let world = mesh();
    let edges = edges(&world);
    assert_eq!(edges.len(), 10 * 5);
    let (from, to, ms) = edges[0];
    assert_ne!(from, to);
    assert!((2.0 * ms - world.rtt_us(from, to) as f64 / 1e3).abs() < 1e-9);
}
