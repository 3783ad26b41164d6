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

macro_rules! listed {
    ($stats:ident: $($name:ident)*) => {{
        // Taken apart in full, so that a new counter cannot be forgotten here.
        let NetStats { $($name),* } = *$stats;
        [$((stringify!($name), $name)),*]
    }};
}

fn transport(stats: &NetStats) -> impl IntoIterator<Item = (&'static str, u64)> {
    listed! { stats:
        connected_peers established_connections unadmitted_connections waiting_events
        received_bytes sent_bytes dials dials_failed inbound_failed refused_by_us
        refused_by_them replaced_by_restart closed_surplus closed_unwanted
        closed_over_limit closed_silent closed_by_overflow frames_sent frames_received
        requests_sent requests_received responses_sent responses_received requests_failed
        broadcasts_published broadcasts_received broadcasts_unheard broadcasts_rejected
        dropped_commands dropped_frames_unconnected dropped_frames_queue
        dropped_frames_broken dropped_streams_malformed dropped_frames_events
        dropped_broadcasts_events dropped_broadcasts_unadmitted
        dropped_broadcasts_unjudged dropped_requests dropped_responses_late
        dropped_notices
    }
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
