//! Who is alive: this peer's duties as an observer and as a subject.
//!
//! All timers of failure detection live here and end in one [`Links`] record. What other peers conclude from the records of all observers is decided in [`state`],
//! which has no timers.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::latency::edge::EdgeStats;
use crate::record::{EdgeStatus, LinkEdge, Links, MAX_EDGES};
use crate::types::{PeerId, SECOND, Time, Version};

mod errand;
pub mod frame;
pub mod likelihood;
mod local_health;
pub(crate) mod refutation;
pub mod state;
mod watch;
mod watched;

use errand::{Errands, Outcome};
use frame::Frame;
use local_health::{LocalHealth, Punctuality};
use watch::{Todo, Watch};
use watched::Watched;

/// Observers asked for an indirect probe; one honest answer is enough, three survive two bad paths.
const INDIRECT_ASKED: usize = 3;
/// Edges are reviewed this often: flap counts, whose window is ten minutes, and how well they work.
const REVIEW_INTERVAL: u64 = 5 * SECOND;
/// Probers are looked through this often while they are published: one that died must not stand there for long.
const PROBERS_INTERVAL: u64 = SECOND;
/// A peer that lost subjects and hears fewer than this many names those whose probes it hears.
///
/// Its own subjects may all be on the other side of a cut; without this word nobody could tell that it is on this one.
const FEW_SUBJECTS: usize = 3;
/// An observer that slept judges nobody until most of its subjects answer again, or for this long.
///
/// A laptop's network takes from one second to half a minute to come up. After twice that its links are not coming back, and it may say so.
const WAKE_LIMIT: u64 = 60 * SECOND;
/// When one of many subjects that were gone is back, the others are dialled as if they were few for this long: a dial that began before lasts five seconds, and another one may fail.
const RETURN_TOGETHER: u64 = 12 * SECOND;

/// One subject to observe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Duty {
    /// Whom.
    pub(crate) subject: PeerId,
    /// How long it may sleep, in microseconds; 0 for a peer that should be up always.
    pub(crate) sleep_grace: u64,
    /// The latest that it said, as far as this peer knows.
    pub(crate) last_word: Version,
    /// A peer that lives says something more often than this, in microseconds.
    pub(crate) patience: u64,
}

/// How soon others are to know of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// It brings a loss, or the fear of one.
    AtOnce,
    /// Somebody was found: until others know, a loss that comes next may be one too many.
    Soon,
    /// Nobody's state hangs on it.
    Later,
}

/// What membership asks its owner to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Frame(PeerId, Frame),
    Dial(PeerId),
    /// Close the connection: it carries nothing.
    Disconnect(PeerId),
    /// A round trip to a peer, in microseconds.
    Rtt(PeerId, u32),
    EdgeChanged(PeerId, EdgeStatus),
    /// [`Membership::links`] changed.
    LinksChanged(Haste),
    HealthChanged(u8),
}

/// Everything outside of membership that a step needs.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) random: &'a mut dyn FnMut() -> u64,
    /// Gives the next version of the hybrid logical clock.
    pub(crate) clock: &'a mut dyn FnMut() -> Version,
}

/// The membership child of a node.
#[derive(Debug, Default)]
pub(crate) struct Membership {
    watches: BTreeMap<PeerId, Watch>,
    watched: Watched,
    errands: Errands,
    health: LocalHealth,
    /// Since when this observer is awake again and waits for its own links.
    woke: Option<Time>,
    connected: BTreeSet<PeerId>,
    /// When a subject that was gone came back.
    returned: Option<Time>,
    indirect: BTreeMap<u32, PeerId>,
    /// What an earlier start reported of subjects that it heard or had lost.
    remembered: BTreeMap<PeerId, LinkEdge>,
    next_review: Time,
    actions: Vec<Action>,
}

impl Membership {
    /// Takes over what an earlier start reported: an edge that is heard or lost as it was before has not changed.
    pub(crate) fn remember(&mut self, links: &Links) {
        let known = |edge: &&LinkEdge| matches!(edge.status, EdgeStatus::Heard | EdgeStatus::Lost);
        let edges = links.edges.iter().filter(known);
        self.remembered = edges.map(|edge| (edge.subject, edge.clone())).collect();
    }

    /// Sets whom this peer observes and who observes it.
    pub(crate) fn set_duties(
        &mut self,
        duties: &BTreeSet<Duty>,
        observers: impl Iterator<Item = PeerId>,
        context: &mut Context<'_>,
    ) {
        let before = self.watches.len();
        self.watches.retain(|peer, _| duties.iter().any(|duty| duty.subject == *peer));
        let dropped = self.watches.len() != before;
        for duty in duties {
            let connected = self.connected.contains(&duty.subject);
            let Self { remembered, watched, .. } = self;
            let watch = self.watches.entry(duty.subject).or_insert_with(|| {
                let before = remembered.remove(&duty.subject);
                Watch::new(
                    duty.subject,
                    connected,
                    context.now,
                    (context.random)(),
                    before.as_ref(),
                    watched.is_acquainted(&duty.subject, context.now),
                )
            });
            watch.set_duty(duty, context.now);
        }
        if self.watched.set_observers(observers) || dropped {
            self.actions.push(Action::LinksChanged(Haste::Later));
        }
    }

    pub(crate) fn on_connected(&mut self, peer: PeerId, now: Time) {
        self.connected.insert(peer);
        if let Some(watch) = self.watches.get_mut(&peer) {
            let was_gone = watch.is_gone();
            watch.on_sign_of_life(now);
            watch.on_connected(now);
            if was_gone {
                self.returned = Some(now);
                self.watches.values_mut().for_each(|watch| watch.dial_soon(now));
            }
        }
        self.errands.on_connected(peer, now);
    }

    pub(crate) fn on_disconnected(&mut self, peer: PeerId, now: Time) {
        self.connected.remove(&peer);
        if let Some(watch) = self.watches.get_mut(&peer) {
            watch.on_disconnected(now);
        }
        self.errands.on_disconnected(peer);
    }

    /// Others passed on what a peer said.
    pub(crate) fn on_word(&mut self, origin: &PeerId, version: Version, now: Time) {
        if let Some(watch) = self.watches.get_mut(origin) {
            watch.on_word(version, now);
        }
    }

    /// A frame came. `is_member` says whether a peer belongs to the mesh.
    pub(crate) fn on_frame(
        &mut self,
        from: PeerId,
        frame: Frame,
        is_member: impl Fn(&PeerId) -> bool,
        context: &mut Context<'_>,
    ) {
        match frame {
            Frame::Probe { seq, unheard, own_stream } => {
                self.actions.push(Action::Frame(from, Frame::Pong { seq, own_stream }));
                if self.watched.on_probe(from, unheard, context.now) {
                    self.actions.push(Action::LinksChanged(Haste::AtOnce));
                }
            }
            Frame::Pong { seq, .. } if Errands::owns(seq) => {
                let outcomes = self.errands.on_pong(from, seq, context.now);
                self.run(outcomes);
            }
            Frame::Pong { seq, .. } => {
                if let Some(watch) = self.watches.get_mut(&from) {
                    let todo = watch.on_pong(seq, context.now, context.clock);
                    self.carry_out(from, &todo);
                }
            }
            Frame::Silent { .. } => {
                if let Some(watch) = self.watches.get_mut(&from) {
                    let todo = watch.on_silent();
                    self.carry_out(from, &todo);
                }
            }
            Frame::IndirectRequest { target, nonce } => {
                self.probe_for(from, target, nonce, is_member(&target), context.now);
            }
            Frame::IndirectReport { nonce, heard } => {
                let target = self.indirect.get(&nonce);
                if let Some(watch) = target.and_then(|target| self.watches.get_mut(target)) {
                    watch.on_indirect_report(heard);
                }
            }
        }
    }

    /// Does all that is due. `late_us` is how late this call is.
    pub(crate) fn tick(&mut self, late_us: u64, context: &mut Context<'_>) {
        let doubt = self.health.score();
        match self.health.timer_fired(late_us, context.now) {
            Punctuality::Paused => self.void_silence(context),
            Punctuality::Slept => {
                self.woke = Some(context.now);
                self.void_silence(context);
                self.watches.values_mut().for_each(|watch| watch.on_woken(context.now));
            }
            Punctuality::Fine | Punctuality::Late => {}
        }
        self.tick_watches(context);
        for (peer, frame) in self.watched.tick(context.now) {
            self.actions.push(Action::Frame(peer, frame));
        }
        let outcomes = self.errands.tick(context.now);
        self.run(outcomes);
        if context.now >= self.next_review {
            let interval = if self.hears_few() { PROBERS_INTERVAL } else { REVIEW_INTERVAL };
            self.next_review = context.now.plus(interval);
            let mesh_lossy = self.is_mesh_lossy();
            let changed = self
                .watches
                .values_mut()
                .filter_map(|watch| watch.review(mesh_lossy, context.now).then_some(()));
            if changed.count() > 0 || self.hears_few() {
                self.actions.push(Action::LinksChanged(Haste::Later));
            }
        }
        if self.health.score() != doubt {
            self.actions.push(Action::HealthChanged(self.health.score()));
        }
    }

    /// When [`Self::tick`] is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let watches = self.watches.values().map(Watch::deadline);
        let others = [self.watched.deadline(), self.errands.deadline(), Some(self.next_review)];
        watches.chain(others.into_iter().flatten()).min()
    }

    /// The next thing to do.
    pub(crate) fn take_actions(&mut self) -> Vec<Action> {
        core::mem::take(&mut self.actions)
    }

    /// Visits a peer that is no neighbour, to measure the way there.
    pub(crate) fn scout(&mut self, target: PeerId, now: Time) {
        let connected = self.connected.contains(&target);
        if self.errands.scout(target, connected, now) && !connected {
            self.actions.push(Action::Dial(target));
        }
    }

    /// What this observer has to report.
    pub(crate) fn links(&self, now: Time) -> Links {
        let few = self.hears_few();
        let named = |peer: &PeerId| few && !self.has_lost(peer);
        Links {
            edges: self.watches.values().filter_map(Watch::report).take(MAX_EDGES).collect(),
            deaf: self.watched.deaf().take(MAX_EDGES).collect(),
            watchers: self.watched.probers(now).filter(named).take(MAX_EDGES).collect(),
        }
    }

    /// Whether this observer has, or once had, a path to a subject that it still watches; or that subject probed it lately.
    pub(crate) fn has_reached(&self, subject: &PeerId, now: Time) -> bool {
        match self.watches.get(subject).and_then(Watch::status) {
            Some(status) => status != EdgeStatus::NoPath,
            None => self.watched.is_acquainted(subject, now),
        }
    }

    /// Something came from a peer, whatever it was.
    pub(crate) fn on_sign_of_life(&mut self, peer: PeerId, now: Time) {
        if let Some(watch) = self.watches.get_mut(&peer) {
            watch.on_sign_of_life(now);
        }
    }

    /// From how many lost subjects something came within `span`: then it was the path that was gone, and this observer may have been cut off from others, too.
    pub(crate) fn signs_of_life(&self, span: u64, now: Time) -> usize {
        self.watches.values().filter(|watch| watch.stirred_within(span, now)).count()
    }

    /// Whether packets are lost on most edges all the time: then a report may take seconds to arrive.
    pub(crate) fn is_mesh_lossy(&self) -> bool {
        let told = self.watches.values().filter_map(|watch| watch.stats().is_lossy());
        let (told, lossy) =
            told.fold((0, 0), |(told, lossy), is| (told + 1, lossy + usize::from(is)));
        told >= FEW_SUBJECTS && 2 * lossy > told
    }

    /// Peers visited now, to be kept connected.
    pub(crate) fn visited(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.errands.targets()
    }

    /// Whether [`Self::visited`] changed since this was last asked.
    pub(crate) const fn take_visits_changed(&mut self) -> bool {
        self.errands.take_changed()
    }

    /// Figures of the edges that this peer observes.
    pub(crate) fn edge_stats(&self) -> impl Iterator<Item = (PeerId, &EdgeStats)> {
        self.watches.iter().map(|(peer, watch)| (*peer, watch.stats()))
    }

    /// Doubt in itself, 0 is none.
    pub(crate) const fn local_health(&self) -> u8 {
        self.health.score()
    }

    fn has_lost(&self, peer: &PeerId) -> bool {
        self.watches.get(peer).and_then(Watch::status) == Some(EdgeStatus::Lost)
    }

    fn hears_few(&self) -> bool {
        let count = |wanted: &[EdgeStatus]| {
            let statuses = self.watches.values().filter_map(Watch::status);
            statuses.filter(|status| wanted.contains(status)).count()
        };
        count(&[EdgeStatus::Lost, EdgeStatus::NoPath]) > 0
            && count(&[EdgeStatus::Heard, EdgeStatus::Checking]) < FEW_SUBJECTS
    }

    /// Whether this observer still waits for its own links after a sleep. When they are back, what the others missed until then is void.
    fn is_waking(&mut self, context: &mut Context<'_>) -> bool {
        let Some(woke) = self.woke else { return false };
        let heard = self.watches.values().filter(|watch| watch.is_heard());
        let (heard, back) = heard.fold((0, 0), |(heard, back), watch| {
            (heard + 1, back + usize::from(watch.has_answered_since(woke)))
        });
        if 2 * back <= heard && heard > 0 && context.now.since(woke) < WAKE_LIMIT {
            return true;
        }
        if 2 * back > heard {
            self.watches.values_mut().for_each(|watch| watch.on_links_back(context.now));
        }
        self.woke = None;
        self.void_silence(context);
        // Their probes may have waited in the kernel since before the sleep.
        self.watched.forget_probers();
        self.watches.values_mut().for_each(Watch::forget_acquaintance);
        false
    }

    fn tick_watches(&mut self, context: &mut Context<'_>) {
        let waking = self.is_waking(context);
        let losing = self.watches.values().filter(|watch| watch.is_losing()).count();
        self.health.losing(losing, self.watches.len());
        let halves = (!waking).then(|| self.health.evidence_halves());
        let doubt = self.health.score();
        let returning = self.returned.is_some_and(|at| context.now.since(at) < RETURN_TOGETHER);
        let gone = self.watches.values().filter(|watch| watch.is_gone()).count();
        let gone = if returning { 0 } else { gone as u64 };
        let due: Vec<PeerId> = self
            .watches
            .iter()
            .filter(|(_, watch)| watch.deadline() <= context.now)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in due {
            let Some(watch) = self.watches.get_mut(&peer) else { continue };
            let todo =
                watch.tick(context.now, (context.random)(), halves, doubt, gone, context.clock);
            self.carry_out(peer, &todo);
            if todo.ask_others {
                self.ask_others(peer, context);
            }
        }
    }

    fn carry_out(&mut self, peer: PeerId, todo: &Todo) {
        if let Some(rtt_us) = todo.rtt_us {
            self.actions.push(Action::Rtt(peer, rtt_us));
        }
        if let Some(frame) = todo.frame {
            self.actions.push(Action::Frame(peer, frame));
        }
        if todo.dial {
            self.actions.push(Action::Dial(peer));
        }
        if todo.disconnect {
            self.actions.push(Action::Disconnect(peer));
        }
        if let Some(haste) = todo.changed {
            let status = self.watches.get(&peer).and_then(Watch::status);
            self.actions.extend(status.map(|status| Action::EdgeChanged(peer, status)));
            self.actions.push(Action::LinksChanged(haste));
        }
    }

    fn run(&mut self, outcomes: Vec<Outcome>) {
        self.actions.extend(outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Frame(peer, frame) => Action::Frame(peer, frame),
            Outcome::Rtt(peer, rtt_us) => Action::Rtt(peer, rtt_us),
        }));
    }

    fn ask_others(&mut self, subject: PeerId, context: &mut Context<'_>) {
        let mut helpers: Vec<PeerId> =
            self.connected.iter().copied().filter(|peer| *peer != subject).collect();
        let mut asked = 0;
        // Random, so that nobody who was not asked can answer.
        #[allow(clippy::cast_possible_truncation)]
        let nonce = (context.random)() as u32;
        let Self { indirect, watches, .. } = self;
        indirect.retain(|_, target| *target != subject && watches.contains_key(target));
        indirect.insert(nonce, subject);
        while asked < INDIRECT_ASKED && !helpers.is_empty() {
            #[allow(clippy::cast_possible_truncation)]
            let helper = helpers.swap_remove((context.random)() as usize % helpers.len());
            let frame = Frame::IndirectRequest { target: subject, nonce };
            self.actions.push(Action::Frame(helper, frame));
            asked += 1;
        }
        if let Some(watch) = self.watches.get_mut(&subject) {
            watch.on_asked(u32::try_from(asked).unwrap_or(u32::MAX));
        }
    }

    fn probe_for(&mut self, asker: PeerId, target: PeerId, nonce: u32, known: bool, now: Time) {
        let connected = self.connected.contains(&target);
        if !known || !self.errands.indirect(target, (asker, nonce), connected, now) {
            self.actions.push(Action::Frame(asker, Frame::IndirectReport { nonce, heard: false }));
        } else if !connected {
            self.actions.push(Action::Dial(target));
        }
    }

    fn void_silence(&mut self, context: &mut Context<'_>) {
        self.watched.void_silence(context.now);
        let mut changed = false;
        for watch in self.watches.values_mut() {
            changed |= watch.void_silence(context.now, context.clock);
        }
        if changed {
            self.actions.push(Action::LinksChanged(Haste::AtOnce));
        }
    }
}

#[cfg(test)]
mod tests;
