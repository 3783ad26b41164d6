//! Draws scenarios: a network, and what goes wrong in it.
//!
//! Faults are not spread evenly: they come in storms with quiet times between them, because much
//! breaks only when something new happens to a mesh that has just recovered. Every host is named,
//! so that leaving out one fault changes nothing about the others.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::dice::Dice;
use crate::scenario::{
    Churn, Conditions, Entry, FORMAT, Fault, Phases, Promises, Scenario, Span, Who,
};

mod deal;
mod network;

use deal::Deal;

/// Fewest peers: with less, a third of them is nobody.
pub const MIN_PEERS: usize = 5;
/// Shortest fault phase: a storm with time for something to begin and end, and quiet after it.
pub const SHORTEST_PHASE: Span = Span::seconds(20);
/// Most faults of a script: enough to meet each other, few enough to understand.
const MOST_FAULTS: u64 = 8;
/// Most storms of a fault phase.
const MOST_STORMS: u64 = 3;
/// A storm takes this part of its share of the fault phase, in per cent; the rest is quiet.
const STORM_PERCENT: u32 = 60;
/// Draws for one fault before it is left out: the kind of the first may find no host that is free.
const TRIES: usize = 8;

/// The scenario of a seed.
#[must_use]
pub fn scenario(seed: u64, peers: usize, phases: Phases) -> Scenario {
    let mut dice = Dice::new(seed, "swarm", 0);
    let mut deal = Deal::new(peers, phases.faults.0);
    let network = network::network(&mut dice, peers);
    let churn = churn(&mut dice, &mut deal);
    let faults = faults(&mut dice, &mut deal, phases.faults.0);
    Scenario {
        format: FORMAT,
        title: format!("Drawn from seed {seed}"),
        description: String::new(),
        peers,
        seed,
        start: crate::builder::Start::default(),
        phases,
        network,
        groups: Vec::new(),
        faults,
        churn,
        promises: Promises::default(),
    }
}

/// In one of six: peers that come and go all the time make everything else harder to see.
fn churn(dice: &mut Dice, deal: &mut Deal) -> Option<Churn> {
    if dice.below(6) > 0 {
        return None;
    }
    let whole = deal.whole();
    let peers = deal.stopped(dice, whole, 10)?;
    Some(Churn {
        peers: Who::Listed(peers),
        session: Span::seconds(between(dice, 30, 90)),
        absence: Span::seconds(between(dice, 10, 30)),
        lose_state: share(dice, 0, 500),
    })
}

fn faults(dice: &mut Dice, deal: &mut Deal, phase: Duration) -> Vec<Entry> {
    let storms = 1 + dice.below(MOST_STORMS) as u32;
    let apart = phase / storms;
    let storm = apart * STORM_PERCENT / 100;
    let count = 1 + dice.below(MOST_FAULTS);
    let mut starts: Vec<(Duration, Duration)> = (0..count)
        .map(|_| {
            let begin = apart * dice.below(u64::from(storms)) as u32;
            // In the first half, so that it has time to last.
            let at = begin + whole_seconds(dice, storm / 2);
            (at, begin + storm)
        })
        .collect();
    // Who is gone for good is known to everything that comes later.
    starts.sort_unstable();
    starts.into_iter().filter_map(|(at, calm)| entry(dice, deal, at, calm)).collect()
}

fn entry(dice: &mut Dice, deal: &mut Deal, at: Duration, calm: Duration) -> Option<Entry> {
    (0..TRIES).find_map(|_| {
        let lasts = lasts(dice, deal, at, calm);
        fault(dice, deal, at, lasts)
    })
}

/// To the end of the storm or shorter; in one of four, to the end of the phase.
fn lasts(dice: &mut Dice, deal: &Deal, at: Duration, calm: Duration) -> Duration {
    let (_, end) = deal.whole();
    if dice.below(4) == 0 {
        return end - at;
    }
    let most = (calm - at).as_secs().max(1);
    let least = (most / 4).max(1);
    Duration::from_secs(between(dice, least, most + 1))
}

fn fault(dice: &mut Dice, deal: &mut Deal, at: Duration, lasts: Duration) -> Option<Entry> {
    let during = (at, at + lasts);
    let entry = |fault| Some(Entry { at: Span(at), lasts: Some(Span(lasts)), fault });
    match dice.below(16) {
        0 | 1 => crash(dice, deal, at, lasts),
        2 => rolling_restart(dice, deal, at),
        3 => entry(Fault::Pause { peers: deal.stopped(dice, during, 15).map(Who::Listed)? }),
        4 => entry(Fault::Sleep { peers: deal.stopped(dice, during, 15).map(Who::Listed)? }),
        5 => entry(Fault::Slow {
            peers: deal.impaired(dice, during, 15).map(Who::Listed)?,
            delay: Span::millis(between(dice, 20, 1_500)),
        }),
        6 => entry(Fault::Starve {
            peers: deal.impaired(dice, during, 15).map(Who::Listed)?,
            run: Span::millis(between(dice, 50, 500)),
            stall: Span::millis(between(dice, 200, 4_000)),
        }),
        7 => {
            let (from, to) = deal.two_sets(dice, at)?;
            entry(Fault::Cut { from: Who::Listed(from), to: Who::Listed(to) })
        }
        8 => {
            let (between, and) = deal.two_sets(dice, at)?;
            entry(Fault::NoPath { between: Who::Listed(between), and: Who::Listed(and) })
        }
        9 => entry(Fault::FlipFlop {
            peers: deal.impaired(dice, during, 10).map(Who::Listed)?,
            direction: deal::direction(dice),
            off: Span::millis(between(dice, 1_000, 20_000)),
            on: Span::millis(between(dice, 1_000, 20_000)),
        }),
        10 => loss(dice, deal, at, lasts),
        11 => entry(Fault::Degrade {
            peers: deal.impaired(dice, during, 25).map(Who::Listed)?,
            conditions: worse(dice),
        }),
        12 => entry(Fault::Partition { sides: deal.sides(dice, during)? }),
        13 => entry(Fault::Clock {
            peers: deal.some(dice, at, 25).map(Who::Listed)?,
            jump_ms: jump_ms(dice),
        }),
        14 => {
            let (peers, lie) = deal.liars(dice, at)?;
            Some(Entry { at: Span(at), lasts: None, fault: Fault::Lie { peers, lie } })
        }
        _ => come_or_go(dice, deal, at),
    }
}

/// In one of three for good.
fn crash(dice: &mut Dice, deal: &mut Deal, at: Duration, lasts: Duration) -> Option<Entry> {
    let for_good = dice.below(3) == 0;
    let until = if for_good { Duration::MAX } else { at + lasts };
    let peers = deal.stopped(dice, (at, until), 20).map(Who::Listed)?;
    let process_only = dice.below(3) == 0;
    let lose_state = dice.below(4) == 0 && !for_good;
    let lasts = (!for_good).then_some(Span(lasts));
    Some(Entry { at: Span(at), lasts, fault: Fault::Crash { peers, process_only, lose_state } })
}

/// As many as there is time for.
fn rolling_restart(dice: &mut Dice, deal: &mut Deal, at: Duration) -> Option<Entry> {
    let every = Duration::from_secs(between(dice, 2, 9));
    let down = Duration::from_secs(between(dice, 1, 6));
    let (_, end) = deal.whole();
    let fits =
        (end.checked_sub(at)?.checked_sub(down)?.as_secs() / every.as_secs()).min(9) as usize;
    let until = at + every * fits as u32 + down;
    let mut peers = deal.stopped(dice, (at, until), 30)?;
    peers.truncate(fits + 1);
    let fault = Fault::RollingRestart {
        peers: Who::Listed(peers),
        every: Span(every),
        down: Span(down),
        lose_state: dice.below(4) == 0,
    };
    Some(Entry { at: Span(at), lasts: None, fault })
}

fn loss(dice: &mut Dice, deal: &mut Deal, at: Duration, lasts: Duration) -> Option<Entry> {
    let peers = deal.impaired(dice, (at, at + lasts), 15).map(Who::Listed)?;
    let much = share(dice, 100, 950);
    let (ingress, egress) = match deal::direction(dice) {
        crate::scenario::Direction::In => (much, 0.0),
        crate::scenario::Direction::Out => (0.0, much),
        crate::scenario::Direction::Both => (much, much),
    };
    let fault = Fault::Loss { peers, ingress, egress };
    Some(Entry { at: Span(at), lasts: Some(Span(lasts)), fault })
}

fn come_or_go(dice: &mut Dice, deal: &mut Deal, at: Duration) -> Option<Entry> {
    let fault = if dice.below(2) == 0 {
        Fault::Join { count: 1 + dice.below(1 + deal.peers() as u64 / 10) as usize }
    } else {
        Fault::Leave { peers: deal.stopped(dice, (at, Duration::MAX), 10).map(Who::Listed)? }
    };
    Some(Entry { at: Span(at), lasts: None, fault })
}

fn worse(dice: &mut Dice) -> Conditions {
    let mut conditions = network::conditions(dice);
    conditions.loss = Some(share(dice, 20, 300));
    conditions.jitter = Some(Span::millis(between(dice, 10, 200)));
    conditions
}

/// From a clock that was set by hand to one that lost its battery; either way.
fn jump_ms(dice: &mut Dice) -> i64 {
    const DAY_MS: u64 = 24 * 3_600 * 1_000;
    let most = [2_000, 60_000, 3_600_000, DAY_MS];
    let most = most.get(dice.below(4) as usize).copied().unwrap_or(DAY_MS);
    let jump = i64::try_from(between(dice, most / 4, most)).unwrap_or(1);
    if dice.below(2) == 0 { jump } else { -jump }
}

/// A number from `low` up to and without `high`.
fn between(dice: &mut Dice, low: u64, high: u64) -> u64 {
    low + dice.below(high.saturating_sub(low))
}

/// A share between two bounds in tenths of a per cent: short when it is written down.
fn share(dice: &mut Dice, low: u64, high: u64) -> f64 {
    between(dice, low, high) as f64 / 1_000.0
}

fn whole_seconds(dice: &mut Dice, below: Duration) -> Duration {
    Duration::from_secs(dice.below(below.as_secs()))
}

fn listed(hosts: BTreeSet<usize>) -> Vec<usize> {
    hosts.into_iter().collect()
}

#[cfg(test)]
mod tests;
