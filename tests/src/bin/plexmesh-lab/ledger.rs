//! What happened and who knew it when. The lab knows which process runs and which path is open; what agents tell is held against that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plexmesh_proto::types::{SECOND, Time};
use plexmesh_simulator::history::News;
use plexmesh_simulator::measure::{self, Tidings};
use plexmesh_simulator::report::{Check, Delivery, Detection, MAX_VIOLATIONS, Violation};

use crate::watch::Told;

/// A process that runs, or a path that is open, for less than this is still being heard of: the simulator judges alike.
const NEWLY_WELL_US: u64 = 30 * SECOND;
/// Observers that have to have lost a peer before it is called down; below, `unreachable` is what can be known.
const DOWN_QUORUM: usize = 3;
/// A partition that lasts for less is not expected to be named.
const NAMED_WITHIN: Duration = Duration::from_secs(30);

/// Since when both ways between two hosts are open; `None` while they are not.
pub(crate) type Joined<'a> = dyn Fn(usize, usize) -> Option<Time> + 'a;

/// One crash.
#[derive(Debug)]
struct Case {
    subject: usize,
    at: Time,
    /// Who runs, and can be reached.
    expected: BTreeSet<usize>,
    knows: BTreeMap<usize, Time>,
    is_open: bool,
}

/// One partition.
#[derive(Debug)]
struct Parting {
    sides: Vec<BTreeSet<usize>>,
    at: Time,
    /// Who named it rightly, and when.
    named: BTreeMap<usize, Time>,
    is_open: bool,
}

/// All that the lab knows.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Since when each process runs without a pause; `None` while it does not.
    well_since: Vec<Option<Time>>,
    judges: bool,
    cases: Vec<Case>,
    partings: Vec<Parting>,
    named: Vec<Violation>,
    /// From the beginning of a partition until all on a side named it, in seconds.
    named_after: Vec<f64>,
    tidings: Vec<Tidings>,
    news: Vec<News>,
    false_downs: Vec<Violation>,
    false_down_count: u64,
    false_others: BTreeMap<String, u64>,
    counts: BTreeMap<String, u64>,
}

impl Ledger {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            well_since: vec![None; hosts],
            judges: false,
            cases: Vec::new(),
            partings: Vec::new(),
            named: Vec::new(),
            named_after: Vec::new(),
            tidings: Vec::new(),
            news: Vec::new(),
            false_downs: Vec::new(),
            false_down_count: 0,
            false_others: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    /// From now on accusations are judged.
    pub(crate) const fn judge(&mut self) {
        self.judges = true;
    }

    pub(crate) fn is_well(&self, host: usize) -> bool {
        self.well_since.get(host).is_some_and(Option::is_some)
    }

    pub(crate) fn well(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.well_since.len()).filter(|&host| self.is_well(host))
    }

    /// A process runs from now on.
    pub(crate) fn runs(&mut self, host: usize, now: Time) {
        if let Some(place) = self.well_since.get_mut(host) {
            *place = Some(now);
        }
        for case in self.cases.iter_mut().filter(|case| case.subject == host) {
            case.is_open = false;
        }
    }

    /// A process stands still.
    pub(crate) fn pauses(&mut self, host: usize) {
        if let Some(place) = self.well_since.get_mut(host) {
            *place = None;
        }
    }

    /// A process ended.
    pub(crate) fn crashed(&mut self, host: usize, now: Time, joined: &Joined<'_>) {
        self.pauses(host);
        let expected = self.well().filter(|&other| joined(host, other).is_some()).collect();
        self.cases.push(Case {
            subject: host,
            at: now,
            expected,
            knows: BTreeMap::new(),
            is_open: true,
        });
    }

    /// A shard of a host goes bad, or is whole again.
    pub(crate) fn tells(&mut self, host: usize, now: Time, count: u32) {
        let listeners = self.well().filter(|&other| other != host).collect();
        self.tidings.push(Tidings { origin: host, at: now, count, listeners });
    }

    /// The mesh fell into sides; who is on none forms one more.
    pub(crate) fn parted(&mut self, sides: &[Vec<usize>], now: Time) {
        self.united(now);
        let mut sides: Vec<BTreeSet<usize>> =
            sides.iter().map(|side| side.iter().copied().collect()).collect();
        let rest =
            (0..self.well_since.len()).filter(|host| !sides.iter().any(|side| side.contains(host)));
        let rest = rest.collect();
        sides.push(rest);
        self.partings.push(Parting { sides, at: now, named: BTreeMap::new(), is_open: true });
    }

    /// The sides come together: who did not name the partition had its time.
    pub(crate) fn united(&mut self, now: Time) {
        let well: BTreeSet<usize> = self.well().collect();
        let Some(parting) = self.partings.iter_mut().find(|parting| parting.is_open) else {
            return;
        };
        parting.is_open = false;
        if now.since(parting.at) < u64::try_from(NAMED_WITHIN.as_micros()).unwrap_or(u64::MAX) {
            return;
        }
        for side in &parting.sides {
            let on_side: Vec<usize> = side.intersection(&well).copied().collect();
            let times: Vec<Time> =
                on_side.iter().filter_map(|host| parting.named.get(host).copied()).collect();
            if times.len() == on_side.len() {
                let last = times.into_iter().max();
                self.named_after.extend(last.map(|last| seconds(last.since(parting.at))));
                continue;
            }
            for host in on_side.into_iter().filter(|host| !parting.named.contains_key(host)) {
                self.named.push(Violation {
                    at_seconds: seconds(now.0),
                    observer: Some(host),
                    subject: None,
                    detail: format!(
                        "peer {host} never said that {} are on the other side",
                        self.well_since.len() - side.len()
                    ),
                });
            }
        }
    }

    /// An agent told something.
    pub(crate) fn heard(&mut self, teller: usize, at: Time, what: &Told, joined: &Joined<'_>) {
        match what {
            Told::State { peer, to } => {
                self.count(&format!("{to} said"));
                self.learn(teller, *peer, to, at);
                self.accuse(teller, *peer, to, at, joined);
            }
            Told::Shards { peer, count } => {
                self.count("shards changed");
                self.news.push(News { at, observer: teller, subject: *peer, count: *count });
            }
            Told::Partition { outside } => {
                self.count("partition changed");
                self.name(teller, *outside, at);
            }
            Told::Other(kind) => self.count(kind),
        }
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    fn learn(&mut self, teller: usize, subject: usize, to: &str, at: Time) {
        for case in self
            .cases
            .iter_mut()
            .filter(|case| case.is_open && case.subject == subject && at >= case.at)
        {
            let is_known =
                to == "down" || (to == "unreachable" && case.expected.len() < DOWN_QUORUM);
            if is_known && case.expected.contains(&teller) {
                case.knows.entry(teller).or_insert(at);
            }
        }
    }

    fn name(&mut self, teller: usize, outside: usize, at: Time) {
        let well: BTreeSet<usize> = self.well().collect();
        let members = self.well_since.len();
        for parting in
            self.partings.iter_mut().filter(|parting| parting.is_open && at >= parting.at)
        {
            let side = parting.sides.iter().find(|side| side.contains(&teller));
            // Who crashed on the own side is outside of the component too.
            let inside = side.map_or(0, |side| side.intersection(&well).count());
            if outside == members - inside {
                parting.named.entry(teller).or_insert(at);
            }
        }
    }

    fn accuse(&mut self, teller: usize, subject: usize, to: &str, at: Time, joined: &Joined<'_>) {
        if !self.judges || !["down", "flapping", "unreachable"].contains(&to) {
            return;
        }
        let long_since = |since: Time| at.since(since) > NEWLY_WELL_US;
        let long_well =
            |host: usize| self.well_since.get(host).copied().flatten().is_some_and(long_since);
        let in_touch = |a: usize, b: usize| joined(a, b).is_some_and(long_since);
        // A quorum of observers may really have lost it.
        let lost =
            self.well().filter(|&other| other != subject && !in_touch(other, subject)).count();
        if !long_well(teller)
            || !long_well(subject)
            || !in_touch(teller, subject)
            || lost >= DOWN_QUORUM
        {
            return;
        }
        if to != "down" {
            *self.false_others.entry(to.to_owned()).or_default() += 1;
            return;
        }
        self.false_down_count += 1;
        if self.false_downs.len() < MAX_VIOLATIONS {
            self.false_downs.push(Violation {
                at_seconds: seconds(at.0),
                observer: Some(teller),
                subject: Some(subject),
                detail: format!(
                    "peer {teller} called peer {subject} down, which runs and is in touch"
                ),
            });
        }
    }

    /// Each crash, and who knew it when.
    pub(crate) fn detections(&self) -> Vec<Detection> {
        self.cases.iter().map(Case::report).collect()
    }

    /// Each piece of news, and who heard it when.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        measure::deliveries(&self.tidings, &self.news)
    }

    /// How often agents told what.
    pub(crate) const fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// What agents must not have said, and what they must have said.
    pub(crate) fn checks(&self, detection: Option<Duration>) -> Vec<Check> {
        let mut checks = vec![
            check(
                "no-false-down",
                format!("{} false", self.false_down_count),
                None,
                &self.false_downs,
            ),
            check("no-false-accusation", in_words(&self.false_others), None, &[]),
            self.detection(detection),
        ];
        if !self.partings.is_empty() {
            let after: Vec<String> =
                self.named_after.iter().map(|after| format!("{after:.1} s")).collect();
            let measured = format!("named by all of a side after {}", after.join(", "));
            checks.push(check("partition-named", measured, None, &self.named));
        }
        checks
    }

    fn detection(&self, bound: Option<Duration>) -> Check {
        let detections = self.detections();
        let all: Vec<f64> =
            detections.iter().filter_map(|detection| detection.all_seconds).collect();
        let slowest = all.iter().copied().fold(0.0, f64::max);
        let measured = format!(
            "{} of {} known to all, the slowest after {slowest:.2} s",
            all.len(),
            detections.len()
        );
        let bound_s = bound.map(|bound| bound.as_secs_f64());
        let late = self.cases.iter().zip(&detections).filter(|(case, detection)| {
            // One that came back before all knew is not judged.
            let after = detection.all_seconds.or(case.is_open.then_some(f64::INFINITY));
            after.zip(bound_s).is_some_and(|(after, bound)| after > bound)
        });
        let violations: Vec<Violation> = late
            .map(|(case, detection)| Violation {
                at_seconds: detection.at_seconds,
                observer: None,
                subject: Some(case.subject),
                detail: format!(
                    "{} of {} know of peer {}",
                    case.knows.len(),
                    case.expected.len(),
                    case.subject
                ),
            })
            .collect();
        check("detection", measured, bound_s.map(|bound| format!("{bound} s")), &violations)
    }
}

impl Case {
    fn report(&self) -> Detection {
        let since = |at: &Time| seconds(at.since(self.at));
        let each_seconds = measure::quantile::sorted(self.knows.values().map(since).collect());
        Detection {
            subject: self.subject,
            at_seconds: seconds(self.at.0),
            first_seconds: each_seconds.first().copied(),
            all_seconds: each_seconds
                .last()
                .copied()
                .filter(|_| self.knows.len() == self.expected.len()),
            unaware: self.expected.len().saturating_sub(self.knows.len()),
            each_seconds,
        }
    }
}

/// A check that holds if nothing broke it.
pub(crate) fn check(
    promise: &str,
    measured: String,
    bound: Option<String>,
    violations: &[Violation],
) -> Check {
    Check {
        promise: promise.to_owned(),
        held: violations.is_empty(),
        measured,
        bound,
        violations: violations.iter().take(MAX_VIOLATIONS).cloned().collect(),
        violation_count: violations.len() as u64,
    }
}

fn in_words(counts: &BTreeMap<String, u64>) -> String {
    let words: Vec<String> =
        counts.iter().map(|(state, count)| format!("{state} {count}")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// Microseconds as seconds.
pub(crate) fn seconds(us: u64) -> f64 {
    us as f64 / SECOND as f64
}

#[cfg(test)]
mod tests;
