//! What the data directory says of this peer and its mesh: keys, certificate, authorities, seeds.
//!
//! | file | content | mode |
//! |---|---|---|
//! | `identity.key` | Ed25519 secret of this peer | 0600 |
//! | `mesh.toml` | mesh id, authority keys and what replaced them, seeds, this peer's labels | 0644 |
//! | `certificate` | this peer's certificate | 0644 |
//! | `mesh.secret` | what members alone know, in up to two epochs | 0600 |
//! | `authority.key`, `authority-spare.key` | the mesh's authorities, where it was made | 0600 |
//! | `moved` | says that the peer was moved away, and when | 0644 |
//! | `format` | form of these files, and which version wrote them last | 0644 |
//!
//! `mesh.toml` is written last: a directory without one holds no mesh, and making one there goes on
//! from what an interrupted attempt left. A certificate of a mesh that was not made there is not
//! written over.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plexmesh_net::Identity;
use plexmesh_proto::record::{Authorities, Certificate, CertificateError, MeshId, Role};
use plexmesh_proto::types::PeerId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::identity::NodeKeys;

mod admission;
pub mod authority;
mod description;
pub mod envelope;
pub mod files;
pub mod format;
pub mod join;
pub mod moved;
pub(crate) mod problem;
pub mod secret;
mod seed;
pub mod transfer;
mod undo;

pub use admission::{Gate, MeshAdmission};
pub use plexmesh_proto::record::CERTIFICATE_LIFETIME_S;
pub use seed::{Seed, SeedError};

use description::Description;
use files::{FileError, Sealed};
use format::FormatError;
use secret::MeshSecrets;

const IDENTITY: Sealed =
    Sealed { file: "identity.key", label: "plexmesh identity", version: 1, secret: true };
const AUTHORITY: Sealed =
    Sealed { file: "authority.key", label: "plexmesh authority", version: 1, secret: true };
const AUTHORITY_SPARE: Sealed =
    Sealed { file: "authority-spare.key", label: "plexmesh authority", version: 1, secret: true };
const CERTIFICATE: Sealed =
    Sealed { file: "certificate", label: "plexmesh certificate", version: 1, secret: false };

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub enum MeshError {
    /// A file cannot be read or written, or says what it must not.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory is not one that this version may use.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// There is a mesh already.
    #[error("{} already holds a mesh; nothing was changed. To make another one, choose another \
            --data-dir", .0.display())]
    AlreadyMade(PathBuf),
    /// `mesh.toml` does not parse.
    #[error("{} cannot be used: {reason}; restore it from a backup", .path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate does not make this peer a member.
    #[error("{}: {source}; an enroller of the mesh has to issue a new one", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CertificateError,
    },
    /// The peer of the directory is of a mesh, and what describes the mesh is gone.
    #[error("{} makes this peer a member of a mesh, and mesh.toml, which describes that mesh, is \
            gone; nothing was changed", .0.display())]
    Undescribed(PathBuf),
    /// Neither the authority's key is here nor is this peer an enroller.
    #[error("{} is not here and this peer is no enroller; certificates are issued by enrollers, \
            where the mesh was made, or where its authority key was brought", .0.display())]
    NoAuthority(PathBuf),
    /// The authority's key is not one that the mesh knows.
    #[error("{} is not the key of an authority of this mesh; look for the right one in your \
            backups", .0.display())]
    OtherAuthority(PathBuf),
}

/// What the operator calls a peer; all of it may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Its zone inside of the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Its storage tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
}

/// What makes this peer a member.
#[derive(Debug)]
pub struct Membership {
    /// This peer's keys.
    pub keys: NodeKeys,
    /// Which mesh.
    pub mesh: MeshId,
    /// Keys whose certificates make members.
    pub authorities: Arc<Authorities>,
    /// This peer's certificate; checked.
    pub certificate: Certificate,
    /// What members alone know; `None` if this peer was not given it yet.
    pub secrets: Option<MeshSecrets>,
    /// Where to begin.
    pub seeds: Vec<Seed>,
    /// What the operator calls this peer.
    pub labels: Labels,
}

/// What `init` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The new mesh.
    pub mesh: MeshId,
    /// This peer.
    pub peer: PeerId,
    /// Unix second at which this peer's certificate lapses.
    pub certificate_lapses_s: u64,
    /// The authority keys, to be taken offline.
    pub authority_files: [PathBuf; 2],
}

/// Makes a mesh with two authorities and a secret, and this peer its first member, enroller and admin.
///
/// # Errors
/// If there is a mesh already, or a file cannot be written. Nothing that exists is replaced.
pub fn init(dir: &Path, labels: Labels, wall_s: u64) -> Result<Made, MeshError> {
    if files::is_there(&Description::path(dir))? {
        return Err(MeshError::AlreadyMade(dir.to_owned()));
    }
    let begun = begun(dir)?;
    files::make_private_dir(dir)?;
    format::claim(dir)?;
    let identity = load_or_make(dir, &IDENTITY)?;
    let authority = load_or_make(dir, &AUTHORITY)?;
    let spare = load_or_make(dir, &AUTHORITY_SPARE)?;
    if MeshSecrets::read(dir)?.is_none() {
        MeshSecrets::generate().write(dir)?;
    }
    let mesh = begun.unwrap_or_else(|| MeshId(rand::random()));
    let peer = PeerId(identity.public());
    let roles = vec![Role::Member, Role::Enroller, Role::Admin];
    let certificate = issue(&NodeKeys::new(authority.clone()), mesh, peer, roles, wall_s);
    CERTIFICATE.write(dir, &certificate.encode())?;
    let founding = vec![PeerId(authority.public()), PeerId(spare.public())];
    let authorities = Arc::new(Authorities::from(founding));
    Description { mesh, authorities, seeds: Vec::new(), labels }.write(dir)?;
    Ok(Made {
        mesh,
        peer,
        certificate_lapses_s: certificate.not_after_s,
        authority_files: [AUTHORITY.path(dir), AUTHORITY_SPARE.path(dir)],
    })
}

/// The mesh that a directory without `mesh.toml` was to hold, or held: the one of which its
/// authority made its peer a member. `None` if nothing says so.
fn begun(dir: &Path) -> Result<Option<MeshId>, MeshError> {
    let path = CERTIFICATE.path(dir);
    if !files::is_there(&path)? {
        return Ok(None);
    }
    // The place of the peer in a mesh: lost for good if another one was written over it.
    if !files::is_there(&IDENTITY.path(dir))? || !files::is_there(&AUTHORITY.path(dir))? {
        return Err(MeshError::Undescribed(path));
    }
    let bytes = CERTIFICATE.read(dir)?;
    let refused = |source| MeshError::Certificate { path: path.clone(), source };
    let certificate = Certificate::parse(&bytes).map_err(refused)?;
    let mut keys = NodeKeys::new(read_key(dir, &IDENTITY)?);
    let authority = PeerId(read_key(dir, &AUTHORITY)?.public());
    let (mesh, peer) = (certificate.mesh, keys.peer());
    // One that lapsed since is made anew, with all else.
    let in_its_time_s = certificate.not_after_s.saturating_sub(1);
    certificate
        .check(&mut keys, &mesh, &vec![authority].into(), &peer, in_its_time_s)
        .map_err(|_| MeshError::Undescribed(path))?;
    Ok(Some(mesh))
}

/// Renews a certificate for 90 days with the authority key in a file.
///
/// # Errors
/// If the file does not read.
pub fn renew(authority: &Path, own: &Certificate, wall_s: u64) -> Result<Certificate, MeshError> {
    Ok(renew_by(&mut authority::read(authority)?, own, wall_s))
}

fn renew_by(key: &mut NodeKeys, own: &Certificate, wall_s: u64) -> Certificate {
    let id = key.peer();
    own.renew(key, id, wall_s, wall_s.saturating_add(CERTIFICATE_LIFETIME_S))
}

/// Writes down in `dir` whose certificates make members.
///
/// # Errors
/// If `mesh.toml` cannot be read or replaced; it stays as it is then.
pub fn write_authorities(dir: &Path, authorities: &Arc<Authorities>) -> Result<(), MeshError> {
    let Some(mut description) = Description::read(dir)? else { return Ok(()) };
    if description.authorities == *authorities {
        return Ok(());
    }
    description.authorities = authorities.clone();
    description.write(dir)
}

/// Writes a renewed certificate of the peer in `dir`, in the place of the former one.
///
/// # Errors
/// If it cannot be written; the former one is there then.
pub fn write_certificate(dir: &Path, certificate: &Certificate) -> Result<(), MeshError> {
    Ok(CERTIFICATE.write(dir, &certificate.encode())?)
}

/// Replaces the secrets of the mesh in `dir`.
///
/// # Errors
/// If the file cannot be written; the old one stays then.
pub fn write_secrets(dir: &Path, secrets: &MeshSecrets) -> Result<(), MeshError> {
    Ok(secrets.write(dir)?)
}

/// Reads what makes this peer a member; `None` if there is no mesh in `dir`.
///
/// # Errors
/// If something is there and cannot be used. It is left as it is.
pub fn load(dir: &Path, wall_s: u64) -> Result<Option<Membership>, MeshError> {
    let Some(description) = Description::read(dir)? else { return Ok(None) };
    let keys = NodeKeys::new(read_key(dir, &IDENTITY)?);
    let bytes = CERTIFICATE.read(dir)?;
    let refused = |source| MeshError::Certificate { path: CERTIFICATE.path(dir), source };
    let certificate = Certificate::parse(&bytes).map_err(refused)?;
    let Description { mesh, authorities, seeds, labels } = description;
    certificate
        .check(&mut keys.clone(), &mesh, &authorities, &keys.peer(), wall_s)
        .map_err(refused)?;
    let secrets = MeshSecrets::read(dir)?;
    Ok(Some(Membership { keys, mesh, authorities, certificate, secrets, seeds, labels }))
}

/// Makes a new peer in `new_dir` a member of the mesh that `from_dir` knows: by its authority key if
/// that lies there, else by the peer of that directory, which has to be an enroller. The new peer gets
/// the mesh's secrets that lie in `from_dir`. Gives the new peer's id.
///
/// # Errors
/// If `from_dir` may let nobody in, there is a mesh in `new_dir` already, or a file cannot be read
/// or written.
pub fn enrol(
    from_dir: &Path,
    new_dir: &Path,
    labels: Labels,
    seeds: Vec<Seed>,
    wall_s: u64,
) -> Result<PeerId, MeshError> {
    let issuer = Issuer::find(from_dir, wall_s)?;
    let secrets = MeshSecrets::read(from_dir)?;
    if files::is_there(&Description::path(new_dir))? {
        return Err(MeshError::AlreadyMade(new_dir.to_owned()));
    }
    files::make_private_dir(new_dir)?;
    format::claim(new_dir)?;
    let peer = PeerId(load_or_make(new_dir, &IDENTITY)?.public());
    let (mesh, authorities) = issuer.mesh();
    let certificate = issuer.issue(peer, wall_s);
    CERTIFICATE.write(new_dir, &certificate.encode())?;
    secret::hand_on(secrets.as_ref(), new_dir)?;
    Description { mesh, authorities, seeds, labels }.write(new_dir)?;
    Ok(peer)
}

/// Who can let others in from a data directory.
enum Issuer {
    Authority(NodeKeys, MeshId, Arc<Authorities>),
    Enroller(NodeKeys, Box<Certificate>, Arc<Authorities>),
}

impl Issuer {
    fn find(dir: &Path, wall_s: u64) -> Result<Self, MeshError> {
        let path = AUTHORITY.path(dir);
        if !path.exists() {
            return match load(dir, wall_s)? {
                Some(own) if own.certificate.has_role(Role::Enroller) => {
                    Ok(Self::Enroller(own.keys, Box::new(own.certificate), own.authorities))
                }
                _ => Err(MeshError::NoAuthority(path)),
            };
        }
        let description = Description::read(dir)?.ok_or(MeshError::NoAuthority(path.clone()))?;
        let authority = NodeKeys::new(read_key(dir, &AUTHORITY)?);
        if !description.authorities.is_in_force(&authority.peer()) {
            return Err(MeshError::OtherAuthority(path));
        }
        Ok(Self::Authority(authority, description.mesh, description.authorities))
    }

    fn mesh(&self) -> (MeshId, Arc<Authorities>) {
        match self {
            Self::Authority(_, mesh, authorities) => (*mesh, authorities.clone()),
            Self::Enroller(_, own, authorities) => (own.mesh, authorities.clone()),
        }
    }

    fn issue(&self, peer: PeerId, wall_s: u64) -> Certificate {
        match self {
            Self::Authority(key, mesh, _) => issue(key, *mesh, peer, vec![Role::Member], wall_s),
            Self::Enroller(keys, own, _) => {
                let lapses_s = wall_s.saturating_add(CERTIFICATE_LIFETIME_S);
                Certificate::issue_by_enroller(&mut keys.clone(), own, peer, wall_s, lapses_s)
            }
        }
    }
}

fn issue(
    authority: &NodeKeys,
    mesh: MeshId,
    peer: PeerId,
    roles: Vec<Role>,
    wall_s: u64,
) -> Certificate {
    let lapses_s = wall_s.saturating_add(CERTIFICATE_LIFETIME_S);
    let mut signer = authority.clone();
    Certificate::issue(&mut signer, authority.peer(), mesh, peer, roles, wall_s, lapses_s)
}

fn load_or_make(dir: &Path, sealed: &Sealed) -> Result<Identity, FileError> {
    if files::is_there(&sealed.path(dir))? {
        return read_key(dir, sealed);
    }
    let identity = Identity::generate();
    sealed.write(dir, &identity.secret_bytes())?;
    Ok(identity)
}

fn read_key(dir: &Path, sealed: &Sealed) -> Result<Identity, FileError> {
    let bytes = sealed.read(dir)?;
    let secret = bytes.try_into().map_err(|_| sealed.malformed(dir, "not 32 bytes of key"))?;
    Ok(Identity::from_secret_bytes(secret))
}

#[cfg(test)]
mod tests;
