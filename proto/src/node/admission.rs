//! Who is let in and who is put out: what an enroller and an admin do, and what follows for this peer.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Node;
use super::accept::{Accepted, heartbeat};
use crate::admission::credential::Credential;
use crate::admission::request::{AdmissionRefusal, AdmissionRequest, MAX_CLOCK_OFFSET_MS};
use crate::admission::token::{Secret, TokenId};
use crate::admission::{Admissions, Bar};
use crate::config::Config;
use crate::event::Event;
use crate::membership::Haste;
use crate::membership::state::PeerState;
use crate::port::{Crypto, Output};
use crate::record::{
    CERTIFICATE_LIFETIME_S, Certificate, Enrolment, Invite, Kind, Payload, Profile, Record,
    Revocation, RevocationCause, Role,
};
use crate::types::{Now, PeerId};
use crate::view::RecordStore;

/// How long a revocation counts, in seconds: twice the life of a certificate, so that one that was renewed on the far side of a cut has lapsed by then.
pub(super) const REVOCATION_LIFETIME_S: u64 = 2 * CERTIFICATE_LIFETIME_S;
/// Longest life of a token, in seconds: that of the certificate that it may lead to.
pub const MAX_INVITE_LIFETIME_S: u64 = CERTIFICATE_LIFETIME_S;
/// Most peers that one token lets in: the largest mesh.
pub const MAX_INVITE_USES: u32 = 5_000;

/// What a token is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteTerms {
    /// How many peers it lets in.
    pub uses: u32,
    /// The only peer that it lets in.
    pub for_peer: Option<PeerId>,
    /// How long it may be used, in seconds.
    pub lifetime_s: u64,
    /// What it is for.
    pub note: String,
}

/// A token that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// What proves it.
    pub secret: Secret,
    /// From when on nobody is let in with it, in Unix seconds.
    pub expires_s: u64,
    /// How many peers it lets in.
    pub uses: u32,
}

/// Why no token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteRefusal {
    /// This peer may let nobody in.
    #[error("this peer may let nobody in: its certificate lacks the role of an enroller")]
    NotEnroller,
    /// The number of uses is out of range.
    #[error("a token lets in 1 to {MAX_INVITE_USES} peers")]
    Uses,
    /// A token for one peer has one use.
    #[error("a token for one peer has one use")]
    ForOne,
    /// The lifetime is out of range.
    #[error("a token lasts between a second and 90 days")]
    Lifetime,
}

/// A token that the mesh knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteReport {
    /// Its id.
    pub token: TokenId,
    /// The enroller that made it.
    pub origin: PeerId,
    /// What it lets in.
    pub invite: Invite,
    /// From when on nobody is let in with it, in Unix seconds.
    pub expires_s: u64,
    /// Whom it let in.
    pub standing: Vec<PeerId>,
    /// Who came too late.
    pub void: Vec<PeerId>,
}

/// Why a membership was not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevokeRefusal {
    /// This peer may end no membership but its own.
    #[error("this peer may put nobody out: its certificate lacks the role of an admin")]
    NotAdmin,
    /// Nobody revokes himself.
    #[error("a peer does not put itself out; it leaves")]
    Oneself,
    /// It is not a member.
    #[error("this peer is no member")]
    NotMember,
    /// Only who is gone is forgotten.
    #[error("this peer is {0:?}; only one that is down, unreachable or left can be given up")]
    NotGone(PeerState),
    /// Others would be put out, too.
    #[error("this peer let in {0} others that are members, whose certificates fall with its own")]
    LetOthersIn(usize),
}

impl<C: Crypto, S: RecordStore> Node<C, S> {
    /// Makes a token.
    ///
    /// # Errors
    /// [`InviteRefusal`].
    pub fn invite(&mut self, terms: InviteTerms, now: Now) -> Result<Invited, InviteRefusal> {
        if !self.config.certificate.has_role(Role::Enroller) {
            return Err(InviteRefusal::NotEnroller);
        }
        if !(1..=MAX_INVITE_USES).contains(&terms.uses) {
            return Err(InviteRefusal::Uses);
        }
        if terms.for_peer.is_some() && terms.uses != 1 {
            return Err(InviteRefusal::ForOne);
        }
        if !(1..=MAX_INVITE_LIFETIME_S).contains(&terms.lifetime_s) {
            return Err(InviteRefusal::Lifetime);
        }
        let secret = Secret::generate(&mut self.crypto);
        let lapses_s = self.config.certificate.not_after_s;
        let expires_s = now.wall_s().saturating_add(terms.lifetime_s).min(lapses_s);
        let InviteTerms { uses, for_peer, note, .. } = terms;
        let invite = Invite { secret_hash: secret.hash(), uses, for_peer, note }.clipped();
        self.publish_until(Payload::Invite(invite), expires_s, now);
        self.settle(now);
        Ok(Invited { secret, expires_s, uses })
    }

    /// All tokens whose records are here.
    pub fn invites(&self) -> Vec<InviteReport> {
        let mut invites = Vec::new();
        self.view.for_each(&mut |record| {
            let Payload::Invite(invite) = record.payload() else { return };
            let uses = self.admissions.uses(&invite.token()).cloned().unwrap_or_default();
            invites.push(InviteReport {
                token: invite.token(),
                origin: record.origin(),
                invite: invite.clone(),
                expires_s: record.expires_s(),
                standing: uses.standing.into_iter().collect(),
                void: uses.void.into_iter().collect(),
            });
        });
        invites
    }

    /// Lets `peer` in, or renews its certificate, if what it asks allows that. A peer that asks again with the token that let it in is answered again.
    ///
    /// # Errors
    /// [`AdmissionRefusal`], for the peer that asks.
    pub fn admit(
        &mut self,
        peer: PeerId,
        request: &AdmissionRequest,
        now: Now,
    ) -> Result<Certificate, AdmissionRefusal> {
        let decided = self.decide(peer, request, now);
        self.count(if decided.is_ok() { "admission_granted" } else { "admission_refused" });
        self.settle(now);
        decided
    }

    fn decide(
        &mut self,
        peer: PeerId,
        request: &AdmissionRequest,
        now: Now,
    ) -> Result<Certificate, AdmissionRefusal> {
        if !self.config.certificate.has_role(Role::Enroller) {
            return Err(AdmissionRefusal::NotEnroller);
        }
        if request.wall_ms.abs_diff(now.wall_ms) > MAX_CLOCK_OFFSET_MS {
            let offset_ms = i64::try_from(i128::from(request.wall_ms) - i128::from(now.wall_ms));
            return Err(AdmissionRefusal::Clock { offset_ms: offset_ms.unwrap_or(i64::MAX) });
        }
        if self.admissions.is_revoked(&peer) || peer == self.me() {
            return Err(AdmissionRefusal::Barred);
        }
        match &request.secret {
            Some(secret) => self.enrol(peer, secret, now),
            None => self.renew_for(peer, now),
        }
    }

    fn enrol(
        &mut self,
        peer: PeerId,
        secret: &Secret,
        now: Now,
    ) -> Result<Certificate, AdmissionRefusal> {
        let (invite, expires_s) =
            self.invite_of(secret, now).ok_or(AdmissionRefusal::UnknownToken)?;
        if expires_s > self.config.certificate.not_after_s {
            return Err(AdmissionRefusal::OutlivesEnroller);
        }
        if invite.for_peer.is_some_and(|only| only != peer) {
            return Err(AdmissionRefusal::ForAnother);
        }
        let token = invite.token();
        // Enrolments of the last moments are counted too.
        self.update_admissions(now);
        let uses = self.admissions.uses(&token).cloned().unwrap_or_default();
        let again = uses.standing.contains(&peer);
        if !again && uses.standing.len() >= invite.uses as usize {
            return Err(AdmissionRefusal::UsedUp);
        }
        let me = self.config.certificate.clone();
        // Later than the word that gave the peer up, whosever clock is ahead.
        let ended = self.admissions.revocation(&peer).map_or(0, |(word, _)| word.version().ms());
        let wall_s = now.wall_s().max(ended / 1_000 + 1);
        let until_s = wall_s.saturating_add(CERTIFICATE_LIFETIME_S);
        let certificate =
            Certificate::issue_by_enroller(&mut self.crypto, &me, peer, wall_s, until_s);
        if !again {
            let enrolment = Enrolment { token, peer, uses: invite.uses };
            self.publish_until(Payload::Enrolment(enrolment), certificate.not_after_s, now);
        }
        Ok(certificate)
    }

    /// The invite of a token that can be used now, and until when it can.
    fn invite_of(&self, secret: &Secret, now: Now) -> Option<(Invite, u64)> {
        // What is compared is no secret: the mesh knows the hash.
        let (hash, mut found) = (secret.hash(), None);
        self.view.for_each(&mut |record| {
            if let Payload::Invite(invite) = record.payload()
                && hash == invite.secret_hash
                && record.expires_s() > now.wall_s()
            {
                found = Some((invite.clone(), record.expires_s()));
            }
        });
        found
    }

    /// A new certificate for a plain member whose old one still counts.
    fn renew_for(&mut self, peer: PeerId, now: Now) -> Result<Certificate, AdmissionRefusal> {
        let member = self.roster.find(&peer).filter(|member| !member.left);
        let old = member.and_then(|member| member.certificate()).cloned();
        let old = old.ok_or(AdmissionRefusal::NotMember)?;
        if old.has_lapsed(now.wall_s()) {
            return Err(AdmissionRefusal::NotMember);
        }
        if old.roles.iter().any(|role| *role != Role::Member) {
            return Err(AdmissionRefusal::NeedsAuthority);
        }
        let (me, wall_s) = (self.config.certificate.clone(), now.wall_s());
        let until_s = wall_s.saturating_add(CERTIFICATE_LIFETIME_S);
        Ok(old.renew_by_enroller(&mut self.crypto, &me, wall_s, until_s))
    }

    /// Takes over a renewed certificate of this peer; whether it is one.
    pub fn set_certificate(&mut self, certificate: Certificate, now: Now) -> bool {
        let Self { config, crypto, .. } = self;
        let me = config.certificate.peer;
        let valid =
            certificate.check(crypto, &config.mesh, &config.authorities, &me, now.wall_s()).is_ok();
        if valid {
            config.certificate = certificate;
            self.publisher.request(Kind::PEER, now.time, Haste::AtOnce);
            self.settle(now);
        }
        valid
    }

    /// What this peer says of itself.
    pub const fn profile(&self) -> &Profile {
        &self.config.profile
    }

    /// What this peer shows of itself when it connects.
    pub fn credential(&self) -> Credential {
        let Config { certificate, authorities, .. } = &self.config;
        let (certificate, changes) = (certificate.clone(), authorities.changes().to_vec());
        Credential { certificate, changes }
    }

    /// This peer's certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.config.certificate
    }

    /// Ends the membership of a peer. `with_enrolled` says that those may fall with it whose certificate it signed.
    ///
    /// # Errors
    /// [`RevokeRefusal`].
    pub fn revoke(
        &mut self,
        peer: PeerId,
        cause: RevocationCause,
        reason: String,
        with_enrolled: bool,
        now: Now,
    ) -> Result<(), RevokeRefusal> {
        if !self.config.certificate.has_role(Role::Admin) {
            return Err(RevokeRefusal::NotAdmin);
        }
        if peer == self.me() {
            return Err(RevokeRefusal::Oneself);
        }
        if self.admissions.is_revoked(&peer) {
            return Ok(());
        }
        let name = self.roster.find(&peer).and_then(|member| member.profile());
        let name = name.map(|profile| profile.name.clone()).unwrap_or_default();
        if cause == RevocationCause::Forgotten {
            let state = self.state_of(&peer).ok_or(RevokeRefusal::NotMember)?;
            if !matches!(state, PeerState::Down | PeerState::Unreachable | PeerState::Left) {
                return Err(RevokeRefusal::NotGone(state));
            }
        }
        let enrolled = self.enrolled_by(&peer);
        if cause == RevocationCause::Revoked && enrolled > 0 && !with_enrolled {
            return Err(RevokeRefusal::LetOthersIn(enrolled));
        }
        let certificate = Box::new(self.config.certificate.clone());
        let revocation = Revocation { peer, cause, reason, name, certificate }.clipped();
        let until_s = now.wall_s().saturating_add(REVOCATION_LIFETIME_S);
        self.publish_until(Payload::Revocation(Box::new(revocation)), until_s, now);
        self.settle(now);
        Ok(())
    }

    /// Members whose certificate a peer signed.
    fn enrolled_by(&self, peer: &PeerId) -> usize {
        let members = self.roster.members().iter().filter(|member| !member.left);
        let enrollers = members.filter_map(|member| member.certificate()?.enroller());
        enrollers.filter(|enroller| enroller == peer).count()
    }

    /// Who is barred, and what tokens were used for.
    pub const fn admissions(&self) -> &Arc<Admissions> {
        &self.admissions
    }

    /// Members that are up, and whether each says that it knows the revocations that this peer knows.
    pub fn acknowledgements(&self, now: Now) -> Vec<(PeerId, bool)> {
        let own = self.admissions.acknowledgement();
        let members = self.roster.members().iter().zip(self.evaluation.states());
        members
            .filter(|(_, state)| *state == PeerState::Up)
            .map(|(member, _)| {
                let id = member.id();
                let record = self.record(id, Kind::HEARTBEAT, now);
                let told = record.as_deref().and_then(heartbeat).map(|it| it.revocations);
                (id, id == self.me() || told == Some(own))
            })
            .collect()
    }

    /// What speaks against a record that ends a membership; `None` if an admin made it while it was one.
    pub(super) fn vouch_for_revocation(
        &mut self,
        record: &Record,
        revocation: &Revocation,
        now: Now,
    ) -> Option<Accepted> {
        let made_s = record.version().ms() / 1_000;
        let certificate = &revocation.certificate;
        let in_time = record.expires_s() <= made_s.saturating_add(REVOCATION_LIFETIME_S);
        if !in_time || !certificate.has_role(Role::Admin) {
            return Some(Accepted::Forged);
        }
        if let Some(against) = self.vouch_for_author(certificate, record, now) {
            return Some(against);
        }
        self.admissions.is_unwanted(record).then_some(Accepted::Barred)
    }

    /// Derives anew who is barred, and carries out what follows.
    pub(super) fn update_admissions(&mut self, now: Now) {
        self.admissions_changed = false;
        let derived = Admissions::of_view(&self.view, now.wall_s());
        if derived == *self.admissions {
            return;
        }
        let before = core::mem::replace(&mut self.admissions, Arc::new(derived));
        if self.admissions.bars_as(&before) {
            return;
        }
        self.tell_of_bars(&before);
        let barred = self.purge_barred();
        let members: Vec<PeerId> = self.roster.members().iter().map(|it| it.id()).collect();
        members.into_iter().for_each(|peer| self.roster.touch(peer));
        for peer in self.connected.intersection(&barred) {
            self.outputs.push_back(Output::Disconnect { peer: *peer });
        }
        self.outputs.push_back(Output::Admissions(self.admissions.clone()));
        self.publisher.request(Kind::HEARTBEAT, now.time, Haste::AtOnce);
        self.need_evaluation(now.time);
    }

    /// Drops from the view what barred peers said, and gives who they are.
    pub(super) fn purge_barred(&mut self) -> BTreeSet<PeerId> {
        let barred = self.barred();
        let admissions = self.admissions.clone();
        let purged = self.view.purge(&|record| {
            let out = admissions.is_unwanted(record) || barred.contains(&record.origin());
            let stays = record.kind() == Kind::REVOCATION && admissions.outlives_its_admin(record);
            out && !stays
        });
        for _ in 0..purged {
            self.count("record_purged");
        }
        barred
    }

    /// Everybody but this peer that is barred, as far as records or connections tell.
    fn barred(&mut self) -> BTreeSet<PeerId> {
        let mut barred = BTreeMap::new();
        self.view.for_each(&mut |record| {
            if let Payload::Peer(_, certificate) = record.payload()
                && let Some(bar) = self.admissions.bar(&record.origin(), certificate)
            {
                barred.insert(record.origin(), bar);
            }
        });
        barred.remove(&self.me());
        let fallen = barred.iter().filter(|(_, bar)| matches!(bar, Bar::WithEnroller(_)));
        self.fallen.extend(fallen.map(|(peer, _)| *peer));
        let mut barred: BTreeSet<PeerId> = barred.into_keys().collect();
        barred.extend(self.connected.iter().filter(|peer| self.bars_connection(peer)));
        barred.remove(&self.me());
        barred
    }

    /// Whether nothing is to be said to a peer, whatever its certificate: the driver's gate knows the certificate too, and refuses more.
    pub(super) fn bars_connection(&self, peer: &PeerId) -> bool {
        let fell = self.fallen.contains(peer) && !self.admissions.is_enrolled(peer);
        fell || self.admissions.is_revoked(peer) || self.admissions.is_overused_by(peer)
    }

    fn tell_of_bars(&mut self, before: &Admissions) {
        let now = self.admissions.clone();
        for (record, revocation) in now.revocations() {
            let known = before.revocation(&revocation.peer).is_some_and(|(it, _)| it == record);
            if !known {
                let (peer, cause, by) = (revocation.peer, revocation.cause, record.origin());
                let name = revocation.name.clone();
                self.emit(Event::MembershipEnded { peer, name, cause, by });
            }
        }
        let known: BTreeSet<(PeerId, TokenId)> = before.overused().collect();
        for (peer, token) in now.overused().filter(|it| !known.contains(it)) {
            self.emit(Event::TokenOverused { peer, token });
        }
    }

    /// Why this peer is no member any more; `None` while it is.
    pub fn own_bar(&self) -> Option<Bar> {
        self.admissions.bar(&self.me(), &self.config.certificate)
    }
}
