//! An agent's process, and what commands answer.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A running agent; it is killed when this goes.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// Runs what `run` says, which has the verb and all that differs. What it logs goes to the end of
    /// `log`; it does not outlive the test, however that ends.
    pub(crate) fn start(mut run: Command, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        run.arg("--die-with-stdin").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        Self(run.spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The document that a command prints; what it says on standard error if it fails.
pub(crate) fn json(mut command: Command) -> Result<Value, String> {
    let output = command.args(["-o", "json"]).output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}
