//! What a peer shows of itself when it connects: its certificate, and what somebody who was away needs in order to judge it.

use alloc::vec::Vec;

use prost::Message;

use super::request::Malformed;
use crate::record::{
    AuthorityChange, Certificate, MAX_AUTHORITY_CHANGES, MAX_CERTIFICATE_BYTES, MAX_CHANGE_BYTES,
};
use crate::schema;

/// Tag and length of a field, in bytes.
const FIELD_BYTES: usize = 3;
/// Longest encoded credential, in bytes.
pub const MAX_CREDENTIAL_BYTES: usize =
    MAX_CERTIFICATE_BYTES + FIELD_BYTES + MAX_AUTHORITY_CHANGES * (MAX_CHANGE_BYTES + FIELD_BYTES);

/// A credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The bearer's certificate.
    pub certificate: Certificate,
    /// Replacements of authority keys that the bearer knows, from the first on: who was away while keys were replaced learns here whose certificates count.
    pub changes: Vec<AuthorityChange>,
}

impl Credential {
    /// The encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        schema::Credential {
            certificate: self.certificate.encode(),
            authority_changes: self.changes.iter().map(AuthorityChange::encode).collect(),
        }
        .encode_to_vec()
    }

    /// Reads a credential; checks form, not whether it counts.
    ///
    /// # Errors
    /// [`Malformed`] names the broken rule.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_CREDENTIAL_BYTES {
            return Err(Malformed("too long"));
        }
        let wire = schema::Credential::decode(bytes).map_err(|_| Malformed("encoding"))?;
        Ok(Self {
            certificate: Certificate::parse(&wire.certificate)
                .map_err(|_| Malformed("the certificate"))?,
            changes: AuthorityChange::parse_all(&wire.authority_changes)
                .map_err(|_| Malformed("the replacements of authority keys"))?,
        })
    }
}
