//! Bytes on the wire.

use std::collections::{BTreeMap, VecDeque};

use plexmesh_proto::types::Time;

use super::quantile::spread;
use crate::report::Traffic;
use crate::traffic::{Bytes, Channel, Meter};
use crate::world::World;

/// Seconds over which a highest rate is taken: a burst budget is a budget over seconds.
const WINDOW_S: usize = 5;

/// What `hosts` sent and received since the meters were last reset.
#[must_use]
pub fn traffic(world: &World, hosts: &[usize]) -> Traffic {
    let meters: Vec<&Meter> = hosts.iter().filter_map(|&host| world.traffic(host)).collect();
    traffic_of(&meters, world.time())
}

/// What the hosts of these meters sent and received since they were last reset, up to `now`.
#[must_use]
pub fn traffic_of(meters: &[&Meter], now: Time) -> Traffic {
    let rates: Vec<Bytes> = meters.iter().map(|meter| meter.mean_per_second(now)).collect();
    let peaks = meters.iter().map(|meter| {
        let peak = meter.peak_per_second();
        peak.sent.max(peak.received)
    });
    Traffic {
        sent: spread(rates.iter().map(|rate| rate.sent as f64).collect()),
        received: spread(rates.iter().map(|rate| rate.received as f64).collect()),
        sent_by_channel: by_channel(meters, &rates),
        peak_bytes_per_second: peaks.max().unwrap_or_default(),
    }
}

/// The mean rate of a peer, by channel.
fn by_channel(meters: &[&Meter], rates: &[Bytes]) -> BTreeMap<String, f64> {
    let total =
        |channel: Channel| -> u64 { meters.iter().map(|meter| meter.channel(channel).sent).sum() };
    let all: u64 = Channel::ALL.into_iter().map(total).sum();
    let rate: u64 = rates.iter().map(|rate| rate.sent).sum();
    let mean = rate as f64 / rates.len().max(1) as f64;
    let share = |channel| total(channel) as f64 / all.max(1) as f64;
    Channel::ALL
        .into_iter()
        .map(|channel| (format!("{channel:?}").to_lowercase(), mean * share(channel)))
        .collect()
}

/// What each host sent and received since the meters were last reset.
pub(crate) fn sent_and_received(world: &World) -> Vec<Bytes> {
    let totals = (0..world.len()).map(|host| world.traffic(host).map(Meter::total));
    totals.map(Option::unwrap_or_default).collect()
}

/// Rates over the last five seconds, from totals that are taken once a second.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    totals: VecDeque<Vec<Bytes>>,
}

impl Rates {
    /// Takes the present totals.
    pub(crate) fn take(&mut self, totals: Vec<Bytes>) {
        let reset = self.totals.back().is_some_and(|before| {
            before.iter().zip(&totals).any(|(before, after)| before.sent > after.sent)
        });
        if reset {
            self.totals.clear();
        }
        if self.totals.len() > WINDOW_S {
            self.totals.pop_front();
        }
        self.totals.push_back(totals);
    }

    /// Mean rates of all hosts over the last five seconds, in bytes per second; nothing before five
    /// seconds have passed.
    pub(crate) fn per_second(&self) -> impl Iterator<Item = (usize, Bytes)> + '_ {
        let whole = self.totals.len() > WINDOW_S;
        let first = self.totals.front().filter(|_| whole).map_or(&[][..], Vec::as_slice);
        let last = self.totals.back().map_or(&[][..], Vec::as_slice);
        let rate = |after: u64, before: u64| after.saturating_sub(before) / WINDOW_S as u64;
        first.iter().zip(last).enumerate().map(move |(host, (before, after))| {
            let sent = rate(after.sent, before.sent);
            (host, Bytes { sent, received: rate(after.received, before.received) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(sent: u64) -> Vec<Bytes> {
        vec![Bytes { sent, received: 2 * sent }]
    }

    #[test]
    fn a_rate_is_that_of_the_last_five_seconds() {
        let mut rates = Rates::default();
        for second in 0..5 {
            rates.take(total(second * 100));
            assert_eq!(rates.per_second().count(), 0);
        }
        rates.take(total(1_000));
        assert_eq!(rates.per_second().next(), Some((0, Bytes { sent: 200, received: 400 })));
        rates.take(total(1_000));
        assert_eq!(rates.per_second().next(), Some((0, Bytes { sent: 180, received: 360 })));
    }

    #[test]
    fn a_reset_begins_anew() {
        let mut rates = Rates::default();
        (0..8).for_each(|second| rates.take(total(second * 100)));
        rates.take(total(5));
        assert_eq!(rates.per_second().count(), 0);
    }
}
