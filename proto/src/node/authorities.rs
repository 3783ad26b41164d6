//! The keys whose certificates make members: an authority replaces another one, and every peer follows.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Node;
use super::accept::Accepted;
use super::admission::REVOCATION_LIFETIME_S;
use crate::event::Event;
use crate::membership::Haste;
use crate::port::{Crypto, Output};
use crate::record::{
    Authorities, AuthorityChange, AuthorityError, AuthorityWord, Certificate, CertificateError,
    Kind, Payload, Record,
};
use crate::types::{Now, PeerId};
use crate::view::RecordStore;

/// Why a key was not replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplaceRefusal {
    /// The chain does not count.
    #[error(transparent)]
    Chain(#[from] AuthorityError),
    /// This peer knows of another replacement that counts instead, or of this one already.
    #[error("this peer knows of another replacement that counts")]
    Superseded,
    /// The certificate that came along does not make this peer a member.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl<C: Crypto, S: RecordStore> Node<C, S> {
    /// Whose certificates make members.
    pub const fn authorities(&self) -> &Arc<Authorities> {
        &self.config.authorities
    }

    /// Takes over a chain of replacements that an authority signed the last of, with a certificate of this peer that counts after it, and tells everybody.
    ///
    /// # Errors
    /// [`ReplaceRefusal`]; nothing was taken over.
    pub fn replace_authority(
        &mut self,
        chain: &[AuthorityChange],
        certificate: Certificate,
        now: Now,
    ) -> Result<(), ReplaceRefusal> {
        let Self { config, crypto, .. } = self;
        let told = config.authorities.of_chain(crypto, &config.mesh, chain)?;
        if !told.supersedes(&config.authorities) {
            return Err(ReplaceRefusal::Superseded);
        }
        let me = config.certificate.peer;
        certificate.check(crypto, &config.mesh, &told, &me, now.wall_s())?;
        config.certificate = certificate.clone();
        self.publisher.request(Kind::PEER, now.time, Haste::AtOnce);
        self.take_authorities(told, now);
        let word = AuthorityWord { changes: chain.to_vec(), certificate: Box::new(certificate) };
        let until_s = now.wall_s().saturating_add(REVOCATION_LIFETIME_S);
        self.publish_until(Payload::Authorities(Box::new(word)), until_s, now);
        self.settle(now);
        Ok(())
    }

    /// Takes over replacements that a peer showed when it connected, if they count.
    pub fn learn_authorities(&mut self, chain: &[AuthorityChange], now: Now) {
        let Self { config, crypto, .. } = self;
        match config.authorities.of_chain(crypto, &config.mesh, chain) {
            Ok(told) if told.supersedes(&config.authorities) => {
                self.take_authorities(told, now);
                self.settle(now);
            }
            _ => self.count("authorities_not_learned"),
        }
    }

    /// What speaks against a record that tells of replacements; `None` if its origin was a member by what it tells, or still is.
    pub(super) fn vouch_for_authorities(
        &mut self,
        record: &Record,
        word: &AuthorityWord,
    ) -> Option<Accepted> {
        let made_s = record.version().ms() / 1_000;
        let Self { config, crypto, .. } = self;
        let told = match config.authorities.of_chain(crypto, &config.mesh, &word.changes) {
            Ok(told) => told,
            // It begins with other keys than this peer does, whose own files may be the wrong ones.
            Err(AuthorityError::OutOfOrder) => return Some(Accepted::Stranger),
            Err(_) => return Some(Accepted::Forged),
        };
        let in_time = record.expires_s() <= made_s.saturating_add(REVOCATION_LIFETIME_S);
        let origin = record.origin();
        let checked = word.certificate.check(crypto, &config.mesh, &told, &origin, made_s).is_ok();
        if !in_time || !checked {
            return Some(Accepted::Forged);
        }
        // Its origin hangs on a key that was replaced since, or on a replacement that does not count: it may not know.
        let best = if told.supersedes(&config.authorities) { &told } else { &*config.authorities };
        let counts = best.vouches(&word.certificate.authority(), made_s);
        (!counts || self.admissions.is_unwanted(record)).then_some(Accepted::Barred)
    }

    /// What speaks against a record that is judged by the certificate inside alone; `None` if that counted when the record was made.
    pub(super) fn vouch_for_author(
        &mut self,
        certificate: &Certificate,
        record: &Record,
        now: Now,
    ) -> Option<Accepted> {
        let (origin, made_s) = (record.origin(), record.version().ms() / 1_000);
        let Self { config, crypto, .. } = self;
        if config.authorities.is_void(&certificate.authority(), now.wall_s()) {
            return Some(Accepted::Barred);
        }
        let checked = certificate.check(crypto, &config.mesh, &config.authorities, &origin, made_s);
        checked.err().map(Accepted::for_certificate)
    }

    /// Takes over what a record tells that was let in.
    pub(super) fn hear_authorities(&mut self, word: &AuthorityWord, now: Now) {
        let Self { config, crypto, .. } = self;
        if let Ok(told) = config.authorities.of_chain(crypto, &config.mesh, &word.changes)
            && told.supersedes(&config.authorities)
        {
            self.take_authorities(told, now);
        }
    }

    /// At a start: what the store holds may tell more than what the driver kept.
    pub(super) fn load_authorities(&mut self, now: Now) {
        let mut words = Vec::new();
        self.view.for_each(&mut |record| {
            if let Payload::Authorities(word) = record.payload() {
                words.push(word.changes.clone());
            }
        });
        let Self { config, crypto, .. } = self;
        for chain in words {
            if let Ok(told) = config.authorities.of_chain(crypto, &config.mesh, &chain)
                && told.supersedes(&config.authorities)
            {
                config.authorities = Arc::new(told);
            }
        }
        self.purge_unvouched(now);
    }

    fn take_authorities(&mut self, told: Authorities, now: Now) {
        let before = core::mem::replace(&mut self.config.authorities, Arc::new(told));
        for change in self.config.authorities.changes() {
            if !before.changes().contains(change) {
                let replacement = *change.replacement();
                self.outputs.push_back(Output::Event(Event::AuthorityReplaced { replacement }));
            }
        }
        self.outputs.push_back(Output::Authorities(self.config.authorities.clone()));
        self.drop_unvouched(now);
    }

    /// The time of a replaced key may be over.
    pub(super) fn end_authorities(&mut self, now: Now) {
        let ended =
            self.config.authorities.replacements().filter(|it| it.until_s <= now.wall_s()).count();
        if ended > self.authorities_ended {
            self.drop_unvouched(now);
        }
        self.authorities_ended = ended;
    }

    /// Drops what hangs on keys whose time is over, and carries out what follows.
    fn drop_unvouched(&mut self, now: Now) {
        let gone = self.purge_unvouched(now);
        if gone.is_empty() {
            return;
        }
        for peer in self.connected.intersection(&gone) {
            self.outputs.push_back(Output::Disconnect { peer: *peer });
        }
        gone.into_iter().for_each(|peer| self.roster.touch(peer));
        self.admissions_changed = true;
        self.need_evaluation(now.time);
    }

    /// Drops from the view what hangs on keys whose time is over, and gives who is no member for that; never this peer.
    fn purge_unvouched(&mut self, now: Now) -> BTreeSet<PeerId> {
        let authorities = self.config.authorities.clone();
        if authorities.changes().is_empty() {
            return BTreeSet::new();
        }
        let (me, wall_s) = (self.me(), now.wall_s());
        let counts = |certificate: &Certificate, record: &Record| {
            let (key, made_s) = (certificate.authority(), record.version().ms() / 1_000);
            authorities.vouches(&key, made_s) && !authorities.is_void(&key, wall_s)
        };
        let mut gone = BTreeSet::new();
        self.view.for_each(&mut |record| {
            if let Payload::Peer(_, certificate) = record.payload()
                && !authorities.vouches(&certificate.authority(), wall_s)
            {
                gone.insert(record.origin());
            }
        });
        gone.remove(&me);
        let purged = self.view.purge(&|record| match record.payload() {
            Payload::Revocation(it) => !counts(&it.certificate, record),
            Payload::KeyEpoch(it) => !counts(&it.certificate, record),
            Payload::Authorities(it) => !counts(&it.certificate, record),
            _ => gone.contains(&record.origin()),
        });
        for _ in 0..purged {
            self.count("record_purged");
        }
        gone
    }
}
