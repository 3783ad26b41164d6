//! Who is barred and which token let in whom: a pure function of the records, whatever their order of arrival.
//!
//! Records count in the order of (version, hash), as everywhere. A revocation counts unless its admin was revoked by an earlier one that counts; but nobody undoes the revocation of himself by
//! revoking its admin, whatever version he gives his word: of two that revoke each other both are barred. Of the enrolments with one token as
//! many stand as the token has uses; who came in with a later one, on the other side of a cut, is barred. Who was let in by a revoked enroller is barred with it: its certificate
//! hangs on the enroller's.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::token::TokenId;
use crate::record::{Certificate, Enrolment, Kind, Payload, Record, Revocation, RevocationCause};
use crate::types::PeerId;
use crate::view::{RecordStore, View};

/// Why a peer is no member although its certificate is genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// An admin does not trust its key any more.
    Revoked,
    /// An admin gave it up; a later certificate lets it in again.
    Forgotten,
    /// The enroller that let it in was revoked.
    WithEnroller(PeerId),
    /// Its token had been used up, unseen by the enroller.
    TokenOverused(TokenId),
}

/// What follows from invites, enrolments and revocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admissions {
    /// The revocation that counts, for each peer that has one.
    ended: BTreeMap<PeerId, Arc<Record>>,
    /// Peers that came in with an enrolment that does not stand, and with none that does.
    overused: BTreeMap<PeerId, TokenId>,
    /// Whom each token let in.
    used: BTreeMap<TokenId, Uses>,
}

/// What a token was used for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Whom it let in.
    pub standing: BTreeSet<PeerId>,
    /// Who came too late.
    pub void: BTreeSet<PeerId>,
}

impl Admissions {
    /// What the records of a view say at `wall_s`.
    #[must_use]
    pub fn of_view<S: RecordStore>(view: &View<S>, wall_s: u64) -> Self {
        let mut records = Vec::new();
        view.for_each(&mut |record| {
            if record.kind().is_admission() && record.expires_s() > wall_s {
                records.push(record.clone());
            }
        });
        Self::of_records(records)
    }

    /// What records say, in whatever order they are given. Those of other kinds say nothing.
    #[must_use]
    pub fn of_records(mut records: Vec<Arc<Record>>) -> Self {
        records.sort_by(|a, b| a.order().cmp(&b.order()));
        let mut admissions = Self::default();
        for record in &records {
            if let Payload::Revocation(revocation) = record.payload() {
                admissions.end(record, revocation);
            }
        }
        let mut limits = BTreeMap::new();
        for record in &records {
            match record.payload() {
                Payload::Enrolment(enrolment) if !admissions.is_revoked(&record.origin()) => {
                    admissions.enrol(enrolment, &mut limits);
                }
                _ => {}
            }
        }
        let Self { overused, used, .. } = &mut admissions;
        overused.retain(|peer, _| !used.values().any(|uses| uses.standing.contains(peer)));
        admissions
    }

    fn end(&mut self, record: &Arc<Record>, revocation: &Revocation) {
        if self.revoked_by(&record.origin()).is_some_and(|by| by != revocation.peer) {
            return;
        }
        // Who was given up may come back and be given up again; who was revoked stays so.
        if !self.is_revoked(&revocation.peer) {
            self.ended.insert(revocation.peer, record.clone());
        }
    }

    /// `limits` holds the uses of each token, as the first who used it knew them.
    fn enrol(&mut self, enrolment: &Enrolment, limits: &mut BTreeMap<TokenId, u32>) {
        let limit = *limits.entry(enrolment.token).or_insert(enrolment.uses);
        let uses = self.used.entry(enrolment.token).or_default();
        if uses.standing.contains(&enrolment.peer) {
            return;
        }
        if uses.standing.len() < limit as usize {
            uses.standing.insert(enrolment.peer);
        } else {
            uses.void.insert(enrolment.peer);
            self.overused.insert(enrolment.peer, enrolment.token);
        }
    }

    /// Why a peer with this certificate is no member; `None` if nothing speaks against it.
    #[must_use]
    pub fn bar(&self, peer: &PeerId, certificate: &Certificate) -> Option<Bar> {
        match self.revocation(peer) {
            Some((_, Revocation { cause: RevocationCause::Revoked, .. })) => {
                return Some(Bar::Revoked);
            }
            Some((record, Revocation { cause: RevocationCause::Forgotten, .. }))
                if certificate.not_before_s.saturating_mul(1_000) <= record.version().ms() =>
            {
                return Some(Bar::Forgotten);
            }
            _ => {}
        }
        let enroller = certificate.enroller()?;
        if self.is_revoked(&enroller) {
            return Some(Bar::WithEnroller(enroller));
        }
        self.overused.get(peer).map(|token| Bar::TokenOverused(*token))
    }

    /// Whether a peer's key is not trusted any more.
    #[must_use]
    pub fn is_revoked(&self, peer: &PeerId) -> bool {
        self.revocation(peer).is_some_and(|(_, it)| it.cause == RevocationCause::Revoked)
    }

    /// The admin whose word it is that a peer's key is not trusted any more.
    fn revoked_by(&self, peer: &PeerId) -> Option<PeerId> {
        let record = self.ended.get(peer).filter(|_| self.is_revoked(peer))?;
        Some(record.origin())
    }

    /// Whether a record of a revoked admin was made before it was revoked, so that it still counts.
    #[must_use]
    pub fn outlives_its_admin(&self, record: &Record) -> bool {
        let Some(by) = self.revoked_by(&record.origin()) else { return true };
        let answers_it = match record.payload() {
            Payload::Revocation(revocation) => revocation.peer == by,
            _ => false,
        };
        let ending = self.ended.get(&record.origin());
        answers_it || ending.is_some_and(|ending| record.order() < ending.order())
    }

    /// The revocation that counts for a peer, and its record.
    #[must_use]
    pub fn revocation(&self, peer: &PeerId) -> Option<(&Arc<Record>, &Revocation)> {
        let record = self.ended.get(peer)?;
        match record.payload() {
            Payload::Revocation(revocation) => Some((record, revocation)),
            _ => None,
        }
    }

    /// All revocations that count, by peer.
    pub fn revocations(&self) -> impl Iterator<Item = (&Arc<Record>, &Revocation)> {
        self.ended.keys().filter_map(|peer| self.revocation(peer))
    }

    /// Whether an enrolment of a peer stands.
    #[must_use]
    pub fn is_enrolled(&self, peer: &PeerId) -> bool {
        self.used.values().any(|uses| uses.standing.contains(peer))
    }

    /// Whether a peer came in with a token that had been used up, and with no other.
    #[must_use]
    pub fn is_overused_by(&self, peer: &PeerId) -> bool {
        self.overused.contains_key(peer)
    }

    /// What a token was used for.
    #[must_use]
    pub fn uses(&self, token: &TokenId) -> Option<&Uses> {
        self.used.get(token)
    }

    /// Tokens that were used more often than they may, with who came too late.
    pub fn overused(&self) -> impl Iterator<Item = (PeerId, TokenId)> + '_ {
        self.overused.iter().map(|(peer, token)| (*peer, *token))
    }

    /// Summary of all revocations that count: equal at peers that know the same ones; 0 for none.
    #[must_use]
    pub fn acknowledgement(&self) -> u32 {
        if self.ended.is_empty() {
            return 0;
        }
        let mut hasher = blake3::Hasher::new();
        self.ended.values().for_each(|record| {
            hasher.update(record.hash());
        });
        let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
        // 0 says that there are none.
        u32::from_le_bytes([a, b, c, d]).max(1)
    }

    /// Whether two say the same of who is barred.
    #[must_use]
    pub fn bars_as(&self, other: &Self) -> bool {
        self.ended == other.ended && self.overused == other.overused
    }

    /// Whether records of a kind and origin are to leave a view, and are not to be taken in, whatever the origin's certificate.
    #[must_use]
    pub fn is_unwanted(&self, record: &Record) -> bool {
        self.is_revoked(&record.origin())
            && !(record.kind() == Kind::REVOCATION && self.outlives_its_admin(record))
    }
}
