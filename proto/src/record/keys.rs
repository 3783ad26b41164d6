//! The mesh's secret on its way to a member.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::PayloadError;
use super::certificate::Certificate;
use super::payload::within;
use crate::schema;
use crate::types::PeerId;

/// The highest epoch: a rotation an hour for two centuries, and three bytes in a heartbeat.
pub const MAX_KEY_EPOCH: u32 = (1 << 21) - 1;
/// Longest sealed secret, in bytes: 32 of the secret, 48 that sealing adds, and room for another way to seal.
pub const MAX_SEALED_BYTES: usize = 128;

/// The mesh's secret of one epoch, for one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEpoch {
    /// Rises with every new secret; 1 at least.
    pub epoch: u32,
    /// Who can open it.
    pub recipient: PeerId,
    /// The secret, sealed to the recipient.
    pub sealed: Vec<u8>,
    /// The admin's certificate: the record is judged by it alone, also when the admin has left.
    pub certificate: Box<Certificate>,
}

impl KeyEpoch {
    pub(super) fn to_wire(&self) -> schema::KeyEpoch {
        schema::KeyEpoch {
            epoch: self.epoch,
            recipient: self.recipient.0.to_vec(),
            sealed: self.sealed.clone(),
            certificate: self.certificate.encode(),
        }
    }

    pub(super) fn from_wire(wire: schema::KeyEpoch) -> Result<Self, PayloadError> {
        within(wire.sealed.len(), MAX_SEALED_BYTES)?;
        if wire.epoch == 0 || wire.epoch > MAX_KEY_EPOCH {
            return Err(PayloadError::Epoch);
        }
        let certificate =
            Certificate::parse(&wire.certificate).map_err(|_| PayloadError::Certificate)?;
        Ok(Self {
            epoch: wire.epoch,
            recipient: PeerId::from_slice(&wire.recipient).ok_or(PayloadError::PeerId)?,
            sealed: wire.sealed,
            certificate: Box::new(certificate),
        })
    }
}
