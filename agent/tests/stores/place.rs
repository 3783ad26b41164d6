//! A data directory, and shards beside it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::command::plexmesh;
use crate::process::{self, Process};

/// Shards are looked at every few seconds.
const DEADLINE: &str = "40s";

pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("shards")).unwrap();
        fs::create_dir(place.path("data")).unwrap();
        fs::write(place.path("x.toml"), "").unwrap();
        place
    }

    /// Makes its mesh.
    pub(crate) fn init(self) -> Self {
        let made = self.plexmesh(&["init"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn shard(&self, id: &str) -> PathBuf {
        self.path("shards").join(id)
    }

    pub(crate) fn plexmesh(&self, words: &[&str]) -> Command {
        let mut command = plexmesh();
        command.arg("--config").arg(self.path("x.toml"));
        command.arg("--data-dir").arg(self.path("data"));
        command.arg("--socket").arg(self.path("socket")).args(words);
        command
    }

    /// Starts its agent; what it logs goes to the end of `log`.
    pub(crate) fn run(&self) -> Process {
        let mut command = self.plexmesh(&["run", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"]);
        command.arg("--shards").arg(self.path("shards"));
        command.env("PLEXMESH_SCRUB__DEADLINE", DEADLINE);
        Process::start(command, &self.path("log"))
    }

    /// The ids of shards with one of these verdicts.
    pub(crate) fn with(&self, verdicts: &[&str]) -> Result<BTreeSet<String>, String> {
        let mut command = self.plexmesh(&["shards", "--limit", "10000"]);
        for verdict in verdicts {
            command.args(["--verdict", verdict]);
        }
        let document = process::json(command)?;
        let items = document["items"].as_array().unwrap().iter();
        Ok(items.map(|it| it["id"].as_str().unwrap().to_owned()).collect())
    }

    /// How much of what the agent knows is not on disk.
    pub(crate) fn unsaved(&self) -> Result<u64, String> {
        let document = process::json(self.plexmesh(&["scrub"]))?;
        Ok(document["items"][0]["unsavedChanges"].as_u64().unwrap())
    }
}
