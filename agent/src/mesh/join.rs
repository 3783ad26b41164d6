//! What a newcomer writes once an enroller let it in: its certificate, the mesh's secrets and, last,
//! `mesh.toml`, whose presence makes a mesh. All of them are there at the end, or only its key.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plexmesh_proto::record::{Authorities, AuthorityChange, AuthorityError, Certificate, MeshId};
use plexmesh_proto::types::PeerId;
use thiserror::Error;

use super::description::Description;
use super::files::{self, FileError};
use super::secret::{self, MeshSecret, MeshSecrets, SecretError};
use super::undo::Undo;
use super::{CERTIFICATE, IDENTITY, Labels, MeshError, Seed, format, load_or_make};
use crate::identity::NodeKeys;

/// What an enroller gives to whom it lets in.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Makes the newcomer a member.
    pub certificate: Certificate,
    /// The mesh.
    pub mesh: MeshId,
    /// The keys that the mesh was made with.
    pub founding: Vec<PeerId>,
    /// What replaced them since.
    pub changes: Vec<AuthorityChange>,
    /// Where to begin.
    pub seeds: Vec<Seed>,
    /// Epochs with the mesh's secrets, by rising epoch; none if the enroller was given none.
    pub secrets: Vec<(u32, [u8; 32])>,
}

/// Why a newcomer does not become a member.
#[derive(Debug, Error)]
pub enum JoinError {
    /// The answer is of another mesh than the token.
    #[error(
        "the enroller answered for another mesh than the token's; nothing was written. Ask for a \
            new token"
    )]
    OtherMesh,
    /// The certificate in the answer makes this peer no member.
    #[error(
        "the enroller's answer is of no use: {0}; nothing was written. If the clocks of both hosts \
            are right, ask for a new token"
    )]
    Certificate(#[from] plexmesh_proto::record::CertificateError),
    /// The replacements of authority keys in the answer do not count.
    #[error("the enroller's answer is of no use: {0}; nothing was written")]
    Authorities(#[from] AuthorityError),
    /// The secrets in the answer cannot be those of a mesh.
    #[error("the enroller's answer is of no use: {0}; nothing was written")]
    Secrets(#[from] SecretError),
    /// `mesh.toml` may not say what the answer says.
    #[error("the enroller's answer is of no use: {0}; nothing was written")]
    Description(String),
    /// A file of the data directory.
    #[error(transparent)]
    Mesh(#[from] MeshError),
}

impl From<FileError> for JoinError {
    fn from(error: FileError) -> Self {
        Self::Mesh(error.into())
    }
}

/// A newcomer that became a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The mesh.
    pub mesh: MeshId,
    /// The member.
    pub peer: PeerId,
    /// Who let it in; `None` if an authority's key did.
    pub enroller: Option<PeerId>,
    /// Unix second at which its certificate lapses.
    pub certificate_lapses_s: u64,
    /// Whether it got the mesh's secret.
    pub has_secret: bool,
}

/// A data directory with a key and without a mesh.
#[derive(Debug)]
pub struct Newcomer {
    dir: PathBuf,
    keys: NodeKeys,
    /// The key was made for this attempt.
    is_new: bool,
}

impl Newcomer {
    /// Makes a key in a directory, or takes the one that an interrupted attempt left. Blocks.
    ///
    /// # Errors
    /// If there is a mesh already, or a file cannot be read or written.
    pub fn prepare(dir: &Path) -> Result<Self, MeshError> {
        if files::is_there(&Description::path(dir))? {
            return Err(MeshError::AlreadyMade(dir.to_owned()));
        }
        files::make_private_dir(dir)?;
        format::claim(dir)?;
        let is_new = !files::is_there(&IDENTITY.path(dir))?;
        let keys = NodeKeys::new(load_or_make(dir, &IDENTITY)?);
        Ok(Self { dir: dir.to_owned(), keys, is_new })
    }

    /// The keys that the enroller is shown.
    #[must_use]
    pub const fn keys(&self) -> &NodeKeys {
        &self.keys
    }

    /// Gives up: a key that was made for this attempt, and that nobody let in, goes again. Blocks.
    pub fn abandon(self) {
        if !self.is_new {
            return;
        }
        // What cannot be removed is found and used by the next attempt.
        for file in [IDENTITY.path(&self.dir), self.dir.join(format::FILE)] {
            let _ = fs::remove_file(file);
        }
    }

    /// Checks what an enroller answered to a token for the mesh `expected`, and writes it. The
    /// caller holds the directory's lock. Blocks.
    ///
    /// # Errors
    /// If the answer does not make this peer a member at `wall_s`, or a file cannot be written.
    /// Nothing but the key is in the directory then.
    pub fn join(
        self,
        expected: MeshId,
        answer: Answer,
        labels: Labels,
        wall_s: u64,
    ) -> Result<Joined, JoinError> {
        let Answer { certificate, mesh, founding, changes, seeds, secrets } = answer;
        if mesh != expected {
            return Err(JoinError::OtherMesh);
        }
        let peer = self.keys.peer();
        let verifier = &mut self.keys.clone();
        let authorities = Authorities::from(founding).of_chain(verifier, &mesh, &changes)?;
        let authorities = Arc::new(authorities);
        certificate.check(verifier, &mesh, &authorities, &peer, wall_s)?;
        let secrets: Vec<_> =
            secrets.into_iter().map(|(epoch, bytes)| (epoch, MeshSecret::new(bytes))).collect();
        let secrets = if secrets.is_empty() { None } else { Some(MeshSecrets::new(secrets)?) };
        let dir = &self.dir;
        let mut undo = Undo::default();
        undo.add(CERTIFICATE.path(dir));
        CERTIFICATE.write(dir, &certificate.encode())?;
        undo.add(MeshSecrets::path(dir));
        secret::hand_on(secrets.as_ref(), dir)?;
        undo.add(Description::path(dir));
        let written = Description { mesh, authorities, seeds, labels }.write(dir);
        written.map_err(|error| match error {
            MeshError::Description { reason, .. } => JoinError::Description(reason),
            error => error.into(),
        })?;
        undo.keep();
        Ok(Joined {
            mesh,
            peer,
            enroller: certificate.enroller(),
            certificate_lapses_s: certificate.not_after_s,
            has_secret: secrets.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use plexmesh_proto::record::{CertificateError, Role};

    use super::*;
    use crate::mesh::{CERTIFICATE_LIFETIME_S, init, load};

    const NOW_S: u64 = 1_800_000_000;
    const LAPSES_S: u64 = NOW_S + CERTIFICATE_LIFETIME_S;

    /// An enroller and a newcomer.
    struct World {
        root: tempfile::TempDir,
        mesh: MeshId,
    }

    impl World {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let mesh = init(&root.path().join("old"), Labels::default(), NOW_S).unwrap().mesh;
            Self { root, mesh }
        }

        fn dir(&self) -> PathBuf {
            self.root.path().join("new")
        }

        fn newcomer(&self) -> Newcomer {
            Newcomer::prepare(&self.dir()).unwrap()
        }

        fn answer_to(&self, newcomer: &Newcomer) -> Answer {
            let enroller = load(&self.root.path().join("old"), NOW_S).unwrap().unwrap();
            let (mut keys, peer) = (enroller.keys, newcomer.keys().peer());
            let own = &enroller.certificate;
            let seed = Seed { peer: keys.peer(), address: "/ip4/192.0.2.1/tcp/6374".to_owned() };
            Answer {
                certificate: Certificate::issue_by_enroller(&mut keys, own, peer, NOW_S, LAPSES_S),
                mesh: enroller.mesh,
                founding: enroller.authorities.founding().to_vec(),
                changes: Vec::new(),
                seeds: vec![seed],
                secrets: vec![(3, [7; 32]), (4, [8; 32])],
            }
        }

        /// What remains of an attempt.
        fn remaining(&self) -> Vec<String> {
            let entries = fs::read_dir(self.dir()).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    #[test]
    fn a_newcomer_becomes_a_plain_member_that_loads() {
        let world = World::new();
        let newcomer = world.newcomer();
        let (peer, answer) = (newcomer.keys().peer(), world.answer_to(&newcomer));
        let labels = Labels { name: Some("beta".to_owned()), ..Labels::default() };
        let joined = newcomer.join(world.mesh, answer.clone(), labels.clone(), NOW_S).unwrap();
        assert_eq!((joined.mesh, joined.peer), (world.mesh, peer));
        assert_eq!(joined.enroller, answer.seeds.first().map(|seed| seed.peer));
        assert!(joined.has_secret && joined.certificate_lapses_s == LAPSES_S);
        let loaded = load(&world.dir(), NOW_S).unwrap().unwrap();
        assert_eq!(loaded.certificate.roles, [Role::Member]);
        assert_eq!((loaded.keys.peer(), loaded.certificate), (peer, answer.certificate));
        assert_eq!((loaded.seeds, loaded.labels), (answer.seeds, labels));
        let secrets = loaded.secrets.unwrap();
        let secrets: Vec<_> = secrets.iter().map(|(epoch, it)| (epoch, *it.expose())).collect();
        assert_eq!(secrets, answer.secrets);
    }

    #[test]
    fn an_enroller_without_a_secret_gives_none() {
        let world = World::new();
        let newcomer = world.newcomer();
        let answer = Answer { secrets: Vec::new(), ..world.answer_to(&newcomer) };
        let joined = newcomer.join(world.mesh, answer, Labels::default(), NOW_S).unwrap();
        assert!(!joined.has_secret);
        assert!(load(&world.dir(), NOW_S).unwrap().unwrap().secrets.is_none());
    }

    #[test]
    fn whatever_is_wrong_with_an_answer_only_the_key_remains() {
        let world = World::new();
        let good = world.answer_to(&world.newcomer());
        let seeds = vec![good.seeds[0].clone(); 1_000];
        let other_mesh = MeshId([9; 32]);
        let cases = [
            ("another mesh", Answer { mesh: other_mesh, ..good.clone() }),
            ("no authority", Answer { founding: vec![PeerId([1; 32])], ..good.clone() }),
            ("1 to 2 secrets", Answer { secrets: vec![(1, [0; 32]); 3], ..good.clone() }),
            ("do not rise", Answer { secrets: vec![(2, [0; 32]); 2], ..good.clone() }),
            ("seeds", Answer { seeds, ..good.clone() }),
        ];
        for (reason, answer) in cases {
            let newcomer = world.newcomer();
            let refused = newcomer.join(world.mesh, answer, Labels::default(), NOW_S).unwrap_err();
            assert!(refused.to_string().contains(reason), "{refused}");
            assert_eq!(world.remaining(), ["format", "identity.key"], "{reason}");
        }
        let late = world.newcomer().join(world.mesh, good.clone(), Labels::default(), LAPSES_S);
        assert!(matches!(late, Err(JoinError::Certificate(CertificateError::Lapsed))));
        let newcomer = world.newcomer();
        newcomer.join(world.mesh, good, Labels::default(), NOW_S).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_only_the_key() {
        let world = World::new();
        let newcomer = world.newcomer();
        let answer = world.answer_to(&newcomer);
        // What is in the way of the last file.
        fs::create_dir(world.dir().join("mesh.toml")).unwrap();
        assert!(newcomer.join(world.mesh, answer, Labels::default(), NOW_S).is_err());
        fs::remove_dir(world.dir().join("mesh.toml")).unwrap_or_default();
        assert_eq!(world.remaining(), ["format", "identity.key"]);
    }

    #[test]
    fn a_directory_with_a_mesh_is_not_prepared() {
        let world = World::new();
        let refused = Newcomer::prepare(&world.root.path().join("old")).unwrap_err();
        assert!(matches!(refused, MeshError::AlreadyMade(_)));
    }
}
