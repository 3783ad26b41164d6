//! Anti-entropy: each peer asks its ring neighbours in turn what they learned, and repairs what broadcasts lost.
//!
//! An exchange asks for ids first and for the missing bodies next, so that a record crosses each edge about once. Where the neighbour's log cannot tell what is missing (first
//! contact, a lost store), or digests stay different though the log is silent, set reconciliation finds the difference.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::report::Convergence;
use crate::types::{MILLI, PeerId, RecordId, RequestId, SECOND, StateDigest, Time};
use crate::view::{RecordStore, View};
use crate::wire;

pub mod message;
pub mod pacing;
pub mod reconcile;

use message::{Cursor, ExchangeAnswer, ExchangeRequest, SketchRange};
use pacing::Budget;
use reconcile::{Reconciliation, SYMBOLS_PER_ANSWER, Snapshots, Step};

/// Between two exchanges while a neighbour's digest differs: news cross a thousand peers in a few hops of this.
const BUSY_INTERVAL: u64 = 250 * MILLI;
/// A request is given up after this, so that one dead connection does not hold up the exchanges with all others.
const REQUEST_TIMEOUT: u64 = 3 * SECOND;
/// Answers in a row without anything that was asked for, after which a peer is left alone: five pauses refill any budget.
const MAX_FRUITLESS: u8 = 6;
/// Requests of one errand: the log of the largest mesh, 48 bodies at a time. Nobody can keep a peer busy with itself for ever.
const MAX_REQUESTS: u16 = 512;
/// A peer that did not answer is not asked for this long: each such turn holds up the repair that others could give.
const FAILURE_PAUSE: u64 = 10 * SECOND;
/// Pause before asking a peer again that gave nothing because its budget was spent: half of it is back by then.
const BUDGET_PAUSE: u64 = 500 * MILLI;
/// Wanted bodies in one request: about 18 KB of answer, half of the repair budget of a second.
pub const WANTS_PER_REQUEST: usize = 48;
/// Records pushed in one request.
const PUSH_PER_REQUEST: usize = 64;
/// Bytes of bodies in one answer: leaves room for ids below the cap of a message.
const ANSWER_BODY_BYTES: usize = 24 * 1024;
/// Ids in one answer: 16 KiB.
const IDS_PER_ANSWER: usize = 2_048;
/// Exchanges with different digests and nothing new after which the sets are reconciled.
const STUBBORN: u8 = 3;
/// Exchanges without success after which a difference no longer makes this peer hurry.
const HOPELESS: u8 = 8;
/// On first contact a view of at most this many records asks for the neighbour's whole log: 2 KB of ids at the most, and heartbeats come with it.
///
/// A newcomer has an empty view, and for it the whole log is also the cheapest way in a large mesh.
const WHOLE_LOG_RECORDS: usize = 256;
/// Neighbours remembered: ring neighbours of both directions, visits, and some that are gone.
const MAX_PARTNERS: usize = 64;
/// A neighbour that showed its digest within this counts for convergence: at the longest pause ten neighbours are asked once in 40 s, and ask as often.
const FRESH: u64 = 60 * SECOND;

/// What is known of one peer's view.
#[derive(Clone, Copy, Debug, Default)]
struct Partner {
    connected: bool,
    cursor: Option<Cursor>,
    digest: Option<StateDigest>,
    asked: Option<Time>,
    /// When it last showed its digest, asked or asking.
    shown: Option<Time>,
    rests_until: Time,
    stubborn: u8,
}

/// A request under way.
#[derive(Debug)]
struct Flight {
    id: RequestId,
    peer: PeerId,
    sent: Time,
    asked_changes: bool,
    wanted: Vec<RecordId>,
    asked_symbols: bool,
    /// It asked what is new, and did not go on with what had been found.
    began: bool,
}

/// An answer that was waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    /// Whose it is.
    pub(crate) from: PeerId,
    /// It began the exchange.
    pub(crate) began: bool,
    /// How long it took.
    pub(crate) round_trip_us: u64,
}

/// What is still to be fetched from, or brought to, one peer.
#[derive(Debug, Default)]
struct Errand {
    peer: Option<PeerId>,
    wants: VecDeque<RecordId>,
    push: VecDeque<RecordId>,
    reconciliation: Option<Reconciliation>,
    /// Where to go on in the peer's whole log: it has more ids than one answer takes.
    log: Option<Cursor>,
    /// Not before this: the peer had spent its budget.
    resume: Time,
    /// Answers in a row that brought nothing of what was asked for.
    fruitless: u8,
    /// Requests sent.
    requests: u16,
}

/// The anti-entropy child of a node.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    partners: BTreeMap<PeerId, Partner>,
    /// How many of them are connected.
    connected: usize,
    neighbours: BTreeSet<PeerId>,
    /// Members of the mesh; the pause between exchanges follows from it.
    members: usize,
    flight: Option<Flight>,
    errand: Errand,
    snapshots: Snapshots,
    settled: bool,
    next: Time,
    next_id: u64,
    inbound: Budget,
    outbound: Budget,
}

impl Exchange {
    /// Begins. A peer that is alone has nothing to fetch, and one that remembers its mesh need not wait for it.
    pub(crate) const fn start(&mut self, settled: bool) {
        self.settled = settled;
    }

    /// Whether this peer has once fetched all that a neighbour offered.
    pub(crate) const fn is_settled(&self) -> bool {
        self.settled
    }

    /// Sets the ring neighbours, who are asked before others, and how many members the mesh has.
    pub(crate) fn set_neighbours(&mut self, neighbours: BTreeSet<PeerId>, members: usize) {
        self.neighbours = neighbours;
        self.members = members;
    }

    /// A peer is connected: a neighbour is asked soon, for both may have been apart for long.
    pub(crate) fn on_connected(&mut self, peer: PeerId, now: Time) {
        self.make_room();
        let partner = self.partners.entry(peer).or_default();
        self.connected += usize::from(!partner.connected);
        partner.connected = true;
        partner.asked = None;
        partner.digest = None;
        partner.stubborn = 0;
        partner.rests_until = now;
        if self.counts(&peer) {
            self.next = self.next.min(now.plus(BUSY_INTERVAL / 5));
        }
    }

    pub(crate) fn on_disconnected(&mut self, peer: PeerId) {
        if let Some(partner) = self.partners.get_mut(&peer) {
            self.connected -= usize::from(partner.connected);
            partner.connected = false;
            partner.shown = None;
        }
        if self.flight.as_ref().is_some_and(|flight| flight.peer == peer) {
            self.flight = None;
        }
        if self.errand.peer == Some(peer) {
            self.errand = Errand::default();
        }
    }

    /// When [`Self::tick`] is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        if let Some(flight) = &self.flight {
            return Some(flight.sent.plus(REQUEST_TIMEOUT));
        }
        if self.errand.peer.is_some() {
            return Some(self.inbound.ready_at().max(self.errand.resume));
        }
        (self.connected > 0).then_some(self.next)
    }

    /// Sends the next request, if one is due. `random` spreads the turns.
    pub(crate) fn tick<S: RecordStore>(
        &mut self,
        view: &View<S>,
        now: Time,
        random: u64,
    ) -> Option<(PeerId, RequestId, ExchangeRequest)> {
        if let Some(flight) = &self.flight {
            if now.since(flight.sent) < REQUEST_TIMEOUT {
                return None;
            }
            let id = flight.id;
            self.on_failed(id, now);
        }
        if self.errand.peer.is_some() && (!self.inbound.allows(now) || now < self.errand.resume) {
            return None;
        }
        if let Some(sent) = self.continue_errand(view, now, random) {
            return Some(sent);
        }
        if now < self.next {
            return None;
        }
        let busy = self.is_busy(view.digest());
        let pause = if busy { BUSY_INTERVAL } else { pacing::quiet_interval(self.members) };
        self.next = now.plus(pause - pause / 8 + random % (pause / 4));
        let peer = self.choose(view.digest(), now)?;
        self.begin(peer, view, now)
    }

    /// Takes an answer, before the owner checks and merges the records that it brought. `None` if nobody waits for it.
    pub(crate) fn on_answer<S: RecordStore>(
        &mut self,
        id: RequestId,
        answer: &ExchangeAnswer,
        view: &View<S>,
        now: Time,
        random: u64,
    ) -> Option<Answered> {
        let flight = self.flight.take_if(|flight| flight.id == id)?;
        self.inbound.spend(wire::answer_bytes(answer), now);
        let own = view.digest();
        let partner = self.partners.entry(flight.peer).or_default();
        partner.digest = Some(answer.digest);
        partner.shown = Some(now);
        let first_contact = partner.cursor.is_none() || answer.log_reset;
        if flight.asked_changes || first_contact {
            partner.cursor = Some(answer.cursor);
        }
        let missing: Vec<RecordId> =
            answer.ids.iter().copied().filter(|id| !view.holds(*id)).collect();
        // What is named without a cursor is a heartbeat, and says nothing of the difference in state.
        let told_news = !missing.is_empty() && flight.asked_changes && !answer.log_reset;
        let differs = answer.digest != own;
        let counts = flight.began && !answer.settling;
        partner.stubborn = match differs {
            false => 0,
            true if counts => partner.stubborn.saturating_add(1),
            true => partner.stubborn,
        };
        let stubborn = partner.stubborn;
        let due = stubborn == STUBBORN || (stubborn > HOPELESS && stubborn.is_multiple_of(32));
        let reconcile = differs && counts && (due || (first_contact && !told_news));
        self.errand.peer = Some(flight.peer);
        self.errand.wants.extend(missing);
        self.errand.wants.truncate(wire::MAX_IDS);
        let page_is_full = flight.asked_changes && answer.ids.len() >= IDS_PER_ANSWER;
        self.errand.log = page_is_full.then_some(answer.cursor).or(self.errand.log);
        self.keep_unanswered(&flight, answer, now);
        if self.errand.reconciliation.is_some() {
            self.advance_reconciliation(answer);
        } else if reconcile {
            self.errand.reconciliation = Some(Reconciliation::begin(random));
        }
        self.forget_finished_errand();
        self.settled |= self.errand.peer.is_none();
        let round_trip_us = now.since(flight.sent);
        Some(Answered { from: flight.peer, began: flight.began, round_trip_us })
    }

    /// A peer brought state that was new: the difference to it shrinks by itself.
    pub(crate) fn learned_state(&mut self, from: PeerId) {
        if let Some(partner) = self.partners.get_mut(&from) {
            partner.stubborn = partner.stubborn.min(STUBBORN - 1);
        }
    }

    /// A peer fell silent: what it was asked for is asked of others.
    pub(crate) fn give_up_on(&mut self, peer: PeerId, now: Time) {
        if let Some(partner) = self.partners.get_mut(&peer) {
            partner.shown = None;
            partner.rests_until = now.plus(FAILURE_PAUSE);
        }
        if self.flight.as_ref().is_some_and(|flight| flight.peer == peer) {
            self.flight = None;
        }
        if self.errand.peer == Some(peer) {
            self.errand = Errand::default();
        }
    }

    /// Brings records to a peer that lacks them.
    pub(crate) fn push(&mut self, peer: PeerId, ids: Vec<RecordId>) {
        if self.errand.peer.is_none_or(|busy_with| busy_with == peer) {
            self.errand.peer = Some(peer);
            self.errand.push.extend(ids);
        }
    }

    /// A request will get no answer.
    pub(crate) fn on_failed(&mut self, id: RequestId, now: Time) {
        if let Some(flight) = self.flight.take_if(|flight| flight.id == id) {
            self.give_up_on(flight.peer, now);
        }
    }

    /// Answers a request. The pushed records are the owner's to check and merge.
    pub(crate) fn answer<S: RecordStore>(
        &mut self,
        from: PeerId,
        request: &ExchangeRequest,
        view: &mut View<S>,
        now: Time,
    ) -> ExchangeAnswer {
        let mut answer = ExchangeAnswer {
            digest: view.digest(),
            cursor: view.log_end(),
            your_version: view.highest_version(&from),
            settling: !self.settled || !self.errand.wants.is_empty(),
            ..ExchangeAnswer::default()
        };
        if let Some(cursor) = request.changes {
            let changes = view.changes_since(cursor, from, IDS_PER_ANSWER);
            answer.ids = changes.ids;
            answer.cursor = changes.cursor;
            answer.log_reset = changes.reset;
        }
        if self.outbound.allows(now) {
            collect_bodies(view, &request.wants, &mut answer);
            if let Some(range) = request.sketch {
                let to = range.to.min(range.from.saturating_add(SYMBOLS_PER_ANSWER));
                let range = SketchRange { to, ..range };
                answer.symbols = self.snapshots.symbols(from, range, || view.state_items(), now);
            }
        }
        self.snapshots.expire(now);
        self.outbound.spend(wire::answer_bytes(&answer), now);
        if let Some(partner) = self.partners.get_mut(&from) {
            partner.digest = Some(request.digest);
            partner.shown = Some(now);
        }
        if request.digest != answer.digest {
            self.hurry(now);
        }
        answer
    }

    /// How many of the neighbours that showed their digest lately have the same state.
    pub(crate) fn convergence(&self, own: StateDigest, now: Time) -> Convergence {
        let mut convergence = Convergence::default();
        for (peer, partner) in &self.partners {
            let fresh = partner.shown.is_some_and(|at| now.since(at) < FRESH);
            if !partner.connected || !self.neighbours.contains(peer) || !fresh {
                continue;
            }
            convergence.asked += 1;
            convergence.equal += usize::from(partner.digest == Some(own));
        }
        convergence
    }

    /// The own state changed: whether the neighbours' did as well is looked at once the news has had the time to arrive; before, an exchange would find differences that mend themselves.
    pub(crate) fn state_changed(&mut self, now: Time) {
        self.next = self.next.min(now.plus(pacing::BROADCAST_TRAVEL));
    }

    /// Makes the next exchange come soon.
    pub(crate) fn hurry(&mut self, now: Time) {
        self.next = self.next.min(now.plus(BUSY_INTERVAL));
    }

    fn begin<S: RecordStore>(
        &mut self,
        peer: PeerId,
        view: &View<S>,
        now: Time,
    ) -> Option<(PeerId, RequestId, ExchangeRequest)> {
        let partner = self.partners.get_mut(&peer)?;
        partner.asked = Some(now);
        let whole_log = view.len() <= WHOLE_LOG_RECORDS;
        let changes = partner.cursor.or_else(|| whole_log.then(Cursor::default));
        let request = ExchangeRequest { changes, ..ExchangeRequest::default() };
        Some(self.send(peer, request, true, view, now))
    }

    fn continue_errand<S: RecordStore>(
        &mut self,
        view: &View<S>,
        now: Time,
        random: u64,
    ) -> Option<(PeerId, RequestId, ExchangeRequest)> {
        let peer = self.errand.peer?;
        let mut request = ExchangeRequest::default();
        while request.wants.len() < WANTS_PER_REQUEST
            && let Some(id) = self.errand.wants.pop_front()
        {
            if !view.holds(id) {
                request.wants.push(id);
            }
        }
        let mut push_bytes = 0;
        while request.push.len() < PUSH_PER_REQUEST
            && push_bytes < ANSWER_BODY_BYTES
            && let Some(id) = self.errand.push.pop_front()
        {
            if let Some(record) = view.by_id(id) {
                push_bytes += record.wire_bytes();
                request.push.push(record);
            }
        }
        self.outbound.spend(push_bytes, now);
        self.inbound.spend(push_bytes, now);
        if request.wants.is_empty() {
            request.changes = self.errand.log.take();
            let reconciliation = self.errand.reconciliation.as_mut();
            request.sketch = reconciliation
                .map(|reconciliation| reconciliation.next_range(|| view.state_items(), random));
        }
        let endless =
            self.errand.fruitless >= MAX_FRUITLESS || self.errand.requests >= MAX_REQUESTS;
        if request == ExchangeRequest::default() || endless {
            self.errand = Errand::default();
            return None;
        }
        self.errand.requests += 1;
        Some(self.send(peer, request, false, view, now))
    }

    fn send<S: RecordStore>(
        &mut self,
        peer: PeerId,
        mut request: ExchangeRequest,
        began: bool,
        view: &View<S>,
        now: Time,
    ) -> (PeerId, RequestId, ExchangeRequest) {
        request.digest = view.digest();
        self.next_id += 1;
        let id = RequestId(self.next_id);
        self.flight = Some(Flight {
            id,
            peer,
            sent: now,
            asked_changes: request.changes.is_some(),
            wanted: request.wants.clone(),
            asked_symbols: request.sketch.is_some(),
            began,
        });
        (peer, id, request)
    }

    /// Wanted bodies that the answer had no room for are asked for again; those that the peer lost are not.
    fn keep_unanswered(&mut self, flight: &Flight, answer: &ExchangeAnswer, now: Time) {
        let got: BTreeSet<RecordId> = answer.records.iter().map(|record| record.id()).collect();
        let left = flight
            .wanted
            .iter()
            .filter(|id| !got.contains(id) && !answer.absent.contains(id))
            .copied();
        self.errand.wants.extend(left);
        let asked = !flight.wanted.is_empty() || flight.asked_symbols;
        let brought = flight.wanted.iter().any(|id| got.contains(id) || answer.absent.contains(id))
            || (flight.asked_symbols && !answer.symbols.is_empty());
        if asked && !brought {
            self.errand.resume = now.plus(BUDGET_PAUSE);
            self.errand.fruitless += 1;
        } else {
            self.errand.fruitless = 0;
        }
    }

    fn advance_reconciliation(&mut self, answer: &ExchangeAnswer) {
        let Some(reconciliation) = &mut self.errand.reconciliation else { return };
        if answer.symbols.is_empty() {
            return;
        }
        match reconciliation.on_symbols(&answer.symbols) {
            Step::More => {}
            Step::GiveUp => self.errand.reconciliation = None,
            Step::AskLog => {
                self.errand.reconciliation = None;
                self.errand.log = Some(Cursor::default());
            }
            Step::Done(difference) => {
                self.errand.reconciliation = None;
                self.errand.wants.extend(difference.only_remote.iter().map(RecordId::of_item));
                self.errand.push.extend(difference.only_local.iter().map(RecordId::of_item));
            }
        }
    }

    fn forget_finished_errand(&mut self) {
        let errand = &self.errand;
        let asked_for_all = errand.reconciliation.is_none() && errand.log.is_none();
        if errand.wants.is_empty() && errand.push.is_empty() && asked_for_all {
            self.errand = Errand::default();
        }
    }

    /// Whether some neighbour's state differs and there is hope to mend it.
    fn is_busy(&self, own: StateDigest) -> bool {
        self.partners.iter().any(|(peer, partner)| {
            partner.connected
                && partner.stubborn < HOPELESS
                && partner.digest != Some(own)
                && self.counts(peer)
        })
    }

    /// Whether a peer's state matters for how soon the next exchange comes: that of a neighbour does, and where none is connected anybody's. A visitor is gone soon, and asked by nobody.
    fn counts(&self, peer: &PeerId) -> bool {
        let is_connected = |neighbour| self.partners.get(neighbour).is_some_and(|it| it.connected);
        self.neighbours.contains(peer) || !self.neighbours.iter().any(is_connected)
    }

    /// Who is asked next: ring neighbours before others, those that differ before those that agree, the longest unasked first.
    fn choose(&self, own: StateDigest, now: Time) -> Option<PeerId> {
        let rank = |peer: &PeerId, partner: &Partner| {
            let differs = partner.digest != Some(own) && partner.stubborn < HOPELESS;
            (!self.neighbours.contains(peer), !differs, partner.asked)
        };
        let awake = |partner: &Partner| partner.connected && partner.rests_until <= now;
        let connected = self.partners.iter().filter(|(_, partner)| awake(partner));
        connected.min_by_key(|(peer, partner)| rank(peer, partner)).map(|(peer, _)| *peer)
    }

    fn make_room(&mut self) {
        if self.partners.len() < MAX_PARTNERS {
            return;
        }
        let neighbours = &self.neighbours;
        let gone = self
            .partners
            .iter()
            .filter(|(_, partner)| !partner.connected)
            .min_by_key(|(peer, partner)| (neighbours.contains(peer), partner.asked))
            .map(|(peer, _)| *peer);
        if let Some(peer) = gone {
            self.partners.remove(&peer);
        }
    }
}

fn collect_bodies<S: RecordStore>(view: &View<S>, wants: &[RecordId], answer: &mut ExchangeAnswer) {
    let mut bytes = 0;
    for id in wants.iter().take(WANTS_PER_REQUEST) {
        let Some(record) = view.by_id(*id) else {
            answer.absent.push(*id);
            continue;
        };
        bytes += record.wire_bytes();
        if bytes > ANSWER_BODY_BYTES {
            break;
        }
        answer.records.push(record);
    }
    // Who an origin is comes before what it says, or a newcomer would refuse it as a stranger's.
    answer.records.sort_by_key(|record| record.kind());
}
