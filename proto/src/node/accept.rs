//! What comes in from others: checked, merged, and routed to what depends on it.

use alloc::sync::Arc;

use super::{Node, clocks};
use crate::admission::Admissions;
use crate::clock::{self, MAX_SKEW_MS};
use crate::event::Event;
use crate::membership::Haste;
use crate::port::{Crypto, Output, Verdict};
use crate::record::{CertificateError, Heartbeat, Kind, Payload, Record, Role};
use crate::roster::{Refreshed, Roster};
use crate::types::{Now, PeerId, SECOND};
use crate::view::{EXPIRY_GRACE_S, Merge, RecordStore};

/// A cloned identity is told again after this; it does not go away by itself.
pub(super) const CLONE_REMINDER: u64 = 600 * SECOND;

/// What became of a record that somebody sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// It went to the view.
    Merged(Merge),
    /// Its origin is no member, as far as this peer knows yet.
    Stranger,
    /// Its origin, or what it hangs on, was put out; who passes it on may not know yet.
    Barred,
    /// Signature or certificate is wrong: whoever passes it on did not check it.
    Forged,
}

impl Accepted {
    /// What a certificate that does not count says of the record that rests on it.
    pub(super) const fn for_certificate(error: CertificateError) -> Self {
        match error {
            // Its key was made an authority while this peer was away, perhaps: the word of that comes, too.
            CertificateError::UnknownAuthority => Self::Stranger,
            // By this clock, which may be the one that is wrong.
            CertificateError::AuthorityReplaced | CertificateError::Lapsed => Self::Barred,
            _ => Self::Forged,
        }
    }

    pub(super) const fn changed(self) -> bool {
        matches!(self, Self::Merged(merge) if merge.changed())
    }
}

impl<C: Crypto, S: RecordStore> Node<C, S> {
    /// Takes over what the store held at the start.
    pub(super) fn load_roster(&mut self, now: Now) {
        self.load_authorities(now);
        self.admissions = Arc::new(Admissions::of_view(&self.view, now.wall_s()));
        // A start that was cut short may have kept a revocation, and what the revoked peer had said.
        self.purge_barred();
        self.roster = Roster::load(&self.view, &self.admissions, now.wall_s());
        self.refreshed = Refreshed { rebuilt: true, relinked: true, ..Refreshed::default() };
    }

    pub(super) fn accept_broadcast(
        &mut self,
        from: PeerId,
        record: &Arc<Record>,
        now: Now,
    ) -> Verdict {
        // Its last word comes with the next exchange, here and elsewhere.
        if !self.pace.allows(&record.origin(), now.time) {
            self.count("broadcast_over_rate");
            return Verdict::Ignore;
        }
        match self.accept(record, Some(from), now) {
            accepted if accepted.changed() => {
                // Only what is genuine counts: nobody uses up what another one may say.
                self.pace.take(record.origin(), now.time);
                Verdict::Accept
            }
            Accepted::Forged => Verdict::Reject,
            _ => Verdict::Ignore,
        }
    }

    /// Checks and merges one record.
    pub(super) fn accept(
        &mut self,
        record: &Arc<Record>,
        from: Option<PeerId>,
        now: Now,
    ) -> Accepted {
        if record.origin() == self.me() {
            self.look_for_clone(record, now);
        }
        if let Some(useless) = self.view.is_useless(record, now.wall_s()) {
            self.count(match useless {
                Merge::Expired => "record_expired",
                Merge::Known => "record_known",
                _ => "record_outdated",
            });
            return Accepted::Merged(useless);
        }
        match self.vouch(record, now) {
            Some(Accepted::Stranger) => {
                self.count("record_of_stranger");
                return Accepted::Stranger;
            }
            Some(Accepted::Barred) => {
                self.count("record_of_barred");
                return Accepted::Barred;
            }
            Some(_) => {
                self.count("record_forged");
                if let Some(from) = from {
                    self.outputs.push_back(Output::Forged { from });
                }
                return Accepted::Forged;
            }
            None => {}
        }
        self.note_skew(record, now);
        self.clock.observe(record.version(), now.wall_ms);
        let before = self.counted(record);
        let merge = self.view.merge(record, from, now.wall_s());
        if merge == Merge::Crowded {
            self.count("record_crowded");
        }
        if merge == Merge::Contradiction {
            self.count("equivocation");
            self.emit(Event::Equivocation { peer: record.origin() });
        }
        if merge.changed() {
            if record.kind().is_state() {
                self.exchange.state_changed(now.time);
            }
            self.announce_finding(record, before);
            self.after_merge(record, now);
        }
        Accepted::Merged(merge)
    }

    /// What speaks against a record; `None` if its origin is a member and signed it.
    fn vouch(&mut self, record: &Record, now: Now) -> Option<Accepted> {
        let origin = record.origin();
        // What may still be held may still be passed on: clocks differ, and a newcomer must take what others have.
        let wall_s = now.wall_s().saturating_sub(EXPIRY_GRACE_S);
        let member = self.view.get(origin, Kind::PEER, wall_s);
        let config = &self.config;
        match record.payload() {
            Payload::Peer(_, certificate) => {
                let known = member.as_deref().map(Record::payload);
                let same = matches!(known, Some(Payload::Peer(_, held)) if held == certificate);
                let authorities = &config.authorities;
                let checked = if same {
                    Ok(())
                } else {
                    certificate.check(&mut self.crypto, &config.mesh, authorities, &origin, wall_s)
                };
                if let Err(error) = checked {
                    return Some(Accepted::for_certificate(error));
                }
                // Whoever holds it longer than this peer will let go of it, too, when his clock is there.
                if !authorities.vouches(&certificate.authority(), now.wall_s()) {
                    return Some(Accepted::Barred);
                }
                // A record may not outlive the membership that it rests on.
                if record.expires_s() > certificate.not_after_s {
                    return Some(Accepted::Forged);
                }
                if origin != config.certificate.peer
                    && self.admissions.bar(&origin, certificate).is_some()
                {
                    return Some(Accepted::Barred);
                }
            }
            Payload::Revocation(revocation) => {
                if let Some(against) = self.vouch_for_revocation(record, revocation, now) {
                    return Some(against);
                }
            }
            Payload::Authorities(word) => {
                if let Some(against) = self.vouch_for_authorities(record, word) {
                    return Some(against);
                }
            }
            Payload::KeyEpoch(epoch) => {
                if let Some(against) = self.vouch_for_key_epoch(record, epoch, now) {
                    return Some(against);
                }
            }
            _ => {
                // Nothing that a member says outlives its membership; a renewal may be on its way.
                let held = member.as_deref().map(Record::payload);
                let Some(Payload::Peer(_, certificate)) = held else {
                    return Some(Accepted::Stranger);
                };
                if record.expires_s() > certificate.not_after_s {
                    return Some(Accepted::Stranger);
                }
                if record.kind().is_admission() && !certificate.has_role(Role::Enroller) {
                    return Some(Accepted::Forged);
                }
            }
        }
        let genuine = record.verify(&mut self.crypto, &self.config.mesh);
        (!genuine).then_some(Accepted::Forged)
    }

    fn after_merge(&mut self, record: &Arc<Record>, now: Now) {
        let origin = record.origin();
        if origin == self.me() {
            self.heard_oneself(record, now);
        }
        self.membership.on_word(&origin, record.version(), now.time);
        match record.payload() {
            Payload::Heartbeat(heartbeat) => self.latency.heard(origin, heartbeat),
            // It counts at once; the others, of which many come together, with the next evaluation.
            Payload::Revocation(_) => self.update_admissions(now),
            Payload::Authorities(word) => self.hear_authorities(word, now),
            Payload::Invite(_) => {}
            Payload::KeyEpoch(epoch) => {
                if epoch.recipient == self.me() {
                    self.take_key_epoch(now);
                }
            }
            Payload::Enrolment(_) => {
                self.admissions_changed = true;
                self.need_evaluation(now.time);
            }
            _ => {
                self.roster.touch(origin);
                self.need_evaluation(now.time);
            }
        }
    }

    /// A record of this peer that this start did not publish: of an earlier start, or of a clone. Speak above it.
    fn heard_oneself(&mut self, record: &Record, now: Now) {
        self.clock.overtake(record.version());
        if self.left {
            return;
        }
        let kind = if record.kind() == Kind::LEAVE { Kind::PEER } else { record.kind() };
        self.publisher.forget_links();
        self.publisher.request(kind, now.time, Haste::Later);
    }

    /// Whether a heartbeat of this peer is of another process, however old it is beside its own: of two processes that speak in turns each may have the last word whenever it hears of the other.
    fn look_for_clone(&mut self, record: &Record, now: Now) {
        let other = heartbeat(record).is_some_and(|heartbeat| {
            heartbeat.instance != self.publisher.instance()
                && self.publisher.spoke_before(record.version())
        });
        if other
            && self.clone_seen.is_none_or(|seen| now.time.since(seen) > CLONE_REMINDER)
            && record.verify(&mut self.crypto, &self.config.mesh)
        {
            self.clone_seen = Some(now.time);
            self.emit(Event::IdentityCloned);
        }
    }

    /// Every answer shows a clock.
    pub(super) fn compare_clocks(
        &mut self,
        from: PeerId,
        their_ms: u64,
        round_trip_us: u64,
        now: Now,
    ) {
        self.clocks.compare(from, their_ms, round_trip_us, now);
        for (peer, ahead_ms) in self.clocks.news(self.me(), now.time) {
            self.emit(Event::ClockSkew { peer, ahead_ms });
        }
    }

    fn note_skew(&mut self, record: &Record, now: Now) {
        let origin = record.origin();
        if clock::is_far_future(record.version(), now.wall_ms) {
            self.count("record_far_future");
            if self.skewed.insert(origin) {
                let ahead_ms = clocks::difference(record.version().ms(), now.wall_ms);
                self.emit(Event::ClockSkew { peer: origin, ahead_ms });
            }
        } else if record.version().ms().abs_diff(now.wall_ms) < MAX_SKEW_MS {
            self.skewed.remove(&origin);
        }
    }
}

/// The heartbeat in a record, if it is one.
pub(super) fn heartbeat(record: &Record) -> Option<&Heartbeat> {
    match record.payload() {
        Payload::Heartbeat(heartbeat) => Some(heartbeat),
        _ => None,
    }
}
