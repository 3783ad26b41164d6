//! An observer's watch over one subject: probes, misses, and what follows from them.

use alloc::collections::VecDeque;

use super::frame::Frame;
use super::likelihood::{CHECK_BITS_X16, LOST_BITS_X16, surprise_x16};
use super::state::FLAP_WINDOW;
use super::{Duty, Haste};
use crate::latency::edge::EdgeStats;
use crate::record::{EdgeStatus, Evidence, LinkEdge};
use crate::types::{MILLI, PeerId, SECOND, Time, Version};

/// Probe interval on a quiet edge. A probe, its answer and the acknowledgement of that are three packets and 218 bytes; at this pace ten edges cost 680 bytes a second each way. Half of it is the mean
/// time until the third of five observers looks.
const PROBE_INTERVAL: u64 = 1_600 * MILLI;
/// Probe interval while answers are missing.
///
/// About a dozen misses prove a loss on an edge that loses nothing; at this pace that is less than a second. Each travels on a stream
/// of its own, so that a packet that is lost holds back no other; faster ones would mostly fall into the same burst of loss and prove nothing.
const QUICK_INTERVAL: u64 = 65 * MILLI;
/// Round trips of a new connection that are measured at the quick pace: until a few are known, an answer is given a whole second.
const WARM_UP: u8 = 4;
/// Bounds of the time allowed for an answer: some satellite and mobile paths take seconds.
const TIMEOUT: core::ops::RangeInclusive<u64> = 100 * MILLI..=8 * SECOND;
/// Time allowed for an answer before the first measurement.
const FIRST_TIMEOUT: u64 = SECOND;
/// Added to the measured time: scheduling at both ends.
const TIMEOUT_MARGIN: u64 = 40 * MILLI;
/// Re-dial interval for lost subjects: partitions heal in seconds, and a dead peer costs its five observers a dial each.
const REDIAL_INTERVAL: u64 = 3 * SECOND;
/// A dial that nobody answers is five padded packets, 6 KB. An observer that lost many makes one in this time on the mean, until one of them answers.
const DIAL_SPACING: u64 = 1_500 * MILLI;
/// Re-dial interval while the edge still counts as heard: a broken connection to a live peer is back before the edge is lost.
const QUICK_REDIAL: u64 = 500 * MILLI;
/// A subject that was never reached for so long has no path from here; two dials of five seconds fit in.
const NO_PATH_AFTER: u64 = 11 * SECOND;
/// A subject that probed this observer before, and answers nothing from the start, is judged after this much time: nothing is known yet of what the edge loses, and a bad one stalls for seconds.
const ACQUAINTED_SILENCE: u64 = 4 * SECOND;
/// Misses in a row at which others are asked: their dials cost more than the probes, and a lossy edge misses two or three all the time.
const INDIRECT_AFTER: u32 = 4;
/// A lost edge whose connection is still there gets a new one after this much time.
///
/// The other end may have restarted, and the transport would notice only after its idle time. Until then a subject that hears nothing has time to say so on the old one.
const RECONNECT_AFTER: u64 = 4 * SECOND;
/// When most links of an observer that slept are back, each other one has this much time: a dial that began without a network takes five seconds to fail, and so may the next.
const LAST_LINKS: u64 = 10 * SECOND;
/// Misses in a row at which a probe tells the subject that it is not heard, and a subject's word that it hears nothing counts.
const UNHEARD_AFTER: u32 = 2;
/// Answers in a row that find a lost edge again; one may be a stray.
const RECOVERY_ANSWERS: u32 = 2;
/// An edge is poor from this share of missing answers on, in thousandths of its last probes: where four of five packets to one end are lost, nearly all edges to it miss more.
const POOR_LOSS_PERMILLE: u16 = 300;
/// And no longer poor below this: between the two it stays as it was, lest it is told again and again.
const FAIR_LOSS_PERMILLE: u16 = 150;
/// Or it is poor if answers take this much longer than the fastest, in microseconds: those that come late are not missing. A far peer is not poor, its fastest answer takes as long.
const POOR_DELAY_US: u32 = 1_000_000;
/// And not below this.
const FAIR_DELAY_US: u32 = 500_000;
/// Probes from which their share says something: one outage makes two dozen of misses, and a new edge knows little else.
const POOR_FROM: u16 = 128;
/// Losses remembered; more than enough to call an edge flapping.
const MAX_FLAPS: usize = 16;
/// Probes in flight that are remembered, and as many that were given up: a timeout of 2.6 s at the quick interval. On a path that takes longer some are not counted.
const MAX_OUTSTANDING: usize = 40;
/// Answers in a row that came too late after which their round trips count: then it is the path that takes longer, and not a packet that was repeated.
const LATE_ANSWERS: u8 = 4;

/// What a watch asks its owner to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Todo {
    /// Send this.
    pub(super) frame: Option<Frame>,
    /// Dial the subject.
    pub(super) dial: bool,
    /// Close the connection to it.
    pub(super) disconnect: bool,
    /// Ask other observers whether they reach it.
    pub(super) ask_others: bool,
    /// The reported status changed, and how soon others are to know.
    pub(super) changed: Option<Haste>,
    /// A round trip was measured, in microseconds.
    pub(super) rtt_us: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Watch {
    subject: PeerId,
    status: Option<EdgeStatus>,
    since: Version,
    /// The subject probed this observer before the watch began: there was a path, so its silence counts.
    acquainted: bool,
    /// Since when an earlier start of this observer heard the subject.
    heard_before: Option<Version>,
    pub(super) connected: bool,
    begun: Time,
    last_heard: Option<Time>,
    missed: u32,
    answers: u32,
    measured: u8,
    seq: u32,
    outstanding: VecDeque<(u32, Time)>,
    /// Probes that counted as misses; their answers may still come.
    given_up: VecDeque<(u32, Time)>,
    late_answers: u8,
    next_probe: Time,
    next_dial: Time,
    flaps: VecDeque<Time>,
    poor: bool,
    lost_at: Option<Time>,
    /// When something came from the subject while it was lost.
    stirred: Option<Time>,
    reconnected: Option<Time>,
    /// When the observer woke, until the subject answers.
    woke: Option<Time>,
    /// Nothing is judged before this.
    judge_from: Time,
    sleep_grace: u64,
    last_word: Version,
    /// When it last said anything later than its loss, by way of others.
    spoke: Option<Time>,
    patience: u64,
    grace_over: bool,
    asked: u32,
    indirect_heard: u32,
    outbound_only: bool,
    evidence: Option<Evidence>,
    stats: EdgeStats,
}

impl Watch {
    /// A watch that begins now. `phase_us` spreads the first probe, so that a thousand watches do not beat together.
    pub(super) fn new(
        subject: PeerId,
        connected: bool,
        now: Time,
        phase_us: u64,
        before: Option<&LinkEdge>,
        acquainted: bool,
    ) -> Self {
        let lost = before.filter(|edge| edge.status == EdgeStatus::Lost);
        let heard = before.filter(|edge| edge.status == EdgeStatus::Heard);
        Self {
            subject,
            status: lost.map(|edge| edge.status),
            since: lost.map(|edge| edge.since).unwrap_or_default(),
            acquainted,
            heard_before: heard.map(|edge| edge.since),
            connected,
            begun: now,
            last_heard: None,
            missed: 0,
            answers: 0,
            measured: 0,
            seq: 0,
            outstanding: VecDeque::new(),
            given_up: VecDeque::new(),
            late_answers: 0,
            next_probe: now.plus(phase_us % QUICK_INTERVAL),
            next_dial: now,
            flaps: VecDeque::new(),
            poor: false,
            lost_at: lost.map(|_| now),
            stirred: None,
            reconnected: None,
            woke: None,
            judge_from: now,
            sleep_grace: 0,
            last_word: Version::default(),
            spoke: None,
            patience: 0,
            grace_over: lost.is_some_and(|edge| edge.sleep_grace_over),
            asked: 0,
            indirect_heard: 0,
            outbound_only: false,
            evidence: lost.and_then(|edge| edge.evidence),
            stats: EdgeStats::new(),
        }
    }

    /// Figures of this edge.
    pub(super) const fn stats(&self) -> &EdgeStats {
        &self.stats
    }

    /// The reported status; `None` while nothing is known yet.
    pub(super) const fn status(&self) -> Option<EdgeStatus> {
        self.status
    }

    /// Whether answers are missing though the subject was heard.
    pub(super) const fn is_losing(&self) -> bool {
        self.missed >= UNHEARD_AFTER
            && matches!(self.status, Some(EdgeStatus::Heard | EdgeStatus::Checking))
    }

    /// Sets what is asked of this watch, and the latest that the subject said.
    pub(super) fn set_duty(&mut self, duty: &Duty, now: Time) {
        self.sleep_grace = duty.sleep_grace;
        self.patience = duty.patience;
        if duty.last_word > self.last_word || self.spoke.is_none() {
            self.on_word(duty.last_word, now);
        }
        self.last_word = duty.last_word;
    }

    /// Others passed on what the subject said.
    pub(super) fn on_word(&mut self, version: Version, now: Time) {
        if self.status == Some(EdgeStatus::Lost) && version > self.since {
            self.spoke = Some(now);
        }
    }

    /// Whether the subject is not heard and there is no connection to it.
    pub(super) fn is_gone(&self) -> bool {
        !self.connected && !self.is_heard()
    }

    /// Another subject that was gone is back: perhaps the path that both share is.
    pub(super) fn dial_soon(&mut self, now: Time) {
        if self.is_gone() {
            self.next_dial = now;
        }
    }

    /// A connection came up.
    pub(super) fn on_connected(&mut self, now: Time) {
        self.connected = true;
        self.given_up.clear();
        self.reconnected = Some(now);
        self.measured = 0;
        self.stats.connection_opened();
        self.next_probe = now;
    }

    /// The connection is gone: dial again at once, and probe into the void at the quick pace meanwhile.
    pub(super) fn on_disconnected(&mut self, now: Time) {
        self.connected = false;
        self.next_dial = now;
        self.next_probe = self.next_probe.min(now.plus(QUICK_INTERVAL));
    }

    /// When this watch wants to be called next.
    pub(super) fn deadline(&self) -> Time {
        let mut next = self.next_probe;
        if let Some((_, sent)) = self.outstanding.front() {
            next = next.min(sent.plus(self.timeout()));
        }
        if !self.connected {
            next = next.min(self.next_dial);
        }
        let others = [self.grace_ends(), self.reconnect_at(), self.lost_anew_at()];
        others.into_iter().flatten().fold(next, Time::min)
    }

    /// Does what is due. `evidence_halves` is how much evidence local health asks for, `None` if nothing is to be judged now; `gone` is among how many subjects without a connection the dials are spread; `clock` gives versions.
    pub(super) fn tick(
        &mut self,
        now: Time,
        jitter: u64,
        evidence_halves: Option<u32>,
        doubt: u8,
        gone: u64,
        clock: &mut dyn FnMut() -> Version,
    ) -> Todo {
        let mut todo = Todo::default();
        let missed_before = self.missed;
        self.expire_probes(now);
        if now >= self.next_probe {
            todo.frame = self.probe(now, jitter);
        }
        if !self.connected && now >= self.next_dial {
            todo.dial = true;
            let pause = if self.is_gone() { redial_interval(gone) } else { QUICK_REDIAL };
            self.next_dial = now.plus(pause + jitter % (pause / 4));
        }
        if self.reconnect_at().is_some_and(|at| now >= at) {
            todo.disconnect = true;
            self.reconnected = Some(now);
        }
        if self.missed != missed_before {
            todo.ask_others =
                self.is_heard() && missed_before < INDIRECT_AFTER && self.missed >= INDIRECT_AFTER;
            let judged =
                evidence_halves.is_some_and(|halves| self.judge(now, halves, doubt, clock));
            todo.changed = judged.then_some(Haste::AtOnce);
        }
        if self.status.is_none() && now.since(self.begun) >= NO_PATH_AFTER {
            self.heard_before = None;
            self.turn(EdgeStatus::NoPath, clock());
            todo.changed = Some(Haste::Later);
        }
        if self.grace_ends().is_some_and(|over| now >= over) {
            self.grace_over = true;
            todo.changed = Some(Haste::Later);
        }
        if self.lost_anew_at().is_some_and(|at| now >= at) {
            self.spoke = None;
            if self.last_word > self.since {
                self.since = self.loss_version(clock);
                todo.changed = Some(Haste::AtOnce);
            }
        }
        todo
    }

    /// An answer came.
    pub(super) fn on_pong(
        &mut self,
        seq: u32,
        now: Time,
        clock: &mut dyn FnMut() -> Version,
    ) -> Todo {
        let mut todo = Todo::default();
        if let Some(index) = self.outstanding.iter().position(|(sent_seq, _)| *sent_seq == seq) {
            // Answers to earlier probes can only come late now, and say nothing new.
            let answered = self.outstanding.drain(..=index).next_back();
            if let Some((_, sent)) = answered {
                self.late_answers = 0;
                self.stats.record_answered(now.0);
                todo.rtt_us = self.measure(sent, now);
            }
        } else if let Some(index) = self.given_up.iter().position(|(sent_seq, _)| *sent_seq == seq)
        {
            let answered = self.given_up.drain(..=index).next_back();
            self.late_answers = self.late_answers.saturating_add(1);
            let counts = self.measured < WARM_UP || self.late_answers >= LATE_ANSWERS;
            if let Some((_, sent)) = answered.filter(|_| counts) {
                todo.rtt_us = self.measure(sent, now);
            }
        }
        self.last_heard = Some(now);
        self.woke = None;
        self.judge_from = now;
        self.answers = self.answers.saturating_add(1);
        self.missed = 0;
        self.asked = 0;
        self.indirect_heard = 0;
        self.outbound_only = false;
        self.next_probe = self.next_probe.max(now.plus(QUICK_INTERVAL));
        let found = match self.status {
            Some(EdgeStatus::Heard) => false,
            Some(EdgeStatus::Lost) => self.answers >= RECOVERY_ANSWERS,
            _ => true,
        };
        if found {
            let missed = matches!(self.status, Some(EdgeStatus::Lost | EdgeStatus::Checking));
            let before = self.heard_before.take();
            self.turn(EdgeStatus::Heard, before.unwrap_or_else(clock));
            if self.measured >= WARM_UP {
                self.next_probe = now.plus(PROBE_INTERVAL);
            }
            todo.changed = Some(if missed { Haste::Soon } else { Haste::Later });
        }
        todo
    }

    /// The subject says that it hears nothing of us: it lives, and only the way there is cut.
    pub(super) fn on_silent(&mut self) -> Todo {
        let named_before = self.outbound_only;
        self.outbound_only = self.missed >= UNHEARD_AFTER;
        let newly = self.outbound_only && !named_before;
        if let Some(evidence) = self.evidence.as_mut().filter(|_| newly) {
            evidence.outbound_only = true;
        }
        let changed = newly && self.status == Some(EdgeStatus::Lost);
        Todo { changed: changed.then_some(Haste::AtOnce), ..Todo::default() }
    }

    /// Others were asked for an indirect probe.
    pub(super) const fn on_asked(&mut self, asked: u32) {
        self.asked = asked;
    }

    /// One of those asked reported.
    pub(super) const fn on_indirect_report(&mut self, heard: bool) {
        if heard {
            self.indirect_heard = self.indirect_heard.saturating_add(1);
        }
    }

    /// Silence so far was the observer's own: it did not run.
    pub(super) fn void_silence(&mut self, now: Time, clock: &mut dyn FnMut() -> Version) -> bool {
        self.outstanding.clear();
        self.missed = 0;
        self.next_probe = now;
        if self.status == Some(EdgeStatus::Checking) {
            self.turn(EdgeStatus::Heard, clock());
            return true;
        }
        false
    }

    /// The observer slept: its connections may be dead without its knowing, and it had no time to find a path.
    pub(super) const fn on_woken(&mut self, now: Time) {
        self.woke = Some(now);
        self.begun = now;
    }

    /// Most of the observer's links are back.
    pub(super) fn on_links_back(&mut self, now: Time) {
        if self.woke.is_some() {
            self.judge_from = now.plus(LAST_LINKS);
        }
    }

    /// That the subject probed this observer once says nothing any more.
    pub(super) const fn forget_acquaintance(&mut self) {
        self.acquainted = false;
    }

    /// Whether an answer came since.
    pub(super) fn has_answered_since(&self, time: Time) -> bool {
        self.last_heard.is_some_and(|heard| heard >= time)
    }

    /// Whether the subject is heard, as far as this observer reports.
    pub(super) const fn is_heard(&self) -> bool {
        matches!(self.status, Some(EdgeStatus::Heard | EdgeStatus::Checking))
    }

    /// Something came from the subject itself.
    pub(super) fn on_sign_of_life(&mut self, now: Time) {
        if self.status == Some(EdgeStatus::Lost) {
            self.stirred = Some(now);
        }
    }

    /// Whether something came from the subject within `span` while it was lost.
    pub(super) fn stirred_within(&self, span: u64, now: Time) -> bool {
        self.stirred.is_some_and(|stirred| now.since(stirred) <= span)
    }

    /// Whether a silence of the subject counts against it.
    const fn is_judged(&self) -> bool {
        self.is_heard() || (self.acquainted && self.status.is_none())
    }

    /// Forgets losses that left the flap window, and looks at how well the edge works; whether that changes what is reported. Where packets are lost on most edges, `mesh_lossy`, none is worse than others.
    pub(super) fn review(&mut self, mesh_lossy: bool, now: Time) -> bool {
        let before = (self.flaps.len(), self.poor);
        self.poor = !mesh_lossy && self.is_poor();
        while self.flaps.front().is_some_and(|lost| now.since(*lost) > FLAP_WINDOW) {
            self.flaps.pop_front();
        }
        (self.flaps.len(), self.poor) != before
    }

    fn is_poor(&self) -> bool {
        let figures = self.stats.summary();
        let delay = figures
            .srtt_us
            .zip(figures.rtt_min_us)
            .map_or(0, |(mean, least)| mean.saturating_sub(least));
        let loss = figures.loss_permille.filter(|_| figures.outcomes >= POOR_FROM).unwrap_or(0);
        if self.poor {
            loss >= FAIR_LOSS_PERMILLE || delay >= FAIR_DELAY_US
        } else {
            loss >= POOR_LOSS_PERMILLE || delay >= POOR_DELAY_US
        }
    }

    /// What to publish of this edge; `None` while nothing is known.
    pub(super) fn report(&self) -> Option<LinkEdge> {
        // Until it is known better, what an earlier start reported stands.
        let before = self.heard_before.map(|since| (EdgeStatus::Heard, since));
        let (status, since) = self.status.map(|status| (status, self.since)).or(before)?;
        Some(LinkEdge {
            subject: self.subject,
            status,
            since,
            flaps: u32::try_from(self.flaps.len()).unwrap_or(u32::MAX),
            sleep_grace_over: self.grace_over,
            evidence: self.evidence.filter(|_| status != EdgeStatus::Heard),
            poor: self.poor && matches!(status, EdgeStatus::Heard | EdgeStatus::Checking),
        })
    }

    fn timeout(&self) -> u64 {
        let measured = self.stats.timeout_us().map(|us| u64::from(us) + TIMEOUT_MARGIN);
        measured.unwrap_or(FIRST_TIMEOUT).clamp(*TIMEOUT.start(), *TIMEOUT.end())
    }

    /// When a connection that carries nothing is given up.
    fn reconnect_at(&self) -> Option<Time> {
        let silent_since = self.lost_at.max(self.woke).filter(|_| self.connected)?;
        Some(silent_since.max(self.reconnected.unwrap_or_default()).plus(RECONNECT_AFTER))
    }

    fn grace_ends(&self) -> Option<Time> {
        let lost_at = self.lost_at.filter(|_| self.sleep_grace > 0 && !self.grace_over)?;
        Some(lost_at.plus(self.sleep_grace))
    }

    /// When a lost subject that said something since, and nothing for long, is lost anew: it came back for a moment in which this observer did not reach it.
    fn lost_anew_at(&self) -> Option<Time> {
        let spoke = self.spoke.filter(|_| self.status == Some(EdgeStatus::Lost))?;
        Some(spoke.plus(self.patience))
    }

    /// Later than all that the subject said, also where its clock ran ahead: only what it says from now on contradicts the loss.
    fn loss_version(&self, clock: &mut dyn FnMut() -> Version) -> Version {
        clock().max(Version(self.last_word.0.saturating_add(1)))
    }

    /// Takes in the round trip of an answered probe; gives it if it counts elsewhere, too.
    fn measure(&mut self, sent: Time, now: Time) -> Option<u32> {
        let rtt_us = u32::try_from(now.since(sent)).unwrap_or(u32::MAX);
        self.measured = self.measured.saturating_add(1);
        self.stats.record_rtt(rtt_us, now.0).then_some(rtt_us)
    }

    fn expire_probes(&mut self, now: Time) {
        let timeout = self.timeout();
        while let Some(probe) =
            self.outstanding.pop_front_if(|(_, sent)| now.since(*sent) >= timeout)
        {
            if self.given_up.len() == MAX_OUTSTANDING {
                self.given_up.pop_front();
            }
            self.given_up.push_back(probe);
            self.miss(now);
        }
    }

    fn probe(&mut self, now: Time, jitter: u64) -> Option<Frame> {
        let waiting = self.missed > 0 && self.is_judged();
        let gone = matches!(self.status, Some(EdgeStatus::Lost | EdgeStatus::NoPath));
        let warming_up = self.connected && !gone && self.measured < WARM_UP;
        let interval = if waiting || warming_up { QUICK_INTERVAL } else { PROBE_INTERVAL };
        self.next_probe = now.plus(interval - interval / 8 + jitter % (interval / 4));
        if !self.connected {
            // A probe that has no way to go is a miss as it is.
            self.miss(now);
            return None;
        }
        self.seq = (self.seq + 1) & super::errand::WATCH_SEQ_MASK;
        if self.outstanding.len() < MAX_OUTSTANDING {
            self.outstanding.push_back((self.seq, now));
        }
        let unheard = self.missed >= UNHEARD_AFTER;
        Some(Frame::Probe { seq: self.seq, unheard, own_stream: waiting })
    }

    fn miss(&mut self, now: Time) {
        self.missed = self.missed.saturating_add(1);
        self.answers = 0;
        // While the edge is lost its misses say nothing of the loss that it has when it works.
        if self.is_judged() {
            self.stats.record_lost(now.0);
            self.next_probe = self.next_probe.min(now.plus(QUICK_INTERVAL));
        }
    }

    fn judge(
        &mut self,
        now: Time,
        evidence_halves: u32,
        doubt: u8,
        clock: &mut dyn FnMut() -> Version,
    ) -> bool {
        let too_soon = self.status.is_none() && now.since(self.begun) < ACQUAINTED_SILENCE;
        if !self.is_judged() || too_soon || now < self.judge_from {
            return false;
        }
        let surprise = surprise_x16(
            self.missed,
            u32::from(self.stats.miss_after_ok_permille()),
            u32::from(self.stats.miss_after_miss_permille()),
        );
        // Somebody else hears the subject: this edge's silence must prove itself twice.
        let halves = evidence_halves * if self.indirect_heard > 0 { 2 } else { 1 };
        let silence = self.last_heard.map_or(0, |heard| now.since(heard) / MILLI);
        let evidence = Evidence {
            missed: self.missed,
            silence_ms: u32::try_from(silence).unwrap_or(u32::MAX),
            surprise,
            asked: self.asked,
            indirect_heard: self.indirect_heard,
            outbound_only: self.outbound_only,
            local_health: u32::from(doubt),
        };
        if surprise >= LOST_BITS_X16 * halves / 2 {
            self.evidence = Some(evidence);
            self.lost_at = Some(now);
            if self.flaps.len() == MAX_FLAPS {
                self.flaps.pop_front();
            }
            self.flaps.push_back(now);
            self.outstanding.clear();
            let since = self.loss_version(clock);
            self.turn(EdgeStatus::Lost, since);
            return true;
        }
        if surprise >= CHECK_BITS_X16 * halves / 2 && self.status == Some(EdgeStatus::Heard) {
            self.evidence = Some(evidence);
            self.turn(EdgeStatus::Checking, clock());
            return true;
        }
        false
    }

    fn turn(&mut self, status: EdgeStatus, since: Version) {
        self.status = Some(status);
        self.since = since;
        self.spoke = None;
        if status != EdgeStatus::Lost {
            self.lost_at = None;
            self.grace_over = false;
        }
    }
}

/// How long an observer waits before it dials a subject again, one of `gone`.
fn redial_interval(gone: u64) -> u64 {
    REDIAL_INTERVAL.max(gone.saturating_mul(DIAL_SPACING))
}
