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

fn keyed(counters: impl IntoIterator<Item = (&'static str, u64)>) -> BTreeMap<String, u64> {
    counters.into_iter().map(|(name, count)| (camel_case(name), count)).collect()
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

fn transport(stats: &NetStats) -> impl Iterator<Item = (&'static str, u64)> {
    stats.figures().into_iter().map(|figure| (figure.name, figure.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_keyed_as_all_json_is() {
        let stats = NetStats { received_bytes: 7, ..NetStats::default() };
        assert_eq!(keyed(transport(&stats)).get("receivedBytes"), Some(&7));
    }
}
