//! Authority keys in files: reading one, making one, and putting a new one in the place of a lost one.

use std::path::Path;
use std::sync::Arc;

use plexmesh_net::Identity;
use plexmesh_proto::record::{
    Authorities, AuthorityError, Certificate, MAX_AUTHORITY_GRACE_S, Replacement,
};
use plexmesh_proto::types::PeerId;
use thiserror::Error;

use super::files::{self, FileError};
use super::{AUTHORITY, renew_by};
use crate::identity::NodeKeys;
use crate::text::hex;

/// Why an authority key is not replaced.
#[derive(Debug, Error)]
pub enum ReplaceError {
    /// A key file.
    #[error(transparent)]
    File(#[from] FileError),
    /// More than one key could be meant.
    #[error("{} other authority keys are in force; say which one is lost", .0.len())]
    Ambiguous(Vec<PeerId>),
    /// Its certificates would count for longer than any lasts.
    #[error("the certificates of the lost key can go on counting for 90 days at most")]
    Grace,
    /// The mesh would not accept it.
    #[error(transparent)]
    Chain(#[from] AuthorityError),
}

/// What the operator wants.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The file with the key that signs.
    pub with: &'a Path,
    /// Where the new key goes; there must be nothing yet.
    pub new: &'a Path,
    /// The key that is lost; the only other one, unless it is named.
    pub lost: Option<PeerId>,
    /// For how long its certificates go on counting, in seconds.
    pub grace_s: u64,
    /// Somebody else may have it.
    pub stolen: bool,
}

/// What is to be told to the agent.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// The authorities with the new key.
    pub authorities: Authorities,
    /// This peer's certificate, from the key that signed.
    pub certificate: Certificate,
}

/// Makes a new authority key and has another one put it in the place of the lost one. The new key's file
/// is on the disk when this returns, and nothing has been told to anybody.
///
/// # Errors
/// [`ReplaceError`]; no file was made then.
pub fn replace(
    wish: &Wish<'_>,
    known: &Arc<Authorities>,
    own: &Certificate,
    wall_s: u64,
) -> Result<Replaced, ReplaceError> {
    let mut key = read(wish.with)?;
    let signer = key.peer();
    let lost = match wish.lost {
        Some(lost) => lost,
        None => the_other(known, &signer)?,
    };
    if wish.grace_s > MAX_AUTHORITY_GRACE_S {
        return Err(ReplaceError::Grace);
    }
    let identity = Identity::generate();
    let replacement = Replacement {
        lost,
        new: PeerId(identity.public()),
        until_s: wall_s.saturating_add(wish.grace_s),
        stolen: wish.stolen,
    };
    let authorities = known.replace(&mut key, signer, &own.mesh, replacement)?;
    let certificate = renew_by(&mut key, own, wall_s);
    let secret = hex(&identity.secret_bytes());
    let text = format!("{} v{}\n{secret}\n", AUTHORITY.label, AUTHORITY.version);
    files::write_secret_once(wish.new, text.as_bytes())?;
    Ok(Replaced { authorities, certificate })
}

/// The authority in force beside the one that signs.
fn the_other(known: &Authorities, signer: &PeerId) -> Result<PeerId, ReplaceError> {
    if !known.is_in_force(signer) {
        return Err(AuthorityError::UnknownSigner.into());
    }
    let others = known.in_force().iter().filter(|key| *key != signer);
    match others.copied().collect::<Vec<_>>().as_slice() {
        [only] => Ok(*only),
        [] => Err(AuthorityError::NotReplaceable.into()),
        several => Err(ReplaceError::Ambiguous(several.to_vec())),
    }
}

/// Reads an authority key.
pub(super) fn read(path: &Path) -> Result<NodeKeys, FileError> {
    let secret = AUTHORITY.read_named(path)?;
    let malformed =
        || FileError::Malformed { path: path.to_owned(), reason: "not 32 bytes of key" };
    let secret = secret.try_into().map_err(|_| malformed())?;
    Ok(NodeKeys::new(Identity::from_secret_bytes(secret)))
}
