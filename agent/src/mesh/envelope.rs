//! What a passphrase protects: a text of three lines, of which the second is sealed.
//!
//! ```text
//! plexmesh export v1
//! hex of: salt (16) | nonce (24) | XChaCha20-Poly1305 of the content, bound to the first line
//! hex of: BLAKE3 of the lines above
//! ```
//! The key is Argon2id of passphrase and salt, with costs that the version fixes: a file cannot ask
//! its reader for more memory or time. The hash tells a damaged file from a wrong passphrase.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use thiserror::Error;

use super::files::from_hex;
use crate::text::hex;

/// What the first line says.
const HEADER: &str = "plexmesh export v1";
/// What the first line of every version begins with.
const LABEL: &str = "plexmesh export v";
/// Memory that trying one passphrase takes, in KiB: the second choice of RFC 9106, which small hosts
/// have to spare.
const MEMORY_KIB: u32 = 64 * 1024;
/// Passes over that memory, of the same choice.
const PASSES: u32 = 3;
/// Lanes, of the same choice.
const LANES: u32 = 4;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;

/// A passphrase. Nothing prints it.
pub struct Passphrase(String);

impl Passphrase {
    /// A passphrase as it was typed.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(hidden)")
    }
}

/// Why an envelope stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// Another kind of file.
    #[error("it is no file of `plexmesh export-identity`")]
    NotAnExport,
    /// A later form.
    #[error("it is of another version of plexmesh")]
    OtherVersion,
    /// Bits are not as written.
    #[error("it is damaged: copy it again from where it was made")]
    Damaged,
    /// It is as it was written, and the passphrase does not open it.
    #[error("the passphrase is not the one that it was made with")]
    WrongPassphrase,
    /// The system has too little memory, or the cipher refuses.
    #[error("the key cannot be made from the passphrase")]
    NoKey,
}

/// Seals a content. Takes a moment, on purpose.
pub(super) fn seal(content: &[u8], passphrase: &Passphrase) -> Result<String, EnvelopeError> {
    let (salt, nonce): ([u8; SALT_BYTES], [u8; NONCE_BYTES]) = (rand::random(), rand::random());
    let payload = Payload { msg: content, aad: HEADER.as_bytes() };
    let sealed = cipher(passphrase, &salt)?
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| EnvelopeError::NoKey)?;
    let lines = format!("{HEADER}\n{}\n", hex(&[&salt[..], &nonce, &sealed].concat()));
    let hash = blake3::hash(lines.as_bytes());
    Ok(format!("{lines}{}\n", hash.to_hex()))
}

/// Gives the content back.
pub(super) fn open(text: &str, passphrase: &Passphrase) -> Result<Vec<u8>, EnvelopeError> {
    if !text.starts_with(LABEL) {
        return Err(EnvelopeError::NotAnExport);
    }
    let mut lines = text.lines();
    let (header, content, hash, rest) = (lines.next(), lines.next(), lines.next(), lines.next());
    if header != Some(HEADER) {
        return Err(EnvelopeError::OtherVersion);
    }
    let (Some(content), Some(hash), None) = (content, hash, rest) else {
        return Err(EnvelopeError::Damaged);
    };
    let expected = blake3::hash(format!("{HEADER}\n{content}\n").as_bytes());
    if expected.to_hex().as_str() != hash {
        return Err(EnvelopeError::Damaged);
    }
    let bytes = from_hex(content).ok_or(EnvelopeError::Damaged)?;
    let (salt, rest) = bytes.split_first_chunk().ok_or(EnvelopeError::Damaged)?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(EnvelopeError::Damaged)?;
    cipher(passphrase, salt)?
        .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: HEADER.as_bytes() })
        .map_err(|_| EnvelopeError::WrongPassphrase)
}

fn cipher(
    passphrase: &Passphrase,
    salt: &[u8; SALT_BYTES],
) -> Result<XChaCha20Poly1305, EnvelopeError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(KEY_BYTES))
        .map_err(|_| EnvelopeError::NoKey)?;
    let mut memory = Vec::new();
    memory.try_reserve_exact(params.block_count()).map_err(|_| EnvelopeError::NoKey)?;
    memory.resize(params.block_count(), Block::default());
    let mut key = [0; KEY_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase.0.as_bytes(), salt, &mut key, &mut memory)
        .map_err(|_| EnvelopeError::NoKey)?;
    Ok(XChaCha20Poly1305::new(&Key::from(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned())
    }

    #[test]
    fn a_content_comes_back_with_its_passphrase_alone_and_shows_nothing() {
        let sealed = seal(b"precious content", &passphrase("horse staple")).unwrap();
        assert_eq!(open(&sealed, &passphrase("horse staple")).unwrap(), b"precious content");
        let refused = open(&sealed, &passphrase("horse stable"));
        assert_eq!(refused, Err(EnvelopeError::WrongPassphrase));
        assert!(!sealed.contains(&hex(b"precious")));
        assert_ne!(sealed, seal(b"precious content", &passphrase("horse staple")).unwrap());
        assert!(!format!("{:?}", passphrase("horse")).contains("horse"));
    }

    #[test]
    fn a_damaged_envelope_is_told_from_a_wrong_passphrase_without_trying_it() {
        let sealed = seal(b"content", &passphrase("horse staple")).unwrap();
        let any = passphrase("any");
        for place in HEADER.len() + 1..sealed.len() - 1 {
            let mut bytes = sealed.clone().into_bytes();
            bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(open(&changed, &any), Err(EnvelopeError::Damaged), "byte {place}");
        }
        for length in HEADER.len()..sealed.len() - 1 {
            assert_eq!(open(&sealed[..length], &any), Err(EnvelopeError::Damaged), "{length}");
        }
        let longer = format!("{sealed}00\n");
        assert_eq!(open(&longer, &any), Err(EnvelopeError::Damaged));
    }

    #[test]
    fn another_kind_of_file_and_another_version_are_told() {
        let any = passphrase("any");
        assert_eq!(open("plexmesh identity v1\n00\n", &any), Err(EnvelopeError::NotAnExport));
        assert_eq!(open("plexmesh export v2\n00\n00\n", &any), Err(EnvelopeError::OtherVersion));
    }

    #[test]
    fn a_content_that_is_too_short_is_damaged_even_if_its_hash_fits() {
        let lines = format!("{HEADER}\n00\n");
        let text = format!("{lines}{}\n", blake3::hash(lines.as_bytes()).to_hex());
        assert_eq!(open(&text, &passphrase("any")), Err(EnvelopeError::Damaged));
    }
}
