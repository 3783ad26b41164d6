//! The `plexmesh` binary: the agent and its command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    plexmesh_agent::cli::main()
}
