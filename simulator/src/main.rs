//! `plexmesh-sim`: runs virtual meshes and says what came of it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::main()
}
