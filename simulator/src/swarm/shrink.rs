//! Makes a script that breaks a promise as small as it gets: delta debugging (Zeller and
//! Hildebrandt 2002) on the list of faults, then on what each of them says.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::scenario::{Conditions, Entry, Fault, Latency, Scenario, Span, Who};

/// Most runs for one script. A script of eight faults needs about thirty to lose those that do not
/// matter; the rest makes the others simpler, which is worth minutes and not hours.
pub const MAX_RUNS: usize = 120;
/// A fault that is this short is not made shorter: nobody reads the difference.
const SHORTEST: Duration = Duration::from_secs(1);

/// The smallest script that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Smallest {
    /// It.
    pub scenario: Scenario,
    /// Runs that it took.
    pub runs: usize,
    /// Whether nothing more could be left out.
    pub complete: bool,
}

/// Makes a scenario smaller for as long as it breaks what it broke. `breaks` runs a candidate;
/// `None` ends the search.
pub fn shrink(
    scenario: &Scenario,
    most_runs: usize,
    breaks: &mut dyn FnMut(&Scenario) -> Option<bool>,
) -> Smallest {
    let mut search = Search {
        best: scenario.clone(),
        tried: BTreeSet::new(),
        runs: 0,
        most_runs,
        is_over: false,
        breaks,
    };
    loop {
        let before = search.best.clone();
        search.drop_faults();
        search.simplify_world();
        for index in 0..search.best.faults.len() {
            search.simplify_sets(index);
            search.simplify_fault(index);
            search.shorten(index);
        }
        if search.best == before || search.is_over {
            break;
        }
    }
    Smallest { scenario: search.best, runs: search.runs, complete: !search.is_over }
}

struct Search<'a> {
    best: Scenario,
    /// What was run, as it would be written.
    tried: BTreeSet<String>,
    runs: usize,
    most_runs: usize,
    is_over: bool,
    breaks: &'a mut dyn FnMut(&Scenario) -> Option<bool>,
}

impl Search<'_> {
    /// Runs what a change makes of the best, and keeps it if it still breaks.
    fn attempt(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        let mut candidate = self.best.clone();
        change(&mut candidate);
        if self.is_over || candidate == self.best || candidate.validate().is_err() {
            return false;
        }
        let Ok(text) = candidate.to_toml() else { return false };
        if !self.tried.insert(text) {
            return false;
        }
        if self.runs >= self.most_runs {
            self.is_over = true;
            return false;
        }
        self.runs += 1;
        match (self.breaks)(&candidate) {
            Some(true) => {
                self.best = candidate;
                true
            }
            Some(false) => false,
            None => {
                self.is_over = true;
                false
            }
        }
    }

    /// All at once, then halves, quarters and so on down to single ones.
    fn drop_faults(&mut self) {
        let mut size = self.best.faults.len();
        while size > 0 {
            let mut from = 0;
            while from < self.best.faults.len() {
                if !self.attempt(|scenario| remove(&mut scenario.faults, from, size)) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    fn simplify_world(&mut self) {
        self.attempt(|scenario| scenario.churn = None);
        let network = self.best.network.conditions;
        if !self.attempt(|scenario| scenario.network.conditions = Conditions::default()) {
            for simpler in without_one(&network) {
                let kept = self.best.network.conditions;
                self.attempt(|scenario| {
                    scenario.network.conditions = both(&kept, &simpler);
                });
            }
        }
        self.attempt(|scenario| scenario.network.links.clear());
        self.attempt(|scenario| scenario.network.latency = Latency::default());
        self.simplify_churn();
    }

    fn simplify_churn(&mut self) {
        let Some(Who::Listed(peers)) = self.best.churn.as_ref().map(|churn| &churn.peers) else {
            return;
        };
        self.fewer(peers.len(), |scenario| scenario.churn.as_mut().map(|churn| &mut churn.peers));
    }

    fn simplify_sets(&mut self, index: usize) {
        let Some(entry) = self.best.faults.get_mut(index) else { return };
        let sizes: Vec<usize> =
            entry.fault.sets_mut().into_iter().map(|set| size_of(set)).collect();
        for (place, size) in sizes.into_iter().enumerate() {
            self.fewer(size, |scenario| {
                let entry = scenario.faults.get_mut(index)?;
                entry.fault.sets_mut().into_iter().nth(place)
            });
        }
        let sides = |scenario: &Scenario| match scenario.faults.get(index).map(|entry| &entry.fault)
        {
            Some(Fault::Partition { sides }) => sides.len(),
            _ => 0,
        };
        for side in (0..sides(&self.best)).rev() {
            self.attempt(|scenario| {
                if let Some(Entry { fault: Fault::Partition { sides }, .. }) =
                    scenario.faults.get_mut(index)
                {
                    remove(sides, side, 1);
                }
            });
        }
    }

    /// Leaves hosts out of a list: halves first, single ones last, and never all.
    fn fewer(
        &mut self,
        hosts: usize,
        set: impl for<'s> Fn(&'s mut Scenario) -> Option<&'s mut Who>,
    ) {
        let (mut left, mut size) = (hosts, hosts / 2);
        while size > 0 {
            let mut from = 0;
            while from < left && left > size {
                let smaller = self.attempt(|scenario| {
                    if let Some(Who::Listed(peers)) = set(scenario) {
                        remove(peers, from, size);
                    }
                });
                if smaller {
                    left -= size.min(left - from);
                } else {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    fn simplify_fault(&mut self, index: usize) {
        loop {
            let Some(entry) = self.best.faults.get(index) else { return };
            let progress = simpler(&entry.fault).into_iter().any(|simpler| {
                self.attempt(|scenario| {
                    if let Some(entry) = scenario.faults.get_mut(index) {
                        entry.fault = simpler;
                    }
                })
            });
            if !progress {
                return;
            }
        }
    }

    fn shorten(&mut self, index: usize) {
        while let Some(lasts) = self.best.faults.get(index).and_then(|entry| entry.lasts) {
            let half = Duration::from_secs((lasts.0 / 2).as_secs());
            let shorter = |scenario: &mut Scenario| {
                if let Some(entry) = scenario.faults.get_mut(index) {
                    entry.lasts = Some(Span(half));
                }
            };
            if half < SHORTEST || !self.attempt(shorter) {
                return;
            }
        }
    }
}

fn remove<T>(list: &mut Vec<T>, from: usize, count: usize) {
    let end = from.saturating_add(count).min(list.len());
    list.drain(from.min(end)..end);
}

fn size_of(set: &Who) -> usize {
    match set {
        Who::Listed(peers) => peers.len(),
        Who::Count(_) | Who::Named(_) => 0,
    }
}

/// The same conditions, each time without another of them.
fn without_one(of: &Conditions) -> Vec<Conditions> {
    vec![
        Conditions { burst: None, ..*of },
        Conditions { reorder: None, ..*of },
        Conditions { duplicate: None, ..*of },
        Conditions { jitter: None, ..*of },
        Conditions { loss: None, ..*of },
    ]
}

/// What two conditions both have.
fn both(a: &Conditions, b: &Conditions) -> Conditions {
    Conditions {
        jitter: a.jitter.and(b.jitter),
        loss: a.loss.and(b.loss),
        burst: a.burst.and(b.burst),
        duplicate: a.duplicate.and(b.duplicate),
        reorder: a.reorder.and(b.reorder),
        up_kbps: a.up_kbps.and(b.up_kbps),
        down_kbps: a.down_kbps.and(b.down_kbps),
    }
}

/// The same fault with less in it, simplest first.
fn simpler(fault: &Fault) -> Vec<Fault> {
    match fault {
        Fault::Crash { peers, process_only, lose_state } => {
            [(false, false), (*process_only, false), (false, *lose_state)]
                .into_iter()
                .map(|(process_only, lose_state)| Fault::Crash {
                    peers: peers.clone(),
                    process_only,
                    lose_state,
                })
                .collect()
        }
        Fault::RollingRestart { peers, every, down, .. } => vec![Fault::RollingRestart {
            peers: peers.clone(),
            every: *every,
            down: *down,
            lose_state: false,
        }],
        Fault::Degrade { peers, conditions } => without_one(conditions)
            .into_iter()
            .map(|conditions| Fault::Degrade { peers: peers.clone(), conditions })
            .collect(),
        Fault::Join { count } => {
            vec![Fault::Join { count: 1 }, Fault::Join { count: (count / 2).max(1) }]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
