//! `mesh.toml`: the mesh as this peer knows it from its own files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plexmesh_net::Identity;
use plexmesh_proto::record::{Authorities, AuthorityChange, MAX_AUTHORITIES, MeshId};
use plexmesh_proto::types::PeerId;
use serde::{Deserialize, Serialize};

use super::Labels;
use super::MeshError;
use super::files::{self, from_hex};
use super::seed::Seed;
use crate::identity::NodeKeys;
use crate::text::hex;

/// The file's name in the data directory.
const FILE: &str = "mesh.toml";
/// The format's version.
const VERSION: u32 = 1;
/// Most seeds: past a few dozen another one does not help a start.
const MAX_SEEDS: usize = 64;
/// Heads the file.
const COMMENT: &str = "# Written by plexmesh. Seeds and [peer] may be edited; the rest names the \
    mesh.\n";

/// The mesh: its id, who vouches for members, and where to begin; and how this peer is labelled in
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) mesh: MeshId,
    pub(super) authorities: Arc<Authorities>,
    pub(super) seeds: Vec<Seed>,
    pub(super) labels: Labels,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnDisk {
    version: u32,
    mesh: String,
    authorities: Vec<String>,
    /// What replaced authorities since the mesh was made, each signed by another authority.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaced: Vec<String>,
    #[serde(default)]
    seeds: Vec<String>,
    #[serde(default)]
    peer: Labels,
}

impl Description {
    pub(super) fn path(dir: &Path) -> PathBuf {
        dir.join(FILE)
    }

    /// Reads the file; `None` if there is none.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, MeshError> {
        let path = Self::path(dir);
        if !files::is_there(&path)? {
            return Ok(None);
        }
        let text = files::read_text(&path, false)?;
        Self::parse(&text).map(Some).map_err(|reason| MeshError::Description { path, reason })
    }

    /// Replaces the file, unless it could not be read again.
    pub(super) fn write(&self, dir: &Path) -> Result<(), MeshError> {
        let path = Self::path(dir);
        let on_disk = OnDisk {
            version: VERSION,
            mesh: hex(&self.mesh.0),
            authorities: self.authorities.founding().iter().map(|key| hex(&key.0)).collect(),
            replaced: self.authorities.changes().iter().map(|it| hex(&it.encode())).collect(),
            seeds: self.seeds.iter().map(Seed::to_string).collect(),
            peer: self.labels.clone(),
        };
        let text = toml::to_string(&on_disk)
            .map_err(|e| MeshError::Description { path: path.clone(), reason: e.to_string() })?;
        // What a peer was told may be more than it may take.
        Self::parse(&text)
            .map_err(|reason| MeshError::Description { path: path.clone(), reason })?;
        files::write_atomically(&path, [COMMENT, &text].concat().as_bytes(), false)?;
        Ok(())
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let on_disk: OnDisk = toml::from_str(text).map_err(|error| with_line(text, &error))?;
        if on_disk.version != VERSION {
            return Err(format!("its version is {}, this is {VERSION}", on_disk.version));
        }
        if on_disk.authorities.is_empty() || on_disk.authorities.len() > MAX_AUTHORITIES {
            return Err(format!("it must name 1 to {MAX_AUTHORITIES} authorities"));
        }
        if on_disk.seeds.len() > MAX_SEEDS {
            return Err(format!("it names more than {MAX_SEEDS} seeds"));
        }
        let key = |text: &String| {
            from_hex(text)
                .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
                .ok_or_else(|| format!("`{text}` is not 64 hexadecimal digits"))
        };
        let mesh = MeshId(key(&on_disk.mesh)?);
        let founding = on_disk.authorities.iter().map(|text| key(text).map(PeerId));
        let founding = founding.collect::<Result<Vec<_>, _>>()?;
        let authorities = authorities(mesh, founding, &on_disk.replaced)?;
        let seeds =
            on_disk.seeds.iter().map(|text| text.parse::<Seed>().map_err(|e| e.to_string()));
        Ok(Self {
            mesh,
            authorities: Arc::new(authorities),
            seeds: seeds.collect::<Result<_, _>>()?,
            labels: on_disk.peer,
        })
    }
}

/// Founding keys with what replaced them, if every replacement counts.
fn authorities(
    mesh: MeshId,
    founding: Vec<PeerId>,
    replaced: &[String],
) -> Result<Authorities, String> {
    let malformed = || "`replaced` holds something other than hexadecimal digits".to_owned();
    let changes = replaced.iter().map(|text| from_hex(text).ok_or_else(malformed));
    let changes = changes.collect::<Result<Vec<_>, _>>()?;
    let refused = |error| format!("what `replaced` says does not count: {error}");
    let changes = AuthorityChange::parse_all(&changes).map_err(refused)?;
    let mut verifier = NodeKeys::new(Identity::generate());
    Authorities::from(founding).of_chain(&mut verifier, &mesh, &changes).map_err(refused)
}

/// What is wrong, and in which line if that is known.
fn with_line(text: &str, error: &toml::de::Error) -> String {
    let reason = error.message().trim().replace('\n', ", ");
    let Some(before) = error.span().and_then(|span| text.as_bytes().get(..span.start)) else {
        return reason;
    };
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    format!("line {line}: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        let seed = Seed {
            peer: PeerId(Identity::generate().public()),
            address: "/ip4/127.0.0.1/udp/6374/quic-v1".into(),
        };
        let authorities = Arc::new(vec![PeerId([1; 32]), PeerId([2; 32])].into());
        let labels = Labels { name: Some("alpha".into()), ..Labels::default() };
        Description { mesh: MeshId([9; 32]), authorities, seeds: vec![seed], labels }
    }

    #[test]
    fn a_description_survives_its_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Description::read(dir.path()).unwrap(), None);
        let written = description();
        written.write(dir.path()).unwrap();
        assert_eq!(Description::read(dir.path()).unwrap(), Some(written));
    }

    #[test]
    fn a_later_version_an_unknown_key_and_no_authority_are_refused_by_name() {
        let hex = "00".repeat(32);
        let cases = [
            (format!("version = 2\nmesh = '{hex}'\nauthorities = ['{hex}']"), "version is 2"),
            (format!("version = 1\nmesh = '{hex}'\nauthorities = []"), "authorities"),
            (format!("version = 1\nmesh = 'xy'\nauthorities = ['{hex}']"), "`xy`"),
            (
                format!("version = 1\nmesh = '{hex}'\nauthorities = ['{hex}']\nsed = 1"),
                "line 4: unknown field `sed`",
            ),
            ("gibberish".into(), "expected"),
        ];
        for (text, expected) in cases {
            let reason = Description::parse(&text).unwrap_err();
            assert!(reason.contains(expected), "{text}: {reason}");
        }
    }
}
