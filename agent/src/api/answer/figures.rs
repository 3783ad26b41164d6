//! What the agent did and dropped.

use std::collections::BTreeMap;

use plexmesh_net::NetStats;

use super::{envelope, seconds};
use crate::api::schema::{Figures, Item, Kind, One, SocketFigures};
use crate::query::Snapshot;
use crate::time::WallTime;

/// All counters and gauges.
#[must_use]
pub fn figures(moment: &Snapshot<'_>, socket: SocketFigures) -> One<Figures> {
    let overview = moment.node.overview(moment.now);
    let counters = moment.node.counters().iter().chain(moment.malformed);
    let figures = Figures {
        started_at: WallTime::from_ms(moment.started_ms),
        uptime_seconds: seconds(moment.now.wall_ms.saturating_sub(moment.started_ms)),
        listening: moment.listening.to_vec(),
        connections: overview.connections,
        records: overview.records,
        protocol: keyed(counters.map(|(name, count)| (*name, *count))),
        transport: keyed(transport(moment.net)),
        socket,
        events_forgotten: moment.events.forgotten(),
    };
    envelope(moment, Kind::Figures, Item { item: figures })
}

fn keyed(counters: impl IntoIterator<Item = (impl AsRef<str>, u64)>) -> BTreeMap<String, u64> {
    counters.into_iter().map(|(name, count)| (camel_case(name.as_ref()), count)).collect()
}

fn camel_case(name: &str) -> String {
    let mut upper = false;
    name.chars()
        .filter_map(|letter| {
            if letter == '_' {
                upper = true;
                return None;
            }
            let raise = core::mem::take(&mut upper);
            Some(if raise { letter.to_ascii_uppercase() } else { letter })
        })
        .collect()
}

/// Values that are told apart by words bear these behind the name.
fn transport(stats: &NetStats) -> impl Iterator<Item = (String, u64)> {
    stats.figures().into_iter().flat_map(|figure| {
        let named = move |words: &[&str]| [&[figure.name], words].concat().join("_");
        figure.values.into_iter().map(move |(words, value)| (named(words), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_keyed_as_all_json_is() {
        let stats = NetStats { received_bytes: 7, refused_other_mesh: 8, ..NetStats::default() };
        let keyed = keyed(transport(&stats));
        assert_eq!(keyed.get("receivedBytes"), Some(&7));
        assert_eq!(keyed.get("refusedOtherMesh"), Some(&8));
    }
}
