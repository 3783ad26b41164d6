//! The node: routes inputs to its children and their wishes to the driver, and publishes what this peer has to say.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::admission::Admissions;
use crate::clock::HybridClock;
use crate::config::Config;
use crate::event::Event;
use crate::exchange::message::{ExchangeAnswer, ExchangeRequest};
use crate::exchange::pacing::heartbeat_interval;
use crate::exchange::{Answered, Exchange};
use crate::latency::{Latency, VISIT_INTERVAL};
use crate::membership::frame::Frame;
use crate::membership::refutation::{CUT_OFF_FOR, Circumstances, Refutations, late_before_ms};
use crate::membership::state::{self, Evaluation, PeerState, Seating};
use crate::membership::{Action, Context, Duty, Haste, Membership};
use crate::port::{Crypto, Input, Output};
use crate::record::{Availability, EdgeStatus, Kind, Resources};
use crate::ring::Rings;
use crate::roster::{Member, Refreshed, Roster};
use crate::types::{MILLI, Now, PeerId, RequestId, SECOND, Time, Token, Version};
use crate::view::{RecordStore, View};

mod accept;
mod admission;
mod authorities;
mod clocks;
mod keys;
mod pace;
mod publish;
mod reports;
mod search;
mod shards;

use accept::Accepted;
pub use admission::{
    InviteRefusal, InviteReport, InviteTerms, Invited, MAX_INVITE_LIFETIME_S, MAX_INVITE_USES,
    RevokeRefusal,
};
pub use authorities::ReplaceRefusal;
use clocks::Clocks;
pub use keys::{KeysRefusal, Rotation};
use pace::Pace;
use publish::Publisher;
use search::{SMALL_SIDE, Search};
use shards::Shards;

/// States are evaluated this long after a record changed them: one evaluation serves a burst of records.
const EVALUATION_DELAY: u64 = 30 * MILLI;
/// While records keep coming the delay doubles up to this: a mesh that starts or heals changes a thousand times a second, and no state in it is settled sooner.
const EVALUATION_DELAY_MAX: u64 = 240 * MILLI;
/// An evaluation counts as the next of a row if the one before is no longer ago than this.
const EVALUATION_ROW: u64 = 500 * MILLI;
/// How often expired records are looked for; their grace is ten minutes.
const EXPIRY_INTERVAL: u64 = 10 * SECOND;
/// How often a peer that needs its seeds dials them.
const SEED_INTERVAL: u64 = 2 * SECOND;
/// A newcomer takes up duties when it has fetched what its first neighbour knows, or after this much time: with half of the roster it would dial the wrong peers.
const SETTLE_LIMIT: u64 = 10 * SECOND;
/// A heartbeat is on its way for no longer than this; together with half an interval, so that one that was lost is no silence.
const WORD_DELAY: u64 = 10 * SECOND;
/// Room for outputs that is kept while there are none: what one input usually makes. The first evaluation of a large mesh makes thousands.
const IDLE_OUTPUTS: usize = 64;
/// Seeds dialled at a time.
const MAX_SEEDS: usize = 8;
/// Peers out of reach that this observer may take over from observers out of reach, at a time.
///
/// On the small side of a partition everybody else is lost; without a bound each peer there would dial all of them.
const MAX_ACTING_UNREACHED: usize = 8;

/// One member of the mesh, without I/O.
///
/// Contract: give [`handle`](Self::handle) exactly one input, then take outputs from [`poll_output`](Self::poll_output) until there are none, then wait for the next input or until
/// [`poll_timeout`](Self::poll_timeout), whichever comes first.
#[derive(Debug)]
pub struct Node<C, S> {
    config: Config,
    crypto: C,
    view: View<S>,
    /// Who is barred, as of the last update.
    admissions: Arc<Admissions>,
    /// Enrolments came since.
    admissions_changed: bool,
    /// Replaced authority keys whose time was over, as of the last look.
    authorities_ended: usize,
    /// The record whose secret was taken last, by its hash.
    key_taken: Option<[u8; 32]>,
    /// Who fell with its enroller.
    fallen: BTreeSet<PeerId>,
    roster: Roster,
    evaluation: Evaluation,
    membership: Membership,
    exchange: Exchange,
    latency: Latency,
    clock: HybridClock,
    publisher: Publisher,
    shards: Shards,
    connected: BTreeSet<PeerId>,
    neighbours: BTreeSet<PeerId>,
    keep: BTreeSet<PeerId>,
    outputs: VecDeque<Output>,
    counters: BTreeMap<&'static str, u64>,
    refutations: Refutations,
    evaluate_at: Option<Time>,
    evaluated: Time,
    evaluation_delay: u64,
    /// What the roster's refreshes changed since the last evaluation.
    refreshed: Refreshed,
    /// The memberships that `told` is about.
    told_rings: Arc<Rings>,
    told: Vec<PeerState>,
    /// Deadline of the children, as of the end of the last input.
    deadline: Option<(Time, &'static str)>,
    keep_changed: bool,
    /// A seed is a member, as of the last evaluation.
    joined: bool,
    expire_at: Time,
    seed_at: Time,
    scout_at: Time,
    search: Search,
    started: bool,
    left: bool,
    state_changed: bool,
    was_converged: bool,
    was_outside: usize,
    pace: Pace,
    skewed: BTreeSet<PeerId>,
    clocks: Clocks,
    clone_seen: Option<Time>,
}

impl<C: Crypto, S: RecordStore> Node<C, S> {
    /// A node over what `store` holds of an earlier start.
    pub fn new(mut config: Config, mut crypto: C, store: S, now: Now) -> Self {
        let view = View::open(store, crypto.random_u64());
        let mut clock = HybridClock::default();
        clock.observe(config.last_version, now.wall_ms);
        clock.overtake(view.highest_version(&config.certificate.peer));
        config.profile = config.profile.clipped();
        let publisher = Publisher::new(crypto.random_u64(), now.time);
        let mut node = Self {
            admissions: Arc::default(),
            admissions_changed: false,
            authorities_ended: 0,
            key_taken: None,
            fallen: BTreeSet::new(),
            roster: Roster::default(),
            evaluation: Evaluation::default(),
            membership: Membership::default(),
            shards: Shards::default(),
            exchange: Exchange::default(),
            latency: Latency::new(),
            connected: BTreeSet::new(),
            neighbours: BTreeSet::new(),
            keep: BTreeSet::new(),
            outputs: VecDeque::new(),
            counters: BTreeMap::new(),
            refutations: Refutations::default(),
            evaluate_at: Some(now.time),
            evaluated: Time(0),
            evaluation_delay: EVALUATION_DELAY,
            refreshed: Refreshed::default(),
            told_rings: Arc::default(),
            told: Vec::new(),
            deadline: None,
            keep_changed: true,
            joined: false,
            expire_at: now.time.plus(EXPIRY_INTERVAL),
            seed_at: now.time,
            scout_at: now.time.plus(VISIT_INTERVAL),
            search: Search::default(),
            started: false,
            left: false,
            state_changed: false,
            was_converged: true,
            was_outside: 0,
            pace: Pace::default(),
            skewed: BTreeSet::new(),
            clocks: Clocks::default(),
            clone_seen: None,
            config,
            crypto,
            view,
            clock,
            publisher,
        };
        node.load_roster(now);
        node
    }

    /// Takes in one thing that happened.
    pub fn handle(&mut self, input: Input, now: Now) {
        let late_us = self.deadline.map_or(0, |(deadline, _)| now.time.since(deadline));
        // Frames are most of what happens, and seldom is anything else due with one.
        let alone = matches!(input, Input::Frame { .. }) && !self.is_due(now.time);
        if let Input::Frame { from, .. }
        | Input::Request { from, .. }
        | Input::Broadcast { from, .. } = &input
        {
            self.membership.on_sign_of_life(*from, now.time);
        }
        match input {
            Input::Start => self.start(now),
            Input::Tick => {}
            Input::Connected { peer } => self.on_connected(peer, now),
            Input::Disconnected { peer } => self.on_disconnected(peer, now),
            Input::DialFailed { peer } => self.count_dial_failure(&peer),
            Input::Frame { from, frame } => self.on_frame(from, frame, now),
            Input::Request { from, token, request } => self.on_request(from, token, &request, now),
            Input::Answer { id, answer } => self.on_answer(id, &answer, now),
            Input::RequestFailed { id } => self.exchange.on_failed(id, now.time),
            Input::Broadcast { from, token, record } => {
                let verdict = self.accept_broadcast(from, &record, now);
                self.outputs.push_back(Output::Verdict { token, verdict });
            }
            Input::Resources(resources) => self.on_resources(resources, now),
            Input::Shards(report) => {
                self.shards.take(report);
                self.publisher.request(Kind::FINDING, now.time, Haste::AtOnce);
            }
            Input::Profile(profile) => {
                self.config.profile = profile.clipped();
                self.publisher.request(Kind::PEER, now.time, Haste::AtOnce);
            }
            Input::Leave { reason } => self.leave(reason, now),
        }
        if alone {
            self.carry_out(now);
            self.deadline = self.next_deadline();
        }
        if !alone || self.is_due(now.time) {
            self.run_due(late_us, now);
            self.deadline = self.next_deadline();
        }
    }

    /// The next thing to do; `None` when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if output.is_none() && self.outputs.capacity() > IDLE_OUTPUTS {
            self.outputs = VecDeque::new();
        }
        output
    }

    /// When the node wants an [`Input::Tick`] at the latest, and what for.
    pub const fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        self.deadline
    }

    /// Who this node is.
    pub const fn me(&self) -> PeerId {
        self.config.certificate.peer
    }

    /// The highest version that this node gave or saw: the driver keeps it for the next start.
    pub fn last_version(&self) -> Version {
        self.clock.last()
    }

    /// The record store.
    pub const fn store_mut(&mut self) -> &mut S {
        self.view.store_mut()
    }

    /// The crypto port.
    pub const fn crypto_mut(&mut self) -> &mut C {
        &mut self.crypto
    }

    fn start(&mut self, now: Now) {
        self.started = true;
        self.resume(now);
        let alone = self.config.seeds.is_empty() && self.view.is_empty();
        self.publisher.start(now.time, alone);
        self.outputs.push_back(Output::Authorities(self.config.authorities.clone()));
        self.outputs.push_back(Output::Admissions(self.admissions.clone()));
        self.take_key_epoch(now);
        self.exchange.start(alone || !self.roster.members().is_empty());
        self.seed_at = now.time;
        self.keep_changed = true;
    }

    fn leave(&mut self, reason: alloc::string::String, now: Now) {
        self.left = true;
        self.publish_leave(reason, now);
    }

    fn on_connected(&mut self, peer: PeerId, now: Now) {
        if self.bars_connection(&peer) {
            self.count("connection_of_barred");
            self.outputs.push_back(Output::Disconnect { peer });
            return;
        }
        if self.connected.insert(peer) {
            self.keep_changed = true;
            self.membership.on_connected(peer, now.time);
            if self.search.has_found(&peer) {
                // It learns of this peer by being probed, and each takes the other under its watch.
                self.membership.scout(peer, now.time);
            }
            self.exchange.on_connected(peer, now.time);
        }
    }

    /// Another process with the identity of `peer` is going to be connected: it is offered what the former one said, so that it hears of it.
    pub fn forget_source(&mut self, peer: PeerId) {
        self.view.forget_source(peer);
    }

    fn on_disconnected(&mut self, peer: PeerId, now: Now) {
        if self.connected.remove(&peer) {
            self.keep_changed = true;
            self.membership.on_disconnected(peer, now.time);
            self.exchange.on_disconnected(peer);
        }
    }

    fn count_dial_failure(&mut self, peer: &PeerId) {
        self.count(if self.roster.find(peer).is_some() {
            "dial_failed"
        } else {
            "dial_failed_seed"
        });
    }

    fn on_frame(&mut self, from: PeerId, frame: Frame, now: Now) {
        let Self { membership, crypto, clock, roster, .. } = self;
        let mut context = Context {
            now: now.time,
            random: &mut || crypto.random_u64(),
            clock: &mut || clock.tick(now.wall_ms),
        };
        membership.on_frame(from, frame, |peer| roster.find(peer).is_some(), &mut context);
    }

    fn on_request(&mut self, from: PeerId, token: Token, request: &ExchangeRequest, now: Now) {
        for record in &request.push {
            // Who brings one forged record brings more of them.
            if self.accept(record, Some(from), now) == Accepted::Forged {
                break;
            }
        }
        let mut answer = self.exchange.answer(from, request, &mut self.view, now.time);
        answer.wall_ms = now.wall_ms;
        if request.is_first_contact() || answer.log_reset {
            // The own heartbeat may lie before the cursor that the asker is about to get, and digests leave it out: one that was published before any contact would reach nobody.
            let own = self.view.get(self.me(), Kind::HEARTBEAT, now.wall_s());
            answer.ids.extend(own.map(|heartbeat| heartbeat.id()));
        }
        self.outputs.push_back(Output::Answer { token, answer });
    }

    fn on_answer(&mut self, id: RequestId, answer: &ExchangeAnswer, now: Now) {
        let random = self.crypto.random_u64();
        let answered = self.exchange.on_answer(id, answer, &self.view, now.time, random);
        let Some(Answered { from, began, round_trip_us }) = answered else {
            self.count("answer_unasked");
            return;
        };
        self.compare_clocks(from, answer.wall_ms, round_trip_us, now);
        // A bare word: whoever gives it may be mistaken or lie, so it counts within the skew only.
        self.clock.observe(answer.your_version, now.wall_ms);
        self.publisher.heard_of_own_versions(now.time);
        let lacks =
            self.publisher.settled_version(now.time).is_some_and(|own| answer.your_version < own);
        if began && lacks {
            self.exchange.push(from, self.view.state_ids(&self.config.certificate.peer));
        }
        let mut learned = false;
        for record in &answer.records {
            learned |= self.accept(record, Some(from), now).changed() && record.kind().is_state();
        }
        if learned {
            self.exchange.learned_state(from);
            self.exchange.hurry(now.time);
        }
        self.state_changed = true;
    }

    fn on_resources(&mut self, resources: Resources, now: Now) {
        if self.publisher.set_resources(resources) {
            self.publisher.request(Kind::HEARTBEAT, now.time, Haste::AtOnce);
        }
    }

    /// Ends a call from outside as [`Self::handle`] ends an input: what has become due at once is done.
    fn settle(&mut self, now: Now) {
        self.run_due(0, now);
        self.deadline = self.next_deadline();
    }

    fn is_due(&self, now: Time) -> bool {
        self.deadline.is_some_and(|(deadline, _)| deadline <= now)
    }

    fn next_deadline(&self) -> Option<(Time, &'static str)> {
        if !self.started {
            return None;
        }
        [
            (self.membership.deadline(), "probe"),
            (self.exchange.deadline(), "exchange"),
            (self.publisher.deadline().filter(|_| !self.left), "publish"),
            (self.evaluate_at, "evaluate"),
            (self.refutations.deadline(), "refute"),
            (Some(self.expire_at), "expire"),
            (self.needs_seeds().then_some(self.seed_at), "seed"),
            (Some(self.scout_at), "scout"),
            (self.search.deadline(), "search"),
        ]
        .into_iter()
        .filter_map(|(time, reason)| Some((time?, reason)))
        .min_by_key(|(time, _)| *time)
    }

    /// Does all that is due, child after child, until nothing is.
    fn run_due(&mut self, late_us: u64, now: Now) {
        if !self.started {
            return;
        }
        if self.membership.deadline().is_some_and(|at| at <= now.time) {
            let Self { membership, crypto, clock, .. } = self;
            let mut context = Context {
                now: now.time,
                random: &mut || crypto.random_u64(),
                clock: &mut || clock.tick(now.wall_ms),
            };
            membership.tick(late_us, &mut context);
        }
        self.carry_out(now);
        if now.time >= self.expire_at {
            self.expire(now);
        }
        let evaluate_at =
            [self.evaluate_at, self.refutations.deadline()].into_iter().flatten().min();
        if evaluate_at.is_some_and(|at| at <= now.time) {
            self.evaluate(now);
        }
        if now.time >= self.scout_at {
            self.scout(now);
        }
        if self.search.deadline().is_some_and(|at| at <= now.time) {
            self.search(now);
        }
        self.dial_seeds(now);
        if self.publisher.deadline().is_some_and(|at| at <= now.time) {
            self.publish_due(now);
        }
        if self.exchange.deadline().is_some_and(|at| at <= now.time) {
            let random = self.crypto.random_u64();
            if let Some((to, id, request)) = self.exchange.tick(&self.view, now.time, random) {
                self.outputs.push_back(Output::Request { to, id, request });
            }
        }
        self.carry_out(now);
        if core::mem::take(&mut self.state_changed) {
            self.note_convergence(now);
        }
        if core::mem::take(&mut self.keep_changed) | self.membership.take_visits_changed() {
            self.update_keep();
        }
    }

    fn carry_out(&mut self, now: Now) {
        for action in self.membership.take_actions() {
            match action {
                Action::Frame(to, frame) => self.outputs.push_back(Output::Frame { to, frame }),
                Action::Dial(peer) => self.dial(peer),
                Action::Disconnect(peer) => self.outputs.push_back(Output::Disconnect { peer }),
                Action::Rtt(peer, rtt_us) => self.learn_rtt(peer, rtt_us, now),
                Action::EdgeChanged(subject, status) => {
                    if status != EdgeStatus::Heard {
                        self.exchange.give_up_on(subject, now.time);
                    }
                    self.emit(Event::EdgeChanged { subject, status });
                }
                Action::LinksChanged(haste) => self.publisher.request(Kind::LINKS, now.time, haste),
                Action::HealthChanged(score) => self.emit(Event::LocalHealthChanged { score }),
            }
        }
    }

    fn dial(&mut self, peer: PeerId) {
        if self.connected.contains(&peer) || peer == self.me() {
            return;
        }
        let profile = self.roster.find(&peer).and_then(|member| member.profile());
        let addresses = profile.map(|profile| profile.addresses.clone()).unwrap_or_default();
        self.outputs.push_back(Output::Connect { peer, addresses });
    }

    fn dial_seeds(&mut self, now: Now) {
        if now.time < self.seed_at || !self.needs_seeds() {
            return;
        }
        self.seed_at = now.time.plus(SEED_INTERVAL);
        let seeds: Vec<PeerId> = self.config.seeds.iter().take(MAX_SEEDS).copied().collect();
        for seed in seeds {
            self.dial(seed);
        }
    }

    /// Whether this peer is alone, or in a mesh that none of its seeds belongs to: two newcomers that found each other first are no mesh.
    fn needs_seeds(&self) -> bool {
        !self.config.seeds.is_empty() && (self.connected.is_empty() || !self.joined)
    }

    fn learn_rtt(&mut self, peer: PeerId, rtt_us: u32, now: Now) {
        let entropy = self.crypto.random_u64();
        if let Some(record) = self.view.get(peer, Kind::HEARTBEAT, now.wall_s())
            && let Some(heartbeat) = accept::heartbeat(&record)
        {
            self.latency.observe(peer, heartbeat, rtt_us, now.time, entropy);
        }
    }

    fn scout(&mut self, now: Now) {
        let random = self.crypto.random_u64();
        self.scout_at =
            now.time.plus(VISIT_INTERVAL - VISIT_INTERVAL / 8 + random % (VISIT_INTERVAL / 4));
        let me = self.me();
        let strangers: Vec<PeerId> = self
            .roster
            .members()
            .iter()
            .zip(self.evaluation.states())
            .filter(|(_, state)| *state == PeerState::Up)
            .map(|(member, _)| member.id())
            .filter(|peer| *peer != me && !self.neighbours.contains(peer))
            .collect();
        #[allow(clippy::cast_possible_truncation)]
        let index = self.crypto.random_u64() as usize % strangers.len().max(1);
        if let Some(peer) = strangers.get(index) {
            self.membership.scout(*peer, now.time);
        }
    }

    /// Whether this peer and those in its reach are few of many.
    fn is_on_small_side(&self) -> bool {
        let inside = self.evaluation.reachable.iter().filter(|reachable| **reachable);
        let inside = inside.take(SMALL_SIDE + 1).count();
        inside <= SMALL_SIDE && 2 * inside < self.roster.rings().len()
    }

    /// Dials the next of those that may be on this side of a partition.
    fn search(&mut self, now: Now) {
        if self.search.begins(now.time) {
            let outside = self.evaluation.unreachable().filter_map(|index| {
                self.roster.member(index).filter(|member| !member.left).map(Member::id)
            });
            let outside = outside.filter(|peer| !self.neighbours.contains(peer)).collect();
            let Self { search, crypto, .. } = self;
            search.begin(outside, now.time, || crypto.random_u64());
        }
        let Self { search, roster, evaluation, .. } = self;
        let is_found = |peer: &PeerId| {
            roster.index_of(peer).is_none_or(|index| evaluation.is_reachable(index))
        };
        if let Some(peer) = search.next(now.time, is_found) {
            self.dial(peer);
        }
    }

    fn expire(&mut self, now: Now) {
        self.expire_at = now.time.plus(EXPIRY_INTERVAL);
        self.end_authorities(now);
        if !self.view.has_expired(now.wall_s()) {
            return;
        }
        let gone = self.view.expire(now.wall_s());
        self.update_admissions(now);
        let lapsed: Vec<PeerId> = self
            .roster
            .members()
            .iter()
            .filter(|member| gone > 0 || member.expires_s() <= now.wall_s())
            .map(Member::id)
            .collect();
        for peer in lapsed {
            self.roster.touch(peer);
            self.need_evaluation(now.time);
        }
        self.note_convergence(now);
    }

    fn need_evaluation(&mut self, now: Time) {
        if self.evaluate_at.is_some() {
            return;
        }
        let in_a_row = now.since(self.evaluated) <= EVALUATION_ROW;
        self.evaluation_delay = if in_a_row {
            EVALUATION_DELAY_MAX.min(2 * self.evaluation_delay)
        } else {
            EVALUATION_DELAY
        };
        self.evaluate_at = Some(now.plus(self.evaluation_delay));
    }

    /// Judges all peers anew, takes up the duties that follow, and tells what changed.
    fn evaluate(&mut self, now: Now) {
        self.evaluate_at = None;
        self.evaluated = now.time;
        self.state_changed = true;
        if self.admissions_changed {
            self.update_admissions(now);
            self.evaluate_at = None;
        }
        let lossy = self.membership.is_mesh_lossy();
        let late_before_ms = late_before_ms(now.wall_ms.max(self.clock.last().ms()), lossy);
        let Self { roster, view, admissions, .. } = self;
        let refreshed = roster.refresh(view, admissions, now.wall_s(), late_before_ms);
        let refreshed = core::mem::take(&mut self.refreshed).and(refreshed);
        self.keep_changed = true;
        self.joined = self.config.seeds.iter().any(|seed| self.roster.find(seed).is_some());
        let Some(me) = self.roster.index_of(&self.me()) else {
            self.evaluation = Evaluation::default();
            self.refutations = Refutations::default();
            return;
        };
        let Self { evaluation, refutations, roster, membership, search, .. } = self;
        let mut losses = state::Losses::new();
        let judged = state::reevaluate(evaluation, roster, me, &refreshed, &mut losses);
        let around = Circumstances {
            now: now.time,
            signs: membership.signs_of_life(CUT_OFF_FOR, now.time),
            lossy,
            search_ends: search.ends(),
        };
        let judged = refutations.update(evaluation, roster, judged, &losses, around);
        self.announce_changes(judged);
        self.search.set_small(self.is_on_small_side(), now.time);
        if !self.exchange.is_settled() && now.time < self.publisher.started().plus(SETTLE_LIMIT) {
            self.need_evaluation(now.time);
            return;
        }
        let (duties, observers) = self.duties(me, now.time);
        self.neighbours =
            duties.iter().map(|duty| duty.subject).chain(observers.iter().copied()).collect();
        self.exchange.set_neighbours(self.partners(), self.roster.rings().len());
        let Self { membership, crypto, clock, .. } = self;
        let mut context = Context {
            now: now.time,
            random: &mut || crypto.random_u64(),
            clock: &mut || clock.tick(now.wall_ms),
        };
        membership.set_duties(&duties, observers.into_iter(), &mut context);
    }

    /// Who is asked for news first: the ring neighbours, and the seeds too while this peer may be on an island of newcomers that agree with each other.
    fn partners(&self) -> BTreeSet<PeerId> {
        let seeds = self.config.seeds.iter().take(if self.joined { 0 } else { MAX_SEEDS });
        self.neighbours.iter().chain(seeds).copied().collect()
    }

    /// Whom this peer watches, and who watches it.
    fn duties(&self, me: u32, now: Time) -> (BTreeSet<Duty>, Vec<PeerId>) {
        let seating = Seating::of(&self.roster, &self.evaluation.reachable);
        let (own, _) = seating.seats(me);
        let observers = own.iter().filter_map(|seat| self.roster.member(seat.observer));
        let observers = observers.map(Member::id).collect();
        let mut duties = BTreeSet::new();
        let mut unreached = Vec::new();
        let heartbeats = heartbeat_interval(self.roster.rings().len());
        let patience = heartbeats + heartbeats / 2 + WORD_DELAY;
        for index in seating.candidates(me) {
            let Some(member) = self.roster.member(index) else { continue };
            let (seats, without_path) = seating.seats(index);
            let duty = duty_towards(member, patience);
            if without_path.contains(&me) {
                unreached.push((0, duty));
            } else if let Some(seat) = seats.iter().find(|seat| seat.observer == me) {
                let reached = self.evaluation.is_reachable(index);
                if seat.passed_over == 0
                    || reached
                    || self.membership.has_reached(&member.id(), now)
                {
                    duties.insert(duty);
                } else if !seats.iter().any(|seat| self.has_lost(seat.observer, index)) {
                    // Nobody in reach ever heard it. One that somebody lost is dialled by whoever lost it.
                    unreached.push((seat.passed_over, duty));
                }
            }
        }
        unreached.sort_unstable();
        duties.extend(unreached.into_iter().take(MAX_ACTING_UNREACHED).map(|(_, duty)| duty));
        (duties, observers)
    }

    fn has_lost(&self, observer: u32, subject: u32) -> bool {
        let sighting = self.roster.sighting(observer, subject);
        sighting.is_some_and(|sighting| sighting.status() == EdgeStatus::Lost)
    }

    /// Tells which states are others than were told. `judged` names the members to look at; all, if there is none.
    fn announce_changes(&mut self, judged: Option<BTreeSet<u32>>) {
        let rings = self.roster.rings().clone();
        let same = Arc::ptr_eq(&rings, &self.told_rings) && self.told.len() == rings.ids().len();
        let looked_at: Vec<u32> = match judged {
            Some(judged) if same => judged.into_iter().collect(),
            _ => (0u32..).zip(rings.ids()).map(|(index, _)| index).collect(),
        };
        for index in looked_at {
            let Some(((to, _), peer)) =
                self.evaluation.state(index).zip(rings.ids().get(index as usize))
            else {
                continue;
            };
            let before = if same { Some(index) } else { self.told_rings.index_of(peer) };
            let from = before.and_then(|before| self.told.get(before as usize).copied());
            if from.is_none() {
                let profile = self.roster.member(index).and_then(Member::profile);
                let name = profile.map(|profile| profile.name.clone()).unwrap_or_default();
                self.emit(Event::PeerJoined { peer: *peer, name });
            }
            if from != Some(to) {
                self.emit(Event::PeerStateChanged { peer: *peer, from, to });
            }
            if let Some(told) = self.told.get_mut(index as usize).filter(|_| same) {
                *told = to;
            }
        }
        if !same {
            self.told = self.evaluation.states().collect();
            self.told_rings = rings;
        }
        self.announce_partition();
    }

    fn announce_partition(&mut self) {
        let outside = self.partition().map_or(0, |partition| partition.outside.len());
        if outside != self.was_outside {
            self.was_outside = outside;
            let inside = self.evaluation.reachable.iter().filter(|reachable| **reachable).count();
            self.emit(Event::PartitionChanged { inside, outside });
        }
    }

    fn note_convergence(&mut self, now: Now) {
        let digest = self.view.digest();
        let converged = self.exchange.convergence(digest, now.time).is_converged();
        if converged != self.was_converged {
            self.was_converged = converged;
            self.emit(Event::ConvergenceChanged { converged, digest });
        }
    }

    fn update_keep(&mut self) {
        let mut keep = self.neighbours.clone();
        keep.extend(self.membership.visited());
        if self.needs_seeds() || self.neighbours.is_disjoint(&self.connected) {
            keep.extend(self.config.seeds.iter().take(MAX_SEEDS));
        }
        if keep != self.keep {
            self.keep.clone_from(&keep);
            self.outputs.push_back(Output::Keep(keep));
        }
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn count(&mut self, what: &'static str) {
        *self.counters.entry(what).or_insert(0) += 1;
    }
}

fn duty_towards(member: &Member, patience: u64) -> Duty {
    let sleep_grace = member.profile().map_or(0, |profile| match profile.availability {
        Availability::Always => 0,
        Availability::Intermittent => u64::from(profile.sleep_grace_s) * SECOND,
    });
    Duty { subject: member.id(), sleep_grace, last_word: member.last_word(), patience }
}
