//! Peers that are neither well nor dead: exactly these are to be named, by everybody.
//!
//! A peer is flagged in the eyes of another one if its state there is `down`, `unreachable` or
//! `flapping`; or a finding there says that its word as an observer is not to be trusted; or several
//! edges, with different peers, are degraded or work one way only of which it is the one end, and no
//! other is flagged that would explain them. One bad edge flags nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::report::{Finding, HealthCode};
use plexmesh_proto::types::PeerId;

use super::bench::{Bench, Look, fault, violations};
use super::figure::{Bound, Figure, Measured, Unit};
use super::{Load, Row, RowError, seconds};
use crate::check::Phase;
use crate::run::Progress;
use crate::scenario::{Direction, Fault, Span, Who};
use crate::world::World;

/// What the paper on Rapid measured of others.
const OTHERS: &str =
    "Rapid removes exactly the faulty; memberlist never all, and its views differ (Rapid paper)";
/// The trouble begins so long after the fault phase, in seconds.
const TROUBLE_S: u64 = 10;
/// Peers whose findings are looked at in one second: to make those of one takes milliseconds.
const VIEWERS_A_SECOND: usize = 2;
/// Peers whose findings are looked at when the trouble ends.
const VIEWERS_AT_END: usize = 50;
/// News travels for so long at most: states that differ for longer do differ.
const TRAVEL_S: f64 = 10.0;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "gray-loss",
        what: "1 % of peers lose 80 % of what comes in",
        others: OTHERS,
        load: Load::Shared,
        measure: |bench| {
            gray(bench, Fault::Loss { peers: one_percent(), ingress: 0.8, egress: 0.0 })
        },
    },
    Row {
        name: "gray-flip-flop",
        what: "1 % of peers get nothing for 20 s, and all for 20 s, in turn",
        others: OTHERS,
        load: Load::Shared,
        measure: |bench| {
            let (off, on) = (Span::seconds(20), Span::seconds(20));
            gray(bench, Fault::FlipFlop { peers: one_percent(), direction: Direction::In, off, on })
        },
    },
];

fn one_percent() -> Who {
    Who::Named("1%".to_owned())
}

fn gray(bench: &Bench<'_>, trouble: Fault) -> Result<Measured, RowError> {
    let mut scenario = bench.quiet(bench.peers(), 0.0, TROUBLE_S + bench.pick(300, 120));
    scenario.faults.push(fault(TROUBLE_S, trouble));
    let (_, end) = scenario.phases.fault_phase();
    let mut watch = Flags { end, ..Flags::default() };
    let report = bench.run(&scenario, &mut watch)?;
    let figures = watch.figures(violations(&report, "no-false-down"));
    let alike = watch.alike_seconds as f64 / watch.seconds.max(1) as f64;
    let mut notes = vec![format!("{} peers in trouble", watch.gray.len())];
    notes.push(format!("states equal at all well peers in {:.0} % of all seconds", alike * 100.0));
    if let Some(first) = watch.first_other {
        notes.push(format!("first other: {first}"));
    }
    if let Some(missed) = watch.first_missed {
        notes.push(format!("first not flagged at the end: {missed}"));
    }
    let virtual_seconds = report.virtual_seconds;
    Ok(Measured { peers: scenario.peers, virtual_seconds, figures, notes })
}

/// Who is flagged by whom.
#[derive(Debug, Default)]
struct Flags {
    /// When the trouble ends.
    end: Duration,
    began: Option<Duration>,
    gray: BTreeSet<usize>,
    next_change: u64,
    next_viewer: usize,
    /// Well peers that a well one flagged at any time.
    others: BTreeSet<usize>,
    first_other: Option<String>,
    /// A gray peer that a viewer did not flag at the end.
    first_missed: Option<String>,
    /// When each well viewer that was looked at flagged all of the gray ones for the first time.
    all_flagged_after: Option<Duration>,
    /// At the end: viewers looked at, and those that flag exactly the gray ones.
    at_end: Option<(usize, usize)>,
    /// Seconds of trouble, and those in which all well peers had the same states.
    seconds: u64,
    alike_seconds: u64,
    differ_since: Option<Duration>,
    longest: Duration,
}

impl Look for Flags {
    fn look(&mut self, world: &World, progress: &Progress<'_>) {
        let from = std::mem::replace(&mut self.next_change, world.history().next_number());
        if progress.phase != Phase::Faults {
            return;
        }
        // Who flips is impaired half of the time: who ever was is in trouble.
        let impaired = (0..world.len()).filter(|&host| world.truth(host).impaired);
        self.gray.extend(impaired);
        if self.gray.is_empty() {
            return;
        }
        let began = *self.began.get_or_insert(progress.elapsed.saturating_sub(seconds(1)));
        self.look_at_changes(world, from);
        self.compare(world, progress.elapsed);
        let well = self.well(world);
        let is_end = progress.elapsed >= self.end;
        let looked = if is_end { VIEWERS_AT_END } else { VIEWERS_A_SECOND };
        let mut exact = 0;
        for viewer in self.some(&well, looked) {
            let flagged = flagged(world, viewer);
            let hosts: BTreeSet<usize> = flagged.keys().copied().collect();
            exact += usize::from(hosts == self.gray);
            if is_end && let Some(&host) = self.gray.difference(&hosts).next() {
                self.note_missed(world, viewer, host);
            }
            for (host, why) in flagged {
                if !self.gray.contains(&host) {
                    self.note_other(world, viewer, host, &why);
                }
            }
            if hosts.is_superset(&self.gray) && self.all_flagged_after.is_none() {
                self.all_flagged_after = Some(progress.elapsed.saturating_sub(began));
            }
        }
        if is_end {
            self.at_end = Some((looked.min(well.len()), exact));
        }
    }
}

impl Flags {
    fn figures(&self, false_down: u64) -> Vec<Figure> {
        let exact = self.at_end.map(|(looked, exact)| exact as f64 / looked.max(1) as f64);
        let flagged = self.all_flagged_after.map(|after| after.as_secs_f64());
        vec![
            Figure::new(
                "peers that flag exactly those in trouble at the end",
                exact,
                Unit::Share,
                Bound::Exactly(1.0),
            ),
            Figure::none("others ever flagged", self.others.len() as u64),
            Figure::none("false down", false_down),
            Figure::new("all flagged", flagged, Unit::Seconds, None),
            Figure::new(
                "states differed at a stretch",
                self.longest.as_secs_f64(),
                Unit::Seconds,
                Bound::AtMost(TRAVEL_S),
            ),
        ]
    }

    fn well(&self, world: &World) -> Vec<usize> {
        (0..world.len()).filter(|host| !self.gray.contains(host)).collect()
    }

    /// So many of `hosts`, others each time.
    fn some(&mut self, hosts: &[usize], count: usize) -> Vec<usize> {
        let first = self.next_viewer % hosts.len().max(1);
        self.next_viewer = first + count;
        hosts.iter().cycle().skip(first).take(count.min(hosts.len())).copied().collect()
    }

    fn look_at_changes(&mut self, world: &World, from: u64) {
        for change in world.history().changes_from(from) {
            let well = |host| !self.gray.contains(&host);
            if is_bad(change.to) && well(change.observer) && well(change.subject) {
                self.note_other(world, change.observer, change.subject, &in_words(change.to));
            }
        }
    }

    fn note_missed(&mut self, world: &World, viewer: usize, host: usize) {
        self.first_missed.get_or_insert_with(|| {
            let why = world.node(viewer).zip(world.peer_id(host)).and_then(|(n, p)| n.why(&p));
            let why =
                why.map_or_else(String::new, |it| format!("{:?} ({:?})", it.state, it.reason));
            format!("peer {host} at peer {viewer}: {}", why.to_lowercase())
        });
    }

    fn note_other(&mut self, world: &World, viewer: usize, host: usize, what: &str) {
        self.others.insert(host);
        let at = world.elapsed().as_secs_f64();
        self.first_other
            .get_or_insert_with(|| format!("peer {host} is {what} at peer {viewer} at {at:.0} s"));
    }

    /// Compares the states that well peers give; who is only being checked counts as up.
    fn compare(&mut self, world: &World, elapsed: Duration) {
        let hash = |viewer: usize| {
            let mut hasher = DefaultHasher::new();
            let states = world.node(viewer).into_iter().flat_map(|node| node.evaluation().states());
            states.for_each(|state| settled(state).hash(&mut hasher));
            hasher.finish()
        };
        let hashes: BTreeSet<u64> = self.well(world).into_iter().map(hash).collect();
        self.seconds += 1;
        if hashes.len() <= 1 {
            self.alike_seconds += 1;
            self.differ_since = None;
            return;
        }
        let since = *self.differ_since.get_or_insert(elapsed);
        self.longest = self.longest.max(elapsed.saturating_sub(since) + seconds(1));
    }
}

/// The number of a state for a comparison.
const fn settled(state: PeerState) -> u8 {
    match state {
        PeerState::Up | PeerState::Suspect => 0,
        PeerState::Flapping => 1,
        PeerState::Asleep => 2,
        PeerState::Unreachable => 3,
        PeerState::Down => 4,
        PeerState::Left => 5,
    }
}

const fn is_bad(state: PeerState) -> bool {
    matches!(state, PeerState::Down | PeerState::Flapping | PeerState::Unreachable)
}

/// Whom a peer flags, and why.
fn flagged(world: &World, viewer: usize) -> BTreeMap<usize, String> {
    let Some(node) = world.node(viewer) else { return BTreeMap::new() };
    let mut flagged = BTreeMap::new();
    for (member, state) in node.roster().members().iter().zip(node.evaluation().states()) {
        if let Some(host) = world.host_of(&member.id()).filter(|_| is_bad(state)) {
            flagged.insert(host, in_words(state));
        }
    }
    let findings = node.findings(world.now_at(viewer));
    let host = |peer: Option<PeerId>| peer.and_then(|peer| world.host_of(&peer));
    let disagree = findings.iter().filter(|found| found.code == HealthCode::ObserverDisagrees);
    for host in disagree.filter_map(|found| host(found.peer)) {
        flagged.entry(host).or_insert_with(|| "an observer that disagrees".to_owned());
    }
    // The two ways between two peers are one bad path.
    let mut ends: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for found in findings.iter().filter(|found| is_of_edge(found)) {
        let (Some(a), Some(b)) = (host(found.peer), host(found.other)) else { continue };
        if !flagged.contains_key(&a) && !flagged.contains_key(&b) {
            ends.entry(a).or_default().insert(b);
            ends.entry(b).or_default().insert(a);
        }
    }
    let several = ends.into_iter().filter(|(_, others)| others.len() > 1);
    let why = |others: usize| format!("the end of bad edges with {others} peers");
    flagged.extend(several.map(|(end, others)| (end, why(others.len()))));
    flagged
}

fn in_words(state: PeerState) -> String {
    format!("{state:?}").to_lowercase()
}

fn is_of_edge(finding: &Finding) -> bool {
    matches!(finding.code, HealthCode::EdgeDegraded | HealthCode::EdgeAsymmetric)
}
