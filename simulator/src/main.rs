//! `plexmesh-sim`: runs virtual meshes and says what came of it.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::main()
}
