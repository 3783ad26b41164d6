//! Agreement: peers that can talk to each other come to have the same state, and it is the truth.

use std::collections::{BTreeMap, BTreeSet};

use plexmesh_proto::membership::state::{DOWN_QUORUM, FLAP_WINDOW, PeerState};
use plexmesh_proto::types::{PeerId, SECOND, StateDigest, Time, Version};

use super::Phase;
use super::ledger::{Ledger, Place, seconds_of};
use super::truth::{self, Outside, Truth};
use crate::report::Check;
use crate::scenario::Span;
use crate::world::{VirtualNode, World};

/// Peers in touch whose states are at rest for this long must be equal. Neighbours compare digests
/// every few seconds, and a healed mesh of a thousand has 15 s to repair.
const REST_US: u64 = 30 * SECOND;
/// After healing, states that differ for this long after the last publication have stopped to
/// travel: at 25 % loss a record is to reach everybody within 10 s.
const TRAVEL_US: u64 = 10 * SECOND;
/// A peer may be called flapping for this long after a trouble: the trouble's last loss is reported
/// some seconds after its end, and ages on clocks of its observers.
const FLAPPING_US: u64 = FLAP_WINDOW + REST_US;
/// States compared with the truth in one look: about a millisecond's worth.
const STATES_PER_LOOK: usize = 250_000;

/// The different state digests among `hosts`, and how many have each.
#[must_use]
pub fn digests(world: &World, hosts: &[usize]) -> BTreeMap<StateDigest, usize> {
    let mut digests = BTreeMap::new();
    for node in hosts.iter().filter_map(|&host| world.node(host)) {
        *digests.entry(node.digest()).or_default() += 1;
    }
    digests
}

/// Whether all of `hosts` run and have one state digest.
#[must_use]
pub fn digests_equal(world: &World, hosts: &[usize]) -> bool {
    hosts.iter().all(|&host| world.node(host).is_some()) && digests(world, hosts).len() <= 1
}

/// What `observers` think of `subject`, and how many think so; those that have no opinion or do not
/// run are left out.
#[must_use]
pub fn states_of(world: &World, observers: &[usize], subject: usize) -> BTreeMap<PeerState, usize> {
    let mut states = BTreeMap::new();
    let Some(peer) = world.peer_id(subject) else { return states };
    for node in observers.iter().filter_map(|&host| world.node(host)) {
        if let Some(state) = node.state_of(&peer) {
            *states.entry(state).or_default() += 1;
        }
    }
    states
}

/// Whether every one of `observers` other than `subject` itself runs and thinks that `subject` is
/// in `state`.
#[must_use]
pub fn all_see(world: &World, observers: &[usize], subject: usize, state: PeerState) -> bool {
    let Some(peer) = world.peer_id(subject) else { return false };
    observers
        .iter()
        .filter(|&&host| host != subject)
        .all(|&host| world.node(host).is_some_and(|node| node.state_of(&peer) == Some(state)))
}

/// Whether every one of `hosts` runs and thinks that all of them are up.
#[must_use]
pub fn all_up(world: &World, hosts: &[usize]) -> bool {
    hosts.iter().all(|&subject| all_see(world, hosts, subject, PeerState::Up))
        && hosts.iter().all(|&host| world.node(host).is_some())
}

/// All states that peers have in the eyes of `observers`.
#[must_use]
pub fn states(world: &World, observers: &[usize]) -> BTreeSet<PeerState> {
    (0..world.len()).flat_map(|subject| states_of(world, observers, subject).into_keys()).collect()
}

/// Watches whether peers agree.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    bound: Option<Span>,
    broken: Ledger,
    slow: Ledger,
    hosts: Vec<Known>,
    /// Who watched each host when it last ran.
    observers: Vec<Vec<usize>>,
    /// Since when the mesh is whole, once it is.
    healed_at: Option<Time>,
    agreed_at: Option<Time>,
    /// Since when it no longer agrees, after it did.
    parted_at: Option<Time>,
    /// Whether the present disagreement has been written down.
    noted: bool,
    published_at: Time,
    next_viewer: usize,
    last_word: Option<Disagreement>,
}

/// What the last look found at one host.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    digest: StateDigest,
    changed_at: Time,
    /// The youngest state record of its own.
    published: Version,
    /// Its present disagreement at rest has been written down.
    noted: bool,
    /// When it was last known to be in trouble.
    troubled_at: Option<Time>,
    /// Since when it is known not to run.
    silent_since: Option<Time>,
}

impl Known {
    fn see(&mut self, truth: &Truth, now: Time) {
        if truth.troubled && !truth.left {
            self.troubled_at = Some(now);
        }
        let silent = truth.running_since.is_none() || truth.left;
        self.silent_since = silent.then(|| self.silent_since.unwrap_or(now));
    }

    /// Whether it left in trouble: then its good-bye may have reached nobody.
    fn left_in_trouble(&self) -> bool {
        let times = self.silent_since.zip(self.troubled_at);
        times.is_some_and(|(left, troubled)| left.since(troubled) <= REST_US)
    }

    fn fell_silent_with(&self, other: &Self) -> bool {
        let times = self.silent_since.zip(other.silent_since);
        times.is_some_and(|(one, other)| one.0.abs_diff(other.0) <= REST_US)
    }
}

/// How a mesh disagrees.
#[derive(Clone, Debug)]
enum Disagreement {
    Digests { different: usize, outsider: usize, of: usize },
    State { observer: usize, subject: usize, found: Option<PeerState>, expected: Vec<PeerState> },
}

impl Agreement {
    pub(crate) fn new(bound: Option<Span>) -> Self {
        Self { bound, ..Self::default() }
    }

    /// Paths are whole from now on.
    pub(crate) const fn heal(&mut self, now: Time) {
        self.healed_at = Some(now);
    }

    /// When all agreed after healing.
    pub(crate) fn healed_seconds(&self) -> Option<f64> {
        Some(seconds_of(self.agreed_at?.since(self.healed_at?)))
    }

    /// Whether all agree as far as the last look can tell.
    pub(crate) const fn holds(&self) -> bool {
        self.agreed_at.is_some() && self.parted_at.is_none()
    }

    pub(crate) fn look(&mut self, world: &World, truths: &[Truth], phase: Phase) {
        self.take_in(world, truths);
        match phase {
            Phase::Settle => {}
            Phase::Faults => self.look_at_components(world, truths),
            Phase::Healed => self.look_at_all(world, truths),
        }
    }

    /// Judges what is left to judge at the end.
    pub(crate) fn finish(&mut self, world: &World, truths: &[Truth]) {
        if self.healed_at.is_none() {
            return;
        }
        self.take_in(world, truths);
        let found = self.disagreement(world, truths, usize::MAX);
        let now = world.time();
        let (place, words) = match &found {
            Some(found) => (found.place(), found.in_words()),
            None => (Place::MESH, String::new()),
        };
        match (found, self.agreed_at) {
            (Some(found), None) => {
                self.broken.note(now, place, || format!("not agreed at the end: {words}"));
                self.last_word = Some(found);
            }
            (None, None) => self.agreed_at = Some(now),
            // What agreed before and differs for a moment is still travelling.
            _ => {}
        }
        self.judge_healing(now);
    }

    pub(crate) fn checks(&self) -> [Check; 2] {
        let took = self.healed_seconds().map(|took| format!("{took:.1} s after healing"));
        let agreement = match (&took, &self.last_word, self.healed_at) {
            (_, _, None) => "no liveness phase".to_owned(),
            (Some(took), _, _) => format!("all agreed {took}"),
            (None, Some(last), _) => format!("not all agreed: {}", last.in_words()),
            (None, None, _) => "not all agreed".to_owned(),
        };
        let healing = match self.healed_at {
            None => "no liveness phase".to_owned(),
            Some(_) => took.unwrap_or_else(|| "not within the liveness phase".to_owned()),
        };
        let bound = self.bound.map(|bound| bound.to_string());
        [
            self.broken.check("agreement", agreement, None),
            self.slow.check("healing", healing, bound),
        ]
    }

    fn take_in(&mut self, world: &World, truths: &[Truth]) {
        let now = world.time();
        self.hosts.resize(truths.len(), Known::default());
        self.observers.resize(truths.len(), Vec::new());
        for (known, truth) in self.hosts.iter_mut().zip(truths) {
            known.see(truth, now);
        }
        let running = self.hosts.iter_mut().zip(truths).enumerate();
        for (host, (known, _)) in running.filter(|(_, (_, truth))| truth.counts()) {
            let Some(node) = world.node(host) else { continue };
            let digest = node.digest();
            if digest != known.digest {
                *known = Known { digest, changed_at: now, noted: false, ..*known };
            }
            if let Some(observers) = self.observers.get_mut(host) {
                observers.clear();
                observers.extend(observers_of(world, node));
            }
            let published = node.roster().find(&node.me()).map(|own| own.last_word());
            if let Some(published) = published.filter(|published| *published != known.published) {
                known.published = published;
                self.published_at = now;
            }
        }
    }

    /// In the safety phase: whoever is in touch and at rest must have the same digest.
    fn look_at_components(&mut self, world: &World, truths: &[Truth]) {
        let well = |host: &usize| {
            truths.get(*host).is_some_and(|truth| truth.counts() && truth.well_since.is_some())
        };
        let hosts: Vec<usize> = (0..truths.len()).filter(well).collect();
        for component in components(&InTouch(world), hosts) {
            self.look_at_rest(&component, truths, world.time());
        }
    }

    fn look_at_rest(&mut self, component: &Component, truths: &[Truth], now: Time) {
        let well_since =
            |host: &usize| truths.get(*host).and_then(|truth| truth.well_since).unwrap_or(now);
        let known: Vec<Known> =
            component.hosts.iter().filter_map(|&host| self.hosts.get(host).copied()).collect();
        let changed = known.iter().map(|known| known.changed_at);
        let started = component.hosts.iter().map(well_since);
        let last = changed.chain(started).max().unwrap_or(now).max(component.since);
        if now.since(last) < REST_US || known.iter().any(|known| known.noted) {
            return;
        }
        let different: BTreeSet<StateDigest> = known.iter().map(|known| known.digest).collect();
        if different.len() <= 1 {
            return;
        }
        let found = majority(&component.hosts, &known);
        self.broken.note(now, found.place(), || {
            format!("{}, and nothing has moved for {:.0} s", found.in_words(), seconds_of(REST_US))
        });
        for host in &component.hosts {
            if let Some(known) = self.hosts.get_mut(*host) {
                known.noted = true;
            }
        }
    }

    /// In the liveness phase: all must agree, and go on to.
    fn look_at_all(&mut self, world: &World, truths: &[Truth]) {
        let now = world.time();
        // The moment of agreement is looked at in full; after it, a part of the states at a time.
        let viewers = match self.agreed_at {
            None => usize::MAX,
            Some(_) => (STATES_PER_LOOK / truths.len().max(1)).max(1),
        };
        let found = self.disagreement(world, truths, viewers);
        match (found, self.agreed_at) {
            (None, None) => {
                self.agreed_at = Some(now);
                self.judge_healing(now);
            }
            (None, Some(_)) => (self.parted_at, self.noted) = (None, false),
            (Some(found), None) => {
                self.judge_healing(now);
                self.last_word = Some(found);
            }
            (Some(found), Some(_)) => {
                let parted_at = *self.parted_at.get_or_insert(now);
                let since = match found {
                    Disagreement::Digests { .. } => parted_at.max(self.published_at),
                    Disagreement::State { .. } => parted_at,
                };
                if now.since(since) >= TRAVEL_US && !self.noted {
                    self.noted = true;
                    self.broken.note(now, found.place(), || {
                        format!("agreed, and no longer does: {}", found.in_words())
                    });
                }
            }
        }
    }

    fn judge_healing(&mut self, now: Time) {
        let (Some(bound), Some(healed_at)) = (self.bound, self.healed_at) else { return };
        let until = self.agreed_at.unwrap_or(now);
        if until.since(healed_at) > bound.micros() && self.slow.is_clean() {
            let words = self.last_word.as_ref().map(Disagreement::in_words).unwrap_or_default();
            self.slow.note(now, Place::MESH, || {
                format!("not agreed {:.1} s on: {words}", seconds_of(until.since(healed_at)))
            });
        }
    }

    /// How all that run disagree with each other or with the truth; `None` if they do not. States
    /// are looked at through the eyes of so many `viewers`, by turns.
    fn disagreement(
        &mut self,
        world: &World,
        truths: &[Truth],
        viewers: usize,
    ) -> Option<Disagreement> {
        let members: Vec<usize> =
            (0..truths.len()).filter(|&h| truths.get(h).is_some_and(Truth::counts)).collect();
        let known: Vec<Known> =
            members.iter().filter_map(|&host| self.hosts.get(host).copied()).collect();
        let first = known.first()?;
        if known.iter().any(|known| known.digest != first.digest) {
            return Some(majority(&members, &known));
        }
        let expected = self.expectations(world, truths, &members);
        let count = viewers.min(members.len());
        let turn = self.next_viewer % members.len().max(1);
        self.next_viewer = turn + count;
        let order = roster_order(world, *members.first()?);
        let mut looking = members.iter().cycle().skip(turn).take(count);
        looking.find_map(|&viewer| wrong_state(world, viewer, &order, &expected))
    }

    /// States that are the truth about each host; empty where anything goes.
    fn expectations(
        &self,
        world: &World,
        truths: &[Truth],
        members: &[usize],
    ) -> Vec<Vec<PeerState>> {
        let running = truths.iter().filter(|truth| truth.running_since.is_some() && !truth.left);
        let too_few = running.count() < DOWN_QUORUM;
        let expectation = |(host, truth): (usize, &Truth)| {
            if truth.lies || truth.left || truth.running_since.is_none() {
                let too_few = too_few || self.lost_its_observers(host);
                return self.if_not_running(world, host, truth, too_few);
            }
            self.if_running(world, host, members)
        };
        truths.iter().enumerate().map(expectation).collect()
    }

    /// Whether so many of its observers fell silent with it that fewer than a quorum are left to
    /// tell.
    fn lost_its_observers(&self, host: usize) -> bool {
        let own = self.hosts.get(host).zip(self.observers.get(host));
        let Some((own, observers)) = own else { return false };
        let known = observers.iter().filter_map(|&observer| self.hosts.get(observer));
        known.filter(|known| !known.fell_silent_with(own)).count() < DOWN_QUORUM
    }

    /// States that are the truth about a host that does not run as a member of the mesh.
    fn if_not_running(
        &self,
        world: &World,
        host: usize,
        truth: &Truth,
        too_few: bool,
    ) -> Vec<PeerState> {
        if truth.lies {
            return Vec::new();
        }
        let mut expected = vec![PeerState::Down];
        if truth.left {
            let unheard = self.hosts.get(host).is_some_and(Known::left_in_trouble);
            expected.insert(0, PeerState::Left);
            expected.truncate(if unheard { 2 } else { 1 });
            return expected;
        }
        expected.extend(too_few.then_some(PeerState::Unreachable));
        expected.extend(truth::is_intermittent(world, host).then_some(PeerState::Asleep));
        expected
    }

    /// That a peer flaps is said of the last ten minutes: if there was trouble, all must say the
    /// same.
    fn if_running(&self, world: &World, host: usize, members: &[usize]) -> Vec<PeerState> {
        // An observer that checks says so, and claims nothing.
        let calm = vec![PeerState::Up, PeerState::Suspect];
        let troubled_at = self.hosts.get(host).and_then(|known| known.troubled_at);
        if troubled_at.is_none_or(|at| world.time().since(at) > FLAPPING_US) {
            return calm;
        }
        let another = members.iter().copied().find(|&member| member != host);
        let node = another.and_then(|another| world.node(another));
        let said = world.peer_id(host).and_then(|peer| node?.state_of(&peer));
        if said == Some(PeerState::Flapping) { vec![PeerState::Flapping] } else { calm }
    }
}

impl Disagreement {
    const fn place(&self) -> Place {
        match self {
            Self::Digests { outsider, .. } => Place::at(*outsider),
            Self::State { observer, subject, .. } => Place::between(*observer, *subject),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Digests { different, of, .. } => {
                format!("{different} different states among {of} peers")
            }
            Self::State { observer, subject, found, expected } => {
                let name = |state: &PeerState| format!("{state:?}").to_lowercase();
                let found = found.as_ref().map_or("unknown".to_owned(), name);
                let expected = expected.iter().map(name).collect::<Vec<_>>().join(" or ");
                format!("peer {subject} is {expected}, peer {observer} says {found}")
            }
        }
    }
}

/// Those whose probes a node hears, by its own report.
fn observers_of(world: &World, node: &VirtualNode) -> impl Iterator<Item = usize> {
    let roster = node.roster();
    let own = roster.index_of(&node.me());
    let watchers = own.into_iter().flat_map(|own| roster.watchers(own));
    watchers.filter_map(|index| world.host_of(&roster.member(index)?.id()))
}

/// The disagreement of digests, with one peer that is not of the largest party.
fn majority(hosts: &[usize], known: &[Known]) -> Disagreement {
    let mut parties: BTreeMap<StateDigest, usize> = BTreeMap::new();
    known.iter().for_each(|known| *parties.entry(known.digest).or_default() += 1);
    let largest = parties.iter().max_by_key(|(_, count)| **count).map(|(digest, _)| *digest);
    let mut outsiders = hosts.iter().zip(known).filter(|(_, known)| Some(known.digest) != largest);
    let outsider = outsiders.next().map_or(0, |(host, _)| *host);
    Disagreement::Digests { different: parties.len(), outsider, of: known.len() }
}

/// Whether states are those of a host that runs.
fn is_running(expected: &[PeerState]) -> bool {
    matches!(expected.first(), Some(PeerState::Up | PeerState::Flapping))
}

/// The hosts of a roster in its order, which is the same at all peers with the same digest.
fn roster_order(world: &World, viewer: usize) -> Vec<(PeerId, usize)> {
    let members = world.node(viewer).map_or(&[][..], |node| node.roster().members());
    members.iter().filter_map(|member| Some((member.id(), world.host_of(&member.id())?))).collect()
}

fn wrong_state(
    world: &World,
    viewer: usize,
    order: &[(PeerId, usize)],
    expected: &[Vec<PeerState>],
) -> Option<Disagreement> {
    let node = world.node(viewer)?;
    let judged = node.roster().members().iter().zip(node.evaluation().states());
    let mut present = 0;
    for (index, (member, state)) in judged.enumerate() {
        let id = member.id();
        let known = order.get(index).filter(|(known, _)| *known == id).map(|(_, host)| *host);
        let Some(subject) = known.or_else(|| world.host_of(&id)) else { continue };
        let Some(expected) = expected.get(subject) else { continue };
        present += usize::from(is_running(expected));
        if subject != viewer && !expected.is_empty() && !expected.contains(&state) {
            let (found, expected) = (Some(state), expected.clone());
            return Some(Disagreement::State { observer: viewer, subject, found, expected });
        }
    }
    let running = expected.iter().filter(|states| is_running(states)).count();
    if present == running {
        return None;
    }
    // Somebody who runs is not in its roster.
    let missing = expected.iter().enumerate().find(|(host, states)| {
        let unknown = || world.peer_id(*host).is_some_and(|id| node.state_of(&id).is_none());
        is_running(states) && unknown()
    });
    let (subject, expected) = missing.map(|(host, states)| (host, states.clone()))?;
    Some(Disagreement::State { observer: viewer, subject, found: None, expected })
}

/// A world in which a path counts as open once one of its ends knows that it reaches the other: two
/// that a partition leaves alone, and that never met, cannot agree.
struct InTouch<'a>(&'a World);

impl Outside for InTouch<'_> {
    fn truth(&self, host: usize) -> Truth {
        self.0.truth(host)
    }

    fn parted_since(&self, a: usize, b: usize) -> Option<Time> {
        self.0.parted_since(a, b)
    }

    fn joined_since(&self, a: usize, b: usize) -> Option<Time> {
        let knows = |host: usize, other: usize| {
            let node = self.0.node(host)?;
            let index = node.roster().index_of(&self.0.peer_id(other)?)?;
            Some(node.evaluation().is_reachable(index))
        };
        let met = knows(a, b).unwrap_or(false) || knows(b, a).unwrap_or(false);
        self.0.joined_since(a, b).filter(|_| met)
    }

    fn reported_lost_by(&self, reader: usize, subject: usize) -> Vec<usize> {
        self.0.reported_lost_by(reader, subject)
    }
}

/// Hosts that are in touch with each other.
#[derive(Debug)]
pub(crate) struct Component {
    pub(crate) hosts: Vec<usize>,
    /// When the youngest of the paths that hold it together opened.
    pub(crate) since: Time,
}

/// The components of hosts that reach each other over paths that are open both ways. Where most
/// paths are open this asks for each host about once.
pub(crate) fn components(outside: &impl Outside, mut left: Vec<usize>) -> Vec<Component> {
    let mut components = Vec::new();
    while let Some(seed) = left.pop() {
        let mut found = Component { hosts: vec![seed], since: Time(0) };
        let mut looked_at = 0;
        while let Some(&from) = found.hosts.get(looked_at) {
            looked_at += 1;
            left.retain(|&to| match outside.joined_since(from, to) {
                Some(since) => {
                    found.hosts.push(to);
                    found.since = found.since.max(since);
                    false
                }
                None => true,
            });
            if left.is_empty() {
                break;
            }
        }
        found.hosts.sort_unstable();
        components.push(found);
    }
    components
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths that are cut.
    struct Cuts(Vec<(usize, usize)>);

    impl Outside for Cuts {
        fn truth(&self, _: usize) -> Truth {
            Truth::default()
        }

        fn parted_since(&self, a: usize, b: usize) -> Option<Time> {
            self.0.contains(&(a.min(b), a.max(b))).then_some(Time(0))
        }

        fn joined_since(&self, a: usize, b: usize) -> Option<Time> {
            self.parted_since(a, b).is_none().then_some(Time((a + b) as u64))
        }

        fn reported_lost_by(&self, _: usize, _: usize) -> Vec<usize> {
            Vec::new()
        }
    }

    #[test]
    fn a_component_is_whoever_is_reached_over_open_paths() {
        // 0 and 2 are cut from each other and meet over 1; 3 is on its own.
        let cuts = Cuts(vec![(0, 2), (0, 3), (1, 3), (2, 3)]);
        let found = components(&cuts, vec![0, 1, 2, 3]);
        let hosts: Vec<Vec<usize>> = found.iter().map(|found| found.hosts.clone()).collect();
        assert_eq!(hosts, [vec![3], vec![0, 1, 2]]);
        assert_eq!(found[1].since, Time(3));
    }

    #[test]
    fn peers_in_touch_that_rest_with_different_digests_break_agreement_once() {
        let known = |digest| Known { digest: StateDigest([digest; 16]), ..Known::default() };
        let hosts = vec![known(1), known(1), known(2)];
        let mut agreement = Agreement { hosts, ..Agreement::default() };
        let start = Some(Time(0));
        let truths = [Truth { running_since: start, well_since: start, ..Truth::default() }; 3];
        let component = Component { hosts: vec![0, 1, 2], since: Time(5 * SECOND) };
        agreement.look_at_rest(&component, &truths, Time(34 * SECOND));
        assert!(agreement.checks()[0].held, "they may still be exchanging");
        agreement.look_at_rest(&component, &truths, Time(35 * SECOND));
        agreement.look_at_rest(&component, &truths, Time(36 * SECOND));
        let [found, _] = agreement.checks();
        assert_eq!((found.violation_count, found.violations[0].observer), (1, Some(2)));
    }
}
