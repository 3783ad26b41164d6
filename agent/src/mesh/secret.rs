//! `mesh.secret`: what members know and nobody else does, in up to two epochs.
//!
//! The secret keys the tags of shards; membership never depends on it. A directory without the file
//! belongs to a peer that was not given the secret yet.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::files::{self, FileError, Sealed};

/// Most epochs that are valid at a time: the one of today, and the one before it while the mesh
/// moves over.
pub const MAX_EPOCHS: usize = 2;
/// The epoch that a new mesh begins with.
const FIRST_EPOCH: u32 = 1;
/// Length of a secret, in bytes.
const SECRET_BYTES: usize = 32;
/// Length of an epoch with its secret in the file, in bytes: the number is big endian.
const ENTRY_BYTES: usize = size_of::<u32>() + SECRET_BYTES;
const FILE: Sealed =
    Sealed { file: "mesh.secret", label: "plexmesh mesh secret", version: 1, secret: true };

/// Why epochs cannot be the secrets of a mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SecretError {
    /// None, or too many.
    #[error("a mesh has 1 to {MAX_EPOCHS} secrets at a time, not {0}")]
    Count(usize),
    /// The numbers do not rise, or one is 0.
    #[error("the epochs of the mesh's secrets do not rise from 1 on")]
    Order,
}

/// One secret of a mesh. Nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct MeshSecret([u8; SECRET_BYTES]);

impl MeshSecret {
    /// A secret from its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, to key with or to hand on.
    #[must_use]
    pub const fn expose(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }
}

impl fmt::Debug for MeshSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeshSecret(hidden)")
    }
}

/// The secrets of a mesh by rising epoch: one or two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshSecrets(Vec<(u32, MeshSecret)>);

impl MeshSecrets {
    /// The first secret of a new mesh.
    #[must_use]
    pub fn generate() -> Self {
        Self(vec![(FIRST_EPOCH, MeshSecret(rand::random()))])
    }

    /// Secrets by rising epoch.
    ///
    /// # Errors
    /// [`SecretError`] if there are none or more than [`MAX_EPOCHS`], or the epochs do not rise
    /// from 1 on.
    pub fn new(epochs: Vec<(u32, MeshSecret)>) -> Result<Self, SecretError> {
        if epochs.is_empty() || epochs.len() > MAX_EPOCHS {
            return Err(SecretError::Count(epochs.len()));
        }
        let rises = epochs.is_sorted_by(|(before, _), (after, _)| before < after);
        let begins_well = epochs.first().is_some_and(|(epoch, _)| *epoch >= FIRST_EPOCH);
        if rises && begins_well { Ok(Self(epochs)) } else { Err(SecretError::Order) }
    }

    /// These with one of a higher epoch, or another one of the newest; the oldest goes if there are too
    /// many. `None` if the epoch is lower.
    #[must_use]
    pub fn with(&self, epoch: u32, secret: MeshSecret) -> Option<Self> {
        let mut epochs = self.0.clone();
        epochs.retain(|(other, _)| *other != epoch);
        epochs.push((epoch, secret));
        let surplus = epochs.len().saturating_sub(MAX_EPOCHS);
        Self::new(epochs.split_off(surplus)).ok()
    }

    /// The newest epoch.
    #[must_use]
    pub fn newest(&self) -> u32 {
        self.0.last().map_or(0, |(epoch, _)| *epoch)
    }

    /// Epochs with their secrets, by rising epoch.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &MeshSecret)> {
        self.0.iter().map(|(epoch, secret)| (*epoch, secret))
    }

    /// Reads the file of a data directory; `None` if there is none.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, FileError> {
        let path = FILE.path(dir);
        if !files::is_there(&path)? {
            return Ok(None);
        }
        let bytes = FILE.read(dir)?;
        let malformed = || FILE.malformed(dir, "it holds no secrets by rising epoch");
        Self::decode(&bytes).map(Some).ok_or_else(malformed)
    }

    /// Replaces the file of a data directory.
    pub(super) fn write(&self, dir: &Path) -> Result<(), FileError> {
        FILE.write(dir, &self.encode())
    }

    pub(super) fn path(dir: &Path) -> PathBuf {
        FILE.path(dir)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let entry =
            |(epoch, secret): &(u32, MeshSecret)| [&epoch.to_be_bytes()[..], &secret.0].concat();
        self.0.iter().flat_map(entry).collect()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        let entry = |entry: &[u8; ENTRY_BYTES]| {
            let (epoch, secret) = entry.split_first_chunk()?;
            Some((u32::from_be_bytes(*epoch), MeshSecret(secret.try_into().ok()?)))
        };
        let epochs = entries.iter().map(entry).collect::<Option<_>>()?;
        rest.is_empty().then(|| Self::new(epochs).ok()).flatten()
    }
}

/// What the directory of one more member is to hold: the secrets of the one that lets it in, or no
/// file, so that none of an interrupted attempt stays.
pub(super) fn hand_on(secrets: Option<&MeshSecrets>, dir: &Path) -> Result<(), FileError> {
    match secrets {
        Some(secrets) => secrets.write(dir),
        None => FILE.remove(dir),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn secret(byte: u8) -> MeshSecret {
        MeshSecret::new([byte; SECRET_BYTES])
    }

    #[test]
    fn one_and_two_epochs_survive_their_file_which_is_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(MeshSecrets::read(dir.path()).unwrap(), None);
        for epochs in [vec![(7, secret(1))], vec![(7, secret(1)), (9, secret(2))]] {
            let secrets = MeshSecrets::new(epochs).unwrap();
            secrets.write(dir.path()).unwrap();
            assert_eq!(MeshSecrets::read(dir.path()).unwrap(), Some(secrets));
        }
        let mode = fs::metadata(dir.path().join("mesh.secret")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_no_mesh_has_is_refused() {
        let new = |epochs: &[u32]| {
            MeshSecrets::new(epochs.iter().map(|epoch| (*epoch, secret(1))).collect())
        };
        assert_eq!(new(&[]), Err(SecretError::Count(0)));
        assert_eq!(new(&[1, 2, 3]), Err(SecretError::Count(3)));
        for epochs in [&[0][..], &[0, 1], &[2, 2], &[2, 1]] {
            assert_eq!(new(epochs), Err(SecretError::Order), "{epochs:?}");
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_is_left_alone_and_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let good = [&[0, 0, 0, 1][..], &[0xab; SECRET_BYTES]].concat();
        for bytes in [&good[1..], &[good.as_slice(), &[0]].concat(), &[0; ENTRY_BYTES], &[]] {
            FILE.write(dir.path(), bytes).unwrap();
            let before = fs::read(FILE.path(dir.path())).unwrap();
            let said = MeshSecrets::read(dir.path()).unwrap_err().to_string();
            assert!(said.contains("mesh.secret is damaged") && !said.contains("abab"), "{said}");
            assert_eq!(fs::read(FILE.path(dir.path())).unwrap(), before);
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let shown = format!("{:?}", MeshSecrets::new(vec![(1, secret(0xab))]).unwrap());
        assert!(shown.contains("hidden") && !shown.contains("171"), "{shown}");
    }
}
