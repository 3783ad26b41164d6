//! `plexmesh export-identity` and `plexmesh import-identity`: a peer moves. No agent is asked, and
//! none may run on the directory.

use std::fs;
use std::path::Path;

use super::args::{ExportIdentityArgs, ImportIdentityArgs};
use super::output::Output;
use super::passphrase;
use crate::api::problem::{Code, Problem};
use crate::api::schema::{IdentityTransfer, Kind, One};
use crate::mesh::transfer::{self, Arriving, TransferError, Transferred};
use crate::mesh::{files, format};
use crate::render;
use crate::run::{DirectoryLock, LOCK_FILE};
use crate::text::hex;
use crate::time::WallTime;

/// Writes the peer of `dir` into a file, and marks the directory as moved.
///
/// # Errors
/// If an agent runs there, there is no passphrase, or something cannot be read or written.
pub fn export(args: &ExportIdentityArgs, dir: &Path, output: &Output) -> anyhow::Result<()> {
    if !dir.exists() {
        return Err(TransferError::NoMesh(dir.to_owned()).into());
    }
    let _lock = lock(dir)?;
    let phrase = passphrase::choose(args.passphrase_file.as_deref(), output)?;
    let done = transfer::export(dir, &args.file, &phrase, args.copy, WallTime::now())
        .map_err(Problem::from)?;
    let item = item(&done, &args.file, dir, !args.copy);
    let document = One::local(Kind::IdentityExported, item);
    output.document(&document, render::transfer::exported)?;
    Ok(())
}

/// Puts the peer of a file into `dir`.
///
/// # Errors
/// If the file does not open, the directory holds a mesh, or something cannot be written. Nothing
/// was changed then.
pub fn import(args: &ImportIdentityArgs, dir: &Path, output: &Output) -> anyhow::Result<()> {
    if !args.file.exists() {
        let message = format!("there is no file {}", args.file.display());
        return Err(Problem::new(Code::NotFound, message).into());
    }
    let phrase = passphrase::give(args.passphrase_file.as_deref(), output)?;
    // Before anything is made.
    let arriving = Arriving::read(&args.file, &phrase, WallTime::now()).map_err(Problem::from)?;
    let was_there = dir.exists();
    files::make_private_dir(dir).map_err(Problem::from)?;
    let lock = lock(dir)?;
    let done = arriving.settle(dir);
    drop(lock);
    if done.is_err() && !was_there {
        // File by file, so that nothing goes that somebody else put there meanwhile.
        for note in [LOCK_FILE, format::FILE] {
            let _ = fs::remove_file(dir.join(note));
        }
        let _ = fs::remove_dir(dir);
    }
    let item = item(&done.map_err(Problem::from)?, &args.file, dir, false);
    let document = One::local(Kind::IdentityImported, item);
    output.document(&document, render::transfer::imported)?;
    Ok(())
}

fn lock(dir: &Path) -> Result<DirectoryLock, Problem> {
    DirectoryLock::take(dir).map_err(|error| {
        error.while_agent_runs(
            "two hosts with one identity contradict each other: stop the agent first",
            "sudo systemctl stop plexmesh, or end its `plexmesh run` with Ctrl-C",
        )
    })
}

fn item(done: &Transferred, file: &Path, dir: &Path, marked: bool) -> IdentityTransfer {
    IdentityTransfer {
        peer: plexmesh_net::peer_id_text(&done.peer.0),
        mesh: hex(&done.mesh.0),
        file: file.display().to_string(),
        data_dir: dir.display().to_string(),
        secret_included: done.has_secret,
        clock_included: done.has_clock,
        marked_as_moved: marked,
        authority_files: done.authority_files.iter().map(|it| it.display().to_string()).collect(),
    }
}
