//! What a person is told of a data directory that cannot be used: why that may be, and what to type.

use std::io::{self, ErrorKind};
use std::path::Path;

use plexmesh_proto::record::CertificateError;

use super::MeshError;
use super::files::FileError;
use super::join::JoinError;
use super::transfer::TransferError;
use crate::api::problem::{Code, Problem};
use crate::text::quoted;

/// Stands for where a person keeps backups.
const BACKUP: &str = "/path/to/backup";

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        let (cause, next) = match &error {
            FileError::Read { path, source } => unread(path, source),
            FileError::Write { path, source } => unwritten(path, source),
            FileError::Malformed { path, .. } => (
                "a failing disk or a copy that was cut short; or another file was put in its place",
                restore(path),
            ),
            FileError::NotAFile { path, .. } => {
                ("something else was put in its place", format!("ls -ld {}", quoted(path)))
            }
            FileError::Exposed { path, .. } => (
                "it was copied without its mode; it is a secret, and whoever read it can use it",
                format!("chmod 600 {}", quoted(path)),
            ),
        };
        told(error, cause, next)
    }
}

impl From<MeshError> for Problem {
    fn from(error: MeshError) -> Self {
        match error {
            MeshError::File(error) => error.into(),
            MeshError::Format(error) => error.into(),
            MeshError::AlreadyMade(ref dir) => {
                let next = format!("plexmesh --data-dir {} run", quoted(dir));
                told(error, "this was done here before", next)
            }
            MeshError::Description { ref path, .. } => {
                let next = restore(path);
                told(error, "it was edited by hand, or a copy of it was cut short", next)
            }
            MeshError::Undescribed(ref certificate) => {
                let next = restore(&certificate.with_file_name("mesh.toml"));
                let cause = "mesh.toml was deleted; or a `plexmesh join` was interrupted, which \
                    goes on if it is typed again";
                told(error, cause, next)
            }
            MeshError::Certificate { source: CertificateError::Lapsed, .. } => {
                let cause = "the agent was off for longer than the certificate counts, or the \
                    clock of this host is wrong";
                told(error, cause, "date -u".to_owned())
            }
            MeshError::Certificate { ref path, .. } => {
                let next = restore(path);
                let cause = "certificate, mesh.toml or identity.key is damaged, or one of them is \
                    of another peer; all were left as they are";
                told(error, cause, next)
            }
            MeshError::NoAuthority(_) | MeshError::OtherAuthority(_) => {
                anyhow::Error::from(error).into()
            }
        }
    }
}

impl From<JoinError> for Problem {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Mesh(error) => error.into(),
            error => anyhow::Error::from(error).into(),
        }
    }
}

impl From<TransferError> for Problem {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Mesh(error) => error.into(),
            TransferError::Store(error) => error.into(),
            error => anyhow::Error::from(error).into(),
        }
    }
}

fn told<E>(error: E, cause: &str, next: String) -> Problem
where
    E: std::error::Error + Send + Sync + 'static,
{
    let message = format!("{:#}", anyhow::Error::from(error));
    Problem::new(Code::Failed, message).because(cause).then(next)
}

fn unread(path: &Path, source: &io::Error) -> (&'static str, String) {
    match source.kind() {
        ErrorKind::NotFound => ("it was deleted, or is a link that leads nowhere", restore(path)),
        ErrorKind::PermissionDenied => {
            ("it belongs to another user", format!("ls -ld {}", quoted(path)))
        }
        _ => ("the disk below it may be failing", "dmesg | tail".to_owned()),
    }
}

/// Why something may not be writable, and what shows more of it.
pub(crate) fn unwritten(path: &Path, source: &io::Error) -> (&'static str, String) {
    let dir = quoted(path.parent().unwrap_or(path));
    match source.kind() {
        ErrorKind::ReadOnlyFilesystem => (
            "its file system is mounted read-only; the system does that after an error of the disk",
            format!("findmnt -T {dir}"),
        ),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            ("its file system is full", format!("df -h {dir}"))
        }
        ErrorKind::PermissionDenied => {
            ("the directory belongs to another user", format!("ls -ld {dir}"))
        }
        _ => ("something else is in its place, or the disk is failing", format!("ls -ld {dir}")),
    }
}

fn restore(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    format!("cp -p {} {}", quoted(Path::new(BACKUP).join(name)), quoted(path))
}
