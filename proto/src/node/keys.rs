//! The mesh's secret: an admin gives all members a new one, and every peer takes the newest that is sealed to it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Node;
use super::accept::{Accepted, heartbeat};
use crate::keys::{self, MeshSecret};
use crate::membership::Haste;
use crate::port::{Crypto, Output};
use crate::record::{CERTIFICATE_LIFETIME_S, KeyEpoch, Kind, MAX_KEY_EPOCH, Payload, Record, Role};
use crate::types::{Now, PeerId};
use crate::view::RecordStore;

/// How long a sealed secret may be fetched, in seconds: who is away for longer has lost its certificate, too, and gets the secret when it joins again.
const KEY_EPOCH_LIFETIME_S: u64 = CERTIFICATE_LIFETIME_S;

/// A new secret that was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Its epoch.
    pub epoch: u32,
    /// To how many members it was sealed, this one included.
    pub recipients: usize,
}

/// Why no new secret was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysRefusal {
    /// This peer may give out none.
    #[error(
        "this peer may give out no secret: its certificate lacks the role of an admin; run this on an admin"
    )]
    NotAdmin,
    /// There is no higher epoch.
    #[error("the highest epoch that there can be is in use; only a new mesh begins again with 1")]
    Exhausted,
}

impl<C: Crypto, S: RecordStore> Node<C, S> {
    /// Gives `secret` to all members that did not leave, this one included, as that of the next epoch.
    ///
    /// # Errors
    /// [`KeysRefusal`].
    pub fn rotate_keys(&mut self, secret: [u8; 32], now: Now) -> Result<Rotation, KeysRefusal> {
        if !self.config.certificate.has_role(Role::Admin) {
            return Err(KeysRefusal::NotAdmin);
        }
        let highest = self.config.key_epoch.max(keys::highest_epoch(&self.view));
        let epoch = highest.saturating_add(1);
        if epoch > MAX_KEY_EPOCH {
            return Err(KeysRefusal::Exhausted);
        }
        let recipients = self.recipients();
        let lapses_s = self.config.certificate.not_after_s;
        let until_s = now.wall_s().saturating_add(KEY_EPOCH_LIFETIME_S).min(lapses_s);
        let mut sealed_to = 0;
        for recipient in &recipients {
            let sealed = self.crypto.seal(recipient, &secret);
            if sealed.is_empty() {
                self.count("key_epoch_not_sealed");
                continue;
            }
            sealed_to += 1;
            let certificate = Box::new(self.config.certificate.clone());
            let sealed = KeyEpoch { epoch, recipient: *recipient, sealed, certificate };
            self.publish_until(Payload::KeyEpoch(sealed), until_s, now);
        }
        self.take_key_epoch(now);
        self.settle(now);
        Ok(Rotation { epoch, recipients: sealed_to })
    }

    /// The newest epoch of the mesh's secret that this peer holds; 0 for none.
    pub const fn key_epoch(&self) -> u32 {
        self.config.key_epoch
    }

    /// All members that did not leave, and the epoch that each says it holds; `None` if its last word is too old.
    pub fn key_progress(&self, now: Now) -> Vec<(PeerId, Option<u32>)> {
        let me = self.me();
        let told = |peer: PeerId| {
            let record = self.view.get(peer, Kind::HEARTBEAT, now.wall_s());
            record.as_deref().and_then(heartbeat).map(|it| it.key_epoch)
        };
        let held = |peer: PeerId| if peer == me { Some(self.key_epoch()) } else { told(peer) };
        self.recipients().into_iter().map(|peer| (peer, held(peer))).collect()
    }

    fn recipients(&self) -> Vec<PeerId> {
        let me = self.me();
        let members = self.roster.members().iter().filter(|member| {
            let certificate = member.certificate();
            !member.left
                && certificate.is_some_and(|it| self.admissions.bar(&member.id(), it).is_none())
        });
        let others = members.map(|member| member.id()).filter(|id| *id != me);
        core::iter::once(me).chain(others).collect()
    }

    /// What speaks against a sealed secret; `None` if an admin made it while it was one.
    pub(super) fn vouch_for_key_epoch(
        &mut self,
        record: &Record,
        epoch: &KeyEpoch,
        now: Now,
    ) -> Option<Accepted> {
        let made_s = record.version().ms() / 1_000;
        let certificate = &epoch.certificate;
        let in_time = record.expires_s() <= certificate.not_after_s
            && record.expires_s() <= made_s.saturating_add(KEY_EPOCH_LIFETIME_S);
        if !in_time || !certificate.has_role(Role::Admin) {
            return Some(Accepted::Forged);
        }
        if let Some(against) = self.vouch_for_author(certificate, record, now) {
            return Some(against);
        }
        self.admissions.is_unwanted(record).then_some(Accepted::Barred)
    }

    /// Takes the newest secret that is sealed to this peer, unless it is the one held. Of two of one epoch, by two admins at a time, all peers take the one with the higher version.
    pub(super) fn take_key_epoch(&mut self, now: Now) {
        let me = self.me();
        for record in keys::sealed_to(&self.view, &self.admissions, &me, now.wall_s()) {
            let Some(sealed) = keys::key_epoch(&record) else { continue };
            let held = self.config.key_epoch;
            if sealed.epoch < held || self.key_taken.as_ref() == Some(record.hash()) {
                return;
            }
            if let Some(secret) = self.crypto.open(&sealed.sealed) {
                let epoch = sealed.epoch;
                self.config.key_epoch = epoch;
                self.key_taken = Some(*record.hash());
                let secret = MeshSecret(secret);
                self.outputs.push_back(Output::KeyEpoch { epoch, secret });
                self.publisher.request(Kind::HEARTBEAT, now.time, Haste::AtOnce);
                return;
            }
            self.count("key_epoch_not_opened");
        }
    }
}
