//! `plexmesh doctor`.

use super::args::GlobalArgs;
use super::output::Output;
use crate::api::schema::{Health, Kind, One};
use crate::config::Inputs;
use crate::doctor::examine;
use crate::render;

/// Exit code of an examination that found something critical.
const CRITICAL: u8 = 1;

/// Examines this host and its agent, and shows what was found. Gives the exit code.
///
/// # Errors
/// What standard output failed with.
pub async fn doctor(global: &GlobalArgs, output: &Output) -> anyhow::Result<u8> {
    let found = examine(&Inputs::of_any(global)).await;
    let code = if found.status == Health::Crit { CRITICAL } else { 0 };
    output.document(&One::local(Kind::Doctor, found), render::doctor::doctor)?;
    Ok(code)
}
