//! A mesh that falls apart and comes together.

use std::collections::BTreeSet;
use std::time::Duration;

use plexmesh_proto::membership::state::PeerState;

use super::bench::{Agreed, Bench, Look, Peak, fault};
use super::figure::{Bound, Figure, Measured, Unit};
use super::{Load, Row, RowError};
use crate::check::Phase;
use crate::history::Change;
use crate::run::Progress;
use crate::scenario::{Fault, Span, Who};
use crate::world::World;

/// The mesh is cut so long after the fault phase began, in seconds.
const CUT_S: u64 = 10;
/// Peers that are asked once a second whether they name the cut: to ask all takes a second or two.
const ASKED_A_SECOND: usize = 20;
/// What is told of others in their issue trackers (memberlist 222, foca 15).
const OTHERS: &str = "memberlist and foca: what was dead for long is not dialled again";

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "partition-70-30",
        what: "a partition of 70 % and 30 %, and its end",
        others: OTHERS,
        load: Load::Shared,
        measure: |bench| parted(bench, "30%"),
    },
    Row {
        name: "partition-90-10",
        what: "a partition of 90 % and 10 %, and its end",
        others: OTHERS,
        load: Load::Shared,
        measure: |bench| parted(bench, "10%"),
    },
    Row {
        name: "partition-99-1",
        what: "a partition of 99 % and 1 %, and its end",
        others: OTHERS,
        load: Load::Shared,
        // One alone is no side: it is a peer that is down.
        measure: |bench| parted(bench, bench.pick("1%", "5%")),
    },
];

fn parted(bench: &Bench<'_>, side: &str) -> Result<Measured, RowError> {
    let mut scenario = bench.quiet(bench.peers(), 0.0, CUT_S + bench.pick(300, 120));
    scenario.phases.healed = Span::seconds(bench.pick(90, 60));
    let sides = vec![Who::Named(side.to_owned())];
    scenario.faults.push(fault(CUT_S, Fault::Partition { sides }));
    let (_, end) = scenario.phases.fault_phase();
    let mut watch = Parted { end, ..Parted::default() };
    let report = bench.run(&scenario, &mut watch)?;
    let unnamed = watch.unnamed.unwrap_or(scenario.peers) as u64;
    let seconds = Unit::Seconds;
    let asked = bench.asked(Bound::AtMost(15.0));
    let figures = vec![
        Figure::none("peers that do not name it with the sizes of both sides", unnamed),
        Figure::none("accusations on the own side during it", watch.during.count),
        Figure::none("`down` on the own side after it", watch.down_after.count),
        Figure::new(
            "other accusations on the own side after it",
            watch.other_after.count as f64,
            Unit::Count,
            None,
        ),
        Figure::new("named by all", watch.named_after.map(|at| at.as_secs_f64()), seconds, None),
        watch.agreed.figure("all digests equal after its end", asked),
        Figure::new("all states true after its end", report.healed_seconds, seconds, None),
        watch.peak.figure("peak of a peer while it heals"),
    ];
    let lasted = Span(end.saturating_sub(watch.cut_at.unwrap_or(end)));
    let mut notes = vec![format!("{} peers and {}, for {lasted}", watch.sizes.0, watch.sizes.1)];
    notes.extend(
        [&watch.during, &watch.down_after, &watch.other_after]
            .into_iter()
            .filter_map(Accusations::in_words),
    );
    let virtual_seconds = report.virtual_seconds;
    Ok(Measured { peers: scenario.peers, virtual_seconds, figures, notes })
}

/// What is watched of a partition.
#[derive(Debug, Default)]
struct Parted {
    /// When it ends.
    end: Duration,
    cut_at: Option<Duration>,
    /// Whether each peer is on the side of the first one.
    sides: Vec<bool>,
    sizes: (usize, usize),
    next_change: u64,
    next_asked: usize,
    /// In a row, how many named it.
    in_a_row: usize,
    named_after: Option<Duration>,
    /// At its end.
    unnamed: Option<usize>,
    /// Said by peers of others of their own side while the mesh is cut.
    during: Accusations,
    /// The same after that, `down`.
    down_after: Accusations,
    /// The same after that, others.
    other_after: Accusations,
    agreed: Agreed,
    peak: Peak,
}

/// What peers were called by others of their own side.
#[derive(Debug, Default)]
struct Accusations {
    count: u64,
    subjects: BTreeSet<usize>,
    first: Option<Change>,
}

impl Accusations {
    fn add(&mut self, change: &Change) {
        self.count += 1;
        self.subjects.insert(change.subject);
        self.first.get_or_insert(*change);
    }

    /// How many were called so, and the first case; nothing if there was none.
    fn in_words(&self) -> Option<String> {
        let Change { at, observer, subject, to, .. } = self.first?;
        let to = format!("{to:?}").to_lowercase();
        Some(format!(
            "{} peers accused; first: peer {observer} called peer {subject} {to} at {:.1} s",
            self.subjects.len(),
            at.0 as f64 / 1e6
        ))
    }
}

impl Look for Parted {
    fn look(&mut self, world: &World, progress: &Progress<'_>) {
        let changes = world.history().changes_from(self.next_change);
        if self.cut_at.is_some() {
            changes.iter().for_each(|change| self.judge(change, progress.phase));
        }
        self.next_change = world.history().next_number();
        match progress.phase {
            Phase::Settle => {}
            Phase::Faults => self.look_at_sides(world, progress.elapsed),
            Phase::Healed => {
                self.agreed.look(progress.elapsed, progress.sample);
                self.peak.look(world);
            }
        }
    }
}

impl Parted {
    fn look_at_sides(&mut self, world: &World, elapsed: Duration) {
        if self.cut_at.is_none() {
            let with_first = |host: usize| world.parted_since(0, host).is_none();
            let sides: Vec<bool> = (0..world.len()).map(with_first).collect();
            let inside = sides.iter().filter(|inside| **inside).count();
            if inside == sides.len() {
                return;
            }
            self.sizes = (inside, sides.len() - inside);
            self.sides = sides;
            self.cut_at = Some(elapsed.saturating_sub(super::seconds(1)));
        }
        self.ask_some(world, elapsed);
        if elapsed >= self.end {
            let silent = |host: &usize| !self.names(world, *host);
            self.unnamed = Some((0..world.len()).filter(silent).count());
        }
    }

    /// Asks some peers, until all have been asked in a row and named it.
    fn ask_some(&mut self, world: &World, elapsed: Duration) {
        let hosts = world.len().max(1);
        for _ in 0..ASKED_A_SECOND.min(hosts) {
            if self.named_after.is_some() {
                return;
            }
            // A step that is prime to most sizes comes to all, and to both sides early.
            let host = self.next_asked * 7_919 % hosts;
            self.next_asked += 1;
            self.in_a_row = if self.names(world, host) { self.in_a_row + 1 } else { 0 };
            if self.in_a_row >= ASKED_A_SECOND.min(hosts) {
                self.named_after = self.cut_at.map(|cut| elapsed.saturating_sub(cut));
            }
        }
    }

    /// Whether a peer names the cut, with the size of its own side and all that are on the other.
    fn names(&self, world: &World, host: usize) -> bool {
        let Some(partition) = world.node(host).and_then(|node| node.partition()) else {
            return false;
        };
        let (first, second) = self.sizes;
        let with_first = self.sides.get(host).copied().unwrap_or_default();
        let (own, other) = if with_first { (first, second) } else { (second, first) };
        partition.inside == own && partition.outside.len() == other
    }

    fn judge(&mut self, change: &Change, phase: Phase) {
        let side = |host: usize| self.sides.get(host).copied();
        let accuses =
            matches!(change.to, PeerState::Down | PeerState::Flapping | PeerState::Unreachable);
        if !accuses || side(change.observer) != side(change.subject) {
            return;
        }
        match (phase, change.to) {
            (Phase::Faults, _) => self.during.add(change),
            (_, PeerState::Down) => self.down_after.add(change),
            _ => self.other_after.add(change),
        }
    }
}
