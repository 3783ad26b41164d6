//! Join tokens: what an enroller prints and a newcomer is given.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use prost::Message;

use super::text::{self, TextError};
use crate::port::Crypto;
use crate::record::MeshId;
use crate::schema;
use crate::types::PeerId;

/// Begins every token, and tells its version.
const PREFIX: &str = "plexmesh1";
/// Length of a secret, in bytes: nobody guesses 128 bits, also not against the hash that the mesh knows.
const SECRET_BYTES: usize = 16;
/// What the hash of a secret is for; another purpose gives another hash.
const HASH_CONTEXT: &str = "plexmesh 1 join token secret";
/// Most enrollers in a token: one is up in most cases, and a token is to be short.
pub const MAX_ENROLLERS: usize = 3;
/// Most addresses of each: QUIC and TCP, inside and outside of a network.
pub const MAX_ENROLLER_ADDRESSES: usize = 4;
/// Longest address, in bytes; as in records.
const MAX_ADDRESS_BYTES: usize = 128;
/// Longest text of a token, in characters: all enrollers and addresses at their caps take less. More is not read.
pub const MAX_TOKEN_CHARS: usize = 3 * 1024;

/// Why a text is no usable token. No message shows a part of it, for it is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin as tokens do.
    #[error("this is no join token: those begin with `plexmesh1`")]
    NotAToken,
    /// White space inside.
    #[error(
        "there is white space inside of the token, at character {position}: a line break got into it; join its lines"
    )]
    WhiteSpace {
        /// Counted from 1.
        position: usize,
    },
    /// A character that no token has.
    #[error("character {position} of the token is none that tokens have (a to z, 2 to 7)")]
    Character {
        /// Counted from 1.
        position: usize,
    },
    /// Far longer than any token.
    #[error("this is far longer than any join token")]
    TooLong,
    /// The checksum does not fit.
    #[error(
        "the token is damaged: a character is wrong, two are swapped, or a part is missing; copy it again"
    )]
    Mistyped,
    /// It was copied right and says what no token may.
    #[error("the token was copied right but breaks a rule of tokens: {0}; ask for a new one")]
    Malformed(&'static str),
    /// Its time is over.
    #[error("the token has expired; ask for a new one")]
    Expired,
}

/// The secret that a token bears. Nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// A new secret.
    pub fn generate(crypto: &mut impl Crypto) -> Self {
        let mut bytes = [0; SECRET_BYTES];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&crypto.random_u64().to_le_bytes());
        }
        Self(bytes)
    }

    /// A secret from its bytes; `None` unless there are as many as a secret has.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes, for the one message that proves them.
    #[must_use]
    pub const fn expose(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// What the mesh may know of it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        blake3::derive_key(HASH_CONTEXT, &self.0)
    }

    /// Whether `hash` is its hash. Takes the same time for every hash.
    #[must_use]
    pub fn fits(&self, hash: &[u8; 32]) -> bool {
        blake3::Hash::from_bytes(self.hash()) == *hash
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Names a token: the first half of the hash of its secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub [u8; 16]);

impl TokenId {
    /// The id of the token whose secret has this hash.
    #[must_use]
    pub fn of_hash(hash: &[u8; 32]) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(hash.split_at(16).0);
        Self(id)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Somebody who may let the bearer in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enroller {
    /// Who.
    pub peer: PeerId,
    /// Where: multiaddrs without the `/p2p` part.
    pub addresses: Vec<String>,
}

impl Enroller {
    pub(super) fn to_wire(&self) -> schema::Enroller {
        schema::Enroller { peer: self.peer.0.to_vec(), addresses: self.addresses.clone() }
    }

    pub(super) fn from_wire(wire: schema::Enroller) -> Result<Self, TokenError> {
        let peer = PeerId::from_slice(&wire.peer);
        let peer = peer.ok_or(TokenError::Malformed("an enroller's id"))?;
        let addresses = wire.addresses;
        let within = addresses.len() <= MAX_ENROLLER_ADDRESSES;
        if within && addresses.iter().all(|address| is_address(address)) {
            Ok(Self { peer, addresses })
        } else {
            Err(TokenError::Malformed("an enroller's addresses"))
        }
    }
}

/// A join token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinToken {
    mesh: MeshId,
    secret: Secret,
    expires_s: u64,
    enrollers: Vec<Enroller>,
}

impl JoinToken {
    /// A token. Enrollers and addresses past their caps are left out.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] if no enroller has an address.
    pub fn new(
        mesh: MeshId,
        secret: Secret,
        expires_s: u64,
        enrollers: Vec<Enroller>,
    ) -> Result<Self, TokenError> {
        let mut usable: Vec<Enroller> = Vec::new();
        for mut enroller in enrollers {
            enroller.addresses.retain(|address| is_address(address));
            enroller.addresses.truncate(MAX_ENROLLER_ADDRESSES);
            if !enroller.addresses.is_empty() && usable.len() < MAX_ENROLLERS {
                usable.push(enroller);
            }
        }
        if usable.is_empty() {
            return Err(TokenError::Malformed("it names no address of an enroller"));
        }
        Ok(Self { mesh, secret, expires_s, enrollers: usable })
    }

    /// The text to hand over. It lets whoever has it in, so it is to be kept as a password is.
    #[must_use]
    pub fn to_text(&self) -> String {
        let bytes = schema::JoinToken {
            mesh_id: self.mesh.0.to_vec(),
            secret: self.secret.0.to_vec(),
            expires_s: self.expires_s,
            enrollers: self.enrollers.iter().map(Enroller::to_wire).collect(),
        }
        .encode_to_vec();
        [PREFIX, &text::encode(&bytes)].concat()
    }

    /// Reads a token and checks all of it; white space around it does not matter.
    ///
    /// # Errors
    /// [`TokenError`] says what is wrong. Every single wrong character and every two swapped neighbours are found.
    pub fn parse(text: &str, wall_s: u64) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() > MAX_TOKEN_CHARS {
            return Err(TokenError::TooLong);
        }
        if let Some(place) = text.chars().position(char::is_whitespace) {
            return Err(TokenError::WhiteSpace { position: place + 1 });
        }
        let content = text.strip_prefix(PREFIX).ok_or(TokenError::NotAToken)?;
        let bytes = text::decode(content).map_err(|error| match error {
            TextError::Character(place) => {
                TokenError::Character { position: PREFIX.len() + place + 1 }
            }
            TextError::Checksum => TokenError::Mistyped,
        })?;
        let token = Self::of_bytes(&bytes)?;
        if wall_s >= token.expires_s {
            return Err(TokenError::Expired);
        }
        Ok(token)
    }

    fn of_bytes(bytes: &[u8]) -> Result<Self, TokenError> {
        const MALFORMED: fn(&'static str) -> TokenError = TokenError::Malformed;
        let wire = schema::JoinToken::decode(bytes).map_err(|_| MALFORMED("it does not decode"))?;
        let mesh = wire.mesh_id.as_slice().try_into().map_err(|_| MALFORMED("its mesh id"))?;
        let secret = Secret::from_slice(&wire.secret).ok_or(MALFORMED("its secret's length"))?;
        if wire.enrollers.len() > MAX_ENROLLERS {
            return Err(MALFORMED("it names too many enrollers"));
        }
        let enrollers = wire.enrollers.into_iter().map(Enroller::from_wire);
        let enrollers = enrollers.collect::<Result<_, _>>()?;
        Self::new(MeshId(mesh), secret, wire.expires_s, enrollers)
    }

    /// The mesh that it leads to.
    #[must_use]
    pub const fn mesh(&self) -> MeshId {
        self.mesh
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> TokenId {
        TokenId::of_hash(&self.secret.hash())
    }

    /// What proves it.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Unix second from which nobody is let in with it.
    #[must_use]
    pub const fn expires_s(&self) -> u64 {
        self.expires_s
    }

    /// Whom to ask; at least one, with at least one address.
    #[must_use]
    pub fn enrollers(&self) -> &[Enroller] {
        &self.enrollers
    }
}

/// Whether a text may stand as an address in a token: what it means is for the transport to say.
fn is_address(text: &str) -> bool {
    text.starts_with('/')
        && text.len() <= MAX_ADDRESS_BYTES
        && text.chars().all(|character| character.is_ascii_graphic())
}
