//! What lies between the agents: the switch, or the loopback device that they share.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use plexmesh_proto::types::Time;
use plexmesh_simulator::paths::Paths;
use plexmesh_simulator::report::{Spread, Traffic};
use plexmesh_simulator::scenario::Scenario;
use plexmesh_simulator::script::{Deed, Script};
use serde_json::Value;

use crate::agents::Place;
use crate::namespaces::{Namespaces, ip};
use crate::report::Packets;
use crate::switch::{Switch, address};
use crate::wires::Wires;

/// The port of every agent with an address of its own; IANA has given it to nobody.
const PORT: usize = 4_801;
/// The port of the first agent of those that share an address.
const FIRST_PORT: usize = 20_000;

/// What lies between the agents.
#[derive(Debug)]
pub(crate) struct Net {
    kind: Kind,
    places: Vec<Place>,
    // After the wires: namespaces go last.
    _namespaces: Namespaces,
}

#[derive(Debug)]
enum Kind {
    Switched(Wires),
    Loopback { namespace: String, sent_before: u64 },
}

impl Net {
    /// A switch with the paths of a scenario.
    pub(crate) fn switched(
        scenario: &Scenario,
        script: &Script,
        base: &Path,
        began: Instant,
    ) -> anyhow::Result<Self> {
        let mut namespaces = Namespaces::default();
        let switch = Switch::new(Paths::new(scenario, script, base)?, scenario.peers);
        let (wires, names) = Wires::lay(switch, scenario.peers, &mut namespaces, began)?;
        let place = |(host, namespace): (usize, String)| Place {
            namespace,
            listen: format!("/ip4/{}/udp/{PORT}/quic-v1", address(host)),
        };
        let places = names.into_iter().enumerate().map(place).collect();
        Ok(Self { kind: Kind::Switched(wires), places, _namespaces: namespaces })
    }

    /// One loopback device for all.
    pub(crate) fn loopback(hosts: usize) -> anyhow::Result<Self> {
        let mut namespaces = Namespaces::default();
        let namespace = namespaces.add(0)?;
        let place = |host: usize| {
            let listen = format!("/ip4/127.0.0.1/udp/{}/quic-v1", FIRST_PORT + host);
            Place { namespace: namespace.clone(), listen }
        };
        let places = (0..hosts).map(place).collect();
        let kind = Kind::Loopback { namespace: namespace.clone(), sent_before: 0 };
        Ok(Self { kind, places, _namespaces: namespaces })
    }

    pub(crate) const fn is_switched(&self) -> bool {
        matches!(self.kind, Kind::Switched(_))
    }

    /// Where each agent lives.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(crate) fn act(&self, deed: &Deed) {
        if let Kind::Switched(wires) = &self.kind {
            wires.act(deed);
        }
    }

    pub(crate) fn set_off(&self, host: usize, off: bool) {
        if let Kind::Switched(wires) = &self.kind {
            wires.set_off(host, off);
        }
    }

    /// Makes all paths whole. Says whether anything was wrong.
    pub(crate) fn heal(&self) -> bool {
        match &self.kind {
            Kind::Switched(wires) => wires.heal(),
            Kind::Loopback { .. } => false,
        }
    }

    /// Since when both ways between two hosts are open; `None` while they are not.
    pub(crate) fn joined_since(&self, a: usize, b: usize) -> Option<Time> {
        match &self.kind {
            Kind::Switched(wires) => wires.joined_since(a, b),
            Kind::Loopback { .. } => Some(Time(0)),
        }
    }

    /// Counts bytes anew.
    pub(crate) fn reset_traffic(&mut self) {
        match &mut self.kind {
            Kind::Switched(wires) => wires.reset_traffic(),
            Kind::Loopback { namespace, sent_before } => {
                *sent_before = loopback_bytes(namespace).unwrap_or_default()
            }
        }
    }

    /// What agents sent and received in the last `seconds`, since it was counted anew.
    pub(crate) fn traffic(&self, seconds: f64) -> anyhow::Result<(Traffic, Option<Packets>)> {
        let agents = self.places.len().max(1) as f64;
        match &self.kind {
            Kind::Switched(wires) => {
                let (traffic, counts, sizes) = wires.traffic();
                let bytes: u64 = sizes.iter().map(|(size, count)| *size as u64 * count).sum();
                let packets = Packets {
                    sent_per_second: counts.sent as f64 / seconds.max(1.0) / agents,
                    mean_bytes: bytes as f64 / counts.sent.max(1) as f64,
                    counts,
                    sizes,
                };
                Ok((traffic, Some(packets)))
            }
            Kind::Loopback { namespace, sent_before } => {
                // The device knows of no agents: the mean is all there is.
                let sent = loopback_bytes(namespace)?.saturating_sub(*sent_before);
                let mean = sent as f64 / seconds.max(1.0) / agents;
                let spread = Spread { mean, p50: mean, p99: mean, max: mean };
                Ok((Traffic { sent: spread, received: spread, ..Traffic::default() }, None))
            }
        }
    }
}

/// Bytes that passed the loopback device of a namespace, IP headers included.
fn loopback_bytes(namespace: &str) -> anyhow::Result<u64> {
    /// Loopback has an Ethernet header around each packet.
    const ETHERNET_BYTES: u64 = 14;
    let text = ip(&["-n", namespace, "-j", "-s", "link", "show", "dev", "lo"])?;
    let links: Value = serde_json::from_str(&text)?;
    let count = |key: &str| links.pointer(&format!("/0/stats64/tx/{key}")).and_then(Value::as_u64);
    let (bytes, packets) =
        count("bytes").zip(count("packets")).context("the loopback device has no figures")?;
    Ok(bytes.saturating_sub(packets * ETHERNET_BYTES))
}
