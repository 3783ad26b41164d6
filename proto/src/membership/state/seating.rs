//! Who is to watch whom, given who is reachable.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::Seat;
use crate::record::EdgeStatus;
use crate::ring::RINGS;
use crate::roster::{Roster, Sighting};

/// Observers without a path that a seat passes over on one ring before it stays empty: a peer that three could not reach has a problem of its own.
const MAX_WITHOUT_PATH: usize = 3;
/// Members that have nothing to say of a peer out of reach and are passed over on one ring for one that has: newcomers, who took the seat of a witness after the peer had died.
const MAX_SILENT: usize = 3;
/// Reachable members between an observer and its subject on one ring, at most: one seat on each other ring, those without a path before the last that counts, and the silent.
const MAX_BETWEEN: usize = RINGS - 1 + MAX_WITHOUT_PATH - 1 + MAX_SILENT;

/// The seats of a mesh of which some members are reachable.
///
/// Where many are out of reach a walk along a ring would pass over all of them for every subject, so the next reachable one is looked up.
pub(crate) struct Seating<'a> {
    roster: &'a Roster,
    reachable: &'a [bool],
    /// Per ring and position: the position of the nearest reachable member before it; its own if there is no other.
    before: [Vec<u32>; RINGS],
}

impl<'a> Seating<'a> {
    pub(crate) fn of(roster: &'a Roster, reachable: &'a [bool]) -> Self {
        let mut before: [Vec<u32>; RINGS] = Default::default();
        for (ring, before) in before.iter_mut().enumerate() {
            let order = roster.rings().order(ring);
            let is_reachable = |position: &usize| {
                let member = order.get(*position).copied();
                member.is_some_and(|member| is_reachable(reachable, member))
            };
            // The first ones look back over the end.
            let mut last = (0..order.len()).rev().find(is_reachable);
            before.reserve_exact(order.len());
            for position in 0..order.len() {
                before.push(u32::try_from(last.unwrap_or(position)).unwrap_or(u32::MAX));
                if is_reachable(&position) {
                    last = Some(position);
                }
            }
        }
        Self { roster, reachable, before }
    }

    /// On each ring the nearest reachable predecessor that has a path and no seat on a lower ring; and those passed over for want of a path. Of a peer out of reach, the nearest that ever heard it, if there is one near.
    ///
    /// Where the rightful observer is out of reach, whom the subject itself observes on that ring comes before all others: the two have a connection.
    pub(crate) fn seats(&self, subject: u32) -> (Vec<Seat>, Vec<u32>) {
        let mut seats: Vec<Seat> = Vec::with_capacity(RINGS);
        let mut without_path: Vec<u32> = Vec::new();
        for (ring, number) in (0..RINGS).zip(0u8..) {
            self.seat_on(ring, number, subject, &mut seats, &mut without_path);
        }
        without_path.sort_unstable();
        without_path.dedup();
        (seats, without_path)
    }

    /// Members of whom `observer`, which is reachable, may have a seat, or passed it on for want of a path.
    pub(crate) fn candidates(&self, observer: u32) -> BTreeSet<u32> {
        let mut candidates = BTreeSet::new();
        for ring in 0..RINGS {
            let Some(start) = self.roster.rings().position(ring, observer) else { continue };
            let order = self.roster.rings().order(ring);
            candidates.extend(order.get(start.checked_sub(1).unwrap_or(order.len() - 1)));
            let (until, from) = order.split_at_checked(start).unwrap_or_default();
            let mut between = 0;
            for &subject in from.iter().skip(1).chain(until) {
                candidates.insert(subject);
                between += usize::from(is_reachable(self.reachable, subject));
                if between > MAX_BETWEEN {
                    break;
                }
            }
        }
        candidates
    }

    fn seat_on(
        &self,
        ring: usize,
        number: u8,
        subject: u32,
        seats: &mut Vec<Seat>,
        without_path: &mut Vec<u32>,
    ) {
        let rings = self.roster.rings();
        let Some(own) = rings.position(ring, subject) else { return };
        let (order, before) = (rings.order(ring), self.before.get(ring));
        let (mut at, mut walked) = (own, 0);
        let (mut passed_over, mut no_path, mut silent) = (0, 0, 0);
        let in_reach = is_reachable(self.reachable, subject);
        let mut nearest: Option<Seat> = None;
        if let Some(observer) = self.acquaintance(order, own) {
            let vacant = seats.iter().all(|seat| seat.observer != observer);
            let seat = Seat { observer, ring: number, passed_over: 1 };
            match self.roster.sighting(observer, subject).map(Sighting::status) {
                _ if !vacant => {}
                Some(EdgeStatus::NoPath) => without_path.push(observer),
                None if !in_reach => nearest = Some(seat),
                _ => {
                    seats.push(seat);
                    return;
                }
            }
        }
        while let Some(next) = before.and_then(|before| before.get(at)).map(|next| *next as usize) {
            let steps = if next < at { at - next } else { at + order.len() - next };
            walked += steps;
            if walked >= order.len() {
                break;
            }
            passed_over += steps - 1;
            at = next;
            let Some(&observer) = order.get(at) else { break };
            if seats.iter().any(|seat| seat.observer == observer) {
                continue;
            }
            let passed = u16::try_from(passed_over).unwrap_or(u16::MAX);
            let seat = Seat { observer, ring: number, passed_over: passed };
            passed_over += 1;
            match self.roster.sighting(observer, subject).map(Sighting::status) {
                Some(EdgeStatus::NoPath) => {
                    without_path.push(observer);
                    no_path += 1;
                    if no_path == MAX_WITHOUT_PATH {
                        break;
                    }
                }
                None if !in_reach && silent < MAX_SILENT => {
                    nearest.get_or_insert(seat);
                    silent += 1;
                }
                None if !in_reach => break,
                _ => {
                    seats.push(seat);
                    return;
                }
            }
        }
        seats.extend(nearest);
    }
}

impl Seating<'_> {
    /// Whom the member at a position of a ring observes there, if its own observer is out of reach and that one is not.
    fn acquaintance(&self, order: &[u32], own: usize) -> Option<u32> {
        let before = *order.get(own.checked_sub(1).unwrap_or(order.len() - 1))?;
        let after = *order.get(own + 1).or(order.first())?;
        let takes_over =
            !is_reachable(self.reachable, before) && is_reachable(self.reachable, after);
        takes_over.then_some(after)
    }
}

fn is_reachable(reachable: &[bool], member: u32) -> bool {
    reachable.get(member as usize).copied().unwrap_or(false)
}
