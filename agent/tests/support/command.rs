//! The program under test.

use std::process::Command;

/// A command that the environment of the test does not configure.
pub(crate) fn plexmesh() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plexmesh"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PLEXMESH_") {
            command.env_remove(name);
        }
    }
    command
}
