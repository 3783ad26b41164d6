//! A peer in one file, to take it to new hardware or to another directory.
//!
//! The file has everything that makes the peer who it is: key, certificate, `mesh.toml`, the mesh's
//! secrets, and the clock of its store, so that it speaks above what it said before. Records come
//! back from the mesh, and what was found right of each shard from the next scrub. Authority keys
//! are not the peer's and stay where they are.

use std::path::{Path, PathBuf};

use plexmesh_net::Identity;
use plexmesh_proto::record::{Certificate, MeshId};
use plexmesh_proto::types::{PeerId, Version};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::description::Description;
use super::envelope::{self, EnvelopeError, Passphrase};
use super::files::{self, FileError, from_hex};
use super::secret::MeshSecrets;
use super::undo::Undo;
use super::{AUTHORITY, AUTHORITY_SPARE, CERTIFICATE, IDENTITY, MeshError, format, moved};
use crate::identity::NodeKeys;
use crate::store::{self, StoreError};
use crate::text::hex;
use crate::time::WallTime;

/// Largest exported file, in bytes: a `mesh.toml` of the largest size that is read, escaped and in
/// hexadecimal, and the rest.
const MAX_EXPORT_BYTES: u64 = 512 * 1024;
/// What a bundle that opens and makes no sense is told as.
const NO_SENSE: &str = "its content makes no peer";

/// Why a peer cannot be exported or imported.
#[derive(Debug, Error)]
pub enum TransferError {
    /// There is no peer to export.
    #[error("{} holds no mesh: there is no peer to export", .0.display())]
    NoMesh(PathBuf),
    /// The file to write is there.
    #[error("{} exists already; nothing was changed. Name a file that does not exist", .0.display())]
    Exists(PathBuf),
    /// The exported file stays closed.
    #[error("cannot use {}: {source}; nothing was written", .path.display())]
    Envelope {
        /// The file.
        path: PathBuf,
        /// Why.
        source: EnvelopeError,
    },
    /// It opens and makes no sense.
    #[error("cannot use {}: {NO_SENSE}; nothing was written", .0.display())]
    NoSense(PathBuf),
    /// The directory belongs to somebody else.
    #[error("{} holds the key of another peer; nothing was changed. Choose an empty --data-dir",
            .0.display())]
    OtherPeer(PathBuf),
    /// A file of the data directory.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// The clock cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<FileError> for TransferError {
    fn from(error: FileError) -> Self {
        Self::Mesh(error.into())
    }
}

/// What went into a file, or came out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// The peer.
    pub peer: PeerId,
    /// Its mesh.
    pub mesh: MeshId,
    /// Whether the mesh's secrets are among it.
    pub has_secret: bool,
    /// Whether the peer's clock is among it; without it the neighbours tell.
    pub has_clock: bool,
    /// Authority keys that lie in the old directory and stay there.
    pub authority_files: Vec<PathBuf>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bundle {
    identity: String,
    certificate: String,
    mesh: String,
    secret: Option<String>,
    last_version: Option<u64>,
}

/// Writes the peer of a directory into a new file and marks the directory as moved, unless `copy`.
/// The caller holds the directory's lock. Blocks.
///
/// # Errors
/// If there is no usable mesh, the file exists, or something cannot be written. The directory is as
/// before then, and there is no file.
pub fn export(
    dir: &Path,
    file: &Path,
    passphrase: &Passphrase,
    copy: bool,
    now: WallTime,
) -> Result<Transferred, TransferError> {
    if file.symlink_metadata().is_ok() {
        return Err(TransferError::Exists(file.to_owned()));
    }
    let membership = super::load(dir, now.ms() / 1_000)?;
    let membership = membership.ok_or_else(|| TransferError::NoMesh(dir.to_owned()))?;
    let last_version = store::last_version(dir);
    let bundle = Bundle {
        identity: hex(&membership.keys.identity().secret_bytes()),
        certificate: hex(&membership.certificate.encode()),
        mesh: files::read_text(&Description::path(dir), false)?,
        secret: membership.secrets.as_ref().map(|secrets| hex(&secrets.encode())),
        last_version: last_version.map(|version| version.0),
    };
    let closed = |source| TransferError::Envelope { path: file.to_owned(), source };
    let content = serde_json::to_vec(&bundle);
    let content = content.map_err(|_| TransferError::NoSense(file.to_owned()))?;
    let text = envelope::seal(&content, passphrase).map_err(closed)?;
    files::write_secret_once(file, text.as_bytes())?;
    let mut undo = Undo::default();
    undo.add(file.to_owned());
    if !copy {
        moved::mark(dir, now)?;
    }
    undo.keep();
    let authorities = [AUTHORITY.path(dir), AUTHORITY_SPARE.path(dir)];
    Ok(Transferred {
        peer: membership.keys.peer(),
        mesh: membership.mesh,
        has_secret: bundle.secret.is_some(),
        has_clock: last_version.is_some(),
        authority_files: authorities.into_iter().filter(|path| path.exists()).collect(),
    })
}

/// A peer that was read from an exported file and can be put into a directory.
#[derive(Debug)]
pub struct Arriving {
    identity: Identity,
    certificate: Certificate,
    description: Description,
    mesh_toml: String,
    secrets: Option<MeshSecrets>,
    last_version: Option<Version>,
}

impl Arriving {
    /// Reads an exported file and checks all of it. Writes nothing.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, does not open with this passphrase, or makes nobody a
    /// member at `now`.
    pub fn read(
        file: &Path,
        passphrase: &Passphrase,
        now: WallTime,
    ) -> Result<Self, TransferError> {
        let text = files::read_named(file, true, MAX_EXPORT_BYTES)?;
        let content = envelope::open(&text, passphrase)
            .map_err(|source| TransferError::Envelope { path: file.to_owned(), source })?;
        let arriving = serde_json::from_slice(&content).ok().and_then(Self::of_bundle);
        let arriving = arriving.ok_or_else(|| TransferError::NoSense(file.to_owned()))?;
        let keys = NodeKeys::new(arriving.identity.clone());
        let Description { mesh, authorities, .. } = &arriving.description;
        arriving
            .certificate
            .check(&mut keys.clone(), mesh, authorities, &keys.peer(), now.ms() / 1_000)
            .map_err(|source| MeshError::Certificate { path: file.to_owned(), source })?;
        Ok(arriving)
    }

    /// Puts the peer into a directory without a mesh. The caller holds the directory's lock.
    /// `mesh.toml` is written last, as its presence makes a mesh. Blocks.
    ///
    /// # Errors
    /// If there is a mesh or another peer's key already, or something cannot be written. The
    /// directory is as before then.
    pub fn settle(self, dir: &Path) -> Result<Transferred, TransferError> {
        if files::is_there(&Description::path(dir))? {
            return Err(MeshError::AlreadyMade(dir.to_owned()).into());
        }
        let secret = self.identity.secret_bytes();
        let has_key = files::is_there(&IDENTITY.path(dir))?;
        if has_key && IDENTITY.read(dir)? != secret {
            return Err(TransferError::OtherPeer(dir.to_owned()));
        }
        format::claim(dir).map_err(MeshError::from)?;
        let mut undo = Undo::default();
        if !has_key {
            undo.add(IDENTITY.path(dir));
            IDENTITY.write(dir, &secret)?;
        }
        undo.add(CERTIFICATE.path(dir));
        CERTIFICATE.write(dir, &self.certificate.encode())?;
        undo.add(MeshSecrets::path(dir));
        super::secret::hand_on(self.secrets.as_ref(), dir)?;
        if let Some(version) = self.last_version {
            if !store::is_there(dir) {
                undo.add(store::path(dir));
            }
            store::raise_last_version(dir, version)?;
        }
        undo.add(Description::path(dir));
        files::write_atomically(&Description::path(dir), self.mesh_toml.as_bytes(), false)?;
        undo.keep();
        Ok(Transferred {
            peer: PeerId(self.identity.public()),
            mesh: self.description.mesh,
            has_secret: self.secrets.is_some(),
            has_clock: self.last_version.is_some(),
            authority_files: Vec::new(),
        })
    }

    fn of_bundle(bundle: Bundle) -> Option<Self> {
        let identity = from_hex(&bundle.identity)?.try_into().ok()?;
        let secrets = match &bundle.secret {
            Some(text) => Some(MeshSecrets::decode(&from_hex(text)?)?),
            None => None,
        };
        Some(Self {
            identity: Identity::from_secret_bytes(identity),
            certificate: Certificate::parse(&from_hex(&bundle.certificate)?).ok()?,
            description: Description::parse(&bundle.mesh).ok()?,
            mesh_toml: bundle.mesh,
            secrets,
            last_version: bundle.last_version.map(Version),
        })
    }
}

#[cfg(test)]
mod tests;
